"""Arrow arrays as people read them in a table."""

from __future__ import annotations

import pyarrow as pa

from kpiengine.cli.formats import Look
from kpiengine.cli.formats.shown import NOTHING, clean, decimals, floats, integers, percents
from kpiengine.cli.formats.texts import decoded, is_number, texts


def cells(array: pa.Array, look: Look, terminal: bool) -> list[str]:
    """Each value as a table shows it."""
    array = decoded(array)
    kind = array.type
    if is_number(kind) and look.unit in ("percent", "%"):
        return percents(array.to_pylist())
    if pa.types.is_floating(kind):
        return floats(array.to_pylist(), terminal, look.measure)
    if pa.types.is_decimal(kind) and terminal:
        return decimals(array.to_pylist())
    if pa.types.is_integer(kind) and terminal and look.measure:
        return integers(array.to_pylist())
    if is_number(kind):
        return [NOTHING if text is None else text for text in texts(array).to_pylist()]
    found = [NOTHING if text is None else clean(text) for text in texts(array).to_pylist()]
    return [text.replace("T", " ") for text in found] if pa.types.is_timestamp(kind) else found
