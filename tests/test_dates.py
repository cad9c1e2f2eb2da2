"""Dates and spans as users write them."""

from __future__ import annotations

import datetime as dt

import pytest

from kpiengine.calendar import Calendar
from kpiengine.dates import Span, parse_date, parse_span
from kpiengine.errors import UsageError
from kpiengine_plugins.calendars.gregorian import Fiscal, Gregorian
from kpiengine_plugins.calendars.jalali import Jalali
from kpiengine_plugins.calendars.retail import Retail

TODAY = dt.date(2026, 5, 31)

CALENDARS: dict[str, Calendar] = {
    "gregorian": Gregorian(),
    "jalali": Jalali(),
    "fiscal": Fiscal(starts="april"),
    "retail": Retail(),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-09", dt.date(2026, 3, 9)),
        (" 2026-3-9 ", dt.date(2026, 3, 9)),
        ("2026/03/09", dt.date(2026, 3, 9)),
        ("2026-03", dt.date(2026, 3, 1)),
        ("2026", dt.date(2026, 1, 1)),
        ("1700-01-01", dt.date(1700, 1, 1)),
        ("۲۰۲۶-۰۳-۰۹", dt.date(2026, 3, 9)),
        ("٢٠٢٦-٠٣", dt.date(2026, 3, 1)),
        ("today", TODAY),
        ("Yesterday", dt.date(2026, 5, 30)),
        ("-90d", dt.date(2026, 3, 2)),
        ("-90 days", dt.date(2026, 3, 2)),
        ("\N{MINUS SIGN}1 day", dt.date(2026, 5, 30)),
        ("+1w", dt.date(2026, 6, 7)),
        ("-2 weeks", dt.date(2026, 5, 17)),
        ("-3 months", dt.date(2026, 2, 28)),
        ("-3m", dt.date(2026, 2, 28)),
        ("-1 quarter", dt.date(2026, 2, 28)),
        ("-1 year", dt.date(2025, 5, 31)),
        ("-۳ months", dt.date(2026, 2, 28)),
        ("jalali:1405-01-01", dt.date(2026, 3, 21)),
        ("jalali:1405/1/1", dt.date(2026, 3, 21)),
        ("Jalali: ۱۴۰۵-۰۱-۰۱", dt.date(2026, 3, 21)),
        ("jalali:1405-02", dt.date(2026, 4, 21)),
        ("jalali:1405", dt.date(2026, 3, 21)),
        ("jalali:1403-12-30", dt.date(2025, 3, 20)),
        ("gregorian:2026-03-09", dt.date(2026, 3, 9)),
        ("fiscal:2026", dt.date(2025, 4, 1)),
        ("fiscal:2026-12-31", dt.date(2026, 3, 31)),
        ("retail:2025", dt.date(2025, 2, 2)),
        ("retail:2025-12-28", dt.date(2026, 1, 31)),
        ("2026-03-09T12:30", dt.datetime(2026, 3, 9, 12, 30)),
        ("2026-03-09 12:30:15", dt.datetime(2026, 3, 9, 12, 30, 15)),
        ("2026-03-09T12:30z", dt.datetime(2026, 3, 9, 12, 30, tzinfo=dt.UTC)),
    ],
)  # fmt: skip
def test_what_is_a_date(text: str, expected: dt.date) -> None:
    found = parse_date(text, today=TODAY, calendars=CALENDARS)
    assert (found, type(found)) == (expected, type(expected))


def test_a_date_is_itself() -> None:
    moment = dt.datetime(2026, 1, 2, 3)
    assert parse_date(moment, today=TODAY) is moment


def test_months_go_back_on_the_calendar_that_is_given() -> None:
    last_of_ordibehesht = dt.date(2026, 5, 21)  # 31 Ordibehesht 1405; Esfand 1404 has 29 days
    jalali = parse_date("-2 months", today=last_of_ordibehesht, calendar=Jalali())
    assert jalali == dt.date(2026, 3, 20)
    assert parse_date("-2 months", today=last_of_ordibehesht) == dt.date(2026, 3, 21)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1405-01-01", '"1405-01-01": the year 1405 is not taken for a Gregorian one; for a Jalali date write jalali:1405-01-01'),
        ("۱۴۰۵/۱", '"۱۴۰۵/۱": the year 1405 is not taken for a Gregorian one; for a Jalali date write jalali:1405-01'),
        ("1405", '"1405": the year 1405 is not taken for a Gregorian one; for a Jalali date write jalali:1405'),
        ("1699-12-31", '"1699-12-31": the year 1699 is not taken for a Gregorian one; for a Jalali date write jalali:1699-12-31'),
        ("1405-02-03T10:00", "jalali:1405-02-03"),
        ("2026-02-30", 'there is no date "2026-02-30": day is out of range for month'),
        ("2026-13", 'there is no date "2026-13": month must be in 1..12'),
        ("2026-03-09T25:00", '"2026-03-09T25:00" is no date with a time of day, such as 2026-03-01T12:30'),
        ("2026-03/09", "is no date; write one like 2026-03-01, 2026-03, today, -90d, -3 months, jalali:1405-01-01"),
        ("", '"" is no date; write one like 2026-03-01'),
        ("20260309", '"20260309" is no date; write one like'),
        ("tody", '(did you mean "today"?)'),
        ("-3 moths", '"-3 moths" is no date: "moths" is none of days, weeks, months, quarters, years  (did you mean "months"?)'),
        ("-90h", '"h" is none of days'),
        ("-999999 years", '"-999999 years" lies outside of the years 1 to 9999'),
        ("-999999 weeks", "lies outside of the years 1 to 9999"),
        ("jalaly:1405-01-01", 'no calendar "jalaly"; there are: gregorian, jalali, fiscal, retail  (did you mean "jalali"?)'),
        ("jalali:1404-12-30", 'there is no date "jalali:1404-12-30": Esfand 1404 has 29 days'),
        ("jalali:1405-13", 'there is no date "jalali:1405-13": a year has months 1 to 12'),
        ("jalali:0999-01-01", 'there is no date "jalali:0999-01-01": Jalali years are known from 1200 to 1500'),
        ("jalali:today", '"jalali:today" is no date; write one like jalali:1405-01-01, jalali:1405-01 or jalali:1405'),
        ("retail:2025-12-29", 'there is no date "retail:2025-12-29": that month has 28 days'),
        ("fiscal:2026-13", 'there is no date "fiscal:2026-13": a fiscal year has months 1 to 12'),
    ],
)  # fmt: skip
def test_what_is_no_date(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_date(text, today=TODAY, calendars=CALENDARS)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "span", "days", "sql"),
    [
        ("30 days", Span(30, "day"), 30.0, "INTERVAL '30' DAY"),
        ("1 week", Span(1, "week"), 7.0, "INTERVAL '7' DAY"),
        ("12 months", Span(12, "month"), 365.25, "INTERVAL '12' MONTH"),
        ("1 Month", Span(1, "month"), 30.4375, "INTERVAL '1' MONTH"),
        (" 2years ", Span(2, "year"), 730.5, "INTERVAL '2' YEAR"),
        ("36 hours", Span(36, "hour"), 1.5, "INTERVAL '36' HOUR"),
        ("90 minutes", Span(90, "minute"), 0.0625, "INTERVAL '90' MINUTE"),
        ("86400 seconds", Span(86_400, "second"), 1.0, "INTERVAL '86400' SECOND"),
        ("۳۰ days", Span(30, "day"), 30.0, "INTERVAL '30' DAY"),
    ],
)
def test_what_is_a_span(text: str, span: Span, days: float, sql: str) -> None:
    found = parse_span(text)
    assert (found, found.interval().sql("duckdb")) == (span, sql)
    assert found.days == pytest.approx(days)
    assert parse_span(str(found)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", '"30" is no span of time; write a number and one of seconds, minutes, hours, days, weeks, months, years'),
        ("a day", 'as in "30 days"'),
        ("-3 days", '"-3 days" is no span of time'),
        ("3 dyas", '(did you mean "days"?)'),
        ("1 quarter", '"1 quarter" is no span of time'),
        ("0 days", '"0 days" is an empty span of time; write at least 1 day'),
        ("1.5 days", '"1.5 days" is no span of time'),
    ],
)  # fmt: skip
def test_what_is_no_span(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_span(text)
    assert message in str(caught.value)
