"""The conformance suite of connectors: what a connector owes, checked by one call in its author's tests.

check_connector(Ledger, {"path": "bank.ledger"}, [{"day": date(2026, 1, 5), "amount": Decimal("9.90")}], root=tmp_path)
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from kpiengine.connector import ArrowRelation, Connector, Relation, SourceContext, SqlRelation, TableRelation
from kpiengine.errors import DataError

OPTION_TYPES = (str, int, bool, float, list, dict)


def read_relation(relation: Relation) -> pa.Table:
    """All rows of a relation, as DuckDB reads them. A `QueryRelation` may read files, no other sources."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        if isinstance(relation, ArrowRelation):
            connection.register("rows", relation.open())
            return connection.sql("FROM rows").to_arrow_table()
        if isinstance(relation, TableRelation):
            raise TypeError(f"a table of an engine is read by that engine: {relation.table}")
        if not isinstance(relation, SqlRelation):
            return connection.sql(relation.query).to_arrow_table()
        for name, path in relation.attach.items():
            options = [exp.AttachOption(this=exp.var("READ_ONLY"))]
            alias = exp.alias_(exp.Literal.string(str(path)), exp.to_identifier(name, quoted=True))
            connection.execute(exp.Attach(this=alias, expressions=options).sql("duckdb"))
        statement = exp.select("*").from_(relation.expression.copy()).sql("duckdb")
        return connection.sql(statement).to_arrow_table()


@contextmanager
def source_context(root: Path | str = ".", source: str = "source") -> Iterator[SourceContext]:
    """A context as the engine gives it; its scratch folder is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="kpi-"))
    try:
        yield SourceContext(source, Path(root).resolve(), lambda: folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_connector(
    connector: type[Connector],
    options: Mapping[str, Any],
    expected: Sequence[Mapping[str, Any]],
    root: Path | str = ".",
) -> None:
    """Checks that a connector keeps its contract, and that its rows, in whatever order, are those expected.

    Raises:
        AssertionError: what it does not keep.
    """
    check_declaration(connector)
    unknown = set(options) - set(connector.options)
    assert not unknown, f"the options {sorted(unknown)} are not declared"
    with source_context(root) as context:
        made = connector()
        first, second = (made.relation(dict(options), context) for _ in range(2))
        for relation in (first, first, second):  # a project asks more than once
            rows = read_relation(relation).to_pylist()
            assert _sorted(rows) == _sorted(expected), f"rows: {rows}"
        if isinstance(first, SqlRelation | ArrowRelation):
            missing = [path for path in first.files if not path.exists()]
            assert not missing, f"files that are not there: {missing}"
        _check_missing_file(made, options, context)


def check_declaration(connector: type[Connector]) -> None:
    """Checks what a connector declares: its name, options, required options and endings."""
    assert issubclass(connector, Connector), f"{connector} is no subclass of kpiengine.connector.Connector"
    name = getattr(connector, "name", None)
    assert isinstance(name, str) and name and name == name.lower().strip(), f"a name in lower case, not {name!r}"
    for option, types in connector.options.items():
        wrong = [kind for kind in (types if isinstance(types, tuple) else (types,)) if kind not in OPTION_TYPES]
        assert not wrong, f'option "{option}" has the type {wrong}; there are {OPTION_TYPES}'
    assert set(connector.required) <= set(connector.options), "every required option is declared"
    assert all(ending.startswith(".") for ending in connector.endings), "endings begin with a dot"


def _check_missing_file(connector: Connector, options: Mapping[str, Any], context: SourceContext) -> None:
    """A file that is not there is a DataError with its absolute path, not another exception."""
    if not isinstance(options.get("path"), str):
        return
    absent = context.root / "no such folder" / "absent.file"
    try:
        read_relation(connector.relation({**options, "path": str(absent)}, context))
    except DataError as error:
        assert str(absent) in str(error), f"the message has to name {absent}: {error}"
    else:
        raise AssertionError("a missing file is no error")


def _sorted(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted((dict(row) for row in rows), key=lambda row: sorted((k, repr(v)) for k, v in row.items()))
