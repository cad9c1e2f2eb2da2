"""`kpi test`: the metric tests of the project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kpiengine.cli.complete import complete_metric
from kpiengine.cli.options import anywhere, engine_option
from kpiengine.cli.output import whole_file
from kpiengine.cli.progress import Progress
from kpiengine.cli.state import State


@click.command("test")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_metric)
@click.option("--library", is_flag=True, help="Run the tests of the KPI library, too.")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON.")
@click.option(
    "--junit", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write a JUnit file for a CI."
)
@engine_option
@anywhere
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], library: bool, as_json: bool, junit: Path | None) -> None:
    """Run the project's metric tests (`tests:` in kpi.yaml or metrics/*.yaml): all, or those with NAME in their name
    or among the metrics that they ask for.

    \b
    Examples:
      kpi test
      kpi test refunds
      kpi test --junit results.xml

    A test gives rows, asks a query and says what has to come out; nothing but its rows is read. The exit code is 1
    where one fails.
    """
    state: State = ctx.obj
    asked: dict[str, Any] = ({"names": names} if names else {}) | ({"library": True} if library else {})
    project = state.project()
    with Progress("testing"):
        results = list(project.test(**asked))
    if junit is not None:
        with whole_file(junit, state.interrupts.unfinished) as file:
            file.write(state.safe(junit_text(results).decode()).encode())
    failed = [result for result in results if not result.passed]
    if as_json:
        found = [_mapping(result) for result in results]
        click.echo(state.safe(json.dumps(found, ensure_ascii=False, indent=2)))
    else:
        for result in failed:
            click.echo(f"FAILED {result.place}: {result.name}")
            message = state.safe(str(result.message)).rstrip()
            click.echo("\n".join(f"  {line}".rstrip() for line in message.splitlines()) + "\n")
        passed = len(results) - len(failed)
        click.echo(f"{passed} passed, {len(failed)} failed" if results else "no tests: the project has no `tests:`")
    if failed:
        ctx.exit(1)


def _mapping(result: Any) -> dict[str, Any]:
    message = None if result.passed else str(result.message)
    told = {"name": result.name, "passed": result.passed, "message": message, "place": str(result.place)}
    return {**told, "seconds": round(_seconds(result), 3)}


def _seconds(result: Any) -> float:
    return float(getattr(result, "seconds", 0.0))


def junit_text(results: Sequence[Any]) -> bytes:
    """The results as a JUnit file."""
    from xml.etree import ElementTree

    failures = sum(1 for result in results if not result.passed)
    suite = ElementTree.Element("testsuite", name="kpi", tests=str(len(results)), failures=str(failures), errors="0")
    suite.set("time", f"{sum(map(_seconds, results)):.3f}")
    for result in results:
        case = ElementTree.SubElement(suite, "testcase", classname=result.place.path or "kpi", name=result.name)
        case.set("time", f"{_seconds(result):.3f}")
        if result.place.line:
            case.set("file", result.place.path)
            case.set("line", str(result.place.line))
        if not result.passed:
            lines = str(result.message).strip().splitlines() or ["failed"]
            ElementTree.SubElement(case, "failure", message=lines[0]).text = "\n".join(lines)
    ElementTree.indent(suite)
    text: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
