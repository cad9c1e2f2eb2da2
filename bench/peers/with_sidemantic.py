"""The workloads that sidemantic can express, as the statements that it compiles."""

from __future__ import annotations

from typing import Any

from bench.peers.questions import ANSWERS, MEASURES, OVER, SALES, TWENTY

REQUIRES = ["sidemantic", "pyarrow"]
_AGGREGATES = {"sum": "sum", "count": "count", "distinct": "count_distinct", "max": "max", "min": "min"}


def _metrics(measures: dict[str, tuple[str, str, str]]) -> list[Any]:
    from sidemantic import Metric

    found = []
    for name, (aggregate, column, condition) in measures.items():
        given: dict[str, Any] = {"sql": column} if column else {}
        if condition:
            given["filters"] = [condition]
        found.append(Metric(name=name, agg=_AGGREGATES[aggregate], **given))
    return found


def statements(tables: list[str]) -> dict[str, str]:
    """The statement of each workload, over views named like the tables."""
    from sidemantic import Dimension, Metric, Model, Relationship, SemanticLayer

    layer = SemanticLayer(connection="duckdb:///:memory:")
    for table in tables:
        layer.adapter.execute(table)
    channel = Dimension(name="channel", type="categorical", sql="channel")
    at = Dimension(name="at", type="time", sql="ordered_at", granularity="day")
    to_customers = Relationship(name="customers", type="many_to_one", foreign_key="customer_id")
    layer.add_model(Model(name="customers", table="customers", primary_key="customer_id", dimensions=[channel]))
    layer.add_model(
        Model(
            name="orders", table="orders", primary_key="order_id", relationships=[to_customers], dimensions=[at],
            metrics=_metrics({**SALES, **TWENTY}),
        )
    )  # fmt: skip
    answered = Dimension(name="at", type="time", sql="responded_at", granularity="day")
    layer.add_model(
        Model(
            name="survey", table="survey", primary_key="response_id", dimensions=[answered], metrics=_metrics(ANSWERS)
        )
    )
    layer.add_metric(Metric(name="ytd", type="cumulative", sql="orders.revenue", grain_to_date="year"))
    layer.add_metric(
        Metric(
            name="gain", type="time_comparison", base_metric="orders.revenue", comparison_type="yoy",
            calculation="difference",
        )
    )  # fmt: skip
    found = {}
    for name, model, by in (
        ("monthly_sales", "orders", ["orders.at__month", "customers.channel"]),
        ("twenty_metrics", "orders", ["orders.at__month", "customers.channel"]),
        ("nps_csat", "survey", ["survey.at__month"]),
    ):
        inner = layer.compile(metrics=[f"{model}.{measure}" for measure in MEASURES[name]], dimensions=by)
        found[name] = OVER[name].format(inner=f"SELECT at__month AS month, * EXCLUDE (at__month) FROM ({inner}\n)")
    inner = layer.compile(metrics=["orders.revenue", "ytd", "gain"], dimensions=["orders.at__month"])
    found["year_to_date"] = f"""
        SELECT at__month AS month, revenue, ytd AS revenue_ytd, revenue - gain AS revenue_year_before,
            revenue / (revenue - gain) - 1 AS revenue_yoy FROM ({inner}
        ) ORDER BY month"""
    return found
