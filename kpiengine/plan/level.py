"""One level of a query: all its measures at one set of dimensions, brought together in one row per group.

Without time functions the groups are those that have rows. With them (or with `--fill`) every period between the
first and the last is there for every group, so that what a window or a look-back sees has a row to stand in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from kpiengine.plan import distinct, relations
from kpiengine.plan.calls import BoundCall
from kpiengine.plan.dimensions import Dimension, finest_period
from kpiengine.plan.distinct import around_distinct, distinct_of
from kpiengine.plan.expressions import both_equal, column, date_literal, is_null
from kpiengine.plan.facts import Fact
from kpiengine.plan.frames import Frame, Measure, Window
from kpiengine.plan.relations import HOUR, Around, Relation, around_rows, on_edge_day, plain, two_level
from kpiengine.plan.scans import Workspace
from kpiengine.plan.spine import (
    LAST_DAY,
    SPINE_ENDINGS,
    Spine,
    hour_of,
    made_of_periods,
    shift_name,
    spine_steps,
    window_reach,
    window_start,
)
from kpiengine.plan.steps import Link, Named, Part, Select, Step, Stitch, Union
from kpiengine.plan.targets import FINER, ConstantTarget, adds_up, own_grain, unknown
from kpiengine.query import Query
from kpiengine.records import dataclass


@dataclass(frozen=True)
class LevelResult:
    """The rows of a level: the step to read, what is joined to it, and where each measure and key is found."""

    step: str
    links: tuple[Link, ...]
    keys: dict[str, exp.Expr]
    measures: dict[int, exp.Expr]
    period: str | None


class Level:
    """Builds one level. `measures` and `facts` are those of the whole query; `dense` asks for all periods, and `cut`
    says that the facts' own conditions cut periods of this level in two."""

    def __init__(
        self, space: Workspace, query: Query, dimensions: Sequence[Dimension], facts: Sequence[Fact],
        measures: Sequence[Measure | ConstantTarget], names: dict[int, str], dense: bool,
        cut: bool = False,
    ) -> None:  # fmt: skip
        self.space = space
        self.query = query
        self.facts = [f for f in facts if not f.aside]
        self.beside = [f for f in facts if f.aside]
        self.measures = {n: m for n, m in enumerate(measures) if isinstance(m, Measure)}
        self.constants = {n: m for n, m in enumerate(measures) if isinstance(m, ConstantTarget)}
        self.names = names
        self.cut = cut
        finest = finest_period(dimensions)
        self.period = finest
        nested = [d for d in dimensions if finest and d.unit and d.unit != finest]
        self.derived = [d.name for d in nested]
        self.keys = [d.name for d in dimensions if d not in nested]
        self.dense = bool(dense and finest)
        self.suffix = f"by_{'_'.join(self.keys)}" if self.keys else "total"
        self.steps: list[Step] = []
        self.spine: Spine | None = None

    def build(self) -> LevelResult:
        """The steps (left in `steps`) and where the level's values are."""
        owns = [self._own(fact) for fact in self.facts]
        base, base_keys, brought = self._dense_base(owns) if self.dense else self._sparse_base(owns)
        links: list[Link] = []
        values: dict[int, exp.Expr] = {n: exp.null() for n, m in self.measures.items() if self._unanswered(m.frame)}
        for fact, own in zip(self.facts, owns, strict=True):
            for relation, numbers in self._relations(fact, own, base):
                self._place(relation, numbers, base, brought, links, values)
        keys: dict[str, exp.Expr] = {k: column(k, base) for k in base_keys}
        self._add_targets(base, keys, links, values)
        return LevelResult(base, tuple(links), keys, values, self.period)

    # -- the rows that are there

    def _own(self, fact: Fact) -> Relation:
        """The fact's plain measures at this level; its rows say which groups there are."""
        calls = {n: c for n, c in fact.measures.items() if self._is_own(self.measures[n].frame, c)}
        others = [c for n, c in fact.measures.items() if n not in calls]
        cut: dict[int, tuple[exp.Expr, ...]] = {}
        conditions = fact.shown()
        if self.dense:
            conditions = ()
            if not self._aligned():
                cut = {n: fact.shown() for n in calls if not self.measures[n].frame.shifts}
        keys = {k: fact.keys[k] for k in self.keys}
        if not calls and not self.keys:
            others = []
        name = self.space.unique(f"{fact.name}_{self.suffix}")
        steps, relation = plain(name, fact, keys, calls, self.names, others, cut, conditions)
        self.steps += steps
        return relation

    def _add_targets(
        self, base: str, keys: dict[str, exp.Expr], links: list[Link], values: dict[int, exp.Expr]
    ) -> None:
        """Targets beside the rows: constants, and files joined to the groups that are there."""
        start = keys.get(str(self.period))
        others = [k for k in self.keys if k != self.period]
        for number, target in self.constants.items():
            told = not self.query.where  # a condition narrows the rows, and says nothing of a number
            values[number] = target.value(self.period, others, start, self.space.calendar) if told else unknown()
        for fact in self.beside:
            known = {n: c for n, c in fact.measures.items() if self._target_known(fact, n)}
            values |= {n: unknown() for n in fact.measures if n not in known}
            if known:
                own = Relation("", (), {})
                for relation, numbers in self._relations(replace(fact, measures=known), own, base):
                    self._place(relation, numbers, base, {}, links, values)

    def _target_known(self, fact: Fact, number: int) -> bool:
        """Whether a target file tells anything at this level; a measure that is none always does."""
        measure = self.measures[number]
        if not measure.is_target:
            return True
        if not fact.known or any(k not in fact.keys for k in self.keys):
            return False
        own, _ = own_grain(measure.owner)
        names = {c.name.lower() for c in fact.rows.source.columns.values()} - {"period", "value"}
        if self.period == own and names <= {k.lower() for k in self.keys}:
            return True
        nests = self.period is None or self.period == own or (own, self.period) in FINER
        return nests and adds_up(self.space.model, measure.owner)

    def _is_own(self, frame: Frame, call: BoundCall) -> bool:
        return frame.is_plain and call.per is None and not self._unanswered(frame)

    def _aligned(self) -> bool:
        """Whether --since, --until and --complete cut no period in two."""
        if self.cut:
            return False
        for bound in (self.query.since, self.query.until):
            if bound is None:
                continue
            day = bound.date() if isinstance(bound, dt.datetime) else bound
            if day is not bound or (
                self.period not in (None, "hour", "day") and self.space.calendar.start_of(day, str(self.period)) != day
            ):
                return False
        return True

    def _sparse_base(self, owns: Sequence[Relation]) -> tuple[str, list[str], dict[int, str]]:
        """The step whose rows are the groups, its keys, and the measures that it holds already."""
        if not self.keys:  # each has one row
            owns = [own for own in owns if own.columns] or owns[:1]
        if len(owns) == 1:
            return owns[0].step, self.keys, owns[0].columns
        name = self.space.unique(f"together_{self.suffix}")
        parts = [Part(own.step, tuple(dict.fromkeys(own.columns.values()))) for own in owns]
        stitch = Stitch(name, tuple(self.keys), tuple(parts))
        self.steps.append(stitch)
        brought = {n: stitch.told(p, c) for p, own in zip(parts, owns, strict=True) for n, c in own.columns.items()}
        return name, self.keys, brought

    def _dense_base(self, owns: Sequence[Relation]) -> tuple[str, list[str], dict[int, str]]:
        period = str(self.period)
        frames = [m.frame for m in self.measures.values()]
        parts = [Part(own.step, ()) for own in owns]
        edges = (self.query.since, self.query.until) if self.query.fill else (None, None)
        name = self.space.unique(
            {"day": "days"}.get(period, f"{period}s") + (f"_of_{self.suffix}" if self.suffix != f"by_{period}" else ""),
            *SPINE_ENDINGS,
        )
        steps, spine = spine_steps(name, period, self.space.calendar, parts, frames, *edges)
        self.steps += steps
        self.spine = spine
        others = [k for k in self.keys if k != period]
        grid = self.space.unique(f"grid_{self.suffix}", "_groups")
        links: tuple[Link, ...] = ()
        if others:
            groups = f"{grid}_groups"
            columns = tuple(Named(k, column(k)) for k in others)
            self.steps.append(Union(groups, tuple(Select("", p.step, columns) for p in parts), distinct=True))
            links = (Link(groups, groups, (exp.true(),), required=True),)
        shown = self._shown(spine)
        placed = tuple(Named(k, column(k, name if k == period else f"{grid}_groups")) for k in self.keys)
        looks = tuple(Named(c, column(c, name)) for c in spine.columns)
        dense = Select("", name, (*placed, *looks), links, shown)
        inputs: list[Select] = [dense]
        if self.query.since is None and self.query.until is None:
            inputs += [self._timeless(p, spine) for p in parts]
        self.steps.append(Union(grid, tuple(inputs), distinct=len(inputs) > 2))
        return grid, self.keys, {}

    def _shown(self, spine: Spine) -> tuple[exp.Expr, ...]:
        """That a period lies between --since and --until, at least with a part of it."""
        found: list[exp.Expr] = []
        start = column(spine.period, spine.step)
        if self.query.since is not None:
            end = start if spine.period == HOUR else column(LAST_DAY, spine.step)
            since = self.query.since
            if isinstance(since, dt.datetime):
                since = hour_of(since) if spine.period == HOUR else since.date()
            found.append(exp.GTE(this=end, expression=date_literal(since)))
        if self.query.until is not None:
            found.append(exp.LT(this=start.copy(), expression=date_literal(self.query.until)))
        return tuple(found)

    def _timeless(self, part: Part, spine: Spine) -> Select:
        """The groups whose rows have no time."""
        nothing = exp.cast(exp.null(), "TIMESTAMP" if spine.period == HOUR else "DATE")
        columns = (*(Named(k, column(k)) for k in self.keys), *(Named(c, nothing) for c in spine.columns))
        return Select("", part.step, columns, filters=(is_null(column(spine.period)),))

    # -- the measures

    def _relations(self, fact: Fact, own: Relation, base: str) -> list[tuple[Relation, list[int]]]:
        """The fact's measures by the step that holds them."""
        found: list[tuple[Relation, list[int]]] = [(own, list(own.columns))] if own.columns else []
        groups: dict[tuple[Frame, tuple[exp.Expr, ...], BoundCall | None, bool], dict[int, BoundCall]] = {}
        for number, call in fact.measures.items():
            frame = self.measures[number].frame
            if number in own.columns or self._unanswered(frame):
                continue
            bare = replace(frame, shifts=())
            alone = call.per is not None or self._counted_alone(frame, call)
            cut = not self.dense or not (frame.looks_around or self._aligned())
            key = (bare, call.filters if frame.edge else (), call if alone else None, cut)
            groups.setdefault(key, {})[number] = call
        for (frame, _, _, cut), calls in groups.items():
            once = {c: n for n, c in reversed(calls.items())}
            relation = self._framed(fact, frame, {n: calls[n] for n in sorted(once.values())}, cut)
            columns = {n: relation.columns[once[c]] for n, c in calls.items()}
            found.append((replace(relation, columns=columns), list(calls)))
        return found

    def _counted_alone(self, frame: Frame, call: BoundCall) -> bool:
        """Whether a call is a distinct count over a window, which has steps of its own."""
        windowed = frame.window is not None and not frame.edge and self.period not in (None, HOUR)
        return windowed and call.per is None and distinct_of(call) is not None

    def _unanswered(self, frame: Frame) -> bool:
        """Whether a frame needs a period, and this level (of totals) has none."""
        windowed = frame.window is not None and frame.window.function != "running"
        return not self.period and (bool(frame.shifts) or windowed)

    def _framed(self, fact: Fact, frame: Frame, calls: dict[int, BoundCall], cut: bool) -> Relation:
        """The measures in a frame, over the rows that are shown alone where `cut`."""
        keys = {k: fact.keys[k] for k in self._kept(frame)}
        window = frame.window if self.period else None
        conditions = fact.shown() if cut else ()
        if frame.window is not None and not self.period:  # the whole span: from the beginning
            conditions = (fact.until,) if fact.until is not None else ()
        around = self._around(window)
        name = self._name(fact, frame, calls)
        first = next(iter(calls))
        if frame.edge and fact.day is not None:
            steps, relation = on_edge_day(
                name, fact, keys, calls, self.names, frame.edge, self.period, conditions, around
            )
        elif calls[first].per is not None:
            steps, relation = two_level(name, fact, keys, first, calls[first], self.names[first], conditions, around)
        elif around is not None and self._counted_alone(frame, calls[first]):
            measure = self.names[first]
            steps, relation = around_distinct(name, fact, keys, first, calls[first], measure, around)
        elif around is not None:
            steps, relation = around_rows(name, fact, keys, calls, self.names, around)
        else:
            steps, relation = plain(name, fact, keys, calls, self.names, (), {}, conditions)
        self.steps += steps
        return relation

    def _name(self, fact: Fact, frame: Frame, calls: dict[int, BoundCall]) -> str:
        parts = [fact.name]
        first = next(iter(calls))
        if calls[first].per is not None or self._counted_alone(frame, calls[first]):
            parts.append(self.names[first])
        parts += [frame.window.name] if frame.window else []
        parts += [frame.edge] if frame.edge else []
        kept = self._kept(frame)
        parts.append(f"by_{'_'.join(kept)}" if kept else "total")
        return self.space.unique("_".join(parts), *relations.ENDINGS, *distinct.ENDINGS)

    def _around(self, window: Window | None) -> Around | None:
        if window is None or self.spine is None:
            return None
        last = HOUR if self.spine.period == HOUR else LAST_DAY
        reach = window_reach(window, self.spine.period)
        whole = made_of_periods(window, self.spine.period)
        return Around(self.spine.step, self.spine.period, window_start(window), last, reach, whole)

    def _kept(self, frame: Frame) -> list[str]:
        """The level's keys less those that total() drops."""
        if frame.dropped == ():
            return [k for k in self.keys if k == self.period]
        return frame.kept(self.keys)

    def _place(
        self, relation: Relation, numbers: list[int], base: str, brought: dict[int, str], links: list[Link],
        values: dict[int, exp.Expr],
    ) -> None:  # fmt: skip
        """Joins the relation to the base, once per shift, and says where each measure is found."""
        for number in numbers:
            measure = self.measures[number]
            shifts = measure.frame.shifts
            if number in brought and not shifts:
                values[number] = self._value(column(brought[number], base), measure, certain=len(self.facts) == 1)
                continue
            alias = f"{relation.step}_{shift_name(shifts)}" if shifts else relation.step
            if not any(link.alias == alias for link in links):
                links.append(Link(relation.step, alias, self._on(relation, alias, base, shifts)))
            values[number] = self._value(column(relation.columns[number], alias), measure, certain=False)

    def _on(
        self, relation: Relation, alias: str, base: str, shifts: tuple[tuple[int, str], ...]
    ) -> tuple[exp.Expr, ...]:
        on: list[exp.Expr] = []
        for key in relation.keys:
            here = column(shift_name(shifts), base) if shifts and key == self.period else column(key, base)
            there = column(key, alias)
            on.append(exp.EQ(this=here, expression=there) if shifts and key == self.period else both_equal(here, there))
        return tuple(on) or (exp.true(),)

    def _value(self, found: exp.Expr, measure: Measure, certain: bool) -> exp.Expr:
        """The measure's column; a count is 0 where its step has no row (`certain`: it always has), but not in the
        period of rows without a time."""
        frame = measure.frame
        if not measure.is_count or certain:
            return found
        zero = exp.Coalesce(this=found, expressions=[exp.Literal.number(0)])
        if self.dense and (frame.window is not None or frame.edge) and self.spine is not None:
            known = exp.Not(this=is_null(column(self.spine.period, self._grid())))
            return exp.Case(ifs=[exp.If(this=known, true=zero)])
        return zero

    def _grid(self) -> str:
        return next(s.name for s in reversed(self.steps) if isinstance(s, Union) and s.name.startswith("grid_"))
