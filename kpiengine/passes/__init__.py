"""Plan → a plan that gives the same rows for less work.

One pass per module, a function of the same name, in the order of `PASSES`. A pass changes a plan where its rule says
that it pays; on few rows, or where nothing is known of them, a plan stays as it is. `KPI_PASSES` chooses among them:
`all`, `none`, names, or `-name` for all but that; `always` takes what pays for granted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kpiengine.errors import UsageError, choices
from kpiengine.passes.codes import codes
from kpiengine.passes.context import FEW_ROWS, Context
from kpiengine.passes.days import days
from kpiengine.passes.entities import entities
from kpiengine.passes.fold import fold
from kpiengine.passes.inner import inner
from kpiengine.passes.masks import masks
from kpiengine.passes.merge import merge
from kpiengine.passes.packed import packed
from kpiengine.passes.prune import prune
from kpiengine.passes.rescan import rescan
from kpiengine.passes.seen import seen
from kpiengine.passes.stages import stages
from kpiengine.passes.starts import starts
from kpiengine.passes.sums import sums
from kpiengine.plan import Plan
from kpiengine.plan.steps import Scan

Pass = Callable[[Plan, Context], Plan]

PASSES: tuple[Pass, ...] = (
    entities, packed, masks, seen, prune, merge, fold, stages, starts, sums, days, inner, codes, rescan,
)  # fmt: skip
ENGINES = {"duckdb": PASSES, "spark": (entities, seen, prune, merge, fold, sums, days)}
"""The passes that are right, and pay, on an engine, by its dialect."""
CLUSTER = ("seen", "sums", "days")
"""Those that are for a cluster, and else where they are named."""


def passed(plan: Plan, context: Context, chosen: str = "all") -> Plan:
    """The plan after all passes that `chosen` (the text of KPI_PASSES) leaves. UsageError for an unknown name."""
    useful = ENGINES.get(context.dialect, ())
    wanted = _chosen(chosen)
    if context.dialect == "duckdb" and not context.always and not _has_many_rows(plan, context):
        return plan
    named = any(word in CLUSTER for word in _words(chosen))
    context = replace(context, on_cluster=context.dialect == "spark" or named)
    for each in wanted:
        plan = each(plan, context) if each in useful else plan
    return plan


def _has_many_rows(plan: Plan, context: Context) -> bool:
    """Whether any source is known to be so large that the form of a statement matters."""
    found = (context.known.rows(step.source) for step in plan.steps if isinstance(step, Scan))
    return any(rows is not None and rows >= FEW_ROWS for rows in found)


def takes_for_granted(chosen: str) -> bool:
    """Whether `chosen` says `always`."""
    return "always" in _words(chosen)


def _words(chosen: str) -> list[str]:
    return [word for word in chosen.replace(",", " ").lower().split() if word]


def _chosen(chosen: str) -> tuple[Pass, ...]:
    names = {each.__name__: each for each in PASSES}
    words = [word for word in _words(chosen) if word != "always"]
    unknown = [w for w in words if w.lstrip("-") not in names and w not in ("all", "none")]
    if unknown:
        raise UsageError(f'KPI_PASSES: there is no pass "{unknown[0]}"; there are: {choices(unknown[0], names)}')
    without = {w.lstrip("-") for w in words if w.startswith("-")}
    kept = {w for w in words if w in names}
    if "none" in words:
        return tuple(names[n] for n in names if n in kept)
    return tuple(each for name, each in names.items() if name not in without and (not kept or name in kept))


__all__ = ["PASSES", "Context", "passed", "takes_for_granted"]
