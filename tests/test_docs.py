"""The documentation, run: every page's commands and Python, and what is said of hooks, commands and pages."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kpiengine import hooks
from kpiengine.ask import OPTION_NAMES
from kpiengine.cli.main import COMMANDS, cli
from kpiengine.functions import KEYED_FUNCTIONS, METRIC_FUNCTIONS
from kpiengine.spec.metric import METRIC_FIELDS
from kpiengine.spec.project import PROJECT_FIELDS
from kpiengine.spec.source import SOURCE_FIELDS

from .pages import Folder, run_page

DOCS = Path(__file__).resolve().parent.parent / "docs"
README = DOCS.parent / "README.md"
ELSEWHERE = {
    "calendars.md": "test_calendars.py",
    "connectors.md": "test_docs_connectors.py",
    "writing-a-connector.md": "test_docs_connectors.py",
}
"""Pages that have a test of their own."""
UNRUN = ("index.md", "command-line.md", "cache.md", "cluster.md", "engines.md", "passes.md", "performance.md")
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page.name not in (*ELSEWHERE, *UNRUN)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_page_shows_what_comes_out(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert run_page(page, Folder(tmp_path), update=request.config.getoption("--update-golden"))


# -- what is generated


def command_page() -> str:
    """docs/command-line.md, as the commands' own help gives it."""
    parts = [COMMAND_PAGE_TOP, _help()]
    for name, what in COMMANDS.items():
        parts.append(f"## kpi {name}\n\n{what}\n\n{_help(name)}")
    return "\n".join(parts)


COMMAND_PAGE_TOP = """\
# The command line

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a definition, the data or an engine is at
fault, 2 the command line or the query is, 130 interrupted ([errors](errors.md)). Tab completes commands, options and names of metrics:
`eval "$(_KPI_COMPLETE=bash_source kpi)"` (or `zsh_source`, `fish_source`). This page is made from `kpi COMMAND --help`.
"""


def _help(*words: str) -> str:
    shown = CliRunner().invoke(cli, [*words, "--help"], prog_name="kpi", terminal_width=100)
    assert shown.exit_code == 0
    return f"```\n{shown.output.rstrip()}\n```\n"


def test_the_command_page_is_what_help_says(request: pytest.FixtureRequest) -> None:
    page = DOCS / "command-line.md"
    if request.config.getoption("--update-golden"):
        page.write_text(command_page(), encoding="utf-8")
    assert page.read_text("utf-8") == command_page()


# -- what has to be complete


def test_every_hook_stands_in_the_docs_with_its_arguments() -> None:
    page = (DOCS / "plugins.md").read_text("utf-8")
    told = {name: signature for name, signature in re.findall(r"^### `(\w+)(\(.*)`$", page, re.MULTILINE)}
    specs = {name: hook for name, hook in vars(hooks).items() if hasattr(hook, "kpiengine_spec")}
    assert specs
    assert told == {name: _signature(hook) for name, hook in specs.items()}
    for name, hook in specs.items():
        said = (inspect.getdoc(hook) or "nothing").rstrip(".")
        assert said in page.replace("`", ""), f"{name}: the page does not say what its docstring says"


def _signature(hook: Any) -> str:
    return str(inspect.signature(hook)).replace("'", "")


@pytest.mark.parametrize("function", [*METRIC_FUNCTIONS, "per", *KEYED_FUNCTIONS])
def test_every_metric_function_has_a_page(function: str) -> None:
    index = (DOCS / "index.md").read_text("utf-8")
    found = re.search(rf"^- \[[^]]*`{function}`[^]]*\]\((functions/[\w-]+\.md)\)", index, re.MULTILINE)
    assert found, f"docs/index.md has no line for {function}"
    assert re.search(rf"^# .*\b{function}\(", (DOCS / found[1]).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("options", [PROJECT_FIELDS, SOURCE_FIELDS, METRIC_FIELDS], ids=["project", "source", "metric"])
def test_every_key_stands_in_the_language_page(options: dict[str, Any]) -> None:
    page = (DOCS / "language.md").read_text("utf-8")
    first_cells = " ".join(re.findall(r"^\| (.*?) \|", page, re.MULTILINE))
    assert set(options) <= set(re.findall(r"`(\w+)`", first_cells))


def test_every_query_option_stands_in_the_python_page() -> None:
    page = (DOCS / "python.md").read_text("utf-8")
    first_cells = " ".join(re.findall(r"^\| (.*?) \|", page, re.MULTILINE))
    assert set(OPTION_NAMES) <= set(re.findall(r"`(\w+)`", first_cells))


def test_the_index_has_every_page() -> None:
    index = (DOCS / "index.md").read_text("utf-8")
    linked = set(re.findall(r"\]\(([\w/.-]+\.md)", index))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} - {"index.md"}
    assert pages <= linked


@pytest.mark.parametrize("page", [README, *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text):
        if "://" in target:
            continue
        file = (page.parent / target) if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, f"{page.name}: {target}#{anchor}"


def _anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# -- the tool itself

SMALL = """\
# A page

```yaml kpi.yaml
sources:
  orders: {from: orders.csv, time: day}
metrics:
  revenue: {source: orders, formula: sum(amount)}
```

```csv orders.csv
day,amount
2026-01-05,10
```

```console
$ kpi query revenue
revenue
-------
     10
$ kpi query revenu
error: unknown metric "revenu" …
$ echo $?
2
```

```python
print(1 + 1)
```

```text
2
```
"""


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("     10", "     11", "what comes is"),
        ("$ echo $?\n2\n", "", "exits with 2"),
        ("$ echo $?\n2\n", "$ echo $?\n1\n", "what comes is"),
        ("```text\n2", "```text\n3", "what comes is"),
        ('"revenu" …', '"profit" …', "what comes is"),
        ("$ kpi query revenue\nrevenue", "$ kpi query revenue | cat\nprofit", "what comes is"),
    ],
)
def test_a_page_that_says_something_else_fails(right: str, wrong: str, told: str, tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "project"
    folder.mkdir()
    page.write_text(SMALL, encoding="utf-8")
    assert run_page(page, Folder(folder)) == 5
    changed = SMALL.replace(right, wrong)
    assert changed != SMALL
    page.write_text(changed, encoding="utf-8")
    with pytest.raises(AssertionError, match=told):
        run_page(page, Folder(folder))
