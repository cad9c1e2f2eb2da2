"""The workloads that boring-semantic-layer can express, as the statements that it compiles through ibis."""

from __future__ import annotations

from typing import Any

from bench.peers.questions import ANSWERS, MEASURES, OVER, SALES, TWENTY

REQUIRES = ["boring-semantic-layer", "ibis-framework[duckdb]<12", "pyarrow"]


def _condition(table: Any, text: str) -> Any:
    """`a = 'x' AND b >= 2` and the like, as an ibis expression."""
    import re

    found = None
    for part in re.split(r" AND (?!\d+$)", text):
        name, sign, value = re.fullmatch(r"(\w+) (=|>=|BETWEEN|IN) (.*)", part).groups()  # type: ignore[union-attr]
        column = table[name]
        if sign == "BETWEEN":
            low, high = map(int, value.split(" AND "))
            one = column.between(low, high)
        elif sign == "IN":
            one = column.isin(re.findall(r"'(\w+)'", value))
        else:
            one = column == value.strip("'") if sign == "=" else column >= int(value)
        found = one if found is None else found & one
    return found


def _measure(aggregate: str, column: str, condition: str) -> Any:
    def measure(table: Any) -> Any:
        where = _condition(table, condition) if condition else None
        if aggregate == "count":
            return table.count(where=where)
        return getattr(table[column], "nunique" if aggregate == "distinct" else aggregate)(where=where)

    return measure


def statements(tables: list[str]) -> dict[str, str]:
    """The statement of each workload, over views named like the tables."""
    import ibis
    from boring_semantic_layer import to_semantic_table

    connection = ibis.duckdb.connect()
    for table in tables:
        connection.raw_sql(table)

    def measured(table: str, time: str, measures: dict[str, tuple[str, str, str]]) -> Any:
        model = to_semantic_table(connection.table(table), name=table)
        dimensions = {"month": lambda t: t[time].truncate("M").date(), "customer_id": lambda t: t.customer_id}
        made = {name: _measure(*given) for name, given in measures.items()}
        return model.with_dimensions(**dimensions).with_measures(**made)

    customers = to_semantic_table(connection.table("customers"), name="customers").with_dimensions(
        customer_id=lambda t: t.customer_id, channel=lambda t: t.channel
    )
    orders = measured("orders", "ordered_at", {**SALES, **TWENTY}).join_one(customers, on="customer_id")
    found = {}
    for name in ("monthly_sales", "twenty_metrics"):
        asked = orders.group_by("orders.month", "customers.channel").aggregate(*(f"orders.{m}" for m in MEASURES[name]))
        columns = ", ".join(f'"orders.{m}" AS {m}' for m in MEASURES[name])
        columns = f'"orders.month" AS month, "customers.channel" AS channel, {columns}'
        inner = f"SELECT {columns} FROM ({ibis.to_sql(asked.to_untagged())})"
        found[name] = OVER[name].format(inner=inner)
    asked = measured("survey", "responded_at", ANSWERS).group_by("month").aggregate(*ANSWERS)
    found["nps_csat"] = OVER["nps_csat"].format(inner=str(ibis.to_sql(asked.to_untagged())))
    return found
