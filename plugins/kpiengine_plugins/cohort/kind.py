"""The kind `cohort`: the customers who first came in one period, and how many of them came in each period since.

Every cohort has a row for each number of periods that the data span; where that period had not begun by the last row,
`active`, `retention` and `revenue` are NULL. Rows without a customer or a time are left out. Periods are numbered by
counting those that there are between the first row and the last, so that a calendar's months may be of any length.

With `by` a customer belongs to the group of their first row; of several at that time, to the smallest value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from kpiengine.kind import Cte, Kind, KindColumn, KindContext, KindOption, KindTable
from kpiengine_plugins.cohort import tables
from kpiengine_plugins.cohort.work import Work

_TITLES = {
    "cohort": {"en": "Cohort", "fa": "همگروه"},
    "period_number": {"en": "Periods since", "fa": "دورهٔ چندم"},
    "customers": {"en": "Customers", "fa": "مشتریان"},
    "active": {"en": "Active", "fa": "فعال"},
    "retention": {"en": "Retention", "fa": "ماندگاری"},
    "revenue": {"en": "Revenue", "fa": "درآمد"},
    "revenue_to_date": {"en": "Revenue to date", "fa": "درآمد تاکنون"},
    "revenue_retention": {"en": "Revenue retention", "fa": "ماندگاری درآمد"},
    "clv": {"en": "Value per customer to date", "fa": "ارزش هر مشتری تاکنون"},
    "repeaters": {"en": "Customers with a second purchase", "fa": "مشتریان با خرید دوم"},
    "repeat_rate": {"en": "Repeat rate", "fa": "نرخ خرید دوباره"},
    "remaining": {"en": "Remaining", "fa": "مانده"},
    "churned": {"en": "Churned", "fa": "ازدست‌رفته"},
    "churn_rate": {"en": "Churn rate", "fa": "نرخ ریزش"},
    "survival": {"en": "Survival", "fa": "بقا"},
    "at_risk": {"en": "At risk", "fa": "در معرض ریزش"},
    "std_error": {"en": "Standard error", "fa": "خطای معیار"},
}

_GRID = ("cohort", "period_number", "customers")

_COLUMNS = {
    None: (*_GRID, "active", "retention", "revenue"),
    "rolling": (*_GRID, "active", "retention"),
    "recurring": (*_GRID, "active", "retention"),
    "revenue": (*_GRID, "revenue", "revenue_to_date", "revenue_retention", "clv"),
    "repeat": (*_GRID, "repeaters", "repeat_rate"),
    "churn": (*_GRID, "remaining", "churned", "churn_rate", "survival"),
    "survival": ("period_number", "at_risk", "churned", "churn_rate", "survival", "std_error"),
}
"""The columns of the tables, by the part of their name behind the dot."""


class Cohort(Kind):
    """One row a cohort and period since: `customers`, those `active`, their share (`retention`), their `revenue`.

    Tables beside it: `rolling`, `recurring`, `revenue`, `repeat`, `churn`, and over all cohorts `survival`.
    """

    name: ClassVar[str] = "cohort"
    takes_by: ClassVar[bool] = True
    tables: ClassVar[tuple[str, ...]] = tuple(name for name in _COLUMNS if name)
    options: ClassVar[Mapping[str, KindOption]] = {
        "customer": KindOption(required=True, column=True, description="Whose orders these are."),
        "time": KindOption(required=True, column=True, description="When a row was ordered."),
        "amount": KindOption(required=True, column=True, description="What a row was worth."),
        "period": KindOption(
            default="month",
            choices=("day", "week", "month", "quarter", "year"),
            description="The period that makes a cohort, in the project's calendar.",
        ),
        "churn_after": KindOption(
            type=int, default=1, description="Periods in a row without a purchase after which a customer has churned."
        ),
        "margin": KindOption(type=float, default=1.0, description="The share of revenue that counts as value (clv)."),
    }

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Wrong margins, and spans after which nobody has churned."""
        problems = {}
        after, margin = options.get("churn_after", 1), options.get("margin", 1.0)
        if isinstance(after, bool) or after < 1:
            problems["churn_after"] = f"churn_after must be a number of periods from 1 on, not {after}"
        if not (math.isfinite(margin) and margin > 0):
            problems["margin"] = f"margin must be a number above 0, such as 0.35, not {margin}"
        return problems

    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """The customer, the time and the amount."""
        return {name: str(options[name]) for name in ("customer", "time", "amount")}

    def entity(self, options: Mapping[str, Any]) -> str | None:
        """The customer's option: rows without one are left out."""
        return "customer"

    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        """The cohort, the period's number, and what the customers did in it."""
        return _columns((), table)

    def compile(self, context: KindContext) -> KindTable:
        """Days with purchases, periods with their numbers, the cohorts' sizes, and the cells of the table."""
        work = Work(context)
        steps = tables.STEPS[context.table](work)
        ctes = tuple(Cte(work.tables[step], query) for step, query in steps.items())
        ages = ("period_number",) if context.table == "survival" else ("cohort", "period_number")
        return KindTable(ctes, _columns(context.by, context.table), (*context.by, *ages))


def _columns(by: tuple[str, ...], table: str | None) -> tuple[KindColumn, ...]:
    return (*map(KindColumn, by), *(KindColumn(name, label=_TITLES[name]) for name in _COLUMNS[table]))
