"""What the kinds over rows of orders share: SQL written as SQL, the option `as_of`, sums of an amount."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp

from kpiengine.kind import KindContext

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "BOOLEAN")
"""Types whose sum is a BIGINT; that of the wider ones is left as the engine makes it."""


def select(text: str, /, tables: Mapping[str, str], **parts: exp.Expr) -> exp.Select:
    """A constant SELECT of DuckDB's dialect as a tree, with the tables and the columns named here replaced.

    A table keeps the name that it has in the text as its alias where columns are told by it.

    >>> select("SELECT day FROM rows WHERE day <= last", {"rows": "rfm_input"}, last=exp.Literal.number(7)).sql()
    'SELECT day FROM rfm_input WHERE day <= 7'
    """
    tree = _parsed(text).copy()
    aliased = {column.table for column in tree.find_all(exp.Column) if column.table}
    for table in list(tree.find_all(exp.Table)):
        if table.name in tables:
            if table.name in aliased and not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
            table.set("this", exp.to_identifier(tables[table.name]))

    def filled(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column) or node.table or node.name not in parts:
            return node
        part = parts[node.name].copy()
        inside = isinstance(node.parent, exp.Binary | exp.Unary) and not isinstance(node.parent, exp.Paren)
        return exp.paren(part, copy=False) if inside and isinstance(part, exp.Binary) else part

    made = tree.transform(filled)
    assert isinstance(made, exp.Select)
    return made


@lru_cache(maxsize=256)
def _parsed(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def date(day: dt.date) -> exp.Expr:
    """`CAST('2026-01-31' AS DATE)`."""
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")


def as_of_option(options: Mapping[str, Any]) -> dt.date | None:
    """The day that the option `as_of` gives. ValueError where it is none."""
    given = options.get("as_of")
    if isinstance(given, dt.datetime):
        return given.date()
    return dt.date.fromisoformat(given) if isinstance(given, str) else given


def not_later(day: exp.Expr, as_of: dt.date | exp.Expr | None) -> list[exp.Expr]:
    """The conditions that a day is not later than `as_of`, or not known; none without an `as_of`."""
    if as_of is None:
        return []
    last = date(as_of) if isinstance(as_of, dt.date) else as_of.copy()
    return [exp.or_(exp.LTE(this=day.copy(), expression=last), day.copy().is_(exp.null()))]


def counted_orders(context: KindContext) -> exp.Expr:
    """How many orders: the distinct values of the input `purchase` where the option `order` is given, else rows.

    Where it is the source's key its values are distinct already.
    """
    if not context.options.get("order"):
        return exp.Count(this=exp.Star())
    if context.is_key("purchase"):
        return exp.Count(this=exp.column("purchase"))
    return exp.Count(this=exp.Distinct(expressions=[exp.column("purchase")]))


def summed(context: KindContext, column: str = "amount") -> exp.Expr:
    """The sum of an amount (of sums of it), 0 where none is known; a BIGINT where amounts are integers."""
    return whole(context, exp.func("COALESCE", exp.Sum(this=exp.column(column)), exp.Literal.number(0)))


def whole(context: KindContext, total: exp.Expr) -> exp.Expr:
    """A sum of amounts, as a BIGINT where amounts are integers."""
    return exp.cast(total, "BIGINT") if context.types.get("amount", "").upper() in INTEGERS else total
