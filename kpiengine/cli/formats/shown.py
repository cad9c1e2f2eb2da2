"""Values as people read them in a table: percent, sensible digits, NULL as a dash.

On a terminal numbers are shaped for the eye (thousands apart, few digits); in a pipe, a file or Markdown they are
plain, so that the next program can read them. Nothing here needs Arrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

NOTHING = "–"
"""What stands for NULL."""

PLAIN_PLACES = 6
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {9: "\\t", 10: "\\n", 13: "\\r"}


def clean(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return text.translate(_CONTROLS) if not text.isprintable() else text


def decimals(values: Sequence[Any]) -> list[str]:
    """Decimals with all their digits, thousands apart."""
    return [NOTHING if value is None else f"{value:,f}" for value in values]


def integers(values: Sequence[Any]) -> list[str]:
    """Whole numbers, thousands apart."""
    return [NOTHING if value is None else f"{value:,}" for value in values]


def percents(values: Sequence[Any]) -> list[str]:
    """Shares in percent, with one digit, or three where all are small."""
    shares = [None if value is None else float(value) * 100 for value in values]
    largest = max((abs(share) for share in shares if share is not None and math.isfinite(share)), default=0.0)
    places = 1 if largest >= 1 or largest == 0 else 3
    return [NOTHING if share is None else f"{share:.{places}f}%" for share in shares]


def floats(values: Sequence[float | None], terminal: bool, measure: bool) -> list[str]:
    """Numbers of one column, on a terminal with as many digits as they need together."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if not terminal:
        return [NOTHING if value is None else _plain(value) for value in values]
    if 0 < largest < 1e-3:
        return [NOTHING if value is None else f"{value:.4g}" for value in values]
    most = 2 if largest >= 1000 else 4
    places = max((_places(value, most) for value in values if value is not None), default=0)
    places = 2 if places == 1 else places  # 12.5 beside 3.25 reads badly, and so does 12.5 as an amount of money
    comma = "," if measure else ""
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


def markdown_line(values: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(value.replace("\\", "\\\\").replace("|", "\\|") for value in values) + " |\n"
