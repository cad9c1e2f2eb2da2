"""Texts as on the command line → a `Query`: lists split, dates read, orders parsed."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kpiengine.calendar import Calendar
from kpiengine.dates import parse_date
from kpiengine.errors import UsageError, listing
from kpiengine.query import Order, Query

Texts = str | Iterable[str] | None
Date = str | dt.date | None


class QueryOptions(TypedDict, total=False):
    """Everything that a query takes beside metrics and dimensions, as texts or as Python values."""

    where: Texts
    having: Texts
    since: Date
    until: Date
    order: Texts
    limit: int | None
    per: Texts
    totals: bool
    fill: bool
    complete: bool
    as_of: Date
    targets: bool
    compare: str | None
    timezone: str | None
    language: str | None
    set: Mapping[str, Any] | Texts


OPTION_NAMES = tuple(QueryOptions.__annotations__)
_COMPARISONS = ("year", "quarter", "month", "week", "day", "period")


def make_query(
    metrics: Texts, by: Texts, options: QueryOptions, *, timezone: str, calendar: Calendar,
    calendars: Mapping[str, Calendar],
) -> Query:  # fmt: skip
    """The query that these texts ask. Raises UsageError for a date, an order or a name that cannot be read."""
    for name in options:
        if name not in OPTION_NAMES:
            raise UsageError(f'a query takes no "{name}"; it takes: {listing(OPTION_NAMES, 20)}')
    zone = _zone(options.get("timezone"))
    today = dt.datetime.now(ZoneInfo(zone or timezone)).date()

    def date(value: Date) -> dt.date | None:
        return None if value is None else parse_date(value, today=today, calendar=calendar, calendars=calendars)

    last, limit = date(options.get("as_of")), options.get("limit")
    query = Query(
        metrics=names(metrics),
        by=_by(by),
        where=texts(options.get("where")),
        having=texts(options.get("having")),
        since=date(options.get("since")),
        until=date(options.get("until")),
        order=tuple(_order(text) for text in names(options.get("order"))),
        limit=limit,
        per=names(options.get("per")),
        totals=bool(options.get("totals")),
        fill=bool(options.get("fill")),
        complete=bool(options.get("complete")),
        as_of=last.date() if isinstance(last, dt.datetime) else last,
        targets=bool(options.get("targets")),
        compare=_comparison(options.get("compare")),
        timezone=zone,
        language=options.get("language"),
        parameters=_parameters(options.get("set")),
    )
    if limit is not None and limit < 0:
        raise UsageError(f"--limit takes 0 or more, not {limit}")
    if query.per and limit is None:
        raise UsageError("--per says for which groups --limit holds; give a --limit, too")
    if query.since is not None and query.until is not None and _instant(query.since) >= _instant(query.until):
        raise UsageError(f"--since {query.since} is not before --until {query.until}, which is exclusive")
    return query


def _instant(day: dt.date) -> dt.datetime:
    return day if isinstance(day, dt.datetime) else dt.datetime(day.year, day.month, day.day)


def names(value: Texts) -> tuple[str, ...]:
    """`"a,b"` or `["a", "b"]` → ("a", "b"). A comma inside quotes or parentheses splits nothing."""
    found: list[str] = []
    for text in texts(value):
        depth, quoted, start = 0, False, 0
        for place, mark in enumerate(text):
            quoted ^= mark == '"'
            depth += (mark == "(") - (mark == ")")
            if mark == "," and not quoted and depth == 0:
                found.append(text[start:place].strip())
                start = place + 1
        found.append(text[start:].strip())
    return tuple(name for name in found if name)


def texts(value: Texts) -> tuple[str, ...]:
    """One text or several, as several."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _by(value: Texts) -> tuple[str, ...] | None:
    if value is None:
        return None
    found = names(value)
    if not found and not isinstance(value, str):
        return ()
    if [name.lower() for name in found] == ["none"]:
        return ()
    return found


def _order(text: str) -> Order:
    column, _, direction = text.rpartition(":")
    if not column:
        return Order(text)
    if direction.strip().lower() not in ("asc", "desc"):
        raise UsageError(f'--order is written COLUMN or COLUMN:desc, not "{text}"')
    return Order(column.strip(), direction.strip().lower() == "desc")


def _comparison(text: str | None) -> str | None:
    """`prior-year` → "year"."""
    if text is None:
        return None
    unit = text.lower().removeprefix("prior-")
    if unit not in _COMPARISONS:
        raise UsageError(f'--compare takes {", ".join(f"prior-{u}" for u in _COMPARISONS)}, not "{text}"')
    return unit


def _zone(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f'there is no time zone "{name}"; zones are named like Europe/Berlin or Asia/Tehran') from None


def _parameters(value: Mapping[str, Any] | Texts) -> dict[str, Any]:
    """`["country=FR", "lag=1", "channels=[web, fair]"]` → {"country": "FR", "lag": 1, "channels": ["web", "fair"]}."""
    if isinstance(value, Mapping):
        return dict(value)
    found: dict[str, Any] = {}
    for text in texts(value):
        name, sign, written = text.partition("=")
        if not sign or not name.strip():
            raise UsageError(f'--set is written name=value, not "{text}"')
        found[name.strip()] = _typed(written.strip())
    return found


def _typed(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        parts = [part.strip() for part in text[1:-1].split(",")]
        return [] if parts == [""] else [_typed(part) for part in parts]
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if "_" not in text and (kind is int or math.isfinite(value)):  # else it is a number to Python alone
            return value
    return {"true": True, "false": False}.get(text.lower(), text)
