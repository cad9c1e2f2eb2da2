"""A Markdown table (GitHub's), numbers to the right."""

from __future__ import annotations

from collections.abc import Mapping

from kpiengine.cli.formats import Look, Rows, Target
from kpiengine.cli.formats.cells import cells
from kpiengine.cli.formats.texts import chunks, is_number


def write_markdown(stream: Rows, looks: Mapping[str, Look], target: Target) -> int:
    """A header, a rule, a line a row."""
    names = stream.schema.names
    rule = ["---:" if is_number(field.type) else "---" for field in stream.schema]
    found = [looks.get(name, Look()) for name in names]
    target.file.write((_line(names) + _line(rule)).encode())
    rows = 0
    for batch in chunks(stream):
        columns = [cells(column, look, terminal=False) for column, look in zip(batch.columns, found, strict=True)]
        target.file.write("".join(_line(row) for row in zip(*columns, strict=True)).encode())
        rows += batch.num_rows
    return rows


def _line(values: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(value.replace("\\", "\\\\").replace("|", "\\|") for value in values) + " |\n"
