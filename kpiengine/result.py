"""The answer to a query: run when it is first read, and handed on as Arrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kpiengine.plan import OutputColumn

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from kpiengine.compiled import Asked


Fetch = Callable[[], tuple[list[tuple[str, str]], Callable[[int], list[tuple[Any, ...]]]]]
"""Runs a statement. See `Result.fetched`."""


class Result:
    """Rows of a query. Speaks the Arrow PyCapsule protocol: `pyarrow.table(r)`, `polars.DataFrame(r)`,
    `duckdb.sql("from r")` take it as it is.

    `sql` is the statement, in DuckDB's dialect; `columns` say what each column is.
    """

    def __init__(
        self,
        sql: str,
        columns: tuple[OutputColumn, ...],
        run: Callable[[], pyarrow.RecordBatchReader],
        keep: Callable[[Asked, int], None] | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self.sql = sql
        self.columns = columns
        self._run = run
        self._keep = keep
        self._fetch = fetch
        self._table: pyarrow.Table | None = None

    def reader(self) -> pyarrow.RecordBatchReader:
        """The rows as a stream of batches. Runs the statement, unless the rows are in memory already."""
        return self._table.to_reader() if self._table is not None else self._run()

    def fetched(self) -> tuple[list[tuple[str, str]], Callable[[int], list[tuple[Any, ...]]]] | None:
        """The columns' names and DuckDB types, and what gives so many rows at most as Python values, once, without
        Arrow. None where many rows are to be expected, or come by Arrow in any case."""
        return None if self._fetch is None else self._fetch()

    def keep(self, asked: Asked, rows: int) -> None:
        """Keeps the compiled query for the next process that asks the same. `rows` is how many it gave."""
        if self._keep is not None:
            self._keep(asked, rows)

    def arrow(self) -> pyarrow.Table:
        """All rows as a table, kept for the next time."""
        if self._table is None:
            self._table = self._run().read_all()
        return self._table

    def df(self) -> pandas.DataFrame:
        """All rows as a pandas DataFrame. Needs pandas."""
        return self.arrow().to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """All rows as dictionaries of Python values."""
        found: list[dict[str, Any]] = self.arrow().to_pylist()
        return found

    def __len__(self) -> int:
        return int(self.arrow().num_rows)

    def __arrow_c_schema__(self) -> object:
        """The schema, for the PyCapsule protocol."""
        return self.arrow().schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows, for the PyCapsule protocol."""
        return self.arrow().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"<Result {', '.join(c.name for c in self.columns)}>"
