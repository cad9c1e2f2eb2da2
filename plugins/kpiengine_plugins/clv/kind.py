"""The kind `clv`: what each customer has brought to date, or is expected to bring.

`historical` is SQL alone. The others fit a model of purchases (BG/NBD, MBG/NBD, Pareto/NBD) and Gamma-Gamma to a
summary, and score customers in SQL. Computed beside it are the purchases expected of one who is a customer yet, once
for each pair of x and T, and for Pareto/NBD the probability of being one, for each x, t_x and T.

The rules that LANGUAGE leaves open: rows without a time count for orders and revenue, and a customer with no other
rows has no expectation. Where a customer's repeat days brought 0 or less (refunds), Gamma-Gamma has no say: the
customer is left out of its fit, and `expected_value` and `clv` are NULL.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from kpiengine.dates import parse_span
from kpiengine.errors import DataError, UsageError
from kpiengine.kind import Cte, Kind, KindColumn, KindContext, KindOption, KindTable, Rows
from kpiengine_plugins.clv import history
from kpiengine_plugins.orders import as_of_option

_TITLES = {
    "orders": {"en": "Orders", "fa": "سفارش‌ها"},
    "revenue": {"en": "Revenue", "fa": "درآمد"},
    "first_order": {"en": "First order", "fa": "نخستین سفارش"},
    "last_order": {"en": "Last order", "fa": "آخرین سفارش"},
    "clv": {"en": "Customer lifetime value", "fa": "ارزش طول عمر مشتری"},
}
_EXPECTED = {
    "p_alive": {"en": "Probability of being a customer yet", "fa": "احتمال فعال بودن مشتری"},
    "expected_orders": {"en": "Expected orders", "fa": "سفارش‌های مورد انتظار"},
    "expected_value": {"en": "Expected order value", "fa": "ارزش مورد انتظار هر سفارش"},
}
_FIT = {
    "parameter": {"en": "Parameter", "fa": "پارامتر"},
    "value": {"en": "Value", "fa": "مقدار"},
    "std_error": {"en": "Standard error", "fa": "خطای معیار"},
}


class Clv(Kind):
    """One row a customer: `orders, revenue, first_order, last_order, clv`, and for the models what is expected."""

    name: ClassVar[str] = "clv"
    tables: ClassVar[tuple[str, ...]] = ("fit",)
    options: ClassVar[Mapping[str, KindOption]] = {
        "customer": KindOption(required=True, column=True, description="Whose orders these are."),
        "time": KindOption(required=True, column=True, description="When a row was ordered."),
        "amount": KindOption(required=True, column=True, description="What a row was worth."),
        "order": KindOption(column=True, description="What order a row belongs to; rows are orders without it."),
        "model": KindOption(
            default="historical",
            choices=("historical", "bgnbd", "mbgnbd", "paretonbd"),
            description="Value to date (historical), or expected by BG/NBD, MBG/NBD or Pareto/NBD, with Gamma-Gamma.",
        ),
        "unit": KindOption(
            default="week", choices=tuple(history.DAYS_IN)[::-1], description="The unit of time that models count in."
        ),
        "horizon": KindOption(default="12 months", description="How far models look ahead."),
        "margin": KindOption(type=float, default=1.0, description="The share of revenue that counts as value."),
        "discount": KindOption(
            type=float, default=0.0, description="The yearly rate at which models discount, .1 for 10 %."
        ),
        "as_of": KindOption(type=(str, dt.date), description="The last day that is seen; the last row's."),
    }

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Wrong horizons, margins, discounts and dates."""
        problems = {}
        try:
            parse_span(str(options.get("horizon", "12 months")))
        except UsageError as error:
            problems["horizon"] = f"horizon: {error}"
        margin, discount = options.get("margin", 1.0), options.get("discount", 0.0)
        if not (math.isfinite(margin) and margin > 0):
            problems["margin"] = f"margin must be a number above 0, such as 0.35, not {margin}"
        if not (math.isfinite(discount) and discount >= 0):
            problems["discount"] = f"discount must be a yearly rate of 0 or more, such as 0.1, not {discount}"
        try:
            as_of_option(options)
        except ValueError:
            problems["as_of"] = f'as_of must be a date such as 2026-03-31, not "{options["as_of"]}"'
        return problems

    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """The customer, the time, the amount, and the order where one is given (`purchase`)."""
        inputs = {name: str(options[name]) for name in ("customer", "time", "amount")}
        if options.get("order"):
            inputs["purchase"] = str(options["order"])
        return inputs

    def entity(self, options: Mapping[str, Any]) -> str | None:
        """The customer's option."""
        return "customer"

    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        """The customer with the value; or the columns of `fit`."""
        return _columns(str(options["customer"]), options, table)

    def compile(self, context: KindContext) -> KindTable:
        """Customers and their values, or the fitted parameters."""
        options, as_of = context.options, context.as_of or as_of_option(context.options)
        columns = _columns(context.entity, options, context.table)
        margin = float(options.get("margin", 1.0))
        if options.get("model", "historical") == "historical":
            if context.table is not None:
                raise UsageError(f'"{context.name}" fits nothing (model: historical); model: bgnbd does, for one')
            return KindTable(tuple(history.historical(context, as_of, margin)), columns, (context.entity,))
        return _expected(context, as_of, margin, columns)


def _expected(context: KindContext, as_of: dt.date | None, margin: float, columns: tuple[KindColumn, ...]) -> KindTable:
    chosen = str(context.options["model"])
    try:
        import scipy  # noqa: F401  (its absence is told before rows are read)
    except ImportError:
        raise DataError(f'"{context.name}": {chosen} needs scipy; install it: pip install "kpiengine[clv]"') from None
    if context.collect is None:
        raise UsageError(f'"{context.name}" has to see its data to fit a model, and nothing is to be run here')
    from kpiengine_plugins.clv import model

    histories = history.histories(context, as_of)
    summary = context.collect([*histories, history.counted(context)])
    fit = model.fitted(context.name, chosen, summary, history.DAYS_IN[context.options["unit"]])
    if context.table is not None:
        return KindTable((Rows(f"{context.name}_fit", model.fit_table(fit)),), columns)
    horizon, discount = parse_span(str(context.options["horizon"])).days, float(context.options["discount"])
    made = [
        Rows(f"{context.name}_model", model.model_table(fit)),
        Rows(f"{context.name}_forecasts", model.forecast_table(fit, horizon, discount)),
    ]
    if chosen == "paretonbd":
        made.append(Rows(f"{context.name}_alive", model.alive_table(fit)))
    steps: tuple[Cte | Rows, ...] = (*histories, *made, *history.valued(context, as_of, margin))
    return KindTable(steps, columns, (context.entity,))


def _columns(customer: str, options: Mapping[str, Any], table: str | None) -> tuple[KindColumn, ...]:
    if table is not None:
        return tuple(KindColumn(name, label=label) for name, label in _FIT.items())
    titles = _TITLES | (_EXPECTED if options.get("model", "historical") != "historical" else {})
    return (KindColumn(customer, entity=True), *(KindColumn(name, label=label) for name, label in titles.items()))
