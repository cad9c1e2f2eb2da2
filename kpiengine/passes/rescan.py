"""Wide rows that several steps read are read anew by each, rather than kept.

DuckDB keeps the rows of a common table expression that two steps read. Of wide rows that costs more than to read the
file again: each reader then takes its own columns alone, and its conditions leave row groups out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from kpiengine.passes.context import Context
from kpiengine.passes.prune import reads
from kpiengine.plan.steps import Plan, Scan, Step

WIDE = 48
"""From so many bytes a row on."""
_OF_TEXT, _OF_OTHERS = 16, 8


def rescan(plan: Plan, context: Context) -> Plan:
    """Scans of wide rows, marked to be read by each of their readers."""
    readers = Counter(name for step in [*plan.steps, plan.output] for name in {name for name, _ in reads(step)})
    return replace(plan, steps=tuple(_marked(step, readers, context) for step in plan.steps))


def _marked(step: Step, readers: Counter[str], context: Context) -> Step:
    """A step; a scan that several read with its mark, where it is of files that tell their rows at once."""
    if not isinstance(step, Scan) or readers[step.name] < 2:
        return step
    if context.always:
        return replace(step, kept=False)
    types = [context.type_of(step.source, c.name) or "" for c in step.columns]
    width = sum(_OF_TEXT if kind.startswith("VARCHAR") else _OF_OTHERS for kind in types)
    known = context.known.rows(step.source) is not None
    return replace(step, kept=False) if known and width >= WIDE else step
