"""`kpi check --data`: what only reading the rows can tell. Keys unique, joins many-to-one, times and entities there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from sqlglot import exp

from kpiengine.errors import DefinitionError, KpiError, Place, Problem
from kpiengine.model import Model, Source
from kpiengine.model.source import identifier, own_columns, quoted
from kpiengine.plan.kinds import entity_name, option_values
from kpiengine.spec import MetricSpec
from kpiengine.sql import RenderedSource

Rendered = Callable[[str], RenderedSource]
Ask = Callable[[exp.Query], list[tuple[Any, ...]]]
Touch = Callable[[exp.Column], exp.Expr]


def hashed(column: exp.Column) -> exp.Expr:
    """What reads every value on DuckDB: a count would be answered from a Parquet file's footer."""
    return exp.func("bit_xor", exp.func("hash", column), dialect="duckdb")


def counted(column: exp.Column) -> exp.Expr:
    """What reads every value on other engines."""
    return exp.Count(this=column)


def check_data(model: Model, ask: Ask, rendered: Rendered, touch: Touch = hashed) -> list[Problem]:
    """Problems of the rows of every source that can be opened, and of what kinds leave out.

    `ask` runs a statement, `touch` makes an aggregate that no engine gives without reading every value.
    """
    problems: list[Problem] = []
    for name in model.spec.sources:
        try:
            source = model.source(name)
            problems += _source_problems(source, ask, rendered, touch)
        except KpiError as error:
            problems += [_at_source(problem, model, name) for problem in error.problems]
    left_out: dict[tuple[Place, str], list[str]] = {}
    for metric in model.metrics.values():
        if metric.kind and metric.source in model.spec.sources and not list(model.lacks(metric)):
            try:
                for told in _without_entity(model, metric.name, ask, rendered):
                    left_out.setdefault(told, []).append(f'"{metric.name}"')
            except KpiError as error:
                problems += error.problems
    for (place, rows), names in left_out.items():  # the library's kinds leave out the same rows
        who = f"{names[0]} leaves" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} leave"
        problems.append(Problem(place, f"{who} out {rows}"))
    return problems


def _at_source(problem: Problem, model: Model, name: str) -> Problem:
    """What the engine says of a source's rows, with the source's name and place."""
    if problem.place.line:
        return problem
    return Problem(model.spec.sources[name].place, f'source "{name}": {problem.message}')


def _whole(source: Source, rendered: Rendered) -> exp.Select:
    """All columns of the source's rows, every one of them computed: a value that does not fit its type shows."""
    relation = rendered(source.name)
    columns = [exp.alias_(c.expression.copy(), identifier(c.name)) for c in source.columns.values()]
    query = exp.select(*columns).from_(relation.expression.copy())
    for name, cte in relation.ctes:
        query = query.with_(exp.to_identifier(name), as_=cte.copy(), copy=False)
    outer = exp.select("*").from_(query.subquery("rows_read"))
    return outer.where(*[f.tree.copy() for f in source.filters]) if source.filters else outer


def _numbers(ask: Ask, aggregates: Sequence[exp.Expr], rows: exp.Subquery, *where: exp.Expr) -> tuple[int, ...]:
    """The one row of a statement of counts, whatever type an engine gives them."""
    named = [exp.alias_(aggregate, f"n{number}") for number, aggregate in enumerate(aggregates)]
    return tuple(int(value or 0) for value in ask(exp.select(*named).from_(rows).where(*where))[0])


def _source_problems(source: Source, ask: Ask, rendered: Rendered, touch: Touch) -> Iterator[Problem]:
    spec, rows = source.spec, _whole(source, rendered).subquery("r")
    keys = [quoted(source.find(k).name) for k in spec.key]  # type: ignore[union-attr]
    time = [quoted(source.find(spec.time).name)] if spec.time else []  # type: ignore[union-attr]
    read = [touch(quoted(c.name)) for c in source.columns.values()]
    total, no_key, no_time, *_ = _numbers(
        ask, [exp.Count(this=exp.Star()), _missing(keys), _missing(time), *read], rows
    )
    if no_key:
        place, told = spec.places.get("key", spec.place), ", ".join(spec.key)
        yield Problem(place, f'source "{spec.name}": {no_key} of {total} rows have no key ({told})')
    if keys:
        yield from _twice(source, keys, ask, rendered)
    if no_time:
        yield Problem(
            spec.places.get("time", spec.place),
            f'source "{spec.name}": {no_time} of {total} rows have no time ({spec.time}); they stand in no period',
        )


def _missing(columns: Sequence[exp.Column]) -> exp.Expr:
    """How many rows have NULL in one of these."""
    nulls = [exp.Is(this=c.copy(), expression=exp.null()) for c in columns]
    return exp.CountIf(this=exp.or_(*nulls) if nulls else exp.false())


def _twice(
    source: Source, keys: Sequence[exp.Column], ask: Ask, rendered: Rendered
) -> Iterator[Problem]:  # fmt: skip
    """The problem of a key that is not unique."""
    spec = source.spec
    grouped = (
        exp.select(exp.alias_(exp.Count(this=exp.Star()), "n"))
        .from_(_whole(source, rendered).subquery("r"))
        .group_by(*[k.copy() for k in keys])
    )
    more = exp.GT(this=exp.column("n"), expression=exp.Literal.number(1))
    counts = [exp.Count(this=exp.Star()), exp.Sum(this=exp.column("n"))]
    values, rows = _numbers(ask, counts, grouped.subquery("g"), more)
    if values:
        place, told = spec.places.get("key", spec.place), ", ".join(spec.key)
        message = f"the key {told} is not unique: {values} values stand in {rows} rows"
        yield Problem(place, f'source "{spec.name}": {message}')


def _without_entity(model: Model, name: str, ask: Ask, rendered: Rendered) -> Iterator[tuple[Place, str]]:
    """The place and the words of the rows that a kind leaves out, where there are any."""
    metric = model.metric(name)
    kind, options = model.kind(metric), option_values(model, metric)
    entity = entity_name(kind, options)
    source = model.source_of(metric)
    column = source.find(entity) if entity else None
    if column is None:
        return
    rows = _whole(source, rendered).subquery("r")
    counts = [exp.Count(this=exp.Star()), _missing([quoted(column.name)])]
    total, missing = _numbers(ask, counts, rows, *_own_conditions(model, metric, source))
    if missing:
        place = metric.place if metric.library is None else source.spec.place
        yield place, f'{missing} of {total} rows of source "{source.name}", which have no {column.name}'


def _own_conditions(model: Model, metric: MetricSpec, source: Source) -> Iterator[exp.Expr]:
    """A kind's filters, as far as they ask of the source's own columns: rows that they leave out nobody misses."""
    for sql in model.filters(metric):
        with suppress(DefinitionError):  # a joined column, or one that there is not, which the definition's check tells
            yield own_columns(sql, source, f'filter of "{metric.name}"').tree
