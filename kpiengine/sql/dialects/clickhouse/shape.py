"""What a whole statement needs on ClickHouse: names of columns, wide types, settings."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.families import MOMENTS

SETTINGS = {
    "join_use_nulls": 1,  # what a LEFT JOIN does not find is NULL, not 0
    "aggregate_functions_null_for_empty": 1,  # so is a sum of no rows
    "prefer_column_name_to_alias": 1,  # in `sum(x) AS x … WHERE x > 1` x is the column
    "session_timezone": "UTC",  # a time without a zone is what it says
    "enable_extended_results_for_datetime_functions": 1,  # days before 1970 and after 2149
}
"""Settings by which ClickHouse means what SQL means elsewhere."""


def columns_named(tree: exp.Expr) -> exp.Expr:
    """SELECT t.x → SELECT t.x AS x: a column that has its table in front is named with it here."""
    for query in tree.find_all(exp.Select):
        for column in query.expressions:
            if isinstance(column, exp.Column) and column.table:
                column.replace(exp.alias_(column.copy(), column.this.copy()))
    return tree


def wide_types(tree: exp.Expr) -> exp.Expr:
    """DATE → Date32, TIMESTAMP → DateTime64(6): the plain ones begin in 1970 and count seconds."""
    for node in tree.find_all(exp.DataType):
        if node.is_type("date"):
            node.set("this", exp.DType.DATE32)
        elif node.this in MOMENTS or node.is_type("timestamptz"):
            node.set("this", exp.DType.DATETIME64)
            node.set("expressions", [exp.DataTypeParam(this=exp.Literal.number(6))])
    return tree


def settings_added(tree: exp.Expr) -> exp.Expr:
    """The statement with `SETTINGS …` behind it."""
    if isinstance(tree, exp.Query):
        pairs = [exp.EQ(this=exp.var(name), expression=exp.convert(value)) for name, value in SETTINGS.items()]
        tree.set("settings", pairs)
    return tree
