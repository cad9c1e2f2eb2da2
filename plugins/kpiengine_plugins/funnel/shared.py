"""Ordered funnels where one event may fit several steps: repeated steps, or SQL conditions that may overlap.

As in `ordered`, the latest deadline of all chains that end before an instant is the best to go on from; but an
instant may take a chain several steps on, as far as its events can be shared out. The first chain is found by going
as far as possible at each instant: nothing is lost by it, for later instants have events of their own.
"""

from __future__ import annotations

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine_plugins.funnel.moments import moments
from kpiengine_plugins.funnel.work import ALL_BEFORE, Work, column, first_known, known, latest, number, over, rank, when


def chains(work: Work) -> list[Cte]:
    """Steps of which the last is `chains`: entity, time_1, …; among them are `events` and `moments`."""
    return [*moments(work, all_events=False), *(_ends(work) if work.window else []), *_greedy(work)]


def _ends(work: Work) -> list[Cte]:
    """By entity, the moment at which its furthest step is first reached."""
    made, source = [], work.name("moments")
    for step in work.steps.numbers:
        made.append(work.step(f"reaching_{step}", _reaching(work, source, step)))
        source = made[-1].name
    firsts = [
        exp.Min(this=when(known(column(f"deadline_{step}")), column("moment"))) for step in reversed(work.steps.numbers)
    ]
    ends = exp.select(column("entity"), first_known(firsts).as_("reached_at")).from_(source)
    return [*made, work.step("ends", ends.group_by(column("entity")))]


def _reaching(work: Work, source: str, step: int) -> exp.Select:
    """Adds `deadline_n`: the latest deadline of the chains that reach step n at an instant."""
    table: exp.Expr = exp.to_table(source)
    if step > 1:
        running = over(
            exp.Max(this=column(f"deadline_{step - 1}")),
            [column("entity")],
            [column("moment")],
            ALL_BEFORE | {"end": "1", "end_side": "PRECEDING"},
        )
        table = exp.select("*", running.as_(f"before_{step - 1}")).from_(source).subquery("before")
    deadlines = [
        when(
            exp.GTE(this=column(f"upto_{first}"), expression=number(step))
            if first == 1
            else exp.and_(
                exp.GTE(this=column(f"upto_{first}"), expression=number(step)),
                work.in_time(column("moment"), column(f"before_{first - 1}")),
            ),
            work.deadline(column("moment")) if first == 1 else column(f"before_{first - 1}"),
        )
        for first in range(1, step + 1)
    ]
    return exp.select("*", latest(deadlines).as_(f"deadline_{step}")).from_(table)


def _greedy(work: Work) -> list[Cte]:
    """The first chain, one step after the other; `upto` is the last step that its latest instant serves."""
    made = [work.step("chains_1", _first(work))]
    for step in work.steps.numbers[1:]:
        made.append(work.step(f"chains_{step}", _next(work, step)))
    all_times = exp.select(column("entity"), *map(column, work.times)).from_(made[-1].name)
    return [*made, work.step("chains", all_times)]


def _first(work: Work) -> exp.Select:
    choice = rank([column("entity", "m")], [column("moment", "m")])
    ranked = (
        exp.select(
            column("entity", "m"),
            column("moment", "m").as_("time_1"),
            column("upto_1", "m").as_("upto"),
            choice.as_("choice"),
        )
        .from_(exp.to_table(work.name("moments")).as_("m"))
        .where(exp.GTE(this=column("upto_1", "m"), expression=number(1)))
    )
    if work.window:
        ranked = ranked.join(
            exp.to_table(work.name("ends")).as_("ends"),
            on=exp.EQ(this=column("entity", "ends"), expression=column("entity", "m")),
        ).where(work.in_time(column("reached_at", "ends"), work.deadline(column("moment", "m"))))
    return _chosen(ranked, "entity", "time_1", "upto")


def _next(work: Work, step: int) -> exp.Select:
    follows: list[exp.Expr] = [
        exp.EQ(this=column("entity", "m"), expression=column("entity", "c")),
        exp.LT(this=column("upto", "c"), expression=number(step)),
        exp.GT(this=column("moment", "m"), expression=column(f"time_{step - 1}", "c")),
        exp.GTE(this=column(f"upto_{step}", "m"), expression=number(step)),
    ]
    if work.window:
        follows.append(work.in_time(column("moment", "m"), work.deadline(column("time_1", "c"))))
    held = exp.GTE(this=column("upto", "c"), expression=number(step))
    ranked = (
        exp.select(
            column("entity", "c"),
            *(column(time, "c") for time in work.times[: step - 1]),
            exp.case().when(held, column(f"time_{step - 1}", "c")).else_(column("moment", "m")).as_(f"time_{step}"),
            exp.case().when(held.copy(), column("upto", "c")).else_(column(f"upto_{step}", "m")).as_("upto"),
            rank([column("entity", "c")], [column("moment", "m")]).as_("choice"),
        )
        .from_(exp.to_table(work.name(f"chains_{step - 1}")).as_("c"))
        .join(exp.to_table(work.name("moments")).as_("m"), on=exp.and_(*follows), join_type="left")
    )
    return _chosen(ranked, "entity", *work.times[:step], "upto")


def _chosen(ranked: exp.Select, *names: str) -> exp.Select:
    return (
        exp.select(*map(column, names))
        .from_(ranked.subquery("ranked"))
        .where(exp.EQ(this=column("choice"), expression=number(1)))
    )
