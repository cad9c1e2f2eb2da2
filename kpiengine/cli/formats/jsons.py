"""JSON (an array of objects) and JSON lines; numbers keep all their digits, dates are ISO texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from kpiengine.cli.formats import Look, Rows, Target
from kpiengine.cli.formats.texts import chunks, fragment, fragments


def write_json(stream: Rows, looks: Mapping[str, Look], target: Target) -> int:
    """One array, an object a line."""
    rows = 0
    separator = "[\n  "
    for lines in _objects(stream):
        target.file.write((separator + ",\n  ".join(lines)).encode())
        separator = ",\n  "
        rows += len(lines)
    target.file.write(b"\n]\n" if rows else b"[]\n")
    return rows


def write_jsonl(stream: Rows, looks: Mapping[str, Look], target: Target) -> int:
    """An object a line."""
    rows = 0
    for lines in _objects(stream):
        target.file.write(("\n".join(lines) + "\n").encode())
        rows += len(lines)
    return rows


def _objects(stream: Rows) -> Iterator[list[str]]:
    labels = [f"{fragment(name)}: " for name in stream.schema.names]
    for batch in chunks(stream):
        parts: list[pa.Array | str] = []
        for position, (label, column) in enumerate(zip(labels, batch.columns, strict=True)):
            parts += [("{" if position == 0 else ", ") + label, fragments(column)]
        lines: list[str] = pc.binary_join_element_wise(*parts, "}", "").to_pylist()
        yield lines
