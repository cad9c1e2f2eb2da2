"""Fine groups before coarse ones: days before months, the columns of FILTER conditions before the conditions.

A day is far cheaper to cut from a time than a month, and a condition is cheaper over a few thousand groups than over
all rows. Aggregates of the same rows share the fine groups, so that the rows are read once.

    select month(time), sum(a) filter (where s = 'x'), sum(a) filter (where s = 'y') …  →
    fine:   select day(time), s, sum(a) as a_sum …
    coarse: select month(day), sum(a_sum) filter (where s = 'x'), … from fine
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from math import prod

from sqlglot import exp

from kpiengine.passes.context import FEW_ROWS, Context, Lineage
from kpiengine.passes.trees import calls, core, over, own_columns, size, taken_apart
from kpiengine.plan.expressions import column, free, not_null, whole_number, with_filter
from kpiengine.plan.steps import Aggregate, Named, Plan, Step
from kpiengine.records import dataclass

ROWS_A_GROUP = 8
"""Fine groups pay where at least so many rows fall into one, by what is known of the keys."""
MANY_GROUPS = 20_000
"""More groups than that leave the processor's caches, and that costs more than to cut a month from each time."""
FEW_VALUES = 100
"""A condition's column with more values is left where it is."""
COSTLY = 12
"""A condition of so many nodes is worth a column of its own, though it be the only one, and more groups."""
ROWS_A_COSTLY_GROUP = 2


def fold(plan: Plan, context: Context) -> Plan:
    """Aggregates over fine groups of their rows, where those are few."""
    lineage = Lineage(plan, context)
    together: dict[tuple[str, tuple[exp.Expr, ...]], list[Aggregate]] = {}
    for step in plan.steps:
        if isinstance(step, Aggregate) and not step.links and step.input in lineage.steps:
            together.setdefault((step.input, step.filters), []).append(step)
    made: dict[str, list[Step]] = {}
    for (rows, _), found in together.items():
        if len(found) < lineage.context.fewest_together:
            continue
        folded = Folding(rows, found, lineage).steps()
        if folded is not None:
            fine, *coarse = folded
            made |= {step.name: [step] for step in coarse}
            made[coarse[0].name].insert(0, fine)
    if not made:
        return plan
    return replace(plan, steps=tuple(s for step in plan.steps for s in made.get(step.name, [step])))


@dataclass
class _Fine:
    """The fine groups in the making: what they are grouped by, and what is kept of each."""

    keys: dict[exp.Expr, str] = field(default_factory=dict)
    partials: dict[exp.Expr, str] = field(default_factory=dict)

    def key(self, tree: exp.Expr, name: str) -> None:
        if tree not in self.keys:
            self.keys[tree] = free(name, self.keys.values())

    def partial(self, tree: exp.Expr, name: str) -> exp.Column:
        if tree not in self.partials:
            self.partials[tree] = free(name, [*self.keys.values(), *self.partials.values()])
        return column(self.partials[tree])

    def over(self, tree: exp.Expr) -> exp.Expr | None:
        """An expression over the keys; None where it needs more of the rows."""
        return over(tree, {key: column(name) for key, name in self.keys.items()})


class Folding:
    """Aggregates `found` of the step `rows`, all with the same filters, over fine groups."""

    def __init__(self, rows: str, found: Sequence[Aggregate], lineage: Lineage) -> None:
        self.rows = rows
        self.lineage = lineage
        self.always = lineage.context.always
        self.found = [a for a in found if all(self._folds(c) for m in a.measures for c in calls(m.expression))]
        self.fine = _Fine()

    def steps(self) -> list[Aggregate] | None:
        """The fine step and the coarse ones; None where it does not pay."""
        rows = self.lineage.rows(self.rows)
        if not self.found or (not self.always and (rows is None or rows < FEW_ROWS)):
            return None
        keys = self._keys(rows or 0)
        return None if keys is None else self.by(keys)

    def by(self, keys: Mapping[exp.Expr, str]) -> list[Aggregate] | None:
        """The step of the groups by `keys` (expressions, with their names), and the aggregates over them.

        None where one of them needs more of the rows.
        """
        for tree, name in keys.items():
            self.fine.key(tree, name)
        coarse: list[Aggregate] = []
        of = self.found[0].name.split("_by_")[0].removesuffix("_total")
        name = self.lineage.unique(f"{of}_by_{'_'.join(self.fine.keys.values())}")
        for aggregate in self.found:
            made = self._coarse(aggregate, name)
            if made is None:
                return None
            coarse.append(made)
        grouped = tuple(Named(n, tree.copy()) for tree, n in self.fine.keys.items())
        kept = tuple(Named(n, tree.copy()) for tree, n in self.fine.partials.items())
        return [Aggregate(name, self.rows, grouped, kept, self.found[0].filters), *coarse]

    # -- the keys

    def _keys(self, rows: int) -> dict[exp.Expr, str] | None:
        """The fine keys with their names, where they are few enough and win something."""
        whole = {k.expression: k.name for a in self.found for k in a.keys}
        cores = {core(tree): _told(core(tree), name) for tree, name in whole.items() if tree.find(exp.Column)}
        seen = self.conditions()
        conditions = self._columns_of(seen)
        groups = [self._values(c) for c in cores]
        if not self.always and any(g is None for g in groups):
            return None
        most = rows // (ROWS_A_COSTLY_GROUP if self._costly(seen) else ROWS_A_GROUP)
        chosen = dict(cores)
        many = prod(g or 1 for g in groups)
        for tree, values in sorted(conditions.items(), key=lambda item: item[1]):
            if tree not in chosen and (self.always or many * values <= most):
                chosen[tree] = tree.name
                many *= values
        too_many = not self.always and many > min(rows // ROWS_A_GROUP, MANY_GROUPS)
        if too_many or self.lineage.context.on_cluster:  # fewer groups: the keys as they are
            chosen = {**whole, **{tree: name for tree, name in chosen.items() if tree in conditions}}
        wins = len(self.found) > 1 or len(chosen) > len(cores) or any(c not in whole for c in cores)
        return chosen if wins and (self.always or many <= most) else None

    def _values(self, tree: exp.Expr) -> int | None:
        return self.lineage.distinct(self.rows, tree)

    def conditions(self) -> dict[exp.Expr, None]:
        """The FILTER conditions of all measures."""
        seen: dict[exp.Expr, None] = {}
        for aggregate in self.found:
            for measure in aggregate.measures:
                for call in calls(measure.expression):
                    seen |= dict.fromkeys(_conditions(call))
        return seen

    @staticmethod
    def _costly(conditions: Iterable[exp.Expr]) -> bool:
        return any(size(c) >= COSTLY for c in conditions)

    def _columns_of(self, seen: dict[exp.Expr, None]) -> dict[exp.Expr, int]:
        """The columns of conditions that have few values, with how many, where folding the conditions pays."""
        if not self.always and len(seen) < 2 and not self._costly(seen):
            return {}
        found: dict[exp.Expr, int] = {}
        for condition in seen:
            for each in own_columns(condition):
                values = self._values(each)
                if values <= FEW_VALUES if values is not None else self.always:
                    found[each] = values or 1
        return found

    # -- the measures

    def _coarse(self, aggregate: Aggregate, fine: str) -> Aggregate | None:
        keys = [(k.name, self.fine.over(k.expression)) for k in aggregate.keys]
        measures = [(m.name, self._whole(m.expression, m.name)) for m in aggregate.measures]
        made = [Named(name, tree) for name, tree in (*keys, *measures) if tree is not None]
        if len(made) < len(keys) + len(measures):
            return None
        return Aggregate(aggregate.name, fine, tuple(made[: len(keys)]), tuple(made[len(keys) :]))

    def _whole(self, measure: exp.Expr, name: str) -> exp.Expr | None:
        """A measure over the fine groups."""
        folded = {call: self._folded(call, name) for call in calls(measure)}
        return over(measure, {call: tree for call, tree in folded.items() if tree is not None})

    def _folds(self, call: exp.Expr) -> bool:
        """Whether the whole of a call is made of its parts."""
        bare, _ = taken_apart(call)
        if not isinstance(bare, exp.Sum | exp.Count | exp.CountIf | exp.Min | exp.Max | exp.Avg):
            return False
        if bare.find(exp.Distinct, exp.Order) or bare.expressions:
            return False
        return not isinstance(bare, exp.Avg) or self.lineage.numeric(self.rows, bare.this)

    def _folded(self, call: exp.Expr, name: str) -> exp.Expr | None:
        bare, conditions = taken_apart(call)
        if isinstance(bare, exp.CountIf):
            bare, conditions = exp.Count(this=exp.Star()), [*conditions, bare.this]
        said = [(c, self.fine.over(c)) for c in conditions]
        inner, outer = [c for c, o in said if o is None], [o for _, o in said if o is not None]
        if isinstance(bare, exp.Count):
            return self._count(bare, name, inner, outer)
        if isinstance(bare, exp.Avg):
            return self._average(bare.this, name, inner, outer)
        if isinstance(bare.this, exp.Column) and isinstance(self.lineage.steps.get(self.rows), Aggregate):
            name = bare.this.name  # parts of groups are named already
        of_key = self.fine.over(bare.this) if isinstance(bare, exp.Min | exp.Max) and not inner else None
        part = of_key if of_key is not None else self.fine.partial(with_filter(bare, inner), name)
        return with_filter(type(bare)(this=part), outer)

    def _count(self, count: exp.Expr, name: str, inner: list[exp.Expr], outer: list[exp.Expr]) -> exp.Expr:
        zero = exp.Literal.number(0)
        return exp.Coalesce(this=whole_number(self._rows(count, name, inner, outer)), expressions=[zero])

    def _rows(self, count: exp.Expr, name: str, inner: list[exp.Expr], outer: list[exp.Expr]) -> exp.Expr:
        """How many rows a count counts, as a sum over the fine groups; NULL for none."""
        counted = count.this
        if not isinstance(counted, exp.Star) and not inner:
            of_key = self.fine.over(counted)
            if of_key is not None:
                present = [] if isinstance(counted, exp.Literal) else [not_null(of_key)]
                count, outer, name = exp.Count(this=exp.Star()), [*present, *outer], "rows_seen"
        if isinstance(count.this, exp.Star):
            count = exp.Count(this=exp.Star())
            name = name if inner else "rows_seen"
        return with_filter(exp.Sum(this=self.fine.partial(with_filter(count, inner), name)), outer)

    def _average(self, argument: exp.Expr, name: str, inner: list[exp.Expr], outer: list[exp.Expr]) -> exp.Expr:
        rows = self._rows(exp.Count(this=argument.copy()), f"{name}_rows", inner, outer)
        part = self.fine.partial(with_filter(exp.Sum(this=argument.copy()), inner), f"{name}_sum")
        total = exp.cast(with_filter(exp.Sum(this=part), outer), "DOUBLE")
        return exp.Div(this=total, expression=exp.Nullif(this=rows, expression=exp.Literal.number(0)))


def _told(tree: exp.Expr, name: str) -> str:
    """A fine key's name: `day` for one that is cut from a time, else the column's, or the coarse key's."""
    if isinstance(tree, exp.Column):
        return tree.name
    return "day" if tree.is_type("date") else name


def _conditions(call: exp.Expr) -> Iterable[exp.Expr]:
    bare, conditions = taken_apart(call)
    return [*conditions, bare.this] if isinstance(bare, exp.CountIf) else conditions
