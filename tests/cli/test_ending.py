"""How a run ends: exit codes, messages, Ctrl-C, readers that go away, full disks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from kpiengine.cli.interrupts import GRACE_SECONDS
from kpiengine.cli.main import _leave
from kpiengine.cli.progress import Progress
from kpiengine.errors import DataError, DefinitionError, EngineError, Place, Problem, UsageError

# A stand-in project for the processes below: `rows` batches, then `then` happens.
FAKE = """
import sys, time, types, pyarrow as pa, kpiengine
class Result:
    columns = ()
    def __init__(self, batches, then): self.batches, self.then = batches, then
    def fetched(self):
        return None

    def reader(self):
        batch = pa.record_batch({"n": list(range(1000))})
        def stream():
            for _ in range(self.batches): yield batch
            self.then()
        return Stream(batch.schema, stream())
class Stream:
    def __init__(self, schema, batches): self.schema, self.batches = schema, batches
    def __iter__(self): return self
    def __next__(self): return next(self.batches)
class Project:
    spec = types.SimpleNamespace(secrets=())
    def query(self, metrics, **asked): return Result(BATCHES, THEN)
    def progress(self): return -1.0
    def interrupt(self): pass
    def close(self): print("closed", file=sys.stderr)
kpiengine.open = lambda path, engine: Project()
from kpiengine.cli.main import main
main()
"""


def process(*arguments, batches=1, then="pass", setup="", **options):
    code = f"{setup}\nBATCHES = {batches}\ndef THEN():\n{textwrap.indent(then, '    ')}\n{FAKE}"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], **options)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (DefinitionError(Problem(Place("m.yaml", 3, 5), "unknown column"), Problem(Place("a.yaml", 1, 2), "no")), 1,
         "a.yaml:1:2: no\nm.yaml:3:5: unknown column\n"),
        (DataError("no such file: x.csv"), 1, "error: no such file: x.csv\n"),
        (EngineError("out of memory"), 1, "error: out of memory\n"),
        (UsageError('unknown metric "x"'), 2, 'error: unknown metric "x"\n'),
        (OSError(errno.ENOSPC, "No space left on device", "/d/x"), 1,
         "error: /d/x: no space left on the disk; free some, or write to another disk with --out\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/d/x"), 1,
         "error: /d/x: permission denied; check who may read and write it\n"),
        (MemoryError(), 1, None),
        (KeyboardInterrupt(), 130, None),
        (ValueError("surprise"), 1,
         "internal error: ValueError: surprise (run again with --debug to see where, and report it)\n"),
    ],
)  # fmt: skip
def test_errors_have_their_exit_code_and_no_traceback(kpi, project, error, code, says):
    project.error = error
    got = kpi("query", "revenue")
    assert got.exit_code == code
    assert got.stdout == ""
    assert "Traceback" not in got.stderr
    assert says is None or got.stderr == says
    assert project.closed


@pytest.mark.parametrize("arguments", [("--debug", "query", "revenue"), ("query", "revenue", "--debug")])
def test_debug_shows_the_traceback(kpi, project, arguments):
    project.error = DataError("no such file")
    got = kpi(*arguments)
    assert got.exit_code == 1
    assert "Traceback" in got.stderr
    assert "error: no such file" in got.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("qeury",), 'did you mean "query"?'),
        (("query",), "METRIC"),
        (("query", "revenue", "--format", "xml"), "'xml'"),
        (("query", "revenue", "--limit", "-1"), "--limit"),
        (("query", "revenue", "--nonsense"), "--nonsense"),
        (("-C", "/no/such/folder", "list"), "does not exist"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(kpi, project, arguments, says):
    got = kpi(*arguments)
    assert got.exit_code == 2
    assert says in got.stderr
    assert got.stdout == ""


def test_a_reader_that_has_seen_enough_is_no_error():
    run = process("query", "n", "--format", "csv", batches=2000)
    assert run.stdout.readline() == "n\n"
    run.stdout.close()
    assert run.stderr.read() == "closed\n"
    assert run.wait(20) == 0


AT_THE_END = """
import atexit, sys, threading, time
atexit.register(lambda: print("at the end", file=sys.stderr))
class Kept:
    def __del__(self): print("taken apart", file=sys.stderr)
kept = Kept()
"""


def test_what_is_registered_for_the_end_is_done_and_nothing_is_taken_apart():
    run = process("query", "n", "--format", "csv", setup=AT_THE_END)
    out, err = run.communicate(timeout=20)
    assert (run.returncode, len(out.splitlines()), err) == (0, 1001, "closed\nat the end\n")


def test_a_thread_at_work_is_waited_for():
    slow = "threading.Thread(target=lambda: (time.sleep(1), print('done', file=sys.stderr))).start()"
    run = process("query", "n", "--format", "csv", setup=AT_THE_END, then=slow)
    assert "done\nat the end" in run.communicate(timeout=20)[1]
    assert run.returncode == 0


def test_an_error_code_is_kept_whatever_is_registered_for_the_end():
    run = process(
        "query", "n", "--format", "csv", setup=AT_THE_END, then="raise OSError(28, 'No space left on device')"
    )
    err = run.communicate(timeout=20)[1]
    assert run.returncode == 1
    assert "at the end" in err


@pytest.mark.parametrize("code", ["a text", None])
def test_an_end_without_a_code_is_pythons_own(code):
    with pytest.raises(SystemExit) as end:
        _leave(SystemExit(code))
    assert end.value.code == code


def test_help_into_a_closed_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    run = process("query", "--help", stdout=write)
    os.close(write)
    assert run.stderr.read() == ""
    assert run.wait(20) == 0


def test_a_connection_that_breaks_is_an_error_all_the_same():
    run = process("query", "n", then='raise BrokenPipeError(32, "Broken pipe")')
    _, errors = run.communicate(timeout=20)
    assert run.returncode == 1
    assert "error: the connection to the engine was lost; run the query again\n" in errors


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("batches", [1, 500])
def test_a_full_disk_behind_standard_output_is_told(batches):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        run = process("query", "n", "--format", "csv", batches=batches, stdout=full)
        errors = run.stderr.read()
        assert run.wait(20) == 1
    assert "no space left on the disk" in errors
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


def test_closed_standard_output_is_told():
    run = process("query", "n", setup="import sys\nsys.stdout = None")
    _, errors = run.communicate(timeout=20)
    assert run.returncode == 1
    assert "the output is closed" in errors


# A mutex locked twice never comes back, and no signal handler of Python's runs meanwhile.
STUCK = """
import ctypes
mutex = ctypes.create_string_buffer(128)
lock = ctypes.CDLL(None).pthread_mutex_lock
print("working", flush=True)
lock(mutex), lock(mutex)
"""


def interrupt(run, signals=1):
    assert run.stdout.readline() == "working\n"
    time.sleep(0.5)  # what says so still has to begin
    started = time.monotonic()
    for _ in range(signals):
        run.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, errors = run.communicate(timeout=20)
    return run.returncode, errors, time.monotonic() - started


def test_interrupted_in_python_is_130_with_one_line():
    code, errors, _ = interrupt(process("query", "n", batches=0, then='print("working", flush=True)\ntime.sleep(30)'))
    assert (code, sorted(errors.splitlines())) == (130, ["closed", "interrupted"])


def test_interrupted_in_c_code_that_does_not_listen_ends_within_the_grace(tmp_path):
    out = tmp_path / "x.csv"
    out.write_text("old")
    code, errors, seconds = interrupt(process("query", "n", "--out", str(out), then=STUCK))
    assert (code, errors) == (130, "interrupted\n")
    assert seconds < 10
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_second_interrupt_ends_at_once():
    run = process("query", "n", "--out", "/dev/null", "--format", "csv", then=STUCK)
    code, errors, seconds = interrupt(run, signals=2)
    assert (code, errors) == (130, "interrupted\n")
    assert seconds < GRACE_SECONDS


def test_progress_is_silent_in_a_pipe_and_clears_its_line_on_a_terminal(capsys):
    with Progress("running"):
        time.sleep(0.01)
    assert capsys.readouterr().err == ""
    with Progress("running", lambda: 50.0, visible=True):
        time.sleep(0.8)
    shown = capsys.readouterr().err
    assert "running 50% (" in shown
    assert shown.endswith("\r\x1b[2K")


@pytest.mark.parametrize("poll", [lambda: -1.0, lambda: 0.0, lambda: 1 / 0, None])
def test_progress_shows_no_share_that_nobody_knows(poll):
    assert Progress("running", poll).line(0, 3.2).endswith(" running (3 s)")


def test_short_work_shows_no_progress(capsys):
    with Progress("running", visible=True):
        pass
    assert capsys.readouterr().err == ""
