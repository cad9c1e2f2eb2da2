"""An entity's events of one instant taken together: which steps they can serve, one event for one step.

Events that fit several steps, and events of one instant in an order that nobody knows, are shared out here. For
each step a, `upto_a` is the last step b such that the instant's events can serve the steps a … b.
"""

from __future__ import annotations

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine_plugins.funnel.steps import Conditions
from kpiengine_plugins.funnel.work import Work, any_of, column, fits, known, number, when


def moments(work: Work, *, all_events: bool) -> list[Cte]:
    """`events` (`is_1`, … by condition) and `moments`: entity, moment, events, `fit_…` counts, `upto_1`, ….

    With `all_events` those that fit no step are there too.
    """
    flags = [
        condition.tree(work.context.types).as_(f"is_{place}")
        for place, condition in enumerate(work.steps.conditions, 1)
    ]
    events = work.events(*flags)
    if not all_events:
        events = events.where(exp.or_(*(condition.tree(work.context.types) for condition in work.steps.conditions)))
    counts = [
        exp.Count(this=when(any_of(conditions), number(1))).as_(fits(conditions)) for conditions in work.steps.sets()
    ]
    counted = (
        exp.select(column("entity"), column("moment"), exp.Count(this=exp.Star()).as_("events"), *counts)
        .from_(work.name("events"))
        .group_by(column("entity"), column("moment"))
    )
    upto = [_upto(work, step).as_(f"upto_{step}") for step in work.steps.numbers]
    served = exp.select("*", *upto).from_(work.name("counts"))
    return [work.step("events", events), work.step("counts", counted), work.step("moments", served)]


def _upto(work: Work, first: int) -> exp.Expr:
    """The last step up to which the instant's events serve the steps from `first` on; first - 1 where none does."""
    upto = exp.case()
    for last in range(first, len(work.steps) + 1):
        short = [
            exp.LT(this=column(fits(conditions)), expression=number(work.steps.needed(conditions, first, last)))
            for conditions in _newly_asked(work, first, last)
        ]
        upto = upto.when(exp.or_(*short), number(last - 1))
    return upto.else_(number(len(work.steps)))


def _newly_asked(work: Work, first: int, last: int) -> list[Conditions]:
    """Sets of conditions among the steps' that hold the last step's: the others were asked for a step before."""
    asked = [work.steps.ask(step) for step in range(first, last + 1)]
    return [conditions for conditions in work.steps.sets(asked) if work.steps.ask(last) in conditions]


def first_event(work: Work) -> exp.Expr:
    """Whether an event `e` at the first time of a chain `c` may be its first event.

    It fits the first step, and the instant's other events (`m` counts them all) can serve the further steps that
    the chain takes at that instant.
    """
    conditions: list[exp.Expr] = [any_of([work.steps.ask(1)], "e")]
    for last in work.steps.numbers[1:]:
        later = exp.or_(
            exp.Not(this=known(column(f"time_{last}", "c"))),
            exp.GT(this=column(f"time_{last}", "c"), expression=column("time_1", "c")),
        )
        left = [_enough_left(work, asked, last) for asked in _newly_asked(work, 2, last)]
        conditions.append(exp.or_(later, exp.and_(*left)))
    return exp.and_(*conditions)


def _enough_left(work: Work, asked: Conditions, last: int) -> exp.Expr:
    used = exp.case().when(any_of(asked, "e"), number(1)).else_(number(0))
    return exp.GTE(
        this=exp.Sub(this=column(fits(asked), "m"), expression=used),
        expression=number(work.steps.needed(asked, 2, last)),
    )
