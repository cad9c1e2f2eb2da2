"""The store on disk: what it gives back, and all that it does not believe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kpiengine import cache as module
from kpiengine.cache import SETTLED_COARSE, Cache, cache, code_stamp, identity, key_of, tree_stamp

KEY = key_of("a query", 1)
VALUE = {"sql": "SELECT 'سلام'", "n": [1, 2.5, None, True]}


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture(autouse=True)
def _files_settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED", 0)
    monkeypatch.setattr(module, "SETTLED_COARSE", 0)


def entries(store: Cache) -> list[Path]:
    assert store.folder is not None
    return [path for path in store.folder.rglob("*") if path.is_file()]


def test_a_value_comes_back(store: Cache) -> None:
    assert store.get("query", KEY) is None
    assert store.put("query", KEY, VALUE)
    assert store.get("query", KEY) == VALUE


def test_a_value_belongs_to_its_kind_and_key(store: Cache) -> None:
    store.put("query", KEY, VALUE)
    assert store.get("other", KEY) is None
    assert store.get("query", key_of("a query", 2)) is None


def test_keys_tell_apart_what_looks_alike() -> None:
    alike = [("a", "b"), ("ab",), (["a", "b"],), ("a", ["b"]), (1, "b"), ("1", "b"), (None,), (False,), ({"a": "b"},)]
    assert len({key_of(*parts) for parts in alike}) == len(alike)
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})


def test_what_is_no_json_is_refused(store: Cache) -> None:
    with pytest.raises(TypeError):
        store.put("query", KEY, {1, 2})
    with pytest.raises(ValueError):
        store.put("query", KEY, float("nan"))


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_a_cut_entry_is_left_aside_and_made_anew(store: Cache, keep: int) -> None:
    store.put("query", KEY, VALUE)
    (entry,) = entries(store)
    entry.write_bytes(entry.read_bytes()[:keep])
    assert store.get("query", KEY) is None
    store.put("query", KEY, VALUE)
    assert store.get("query", KEY) == VALUE


def test_an_entry_with_one_other_bit_is_left_aside(store: Cache) -> None:
    store.put("query", KEY, VALUE)
    (entry,) = entries(store)
    data = bytearray(entry.read_bytes())
    for place in range(len(data)):
        data[place] ^= 1
        entry.write_bytes(data)
        assert store.get("query", KEY) is None
        data[place] ^= 1
    entry.write_bytes(data)
    assert store.get("query", KEY) == VALUE


def test_an_entry_under_another_name_is_left_aside(store: Cache) -> None:
    other = key_of("another query")
    store.put("query", KEY, VALUE)
    (first,) = entries(store)
    store.put("query", other, "other")
    (second,) = set(entries(store)) - {first}
    second.write_bytes(first.read_bytes())
    assert store.get("query", other) is None


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no owners of files")
@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_an_entry_that_others_may_write_to_is_left_aside(store: Cache, mode: int) -> None:
    store.put("query", KEY, VALUE)
    (entry,) = entries(store)
    assert entry.stat().st_mode & 0o777 == 0o600
    entry.chmod(mode)
    assert store.get("query", KEY) is None
    store.put("query", KEY, VALUE)
    assert store.get("query", KEY) == VALUE


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_an_entry_of_another_user_is_left_aside(store: Cache) -> None:
    store.put("query", KEY, VALUE)
    (entry,) = entries(store)
    os.chown(entry, 12345, 12345)
    assert store.get("query", KEY) is None
    store.put("query", KEY, VALUE)
    assert store.get("query", KEY) == VALUE


def test_a_link_in_an_entry_s_place_is_left_aside(store: Cache, tmp_path: Path) -> None:
    store.put("query", KEY, VALUE)
    (entry,) = entries(store)
    entry.rename(tmp_path / "moved")
    entry.symlink_to(tmp_path / "moved")
    assert store.get("query", KEY) is None


def test_without_a_place_to_write_to_it_works_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = Cache(tmp_path / "file" / "cache")
    assert not store.put("query", KEY, VALUE)
    assert store.get("query", KEY) is None


def test_off_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_CACHE", "off")
    assert cache() == Cache(None)
    assert not cache().put("query", KEY, VALUE)
    assert cache().get("query", KEY) is None


def test_where_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KPI_CACHE", str(tmp_path))
    assert cache().folder == tmp_path
    if sys.platform == "linux":
        monkeypatch.delenv("KPI_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache().folder == tmp_path / "kpiengine"
        monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
        assert cache().folder == Path.home() / ".cache" / "kpiengine"


def test_old_entries_go(store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 3)
    for number in range(200):
        store.put("query", key_of(number), number)
        (new,) = [path for path in entries(store) if path.stat().st_mtime_ns > number + 1]
        os.utime(new, ns=(number + 1, number + 1))
    assert len(entries(store)) <= 3 * module.SHARDS
    kept = [number for number in range(200) if store.get("query", key_of(number)) is not None]
    assert kept and min(kept) > 60


def test_it_stays_small(store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2_000)
    assert not store.put("query", KEY, "x" * 2_000)
    for number in range(100):
        assert store.put("query", key_of(number), "x" * 900)
    assert sum(path.stat().st_size for path in entries(store)) <= 2_000 * module.SHARDS


def test_what_a_killed_process_left_goes(store: Cache) -> None:
    store.put("query", KEY, VALUE)
    (entry,) = entries(store)
    left, written_now = entry.with_name(".left"), entry.with_name(".now")
    left.write_bytes(b"half")
    written_now.write_bytes(b"half")
    os.utime(left, (0, 0))
    store.put("query", KEY, VALUE)
    assert not left.exists()
    assert written_now.exists()


WRITE = """
import sys
from pathlib import Path
from kpiengine.cache import Cache, key_of
store = Cache(Path(sys.argv[1]))
for turn in range(60):
    for number in range(3):
        value = {"number": number, "text": str(number) * 5000}
        found = store.get("query", key_of(number))
        assert found in (None, value), found
        store.put("query", key_of(number), value)
"""


def test_many_processes_at_once_see_whole_values(store: Cache) -> None:
    command = [sys.executable, "-c", WRITE, str(store.folder)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(process.communicate()[1], process.returncode) for process in running] == [("", 0)] * 4
    assert {path.name[0] for path in entries(store)} == {"q"}


# -- facts of files


def counted(store: Cache, files: list[Path], about: object = None) -> tuple[int, int]:
    """What `of_files` gives, and how often it was made for that."""
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return sum(path.stat().st_size for path in files)

    return store.of_files("size", files, about, make), len(made)


def test_a_fact_of_files_is_found_once(store: Cache, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1234")
    assert counted(store, [file]) == (4, 1)
    assert counted(store, [file]) == (4, 0)
    assert counted(store, [file], "another setting") == (4, 1)
    assert counted(store, [file, file]) == (8, 1)


def let_time_pass(file: Path) -> None:
    """Until what is written next has another time than this file: file systems count in steps."""
    probe = file.with_name("probe")
    while not probe.exists() or probe.stat().st_ctime_ns <= file.stat().st_ctime_ns:
        probe.write_text("")


def test_a_fact_is_found_again_when_a_file_changes(store: Cache, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1234")
    before = file.stat()
    counted(store, [file])
    let_time_pass(file)
    file.write_text("4321")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time, as `cp --preserve` makes it
    assert counted(store, [file]) == (4, 1)
    let_time_pass(file)
    copy = tmp_path / "b.csv"
    copy.write_text("9999")
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    copy.rename(file)
    assert counted(store, [file]) == (4, 1)
    assert counted(store, [file]) == (4, 0)


def test_a_fact_of_a_file_that_changes_meanwhile_is_kept_by_nobody(store: Cache, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1234")

    def make() -> int:
        file.write_text("12345")
        return 4

    assert store.of_files("size", [file], None, make) == 4
    assert entries(store) == []


def test_a_fact_that_could_not_be_found_is_kept_by_nobody(store: Cache, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1234")

    def fail() -> int:
        raise ValueError("not unique")

    with pytest.raises(ValueError, match="not unique"):
        store.of_files("size", [file], None, fail)
    assert counted(store, [file]) == (4, 1)


def test_folders_and_files_that_are_not_there_are_not_known(store: Cache, tmp_path: Path) -> None:
    assert identity(tmp_path) is None
    assert identity(tmp_path / "none") is None
    assert store.of_files("size", [tmp_path], None, lambda: 7) == 7
    assert store.of_files("size", [tmp_path], None, lambda: 8) == 8


def test_a_file_written_to_just_now_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED", 50_000_000)
    monkeypatch.setattr(module, "SETTLED_COARSE", 2_500_000_000)
    file = tmp_path / "a.csv"
    file.write_text("1234")
    changed = max(file.stat().st_mtime_ns, file.stat().st_ctime_ns)
    quiet = 50_000_000 if changed % 1_000_000 else SETTLED_COARSE
    assert identity(file, changed + quiet - 1) is None
    assert identity(file, changed + quiet) is not None
    assert identity(file, changed - 1) is None


def test_a_stamp_of_code_changes_with_it(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    code = tmp_path / "inside" / "a.py"
    code.write_text("x = 1")
    first = tree_stamp(tmp_path)
    let_time_pass(code)
    (tmp_path / "notes.txt").write_text("of no matter")
    assert tree_stamp(tmp_path) == first
    code.write_text("x = 10")
    second = tree_stamp(tmp_path)
    assert second != first
    code.rename(tmp_path / "inside" / "b.py")
    assert tree_stamp(tmp_path) not in (first, second)


def test_packages_have_stamps_of_their_own() -> None:
    assert code_stamp("kpiengine.cache") == code_stamp("kpiengine.cli")
    assert code_stamp("kpiengine.cache") != code_stamp("json.decoder")
