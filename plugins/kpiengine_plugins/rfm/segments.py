"""Segments over R, F and M scores: the default map, a user's own, and what they are called.

A map is read in order and the first segment that fits is taken. Each is one pattern, or a list of them: the scores
of R, F and (if wanted) M, each a number, a range `4-5`, or `*` for any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kpiengine.records import dataclass

OTHERS = "others"
"""The segment of customers whom no pattern of the map fits."""

DEFAULT_SCALE = 5
"""The scale that the default map is made for."""

DEFAULT_SEGMENTS: Mapping[str, tuple[str, ...]] = {
    "champions": ("5 4-5",),
    "loyal_customers": ("3-4 4-5",),
    "potential_loyalists": ("4-5 2-3",),
    "new_customers": ("5 1",),
    "promising": ("4 1",),
    "need_attention": ("3 3",),
    "about_to_sleep": ("3 1-2",),
    "cant_lose": ("1-2 5",),
    "at_risk": ("1-2 3-4",),
    "hibernating": ("1-2 1-2",),
}
"""The ten segments of the field's usual R × F grid; every cell of a scale of 5 lies in exactly one."""

LABELS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "champions": "Champions",
        "loyal_customers": "Loyal customers",
        "potential_loyalists": "Potential loyalists",
        "new_customers": "New customers",
        "promising": "Promising",
        "need_attention": "Need attention",
        "about_to_sleep": "About to sleep",
        "cant_lose": "Can't lose them",
        "at_risk": "At risk",
        "hibernating": "Hibernating",
        OTHERS: "Others",
    },
    "fa": {
        "champions": "قهرمانان",
        "loyal_customers": "مشتریان وفادار",
        "potential_loyalists": "وفاداران بالقوه",
        "new_customers": "مشتریان تازه",
        "promising": "امیدبخش",
        "need_attention": "نیازمند توجه",
        "about_to_sleep": "در آستانهٔ خواب",
        "cant_lose": "نباید از دست بروند",
        "at_risk": "در خطر",
        "hibernating": "خفته",
        OTHERS: "سایر",
    },
}
"""Display texts of the segments, by language."""

Range = tuple[int, int]
"""The lowest and the highest score that fits, both included."""


@dataclass(frozen=True)
class Pattern:
    """The scores that a segment takes: a range each for R and F, and for M unless it does not matter."""

    segment: str
    ranges: tuple[Range, ...]


def parse_segments(segments: Mapping[Any, Any], scale: int) -> tuple[Pattern, ...]:
    """The patterns of a map, in its order. ValueError says which segment is wrong, and how it would be right."""
    return tuple(
        Pattern(str(segment), _ranges(str(segment), text, scale))
        for segment, texts in segments.items()
        for text in (texts if isinstance(texts, Sequence) and not isinstance(texts, str) else [texts])
    )


def _ranges(segment: str, text: Any, scale: int) -> tuple[Range, ...]:
    parts = str(text).split()
    if len(parts) not in (2, 3):
        raise ValueError(
            f'"{text}" of {segment} must be two or three scores, of R, F and M, each a number, a range or *: "4-5 1 *"'
        )
    return tuple(_range(segment, part, scale) for part in parts)


def _range(segment: str, part: str, scale: int) -> Range:
    if part == "*":
        return (1, scale)
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part)
    if match is None:
        raise ValueError(f'"{part}" of {segment} is neither a score (4) nor a range (4-5) nor *')
    low, high = int(match[1]), int(match[2] or match[1])
    if not 1 <= low <= high <= scale:
        raise ValueError(f'"{part}" of {segment} must run upwards within 1 to {scale}, the scale')
    return (low, high)
