"""`kpi query`: ask for metrics, print or write the answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kpiengine.cli.options import anywhere, metrics_argument, output_options, query_options
from kpiengine.cli.output import destination, write_result
from kpiengine.cli.state import State
from kpiengine.compiled import Asked


@click.command("query")
@metrics_argument
@query_options
@output_options
@anywhere
@click.pass_obj
def command(
    state: State, metrics: tuple[str, ...], asked: Mapping[str, Any], format_name: str | None, out: Path | None
) -> None:
    """Ask for metrics and print the answer.

    \b
    Examples:
      kpi query revenue                           at the metric's own grain
      kpi query revenue,aov --by month,channel --since 2026-01-01
      kpi query revenue --by customers.country --order revenue:desc --limit 10
      kpi query orders --by none --where "status = 'completed'"
      kpi query revenue --by month --out revenue.parquet

    Without --by a metric's own grain holds; `--by none` asks for the grand total. --out writes .csv, .json, .jsonl,
    .md, .parquet and .arrow by the ending.
    """
    where = destination(format_name, out)
    question = Asked.of(Path(state.directory), {"metrics": metrics, "engine": state.engine, **asked})
    compiled = question.find() if question is not None else None
    if question is not None and compiled is not None:
        from kpiengine.cli.again import answer_again

        if answer_again(question, compiled, where, state):
            return
    write_result(lambda project: project.query(metrics, **asked), where, state, question)
