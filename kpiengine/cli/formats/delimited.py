"""CSV as RFC 4180 quotes it: only where needed, NULL empty, an empty text `""`; lines end with a line feed."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from kpiengine.cli.formats import Look, Rows, Target
from kpiengine.cli.formats.texts import chunks, decoded, is_nested, is_text, texts

_SPECIAL = '[",\r\n]'


def write_csv(stream: Rows, looks: Mapping[str, Look], target: Target) -> int:
    """A header, then a line a row."""
    names = quoted(pa.array(stream.schema.names, pa.string())).to_pylist()
    target.file.write((",".join(names) + "\n").encode())
    rows = 0
    for batch in chunks(stream):
        # A lone NULL would be an empty line, which readers skip: a row would be lost.
        nothing = '""' if batch.num_columns == 1 else ""
        columns = [_column(column) for column in batch.columns]
        lines = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement=nothing)
        target.file.write(("\n".join(lines.to_pylist()) + "\n").encode())
        rows += batch.num_rows
    return rows


def quoted(array: pa.Array) -> pa.Array:
    """Texts in double quotes where they hold a comma, a quote or a line break, or are empty."""
    needs = pc.or_(pc.match_substring_regex(array, _SPECIAL), pc.equal(array, ""))
    if not pc.any(needs).as_py():
        return array
    escaped = pc.binary_join_element_wise('"', pc.replace_substring(array, '"', '""'), '"', "")
    return pc.if_else(needs, escaped, array)


def _column(array: pa.Array) -> pa.Array:
    kind = decoded(array).type
    plain = pa.types.is_primitive(kind) or pa.types.is_decimal(kind)
    if plain and not is_text(kind) and not is_nested(kind):
        return texts(array)
    return quoted(texts(array))
