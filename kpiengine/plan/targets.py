"""Targets: what a metric is to reach at a grain (LANGUAGE: `target:`), as constants or as rows of a file.

A target is told at the grain that it was given for. At a coarser one it is the sum, for metrics that are sums or plain
counts, and unknown (NULL) for others; at a finer one, or with a dimension that it lacks, it is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field

from sqlglot import exp

from kpiengine.calendar import PERIODS, Calendar, plus_days
from kpiengine.errors import DefinitionError, Problem, UsageError
from kpiengine.formula import Aggregate, Formula, Reference
from kpiengine.functions import PER, function_name
from kpiengine.model import Model
from kpiengine.plan.expressions import is_null
from kpiengine.plan.frames import PLAIN, Frame, Window
from kpiengine.plan.spine import last_day, shifted, trailing_start
from kpiengine.records import dataclass
from kpiengine.spec import MetricSpec, SourceSpec, TargetFile
from kpiengine.spec.specs import Option
from kpiengine.spec.text import Text

# How many of the finer period make one of the coarser, where that is the same in every calendar.
_MAKE = {("month", "quarter"): 3, ("month", "year"): 12, ("quarter", "year"): 4, ("day", "week"): 7}


FINER = frozenset({*_MAKE, *(("day", p) for p in ("month", "quarter", "year"))})
"""Pairs of periods of which the first lies in the second, whole."""

# The mean length in days. A whole number of periods never strays from it by half of one, in any calendar.
_DAYS_IN = {"day": "1", "week": "7", "month": "30.436875", "quarter": "91.310625", "year": "365.2425"}


@dataclass(frozen=True)
class ConstantTarget:
    """A target given as a number per period (None: for the grand total), and per value of `dims`."""

    metric: str
    values: Mapping[str | None, float] = field(hash=False)
    dims: tuple[str, ...] = ()
    adds_up: bool = False
    frame: Frame = PLAIN

    def value(self, period: str | None, dims: Sequence[str], key: exp.Expr | None, calendar: Calendar) -> exp.Expr:
        """The target at a grain, in the target's frame; `key` is the period's column."""
        known = {d.lower() for d in self.frame.kept(dims)} == {d.lower() for d in self.dims}
        if not known or (period is None) != (None in self.values):
            return unknown()
        if period is None or key is None:
            number = self._at(None, None, calendar)
        else:
            start = shifted(key, period, self.frame.shifts, calendar)
            window = self.frame.window
            number = self._over(window, period, start, calendar) if window else self._at(period, start, calendar)
        if number is None:
            return unknown()
        if key is None:
            return number
        return exp.Case(ifs=[exp.If(this=exp.Not(this=is_null(key.copy())), true=number)])

    def _over(self, window: Window, period: str, start: exp.Expr, calendar: Calendar) -> exp.Expr | None:
        """The sum over a window of whole periods; None for one that cuts them, or that has no beginning."""
        units = [p for p in PERIODS if p in self.values and _nests(p, period) and _nests(p, window.unit)]
        if not self.adds_up or not units or units[-1] not in _DAYS_IN:
            return None
        last = last_day(start, period, calendar)
        first = (
            calendar.start(last, window.unit)
            if window.function == "to_date"
            else trailing_start(start, last, period, window, calendar)
        )
        days = exp.DateDiff(this=plus_days(last, 1), expression=first, unit=exp.Literal.string("day"))
        length = exp.Literal.number(_DAYS_IN[units[-1]])
        many = exp.Round(this=exp.Div(this=exp.cast(days, "DOUBLE"), expression=length))
        return exp.Mul(this=exp.cast(exp.convert(self.values[units[-1]]), "DOUBLE"), expression=many)

    def _at(self, period: str | None, key: exp.Expr | None, calendar: Calendar) -> exp.Expr | None:
        if period in self.values:
            return exp.cast(exp.convert(self.values[period]), "DOUBLE")
        if not self.adds_up or period is None or key is None:
            return None
        finer = [p for p in PERIODS if p in self.values and PERIODS.index(p) < PERIODS.index(period)]
        for unit in reversed(finer):
            many = self._many(unit, period, key, calendar)
            if many is not None:
                return exp.Mul(this=exp.cast(exp.convert(self.values[unit]), "DOUBLE"), expression=many)
        return None

    def _many(self, unit: str, period: str, key: exp.Expr, calendar: Calendar) -> exp.Expr | None:
        if (unit, period) in _MAKE:
            return exp.Literal.number(_MAKE[unit, period])
        if unit == "day":
            after = plus_days(last_day(key, period, calendar), 1)
            return exp.DateDiff(this=after, expression=key.copy(), unit=exp.Literal.string("day"))
        return None


def _nests(finer: str, coarser: str) -> bool:
    return finer == coarser or (finer, coarser) in FINER


def unknown() -> exp.Expr:
    """A target that nobody gave."""
    return exp.cast(exp.null(), "DOUBLE")


def constant_target(model: Model, metric: MetricSpec, frame: Frame) -> ConstantTarget:
    """The target of a metric that has it as a number, or as a number per period."""
    period, dims = own_grain(metric)
    given = metric.target
    assert given is not None and not isinstance(given, TargetFile)
    values = {period: given} if not isinstance(given, Mapping) else dict[str | None, float](given.items())
    return ConstantTarget(metric.name, values, dims, adds_up(model, metric), frame)


def own_grain(metric: MetricSpec) -> tuple[str | None, tuple[str, ...]]:
    """The period and the dimensions of a metric's own grain."""
    periods = [g for g in metric.grain if g.lower() in PERIODS]
    dims = tuple(g for g in metric.grain if g.lower() not in PERIODS)
    return (periods[0].lower() if periods else None), dims


def adds_up(model: Model, metric: MetricSpec) -> bool:
    """Whether the metric of a union is the sum of the parts': sums, counts but distinct ones, and their sums."""
    return _adds(model, model.formula(metric), (metric.name,))


def _adds(model: Model, formula: Formula, above: tuple[str, ...]) -> bool:
    shape = formula.tree
    if any(not isinstance(n, exp.Placeholder | exp.Add | exp.Sub | exp.Paren | exp.Neg) for n in shape.walk()):
        return False
    for atom in formula.atoms:
        if isinstance(atom, Reference):
            other = model.find_metric(atom.name)
            if other is None or other.kind or other.name in above:
                return False
            if not _adds(model, model.formula(other), (*above, other.name)):
                return False
        elif not isinstance(atom, Aggregate) or not _sums(atom.sql.tree):
            return False
    return True


def _sums(call: exp.Expr) -> bool:
    bare = call.this if isinstance(call, exp.Filter) else call
    if not isinstance(bare, exp.Sum | exp.Count | exp.CountIf) or bare.find(exp.Distinct):
        return False
    return all(function_name(n) != PER for n in bare.find_all(exp.Anonymous))


def target_source(model: Model, metric: MetricSpec) -> str:
    """The name of the source that holds the rows of a metric's target file (see `target_sources`)."""
    target = metric.target
    assert isinstance(target, TargetFile)
    period, _ = own_grain(metric)
    if period is None:
        message = f'"{metric.name}" has its targets in a file, at its own grain, and has none: add grain: month'
        raise DefinitionError(Problem(metric.places.get("target", metric.place), message))
    return next(name for name, source in model.spec.sources.items() if source.place == target.place)


def target_sources(
    metrics: Mapping[str, MetricSpec],
    connector_for: Callable[[str], str | None],
    taken: Collection[str],
    problems: list[Problem],
) -> dict[str, SourceSpec]:
    """A source for each target file: `period` (2026, 2026-03 or 2026-03-01), `value`, and any dimensions.

    `taken` are the names of the project's own sources.
    """
    found: dict[str, SourceSpec] = {}
    for metric in metrics.values():
        target = metric.target
        if not isinstance(target, TargetFile):
            continue
        connector = connector_for(target.path)
        if connector is None:
            problems.append(Problem(target.place, f"no connector reads {target.path}; name a .csv or .parquet file"))
            continue
        name = f"{metric.name}_targets"
        while name in taken:
            name += "_"
        day = Text("cast(substr(cast(period as varchar) || '-01-01', 1, 10) as date)", target.place)
        options = {"path": Option(target.path, target.place)}
        found[name] = SourceSpec(name, connector, options, time="period", columns={"period": day}, place=target.place)
    return found


def refuse_missing(metric: MetricSpec) -> None:
    """UsageError for a metric that has no target."""
    if metric.target is None:
        raise UsageError(f'"{metric.name}" has no target; give it one: target: 120000, at its own grain')


def attainment(actual: exp.Expr, target: exp.Expr, better: str) -> exp.Expr:
    """Actual / target, or target / actual where less is better."""
    top, bottom = (target, actual) if better == "down" else (actual, target)
    zero = exp.Literal.number(0)
    return exp.Div(this=exp.cast(top.copy(), "DOUBLE"), expression=exp.Nullif(this=bottom.copy(), expression=zero))


def status(share: exp.Expr, near: float) -> exp.Expr:
    """`on` from 1, `near` from the metric's `near`, else `off`; NULL where attainment is."""
    one, close = exp.Literal.number(1), exp.convert(near)
    texts = [exp.Literal.string(word) for word in ("on", "near", "off")]
    return exp.Case(
        ifs=[
            exp.If(this=exp.GTE(this=share.copy(), expression=one), true=texts[0]),
            exp.If(this=exp.GTE(this=share.copy(), expression=close), true=texts[1]),
            exp.If(this=exp.Not(this=is_null(share.copy())), true=texts[2]),
        ]
    )
