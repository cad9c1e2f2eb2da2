"""Series of days and hours as rows that are joined, where an engine has no function of many rows among columns."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from kpiengine.sql.dialects.rewriting import Unsayable

Series = Callable[[exp.Expr, exp.Expr, str], "tuple[exp.Expr, exp.Expr]"]
"""From the first, the last and the unit (DAY or HOUR) to what a FROM reads and to a row's value there."""


def series_joined(series: Series) -> Callable[[exp.Expr], exp.Expr]:
    """A rewriting: SELECT unnest(generate_series(low, high, step)) FROM t → … FROM t CROSS JOIN the series."""

    def joined(tree: exp.Expr) -> exp.Expr:
        for node in list(tree.find_all(exp.Explode)):
            query, made = node.parent_select, node.this
            if query is None or not isinstance(made, exp.GenerateSeries):
                raise Unsayable("no rows made of a value")
            unit = made.args["step"].args["unit"].name.upper()
            rows, told = series(made.args["start"], made.args["end"], unit)
            node.replace(told)
            query.join(rows, join_type="cross", copy=False)
        return tree

    return joined
