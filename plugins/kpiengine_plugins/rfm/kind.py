"""The kind `rfm`: recency, frequency and monetary value of each customer, their scores and the segment.

A customer whose amounts are all NULL has spent 0. Rows without a time count for frequency and money; a customer
with no other rows has no recency, and so neither `r` nor `rfm` nor a segment. On a scale of 10 the scores in `rfm`
are parted by dashes ("10-9-10").
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine.kind import Cte, Kind, KindColumn, KindContext, KindOption, KindTable
from kpiengine_plugins.orders import as_of_option, counted_orders, date, not_later, summed
from kpiengine_plugins.rfm.scores import MEASURES, SCORES, score_steps
from kpiengine_plugins.rfm.segments import (
    DEFAULT_SCALE,
    DEFAULT_SEGMENTS,
    LABELS,
    OTHERS,
    Pattern,
    parse_segments,
)

SCALES = range(2, 11)
"""Numbers of scores that `scale` takes."""

STEPS = ("customers", "last_day", "measures", "scores", "segments")
"""What the common table expressions hold; each is named after the metric and this."""

_TITLES = {
    "recency": {"en": "Recency (days)", "fa": "روز از آخرین خرید"},
    "frequency": {"en": "Frequency", "fa": "دفعات خرید"},
    "monetary": {"en": "Monetary value", "fa": "ارزش خرید"},
    "r": {"en": "R", "fa": "امتیاز تازگی"},
    "f": {"en": "F", "fa": "امتیاز تکرار"},
    "m": {"en": "M", "fa": "امتیاز ارزش"},
    "rfm": {"en": "RFM", "fa": "RFM"},
    "segment": {"en": "Segment", "fa": "بخش مشتریان"},
}


class Rfm(Kind):
    """One row a customer: `recency`, `frequency`, `monetary`, `r`, `f`, `m` (highest is best), `rfm`, `segment`."""

    name: ClassVar[str] = "rfm"
    options: ClassVar[Mapping[str, KindOption]] = {
        "customer": KindOption(required=True, column=True, description="Whose orders these are."),
        "time": KindOption(required=True, column=True, description="When a row was ordered."),
        "amount": KindOption(required=True, column=True, description="What a row was worth."),
        "order": KindOption(column=True, description="What order a row belongs to; rows are orders without it."),
        "as_of": KindOption(
            type=(str, dt.date), description="The day that recency counts back to; the day after the last row."
        ),
        "scale": KindOption(type=int, default=DEFAULT_SCALE, description="How many scores there are."),
        "method": KindOption(
            default="quantile", choices=("quantile", "ntile", "bins"), description="How scores are cut."
        ),
        "bins": KindOption(
            type=dict,
            description="For method bins: lower bounds of the second to the last bin of recency, frequency, monetary.",
        ),
        "segments": KindOption(
            type=dict, description='Segment: scores or ranges of R, F and (optionally) M, as "4-5 4-5 *".'
        ),
    }

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Wrong scales, dates, bins and segments."""
        scale = options.get("scale", DEFAULT_SCALE)
        if isinstance(scale, bool) or scale not in SCALES:
            return {"scale": f"scale must be a whole number from {SCALES[0]} to {SCALES[-1]}, not {scale}"}
        problems = {"bins": _bins_problem(options, scale)}
        try:
            as_of_option(options)
        except ValueError:
            problems["as_of"] = f'as_of must be a date such as 2026-03-31, not "{options["as_of"]}"'
        try:
            _patterns(options)
        except ValueError as error:
            problems["segments"] = f"segments: {error}"
        return {option: problem for option, problem in problems.items() if problem}

    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """The customer, the time, the amount, and the order where one is given (`purchase`)."""
        inputs = {name: str(options[name]) for name in ("customer", "time", "amount")}
        if options.get("order"):
            inputs["purchase"] = str(options["order"])
        return inputs

    def entity(self, options: Mapping[str, Any]) -> str | None:
        """The customer's option."""
        return "customer"

    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        """The customer, the three measures, their scores, and the segment with its display texts."""
        return _columns(str(options["customer"]), options)

    def compile(self, context: KindContext) -> KindTable:
        """Customers, their measures, the scores' edges where quantiles make them, scores, segments."""
        as_of = context.as_of or as_of_option(context.options)
        steps = segment_steps(context, context.name, None if as_of is None else date(as_of))
        return KindTable(tuple(steps), _columns(context.entity, context.options), (context.entity,))


def segment_steps(context: KindContext, name: str, as_of: exp.Expr | None) -> list[Cte]:
    """The steps from a kind's rows to its customers' segments on the day `as_of`, their names beginning with `name`."""
    names = {step: f"{name}_{step}" for step in STEPS}
    steps = [Cte(names["customers"], _customers(context, as_of))]
    if as_of is None:
        newest = exp.select(exp.func("MAX", exp.column("last_day")).as_("newest"))
        steps.append(Cte(names["last_day"], newest.from_(names["customers"])))
    steps.append(Cte(names["measures"], _measures(names, as_of)))
    steps += score_steps(context, name)
    steps.append(Cte(names["segments"], _segments(names["scores"], context)))
    return steps


def segment_labels(options: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """Language → segment → what it is called, for the segments that the options' map gives."""
    segments = {pattern.segment for pattern in _patterns(options)} | ({OTHERS} if options.get("segments") else set())
    return {
        language: {segment: text for segment, text in texts.items() if segment in segments}
        for language, texts in LABELS.items()
    }


def _columns(customer: str, options: Mapping[str, Any]) -> tuple[KindColumn, ...]:
    labels = segment_labels(options)
    return (
        KindColumn(customer, entity=True),
        *(
            KindColumn(column, label=label, labels=labels if column == "segment" else {})
            for column, label in _TITLES.items()
        ),
    )


def _patterns(options: Mapping[str, Any]) -> tuple[Pattern, ...]:
    """The map's patterns; none where the default map does not fit the scale."""
    given, scale = options.get("segments"), options.get("scale", DEFAULT_SCALE)
    if given:
        return parse_segments(given, scale)
    return parse_segments(DEFAULT_SEGMENTS, scale) if scale == DEFAULT_SCALE else ()


def _bins_problem(options: Mapping[str, Any], scale: int) -> str:
    bins, method = options.get("bins"), options.get("method", "quantile")
    if method != "bins":
        return f"bins are for method: bins, and the method is {method}" if bins else ""
    if not bins:
        return "method: bins needs bins: {recency: […], frequency: […], monetary: […]}"
    if set(bins) != set(MEASURES):
        return f"bins must give recency, frequency and monetary, and gives {', '.join(map(str, bins))}"
    for measure in MEASURES:
        edges = bins[measure]
        right = isinstance(edges, Sequence) and all(_is_number(edge) for edge in edges) and len(edges) == scale - 1
        if not right or any(low >= high for low, high in itertools.pairwise(edges)):
            return f"bins: {measure} must be {scale - 1} ascending numbers, the lower bounds of bins 2 to {scale}"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _customers(context: KindContext, as_of: exp.Expr | None) -> exp.Select:
    customer, day = exp.column("customer"), context.day("time")
    measures = {"last_day": _last(day, context), "frequency": counted_orders(context), "monetary": summed(context)}
    query = exp.select(customer, *(measure.as_(name) for name, measure in measures.items())).from_(context.rows)
    return query.where(exp.Not(this=customer.is_(exp.null())), *not_later(day, as_of)).group_by(customer)


def _last(day: exp.Expr, context: KindContext) -> exp.Expr:
    """The last of the days. On DuckDB the day of the last time where it is one cast: a cast a customer, not a row.

    Where engines send rows to each other the day is taken first, which is less to send.
    """
    if context.dialect == "duckdb" and isinstance(day, exp.Cast) and isinstance(day.this, exp.Column):
        return exp.cast(exp.Max(this=day.this), "DATE")
    return exp.Max(this=day)


def _measures(names: Mapping[str, str], as_of: exp.Expr | None) -> exp.Select:
    """Recency beside the sums: whole days to `as_of`, or one more than to the newest row's day."""
    last: exp.Expr = exp.column("newest") if as_of is None else as_of.copy()
    days: exp.Expr = exp.DateDiff(this=last, expression=exp.column("last_day"), unit=exp.var("DAY"))
    if as_of is None:
        days = exp.Add(this=days, expression=exp.Literal.number(1))
    query = exp.select(
        exp.column("customer"), exp.cast(days, "BIGINT").as_("recency"), exp.column("frequency"), exp.column("monetary")
    ).from_(names["customers"])
    return query.join(names["last_day"], join_type="cross") if as_of is None else query


def _segments(scores: str, context: KindContext) -> exp.Select:
    if context.options["scale"] > 9:  # a score may have two digits
        digits: list[exp.Expr] = [exp.cast(exp.column(score), "VARCHAR") for score in SCORES]
        joined = digits[0]
        for digit in digits[1:]:
            joined = exp.DPipe(this=joined, expression=exp.Literal.string("-"), safe=True)
            joined = exp.DPipe(this=joined, expression=digit, safe=True)
    else:
        joined = exp.cast(expression("r * 100 + f * 10 + m"), "VARCHAR")
    customer = exp.column("customer").as_(exp.to_identifier(context.entity, quoted=context.entity != "customer"))
    columns = [exp.column(column) for column in (*MEASURES, *SCORES)]
    return exp.select(
        customer, *columns, joined.as_("rfm"), _segment(_patterns(context.options), context.options["scale"])
    ).from_(scores)


def _segment(patterns: Sequence[Pattern], scale: int) -> exp.Expr:
    if not patterns:
        return exp.cast(exp.null(), "VARCHAR").as_("segment")
    choices = [exp.If(this=exp.column("r").is_(exp.null()), true=exp.null())]
    for pattern in patterns:
        fits = [
            _within(score, low, high)
            for score, (low, high) in zip(SCORES, pattern.ranges, strict=False)
            if (low, high) != (1, scale)
        ]
        met = exp.and_(*fits, copy=False) if fits else exp.true()
        choices.append(exp.If(this=met, true=exp.Literal.string(pattern.segment)))
    return exp.cast(exp.Case(ifs=choices, default=exp.Literal.string(OTHERS)), "VARCHAR", copy=False).as_("segment")


def _within(score: str, low: int, high: int) -> exp.Expr:
    column, least, most = exp.column(score), exp.Literal.number(low), exp.Literal.number(high)
    if low == high:
        return exp.EQ(this=column, expression=least)
    return exp.Between(this=column, low=least, high=most)
