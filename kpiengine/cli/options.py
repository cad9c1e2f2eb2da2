"""Options and arguments that several commands share, and how a command is declared."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kpiengine.cli.complete import complete_metric
from kpiengine.cli.formats import FORMATS
from kpiengine.cli.state import State, set_debug, set_directory

Function = TypeVar("Function", bound=Callable[..., Any])


def anywhere(function: Function) -> Function:
    """`-C DIR` and `--debug` after the command's name too, where people add them."""
    folder = click.Path(exists=True, file_okay=False)
    function = click.option("--debug", is_flag=True, expose_value=False, hidden=True, callback=set_debug)(function)
    return click.option("-C", "_d", type=folder, expose_value=False, hidden=True, callback=set_directory)(function)


def metrics_argument(function: Function) -> Function:
    """METRIC…: one or more names, blank- or comma-separated (the facade splits at commas)."""
    return click.argument("metrics", metavar="METRIC...", nargs=-1, required=True, shell_complete=complete_metric)(
        function
    )


def _set_engine(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(State).engine = value


engine_option = click.option(
    "--engine", metavar="NAME", expose_value=False, callback=_set_engine,
    help="Run on this engine, instead of the one that kpi.yaml names.",
)  # fmt: skip


def _row_count(ctx: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    """A number of rows, as far as the engine counts."""
    if value is not None and not 0 <= value < 2**63:
        raise click.BadParameter(f"{value} is no number of rows: 0 or more, below 2^63", ctx, parameter)
    return value


_FILTERS = (
    click.option("--where", metavar="SQL", multiple=True, help="Keep rows for which this holds; repeat for more."),
    click.option("--having", metavar="SQL", multiple=True, help="Keep result rows for which this holds."),
    click.option(
        "--since", metavar="DATE", help='First day: 2026-03-01, 2026-03, today, -90d, "-3 months", jalali:1405-01-01.'
    ),
    click.option("--until", metavar="DATE", help="The day after the last, written in the same ways."),
    click.option("--order", metavar="COL[:desc]", multiple=True, help="Sort by this; repeat for more."),
    click.option("--limit", metavar="N", type=int, callback=_row_count, help="At most so many rows."),
    click.option("--per", metavar="D", multiple=True, help="--limit holds for each value of this dimension."),
    click.option("--totals", is_flag=True, help="Add subtotals; a column tells how many dimensions were dropped."),
    click.option("--fill", is_flag=True, help="Show periods without rows, too."),
    click.option("--complete", is_flag=True, help="Leave out a period that is still running."),
    click.option("--targets", is_flag=True, help="Add each metric's target, attainment and status."),
    click.option(
        "--compare", metavar="prior-UNIT", help="Add the value a unit before, and the change: prior-year, prior-month."
    ),
    click.option("--timezone", metavar="ZONE", help="Cut days in this time zone instead of the project's."),
    click.option("--language", metavar="CODE", help="The language of labels of periods and segments: fa, en."),
    click.option("--set", metavar="NAME=VALUE", multiple=True, help="Another value for a metric's parameter."),
    click.option("--as-of", "as_of", metavar="DATE", help="As if no row later than this day existed."),
    engine_option,
)
_BY = click.option(
    "--by", metavar="D[,D...]", multiple=True, help='Periods and dimensions: month, customers.country; or "none".'
)
_QUERY_NAMES = (
    *("by", "where", "having", "since", "until", "order", "limit", "per"),
    *("totals", "fill", "complete", "targets", "compare", "timezone", "language", "set", "as_of"),
)


def query_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """All options of a query. The function gets them as one mapping `asked`, with what was given and nothing else."""

    @functools.wraps(function)
    def gathered(*arguments: Any, **options: Any) -> Any:
        asked: dict[str, Any] = {}
        for name in _QUERY_NAMES:
            value = options.pop(name)
            if value is not None and value is not False and value != ():
                asked[name] = value
        return function(*arguments, asked=asked, **options)

    decorated: Callable[..., Any] = gathered
    for option in (*reversed(_FILTERS), _BY):
        decorated = option(decorated)
    return decorated


def output_options(function: Function) -> Function:
    """`--format` and `--out`."""
    function = click.option(
        "--out",
        metavar="FILE",
        type=click.Path(path_type=Path, allow_dash=True),
        help="Write here, whole or not at all; the ending chooses the format.",
    )(function)
    return click.option(
        "--format", "format_name", type=click.Choice(FORMATS), help="How to write the result (default: table)."
    )(function)
