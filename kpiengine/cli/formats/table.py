"""The table: by rich on a terminal, plain aligned columns in a pipe or a file."""

from __future__ import annotations

from collections.abc import Mapping

import click
import pyarrow as pa

from kpiengine.cli.formats import Look, Rows, Target
from kpiengine.cli.formats.cells import cells
from kpiengine.cli.formats.texts import chunks, decoded, is_number
from kpiengine.cli.tables import Grid, rich_lines

TERMINAL_ROWS = 1_000
"""More rows than anyone reads on a screen."""
PLAIN_CHUNK_ROWS = 10_000
"""Columns of a plain table are as wide as the widest of the first so many rows; later ones may widen them."""


def write_table(stream: Rows, looks: Mapping[str, Look], target: Target) -> int:
    """All rows as a table; on a terminal the first 1,000, with a note on standard error that there are more."""
    names = stream.schema.names
    right = [is_number(_plain_type(field.type)) for field in stream.schema]
    found = [looks.get(name, Look()) for name in names]
    rows = 0
    grid = Grid(names, right)
    for batch in chunks(stream, TERMINAL_ROWS if target.terminal else PLAIN_CHUNK_ROWS):
        if target.terminal and rows + batch.num_rows > TERMINAL_ROWS:
            batch = batch.slice(0, TERMINAL_ROWS - rows)
            grid.add(_rows(batch, found, terminal=True))
            rows = TERMINAL_ROWS
            click.echo(f"the first {rows:,} rows; --format csv or --out FILE gives them all, --limit fewer", err=True)
            break
        grid.add(_rows(batch, found, target.terminal))
        rows += batch.num_rows
        if not target.terminal:
            _write(target, grid.lines())
    if target.terminal:
        _write(target, rich_lines(grid))
    elif not rows:
        _write(target, grid.lines())
    if not rows:
        click.echo("no rows", err=True)
    return rows


def _rows(batch: pa.RecordBatch, looks: list[Look], terminal: bool) -> list[tuple[str, ...]]:
    columns = (cells(column, look, terminal) for column, look in zip(batch.columns, looks, strict=True))
    return list(zip(*columns, strict=True))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return decoded(pa.array([], kind)).type


def _write(target: Target, lines: list[str]) -> None:
    target.file.write("".join(line + "\n" for line in lines).encode())
