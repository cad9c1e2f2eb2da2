"""What is measured: a query to kpiengine, and the SQL that an expert writes for the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TABLES = ("orders", "customers", "spend", "survey", "events")


@dataclass(frozen=True)
class Workload:
    """A query and its expert, the text of `expert/NAME.sql`; `keys` are the columns that tell rows apart."""

    name: str
    metrics: str
    keys: tuple[str, ...]
    by: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""

    @property
    def expert(self) -> str:
        """The expert's statement, over views named like TABLES."""
        return (HERE / "expert" / f"{self.name}.sql").read_text()


TWENTY = (
    "completed_revenue,completed_orders,completed_aov,completed_buyers,gross_revenue,all_orders,cancelled_orders,"
    "pending_orders,refunded_orders,refunded_amount,cancel_rate,refund_rate,net_revenue,basic_revenue,plus_revenue,"
    "enterprise_revenue,big_orders,largest_order,smallest_order,revenue_per_buyer"
)
BY_CHANNEL = "month,customers.channel"

WORKLOADS = (
    Workload("monthly_sales", "revenue,orders,aov,buyers", ("month", "channel"), BY_CHANNEL, about="join, distinct"),
    Workload("twenty_metrics", TWENTY, ("month", "channel"), BY_CHANNEL, about="one grain"),
    Workload(
        "year_to_date", "revenue,revenue_ytd,revenue_year_before,revenue_yoy", ("month",), "month",
        about="and the year before",
    ),
    Workload("trailing_buyers", "buyers_28d", ("day",), "day", about="28 days, distinct"),
    Workload(
        "rfm_segments", "segment_customers,segment_revenue,segment_recency,segment_frequency", ("segment",),
        "rfm_ntile.segment", about="ntile",
    ),
    Workload("rfm_scores", "rfm_ntile", ("customer_id",), about="ntile, a row a customer"),
    Workload("rfm_quantiles", "rfm", ("customer_id",), about="a row a customer"),
    Workload("clv_by_cohort", "cohort_retention.revenue", ("cohort", "period_number"), about="and age"),
    Workload("monthly_cohorts", "cohort_retention", ("cohort", "period_number"), about="retention"),
    Workload(
        "acquisition", "acquisition_cost,new_customers,cac,ltv,ltv_cac", ("month", "channel"), BY_CHANNEL,
        about="CAC, LTV:CAC",
    ),
    Workload(
        "nps_csat", "nps_responses,nps,nps_low,nps_high,csat_responses,csat,csat_low,csat_high", ("month",), "month",
        about="with intervals",
    ),
    Workload("funnel", "lead_funnel", ("month", "step"), "month", about="5 steps, 30 days"),
)  # fmt: skip
