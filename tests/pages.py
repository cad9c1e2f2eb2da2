"""Pages of documentation, run from the top: what they show is what comes out.

A page is Markdown. Its fenced blocks are run in order, in one folder:

- ```` ```yaml kpi.yaml ```` (a language and a path) is a file, written there in place of what was there.
- ```` ```console ````: each line after `$ ` is a command, and the lines below it are what it prints, errors among them. A line `…` stands for any lines, a `…` in a line for any text. A command may fail only where `$ echo $?` is next.
- ```` ```python ```` is run in the folder; blocks share their names. One that begins with `# name.py` is that file instead. A ```` ```text ```` block right below is what it prints.
- Any other block is not run.

`--update-golden` writes the outputs again. Read the difference before you commit it.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"yaml", "csv", "json", "jsonl"}
MARK = "\x1e"
SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class Block:
    """A fenced block. `start` is where its text begins in the page."""

    info: str
    text: str
    start: int

    @property
    def path(self) -> str | None:
        """The file that it is, or None."""
        module = re.match(r"# (\w+\.py)\n", self.text)
        if self.info == "python" and module:
            return module[1]
        language, _, path = self.info.partition(" ")
        return path.strip() or None if language in LANGUAGES else None


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [Block(m["info"].strip(), m["text"], m.start("text")) for m in FENCE.finditer(page)]


@dataclass
class Folder:
    """Where a page is run: a folder, the shell's place in it, and the names that its Python has made."""

    root: Path
    shell_only: bool = False
    """Whether a plain `kpi …` is given to a shell, too, and not run here, where it is quicker."""
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    state: str = ""

    def __post_init__(self) -> None:
        self.cwd = self.root

    def write(self, path: str, text: str) -> None:
        """A file of the project."""
        target = self.cwd / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def run(self, commands: list[str]) -> list[tuple[str, int]]:
        """What each command prints, and its exit code."""
        if self.shell_only or not all(_is_plain(command) for command in commands):
            return self.shell(commands)
        from click.testing import CliRunner

        from kpiengine.cli.main import cli

        found: list[tuple[str, int]] = []
        for command in commands:
            if command == "echo $?":
                found.append((f"{found[-1][1]}\n", 0))
                continue
            with contextlib.chdir(self.cwd):
                words = shlex.split(command)[1:]
                ran = CliRunner(env={"COLUMNS": "100"}).invoke(cli, words, prog_name="kpi")
            if ran.exception and not isinstance(ran.exception, SystemExit):
                raise ran.exception
            found.append((ran.output, ran.exit_code))
        return found

    def shell(self, commands: list[str]) -> list[tuple[str, int]]:
        """What each command prints, and its exit code. Folder and exported variables are kept for the next block."""
        ending = f"(exit $__code); __code=$?; printf '{MARK}%s{MARK}' $__code"
        steps = "".join(f"(exit $__code)\n{command}\n__code=$?\n{ending}\n" for command in commands)
        script = f"exec 2>&1\n{self.state}\n__code=0\n{steps}pwd; export -p\n"
        ran = subprocess.run(
            ["bash", "-c", script], cwd=self.cwd, env=_environment(self.root), capture_output=True, check=False
        )
        *found, rest = ran.stdout.decode().split(MARK)
        place, _, exported = rest.partition("\n")
        self.cwd, self.state = Path(place), re.sub(r"^declare -x (OLDPWD|PWD|SHLVL)\b.*\n?", "", exported, flags=re.M)
        return [(text, int(code)) for text, code in zip(found[::2], found[1::2], strict=True)]

    def python(self, code: str, where: str) -> str:
        """What a block of Python prints."""
        printed = io.StringIO()
        here, known = str(self.cwd), set(sys.modules)
        sys.path.insert(0, here)
        try:
            with contextlib.chdir(self.cwd), contextlib.redirect_stdout(printed):
                exec(compile(code, where, "exec"), self.names)
        finally:
            sys.path.remove(here)
            for name in set(sys.modules) - known:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(here):
                    del sys.modules[name]
        return printed.getvalue()


def _is_plain(command: str) -> bool:
    """Whether a command means the same without a shell."""
    return command == "echo $?" or bool(re.fullmatch(r"kpi ([\w ./:,=-]|\"[^\"$`\\]*\"|'[^']*')*", command))


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KPI_", "PYTHON", "PYTEST"))}
    settings = {"HOME": str(home), "LC_ALL": "C.UTF-8", "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    return {**kept, **settings, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}


def run_page(page: Path, folder: Folder, update: bool = False) -> int:
    """Runs a page and gives the number of blocks that were run. AssertionError where something else comes out.

    With `update` the page is written with what came out instead.
    """
    text = page.read_text("utf-8")
    problems: list[str] = []
    changes: list[tuple[Block, str]] = []
    ran, before = 0, None
    for block in blocks(text):
        where = f"{page.name}, line {text.count(chr(10), 0, block.start)}"
        shown: str | None = None
        ran += 1
        if block.path:
            folder.write(block.path, block.text)
        elif block.info == "console":
            shown = _console(block, folder, problems, where)
        elif block.info == "python":
            printed = folder.python(block.text, where)
            before = (block, printed)
        elif (
            block.info == "text"
            and before
            and text[before[0].start : block.start] == f"{before[0].text}```\n\n```text\n"
        ):
            shown = before[1]
        else:
            ran -= 1
        if shown is not None and not matches(shown, block.text):
            changes.append((block, shown))
            if not update:
                problems.append(f"{where}: shows\n{block.text}\nand what comes is\n{shown}")
    assert not problems, "\n\n".join(problems)
    if changes:
        page.write_text(_changed(text, changes), encoding="utf-8")
    return ran


def _console(block: Block, folder: Folder, problems: list[str], where: str) -> str:
    """What the block would show; a part that matches what it shows, `…` and all, is left as it is."""
    entries = list(_commands(block.text))
    shown = []
    answers = folder.run([command for command, _ in entries])
    for position, ((command, expected), (printed, code)) in enumerate(zip(entries, answers, strict=True)):
        told = position + 1 < len(entries) and entries[position + 1][0].strip() == "echo $?"
        if code and not told:
            problems.append(f"{where}: `{command}` exits with {code}, and the page does not say so:\n{printed}")
        printed = printed.replace(str(folder.root.resolve()), "/home/you").replace(str(folder.root), "/home/you")
        shown.append(f"$ {command}\n" + (expected if matches(printed, expected) else _tidy(printed)))
    return "".join(shown)


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """`$ command` and the lines below it. A command goes on where its line ends in a backslash."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        end = next((n for n, line in enumerate(lines, 1) if not line.endswith("\\\n")), len(lines))
        yield "".join(lines[:end]).rstrip("\n"), "".join(lines[end:])


def _tidy(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    return "".join(f"{line}\n" for line in lines).rstrip("\n") + "\n" if any(lines) else ""


def matches(printed: str, expected: str) -> bool:
    """Whether a text is the one that is shown, blanks at the ends of lines aside."""
    pattern = ""
    for line in _tidy(expected).splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            parts = (re.escape(part) for part in line.split("…"))
            text = ".*?".join(re.sub(r"(\\ ){2,}", " {2,}", part) for part in parts) if "…" in line else re.escape(line)
            pattern += text + r"\n"
    return re.fullmatch(pattern, _tidy(printed)) is not None


def _changed(text: str, changes: list[tuple[Block, str]]) -> str:
    for block, shown in reversed(changes):
        text = text[: block.start] + _tidy(shown) + text[block.start + len(block.text) :]
    return text


def checkout_like(root: Path, checkout: Path) -> Folder:
    """A folder that looks like a checkout in which `make install` was run: what the README's first commands need."""
    shutil.copy(checkout / "Makefile", root / "Makefile")
    for name in ("pyproject.toml", "requirements", "kpiengine"):
        (root / name).symlink_to(checkout / name)
    (root / ".venv").mkdir()
    (root / ".venv" / "bin").symlink_to(SCRIPTS)
    for name in (".locked", ".installed"):
        (root / ".venv" / name).touch()
    return Folder(root, shell_only=True)
