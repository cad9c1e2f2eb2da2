"""A source bound to its data: which columns it has, of which type, and what each is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Protocol

from sqlglot import exp

from kpiengine.errors import DefinitionError, Place, Problem, choices, listing, suggest
from kpiengine.formula import safe_divisions
from kpiengine.functions import is_aggregate, plain_texts_written_out
from kpiengine.records import dataclass
from kpiengine.spec import SourceSpec
from kpiengine.spec.text import Text
from kpiengine.sqltext import Sql, parse_sql
from kpiengine.statistics import Bounds


class TypeFault(Exception):
    """An expression that the engine's binder refuses: its index in what was asked, and the reason in one line."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


class Catalog(Protocol):
    """What the model has to know of the data, told by the embedded engine without reading rows."""

    def schema(self, source: SourceSpec) -> Mapping[str, str]:
        """Raw column → DuckDB type, in the source's order. DataError where the source cannot be opened."""

    def types(self, columns: Mapping[str, str], expressions: Sequence[exp.Expr]) -> list[str]:
        """The DuckDB type of each expression over these columns. TypeFault for one that does not bind."""

    def query_types(
        self, rows: str, types: Mapping[str, str], ctes: Sequence[tuple[str, exp.Query]]
    ) -> Mapping[str, str]:
        """The columns of the last of `ctes`, which read a table `rows` with columns of these types, and each other."""

    def rows(self, source: SourceSpec) -> int | None:
        """How many rows the source has, where that is known without reading them."""

    def bounds(self, source: SourceSpec, column: str) -> Bounds | None:
        """The bounds of a raw column, where they are known without reading rows."""

    def distinct(self, source: SourceSpec, column: str) -> int | None:
        """About how many values a raw column has, where that is known without reading rows."""


@dataclass(frozen=True)
class Column:
    """A column that a metric can name. `expression` is over the raw columns; a plain raw column where not mapped."""

    name: str
    type: str
    expression: exp.Expr

    @property
    def is_raw(self) -> bool:
        """Whether the column is read as it is."""
        return isinstance(self.expression, exp.Column) and self.expression.name == self.name


@dataclass(frozen=True)
class Source:
    """A source and its columns by lower-case name: mapped ones, and raw ones that no mapped one hides."""

    spec: SourceSpec
    columns: Mapping[str, Column]
    filters: tuple[Sql, ...] = ()
    raw: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.spec.name

    def find(self, name: str) -> Column | None:
        """The column of that name, whatever its case."""
        return self.columns.get(name.lower())

    def lacks(self, name: str) -> str:
        """`source "orders" has: amount, …  (did you mean "amount"?)`."""
        names = [c.name for c in self.columns.values()]
        return f'source "{self.name}" has: {listing(names)}{suggest(name, names)}'


def quoted(name: str) -> exp.Column:
    """A reference to a column; quoted where its name is not a plain lower-case word."""
    return exp.column(identifier(name), copy=False)


def identifier(name: str) -> exp.Identifier:
    """A column's name; quoted where it is not a plain lower-case word."""
    return exp.Identifier(this=name, quoted=not _plain(name))


def _plain(name: str) -> bool:
    return name.isidentifier() and name.isascii() and name == name.lower() and name not in _RESERVED


# Words that at least one engine keeps for itself where a column's name may stand.
_RESERVED = frozenset(
    [
        "all",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "both",
        "case",
        "cast",
        "check",
        "collate",
        "column",
        "constraint",
        "create",
        "cross",
        "current_date",
        "current_role",
        "current_time",
        "current_timestamp",
        "current_user",
        "default",
        "deferrable",
        "desc",
        "describe",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "false",
        "fetch",
        "for",
        "foreign",
        "from",
        "full",
        "grant",
        "group",
        "having",
        "in",
        "initially",
        "inner",
        "intersect",
        "interval",
        "into",
        "is",
        "join",
        "lateral",
        "leading",
        "left",
        "like",
        "limit",
        "localtime",
        "localtimestamp",
        "natural",
        "not",
        "null",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "outer",
        "overlaps",
        "pivot",
        "placing",
        "primary",
        "qualify",
        "references",
        "returning",
        "right",
        "row",
        "rows",
        "select",
        "session_user",
        "show",
        "similar",
        "some",
        "summarize",
        "symmetric",
        "table",
        "then",
        "to",
        "trailing",
        "true",
        "union",
        "unique",
        "unpivot",
        "user",
        "using",
        "values",
        "variadic",
        "when",
        "where",
        "window",
        "with",
    ]
)


def bind_source(spec: SourceSpec, catalog: Catalog) -> Source:
    """The source with its columns typed. Raises DefinitionError, or DataError for one that cannot be read."""
    source, problems = bind_as_far(spec, catalog)
    if problems:
        raise DefinitionError(*problems)
    return source


def bind_as_far(spec: SourceSpec, catalog: Catalog) -> tuple[Source, list[Problem]]:
    """The source as far as it can be bound, without the columns, filters and time that are wrong, and its problems.

    Raises DataError for one that cannot be read.
    """
    raw = dict(catalog.schema(spec))
    by_lower = {name.lower(): Column(name, kind, quoted(name)) for name, kind in raw.items()}
    problems: list[Problem] = []
    mapped: dict[str, Sql] = {}
    for name, text in spec.columns.items():
        try:
            mapped[name] = _mapped(text, name, spec.name, raw, by_lower)
        except DefinitionError as error:
            problems += error.problems
    columns = dict(by_lower)
    types = _types(spec, catalog, raw, mapped, problems)
    for name, sql in mapped.items():
        if name in types:
            columns[name.lower()] = Column(name, types[name], sql.tree)
    ordered = {n.lower(): columns[n.lower()] for n in [*spec.columns, *raw] if n.lower() in columns}
    source = Source(spec, ordered, raw=raw)
    filters = _filters(source, catalog, problems)
    wrong_names = list(_names(source))
    if wrong_names and spec.time and (source.find(spec.time) is None or not is_temporal(_type_of(source, spec.time))):
        spec = replace(spec, time=None)
    return Source(spec, ordered, filters, raw), problems + wrong_names


def _type_of(source: Source, name: str) -> str:
    column = source.find(name)
    return column.type if column is not None else ""


def _mapped(text: Text, name: str, source: str, raw: Mapping[str, str], by_lower: Mapping[str, Column]) -> Sql:
    if text.value in raw:
        return Sql(quoted(text.value), text)
    what = f'column "{name}" of source "{source}"'
    sql = parse_sql(text, what)
    problems = [
        sql.problem(f"{what} is taken row by row: no aggregate here", n) for n in sql.tree.walk() if is_aggregate(n)
    ]
    tree = sql.tree.copy()
    for node in list(tree.find_all(exp.Column)):
        found = by_lower.get(node.name.lower()) if not node.table else None
        if found is None:
            message = f'{what}: unknown column "{node.sql("duckdb")}"; the data has: {choices(node.name, raw)}'
            problems.append(sql.problem(message, node))
        elif node is tree:
            tree = found.expression.copy()
        else:
            node.replace(found.expression.copy())
    if problems:
        raise DefinitionError(*problems)
    return Sql(safe_divisions(plain_texts_written_out(tree)), text)


def _types(
    spec: SourceSpec, catalog: Catalog, raw: Mapping[str, str], mapped: Mapping[str, Sql], problems: list[Problem]
) -> dict[str, str]:
    names = list(mapped)
    while names:
        try:
            return dict(zip(names, catalog.types(raw, [mapped[n].tree for n in names]), strict=True))
        except TypeFault as fault:
            name = names.pop(fault.index)
            problems.append(mapped[name].problem(f'column "{name}" of source "{spec.name}": {fault.reason}'))
    return {}


def _filters(source: Source, catalog: Catalog, problems: list[Problem]) -> tuple[Sql, ...]:
    found: list[Sql] = []
    what = f'filter of source "{source.name}"'
    for text in source.spec.filters:
        try:
            sql = own_columns(parse_sql(text, what), source, what)
            if is_condition(sql, source, catalog, what, problems):
                found.append(sql)
        except DefinitionError as error:
            problems += error.problems
    return tuple(found)


def is_condition(sql: Sql, source: Source, catalog: Catalog, what: str, problems: list[Problem]) -> bool:
    """Whether `sql`, over the source's columns, binds and is true or false; what is wrong goes to `problems`."""
    try:
        kind = catalog.types({c.name: c.type for c in source.columns.values()}, [sql.tree])[0]
    except TypeFault as fault:
        problems.append(sql.problem(f"{what}: {fault.reason}"))
        return False
    if kind != "BOOLEAN":
        problems.append(sql.problem(f"{what} is to be true or false, and this is {kind}"))
        return False
    return True


def own_columns(sql: Sql, source: Source, what: str) -> Sql:
    """`sql` with its names replaced by the source's columns, as they are spelt. DefinitionError for an unknown one."""
    problems = [
        sql.problem(f"{what} looks at one row: no aggregate here", n) for n in sql.tree.walk() if is_aggregate(n)
    ]
    tree = sql.tree.copy()
    for node in list(tree.find_all(exp.Column)):
        own = not node.table or node.table.lower() == source.name.lower()
        column = source.find(node.name) if own else None
        if column is None:
            problems.append(
                sql.problem(f'unknown column "{node.sql("duckdb")}" in {what}; {source.lacks(node.name)}', node)
            )
        elif node is tree:
            tree = quoted(column.name)
        else:
            node.replace(quoted(column.name))
    if problems:
        raise DefinitionError(*problems)
    return Sql(safe_divisions(plain_texts_written_out(tree)), sql.text)


def _names(source: Source) -> Iterable[Problem]:
    """Problems with the columns that `key`, `time` and `joins` name."""
    spec = source.spec
    for what, names in (("key", spec.key), ("time", (spec.time,) if spec.time else ())):
        place = spec.places.get(what, spec.place)
        for name in names:
            column = source.find(name)
            if column is None:
                yield Problem(place, f'unknown column "{name}" as {what}; {source.lacks(name)}')
            elif what == "time" and not is_temporal(column.type):
                message = (
                    f'time of source "{spec.name}" is "{name}", which is {column.type}: map it to a date under columns,'
                    f" for instance {_as_time(name, column.type)}"
                )
                yield Problem(place, message)
    for join in spec.joins.values():
        place = join.place if join.place.line else Place(spec.place.path, spec.place.line, spec.place.column)
        for name in join.on:
            if source.find(name) is None:
                yield Problem(place, f'unknown column "{name}" in join "{join.name}"; {source.lacks(name)}')


def _as_time(name: str, kind: str) -> str:
    if kind.endswith("INT") or kind == "INTEGER":  # seconds since 1970, or digits
        return f"{name}: to_timestamp({name}) or strptime(cast({name} as varchar), '%Y%m%d')"
    return f"{name}: cast({name} as date) or strptime({name}, '%d.%m.%Y')"


def is_temporal(kind: str) -> bool:
    """Whether a DuckDB type is a date or a point in time."""
    return kind == "DATE" or kind.startswith("TIMESTAMP") or kind == "DATETIME"
