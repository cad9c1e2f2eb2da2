"""`kpi check --data`: what only reading the rows can tell. Keys unique, joins many-to-one, times and entities there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from kpiengine.duck import DuckSession
from kpiengine.errors import KpiError, Problem
from kpiengine.model import Model, Source
from kpiengine.model.source import quoted
from kpiengine.plan.kinds import entity_name, option_values
from kpiengine.sql import RenderedSource

Rendered = Callable[[str], RenderedSource]


def check_data(model: Model, session: DuckSession, rendered: Rendered) -> list[Problem]:
    """Problems of the rows of every source that can be opened, and of what kinds leave out."""
    problems: list[Problem] = []
    for name in model.spec.sources:
        try:
            source = model.source(name)
            problems += _source_problems(source, session, rendered)
        except KpiError as error:
            problems += error.problems
    for metric in model.metrics.values():
        if metric.kind and metric.source in model.spec.sources and not list(model.lacks(metric)):
            try:
                problems += _without_entity(model, metric.name, session, rendered)
            except KpiError as error:
                problems += error.problems
    return problems


def _whole(source: Source, rendered: Rendered) -> exp.Select:
    """All columns of the source's rows, every one of them computed: a value that does not fit its type shows."""
    relation = rendered(source.name)
    columns = [exp.alias_(c.expression.copy(), quoted(c.name).this.copy()) for c in source.columns.values()]
    query = exp.select(*columns).from_(relation.expression.copy())
    for name, cte in relation.ctes:
        query = query.with_(exp.to_identifier(name), as_=cte.copy(), copy=False)
    outer = exp.select("*").from_(query.subquery("rows_read"))
    return outer.where(*[f.tree.copy() for f in source.filters]) if source.filters else outer


def _one(session: DuckSession, query: exp.Query) -> tuple[object, ...]:
    return session.rows(query.sql("duckdb"))[0]


def _source_problems(source: Source, session: DuckSession, rendered: Rendered) -> Iterator[Problem]:
    spec, rows = source.spec, _whole(source, rendered).subquery("r")
    _one(session, exp.select(*[exp.Count(this=quoted(c.name)) for c in source.columns.values()]).from_(rows.copy()))
    if spec.key:
        keys = [quoted(source.find(k).name) for k in spec.key]  # type: ignore[union-attr]
        total, missing = _one(
            session,
            exp.select(
                exp.Count(this=exp.Star()),
                exp.CountIf(this=exp.or_(*[exp.Is(this=k.copy(), expression=exp.null()) for k in keys])),
            ).from_(rows.copy()),
        )
        grouped = (
            exp.select(exp.alias_(exp.Count(this=exp.Star()), "n"))
            .from_(rows.copy())
            .group_by(*[k.copy() for k in keys])
        )
        twice = _one(
            session,
            exp.select(
                exp.Count(this=exp.Star()), exp.func("coalesce", exp.Sum(this=exp.column("n")), exp.Literal.number(0))
            )
            .from_(grouped.subquery("g"))
            .where(exp.GT(this=exp.column("n"), expression=exp.Literal.number(1))),
        )
        place = spec.places.get("key", spec.place)
        told = ", ".join(spec.key)
        if missing:
            yield Problem(place, f'source "{spec.name}": {missing} of {total} rows have no key ({told})')
        if twice[0]:
            yield Problem(
                place, f'source "{spec.name}": the key {told} is not unique: {twice[0]} values stand in {twice[1]} rows'
            )
    if spec.time:
        time = quoted(source.find(spec.time).name)  # type: ignore[union-attr]
        total, missing = _one(
            session,
            exp.select(exp.Count(this=exp.Star()), exp.CountIf(this=exp.Is(this=time, expression=exp.null()))).from_(
                rows.copy()
            ),
        )
        if missing:
            yield Problem(
                spec.places.get("time", spec.place),
                f'source "{spec.name}": {missing} of {total} rows have no time ({spec.time}); they stand in no period',
            )


def _without_entity(model: Model, name: str, session: DuckSession, rendered: Rendered) -> Iterator[Problem]:
    metric = model.metric(name)
    kind, options = model.kind(metric), option_values(model, metric)
    entity = entity_name(kind, options)
    source = model.source_of(metric)
    column = source.find(entity) if entity else None
    if column is None:
        return
    rows = _whole(source, rendered).subquery("r")
    total, missing = _one(
        session,
        exp.select(
            exp.Count(this=exp.Star()), exp.CountIf(this=exp.Is(this=quoted(column.name), expression=exp.null()))
        ).from_(rows),
    )
    if missing:
        yield Problem(
            metric.place if metric.library is None else source.spec.place,
            f'"{name}" leaves out {missing} of {total} rows of source "{source.name}", which have no {column.name}',
        )
