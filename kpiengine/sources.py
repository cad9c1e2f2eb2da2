"""The sources of a project, opened: connectors asked once, what they give made readable for the engine."""

from __future__ import annotations

import glob
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError

from kpiengine.connector import (
    ArrowRelation,
    Connector,
    QueryRelation,
    Relation,
    SourceContext,
    SqlRelation,
    TableRelation,
)
from kpiengine.duck import DuckSession, empty
from kpiengine.duckerrors import plain_reason
from kpiengine.elsewhere import Elsewhere, engine_table
from kpiengine.errors import DataError, DefinitionError, KpiError, Problem
from kpiengine.footers import Footers, bounds_of, width
from kpiengine.functions import REFUSED_FUNCTIONS, function_name
from kpiengine.model import Model, Source
from kpiengine.model.source import identifier
from kpiengine.plan.expressions import column
from kpiengine.spec import ProjectSpec, SourceSpec
from kpiengine.sql import RenderedSource
from kpiengine.statistics import Bounds

_READERS = frozenset(
    {"read_csv", "read_csv_auto", "read_parquet", "parquet_scan", "read_json", "read_json_auto", "read_ndjson", "glob"}
)


Read = Callable[[str, "SqlRelation | ArrowRelation | TableRelation"], exp.Expr]
"""What a relation of the source of that name is read from."""


class _Within(threading.local):
    """The `{sql: …}` sources that this thread is opening, one inside the other."""

    def __init__(self) -> None:
        self.names: list[str] = []


class Sources:
    """Tells the model what a source's columns are, and the statement what it is read from.

    `connectors` finds a connector by name. `session` types formulas and, with no engine `elsewhere`, runs statements.
    `foreseen` is false once something was read, or could not be, that no source's own files tell.
    """

    def __init__(
        self,
        spec: ProjectSpec,
        connectors: Callable[[str], Connector],
        session: DuckSession,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.spec = spec
        self.session = session
        self.elsewhere = elsewhere
        self.footers = Footers(session)
        self.model: Model | None = None
        self._connectors = connectors
        self._relations: dict[str, Relation] = {}
        self._schemas: dict[str, dict[str, str]] = {}
        self._bound: dict[str, Any] = {}
        self._within = _Within()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self.foreseen = True

    def close(self) -> None:
        """Removes what connectors wrote aside."""
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def bind(self, name: str, value: Any) -> None:
        """Puts an Arrow object in the place of a source's data."""
        self._bound[name] = value
        self._relations.pop(name, None)
        self._schemas.pop(name, None)

    @property
    def opened(self) -> Mapping[str, Relation]:
        """What the connectors gave for the sources that were opened so far."""
        return self._relations

    def is_built_in(self, name: str) -> bool:
        """Whether a source is read by one of the connectors that come with kpiengine."""
        connector = self._connectors(self.spec.sources[name].connector)
        return type(connector).__module__.startswith("kpiengine_connectors.")

    @property
    def has_scratch(self) -> bool:
        """Whether a connector wrote anything aside."""
        return self._scratch is not None

    def scratch(self) -> Path:
        """A folder that lives as long as the project object."""
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="kpi-")
        return Path(self._scratch.name)

    # -- Catalog

    def schema(self, source: SourceSpec) -> Mapping[str, str]:
        """The raw columns of a source and their types."""
        if source.name not in self._schemas:
            try:
                found = self._described(source)
            except duckdb.Error as error:
                reason = plain_reason(str(error))
                self.foreseen = False
                raise DataError(Problem(source.place, f'source "{source.name}" cannot be read: {reason}')) from error
            self._schemas[source.name] = found
        return self._schemas[source.name]

    def _described(self, source: SourceSpec) -> dict[str, str]:
        rendered = self._from(source.name, self._in_duckdb)
        query: exp.Query = exp.select("*").from_(rendered.expression.copy())
        for name, cte in rendered.ctes:
            query = query.with_(exp.to_identifier(name), as_=cte.copy(), copy=False)
        return self.session.query_columns(query)

    def types(self, columns: Mapping[str, str], expressions: Sequence[exp.Expr]) -> list[str]:
        """The types of expressions over columns."""
        return self.session.types(columns, expressions)

    def query_types(
        self, rows: str, types: Mapping[str, str], ctes: Sequence[tuple[str, exp.Query]]
    ) -> Mapping[str, str]:
        """The columns of the last of `ctes`, which read a table `rows` of these types."""
        query: exp.Query = exp.select("*").from_(ctes[-1][0]).with_(exp.to_identifier(rows), as_=empty(types))
        for name, cte in ctes:
            query = query.with_(exp.to_identifier(name), as_=cte.copy(), copy=False)
        return self.session.query_columns(query)

    def rows(self, source: SourceSpec) -> int | None:
        """How many rows the files of a source say that they have, or an Arrow table has."""
        table = self._table(source.name)
        if table is not None:
            return int(table.num_rows)
        return self.footers.rows(self.relation(source.name))

    def bounds(self, source: SourceSpec, column: str) -> Bounds | None:
        """What the files of a source say of a raw column's values; those of an Arrow table are looked at."""
        table = self._table(source.name)
        if table is not None:
            return bounds_of(table, column, self.schema(source)[column])
        return self.footers.bounds(self.relation(source.name), column, self.schema(source)[column])

    def distinct(self, source: SourceSpec, column: str) -> int | None:
        """About how many values of a raw column the files of a source say that there are."""
        if self._table(source.name) is not None:
            return width(self.bounds(source, column))
        return self.footers.distinct(self.relation(source.name), column, self.schema(source)[column])

    def _table(self, name: str) -> Any | None:
        """The Arrow table that stands in a source's place, and stays what it is."""
        value = self._bound.get(name)
        return (
            value
            if value is not None and type(value).__module__ == "pyarrow.lib" and hasattr(value, "num_rows")
            else None
        )

    # -- relations

    def rendered(self, name: str) -> RenderedSource:
        """What stands in the FROM of a scan of this source, in a statement for the engine."""
        return self._from(name, self._in_duckdb if self.elsewhere is None else self.elsewhere.read)

    def typed(self, name: str) -> RenderedSource:
        """A table in DuckDB with the columns of this source and no rows: for what a statement's result will be."""
        return RenderedSource(empty(self.schema(self.spec.sources[name])).subquery(name))

    def _from(self, name: str, read: Read) -> RenderedSource:
        relation = self.relation(name)
        if not isinstance(relation, QueryRelation):
            return self._typed(name, RenderedSource(read(name, relation)))
        self._within.names.append(name)
        try:
            return self._typed(name, self._derived(self.spec.sources[name], relation, read))
        finally:
            self._within.names.pop()

    def _typed(self, name: str, source: RenderedSource) -> RenderedSource:
        columns = self._schemas.get(name)
        return source if columns is None else source.with_columns(columns)

    def _in_duckdb(self, name: str, relation: SqlRelation | ArrowRelation | TableRelation) -> exp.Expr:
        """What DuckDB reads: a table of another engine's has its columns here, and no rows."""
        if isinstance(relation, ArrowRelation):
            table = f"{name}_arrow"
            self.session.bind(table, relation.open())
            return exp.to_table(identifier(table).sql("duckdb"))
        if isinstance(relation, SqlRelation):
            for database, path in relation.attach.items():
                self.session.attach(database, path)
            return relation.expression
        place = self.spec.sources[name].place
        if self.elsewhere is not None:
            try:
                columns = self.elsewhere.columns(relation)
            except DataError as error:
                raise DataError(*(Problem(place, f'source "{name}": {p.message}') for p in error.problems)) from error
            return empty(columns).subquery(engine_table(relation).name)
        cure = "name its engine under engine:, or read a file's table with {duckdb: {path: …, table: …}}"
        message = f'source "{name}" is a table of an engine, and DuckDB in memory has none of its own: {cure}'
        raise DefinitionError(Problem(place, message))

    def bound(self, name: str, table: Any) -> exp.Expr:
        """What a table that a kind made is read from, in a statement for the engine."""
        return self.bound_in_duckdb(name, table) if self.elsewhere is None else self.elsewhere.given(name, table)

    def bound_in_duckdb(self, name: str, table: object) -> exp.Expr:
        """What a table that a kind made is read from in DuckDB."""
        self.session.bind(f"{name}_arrow", table)
        return exp.to_table(f"{name}_arrow")

    def relation(self, name: str) -> Relation:
        """What the source's connector gives, asked once."""
        if name not in self._relations:
            self._relations[name] = self._opened(self.spec.sources[name])
        return self._relations[name]

    def files(self, name: str) -> tuple[Path, ...] | None:
        """The files that all rows of a source come from; None where they may come from elsewhere, too."""
        relation = self.relation(name)
        if self.elsewhere is not None:
            return None  # rows handed over to another engine may be older than the files are now
        if not isinstance(relation, SqlRelation) or relation.attach:
            return None  # an attached database may hold views over anything
        return relation.files or None

    def _opened(self, source: SourceSpec) -> Relation:
        if source.name in self._bound:
            value = _kept(self._bound[source.name])
            return ArrowRelation(lambda: value)
        connector = self._connectors(source.connector)
        options = {name: option.value for name, option in source.options.items()}
        context = SourceContext(source.name, Path(self.spec.root), self.scratch)
        try:
            return connector.relation(options, context)
        except KpiError as error:
            self.foreseen = False
            raise type(error)(*[Problem(source.place, p.message) for p in error.problems]) from error

    def _derived(self, source: SourceSpec, relation: QueryRelation, read: Read) -> RenderedSource:
        """A source that is a query: names of other sources in it become those sources, with their mapped columns."""
        query = _checked_query(source, relation.query)
        ctes: dict[str, exp.Query] = {}
        own = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
        by_lower = {name.lower(): name for name in self.spec.sources}
        for table in list(query.find_all(exp.Table)):
            name = by_lower.get(table.name.lower())
            plain = isinstance(table.this, exp.Identifier) and not table.db and table.name.lower() not in own
            if name is None or not plain:
                if _with_whole_paths(table, Path(self.spec.root), own):
                    self.foreseen = False
                self._read_by_engine(source.name, table, own, read)
                continue
            if name in self._within.names:
                way = " → ".join([*self._within.names[self._within.names.index(name) :], name])
                raise DefinitionError(Problem(source.place, f'source "{source.name}" is a query over itself: {way}'))
            inner, step = self._whole(name, read), f"{name}_all"
            ctes |= dict(inner.ctes)
            assert isinstance(inner.expression, exp.Query)
            ctes[step] = inner.expression
            alias = table.alias or table.name
            table.replace(exp.alias_(exp.to_table(step), alias, table=True))
        return RenderedSource(query.subquery(source.name), tuple(ctes.items()))

    def _read_by_engine(self, source: str, table: exp.Table, own: Collection[str], read: Read) -> None:
        """Files and tables that the query of a source names, as another engine has them."""
        if self.elsewhere is None or (table.name.lower() in own and not table.db):
            return
        alias = table.args.get("alias") or exp.TableAlias()
        plain: exp.Expr = exp.Table(**{key: value for key, value in table.copy().args.items() if key != "alias"})
        file = not isinstance(table.this, exp.Identifier) or (table.this.quoted and "/" in table.name)
        columns = [column.name for column in alias.columns]
        if file and columns:  # ClickHouse cannot name a table's columns so: rows come named
            named = exp.alias_(plain, alias.name, table=columns)
            plain, columns = exp.select("*").from_(named).subquery(), []
        relation = SqlRelation(plain) if file else TableRelation(plain.sql("duckdb"))
        found = read(f"{source}_files" if file else source, relation)
        if alias.name:
            found = exp.alias_(found.copy(), alias.name, table=columns or True)
        table.replace(found)

    def _whole(self, name: str, read: Read) -> RenderedSource:
        """All columns of a source, as its filters leave its rows."""
        assert self.model is not None
        bound: Source = self.model.source(name)
        rendered = self._from(name, read)
        columns = [exp.alias_(c.expression.copy(), identifier(c.name)) for c in bound.columns.values()]
        whole = exp.select(*columns).from_(rendered.expression.copy())
        if bound.filters:
            kept = exp.select("*").from_(whole.subquery(name)).where(*[f.tree.copy() for f in bound.filters])
            return RenderedSource(kept, rendered.ctes)
        return RenderedSource(whole, rendered.ctes)


def _with_whole_paths(table: exp.Table, root: Path, own: Collection[str]) -> bool:
    """Files that a query reads, by their whole path: the statement runs in any folder. Whether it may read any."""
    if isinstance(table.this, exp.Identifier):
        if table.this.quoted and not table.db and "." in table.name and table.name.lower() not in own:
            table.this.set("this", _whole_path(table.name, root))
        return table.name.lower() not in own
    if function_name(table.this) not in _READERS:
        return True
    files = table.this.this if isinstance(table.this, exp.ReadCSV) else next(iter(table.this.expressions), None)
    for part in files.expressions if isinstance(files, exp.Array) else [files]:
        if isinstance(part, exp.Literal) and part.is_string:
            part.set("this", _whole_path(part.name, root))
    return True


def _whole_path(text: str, root: Path) -> str:
    """A path or pattern below `root`; one that begins with a scheme (`s3://…`) stays as it is."""
    if "://" in text or Path(text).is_absolute():
        return text
    return f"{glob.escape(str(root))}/{text}"


def _kept(value: Any) -> Any:
    """An Arrow object that can be read more than once: a reader is read into a table."""
    import pyarrow
    import pyarrow.dataset

    if isinstance(value, pyarrow.Table | pyarrow.dataset.Dataset):
        return value
    if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__") or isinstance(value, dict):
        return pyarrow.table(value)
    raise DataError(f"a source is bound to an Arrow table, reader or dataset, not to {type(value).__name__}")


def _checked_query(source: SourceSpec, text: str) -> exp.Query:
    """The query of a `{sql: …}` source: one SELECT that changes nothing."""
    what = f'the sql of source "{source.name}"'
    try:
        trees = Dialect.get_or_raise("duckdb").parse(text)
    except (ParseError, TokenError) as error:
        detail = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        near = f' near "{detail.get("highlight")}"' if detail.get("highlight") else ""
        raise DefinitionError(
            Problem(source.place, f"{what} cannot be read{near} (line {detail.get('line', 1)} of it)")
        ) from None
    statements = [t for t in trees if t is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise DefinitionError(Problem(source.place, f"{what} is to be one SELECT"))
    query = statements[0]
    for node in query.walk():
        if isinstance(node, exp.DML | exp.DDL | exp.Command) and not isinstance(node, exp.Query):
            raise DefinitionError(
                Problem(source.place, f"{what} may read only, and this changes something: {node.key.upper()}")
            )
        name = function_name(node)
        if name in REFUSED_FUNCTIONS - _READERS:
            raise DefinitionError(Problem(source.place, f"{what} may not call {name}()"))
    return query


__all__ = ["Sources", "column"]
