"""Funnels in any order: how many distinct steps an entity does within the window, whichever comes first.

Step n is reached with n different steps. From each event on, the steps are slots, each with the time at which it can
be filled at the earliest: for a step that no other event can fill, its next event. Where events fit several steps,
the r-th slot of conditions that hang together is filled once for each set of them enough events have come, so that
all but K - r of its steps are served (Hall's theorem in its deficient form, K being the steps of all of them).
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine_plugins.funnel.steps import Conditions
from kpiengine_plugins.funnel.work import Work, any_of, column, fits, known, latest, number, over, rank, when

FROM_HERE = {"kind": "ROWS", "start": "CURRENT ROW", "end": "UNBOUNDED", "end_side": "FOLLOWING"}


def chains(work: Work) -> list[Cte]:
    """Steps of which the last is `chains`: entity, time_1, …; the first is `events`."""
    flags = [
        condition.tree(work.context.types).as_(f"is_{place}")
        for place, condition in enumerate(work.steps.conditions, 1)
    ]
    fit = exp.or_(*(condition.tree(work.context.types) for condition in work.steps.conditions))
    return [
        work.step("events", work.events(*flags).where(fit)),
        work.step("later_events", _later(work)),
        work.step("slots", _slots(work)),
        work.step("furthest", _furthest(work)),
        work.step("filled", _filled(work)),
        work.step("chains", _times(work)),
    ]


def _all_steps(work: Work, conditions: Conditions) -> int:
    return work.steps.needed(conditions, 1, len(work.steps))


def _nth(conditions: Conditions, nth: int) -> str:
    return f"next_{nth}_{fits(conditions)}"


def _counts(work: Work) -> Iterator[tuple[Conditions, int]]:
    """The sets of conditions, each with 1 … the number of its steps."""
    for conditions in work.steps.sets():
        for nth in range(1, _all_steps(work, conditions) + 1):
            yield conditions, nth


def _later(work: Work) -> exp.Select:
    """From each event that fits a set of conditions, the time of the n-th event that does, itself being the first."""
    columns = []
    for conditions, nth in _counts(work):
        time: exp.Expr = column("moment")
        if nth > 1:
            time = over(
                exp.Lead(this=time, offset=number(nth - 1)),
                [column("entity"), exp.case().when(any_of(conditions), number(1)).else_(number(0))],
                [column("moment")],
                None,
            )
        columns.append(when(any_of(conditions), time).as_(_nth(conditions, nth)))
    return exp.select(column("entity"), column("moment"), *columns).from_(work.name("events"))


def _slots(work: Work) -> exp.Select:
    """For each event the earliest time of each slot, NULL beyond the window."""
    nexts = [
        over(exp.Min(this=column(_nth(conditions, nth))), [column("entity")], [column("moment")], FROM_HERE).as_(
            _nth(conditions, nth)
        )
        for conditions, nth in _counts(work)
    ]
    later = exp.select(column("entity"), column("moment"), *nexts).from_(work.name("later_events")).subquery("later")
    slots: list[exp.Expr] = []
    for cluster in work.steps.clusters:
        total = _all_steps(work, cluster)
        for slot in range(1, total + 1):
            needed = [
                _nth(conditions, slot - total + _all_steps(work, conditions))
                for conditions in work.steps.sets(cluster)
                if slot - total + _all_steps(work, conditions) > 0
            ]
            slots.append(_slot(work, needed).as_(f"slot_{len(slots) + 1}"))
    return exp.select(column("entity"), column("moment"), *slots).from_(later)


def _slot(work: Work, needed: list[str]) -> exp.Expr:
    """The latest of the times that are needed, if all of them come within the window."""
    times = [column(name) for name in needed]
    checks: list[exp.Expr] = [known(time.copy()) for time in times]
    if work.window:
        checks = [work.in_time(time.copy(), work.deadline(column("moment"))) for time in times]
    return when(exp.and_(*checks), latest(times))


def _furthest(work: Work) -> exp.Select:
    """By entity the first event from which most slots are filled. At one instant the row with the earliest times."""
    slots = [column(f"slot_{step}") for step in work.steps.numbers]
    reached: exp.Expr = number(0)
    for slot in slots:
        reached = exp.Add(this=reached, expression=exp.case().when(known(slot.copy()), number(1)).else_(number(0)))
    counted = exp.select("*", reached.as_("reached")).from_(work.name("slots")).subquery("counted")
    most_first = exp.Ordered(this=column("reached"), desc=True, nulls_first=False)
    choice = rank([column("entity")], [most_first, column("moment"), *(slot.copy() for slot in slots)])
    ranked = exp.select("*", choice.as_("choice")).from_(counted).subquery("ranked")
    return exp.select(column("entity"), *slots).from_(ranked).where(exp.EQ(this=column("choice"), expression=number(1)))


def _filled(work: Work) -> exp.Select:
    """One row a filled slot, numbered in the order of time."""
    slots: list[exp.Query] = [
        exp.select(column("entity"), column(f"slot_{step}").as_("moment"))
        .from_(work.name("furthest"))
        .where(known(column(f"slot_{step}")))
        for step in work.steps.numbers
    ]
    union = exp.union(*slots, distinct=False) if len(slots) > 1 else slots[0]
    place = rank([column("entity")], [column("moment")])
    return exp.select(column("entity"), column("moment"), place.as_("place")).from_(union.subquery("slots"))


def _times(work: Work) -> exp.Select:
    times = [
        exp.Max(this=when(exp.EQ(this=column("place"), expression=number(step)), column("moment"))).as_(f"time_{step}")
        for step in work.steps.numbers
    ]
    return exp.select(column("entity"), *times).from_(work.name("filled")).group_by(column("entity"))


def first_event(work: Work) -> exp.Expr:
    """Whether an event `e` at the first time of a chain may be its first: any that fits a step."""
    return any_of(range(1, len(work.steps.conditions) + 1), "e")
