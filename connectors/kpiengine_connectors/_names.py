"""Column names out of the header rows that people write."""

from __future__ import annotations

from collections.abc import Iterable


def column_names(header: Iterable[str | None]) -> list[str]:
    """Names that tell columns apart, whatever the header says.

    Blanks around a name go. A column without a name is `column<n>`, counted from 0. A name that is there already,
    whatever its case, gets the number of times that it was: `amount`, `amount_1`, `amount_2`.
    """
    taken: set[str] = set()
    repeats: dict[str, int] = {}
    names = []
    for position, written in enumerate(header):
        plain = (written or "").replace("\ufeff", "").strip() or f"column{position}"
        name = plain
        while name.lower() in taken:
            repeats[plain.lower()] = repeats.get(plain.lower(), 0) + 1
            name = f"{plain}_{repeats[plain.lower()]}"
        taken.add(name.lower())
        names.append(name)
    return names
