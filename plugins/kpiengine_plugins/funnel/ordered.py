"""Ordered funnels whose steps no event can confuse: each event belongs to one step.

A chain to step k exists exactly if its last event lies within the window of some chain's start, and of all chains
to step k - 1 that have ended by then the one with the latest deadline is the best to go on from. So each step takes
one running maximum of deadlines. (Deadlines and not starts: a month after 30 January is later than a month after
the next midnight.) The first chain that gets furthest starts with the first event whose deadline is not before the
moment at which that step is first reached, and goes on with the earliest event of each further step.
"""

from __future__ import annotations

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine_plugins.funnel.work import ALL_BEFORE, Work, column, first_known, known, number, over, when


def chains(work: Work) -> list[Cte]:
    """Steps of which the last is `chains`: entity, time_1, …; the first is `events`, with each one's step."""
    return [_events(work), *(_ends(work) if work.window else []), *_greedy(work)]


def _events(work: Work) -> Cte:
    conditions = [work.condition(step) for step in work.steps.numbers]
    which = exp.case()
    for step, condition in zip(work.steps.numbers, conditions, strict=True):
        which = which.when(condition.copy(), number(step))
    return work.step("events", work.events(which.as_("step")).where(exp.or_(*conditions)))


def _ends(work: Work) -> list[Cte]:
    """By entity, the moment at which its furthest step is first reached."""
    made = [work.step("reaching_1", _starts(work))]
    for step in work.steps.numbers[1:]:
        made.append(work.step(f"reaching_{step}", _reaching(work, step)))
    reached = [
        exp.select(column("entity"), number(step).as_("step"), column("moment")).from_(work.name(f"reaching_{step}"))
        for step in work.steps.numbers
    ]
    union: exp.Query = exp.union(*reached, distinct=False) if len(reached) > 1 else reached[0]
    firsts = [
        exp.Min(this=when(exp.EQ(this=column("step"), expression=number(step)), column("moment")))
        for step in reversed(work.steps.numbers)
    ]
    ends = exp.select(column("entity"), first_known(firsts).as_("reached_at")).from_(union.subquery("reached"))
    return [*made, work.step("ends", ends.group_by(column("entity")))]


def _starts(work: Work) -> exp.Select:
    return (
        exp.select(column("entity"), column("moment"), work.deadline(column("moment")).as_("deadline"))
        .from_(work.name("events"))
        .where(exp.EQ(this=column("step"), expression=number(1)))
    )


def _reaching(work: Work, step: int) -> exp.Select:
    """The events that end a chain to a step, each with the latest deadline of such a chain."""
    before = exp.select(column("entity"), column("moment"), number(step - 1).as_("step"), column("deadline")).from_(
        work.name(f"reaching_{step - 1}")
    )
    here = (
        exp.select(column("entity"), column("moment"), column("step"), exp.null().as_("deadline"))
        .from_(work.name("events"))
        .where(exp.EQ(this=column("step"), expression=number(step)))
    )
    # At one instant the step before comes first: these two may follow each other however they are stored.
    running = over(
        exp.Max(this=column("deadline")),
        [column("entity")],
        [column("moment"), column("step")],
        ALL_BEFORE | {"end": "CURRENT ROW"},
    )
    both = exp.union(before, here, distinct=False).subquery("two_steps")
    reached = exp.select(column("entity"), column("moment"), column("step"), running.as_("deadline")).from_(both)
    return (
        exp.select(column("entity"), column("moment"), column("deadline"))
        .from_(reached.subquery("reached"))
        .where(exp.EQ(this=column("step"), expression=number(step)), work.in_time(column("moment"), column("deadline")))
    )


def _greedy(work: Work) -> list[Cte]:
    """The first chain that gets furthest, one join a step: the earliest event of the step that may come next."""
    start = (
        exp.select(column("entity", "e"), exp.Min(this=column("moment", "e")).as_("time_1"))
        .from_(exp.to_table(work.name("events")).as_("e"))
        .where(exp.EQ(this=column("step", "e"), expression=number(1)))
        .group_by(column("entity", "e"))
    )
    if work.window:
        start = start.join(
            exp.to_table(work.name("ends")).as_("ends"),
            on=exp.EQ(this=column("entity", "ends"), expression=column("entity", "e")),
        ).where(work.in_time(column("reached_at", "ends"), work.deadline(column("moment", "e"))))
    last = len(work.steps)
    made = [work.step("chains" if last == 1 else "chains_1", start)]
    for step in work.steps.numbers[1:]:
        made.append(work.step("chains" if step == last else f"chains_{step}", _next(work, step)))
    return made


def _next(work: Work, step: int) -> exp.Select:
    follows: list[exp.Expr] = [
        exp.EQ(this=column("entity", "e"), expression=column("entity", "c")),
        exp.EQ(this=column("step", "e"), expression=number(step)),
        exp.GTE(this=column("moment", "e"), expression=column(f"time_{step - 1}", "c")),
    ]
    if work.window:
        follows.append(work.in_time(column("moment", "e"), work.deadline(column("time_1", "c"))))
    earlier = [exp.Min(this=column(time, "c")).as_(time) for time in work.times[: step - 1]]
    return (
        exp.select(column("entity", "c"), *earlier, exp.Min(this=column("moment", "e")).as_(f"time_{step}"))
        .from_(exp.to_table(work.name(f"chains_{step - 1}")).as_("c"))
        .join(exp.to_table(work.name("events")).as_("e"), on=exp.and_(*follows), join_type="left")
        .group_by(column("entity", "c"))
    )


def first_event(work: Work) -> exp.Expr:
    """Whether an event `e` at the first time of a chain `c` may be its first event."""
    return exp.and_(known(column("entity", "c")), exp.EQ(this=column("step", "e"), expression=number(1)))
