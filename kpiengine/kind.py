"""The contract of a metric kind: a KPI that no single formula can say, compiled to a table.

A kind is a subclass of `Kind`, registered by a plugin's `register_kinds` hook. It says which expressions of its
source it needs (`inputs`), and turns a table that holds just those into one or more common table expressions,
written as sqlglot trees in DuckDB's dialect; the engine's dialect is the core's work. Everything that SQL can say
is said in SQL, so that a kind runs on every engine. What cannot (a model fit) asks for a summary by `collect`.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar

from sqlglot import exp

from kpiengine.records import dataclass

if TYPE_CHECKING:
    import pyarrow

    from kpiengine.calendar import Calendar
    from kpiengine.statistics import Bounds


PORTABLE = ""
"""The dialect of a statement of which the engine is not known."""


@dataclass(frozen=True)
class KindOption:
    """An option of a kind. `type` is `str`, `int`, `float`, `bool`, `list`, `dict`, or a tuple of these.

    `column=True` says that its value is a column name or SQL over the source's columns, to be checked as such.
    `choices` are all the values that it takes.
    """

    type: type | tuple[type, ...] = str
    default: Any = None
    required: bool = False
    column: bool = False
    choices: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class KindColumn:
    """A column that a kind's table has. `entity` marks the one whose values tell the rows apart (`customer_id`),
    which is named as the source's column is. `labels` gives display texts of values: {"fa": {"champions": …}}."""

    name: str
    entity: bool = False
    label: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unit: str | None = None


@dataclass(frozen=True)
class Cte:
    """A named step of a statement. The name says what it holds: it is read by people."""

    name: str
    query: exp.Query


SQL_TYPES: Mapping[str, str] = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "date32[day]": "DATE",
}
"""Types that columns of `Rows` may have, by Arrow's names, and what they are in SQL."""


@dataclass(frozen=True)
class Rows:
    """A named step whose rows a kind made itself (a model's parameters or scores), in the place of a `Cte`.

    The columns' types are those of `SQL_TYPES`. An engine that reads Arrow may take `table` as it is; `query` says
    the same in SQL that every engine runs.
    """

    name: str
    table: pyarrow.Table

    @property
    def query(self) -> exp.Query:
        """`SELECT CAST(x AS BIGINT) AS x, … FROM (VALUES …)`."""
        types = {column.name: SQL_TYPES[str(column.type)] for column in self.table.schema}
        columns = [exp.column(name, quoted=True) for name in types]
        rows = [tuple(_literal(value) for value in row.values()) for row in self.table.to_pylist()]
        nothing = tuple(exp.null() for _ in types)
        values = exp.values(rows or [nothing], alias="given", columns=[column.this.copy() for column in columns])
        casts = [exp.cast(c, kind).as_(c.this.copy()) for c, kind in zip(columns, types.values(), strict=True)]
        query = exp.select(*casts).from_(values)
        return query if rows else query.where(exp.false())


def _literal(value: Any) -> exp.Expr:
    if isinstance(value, float):  # with an exponent it is a DOUBLE to every engine, and no DECIMAL
        text = repr(abs(value))
        number: exp.Expr = exp.Literal.number(text if "e" in text else f"{text}e0")
        return exp.Neg(this=number) if value < 0 else number
    if isinstance(value, dt.date):
        return exp.Literal.string(value.isoformat())
    return exp.convert(value)


@dataclass(frozen=True)
class KindTable:
    """A kind's answer: steps of which the last is the table, its columns in order, and how its rows are sorted."""

    ctes: tuple[Cte | Rows, ...]
    columns: tuple[KindColumn, ...]
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class KindContext:
    """What `Kind.compile` works on.

    `name` is the metric's; every CTE a kind makes starts with it (`rfm_scores`). `rows` names the table that holds
    the inputs, one column each, named as `inputs` names them, and the columns of `by`; the metric's and the source's
    filters are applied and rows later than a given `as_of` are gone. `types` gives each column's DuckDB type
    ("DECIMAL(12,2)", "TIMESTAMP"). `table` is None for the kind's main table, or the part behind the dot
    (`members`, `fit`). `collect` runs steps and gives the last one's rows.
    """

    name: str
    options: Mapping[str, Any]
    rows: str
    types: Mapping[str, str]
    calendar: Calendar
    by: tuple[str, ...] = ()
    as_of: dt.date | None = None
    table: str | None = None
    entity: str = ""
    """The name that the entity's column has in the result: the option's column (`customer_id`)."""
    collect: Callable[[Sequence[Cte | Rows]], pyarrow.Table] | None = None
    day: Callable[[str], exp.Expr] = exp.column
    """`day("time")` is the calendar day (DATE) of that input in the project's time zone."""
    period: Callable[[str, exp.Expr], exp.Expr | None] = lambda _name, _time: None
    """`period("month", moment)`: that column of `by` for a moment (the time axis's value, or a TIMESTAMP where that has
    no zone), None where it is no period of the time axis."""
    is_key: Callable[[str], bool] = lambda _: False
    """Whether that input is the source's key, a column that `key:` says to be unique."""
    bounds: Callable[[str], Bounds | None] = lambda _: None
    """`bounds("time")`: from where to where that input's values are proven to lie (see `kpiengine.statistics`), None
    where that is not known. A form that stands on it has to fail on a value outside of it, and never be wrong."""
    row_count: int | None = None
    """How many rows the source has, before any filter, where that is known. Good for telling what pays."""
    dialect: str = PORTABLE
    """The engine's dialect ("duckdb"), for forms that it alone has; with PORTABLE every engine has to understand."""


class Kind(ABC):
    """A metric kind. Stateless. Option checking is done by the core before any method here is called."""

    name: ClassVar[str]
    options: ClassVar[Mapping[str, KindOption]]
    tables: ClassVar[tuple[str, ...]] = ()
    """Further tables that can be queried as NAME.table (`members`, `fit`)."""
    takes_by: ClassVar[bool] = False
    """Whether a query's `--by` is handed to the kind (a funnel by channel) instead of being refused."""

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Further checks of options against each other: option name → what is wrong with it. Empty when all is well."""
        return {}

    @abstractmethod
    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Column name in `rows` → SQL over the source's columns, for all that `compile` will read."""

    def entity(self, options: Mapping[str, Any]) -> str | None:
        """The option that names the entity whose table this is ("customer"), or None for a kind without one."""
        return None

    def time(self, options: Mapping[str, Any]) -> str | None:
        """The input that is the time axis (rows later than `as_of` are dropped by it), or None."""
        return "time"

    @abstractmethod
    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        """The columns of a table, without compiling it; what `kpi show` and `--by NAME.column` are checked against."""

    @abstractmethod
    def compile(self, context: KindContext) -> KindTable:
        """The table as steps. Raises DataError where the data cannot carry it."""
