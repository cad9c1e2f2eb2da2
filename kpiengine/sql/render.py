"""Steps → one sqlglot statement in DuckDB's dialect. One function per kind of step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch

from sqlglot import exp

from kpiengine.functions import plain_texts_written_out
from kpiengine.model.source import identifier
from kpiengine.plan.expressions import column, renamed
from kpiengine.plan.steps import (
    Aggregate,
    Given,
    KeyCheck,
    Link,
    Met,
    Named,
    Output,
    Plan,
    Scan,
    Select,
    Series,
    Sorting,
    Step,
    Stitch,
    Union,
)
from kpiengine.records import dataclass
from kpiengine.sql.dialects.families import with_columns
from kpiengine.sql.shared import shared_named
from kpiengine.sql.texts import texts_named

RESULT = "result"


@dataclass(frozen=True)
class RenderedSource:
    """What stands in a scan's FROM, and common table expressions that it needs before it."""

    expression: exp.Expr
    ctes: tuple[tuple[str, exp.Query], ...] = ()

    def with_columns(self, columns: Mapping[str, str]) -> RenderedSource:
        """The same, with the DuckDB types of its columns: what dialects choose forms by."""
        return replace(self, expression=with_columns(self.expression, columns))


Relations = Callable[[str], RenderedSource]
Bound = Callable[[str, object], exp.Expr]


def render(plan: Plan, relations: Relations, bound: Bound | None = None) -> exp.Query:
    """The statement of a plan. `relations` gives what each source is read from, `bound` what an Arrow table that a kind
    made is read from; without it the table's rows stand in the statement."""
    plan = shared_named(texts_named(plan))
    ctes: dict[str, exp.Query] = {}
    for step in plan.steps:
        if isinstance(step, Scan):
            source = relations(step.source)
            ctes |= {name: query for name, query in source.ctes if name not in ctes}
            ctes[step.name] = _scan(step, source.expression)
        elif isinstance(step, Given) and step.table is not None and bound is not None:
            ctes[step.name] = exp.select("*").from_(bound(step.name, step.table))
        else:
            ctes[step.name] = _query(step)
    output = _output(plan.output, ctes)
    read_anew = {step.name for step in plan.steps if isinstance(step, Scan) and not step.kept}
    query = plain_texts_written_out(_with(ctes, output, read_anew))
    assert isinstance(query, exp.Query)
    return query


def check_statement(check: KeyCheck, plan: Plan, relations: Relations) -> exp.Query:
    """A statement that gives a key and how often it is there, where a joined key is not unique; else nothing."""
    scan = next(s for s in plan.steps if isinstance(s, Scan) and s.name == check.step)
    source = relations(scan.source)
    keys = [column(c) for c in check.columns]
    known = [exp.Not(this=exp.Is(this=k.copy(), expression=exp.null())) for k in keys]
    twice = exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1))
    query = exp.select(*[k.copy() for k in keys], exp.alias_(exp.Count(this=exp.Star()), "times")).from_(
        _table(scan.name)
    )
    query = query.where(*known).group_by(*[k.copy() for k in keys]).having(twice).limit(1)
    return _with({**dict(source.ctes), scan.name: _scan(scan, source.expression)}, query)


def met_statement(met: Met, plan: Plan, relations: Relations) -> exp.Query:
    """A statement that says in one row whether every row meets another, by counting them before and after: keys are
    unique, and an inner join is several times as fast as looking for rows without any."""
    scans = {s.name: s for s in plan.steps if isinstance(s, Scan)}
    ctes: dict[str, exp.Query] = {}
    for place, name, columns in (("facts", met.step, met.columns), ("others", met.joined, met.keys)):
        source = relations(scans[name].source)
        read = tuple(c for c in scans[name].columns if c.name in columns)
        ctes |= {**dict(source.ctes), place: _scan(replace(scans[name], columns=read), source.expression)}
    on = [
        exp.EQ(this=column(own, "facts"), expression=column(key, "others"))
        for own, key in zip(met.columns, met.keys, strict=True)
    ]
    every = exp.select(exp.Count(this=exp.Star())).from_("facts")
    meeting = every.copy().join("others", on=exp.and_(*on))
    return _with(ctes, exp.select(exp.alias_(exp.EQ(this=every.subquery(), expression=meeting.subquery()), "met")))


def _with(ctes: dict[str, exp.Query], query: exp.Query, read_anew: Collection[str] = ()) -> exp.Query:
    for name, body in ctes.items():
        kept = False if name in read_anew else None
        query = query.with_(exp.to_identifier(name), as_=body, materialized=kept, copy=False)
    return query


def _table(name: str, alias: str | None = None) -> exp.Expr:
    table = (
        exp.to_table(name)
        if name.replace("_", "").isalnum() and name.isascii()
        else exp.Table(this=exp.to_identifier(name, quoted=True))
    )
    return exp.alias_(table, alias, table=True) if alias and alias != name else table


def _named(columns: Iterable[Named]) -> list[exp.Expr]:
    return [_as(c.expression.copy(), c.name) for c in columns]


def _as(tree: exp.Expr, name: str) -> exp.Expr:
    if isinstance(tree, exp.Column) and tree.name == name:
        return tree
    return exp.alias_(tree, identifier(name), copy=False)


def _scan(step: Scan, relation: exp.Expr) -> exp.Select:
    query = exp.select(*_named(step.columns), copy=False).from_(relation.copy(), copy=False)
    return query.where(*[f.copy() for f in step.filters], copy=False) if step.filters else query


@singledispatch
def _query(step: Step) -> exp.Query:
    raise TypeError(f"no rendering for {type(step).__name__}")


@_query.register
def _select(step: Select) -> exp.Select:
    columns = _named(step.columns)
    if not step.links:
        columns = [renamed(c, lambda n: exp.column(n.this.copy()) if n.table == step.input else n) for c in columns]
    query = exp.select(*columns, copy=False).from_(_table(step.input), copy=False)
    query = _linked(query, step.links)
    query = query.where(*[f.copy() for f in step.filters], copy=False) if step.filters else query
    query = query.distinct(copy=False) if step.distinct else query
    sort = [_sorted(Sorting(name)) for name in step.sorted_by]
    return query.order_by(*sort, copy=False) if sort else query


@_query.register
def _aggregate(step: Aggregate) -> exp.Select:
    query = exp.select(*_named(step.keys), *_named(step.measures), copy=False).from_(_table(step.input), copy=False)
    query = _linked(query, step.links)
    query = query.where(*[f.copy() for f in step.filters], copy=False) if step.filters else query
    if not step.measures and step.keys:
        return query.distinct(copy=False)
    if not step.measures:
        return query.select(exp.alias_(exp.Count(this=exp.Star()), "rows_seen", copy=False), copy=False)
    places = [exp.Literal.number(n) for n in range(1, len(step.keys) + 1)]
    return query.group_by(*places, copy=False) if places else query


def _linked(query: exp.Select, links: Sequence[Link]) -> exp.Select:
    for link in links:
        on = exp.and_(*[c.copy() for c in link.on], copy=False)
        everything = isinstance(on, exp.Boolean) and on.this
        if everything and link.required:
            query = query.join(_table(link.step, link.alias), join_type="cross", copy=False)
        else:
            how = "" if link.required else "left"
            query = query.join(_table(link.step, link.alias), on=on, join_type=how, copy=False)
    return query


@_query.register
def _stitch(step: Stitch) -> exp.Select:
    """Keys meet by GROUP BY over a UNION ALL: a full join on NULL = NULL that every engine runs, and fast."""
    places = [(part, name) for part in step.parts for name in part.columns]
    arms: list[exp.Query] = []
    for part in step.parts:
        values = [
            _as(column(name), step.told(owner, name)) if owner is part else _as(exp.null(), step.told(owner, name))
            for owner, name in places
        ]
        of_part = exp.select(*[column(k) for k in step.keys], *values, copy=False)
        arms.append(of_part.from_(_table(part.step), copy=False))
    united = arms[0]
    for arm in arms[1:]:
        united = exp.union(united, arm, distinct=False, copy=False)
    names = [step.told(owner, name) for owner, name in places]
    top = [_as(exp.Max(this=column(n)), n) for n in names]
    parts = exp.Subquery(this=united, alias=exp.TableAlias(this=exp.to_identifier("parts")))
    query = exp.select(*[column(k) for k in step.keys], *top, copy=False).from_(parts, copy=False)
    if not step.keys:
        return query
    return query.group_by(*[column(k) for k in step.keys], copy=False) if top else query.distinct(copy=False)


@_query.register
def _union(step: Union) -> exp.Query:
    arms = [_query(arm) for arm in step.inputs]
    united = arms[0]
    if len(arms) == 1:
        return united.distinct(copy=False) if step.distinct and isinstance(united, exp.Select) else united
    for arm in arms[1:]:
        united = exp.union(united, arm, distinct=step.distinct, copy=False)
    return united


@_query.register
def _series(step: Series) -> exp.Select:
    unit = "HOUR" if step.hourly else "DAY"
    series = exp.GenerateSeries(
        start=column("low"), end=column("high"), step=exp.Interval(this=exp.Literal.string("1"), unit=exp.var(unit))
    )
    moment = exp.cast(exp.Explode(this=series), "TIMESTAMP" if step.hourly else "DATE")
    return exp.select(exp.alias_(moment, step.column, copy=False), copy=False).from_(_table(step.bounds), copy=False)


@_query.register
def _given(step: Given) -> exp.Query:
    return step.query.copy()


def _output(output: Output, ctes: dict[str, exp.Query]) -> exp.Query:
    """The rows shown. Where conditions or united inputs need it, all values are named first (one more of `ctes`)."""
    shown = [c.name for c in output.columns]
    first = output.inputs[0]
    names = [c.name for c in (first.columns if isinstance(first, Select) else (*first.keys, *first.measures))]
    plain = len(output.inputs) == 1 and not output.filters and not output.per and names == shown
    if plain:
        query = _query(first)
        assert isinstance(query, exp.Select)
        links = first.links
        sort = [_sorted(s, first) for s in output.order] if links else [_sorted(s) for s in output.order]
    else:
        ctes[RESULT] = _query(Union(RESULT, output.inputs))
        query = exp.select(*[column(c) for c in shown], copy=False).from_(RESULT, copy=False)
        query = query.where(*[f.copy() for f in output.filters], copy=False) if output.filters else query
        sort = [_sorted(s) for s in output.order]
    if output.per and output.limit is not None:
        query = _limited_per_group(query, output, output.limit, ctes)
        return query.order_by(*sort, copy=False) if sort else query
    query = query.order_by(*sort, copy=False) if sort else query
    return query.limit(output.limit, copy=False) if output.limit is not None else query


def _limited_per_group(query: exp.Select, output: Output, limit: int, ctes: dict[str, exp.Query]) -> exp.Select:
    """The first `limit` rows of each group, in the order of the output."""
    place = exp.Window(
        this=exp.RowNumber(),
        partition_by=[column(c) for c in output.per],
        order=exp.Order(expressions=[_sorted(s) for s in output.order]),
    )
    ctes["ranked"] = query.select(exp.alias_(place, "place_in_group", copy=False), copy=False)
    first = exp.LTE(this=exp.column("place_in_group"), expression=exp.Literal.number(limit))
    query = exp.select(*[column(c.name) for c in output.columns], copy=False)
    return query.from_("ranked", copy=False).where(first, copy=False)


def _sorted(sorting: Sorting, select: Select | Aggregate | None = None) -> exp.Ordered:
    """NULL last. In a statement with joins a bare name may be ambiguous, so the column's own expression is taken."""
    key: exp.Expr = column(sorting.column)
    if isinstance(select, Select):
        own = next((c.expression for c in select.columns if c.name == sorting.column), None)
        key = own.copy() if isinstance(own, exp.Column) else key
    return exp.Ordered(this=key, desc=sorting.descending, nulls_first=False)
