"""The kind `funnel`: entities by the furthest step that they reach.

The rules that LANGUAGE leaves open: `step` of an `any` funnel counts distinct steps done, whichever they are, and
`time_n` is when the n-th was done. The first chain that gets furthest is the one whose times are the earliest, the
first time before the second and so on. Events without an entity or a time are left out. `dropped` is those who
reached the step before and not this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from kpiengine.kind import Cte, Kind, KindColumn, KindContext, KindOption, KindTable
from kpiengine_plugins.funnel import moments, ordered, results, shared, strict, unordered
from kpiengine_plugins.funnel.steps import MOST_OVERLAPPING, Steps, parse_steps
from kpiengine_plugins.funnel.work import Work, parse_span

_TITLES = {
    "step": {"en": "Step", "fa": "گام"},
    "step_name": {"en": "Step name", "fa": "نام گام"},
    "entities": {"en": "Reached", "fa": "رسیده"},
    "from_first": {"en": "From first", "fa": "نسبت به گام نخست"},
    "from_previous": {"en": "From previous", "fa": "نسبت به گام پیش"},
    "dropped": {"en": "Dropped", "fa": "ریزش"},
    "median_days": {"en": "Median days", "fa": "میانهٔ روزها"},
    "mean_days": {"en": "Mean days", "fa": "میانگین روزها"},
}


class Funnel(Kind):
    """One row a step (and group): who reached it, as numbers, rates and times. `members`: one row an entity."""

    name: ClassVar[str] = "funnel"
    tables: ClassVar[tuple[str, ...]] = ("members",)
    takes_by: ClassVar[bool] = True
    options: ClassVar[Mapping[str, KindOption]] = {
        "entity": KindOption(required=True, column=True, description="Who goes through the funnel."),
        "time": KindOption(required=True, column=True, description="When an event happened."),
        "stage": KindOption(column=True, description="The column whose values the steps are."),
        "steps": KindOption(
            type=(list, dict), required=True, description="Values of stage, or {name: SQL}, in their order."
        ),
        "window": KindOption(description='How long after its first event a chain may last: "30 days".'),
        "order": KindOption(
            default="ordered",
            choices=("ordered", "strict", "any"),
            description="Whether other events may come between (ordered), may not (strict), or order is free (any).",
        ),
        "by": KindOption(type=(str, list), description="Columns, or a period, of the chain's first event."),
    }

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Wrong steps and windows, and a stage that is missing."""
        problems = {}
        try:
            steps = parse_steps(options.get("steps") or [])
        except ValueError as error:
            problems["steps"] = f"steps: {error}"
        else:
            if not options.get("stage") and any(condition.sql is None for condition in steps.conditions):
                problems["stage"] = "steps that are values need stage, the column that holds them"
            largest = max(map(len, steps.clusters))
            if largest > MOST_OVERLAPPING:
                problems["steps"] = (
                    f"steps: {largest} conditions may fit one event at once, {MOST_OVERLAPPING} at most can be "
                    "told apart; let each begin with the value of one column: stage = 'paid' and …"
                )
        if options.get("window") is not None:
            try:
                parse_span(str(options["window"]))
            except ValueError as error:
                problems["window"] = str(error)
        return problems

    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Entity, time, the stage where steps are its values, and `step_n` for conditions in SQL."""
        conditions = parse_steps(options["steps"]).conditions
        inputs = {name: str(options[name]) for name in ("entity", "time")}
        if any(condition.sql is None for condition in conditions):
            inputs["stage"] = str(options["stage"])
        return inputs | {condition.column: condition.sql for condition in conditions if condition.sql is not None}

    def entity(self, options: Mapping[str, Any]) -> str | None:
        """The entity's option, whose column `members` has."""
        return "entity"

    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        """The columns with those of the option `by`: before the others, and behind them in `members`."""
        given = options.get("by") or []
        by = tuple([given] if isinstance(given, str) else given)
        return _columns(parse_steps(options["steps"]), str(options["entity"]), by, table)

    def compile(self, context: KindContext) -> KindTable:
        """Events, the chains of the entities, and the table made from them."""
        window = context.options.get("window")
        work = Work(context, parse_steps(context.options["steps"]), None if window is None else parse_span(str(window)))
        made, first_event = _chains(work)
        chains = work.name("chains")
        if context.by:
            test = None if first_event is None else first_event(work)
            made += results.grouped(work, test, by_moments=first_event is moments.first_event)
            chains = work.name("grouped")
        in_members = context.table == "members"
        made += results.members(work, chains) if in_members else results.summary(work, chains)
        columns = _columns(work.steps, context.entity, context.by, context.table)
        return KindTable(tuple(made), columns, (context.entity,) if in_members else (*context.by, "step"))


def _chains(work: Work) -> tuple[list[Cte], Any]:
    """The steps up to `chains` in the way that the funnel's order and steps ask for, and its test of first events.

    There is none where the chains have the `by` columns already.
    """
    order = work.context.options.get("order", "ordered")
    if order == "any":
        return unordered.chains(work), unordered.first_event
    if order == "strict":
        return strict.chains(work), moments.first_event
    if work.steps.one_step_each:
        return ordered.chains(work), None
    return shared.chains(work), moments.first_event


def _columns(steps: Steps, entity: str, by: tuple[str, ...], table: str | None) -> tuple[KindColumn, ...]:
    groups = tuple(KindColumn(name) for name in by)
    if table != "members":
        return groups + tuple(KindColumn(name, label=label) for name, label in _TITLES.items())
    times = (
        KindColumn(f"time_{step}", label={"en": f"{name} at", "fa": f"زمان {name}"})
        for step, name in zip(steps.numbers, steps.names, strict=True)
    )
    own = (KindColumn(name, label=_TITLES[name]) for name in ("step", "step_name"))
    return (KindColumn(entity, entity=True), *own, *times, *groups)
