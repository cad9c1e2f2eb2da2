"""The facts of a query: for each source and time axis its rows, conditions, dimensions and measures, bound."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress

from sqlglot import exp

from kpiengine.calendar import PERIODS
from kpiengine.errors import DefinitionError, Place, Problem, UsageError, suggest
from kpiengine.model import OutOfReach, TypeFault
from kpiengine.plan.calls import BoundCall, bind_call
from kpiengine.plan.dimensions import Dimension
from kpiengine.plan.expressions import date_literal, local_time, not_null
from kpiengine.plan.frames import Measure
from kpiengine.plan.rows import Rows
from kpiengine.plan.scans import Workspace
from kpiengine.plan.targets import ConstantTarget
from kpiengine.query import Query
from kpiengine.records import dataclass
from kpiengine.sqltext import Sql, parse_condition


@dataclass
class Fact:
    """One source on one time axis. `where` are the query's conditions and hold for every measure of it.

    `since` and `until` are kept apart, since time functions look past them. `keys` are the dimensions' expressions.
    """

    name: str
    rows: Rows
    time: str | None
    where: tuple[exp.Expr, ...]
    since: exp.Expr | None
    until: exp.Expr | None
    keys: dict[str, exp.Expr]
    day: exp.Expr | None
    measures: dict[int, BoundCall]
    aside: bool = False
    """Whether it stands beside the others (targets, or measures with total() over dimensions that their source lacks):
    it adds no rows, and a dimension that it lacks is missing in `keys`."""
    known: bool = True
    """False for targets that a condition of the query cannot be asked of."""

    def shown(self) -> tuple[exp.Expr, ...]:
        """The conditions of `--since` and `--until`."""
        return tuple(c for c in (self.since, self.until) if c is not None)


class FactBinder:
    """Binds the measures of a query to facts, in the order in which their sources are first met."""

    def __init__(self, space: Workspace, query: Query, dimensions: Sequence[Dimension]) -> None:
        self.space = space
        self.query = query
        self.dimensions = dimensions
        self.rows: dict[str, Rows] = {}
        self.facts: dict[tuple[str, str | None, tuple[str, ...]], Fact] = {}
        self.problems: list[Problem] = []
        self._where = [parse_condition(w, "--where") for w in query.where]

    def bind(self, measures: Sequence[Measure | ConstantTarget]) -> list[Fact]:
        """The facts. Raises UsageError for what the query names, DefinitionError for what the YAML does."""
        for number, measure in enumerate(measures):
            if not isinstance(measure, Measure):
                continue
            fact = self._fact(measure)
            fact.rows.filters_of_keyed = measure.filters
            what = f'filter of "{measure.owner.name}"'
            filters = [fact.rows.bind(f, what, measure.time, self.problems) for f in measure.filters]
            self._check_conditions(fact, measure.filters, filters, what)
            fact.measures[number] = bind_call(measure, fact.rows, filters, self.problems)
            fact.rows.filters_of_keyed = ()
        if self.problems:
            raise DefinitionError(*self.problems)
        self._refuse_no_groups()
        return list(self.facts.values())

    def _fact(self, measure: Measure) -> Fact:
        source = self.space.source(measure.source)
        rows = self.rows.setdefault(source.name, Rows(self.space, source))
        lacking = () if measure.is_target else self._lacking(measure, rows)
        key = (source.name, measure.time, lacking)
        if key not in self.facts:
            taken = any(f.name == source.name for f in self.facts.values())
            name = f"{source.name}_{measure.time}" if taken else source.name
            made = self._beside(name, rows, measure) if measure.is_target else self._bound(name, rows, measure, lacking)
            self.facts[key] = made
        return self.facts[key]

    def _lacking(self, measure: Measure, rows: Rows) -> tuple[str, ...]:
        """The dimensions that total() drops for this measure and that its source does not have."""
        dropped = measure.frame.dropped
        if dropped is None:
            return ()
        names = {part for d in dropped for part in (d.lower(), d.rsplit(".", 1)[-1].lower())}
        found: list[str] = []
        for dimension in self.dimensions:
            if dimension.unit or (names and dimension.name.lower() not in names):
                continue
            try:
                rows.find(dimension.parts)
            except OutOfReach:
                found.append(dimension.name)
        return tuple(found)

    def _refuse_no_groups(self) -> None:
        """UsageError where every measure lacks a dimension: nothing is left that says which groups there are."""
        lacking = [(key, fact) for key, fact in self.facts.items() if key[2]]
        if not lacking or any(not f.aside for f in self.facts.values()):
            return
        (source, _, names), fact = lacking[0]
        for dimension in self.dimensions:
            if dimension.name in names:
                self._key(dimension, fact.rows, fact.time, f'source "{source}"')

    def _beside(self, name: str, rows: Rows, measure: Measure) -> Fact:
        """The fact of a target file, which need not have every dimension, nor what conditions look at."""
        keys: dict[str, exp.Expr] = {}
        for dimension in self.dimensions:
            with suppress(UsageError):
                keys[dimension.name] = self._key(dimension, rows, None, measure.name)
        where: list[exp.Expr] = []
        known = True
        try:
            where = [self._condition(sql, rows, None, measure.name) for sql in self._where]
        except UsageError:
            known = False
        local = rows.day(None)
        assert local is not None
        since = self._bound_of(exp.GTE, local, self.query.since)
        until = self._bound_of(exp.LT, local, self.query.until)
        return Fact(name, rows, None, tuple(where), since, until, keys, local, {}, aside=True, known=known)

    def _bound(self, name: str, rows: Rows, measure: Measure, lacking: tuple[str, ...]) -> Fact:
        time = measure.time
        told = f'metric "{measure.owner.name}"'
        try:
            axis = rows.time(time)
        except OutOfReach as out:
            place = measure.owner.places.get("time", measure.owner.place)
            raise DefinitionError(Problem(place, f'time of "{measure.owner.name}": {out}')) from None
        keys = {d.name: self._key(d, rows, time, told) for d in self.dimensions if d.name not in lacking}
        where = tuple(self._condition(sql, rows, time, told) for sql in self._where)
        since = until = None
        if self.query.since is not None or self.query.until is not None:
            if axis is None:
                raise UsageError(
                    f'{told} has no time, so --since and --until cannot cut it: source "{rows.source.name}" needs time:'
                )
            local = local_time(*axis, self.space.timezone)
            since = self._bound_of(exp.GTE, local, self.query.since)
            until = self._bound_of(exp.LT, local, self.query.until)
        where = (*where, *rows.as_of_filters(time))
        day = rows.day(time)
        return Fact(name, rows, time, where, since, until, keys, day, {}, aside=bool(lacking))

    @staticmethod
    def _bound_of(op: type[exp.Expr], time: exp.Expr, bound: dt.date | None) -> exp.Expr | None:
        return None if bound is None else op(this=time.copy(), expression=date_literal(bound))

    def _key(self, dimension: Dimension, rows: Rows, time: str | None, told: str) -> exp.Expr:
        if dimension.unit:
            period = rows.period(dimension.unit, time)
            if period is None:
                cure = f'source "{rows.source.name}" needs time:'
                raise UsageError(f"{told} has no time, so it cannot be asked by {dimension.unit}: {cure}")
            return period
        try:
            return rows.find(dimension.parts)
        except OutOfReach as out:
            names = [c.name for c in rows.source.columns.values()]
            near = suggest(dimension.told, [*names, *PERIODS])
            why = out if near == suggest(dimension.told, names) else f"{out.head}, and no period{near}"
            raise UsageError(f'{told} cannot be asked by "{dimension.told}": {why}') from None

    def _condition(self, sql: Sql, rows: Rows, time: str | None, told: str) -> exp.Expr:
        problems: list[Problem] = []
        bound = rows.bind(sql, f"--where {sql.text.value}", time, problems)
        if problems:
            hint = self._is_of_results(sql, rows)
            raise UsageError(*[Problem(Place(), f"{told}: {p.message}{hint}") for p in problems])
        self._check_condition(rows, sql, bound, f"--where {sql.text.value}", UsageError)
        return bound

    def _is_of_results(self, sql: Sql, rows: Rows) -> str:
        """What to do where a condition on rows names a metric."""
        for found in sql.tree.find_all(exp.Column):
            metric = None if found.table or rows.source.find(found.name) else self.space.model.find_metric(found.name)
            if metric is not None:
                return f'; "{metric.name}" is a metric: what is asked of results belongs to --having'
        return ""

    def _check_conditions(self, fact: Fact, texts: Sequence[Sql], bound: Sequence[exp.Expr], what: str) -> None:
        if self.problems:
            return
        for sql, tree in zip(texts, bound, strict=True):
            self._check_condition(fact.rows, sql, tree, what, DefinitionError)

    def _check_condition(
        self, rows: Rows, sql: Sql, bound: exp.Expr, what: str, error: type[DefinitionError | UsageError]
    ) -> None:
        try:
            kind = self.space.model.catalog.types(rows.types, [bound])[0]
        except TypeFault as fault:
            raise error(sql.problem(f"{what}: {fault.reason}")) from None
        if kind not in ("BOOLEAN", "NULL"):
            raise error(sql.problem(f"{what} is to be true or false, and this is {kind}"))


def present(keys: Sequence[exp.Expr]) -> tuple[exp.Expr, ...]:
    """Conditions that no key is NULL."""
    return tuple(not_null(k.copy()) for k in keys)
