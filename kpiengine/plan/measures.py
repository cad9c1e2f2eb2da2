"""A metric taken apart: a tree over measures, each an aggregate call of one source in one frame.

    avg order value a year ago   →   prior(revenue / orders, 1, year)
                                 →   :m1 / NULLIF(:m2, 0), both measures in the frame "1 year back"

Time functions are pushed down to the measures, since the value of a ratio a year ago is the ratio of the values a
year ago. So a frame is all that any nest of them comes to: how far the period is moved, and which days around the
moved period count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace
from typing import Any

from sqlglot import exp

from kpiengine.errors import DefinitionError, UsageError, suggest
from kpiengine.formula import Atom, Call, Formula, Parameter, Reference
from kpiengine.functions import METRIC_FUNCTIONS, QUERY_PERIOD
from kpiengine.model import Model
from kpiengine.plan.expressions import filled_in
from kpiengine.plan.frames import KIND_SOURCE, PLAIN, Frame, Measure, Window
from kpiengine.plan.simpler import computed
from kpiengine.plan.targets import ConstantTarget, constant_target, refuse_missing, target_source, unknown
from kpiengine.records import dataclass
from kpiengine.spec import MetricSpec, TargetFile
from kpiengine.spec.text import Text
from kpiengine.sqltext import Sql

_PERIOD_ORDER = {"hour": 0, "day": 1, "week": 2, "month": 3, "quarter": 4, "year": 5}


@dataclass
class Measures:
    """The measures of a query, numbered, and the metrics as trees over them."""

    model: Model
    period: str | None
    """The finest period of the query."""
    found: list[Measure | ConstantTarget] = field(default_factory=list)
    filled: bool = False
    """Whether a metric with `fill` was met, which needs every period."""
    _ids: dict[Measure | ConstantTarget, int] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], exp.Expr] = field(default_factory=dict)

    def metric(self, name: str) -> exp.Expr:
        """The tree of a metric; a placeholder `:3` stands for measure 3."""
        return self._metric(self.model.metric(name), (), PLAIN, (), True)

    def expression(self, formula: Formula, owner: MetricSpec) -> exp.Expr:
        """The tree of a formula that stands in no metric (a condition on the result)."""
        return self._formula(formula, owner, (), PLAIN, (), False)

    def shifted(self, name: str, n: int, unit: str) -> exp.Expr:
        """The tree of a metric in the period n units back, as `prior` has it."""
        if self.period is None:
            raise UsageError(f"--compare prior-{unit} needs a period: ask --by month, for instance")
        by = self.period if unit == QUERY_PERIOD else unit
        self._refuse_smaller(f"--compare prior-{unit}", by)
        return self._present(self._metric(self.model.metric(name), (), Frame(shifts=((n, by),)), (), False))

    def target(self, name: str) -> exp.Expr:
        """The tree of a metric's target. UsageError where it has none."""
        return self._target(self.model.metric(name), PLAIN, ())

    def give_rows_to_targets(self) -> None:
        """Where nothing but targets was met, their metrics are measured too: targets stand in their periods."""
        if any(isinstance(m, Measure) and not m.is_target for m in self.found):
            return
        for target in list(self.found):
            self.metric(target.metric if isinstance(target, ConstantTarget) else target.owner.name)

    def of(self, tree: exp.Expr) -> Iterator[Measure]:
        """The measures in a tree."""
        for node in tree.find_all(exp.Placeholder):
            found = self.found[int(node.name)]
            if isinstance(found, Measure):
                yield found

    def _metric(
        self, metric: MetricSpec, filters: tuple[Sql, ...], frame: Frame, above: tuple[str, ...], alone: bool
    ) -> exp.Expr:
        if alone:  # its measure is to bear its name
            return self._taken_apart(metric, filters, frame, above, alone)
        key = (metric.name, repr(metric.parameters), filters, frame)
        if key not in self._known:
            self._known[key] = self._taken_apart(metric, filters, frame, above, alone)
        return self._known[key].copy()

    def _taken_apart(
        self, metric: MetricSpec, filters: tuple[Sql, ...], frame: Frame, above: tuple[str, ...], alone: bool
    ) -> exp.Expr:
        if metric.name in above:
            ring = " → ".join([*above[above.index(metric.name) :], metric.name])
            raise DefinitionError(Sql(exp.null(), metric.formula).problem(f"metrics that need each other: {ring}"))  # type: ignore[arg-type]
        formula = self.model.formula(metric)
        own = tuple(f for f in self.model.filters(metric) if f not in filters)
        tree = self._formula(formula, metric, (*filters, *own), frame, (*above, metric.name), alone)
        if metric.fill is not None:
            self.filled = True
            tree = exp.Coalesce(this=tree, expressions=[exp.convert(metric.fill)])
        return tree

    def _formula(
        self,
        formula: Formula,
        metric: MetricSpec,
        filters: tuple[Sql, ...],
        frame: Frame,
        above: tuple[str, ...],
        alone: bool,
    ) -> exp.Expr:
        alone = alone and isinstance(formula.tree, exp.Placeholder)
        values = [self._atom(a, metric, filters, frame, above, alone) for a in formula.atoms]
        tree = filled_in(formula.tree, values)
        return computed(tree) if any(isinstance(atom, Parameter) for atom in formula.atoms) else tree

    def _atom(
        self,
        atom: Atom,
        metric: MetricSpec,
        filters: tuple[Sql, ...],
        frame: Frame,
        above: tuple[str, ...],
        alone: bool,
    ) -> exp.Expr:
        if isinstance(atom, Reference):
            found = self.model.find_metric(atom.name)
            if found is None or found.kind:
                raise DefinitionError(atom.sql.problem(self.unknown(atom.name, metric)))
            if metric.parameters:  # they hold for every metric in it, as its filters do
                found = replace(found, parameters={**found.parameters, **metric.parameters})
            return self._metric(found, filters, frame, above, alone)
        if isinstance(atom, Parameter):
            return self.model.parameter(atom.name, metric, atom.sql, atom.sql.tree)
        if isinstance(atom, Call):
            return self._call(atom, metric, filters, frame, above)
        call = self.model.filled(atom.sql, metric)
        table = self.model.kind_of_columns(metric, call)
        source = f"{KIND_SOURCE}{table}" if table is not None else self.model.source_of(metric).name
        name = metric.name if alone else ""
        library = metric.library is not None
        return self._measure(Measure(source, metric.time, filters, call, frame, metric, name, of_library=library))

    def unknown(self, name: str, metric: MetricSpec) -> str:
        """The message for a name that is no metric."""
        where = f'"{name}" in formula of "{metric.name}"'
        found = self.model.find_metric(name)
        if found is not None and found.kind:
            return f"{where} is a table ({found.kind}), not a number: aggregate a column of it, as in avg({name}.…)"
        source = self.model.spec.sources.get(metric.source or "")
        if source is not None:
            bound = self.model.source(source.name)
            if bound.find(name) is not None:
                return f"{where} is a column, and columns stand inside an aggregate call, as in sum({name})"
        return f'unknown metric "{name}" in formula of "{metric.name}"{suggest(name, self.model.metrics)}'

    def _measure(self, measure: Measure | ConstantTarget) -> exp.Expr:
        number = self._ids.get(measure)
        if number is None:
            number = self._ids[measure] = len(self.found)
            self.found.append(measure)
        known = self.found[number]
        if isinstance(measure, Measure) and isinstance(known, Measure) and measure.name and not known.name:
            self.found[number] = replace(known, name=measure.name)
        return exp.Placeholder(this=str(number))

    def _target(self, metric: MetricSpec, frame: Frame, filters: tuple[Sql, ...]) -> exp.Expr:
        """`filters` are those of metrics around it: they narrow the rows of a file, and say nothing of a number."""
        refuse_missing(metric)
        outer = tuple(f for f in filters if f not in self.model.filters(metric))
        if not isinstance(metric.target, TargetFile):
            if outer:
                return unknown()
            return self._measure(constant_target(self.model, metric, frame))
        source = target_source(self.model, metric)
        call = Sql(exp.Sum(this=exp.column("value")), Text("sum(value)", metric.target.place))
        name = f"{metric.name}_target"
        return self._measure(Measure(source, None, outer, call, frame, metric, name, is_target=True))

    # -- metric functions: each gives its metric in another frame

    def _call(
        self, call: Call, metric: MetricSpec, filters: tuple[Sql, ...], frame: Frame, above: tuple[str, ...]
    ) -> exp.Expr:
        if call.function == "target":
            return self._target(self._targeted(call, metric), frame, filters)
        n = self._count(call, metric)
        if call.function == "prior" and n == 0 and isinstance(call.n, Parameter):
            return self._formula(call.inner, metric, filters, frame, above, False)
        if METRIC_FUNCTIONS[call.function].needs_period and self.period is None:
            raise UsageError(
                f'"{metric.name}" uses {call.function}(), which needs a period: ask for it --by month, for instance'
            )
        moved = self._framed(call, n, metric, frame)
        tree = self._formula(call.inner, metric, filters, moved, above, False)
        return self._present(tree) if call.function == "prior" else tree

    def _targeted(self, call: Call, metric: MetricSpec) -> MetricSpec:
        """The metric that target() names."""
        atoms = call.inner.atoms
        only = atoms[0] if len(atoms) == 1 and isinstance(call.inner.tree, exp.Placeholder) else None
        found = self.model.find_metric(only.name) if isinstance(only, Reference) else None
        if found is None:
            message = f'formula of "{metric.name}": target() is written target(metric), with the name of a metric'
            raise DefinitionError(call.sql.problem(message))
        if found.target is None:
            raise DefinitionError(call.sql.problem(f'formula of "{metric.name}": "{found.name}" has no target'))
        return found

    def _refuse_smaller(self, what: str, unit: str) -> None:
        if self.period and _PERIOD_ORDER[unit] < _PERIOD_ORDER[self.period]:
            raise UsageError(f"{what} by {self.period}: the unit is smaller than the period")

    def _count(self, call: Call, metric: MetricSpec) -> int:
        """The n of prior() and trailing(), which may be a parameter; 0 of one moves nothing and needs no period."""
        if isinstance(call.n, int):
            return call.n
        value = self.model.parameter(call.n.name, metric, call.n.sql, call.n.sql.tree).sql("duckdb")
        least = 1 if call.function == "trailing" else None
        if not value.removeprefix("-").isdigit() or (least is not None and int(value) < least):
            above = " above 0" if least else ""
            message = f'formula of "{metric.name}": ${call.n.name} is to be a whole number{above}, and is {value}'
            raise DefinitionError(call.n.sql.problem(message))
        return int(value)

    def _framed(self, call: Call, n: int, metric: MetricSpec, frame: Frame) -> Frame:
        unit = self.period if call.unit == QUERY_PERIOD and self.period else call.unit
        if call.function == "prior":
            if self.period and _PERIOD_ORDER[unit] < _PERIOD_ORDER[self.period]:
                message = (
                    f'"{metric.name}": prior(…, {n}, {unit}) by {self.period}: the unit is smaller than the period'
                )
                raise UsageError(message)
            return replace(frame, shifts=(*frame.shifts, (n, unit)))
        if call.function == "total":
            if frame.dropped == ():
                return frame
            return replace(frame, dropped=tuple(sorted({*(frame.dropped or ()), *call.dims})) if call.dims else ())
        if call.function in ("closing", "opening"):
            return replace(frame, edge=call.function)
        if frame.edge:
            raise DefinitionError(
                call.sql.problem(
                    f'formula of "{metric.name}": {call.function}() inside {frame.edge}(): put {frame.edge}() inside'
                )
            )
        if self.period is None:
            return replace(frame, window=Window("running"))
        return replace(frame, window=Window(call.function, n, unit))

    def _present(self, tree: exp.Expr) -> exp.Expr:
        """`tree`, NULL where the moved period has no rows: a count there would be 0, and is unknown."""
        if tree.meta.get("present"):
            return tree
        measures = list(self.of(tree))
        if not measures:  # a number given as a target, which is there without any rows
            return tree
        if isinstance(tree, exp.Placeholder) and not measures[0].is_count:
            return tree
        rows: dict[str, exp.Expr] = {}
        for measure in measures:
            star = Sql(exp.Count(this=exp.Star()), measure.call.text)
            placeholder = self._measure(replace(measure, call=star, name=""))
            rows.setdefault(placeholder.name, exp.GT(this=placeholder, expression=exp.Literal.number(0)))
        condition = exp.or_(*rows.values(), copy=False)
        case = exp.Case(ifs=[exp.If(this=condition, true=tree)])
        case.meta["present"] = True
        return case
