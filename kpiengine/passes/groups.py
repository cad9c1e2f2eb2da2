"""The groups that rows are in, where the groups of entities' first rows tell most of them.

A customer is new in one month and seen in many, and what is shown are the months and channels of all orders. Nearly
each of those has somebody new; so rows are looked at for the rest alone, the months and channels that there may be and
in which nobody is new. Often there is none, and a join with nothing reads nothing.

    known: select month(first_time), channel … from firsts group by …
    absent: select month, channel from months cross join channels of known, but for those of known
    groups: known, and those of absent in which there is a row, and those of rows without a time or a customer
"""

from __future__ import annotations

from sqlglot import exp

from kpiengine.passes.context import Lineage
from kpiengine.passes.trees import conjuncts, core, over
from kpiengine.plan.expressions import both_equal, column, free, is_null, qualified, renamed
from kpiengine.plan.steps import Aggregate, Link, Named, Scan, Select, Series, Step, Union

MOST_DAYS = 10_000
"""Over more days than these, or where nothing is known of them, there may be more groups than rows."""
DAY = "day"
CHANGED = (
    "a value is missing that its Parquet file says is there: the file has changed meanwhile (ask again), or was "
    "written with wrong statistics (KPI_PASSES=-entities does without them)"
)


def groups_of(
    rows: Aggregate, known: Aggregate, time: exp.Column, key: exp.Column, lineage: Lineage
) -> list[Step] | None:
    """Steps that give the groups of `rows`, the last with its name; None where they are not told in this way.

    `known` has a row for each group in which an entity, a value of `key`, has its first `time`, and reads a row an
    entity. Whatever else than the time is looked at is settled by the entity, which has a first time if it has a row.
    """
    source = lineage.steps.get(rows.input)
    if not isinstance(source, Select):
        return None
    scan = lineage.steps.get(source.input)
    timed = [k for k in rows.keys if time in k.expression.find_all(exp.Column)]
    alone = all(c == time for k in timed for c in k.expression.find_all(exp.Column))
    if not isinstance(scan, Scan) or len(timed) > 1 or not alone or any(f.find(exp.Query) for f in rows.filters):
        return None
    steps: list[Step] = []
    if not timed and _of_time(rows, time):  # who was new before the time that is asked for is in no group that is known
        return None
    if timed:
        day = core(timed[0].expression)
        span = _span(rows, scan, time, day, lineage)
        if span is None or not _few_days(rows.input, time, lineage):
            return None
        steps = [*span, *_absent(rows, known, timed[0], (time, day), span[-1].name, lineage)]
    seen = [_seen(rows, steps[-1].name)] if steps else []
    nobody = [_without(rows, c, source, lineage) for c in (time, key)]
    told = Select(known.name, known.name, tuple(Named(k.name, column(k.name)) for k in rows.keys))
    return [*steps, Union(rows.name, (told, *seen, *nobody), distinct=True)]


def _without(rows: Aggregate, one: exp.Column, joined: Select, lineage: Lineage) -> Select:
    """The groups of rows without a value of a column.

    Where it is proven that there are none, nothing is joined with them: DuckDB makes a table of what is joined before
    it sees that. A row raises the engine's error then.
    """
    bounds = lineage.bounds(rows.input, one.name)
    if bounds is None or bounds.nulls:
        return Select(rows.name, rows.input, rows.keys, filters=(*rows.filters, is_null(one.copy())), distinct=True)
    own = next(c.expression for c in joined.columns if c.name == one.name)
    wrong = exp.Anonymous(this="error", expressions=[exp.Literal.string(CHANGED)])
    keys = tuple(Named(k.name, exp.null() if place else wrong) for place, k in enumerate(rows.keys))
    return Select(rows.name, joined.input, keys, filters=(is_null(column(own.name)),), distinct=True)


def _of_time(rows: Aggregate, time: exp.Column) -> list[exp.Expr]:
    """What is asked of the rows' time."""
    return [f for whole in rows.filters for f in conjuncts(whole) if time in f.find_all(exp.Column)]


def _few_days(step: str, time: exp.Column, lineage: Lineage) -> bool:
    days = lineage.days(step, time.name)
    return lineage.context.always or (days is not None and (days[1] - days[0]).days <= MOST_DAYS)


def _span(rows: Aggregate, scan: Scan, time: exp.Column, day: exp.Expr, lineage: Lineage) -> list[Step] | None:
    """The first and the last day on which there may be a row, as `low` and `high`.

    Of all the source's rows: files tell the least and the greatest time at once, where nothing is asked of the rows.
    """
    origin = lineage.origin(rows.input, time.name)
    kind = (lineage.context.type_of(*origin) if origin else None) or ""
    is_day = kind == "DATE" if isinstance(day, exp.Column) else day.is_type("date")
    if not is_day:
        return None
    alike = kind.startswith(("DATE", "TIMESTAMP")) and day.find(exp.AtTimeZone) is None  # a later time, no earlier day

    def end(call: type[exp.Min | exp.Max]) -> exp.Expr:
        return renamed(day, lambda c: call(this=c)) if alike else call(this=day.copy())

    ends = (Named("low", end(exp.Min)), Named("high", end(exp.Max)))
    columns = tuple(c for c in scan.columns if c.name == time.name)
    every = Scan(lineage.unique(f"{rows.name}_times"), scan.source, columns, kept=False)
    return [every, Aggregate(lineage.unique(f"{rows.name}_span"), every.name, (), ends)]


def _absent(
    rows: Aggregate, known: Aggregate, period: Named, at: tuple[exp.Column, exp.Expr], span: str, lineage: Lineage
) -> list[Step]:
    """The groups that there may be and that are not known: no row is before the first one of its entity."""
    time, day = at
    of_time = _of_time(rows, time)
    days = Series(lineage.unique(f"{rows.name}_days"), span, DAY)
    start = over(period.expression, {day: column(DAY)})
    assert start is not None  # the day is the key's core
    on_days = tuple(f for f in (over(f, {day: column(DAY)}) for f in of_time) if f is not None)
    asked = Named(period.name, start)
    periods = Select(lineage.unique(f"{rows.name}_periods"), days.name, (asked,), filters=on_days, distinct=True)

    others = tuple(k for k in rows.keys if k is not period)
    name, since = lineage.unique(f"{rows.name}_since"), free("since", [k.name for k in others])
    if of_time:  # who was new before the time that is asked for is known of there alone
        filters = tuple(f for f in known.filters if time not in f.find_all(exp.Column))
        begun = Aggregate(name, known.input, others, (Named(since, exp.Min(this=period.expression.copy())),), filters)
    else:
        others = tuple(Named(k.name, column(k.name)) for k in others)
        begun = Aggregate(name, known.name, others, (Named(since, exp.Min(this=column(period.name))),))

    table = {k.name: begun.name for k in others} | {period.name: periods.name}
    keys = tuple(Named(k.name, column(k.name, table[k.name])) for k in rows.keys)
    later = exp.GTE(this=column(period.name, periods.name), expression=column(since, begun.name))
    same = tuple(both_equal(k.expression.copy(), column(k.name, known.name)) for k in keys)
    links = (Link(begun.name, begun.name, (later,), required=True), Link(known.name, known.name, same))
    unknown = is_null(column(known.measures[0].name, known.name))
    # Distinct as they are: said to be, they are found before rows are joined with them, which none may be.
    absent = Select(lineage.unique(f"{rows.name}_absent"), periods.name, keys, links, (unknown,), distinct=True)
    return [days, periods, begun, absent]


def _seen(rows: Aggregate, absent: str) -> Select:
    """Those of the absent groups in which there is a row."""
    same = tuple(both_equal(qualified(k.expression, rows.input), column(k.name, absent)) for k in rows.keys)
    keys = tuple(Named(k.name, column(k.name, absent)) for k in rows.keys)
    filters = tuple(qualified(f, rows.input) for f in rows.filters)
    return Select(rows.name, rows.input, keys, (Link(absent, absent, same, required=True),), filters, distinct=True)
