"""Strict funnels: a chain is a run of consecutive events of an entity, with nothing between them.

Events of one instant may stand in any order. So a run may begin with some of the events of its first instant and
end with some of its last one, and needs all events of the instants between. A run is told by the place of its first
event when the entity's events are counted in the order of time; the first chain is the one with the lowest place.
"""

from __future__ import annotations

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine_plugins.funnel.moments import moments
from kpiengine_plugins.funnel.work import ALL_BEFORE, Work, column, first_known, known, number, over, when


def chains(work: Work) -> list[Cte]:
    """Steps of which the last is `chains`: entity, time_1, …; among them are `events` and `moments`."""
    made = [*moments(work, all_events=True), work.step("places", _places(work))]
    for step in work.steps.numbers:
        made.append(work.step(f"reaching_{step}", _reaching(work, made[-1].name, step)))
    made.append(work.step("runs", _runs(work, made[-1].name)))
    return [*made, work.step("chains", _times(work))]


def _places(work: Work) -> exp.Select:
    """Adds `passed`: how many events of the entity lie before the instant."""
    through = over(
        exp.Sum(this=column("events")), [column("entity")], [column("moment")], ALL_BEFORE | {"end": "CURRENT ROW"}
    )
    passed = exp.Sub(this=exp.cast(through, "BIGINT"), expression=column("events"))
    return exp.select("*", passed.as_("passed")).from_(work.name("moments"))


def _serves(first: int, last: int) -> exp.Expr:
    return exp.GTE(this=column(f"upto_{first}"), expression=number(last))


def _goes_on(work: Work, first: int, last: int) -> exp.Expr:
    """Whether an open run that has done the steps before `first` can do those up to `last` at this instant."""
    return exp.and_(_serves(first, last), work.in_time(column("moment"), column(f"before_{first - 1}")))


def _reaching(work: Work, source: str, step: int) -> exp.Select:
    """Adds `place_n`, the place of the run that reaches step n at an instant, and `open_n`.

    `open_n` is the deadline of the run that is at step n once all events of the instant have passed: one that starts
    here, or one that all events of the instant take on. It cannot be both: the first has as many events here as
    steps or more, the second fewer.
    """
    table: exp.Expr = exp.to_table(source)
    if step > 1:
        before = over(exp.Lag(this=column(f"open_{step - 1}")), [column("entity")], [column("moment")], None)
        table = exp.select("*", before.as_(f"before_{step - 1}")).from_(source).subquery("before")
    opened = when(_serves(1, step), work.deadline(column("moment")))
    place = exp.case()
    for first in range(step, 1, -1):
        all_used = exp.EQ(this=column("events"), expression=number(step - first + 1))
        opened = opened.when(exp.and_(all_used, _goes_on(work, first, step)), column(f"before_{first - 1}"))
        place = place.when(_goes_on(work, first, step), exp.Sub(this=column("passed"), expression=number(first - 2)))
    place = place.when(_serves(1, step), exp.Add(this=column("passed"), expression=number(1)))
    return exp.select("*", opened.as_(f"open_{step}"), place.as_(f"place_{step}")).from_(table)


def _runs(work: Work, source: str) -> exp.Select:
    """By entity, the furthest run: its length, and the place of its first event."""
    places = {step: exp.Min(this=column(f"place_{step}")) for step in reversed(work.steps.numbers)}
    length = exp.case()
    for step, place in places.items():
        length = length.when(known(place.copy()), number(step))
    return (
        exp.select(column("entity"), length.as_("length"), first_known(list(places.values())).as_("place"))
        .from_(source)
        .group_by(column("entity"))
        .having(known(exp.Min(this=column("place_1"))))
    )


def _times(work: Work) -> exp.Select:
    """The moments of the run's events: the n-th of them is the entity's event with the number place + n - 1."""
    times = []
    for step in work.steps.numbers:
        skipped = exp.Add(this=column("place", "r"), expression=number(step - 1))
        here = exp.and_(
            exp.GTE(this=column("length", "r"), expression=number(step)),
            exp.GT(this=skipped, expression=column("passed", "p")),
            exp.LTE(
                this=skipped.copy(), expression=exp.Add(this=column("passed", "p"), expression=column("events", "p"))
            ),
        )
        times.append(exp.Max(this=when(here, column("moment", "p"))).as_(f"time_{step}"))
    return (
        exp.select(column("entity", "r"), *times)
        .from_(exp.to_table(work.name("runs")).as_("r"))
        .join(
            exp.to_table(work.name("places")).as_("p"),
            on=exp.EQ(this=column("entity", "p"), expression=column("entity", "r")),
        )
        .group_by(column("entity", "r"))
    )
