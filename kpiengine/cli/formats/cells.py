"""Values as people read them in a table: percent, sensible digits, NULL as a dash.

On a terminal numbers are shaped for the eye (thousands apart, few digits); in a pipe, a file or Markdown they are
plain, so that the next program can read them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from kpiengine.cli.formats import Look
from kpiengine.cli.formats.texts import decoded, is_number, texts

NOTHING = "–"
"""What stands for NULL."""

PLAIN_PLACES = 6
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {9: "\\t", 10: "\\n", 13: "\\r"}


def cells(array: pa.Array, look: Look, terminal: bool) -> list[str]:
    """Each value as a table shows it."""
    array = decoded(array)
    kind = array.type
    if is_number(kind) and look.unit in ("percent", "%"):
        return _percents(array.to_pylist())
    if pa.types.is_floating(kind):
        return _floats(array.to_pylist(), terminal, look)
    if pa.types.is_decimal(kind) and terminal:
        return [NOTHING if value is None else f"{value:,f}" for value in array.to_pylist()]
    if pa.types.is_integer(kind) and terminal and look.measure:
        return [NOTHING if value is None else f"{value:,}" for value in array.to_pylist()]
    if is_number(kind):
        return [NOTHING if text is None else text for text in texts(array).to_pylist()]
    found = [NOTHING if text is None else clean(text) for text in texts(array).to_pylist()]
    return [text.replace("T", " ") for text in found] if pa.types.is_timestamp(kind) else found


def clean(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return text.translate(_CONTROLS) if not text.isprintable() else text


def _percents(values: Sequence[Any]) -> list[str]:
    shares = [None if value is None else float(value) * 100 for value in values]
    largest = max((abs(share) for share in shares if share is not None and math.isfinite(share)), default=0.0)
    places = 1 if largest >= 1 or largest == 0 else 3
    return [NOTHING if share is None else f"{share:.{places}f}%" for share in shares]


def _floats(values: Sequence[float | None], terminal: bool, look: Look) -> list[str]:
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if not terminal:
        return [NOTHING if value is None else _plain(value) for value in values]
    if 0 < largest < 1e-3:
        return [NOTHING if value is None else f"{value:.4g}" for value in values]
    most = 2 if largest >= 1000 else 4
    places = max((_places(value, most) for value in values if value is not None), default=0)
    places = 2 if places == 1 else places  # 12.5 beside 3.25 reads badly, and so does 12.5 as an amount of money
    comma = "," if look.measure else ""
    return [NOTHING if value is None else f"{value:{comma}.{places}f}" for value in values]


def _places(value: float, most: int) -> int:
    """How many decimal places the value has, `most` at most."""
    if not math.isfinite(value):
        return 0
    _, _, decimals = f"{value:.{most}f}".partition(".")
    return len(decimals.rstrip("0"))


def _plain(value: float) -> str:
    if not math.isfinite(value) or (value and not 1e-4 <= abs(value) < 1e15):
        return repr(value)
    text = f"{value:.{PLAIN_PLACES}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
