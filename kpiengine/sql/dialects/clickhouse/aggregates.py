"""Aggregates on ClickHouse: exact ones, where its own are often estimates."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.aggregates import count_if, mean, number_alone, one_extreme, ordered, share
from kpiengine.sql.dialects.division import as_double
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.filters import aggregate, filter_moved_in, window_moved_in
from kpiengine.sql.dialects.rewriting import Form, Forms, Unsayable, call, not_null, number


def count(node: exp.Count) -> exp.Expr:
    """Counts are BIGINTs: unsigned ones meet no signed number in greatest, least, or one column of a union."""
    return exp.cast(node, "BIGINT")


def total(node: exp.Sum) -> exp.Expr:
    """sum(x) of integers, where an overflow is an error: a sum of BIGINTs runs over without a word."""
    value = node.this
    if family(value) not in ("int", "bool"):
        return node
    if isinstance(value, exp.Distinct):
        wide: exp.Expr = exp.Distinct(expressions=[exp.cast(e, "INT128") for e in value.expressions])
    else:
        wide = exp.cast(value, "INT128")
    return exp.cast(_exact(exp.Sum(this=wide)), "BIGINT")


def _exact(total: exp.Expr) -> exp.Expr:
    return call("accurateCast", total, exp.Literal.string("Nullable(Int64)"))


def quantile(node: exp.Median | exp.PercentileCont) -> exp.Expr:
    """median(x), quantile_cont(x, q): exact, between values, of numbers alone."""
    if isinstance(node, exp.PercentileCont) and node.expression is None:
        raise Unsayable("written quantile_cont(x, q)")
    value = number_alone(node.this)
    return aggregate(exp.ParameterizedAgg(this="quantileExactInclusive", expressions=[share(node)], params=[value]))


def spread(name: str, least: int) -> Form:
    """A deviation or variance; NULL where there are fewer than `least` values, which is NaN here."""

    def form(node: exp.Func) -> exp.Expr:
        if isinstance(node.this, exp.Distinct):
            raise Unsayable("of all values, not of distinct ones")
        value = as_double(node.this)
        found = aggregate(call(name, value))
        enough = exp.GTE(this=exp.Count(this=value.copy()), expression=number(least))
        return exp.Case(ifs=[exp.If(this=enough, true=found)])

    return form


def extreme(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """arg_max(x, y): x where y is greatest, of the rows that have both."""
    name = "argMax" if isinstance(node, exp.ArgMax) else "argMin"
    both = exp.and_(not_null(node.this), not_null(node.expression))
    found = aggregate(call(name, node.this.copy(), node.expression.copy()))
    return exp.Filter(this=found, expression=exp.Where(this=both))


def picked(node: exp.First | exp.Last) -> exp.Expr:
    """first(x order by y), last(x order by y), with one key: a NULL key comes last, or first of `last`."""
    value, order = ordered(node)
    if len(order) > 1:
        raise Unsayable("one key to order by")
    key, falling = order[0].this, bool(order[0].args.get("desc"))
    last = not order[0].args.get("nulls_first")
    missing = exp.Is(this=exp.paren(key.copy()), expression=exp.null())
    first = missing if last != falling else exp.Not(this=missing)
    marks = call("tuple", exp.cast(exp.paren(first), "INT"), key.copy())
    found = aggregate(call("argMax" if falling else "argMin", call("tuple", value), marks))
    return call("tupleElement", found, number(1))


def any_value(node: exp.AnyValue) -> exp.Expr:
    """any_value(x): one that is not NULL."""
    return aggregate(call("any", node.this))


def joined(node: exp.GroupConcat) -> exp.Expr:
    """string_agg(x, separator order by x)."""
    value, order = node.this, None
    if isinstance(value, exp.Order):
        value, order = value.this, value.expressions
    once = isinstance(value, exp.Distinct)
    bare = value.expressions[0] if isinstance(value, exp.Distinct) else value
    if order is None or len(order) != 1 or order[0].this != bare or order[0].args.get("desc"):
        raise Unsayable("ordered by the text itself: string_agg(x, ',' order by x)")
    texts = aggregate(call("groupUniqArray" if once else "groupArray", bare.copy()))
    told = call("arrayStringConcat", call("arraySort", texts), node.args.get("separator") or exp.Literal.string(","))
    some = exp.GT(this=exp.Count(this=bare.copy()), expression=number(0))
    return exp.Case(ifs=[exp.If(this=some, true=told)])


def _extreme_of(name: str) -> Form:
    return lambda node: aggregate(call(name, node.this))


FORMS: Forms = {
    exp.Count: count,
    exp.CountIf: lambda node: total(count_if(node)),
    exp.Sum: total,
    exp.Median: quantile,
    exp.PercentileCont: quantile,
    exp.ArgMax: extreme,
    exp.ArgMin: extreme,
    exp.First: picked,
    exp.Last: picked,
    exp.AnyValue: any_value,
    exp.Max: one_extreme,
    exp.Min: one_extreme,
    exp.GroupConcat: joined,
    exp.Avg: mean,
    exp.Stddev: spread("stddevSampStable", 2),
    exp.StddevSamp: spread("stddevSampStable", 2),
    exp.StddevPop: spread("stddevPopStable", 1),
    exp.Variance: spread("varSampStable", 2),
    exp.VariancePop: spread("varPopStable", 1),
    exp.LogicalAnd: _extreme_of("min"),
    exp.LogicalOr: _extreme_of("max"),
    exp.Filter: filter_moved_in,
    exp.Window: window_moved_in,
}
