"""Sheets of Excel workbooks (.xlsx, .xlsm, .xlsb, .xls) and of LibreOffice's (.ods)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kpiengine.connector import ArrowRelation, Connector, OptionType, SourceContext
from kpiengine.errors import DataError, listing, suggest
from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    import pyarrow

_EXACT = 2**53
"""Whole numbers up to here are themselves in a cell, which holds a floating point number."""


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    """The connector `excel`."""
    return [Excel]


class Excel(Connector):
    """A sheet of a workbook. Options:

    - `path`: the file.
    - `sheet`: its name, or its number counted from 1 (the first).
    - `header_row`: the row, counted from 1 as Excel shows it, that holds the names (the first that is not empty).
    - `skip`: rows to leave out under the header (units, a line of totals).
    - `columns`: what to read: Excel's letters (`B:F`, `A,C,E:G`) or a list of names.

    Rows and columns without any value are left out. A name that is there twice gets a number: `amount`, `amount_1`.
    Needs `pip install "kpiengine[excel]"`.
    """

    name = "excel"
    endings = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
    options: ClassVar[Mapping[str, OptionType]] = {
        "path": str,
        "sheet": (int, str),
        "header_row": int,
        "skip": int,
        "columns": (str, list),
    }

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> ArrowRelation:
        """The sheet as an Arrow table."""
        from kpiengine_connectors import _files

        (path,) = _files.find([options["path"]], context).files
        table = _table(path, options, context)
        return ArrowRelation(lambda: table, files=(path,))


def _table(path: Path, options: Mapping[str, Any], context: SourceContext) -> pyarrow.Table:
    try:
        import fastexcel
    except ImportError as error:
        cure = 'Excel files need an extra: pip install "kpiengine[excel]"'
        raise DataError(f'source "{context.source}": {cure} ({path})') from error
    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it warns of every column without a value
    try:
        workbook = fastexcel.read_excel(path)
        sheet = _sheet(workbook.sheet_names, options.get("sheet", 1), path, context)
        return _rows(workbook, sheet, options, path, context)
    except fastexcel.FastExcelError as error:
        reason = str(error).split("\n")[0]
        raise DataError(f'source "{context.source}": {path} cannot be read as a workbook: {reason}') from error


def _sheet(names: list[str], wanted: int | str, path: Path, context: SourceContext) -> str:
    if isinstance(wanted, int):
        if 1 <= wanted <= len(names):
            return names[wanted - 1]
        there = f"there are {len(names)}, counted from 1: {listing(names, 20)}"
        raise DataError(f'source "{context.source}": {path} has no sheet {wanted}; {there}')
    by_lower = {name.strip().lower(): name for name in names}
    found = wanted if wanted in names else by_lower.get(wanted.strip().lower())
    if found is None:
        near = suggest(wanted, names) or f"; there are: {listing(names, 20)}"
        raise DataError(f'source "{context.source}": {path} has no sheet "{wanted}"{near}')
    return found


def _rows(workbook: Any, sheet: str, options: Mapping[str, Any], path: Path, context: SourceContext) -> pyarrow.Table:
    from kpiengine_connectors._names import column_names

    place = f'source "{context.source}": sheet "{sheet}" of {path}'
    letters = options["columns"] if isinstance(options.get("columns"), str) else None
    cells = workbook.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string", use_columns=letters).to_arrow()
    filled = _filled(cells)
    if not filled:
        raise DataError(f"{place} is empty")
    first = options.get("header_row", filled[0] + 1) - 1
    if first not in filled:
        raise DataError(f"{place} has no header in row {first + 1}; its first row with values is {filled[0] + 1}")
    header = [cells.column(index)[first].as_py() for index in range(cells.num_columns)]
    below = first + 1 + options.get("skip", 0)
    loaded = workbook.load_sheet(
        sheet, header_row=None, skip_rows=below, schema_sample_rows=None, use_columns=letters
    ).to_arrow()
    return _table_of(loaded, header, column_names(header), options, place)


def _filled(cells: pyarrow.RecordBatch) -> list[int]:
    """The numbers, from 0, of the rows that hold a value."""
    rows = zip(*(column.to_pylist() for column in cells.columns), strict=True)
    return [number for number, row in enumerate(rows) if any(value is not None and value.strip() for value in row)]


def _table_of(
    loaded: pyarrow.RecordBatch, header: list[str | None], names: list[str], options: Mapping[str, Any], place: str
) -> pyarrow.Table:
    import pyarrow

    wanted = _wanted(options.get("columns"), names, place)
    columns: dict[str, Any] = {}
    for index, name in enumerate(names):
        column = _typed(loaded.column(index)) if index < loaded.num_columns else pyarrow.nulls(loaded.num_rows)
        if name in wanted and (header[index] or column.null_count < len(column)):
            columns[name] = column
    table = pyarrow.table(columns)
    kept = _not_empty(table)
    return table if kept is None else table.filter(kept)


def _wanted(given: Any, names: list[str], place: str) -> set[str]:
    if not isinstance(given, list):
        return set(names)
    by_lower = {name.lower(): name for name in names}
    for column in given:
        if str(column).lower() not in by_lower:
            near = suggest(str(column), names) or f"; it has: {listing(names, 20)}"
            raise DataError(f'{place} has no column "{column}"{near}')
    return {by_lower[str(column).lower()] for column in given}


def _typed(column: pyarrow.Array) -> pyarrow.Array:
    """Numbers that are all whole as integers, times that are all midnight as dates, blank texts as NULL."""
    import pyarrow
    import pyarrow.compute as pc

    kind = column.type
    if column.null_count == len(column):
        return pyarrow.nulls(len(column), pyarrow.string())
    if pyarrow.types.is_floating(kind):
        whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less_equal(pc.abs(column), float(_EXACT)))
        return column.cast(pyarrow.int64()) if pc.all(whole).as_py() else column
    if pyarrow.types.is_timestamp(kind):
        days = column.cast(pyarrow.date32(), safe=False)
        return days if pc.all(pc.equal(days.cast(kind), column)).as_py() else column
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        blank = pc.equal(pc.utf8_trim_whitespace(column), "")
        return pc.if_else(blank, pyarrow.scalar(None, kind), column)
    return column


def _not_empty(table: pyarrow.Table) -> Any:
    """Which rows hold a value; None where all do."""
    import pyarrow.compute as pc

    kept = None
    for column in table.columns:
        valid = pc.is_valid(column)
        kept = valid if kept is None else pc.or_(kept, valid)
    return kept
