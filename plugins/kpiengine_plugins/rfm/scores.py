"""From the measures of customers to their scores: by quantiles, by groups of equal size, by given bins.

DuckDB needs no window for groups of equal size: each measure is sorted by itself, with the customer, and of the rows
only the last of each group are kept; a customer's score is how many of these lie below, and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine.kind import Cte, KindContext

MEASURES = ("recency", "frequency", "monetary")
"""What is scored, in the order of `r`, `f` and `m`."""

SCORES = ("r", "f", "m")


def score_steps(context: KindContext, name: str) -> list[Cte]:
    """The steps from `measures` to `scores`, their names beginning with `name`: customer, measures, scores (BIGINT)."""
    options, on_duckdb = context.options, context.dialect == "duckdb"
    scale, method = options["scale"], options.get("method", "quantile")
    measures, steps = f"{name}_measures", list[Cte]()
    if method == "quantile":
        steps.append(Cte(f"{name}_edges", (_edges_at_once if on_duckdb else _edges)(measures, scale)))
    if method == "ntile" and on_duckdb:
        steps.append(Cte(f"{name}_sizes", _sizes(measures)))
        steps += [Cte(f"{name}_{m}_groups", _groups(measures, f"{name}_sizes", m, scale)) for m in MEASURES]
    columns: list[exp.Expr] = [exp.column(column) for column in ("customer", *MEASURES)]
    for measure, score in zip(MEASURES, SCORES, strict=True):
        if method == "ntile":
            value = _above(measure, scale) if on_duckdb else _ntile(measure, scale)
        else:
            value = _steps(measure, options)
        if measure == "recency":  # few days are good: turned round, and unknown for a customer without a day
            value = exp.Sub(this=exp.Literal.number(scale + 1), expression=exp.paren(value))
            value = _when(exp.Not(this=exp.column(measure).is_(exp.null())), value)
        columns.append(exp.alias_(exp.cast(value, "BIGINT", copy=False), score, copy=False))
    query = exp.select(*columns, copy=False).from_(measures, copy=False)
    for step in steps:
        if step.name != f"{name}_sizes":
            query = query.join(step.name, join_type="cross", copy=False)
    return [*steps, Cte(f"{name}_scores", query)]


def _edges(measures: str, scale: int) -> exp.Select:
    """One row: the edges of each measure at 1/scale … (scale - 1)/scale, interpolated."""
    return exp.select(
        *(
            exp.PercentileCont(
                this=exp.cast(exp.column(measure), "DOUBLE"), expression=exp.Literal.number(i / scale)
            ).as_(f"{measure}_{i}")
            for measure in MEASURES
            for i in range(1, scale)
        )
    ).from_(measures)


def _edges_at_once(measures: str, scale: int) -> exp.Select:
    """The same, all edges of a measure by one aggregate, which gives a list."""
    at = exp.Array(expressions=[exp.Literal.number(i / scale) for i in range(1, scale)])
    lists = exp.select(
        *(
            exp.PercentileCont(this=exp.cast(exp.column(measure), "DOUBLE"), expression=at.copy()).as_(measure)
            for measure in MEASURES
        )
    ).from_(measures)
    return exp.select(
        *(
            exp.Bracket(this=exp.column(measure), expressions=[exp.Literal.number(i)], offset=1).as_(f"{measure}_{i}")
            for measure in MEASURES
            for i in range(1, scale)
        )
    ).from_(lists.subquery("lists"))


def _steps(measure: str, options: Mapping[str, Any]) -> exp.Expr:
    """1 and one more for each edge that lies below the value (quantile), or each bound that it reaches (bins)."""
    value: exp.Expr = exp.column(measure)
    if options.get("method", "quantile") == "quantile":
        value = exp.cast(value, "DOUBLE")
        passed: list[exp.Expr] = [
            exp.GT(this=value.copy(), expression=exp.column(f"{measure}_{i}")) for i in range(1, options["scale"])
        ]
    else:
        bounds = options["bins"][measure]
        passed = [exp.GTE(this=value.copy(), expression=exp.convert(bound)) for bound in bounds]
    return _one_more_for_each(passed)


def _one_more_for_each(conditions: list[exp.Expr]) -> exp.Expr:
    score: exp.Expr = exp.Literal.number(1)
    for condition in conditions:
        more = _when(condition, exp.Literal.number(1), exp.Literal.number(0))
        score = exp.Add(this=score, expression=more)
    return score


def _when(condition: exp.Expr, value: exp.Expr, otherwise: exp.Expr | None = None) -> exp.Case:
    """A CASE of one condition, which takes in what it is given: there are hundreds, and the builder copies all."""
    return exp.Case(ifs=[exp.If(this=condition, true=value)], default=otherwise)


def _ntile(measure: str, scale: int) -> exp.Expr:
    order = [exp.Ordered(this=exp.column(column), nulls_first=False) for column in (measure, "customer")]
    partition = [exp.paren(exp.column(measure).is_(exp.null()))] if measure == "recency" else []
    return exp.Window(
        this=exp.Ntile(this=exp.Literal.number(scale)), partition_by=partition, order=exp.Order(expressions=order)
    )


def _sizes(measures: str) -> exp.Select:
    """One row: how many customers have each measure."""
    return exp.select(*(exp.Count(this=exp.column(measure)).as_(measure) for measure in MEASURES)).from_(measures)


def _groups(measures: str, sizes: str, measure: str, scale: int) -> exp.Select:
    """One row: value and customer of the last row of each group but the highest, as `ntile` makes groups.

    The first groups have one row more where the rows cannot be shared out evenly.
    """
    value, customer = exp.column(measure), exp.column("customer")
    ordered = exp.select(value, customer).from_(measures).where(exp.Not(this=value.is_(exp.null())))
    ordered = ordered.order_by(value, customer)
    place = exp.Window(this=exp.RowNumber())
    placed = exp.select("*", place.as_("place")).from_(ordered.subquery("ordered")).subquery("placed")
    lasts = [
        expression(
            "CAST(rows AS BIGINT) // scale * i + LEAST(rows % scale, i)",
            rows=exp.column(measure, table="sizes"), scale=exp.Literal.number(scale), i=exp.Literal.number(i),
        )
        for i in range(1, scale)
    ]  # fmt: skip
    columns = []
    for i, last in enumerate(lasts, 1):
        here = exp.EQ(this=exp.column("place"), expression=exp.paren(last))
        for name, kept in (
            (f"{measure}_{i}", exp.column(measure, table="placed")),
            (f"{measure}_customer_{i}", customer),
        ):
            columns.append(exp.alias_(exp.Max(this=_when(here.copy(), kept.copy())), name, copy=False))
    query = exp.select(*columns, copy=False).from_(placed, copy=False)
    query = query.join(exp.to_table(sizes).as_("sizes"), join_type="cross", copy=False)
    return query.where(exp.In(this=exp.column("place"), expressions=[last.copy() for last in lasts]), copy=False)


def _above(measure: str, scale: int) -> exp.Expr:
    """1 and one more for each group whose last row comes before the customer's."""
    conditions: list[exp.Expr] = []
    for i in range(1, scale):
        value, edge = exp.column(measure), exp.column(f"{measure}_{i}")
        later = exp.GT(this=exp.column("customer"), expression=exp.column(f"{measure}_customer_{i}"))
        tied = exp.and_(exp.EQ(this=value.copy(), expression=edge.copy()), later, copy=False)
        conditions.append(exp.or_(exp.GT(this=value, expression=edge), tied, copy=False))
    return _one_more_for_each(conditions)
