"""Query + model → plan."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import field, replace

from sqlglot import exp

from kpiengine.calendar import PERIODS, plus_days
from kpiengine.errors import DefinitionError, UsageError, choices
from kpiengine.formula import Call, Formula, Reference, parse_formula
from kpiengine.functions import function_name
from kpiengine.kind import PORTABLE
from kpiengine.model import Model, OutOfReach
from kpiengine.plan.dimensions import Dimension, finest_period, read_dimensions
from kpiengine.plan.expressions import any_of, column, date_literal, filled_in, is_null
from kpiengine.plan.facts import Fact, FactBinder
from kpiengine.plan.frames import Measure
from kpiengine.plan.kinds import Collect, KindBinder
from kpiengine.plan.kindtable import plan_kind_table
from kpiengine.plan.level import Level, LevelResult
from kpiengine.plan.measures import Measures
from kpiengine.plan.scans import Workspace
from kpiengine.plan.steps import Aggregate, Named, Output, OutputColumn, Plan, Select, Sorting, Step, Union
from kpiengine.plan.targets import ConstantTarget, attainment, status
from kpiengine.query import Query
from kpiengine.records import dataclass
from kpiengine.spec import MetricSpec
from kpiengine.spec.text import Text
from kpiengine.statistics import Statistics

RESULT = "result"
TOTALS = "totals"


def make_plan(
    model: Model, query: Query, collect: Collect | None = None, known: Statistics | None = None, dialect: str = PORTABLE
) -> Plan:
    """The steps that answer `query`.

    `collect` runs a plan at once; kinds that fit a model need it. `known` is what is known of the sources' rows, and
    `dialect` the engine's, where kinds may use what it alone has. Raises UsageError where the query cannot be
    answered as asked, DefinitionError where a definition that it needs is wrong.
    """
    kinds = KindBinder(model, query.timezone or model.spec.timezone, collect, known, dialect)
    tables = [(name, model.kind_table(name)) for name in query.metrics]
    if any(table for _, table in tables):
        if len(tables) > 1:
            told = next(name for name, table in tables if table)
            raise UsageError(
                f'"{told}" is a table of its own: ask for it alone, or by one of its columns (--by {told}.<column>)'
            )
        table = tables[0][1]
        assert table is not None
        return plan_kind_table(model, query, table, kinds)
    return _Planner(model, query, kinds).plan()


@dataclass
class _Columns:
    """What each row of the result has, shown or only looked at."""

    trees: dict[str, exp.Expr] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    shown: list[OutputColumn] = field(default_factory=list)


class _Planner:
    def __init__(self, model: Model, query: Query, kinds: KindBinder) -> None:
        self.model = model
        self.query = query
        self.metrics = list({m.name: m for m in map(model.metric, query.metrics)}.values())
        if not self.metrics:
            raise UsageError("no metric is asked for; `kpi list` shows all")
        self.dimensions = read_dimensions(self._by())
        self.period = finest_period(self.dimensions)
        self.space = Workspace(model, query.timezone or model.spec.timezone, query.as_of, kinds)
        self.found = Measures(model, self.period)
        self.columns = _Columns()

    def _by(self) -> tuple[str, ...]:
        if self.query.by is not None:
            return self.query.by
        grains = {m.grain for m in self.metrics}
        if len(grains) > 1:
            told = ", ".join(f"{m.name} by {' and '.join(m.grain) or 'nothing'}" for m in self.metrics)
            raise UsageError(f"these metrics have different default grains ({told}): say which with --by, or --by none")
        return next(iter(grains))

    def plan(self) -> Plan:
        for metric in self.metrics:
            self._add_metric(metric)
        self.dimensions = self._as_spelt()
        having = [self._having(text) for text in self.query.having]
        order = self._order()
        self._check_names()
        self.found.give_rows_to_targets()
        facts = FactBinder(self.space, self.query, self.dimensions).bind(self.found.found)
        first, running = self._running(facts)
        steps, inputs = self._levels(facts, running)
        filters = [*having]
        if running is not None:
            filters.append(_before(column(str(self.period)), running))
        rows = [r for fact in {id(f.rows): f.rows for f in facts}.values() for r in fact.steps()]
        per = tuple(self._dimension_named(name) for name in self.query.per)
        output = Output(inputs, self._output_columns(), tuple(filters), order, self.query.limit, per)
        return Plan(
            (*self.space.shared_steps(), *rows, *first, *steps), output, self.space.checks(), self.space.sources()
        )

    def _add_metric(self, metric: MetricSpec) -> None:
        """A metric's columns: itself, and what --targets and --compare add to it."""
        trees = self.columns.trees
        value = trees[metric.name] = self.found.metric(metric.name)
        added: dict[str, tuple[exp.Expr, str | None]] = {}
        if self.query.targets and metric.target is not None:
            target = self.found.target(metric.name)
            share = attainment(value, target, metric.better)
            added["target"] = (target, metric.unit)
            added["attainment"] = (share, "percent")
            added["status"] = (status(share, metric.near), None)
        if self.query.compare is not None:
            before = self.found.shifted(metric.name, 1, self.query.compare)
            added["prior"] = (before, metric.unit)
            added["change"] = (exp.Sub(this=_wrapped(value), expression=_wrapped(before)), metric.unit)
            ratio = exp.Div(
                this=_wrapped(value), expression=exp.Nullif(this=before.copy(), expression=exp.Literal.number(0))
            )
            added["change_pct"] = (exp.Sub(this=ratio, expression=exp.Literal.number(1)), "percent")
        self.columns.shown.append(OutputColumn(metric.name, "metric", metric.name, metric.unit))
        for suffix, (tree, unit) in added.items():
            trees[f"{metric.name}_{suffix}"] = tree
            self.columns.shown.append(OutputColumn(f"{metric.name}_{suffix}", suffix, metric.name, unit))

    def _as_spelt(self) -> tuple[Dimension, ...]:
        """The dimensions with the spelling of the source that the first measure is of."""
        first = next((m for m in self.found.found if isinstance(m, Measure) and not m.is_target), None)
        if first is None:
            return self.dimensions
        source = self.space.source(first.source)
        spelt: list[Dimension] = []
        for dimension in self.dimensions:
            name = dimension.name
            if dimension.parts and (len(dimension.parts) == 1 or "_".join(dimension.parts) != name):
                with suppress(OutOfReach):
                    name = self.model.path(source, dimension.parts).column.name
            spelt.append(replace(dimension, name=name))
        return tuple(spelt)

    def _check_names(self) -> None:
        dims = {d.name.lower() for d in self.dimensions}
        for metric in self.metrics:
            if metric.name.lower() in dims:
                raise UsageError(
                    f'"{metric.name}" is both a metric and a dimension of this query: name the dimension by its path'
                )
        shown = Counter(c.name.lower() for c in self._output_columns())
        twice = [name for name, times in shown.items() if times > 1]
        if twice:
            raise UsageError(f'two columns of the result would be named "{twice[0]}": ask for them one at a time')

    # -- conditions and order on the result

    def _having(self, text: str) -> exp.Expr:
        owner = MetricSpec(name="--having")
        try:
            formula = parse_formula(Text(text), "--having")
        except DefinitionError as error:
            raise UsageError(*error.problems) from None
        values = [self._having_value(atom, formula, number, owner) for number, atom in enumerate(formula.atoms)]
        return filled_in(formula.tree, values)

    def _having_value(self, atom: object, formula: Formula, number: int, owner: MetricSpec) -> exp.Expr:
        if isinstance(atom, Reference):
            return column(self._result_column(atom.name, "--having"))
        if isinstance(atom, Call):
            name = f"having_{len(self.columns.hidden) + 1}"
            only = Formula(exp.Placeholder(this="0"), (formula.atoms[number],))
            self.columns.trees[name] = self.found.expression(only, owner)
            self.columns.hidden.add(name)
            return column(name)
        raise UsageError("--having sees metrics and dimensions of the result; conditions on rows belong to --where")

    def _result_column(self, name: str, what: str) -> str:
        """The column of the result that `name` is: a dimension, a metric asked for, or one that is added unseen."""
        for dimension in self.dimensions:
            if name.lower() in (dimension.name.lower(), dimension.told.lower()):
                return dimension.name
        if name.lower() == TOTALS and self.query.totals:
            return TOTALS
        metric = self.model.find_metric(name)
        if metric is None or metric.kind:
            known = [*(d.name for d in self.dimensions), *(m.name for m in self.metrics)]
            raise UsageError(
                f'{what}: "{name}" is neither a metric nor in the result, which has {choices(name, known)}'
            )
        if metric.name not in self.columns.trees:
            self.columns.trees[metric.name] = self.found.metric(metric.name)
            self.columns.hidden.add(metric.name)
        return metric.name

    def _dimension_named(self, name: str) -> str:
        for dimension in self.dimensions:
            if name.lower() in (dimension.name.lower(), dimension.told.lower()):
                return dimension.name
        known = [d.name for d in self.dimensions]
        raise UsageError(f'--per: "{name}" is no dimension of this query, which has: {choices(name, known)}')

    def _order(self) -> tuple[Sorting, ...]:
        asked = [Sorting(self._result_column(o.column, "--order"), o.descending) for o in self.query.order]
        named = {s.column for s in asked}
        rest = [Sorting(d.name) for d in self.dimensions if d.name not in named]
        totals = [Sorting(TOTALS)] if self.query.totals and TOTALS not in named else []
        return (*asked, *rest, *totals)

    # -- levels

    def _levels(
        self, facts: Sequence[Fact], running: exp.Expr | None
    ) -> tuple[list[Step], tuple[Select | Aggregate, ...]]:
        dense = self.query.fill or self.found.filled or any(m.frame.looks_around for m in self.found.found)
        names = _measure_names(self.found.found)
        counts = range(len(self.dimensions), -1, -1) if self.query.totals else [len(self.dimensions)]
        steps: list[Step] = []
        inputs: list[Select | Aggregate] = []
        for count in counts:
            kept = self.dimensions[:count]
            cut = running is not None and finest_period(kept) != self.period
            seen = [_cut(f, running) for f in facts] if running is not None and cut else facts
            level = Level(self.space, self.query, kept, seen, self.found.found, names, dense, cut)
            result = level.build()
            steps += level.steps
            inputs.append(self._shown(result, kept))
        return steps, tuple(inputs)

    def _shown(self, level: LevelResult, kept: Sequence[Dimension]) -> Select:
        columns: list[Named] = []
        for dimension in self.dimensions:
            columns += self._dimension(dimension, level, dimension in kept)
        if self.query.totals:
            dropped = len(self.dimensions) - len(kept)
            columns.append(Named(TOTALS, exp.cast(exp.Literal.number(dropped), "BIGINT")))
        for name, tree in self.columns.trees.items():
            columns.append(Named(name, filled_in(tree, level.measures)))
        return Select("", level.step, tuple(columns), level.links)

    def _dimension(self, dimension: Dimension, level: LevelResult, kept: bool) -> list[Named]:
        if not kept:
            key: exp.Expr = exp.null()
            if dimension.unit:
                key = exp.cast(key, "TIMESTAMP" if dimension.unit == "hour" else "DATE")
        elif dimension.name in level.keys:
            key = level.keys[dimension.name]
        else:
            key = self.model.calendar.start(_as_day(level.keys[str(level.period)], level.period), dimension.unit)
        found = [Named(dimension.name, key)]
        if self._has_label(dimension):
            label = self.model.calendar.label(key, dimension.unit, self.language) if kept else exp.null()
            found.append(Named(f"{dimension.name}_label", label if label is not None else exp.null()))
        return found

    @property
    def language(self) -> str:
        """The language of labels."""
        return self.query.language or self.model.spec.language or "en"

    def _has_label(self, dimension: Dimension) -> bool:
        return bool(dimension.unit) and dimension.unit != "hour" and self.model.calendar.has_labels

    def _output_columns(self) -> tuple[OutputColumn, ...]:
        found: list[OutputColumn] = []
        for dimension in self.dimensions:
            found.append(OutputColumn(dimension.name, "period" if dimension.unit else "dimension"))
            if self._has_label(dimension):
                found.append(OutputColumn(f"{dimension.name}_label", "label"))
        if self.query.totals:
            found.append(OutputColumn(TOTALS, "totals"))
        return (*found, *self.columns.shown)

    def _running(self, facts: Sequence[Fact]) -> tuple[list[Step], exp.Expr | None]:
        """For --complete the first day of the period that is still running, judged by the last row, and the steps that
        it needs; None where no period is left out. After a period's last day the next one is running."""
        if not self.query.complete:
            return [], None
        if self.period is None:
            raise UsageError("--complete leaves out a period that is still running; ask by one, as in --by month")
        unit = "day" if self.period == "hour" else self.period
        if self.query.as_of is not None:
            return [], date_literal(self.model.calendar.start_of(self.query.as_of + dt.timedelta(days=1), unit))
        if unit == "day":
            return [], None
        parts = [f for f in facts if f.day is not None]
        days = tuple(Aggregate("", f.rows.step, (), (Named("day", exp.Max(this=f.day)),), f.where) for f in parts)
        last = Named("day", exp.Max(this=column("day")))
        start = Named(unit, self.model.calendar.start(plus_days(column("day"), 1), unit))
        steps: list[Step] = [
            Union("last_days", days),
            Aggregate("last_row", "last_days", (), (last,)),
            Select("running_period", "last_row", (start,)),
        ]
        return steps, exp.Subquery(this=exp.select(column(unit)).from_("running_period"))


def _before(day: exp.Expr, running: exp.Expr) -> exp.Expr:
    """That a day lies before the running period, or is not known."""
    earlier = exp.LT(this=day.copy(), expression=running.copy())
    return exp.paren(any_of([earlier, is_null(day.copy())]), copy=False)


def _cut(fact: Fact, running: exp.Expr) -> Fact:
    """The fact without the rows of the running period, for levels (of totals) that do not show that period."""
    if fact.day is None:
        return fact
    before = _before(fact.day, running)
    return replace(fact, until=before if fact.until is None else exp.and_(fact.until, before))


def _as_day(key: exp.Expr, period: str | None) -> exp.Expr:
    return exp.cast(key.copy(), "DATE") if period == "hour" else key.copy()


def _wrapped(tree: exp.Expr) -> exp.Expr:
    return exp.paren(tree.copy(), copy=False) if isinstance(tree, exp.Binary | exp.Unary) else tree.copy()


def _measure_names(found: Sequence[Measure | ConstantTarget]) -> dict[int, str]:
    """A column's name for each measure: one for the same call over the same rows, whatever the frame."""
    names: dict[int, str] = {}
    owners: dict[str, tuple[object, ...]] = {}
    for number, measure in enumerate(found):
        if not isinstance(measure, Measure):
            continue
        told, what = _measure_name(measure), (measure.source, measure.time, measure.filters, measure.call)
        name, n = told, 2
        while owners.setdefault(name, what) != what:
            name, n = f"{told}_{n}", n + 1
        names[number] = name
    return names


def _measure_name(measure: Measure) -> str:
    """A column's name that says what is measured: the metric's, or the metric's and the aggregate's."""
    if measure.name:
        return measure.name
    call = measure.call.tree
    while isinstance(call, exp.Filter):
        call = call.this
    if measure.owner.name.startswith("--"):
        return "value"
    return f"{measure.owner.name}_{function_name(call) or 'value'}"


__all__ = ["PERIODS", "DefinitionError", "make_plan"]
