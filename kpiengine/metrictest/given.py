"""The given rows of a test as Arrow tables, and the sources that they stand for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kpiengine.errors import DefinitionError, Place, Problem
from kpiengine.metrictest.needs import Needs, column_names
from kpiengine.spec import JoinSpec, ProjectSpec, SourceSpec, TargetFile, TestSpec

if TYPE_CHECKING:
    import pyarrow

_CUSTOMER = {"customers": JoinSpec("customers", "customers", ("customer_id",))}


def _standard(name: str, time: str, key: tuple[str, ...] = (), joins: Mapping[str, JoinSpec] = _CUSTOMER) -> SourceSpec:
    return SourceSpec(name, "arrow", {}, key=key, time=time, joins=joins)


STANDARD_SOURCES: Mapping[str, SourceSpec] = {
    source.name: source
    for source in (
        _standard("orders", "ordered_at"),
        _standard("customers", "acquired_at", ("customer_id",), {}),
        _standard("costs", "spent_at", (), {}),
        _standard("survey", "responded_at"),
        _standard("pipeline", "entered_at"),
    )
}
"""The sources of the KPI library, as they stand in a test of a project that does not have them."""

Rows = Sequence[Mapping[str, Any]]
Given = tuple[dict[str, SourceSpec], "dict[str, pyarrow.Table]", list[str]]


def given_sources(test: TestSpec, spec: ProjectSpec, needs: Needs) -> Given:
    """The sources of a test, their tables, and notes that may explain a failure.

    A source keeps its key, time, joins and filters; of its `columns` those that the rows do not bear themselves, and
    have the raw columns for. What key, time, joins and filters name and the rows do not have is NULL in every row.
    Raises DefinitionError, at the test, for values of which no column can be made.
    """
    known = known_sources(spec)
    sources: dict[str, SourceSpec] = {}
    tables: dict[str, pyarrow.Table] = {}
    notes: list[str] = []
    target_files = {f"{m.name}_targets" for m in needs.metrics.values() if isinstance(m.target, TargetFile)}
    for name, rows in test.given.items():
        source = _of_rows(known[name], rows, frozenset(test.given), name in target_files)
        missing = _missing(source, rows)
        notes += _notes(source, missing)
        joins = [j.name for other in known.values() for j in other.joins.values() if j.to == name]
        wanted = needs.of_source(source, joins) if not rows else set()
        blank = dict.fromkeys([*missing, *sorted(wanted - _bears(source, rows) - missing.keys())])
        sources[name] = source
        tables[name] = _table(name, rows, list(blank), source.time, test.place)
    _type_join_columns(sources, tables)
    return sources, tables, notes


def known_sources(spec: ProjectSpec) -> dict[str, SourceSpec]:
    """The sources that a test can give rows of: the project's, and those of the library."""
    return {**STANDARD_SOURCES, **spec.sources}


def _of_rows(source: SourceSpec, rows: Rows, given: frozenset[str], raw: bool) -> SourceSpec:
    """The source with the given rows as its data. `raw`: they are as the data is, and no column is mapped yet."""
    borne = {column for row in rows for column in row}
    columns = {
        name: text
        for name, text in source.columns.items()
        if (raw or name not in borne) and (text.value in borne or _answered(text.value, borne))
    }
    joins = {name: join for name, join in source.joins.items() if join.to in given}
    return replace(source, connector="arrow", options={}, columns=columns, joins=joins)


def _answered(text: str, borne: set[str]) -> bool:
    """Whether the rows have the raw columns that a mapped column is made of."""
    named = {name[-1].lower() for name in column_names(text)}
    return bool(named) and named <= {column.lower() for column in borne}


def _bears(source: SourceSpec, rows: Rows) -> set[str]:
    return {column for row in rows for column in row} | set(source.columns)


def _type_join_columns(sources: Mapping[str, SourceSpec], tables: dict[str, pyarrow.Table]) -> None:
    """Gives a column that holds nothing the type of the one that it is joined with."""
    for source in sources.values():
        for join in source.joins.values():
            for one, other in zip(join.on, sources[join.to].key, strict=False):
                tables[source.name] = _typed_like(tables[source.name], one, tables[join.to], other)
                tables[join.to] = _typed_like(tables[join.to], other, tables[source.name], one)


def _typed_like(table: pyarrow.Table, name: str, other: pyarrow.Table, like: str) -> pyarrow.Table:
    import pyarrow

    index, model = table.schema.get_field_index(name), other.schema.get_field_index(like)
    if index < 0 or model < 0 or not pyarrow.types.is_null(table.schema.field(index).type):
        return table
    return table.set_column(index, name, table.column(index).cast(other.schema.field(model).type))


def _missing(source: SourceSpec, rows: Rows) -> dict[str, str]:
    """Columns that the source itself names and the rows do not have: name → what names it."""
    borne = {column.lower() for column in _bears(source, rows)}
    named = dict.fromkeys(source.key, "its key")
    named |= {column: f'its join "{join.name}"' for join in source.joins.values() for column in join.on}
    named |= {name[-1]: f"its filter {text.value}" for text in source.filters for name in column_names(text)}
    named |= {source.time: "its time"} if source.time else {}
    return {column: what for column, what in named.items() if column.lower() not in borne}


def _notes(source: SourceSpec, missing: Mapping[str, str]) -> list[str]:
    return [
        f'note: source "{source.name}" is given without "{column}", so it is NULL in {what}'
        for column, what in missing.items()
        if what not in ("its key",)
    ]


def _table(name: str, rows: Rows, blank: Sequence[str], time: str | None, place: Place) -> pyarrow.Table:
    import pyarrow

    spelt = {column.lower(): column for row in reversed(rows) for column in row}
    names = list(dict.fromkeys(spelt[column.lower()] for row in rows for column in row))
    arrays: dict[str, pyarrow.Array] = {}
    for column in names:
        values = [next((v for c, v in row.items() if c.lower() == column.lower()), None) for row in rows]
        try:
            arrays[column] = _array(values)
        except (pyarrow.ArrowException, OverflowError, TypeError, ValueError):
            kinds = " and ".join(dict.fromkeys(_kind(value) for value in values if value is not None))
            message = f'the given rows of "{name}" hold {kinds} in column "{column}": no type has them all'
            raise DefinitionError(Problem(place, message)) from None
    for column in blank:
        arrays[column] = pyarrow.nulls(len(rows))
    if time in arrays and pyarrow.types.is_null(arrays[time].type):
        arrays[time] = arrays[time].cast(pyarrow.date32())
    return pyarrow.table(arrays)


def _array(values: Sequence[Any]) -> pyarrow.Array:
    """A column. Days among instants are their midnights, whole numbers among others are numbers."""
    import pyarrow

    kinds = {type(value) for value in values if value is not None}
    if kinds == {dt.date, dt.datetime}:
        values = [dt.datetime.combine(v, dt.time()) if type(v) is dt.date else v for v in values]
    if kinds == {int, float}:
        values = [float(v) if v is not None else None for v in values]
    if kinds <= {dt.date, dt.datetime} and dt.datetime in kinds:
        zones = {v.tzinfo is not None for v in values if v is not None}
        if len(zones) > 1:
            raise ValueError("instants with and without a zone")
        return pyarrow.array(values, pyarrow.timestamp("us", tz="UTC" if zones == {True} else None))
    if bool in kinds and len(kinds) > 1:
        raise ValueError("true or false among others")
    return pyarrow.array(values)


def _kind(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return "instants with a zone" if value.tzinfo else "instants without a zone"
    words = {bool: "true or false", int: "numbers", float: "numbers", str: "texts", dt.date: "dates", list: "lists"}
    return words.get(type(value), "mappings")
