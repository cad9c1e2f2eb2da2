"""Rows that several steps read are read anew by each, rather than kept, where they are wide, or many for the memory.

DuckDB keeps the rows of a common table expression that two steps read. Of wide rows that costs more than to read the
file again: each reader then takes its own columns alone, and its conditions leave row groups out. Of many it costs the
memory that groups need, and what does not fit is written to the disk and read back, which takes far longer. It is the
last pass: the others may read a step once more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sqlglot import exp

from kpiengine.passes.context import FEW_ROWS, Context
from kpiengine.passes.prune import reads
from kpiengine.plan.steps import Given, Output, Plan, Scan, Select, Step

WIDE = 48
"""From so many bytes a row on."""
_OF_TEXT, _OF_OTHERS = 16, 8
MOST_OF_MEMORY = 1 / 4
"""What rows that are kept may take of it."""


def rescan(plan: Plan, context: Context) -> Plan:
    """Scans of wide rows, or of many, marked to be read by each of their readers."""
    read = [({name for name, _ in reads(step)}, step) for step in [*plan.steps, plan.output]]
    direct = Counter(name for names, _ in read for name in names)
    behind = Counter[str]()
    for names, step in reversed(read):
        # What hands rows on is no reader itself, but its own readers are: DuckDB writes it into each of them.
        count = behind[step.name] if not isinstance(step, Output) and _hands_on(step) else 1
        behind.update(dict.fromkeys(names, count))
    return replace(plan, steps=tuple(_marked(step, direct, behind, context) for step in plan.steps))


def _hands_on(step: Step) -> bool:
    """Whether a step gives its rows one by one, those that it leaves: neither joined, nor sorted, nor grouped."""
    if isinstance(step, Select):
        windows = any(c.expression.find(exp.Window, exp.Explode) for c in step.columns)
        return not (step.links or step.distinct or step.sorted_by or windows)
    query = step.query if isinstance(step, Given) and step.table is None else None
    if not isinstance(query, exp.Select) or any(query.args.get(part) for part in ("group", "distinct", "joins")):
        return False
    return query.find(exp.AggFunc, exp.Window, exp.Explode, exp.Limit) is None


def _marked(step: Step, direct: Counter[str], behind: Counter[str], context: Context) -> Step:
    """A step; a scan that several read with its mark, where it is of files that tell their rows at once."""
    if not isinstance(step, Scan) or max(direct[step.name], behind[step.name]) < 2:
        return step
    if context.always:
        return replace(step, kept=False)
    types = [context.type_of(step.source, c.name) or "" for c in step.columns]
    width = sum(_OF_TEXT if kind.startswith("VARCHAR") else _OF_OTHERS for kind in types)
    rows = context.known.rows(step.source)
    if rows is None:
        return step
    wide = width >= WIDE and direct[step.name] > 1
    many = rows >= FEW_ROWS and rows * width > MOST_OF_MEMORY * context.memory()
    return replace(step, kept=False) if wide or many else step
