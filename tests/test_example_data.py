"""The example projects' data: the same on every run, of the size that is told, and as messy as is promised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kpiengine.cli.scaffold import make_example
from kpiengine.examples import EXAMPLES, forush_data, sales_data

FILES = {
    "sales": {"orders.parquet", "customers.csv", "costs.csv", "survey.jsonl", "pipeline.parquet", "targets.csv"},
    "forush": {"orders.parquet", "customers.csv", "costs.csv", "survey.csv", "pipeline.csv"},
}


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The data of `sales` at full size, one view for each file."""
    folder = tmp_path_factory.mktemp("sales")
    sales_data.write(folder)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.read_parquet(str(folder / "orders.parquet")).create_view("orders")
        connection.read_parquet(str(folder / "pipeline.parquet")).create_view("pipeline")
        connection.read_json(str(folder / "survey.jsonl")).create_view("survey")
        connection.read_csv(str(folder / "targets.csv")).create_view("targets")
        for name in ("customers", "costs"):
            connection.read_csv(str(folder / f"{name}.csv"), delimiter=";").create_view(name)
        yield connection


def number(connection: duckdb.DuckDBPyConnection, sql: str) -> float:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return float(row[0])


@pytest.mark.parametrize("write", [sales_data.write, forush_data.write])
def test_the_same_bytes_come_out_every_time(write: object, tmp_path: Path) -> None:
    assert callable(write)
    assert write(tmp_path / "one", 0.05) == write(tmp_path / "two", 0.05)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {path.name for path in (tmp_path / "two").iterdir()}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_values_are_those_of_every_other_machine(sales: duckdb.DuckDBPyConnection) -> None:
    # Counted once and written down: a change of these numbers changes what the documentation shows.
    assert number(sales, """select count(distinct "Order No") from orders""") == 59_994
    assert number(sales, 'select sum(quantity * "Unit Price") from orders') == pytest.approx(16_342_559, rel=1e-4)
    assert number(sales, "select sum(recommend) from survey where recommend between 0 and 10") == 86_440


def test_tables_have_their_sizes(sales: duckdb.DuckDBPyConnection) -> None:
    assert number(sales, "select count(*) from customers") == 5_000
    assert number(sales, "select count(*) from survey") == 12_000
    assert number(sales, "select count(*) from targets") == 36
    assert 58_000 < number(sales, """select count(distinct "Order No") from orders""") < 62_000
    assert 26_000 < number(sales, "select count(*) from pipeline") < 32_000
    assert number(sales, "select count(distinct date_trunc('month', \"Ordered At\")) from orders") == 36
    first_and_last = sales.execute('select min("Ordered At")::date, max("Ordered At")::date from orders').fetchone()
    assert [str(day) for day in first_and_last or ()] == ["2023-01-01", "2025-12-31"]


def test_keys_are_keys(sales: duckdb.DuckDBPyConnection) -> None:
    assert number(sales, 'select count(*) - count(distinct ("Order No", "Line")) from orders') == 0
    assert number(sales, 'select count(*) - count(distinct "Customer ID") from customers') == 0
    assert number(sales, "select count(*) - count(distinct response) from survey") == 0


MESS = {
    "orders without a customer": 'from orders where "Customer ID" is null',
    "orders of unknown customers": 'from orders where "Customer ID" not in (select "Customer ID" from customers)',
    "customers without orders": """from customers where "Customer ID" not in
        (select "Customer ID" from orders where "Customer ID" is not null)""",
    "cancelled orders": "from orders where lower(trim(\"Status\")) = 'cancelled'",
    "a status with a blank behind it": "from orders where \"Status\" like '% '",
    "orders without a status": 'from orders where "Status" is null',
    "returns": 'from orders where "Quantity" < 0 and lower(trim("Status")) = \'refunded\'',
    "the same line twice": """from (select count(*) n from orders where quantity > 0
        group by "Order No", product, quantity, "Unit Price" having n > 1)""",
    "lines without a cost": 'from orders where "Unit Cost" is null',
    "orders in a day's last second": "from orders where strftime(\"Ordered At\", '%H:%M:%S') = '23:59:59'",
    "orders on a leap day": "from orders where \"Ordered At\"::date = date '2024-02-29'",
    "customers without a country": 'from customers where "Country" is null',
    "customers without a date": 'from customers where "Customer Since" is null',
    "channels in capitals": "from customers where \"Channel\" = 'WEB'",
    "Arabic letters in Persian names": """from customers where "نام" like '%ي%' or "نام" like '%ك%'""",
    "costs without a channel": 'from costs where "Channel" is null',
    "costs without a category": 'from costs where "Category" is null',
    "planned costs": "from costs where \"Category\" = 'planned'",
    "decimal commas and thousands' points": "from costs where regexp_matches(\"Amount EUR\", '^\\d+\\.\\d{3},\\d{2}$')",
    "a channel with costs and no customers": """from costs where "Channel" not in
        (select lower(trim("Channel")) from customers where "Channel" is not null)""",
    "answers off the scale": "from survey where recommend not between 0 and 10",
    "answers left out": "from survey where recommend is null",
    "satisfaction in capitals": "from survey where satisfaction = 'EXCELLENT '",
    "satisfaction in Persian": "from survey where satisfaction = 'عالی'",
    "satisfaction with Arabic letters": "from survey where satisfaction = 'عالي'",
    "satisfaction as numbers": "from survey where satisfaction = '5'",
    "empty satisfaction": "from survey where satisfaction = ''",
    "answers of nobody": "from survey where customer is null",
    "leads that come twice": """from (select "Lead" from pipeline where "Stage" = 'Lead'
        group by "Lead" having count(*) > 1)""",
    "stages skipped": """from (select "Lead" from pipeline group by "Lead"
        having bool_or("Stage" = 'Won') and not bool_or("Stage" = 'Offer'))""",
    "stages out of order": """from pipeline a join pipeline b using ("Lead")
        where a."Stage" = 'Invoice' and b."Stage" = 'Won' and b."Entered" < a."Entered" """,
}


@pytest.mark.parametrize("what", MESS)
def test_the_mess_is_there(sales: duckdb.DuckDBPyConnection, what: str) -> None:
    assert number(sales, f"select count(*) {MESS[what]}") > 0


def test_instants_bear_their_zone(sales: duckdb.DuckDBPyConnection) -> None:
    kinds = {row[0]: row[1] for row in sales.execute("describe pipeline").fetchall()}
    assert kinds["Entered"] == "TIMESTAMP WITH TIME ZONE"


def test_every_example_is_whole(tmp_path: Path) -> None:
    assert set(EXAMPLES) == set(FILES)
    for name, files in FILES.items():
        rows = make_example(tmp_path / name, name)
        assert {path.name for path in (tmp_path / name / "data").iterdir()} == files
        assert set(rows) == {file.split(".")[0] for file in files}
        assert all(count > 0 for count in rows.values())
        assert (tmp_path / name / "kpi.yaml").is_file()
        assert (tmp_path / name / "README.md").is_file()
        assert list((tmp_path / name / "metrics").glob("*.yaml"))
