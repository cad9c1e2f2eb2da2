"""Parquet and Arrow: the types exactly as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from kpiengine.cli.formats import Look, Rows, Target

ROW_GROUP_ROWS = 122_880
"""Rows of a Parquet row group: DuckDB's own size, so that it reads groups in parallel."""


def write_parquet(stream: Rows, looks: Mapping[str, Look], target: Target) -> int:
    """One Parquet file, zstd-compressed."""
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(target.file, stream.schema, compression="zstd") as file:
        for table in _groups(stream):
            file.write_table(table, row_group_size=ROW_GROUP_ROWS)
            rows += table.num_rows
    return rows


def write_arrow(stream: Rows, looks: Mapping[str, Look], target: Target) -> int:
    """Arrow's file format into a file (what `.arrow` and `.feather` mean), its stream format into a pipe."""
    make = pa.ipc.new_file if target.seekable else pa.ipc.new_stream
    rows = 0
    with make(target.file, stream.schema) as file:
        for batch in stream.batches:
            file.write_batch(batch)
            rows += batch.num_rows
    return rows


def _groups(stream: Rows) -> Iterator[pa.Table]:
    """Batches gathered to row groups: many small ones would make a file that is slow to read."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in stream.batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= ROW_GROUP_ROWS:
            yield pa.Table.from_batches(held)
            held, rows = [], 0
    if held:
        yield pa.Table.from_batches(held)
