"""What came from the environment, kept out of what is printed. This module imports nothing of the project."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

HIDDEN = "***"
_SHORTEST = 4
"""Shorter values hide nothing (`1`, `de`), and would be found in every second line."""


def hidden(text: str, secrets: Iterable[str]) -> str:
    """`text` with `***` in place of every value of `secrets`, however it is written: in SQL, in JSON, in another case.

    The path of a file or folder that is there is no secret: statements and messages need it.
    """
    forms = {form for value in secrets if _is_secret(value) for form in _forms(value)}
    if not forms:
        return text
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.sub("|".join(re.escape(form) for form in longest_first), HIDDEN, text, flags=re.IGNORECASE)


def _is_secret(value: str) -> bool:
    if len(value) < _SHORTEST:
        return False
    try:
        return not Path(value).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return True


def _forms(value: str) -> tuple[str, ...]:
    return value, value.replace("'", "''"), json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
