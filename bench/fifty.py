"""Fifty metrics over one source against the dearest of them alone, at one grain: what a scan in common is worth."""

from __future__ import annotations

from pathlib import Path

from bench.measure import Ratio, ratio, timed
from bench.results import save
from bench.sides import Ours
from bench.workloads import BY_CHANNEL, Workload

STATES = ("completed", "cancelled", "pending", "refunded")
LINES = ("basic", "standard", "plus", "pro", "team", "enterprise")
METRICS = (
    "gross_revenue",
    "completed_buyers",
    *(f"{state}_{line}_{what}" for state in STATES for line in LINES for what in ("orders", "amount")),
)
BOUND = 1.5


def fifty(data: Path, pairs: int, threads: int) -> Ratio:
    """The ratio; prints a line."""
    ours = Ours(data, threads, None)
    keys = ("month", "channel")
    alone = [Workload(name, name, keys, BY_CHANNEL) for name in ("gross_revenue", "completed_buyers", METRICS[-1])]
    prices = [(min(ours.arrow(one)[1].cpu for _ in range(2)), one) for one in alone]
    dearest = max(prices, key=lambda price: price[0])[1]
    together = Workload("fifty", ",".join(METRICS), keys, BY_CHANNEL)
    ours.arrow(together)
    all_of_them, one_of_them = [], []
    for _ in range(pairs):
        all_of_them.append(ours.arrow(together)[1].wall)
        one_of_them.append(ours.arrow(dearest)[1].wall)
    compiled = timed(ours.query, together)[0].wall
    ours.close()
    found = ratio(all_of_them, one_of_them)
    print(f"{len(METRICS)} metrics to {dearest.name} alone: {found}; compiled in {1000 * compiled:.0f} ms", flush=True)
    row = {
        "metrics": len(METRICS),
        "dearest": dearest.name,
        "ratio": found.median,
        "low": found.low,
        "high": found.high,
    }
    save("fifty", [{**row, "compile_s": compiled}], pairs=pairs)
    return found
