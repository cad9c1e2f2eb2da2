"""Calendars: SQL and Python give the same for every day, and both what independent sources say."""

from __future__ import annotations

import datetime as dt
import inspect
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from persiantools.jdatetime import JalaliDate
from sqlglot import ErrorLevel, exp

from kpiengine.calendar import Calendar, add_months, day_number, expression, plus_days, plus_months
from kpiengine.plan.frames import Window
from kpiengine.plan.spine import made_of_periods, trailing_start
from kpiengine_plugins.calendars import register_calendars
from kpiengine_plugins.calendars.gregorian import Fiscal, Gregorian
from kpiengine_plugins.calendars.jalali import Jalali
from kpiengine_plugins.calendars.retail import Retail

if TYPE_CHECKING:
    from servers.connect import SparkConnect

DOCS = Path(__file__).parent.parent / "docs" / "calendars.md"

UNITS = ("day", "week", "month", "quarter", "year")

GREGORIAN_RANGE = (dt.date(1900, 1, 1), dt.date(2100, 12, 31))
JALALI_RANGE = (dt.date(1821, 3, 21), dt.date(2122, 3, 20))  # 1200-01-01 to 1500-12-29

CALENDARS = {
    "gregorian": Gregorian(),
    "gregorian, weeks from saturday": Gregorian("saturday"),
    "fiscal from april": Fiscal(starts="april"),
    "fiscal from february, named by start": Fiscal("sunday", starts=2, named_by="start"),
    "retail of the NRF": Retail(),
    "retail 4-4-5 to the last saturday of september": Retail(
        pattern="4-4-5", starts="october", rule="last", named_by="end"
    ),
    "retail 5-4-4 from january": Retail("monday", pattern="5-4-4", starts=1),
    "jalali": Jalali(),
}
MOVES = (
    (-1, "day"), (10, "week"), (-1, "month"), (1, "month"), (-7, "month"), (-1, "quarter"), (-1, "year"), (4, "year"),
)  # fmt: skip

day = exp.column("day")


def range_of(calendar: Calendar) -> tuple[dt.date, dt.date]:
    return JALALI_RANGE if calendar.name == "jalali" else GREGORIAN_RANGE


def days_of(calendar: Calendar) -> list[dt.date]:
    first, last = range_of(calendar)
    return [dt.date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]


def query(columns: Mapping[str, exp.Expr], dialect: str) -> str:
    selected = exp.select(*(exp.alias_(tree, name) for name, tree in columns.items())).from_("days").order_by("day")
    return selected.sql(dialect, unsupported_level=ErrorLevel.RAISE)


def table_of(columns: Mapping[str, exp.Expr], days: list[dt.date] | list[None]) -> pa.Table:
    """Each column for each of `days`, which are in order."""
    with duckdb.connect() as connection:
        connection.register("days", pa.table({"day": pa.array(days, pa.date32())}))
        return connection.sql(query(columns, "duckdb")).to_arrow_table()


def on_duckdb(columns: Mapping[str, exp.Expr], days: list[dt.date] | list[None]) -> dict[str, list[Any]]:
    return table_of(columns, days).to_pydict()


@pytest.fixture(params=CALENDARS)
def calendar(request: pytest.FixtureRequest) -> Calendar:
    return CALENDARS[request.param]


def test_the_built_in_calendars() -> None:
    assert [calendar.name for calendar in register_calendars()] == ["gregorian", "fiscal", "retail", "jalali"]
    assert [calendar.has_labels for calendar in register_calendars()] == [False, True, True, True]
    assert [Gregorian().week_starts, Retail().week_starts, Jalali().week_starts] == ["monday", "sunday", "saturday"]


def test_sql_and_python_cut_alike_on_every_day(calendar: Calendar) -> None:
    days = days_of(calendar)
    found = on_duckdb({unit: calendar.start(day, unit) for unit in UNITS}, days)
    for unit in UNITS:
        assert found[unit] == [calendar.start_of(d, unit) for d in days], unit


def test_sql_and_python_move_alike(calendar: Calendar) -> None:
    days = days_of(calendar)[:: 23 if calendar.name in ("retail", "jalali") else 5]
    found = on_duckdb({f"{n} {unit}": calendar.move(day, n, unit) for n, unit in MOVES}, days)
    for n, unit in MOVES:
        assert found[f"{n} {unit}"] == [calendar.moved(d, n, unit) for d in days], (n, unit)


def test_a_move_from_a_column_that_holds_the_month_is_the_same_move(calendar: Calendar) -> None:
    days = days_of(calendar)[40_000:40_800]
    month = calendar.start(day, "month")
    columns = {}
    for n, unit in MOVES:
        stepped = calendar.move_from(exp.column("month"), day, n, unit)
        columns[f"{n} {unit}"] = stepped.transform(lambda node: month if node == exp.column("month") else node)
    found = on_duckdb(columns, days)
    for n, unit in MOVES:
        assert found[f"{n} {unit}"] == [calendar.moved(d, n, unit) for d in days], (n, unit)


@pytest.mark.parametrize("period", UNITS)
def test_first_days_move_to_first_days(calendar: Calendar, period: str) -> None:
    starts = sorted({calendar.start_of(d, period) for d in days_of(calendar)[40_000:50_000]})[:100]
    moves = [*((-13, unit) for unit in UNITS), (2, "month"), (2, "year")]
    columns = {f"{n} {unit}": calendar.move_start(day, n, unit, period) for n, unit in moves}
    found = on_duckdb(columns | {"last": calendar.last_day(day, period)}, starts)
    for n, unit in moves:
        expected = [calendar.start_of(calendar.moved(start, n, unit), period) for start in starts]
        assert found[f"{n} {unit}"] == expected, (n, unit)
    assert found["last"][:-1] == [start - dt.timedelta(days=1) for start in starts[1:]]
    assert found["last"] == [calendar.last_day_of(start, period) for start in starts]


@pytest.mark.parametrize("period", UNITS)
def test_windows_that_are_made_of_periods_begin_with_one(calendar: Calendar, period: str) -> None:
    starts = sorted({calendar.start_of(d, period) for d in days_of(calendar)[40_000:50_000]})[:100]
    last = calendar.last_day(day, period)
    windows = [*(Window("to_date", unit=u) for u in UNITS), *(Window("trailing", n, u) for n in (1, 5) for u in UNITS)]
    columns = {
        window.name: calendar.start(last, window.unit)
        if window.function == "to_date"
        else trailing_start(day, last, period, window, calendar)
        for window in windows
        if made_of_periods(window, period)
    }
    assert f"to_date_{period}" in columns
    for name, begun in on_duckdb(columns, starts).items():
        assert begun == [calendar.start_of(first, period) for first in begun], name


@pytest.mark.parametrize("unit", ["month", "quarter", "year"])
def test_n_units_on_is_the_nth_first_day_that_follows(calendar: Calendar, unit: str) -> None:
    """The oracle of moving: first days in a list, and places in it."""
    starts = sorted({calendar.start_of(d, unit) for d in days_of(calendar)})[1:]
    for n in (*range(1, 14), 24, 51, 120, 160):
        assert [calendar.moved(a, n, unit) for a in starts[:-n:7]] == starts[n::7], n
        assert [calendar.moved(b, -n, unit) for b in starts[n::7]] == starts[:-n:7], -n


@pytest.mark.parametrize("language", ["en", "fa"])
def test_sql_and_python_name_periods_alike(calendar: Calendar, language: str) -> None:
    days = days_of(calendar)[35_000:50_000]
    for unit in UNITS:
        starts = sorted({calendar.start_of(d, unit) for d in days})
        label = calendar.label(day, unit, language)
        if not calendar.has_labels:
            assert label is None
            assert calendar.label_of(starts[0], unit, language) is None
            continue
        assert label is not None
        texts = on_duckdb({"label": label}, starts)["label"]
        assert texts == [calendar.label_of(start, unit, language) for start in starts], unit
        assert len(set(texts)) == len(texts), "two periods of one name"
    assert calendar.label(day, "hour", language) is None
    assert calendar.label_of(dt.date(2026, 1, 1), "hour", language) is None


def test_no_day_is_in_no_period(calendar: Calendar) -> None:
    columns = {f"start {unit}": calendar.start(day, unit) for unit in UNITS}
    columns |= {f"move {n} {unit}": calendar.move(day, n, unit) for n, unit in MOVES}
    labels = {f"label {unit}": calendar.label(day, unit, "fa") for unit in UNITS}
    columns |= {name: label for name, label in labels.items() if label is not None}
    assert on_duckdb(columns, [None]) == {name: [None] for name in columns}


@pytest.mark.engine
@pytest.mark.parametrize("name", ["gregorian, weeks from saturday", "fiscal from april", "retail of the NRF", "jalali"])
def test_sail_answers_as_duckdb_does(name: str, sail: SparkConnect) -> None:
    calendar = CALENDARS[name]
    first, last = range_of(calendar)
    columns = {f"start_{unit}": calendar.start(day, unit) for unit in UNITS}
    columns |= {f"move_{unit}": calendar.move(day, -1, unit) for unit in UNITS}
    columns |= {f"start_moved_{unit}": calendar.move_start(day, 3, unit, unit) for unit in UNITS}
    labels = {f"label_{unit}_{to}": calendar.label(day, unit, to) for unit in UNITS for to in ("en", "fa")}
    columns |= {name: label for name, label in labels.items() if label is not None}
    spine = f"SELECT explode(sequence(DATE '{first}', DATE '{last}', INTERVAL 1 DAY)) AS day"
    sail.execute(f"CREATE OR REPLACE TEMP VIEW days AS {spine}")
    try:
        found = sail.execute(query(columns, "spark"))
    finally:
        sail.execute("DROP VIEW days")
    expected = table_of(columns, days_of(calendar))
    for name in columns:
        assert found[name].cast(expected[name].type).equals(expected[name]), name


def test_weeks_from_monday_are_those_of_iso_8601() -> None:
    for d in days_of(Gregorian()):
        year, week, _ = d.isocalendar()
        assert Gregorian().start_of(d, "week") == dt.date.fromisocalendar(year, week, 1)


@pytest.mark.parametrize(
    ("start", "n", "unit", "expected"),
    [
        ("2026-03-31", -1, "month", "2026-02-28"),
        ("2024-03-31", -1, "month", "2024-02-29"),
        ("2026-05-31", 1, "month", "2026-06-30"),
        ("2024-02-29", -1, "year", "2023-02-28"),
        ("2024-02-29", 4, "year", "2028-02-29"),
        ("2026-01-31", -1, "quarter", "2025-10-31"),
        ("2026-05-31", -1, "quarter", "2026-02-28"),
        ("2026-01-01", -1, "week", "2025-12-25"),
    ],
)
def test_a_day_that_a_month_lacks_becomes_its_last(start: str, n: int, unit: str, expected: str) -> None:
    moved = dt.date.fromisoformat(expected)
    for calendar in (Gregorian(), Fiscal(starts="april")):
        assert calendar.moved(dt.date.fromisoformat(start), n, unit) == moved
        assert on_duckdb({"moved": calendar.move(day, n, unit)}, [dt.date.fromisoformat(start)])["moved"] == [moved]


def test_fiscal_years_and_quarters() -> None:
    fiscal = Fiscal(starts="april")
    spring = dt.date(2026, 3, 31)
    assert fiscal.start_of(spring, "year") == dt.date(2025, 4, 1)
    assert fiscal.start_of(spring, "quarter") == dt.date(2026, 1, 1)
    assert Fiscal(starts="february").start_of(spring, "quarter") == dt.date(2026, 2, 1)
    texts = [fiscal.label_of(fiscal.start_of(spring, unit), unit, "en") for unit in ("quarter", "year")]
    assert texts == ["Q4 FY2026", "FY2026"]
    assert Fiscal(starts="april", named_by="start").label_of(dt.date(2025, 4, 1), "year", "en") == "FY2025"
    assert Fiscal(starts=1).label_of(dt.date(2025, 1, 1), "year", "en") == "FY2025"
    assert [fiscal.date(2026, 1, 1), fiscal.date(2026, 12, 31)] == [dt.date(2025, 4, 1), spring]


def test_retail_years_are_those_that_the_nrf_has_published() -> None:
    published = {
        2006: "2006-01-29", 2007: "2007-02-04", 2012: "2012-01-29", 2013: "2013-02-03", 2017: "2017-01-29",
        2018: "2018-02-04", 2022: "2022-01-30", 2023: "2023-01-29", 2024: "2024-02-04", 2025: "2025-02-02",
    }  # fmt: skip
    retail = Retail()
    assert {year: retail.date(year, 1, 1).isoformat() for year in published} == published
    weeks = {y: (retail.date(y + 1, 1, 1) - retail.date(y, 1, 1)).days // 7 for y in range(2005, 2026)}
    assert [year for year, count in weeks.items() if count == 53] == [2006, 2012, 2017, 2023]
    assert set(weeks.values()) == {52, 53}


def test_a_retail_year_that_ends_on_the_last_saturday_of_september() -> None:
    retail = CALENDARS["retail 4-4-5 to the last saturday of september"]
    ends = [retail.last_day_of(retail.date(year, 1, 1), "year").isoformat() for year in (2022, 2023, 2024, 2025)]
    assert ends == ["2022-09-24", "2023-09-30", "2024-09-28", "2025-09-27"]


@pytest.mark.parametrize("pattern", ["4-4-5", "4-5-4", "5-4-4"])
def test_retail_months_follow_the_pattern_and_the_last_takes_the_53rd_week(pattern: str) -> None:
    retail = Retail(pattern=pattern)
    for year in (2023, 2024):
        starts = [retail.date(year, month, 1) for month in range(1, 13)] + [retail.date(year + 1, 1, 1)]
        weeks = [(b - a).days // 7 for a, b in itertools.pairwise(starts)]
        expected = [int(n) for n in pattern.split("-")] * 4
        expected[-1] += year == 2023
        assert weeks == expected
        assert [retail.start_of(a, "month") for a in starts] == starts
        quarters = {retail.start_of(a, "quarter") for a in starts[:-1]}
        assert sorted(quarters) == starts[0:12:3]


def test_jalali_days_are_those_of_persiantools() -> None:
    """Every day of 1200 to 1500, as SQL writes it."""
    label = Jalali().label(day, "day", "en")
    assert label is not None
    days = days_of(Jalali())
    assert on_duckdb({"label": label}, days)["label"] == [JalaliDate(d).strftime("%Y/%m/%d") for d in days]


def test_jalali_dates_are_those_of_persiantools() -> None:
    for year in range(1200, 1501):
        for month in range(1, 13):
            length = JalaliDate.days_in_month(month, year)
            assert Jalali().date(year, month, 1) == JalaliDate(year, month, 1).to_gregorian()
            assert Jalali().date(year, month, length) == JalaliDate(year, month, length).to_gregorian()
            with pytest.raises(ValueError, match=f"{year} has {length} days"):
                Jalali().date(year, month, length + 1)


@pytest.mark.parametrize("n", [-25, -12, -1, 1, 6, 12])
def test_jalali_months_move_as_persiantools_counts(n: int) -> None:
    for d in days_of(Jalali())[70_000:73_000]:
        date = JalaliDate(d)
        year, month = divmod(date.year * 12 + date.month - 1 + n, 12)
        length = JalaliDate.days_in_month(month + 1, year)
        expected = JalaliDate(year, month + 1, min(date.day, length)).to_gregorian()
        assert Jalali().moved(d, n, "month") == expected


def test_jalali_periods_and_names() -> None:
    jalali = Jalali()
    new_year = dt.date(2026, 3, 21)
    assert jalali.date(1405, 1, 1) == new_year
    assert jalali.start_of(dt.date(2026, 3, 20), "year") == jalali.date(1404, 1, 1)
    assert jalali.start_of(jalali.date(1405, 9, 30), "quarter") == jalali.date(1405, 7, 1)
    assert jalali.moved(jalali.date(1403, 12, 30), 1, "year") == jalali.date(1404, 12, 29)
    assert jalali.moved(jalali.date(1405, 6, 31), 1, "month") == jalali.date(1405, 7, 30)
    named = {to: [jalali.label_of(new_year, unit, to) for unit in UNITS] for to in ("en", "fa")}
    assert named == {
        "en": ["1405/01/01", "week of 1405/01/01", "Farvardin 1405", "Q1 1405", "1405"],
        "fa": ["۱۴۰۵/۰۱/۰۱", "هفتهٔ ۱۴۰۵/۰۱/۰۱", "فروردین ۱۴۰۵", "بهار ۱۴۰۵", "۱۴۰۵"],
    }
    assert jalali.label_of(new_year, "month", "fa-IR") == jalali.label_of(new_year, "month", "fa")


@pytest.mark.parametrize(
    ("calendar", "arguments", "message"),
    [
        (Gregorian, {"week_starts": "mondy"}, 'no weekday "mondy"; there are: monday, tuesday'),
        (Gregorian, {"starts": "april"}, 'calendar "gregorian" has no option "starts"; it takes none'),
        (Fiscal, {}, 'calendar "fiscal" needs the month its years start with: {fiscal: {starts: april}}'),
        (Fiscal, {"starts": "arpil"}, "'arpil' is no month; write its English name or 1 to 12  (did you mean \"april\"?)"),
        (Fiscal, {"starts": 13}, "13 is no month"),
        (Fiscal, {"starts": 4.0}, 'option "starts" of calendar "fiscal" cannot be 4.0'),
        (Fiscal, {"start": "april"}, 'no option "start"; it takes: starts, named_by  (did you mean "starts"?)'),
        (Fiscal, {"starts": 4, "named_by": "stop"}, "option \"named_by\" cannot be 'stop'; there are: end, start"),
        (Retail, {"pattern": "4-4-4"}, "option \"pattern\" cannot be '4-4-4'; there are: 4-4-5, 4-5-4, 5-4-4"),
        (Retail, {"rule": "closest"}, "there are: nearest, last"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_told(calendar: type[Calendar], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        calendar(**arguments)


def test_a_month_is_named_or_numbered() -> None:
    assert {Fiscal(starts=starts).first_month for starts in ("april", "April", " APRIL ", 4, "4")} == {4}


def test_helpers_of_expressions() -> None:
    days = [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2026, 3, 31)]
    found = on_duckdb(
        {
            "number": day_number(day),
            "later": day_number(day, 800_000),
            "on": plus_days(plus_days(day, 40), -12),
            "same": plus_days(plus_days(day, 3), -3),
            "by": plus_days(day, expression("2 * CAST(n AS BIGINT)", n=exp.Literal.number(3))),
            "month": plus_months(day, 1),
        },
        days,
    )
    assert found["number"] == [d.toordinal() for d in days]
    assert found["later"] == [d.toordinal() - 800_000 for d in days]
    assert found["on"] == [d + dt.timedelta(days=28) for d in days]
    assert found["same"] == days
    assert found["by"] == [d + dt.timedelta(days=6) for d in days]
    assert found["month"] == [add_months(d, 1) for d in days]


def test_a_tree_that_is_put_in_keeps_its_own_names_and_its_meaning() -> None:
    whole = expression("7 * n - m", n=expression("m + 1"), m=exp.column("x"))
    assert whole.sql("duckdb") == "7 * (m + 1) - x"
    assert expression("7 * n").sql("duckdb") == "7 * n", "the text that is kept must not change"


def test_postgres_and_spark_divide_whole_numbers() -> None:
    """The forms that engines spell differently, of all calendars."""
    start = Jalali().start(day, "year")
    assert start.sql("postgres") == (
        "day - CAST(DIV((33 * ((CAST(day AS DATE) - CAST('1970-01-01' AS DATE)) + 492633) + 11) % 12053, 33) AS INT)"
    )
    assert start.sql("spark") == (
        "day - CAST((33 * (DATEDIFF(DAY, CAST('1970-01-01' AS DATE), day) + 492633) + 11) % 12053 DIV 33 AS INT)"
    )


# The documentation


def blocks(language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def row_of(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


EXAMPLES = {
    "`gregorian`": Gregorian(),
    "`{fiscal: {starts: april}}`": Fiscal(starts="april"),
    "`retail`": Retail(),
    "`jalali`": Jalali(),
}


def test_the_table_of_first_days_in_the_documentation() -> None:
    units = ("week", "month", "quarter", "year")
    rows = [row_of(["calendar", *units]), row_of(["---"] * 5)]
    for written, calendar in EXAMPLES.items():
        rows.append(row_of([written, *(str(calendar.start_of(dt.date(2026, 5, 14), unit)) for unit in units)]))
    assert "\n".join(rows) in DOCS.read_text("utf-8")


def test_the_table_of_labels_in_the_documentation() -> None:
    rows = [row_of(["calendar", "language", *UNITS]), row_of(["---"] * 7)]
    for written, calendar in EXAMPLES.items():
        for language in ("en", "fa") if calendar.has_labels else ():
            starts = {unit: calendar.start_of(dt.date(2026, 5, 14), unit) for unit in UNITS}
            labels = [str(calendar.label_of(start, unit, language)) for unit, start in starts.items()]
            rows.append(row_of([written, language, *labels]))
    assert "\n".join(rows) in DOCS.read_text("utf-8")


def test_the_documentation_names_every_option() -> None:
    text = DOCS.read_text("utf-8")
    for calendar in register_calendars():
        assert f"`{calendar.name}`" in text
        for option in calendar.options:
            assert f"`{option}`" in text, f"{calendar.name}: {option}"


def test_the_calendar_of_the_documentation_works() -> None:
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCS), "exec"), names)
    (made,) = names["register_calendars"]()
    calendar = made()
    assert not inspect.isabstract(made)
    starts = sorted({calendar.start_of(d, "year") for d in days_of(Gregorian())})
    found = on_duckdb({"start": calendar.start(day, "year"), "label": calendar.label(day, "year", "en")}, starts)
    assert found["start"] == starts
    assert found["label"] == [calendar.label_of(start, "year", "en") for start in starts]
    assert calendar.label_of(dt.date(2026, 1, 1), "year", "en") == "2569"
    assert calendar.date(2569, 5, 14) == dt.date(2026, 5, 14)
