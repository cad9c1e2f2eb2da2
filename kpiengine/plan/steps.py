"""The steps of a plan: small frozen records, each a relation with a name that says what it holds.

Expressions are sqlglot trees in DuckDB's dialect. A column reference in a step is to a column of its `input`,
bare, or to a column of a joined step, with that step's alias in front.
"""

from __future__ import annotations

from dataclasses import field

from sqlglot import exp

from kpiengine.kind import Cte, Rows
from kpiengine.records import dataclass


@dataclass(frozen=True)
class Named:
    """An expression and the name of the column that it makes."""

    name: str
    expression: exp.Expr


@dataclass(frozen=True)
class Scan:
    """Reads a source: the columns that the query needs, as rows that pass the source's filters.

    Without `kept` each step that reads it reads the source.
    """

    name: str
    source: str
    columns: tuple[Named, ...]
    filters: tuple[exp.Expr, ...] = ()
    kept: bool = True


@dataclass(frozen=True)
class Link:
    """A LEFT JOIN (INNER where `required`) of `step` under `alias`. `on` holds for rows that meet."""

    step: str
    alias: str
    on: tuple[exp.Expr, ...]
    required: bool = False


@dataclass(frozen=True)
class Select:
    """Rows of `input`, joined with `links`, as `columns`. `distinct` keeps one of equal rows.

    Rows come in the order of the columns `sorted_by`, where there are any, NULL last: for a window without an order.
    """

    name: str
    input: str
    columns: tuple[Named, ...]
    links: tuple[Link, ...] = ()
    filters: tuple[exp.Expr, ...] = ()
    distinct: bool = False
    sorted_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Aggregate:
    """Rows of `input` grouped by `keys`, with `measures`. Without keys there is one row."""

    name: str
    input: str
    keys: tuple[Named, ...]
    measures: tuple[Named, ...]
    filters: tuple[exp.Expr, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Part:
    """A step that takes part in a stitch, and which of its columns it brings."""

    step: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Stitch:
    """Full outer join of parts on their keys, where NULL equals NULL. Each part has a key once at most."""

    name: str
    keys: tuple[str, ...]
    parts: tuple[Part, ...]

    def told(self, part: Part, column: str) -> str:
        """The name that a part's column has here: its own, with the part's step in front where two parts share it."""
        return column if sum(column in p.columns for p in self.parts) == 1 else f"{part.step}_{column}"


@dataclass(frozen=True)
class Union:
    """Rows of all `inputs` (UNION ALL), which have the same columns; distinct rows only where `distinct`."""

    name: str
    inputs: tuple[Select | Aggregate, ...]
    distinct: bool = False


@dataclass(frozen=True)
class Series:
    """Every day (or hour) from `low` to `high`, one row each, as column `name_of_column`.

    `bounds` is a step with one row and the columns `low` and `high`.
    """

    name: str
    bounds: str
    column: str
    hourly: bool = False


@dataclass(frozen=True)
class Given:
    """A step that a kind made: a query in DuckDB's dialect, or rows as an Arrow table, which `query` says too."""

    made: Cte | Rows

    @property
    def name(self) -> str:
        """The step's name."""
        return self.made.name

    @property
    def query(self) -> exp.Query:
        """The query; of many rows a long one."""
        return self.made.query

    @property
    def table(self) -> object | None:
        """The rows, where there are any."""
        return self.made.table if isinstance(self.made, Rows) else None


@dataclass(frozen=True)
class OutputColumn:
    """A column of the result. `role` is "period", "label", "dimension", "metric", "totals" or "column"."""

    name: str
    role: str
    metric: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Sorting:
    """A column of the output to sort by; NULL comes last either way."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class Output:
    """The rows that are shown. `inputs` are united; `filters`, `order` and `limit` see their columns by name.

    With `per`, `limit` holds for each group of equal values of those columns.
    """

    inputs: tuple[Select | Aggregate, ...]
    columns: tuple[OutputColumn, ...]
    filters: tuple[exp.Expr, ...] = ()
    order: tuple[Sorting, ...] = ()
    limit: int | None = None
    per: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeyCheck:
    """A join's right-hand side: `columns` of the scan `step` have to be unique where none is NULL."""

    step: str
    source: str
    columns: tuple[str, ...]
    joined_by: str


@dataclass(frozen=True)
class Met:
    """Each row of the scan `step` meets one of the scan `joined`: its `columns`, none NULL, are `keys` there."""

    step: str
    columns: tuple[str, ...]
    joined: str
    keys: tuple[str, ...]


Step = Scan | Select | Aggregate | Stitch | Union | Series | Given


@dataclass(frozen=True)
class Plan:
    """Steps in order (each reads earlier ones only), what is put out, and what has to hold before it is believed."""

    steps: tuple[Step, ...]
    output: Output
    checks: tuple[KeyCheck, ...] = ()
    sources: tuple[str, ...] = field(default=())
    met: tuple[Met, ...] = ()
