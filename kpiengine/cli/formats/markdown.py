"""A Markdown table (GitHub's), numbers to the right."""

from __future__ import annotations

from collections.abc import Mapping

from kpiengine.cli.formats import Look, Rows, Target
from kpiengine.cli.formats.cells import cells
from kpiengine.cli.formats.shown import markdown_line
from kpiengine.cli.formats.texts import chunks, is_number


def write_markdown(stream: Rows, looks: Mapping[str, Look], target: Target) -> int:
    """A header, a rule, a line a row."""
    names = stream.schema.names
    rule = ["---:" if is_number(field.type) else "---" for field in stream.schema]
    found = [looks.get(name, Look()) for name in names]
    target.file.write((markdown_line(names) + markdown_line(rule)).encode())
    rows = 0
    for batch in chunks(stream):
        columns = [cells(column, look, terminal=False) for column, look in zip(batch.columns, found, strict=True)]
        target.file.write("".join(markdown_line(row) for row in zip(*columns, strict=True)).encode())
        rows += batch.num_rows
    return rows
