"""The metrics that questions are asked about: every form of the language over three sources."""

from __future__ import annotations

from itertools import cycle, islice

from .formulas import (
    Aggregate,
    Closing,
    Metric,
    Number,
    Opening,
    Operation,
    Per,
    Prior,
    Reference,
    Running,
    ToDate,
    Total,
    Trailing,
)
from .tables import All, Compare, Either, IsNull, Not

ZONE = ("customers", "regions", "zone")
CHANNEL = ("customers", "channel")
OWN_CHANNEL = ("channel",)

IN_X = Compare(OWN_CHANNEL, "=", "x")
NORTH = Compare(ZONE, "=", "n")
PAID = Compare(("status",), "=", "a")
POSITIVE = Compare(("amount",), ">", 0)
MIXED = Either(Not(IN_X), IsNull(ZONE))

ORDERS = {
    "orders_n": Aggregate("count"),
    "amount": Aggregate("sum", ("amount",)),
    "buyers": Aggregate("count distinct", ("customer_id",)),
    "pieces": Aggregate("sum", ("qty",)),
    "worth": Aggregate("sum", ("price",)),
    "priced": Aggregate("count", ("amount",)),
    "mean": Aggregate("avg", ("amount",)),
    "mean_pieces": Aggregate("avg", ("qty",)),
    "middle": Aggregate("median", ("amount",)),
    "middle_price": Aggregate("median", ("price",)),
    "least": Aggregate("min", ("amount",)),
    "most": Aggregate("max", ("qty",)),
    "last_status": Aggregate("max", ("status",)),
    "zones": Aggregate("count distinct", ZONE),
    "paid": Aggregate("sum", ("amount",), PAID),
    "paid_n": Aggregate("count", None, All(PAID, MIXED)),
    "north_pieces": Aggregate("sum", ("qty",), NORTH),
    "paid_share": Aggregate("avg", PAID),
    "best_customer": Aggregate("max", Per(("customer_id",), Aggregate("sum", ("amount",)))),
    "middle_customer": Aggregate("median", Per(("customer_id",), Aggregate("sum", ("amount",)))),
    "comeback": Aggregate("avg", Per(("customer_id",), Aggregate("count"), more_than=1)),
}
FILTERED = {
    "north_amount": Metric("north_amount", Aggregate("sum", ("amount",)), "orders", (NORTH,)),
    "paid_buyers": Metric("paid_buyers", Aggregate("count distinct", ("customer_id",)), "orders", (PAID, POSITIVE)),
    "positive_mean": Metric("positive_mean", Aggregate("avg", ("amount",)), "orders", (POSITIVE,)),
    "x_best": Metric(
        "x_best", Aggregate("max", Per(("customer_id",), Aggregate("count"))), "orders", (Not(IsNull(OWN_CHANNEL)),)
    ),
}
COSTS = {
    "cost": Aggregate("sum", ("amount",)),
    "entries": Aggregate("count"),
    "mean_cost": Aggregate("avg", ("amount",)),
    "cost_customers": Aggregate("count distinct", ("customer_id",)),
}
CUSTOMERS = {
    "customers_n": Aggregate("count"),
    "channels": Aggregate("count distinct", OWN_CHANNEL),
    "oldest": Aggregate("min", ("acquired_at",)),
}


def _ratio(left: str, right: str) -> Operation:
    return Operation("/", Reference(left), Reference(right))


DERIVED = {
    "aov": Metric("aov", _ratio("amount", "orders_n")),
    "profit": Metric("profit", Operation("-", Reference("amount"), Reference("cost"))),
    "cost_per_order": Metric("cost_per_order", _ratio("cost", "orders_n")),
    "orders_per_customer": Metric("orders_per_customer", _ratio("orders_n", "customers_n")),
    "margin": Metric("margin", _ratio("profit", "amount")),
    "inverse": Metric("inverse", Operation("/", Number(1), _ratio("amount", "pieces"))),
    "entries_less": Metric("entries_less", Operation("-", Reference("entries"), Reference("customers_n"))),
    "x_aov": Metric("x_aov", _ratio("amount", "orders_n"), filters=(IN_X,)),
    "north_profit": Metric("north_profit", Reference("profit"), filters=(NORTH,)),
    "share": Metric("share", Operation("/", Reference("amount"), Total(Reference("amount")))),
    "all_buyers": Metric("all_buyers", Total(Reference("buyers"))),
    "cost_share": Metric("cost_share", Operation("/", Reference("entries"), Total(Reference("orders_n")))),
}

_INNER = [
    "amount",
    "orders_n",
    "buyers",
    "aov",
    "middle",
    "cost",
    "profit",
    "north_amount",
    "paid",
    "mean",
    "best_customer",
    "x_aov",
    "entries",
    "customers_n",
    "last_status",
    "comeback",
    "share",
    "cost_per_order",
    "pieces",
    "zones",
]
_AROUND = (
    ("before", lambda m: Prior(m, 1, "month")),
    ("running", Running),
    ("ytd", lambda m: ToDate(m, "year")),
    ("trailing3", lambda m: Trailing(m, 3, "month")),
    ("year_before", lambda m: Prior(m, 1, "year")),
    ("closing", Closing),
    ("trailing45", lambda m: Trailing(m, 45, "day")),
    ("qtd", lambda m: ToDate(m, "quarter")),
    ("after", lambda m: Prior(m, -1, "quarter")),
    ("opening", Opening),
    ("before_ytd", lambda m: Prior(ToDate(m, "year"), 1, "month")),
    ("twice", lambda m: Prior(Prior(m, 1, "month"), 1, "month")),
    ("growth", lambda m: Operation("-", m, Prior(m, 1, "month"))),
    ("total_running", lambda m: Total(Running(m))),
    ("closing_before", lambda m: Prior(Closing(m), 1, "month")),
)
# Each function over some of the metrics, each metric under some of the functions.
AROUND = {
    f"{name}_{inner}": Metric(f"{name}_{inner}", make(Reference(inner)))
    for inner, (name, make) in islice(zip(cycle(_INNER), cycle(_AROUND), strict=False), len(_INNER) * 3)
}
AROUND |= {
    "web_before": Metric("web_before", Prior(Reference("profit"), 1, "month"), filters=(IN_X,)),
    "share_so_far": Metric(
        "share_so_far", Operation("/", Running(Reference("amount")), Total(Running(Reference("amount"))))
    ),
}

METRICS: dict[str, Metric] = {
    **{name: Metric(name, call, "orders") for name, call in ORDERS.items()},
    **{name: Metric(name, call, "costs") for name, call in COSTS.items()},
    **{name: Metric(name, call, "customers") for name, call in CUSTOMERS.items()},
    **FILTERED,
    **DERIVED,
    **AROUND,
}
