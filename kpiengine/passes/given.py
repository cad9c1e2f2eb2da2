"""What a kind's queries read, and the same queries with less: they are trees of SQL, not steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from kpiengine.functions import is_aggregate

Read = tuple[str, set[str] | None]
"""A table, and which of its columns are read; None: all of them."""


def reads_of(query: exp.Expr) -> Iterator[Read]:
    """The tables of a query, each with every name by which one of its columns may be meant."""
    names: dict[str, set[str]] = {}
    for column in query.find_all(exp.Column):
        names.setdefault(column.table, set()).add(column.name)
    bare = names.get("", set())
    starred = [select for select in query.find_all(exp.Select) if _has_star(select)]
    whole = {table.name for select in starred for table in _tables(select) if isinstance(table, exp.Table)}
    for table in query.find_all(exp.Table):
        read = bare | names.get(table.alias_or_name, set())
        yield table.name, None if table.name in whole or not isinstance(query, exp.Select) else read


def _has_star(select: exp.Select) -> bool:
    return any(isinstance(e, exp.Star) or (isinstance(e, exp.Column) and e.is_star) for e in select.expressions)


def _tables(select: exp.Select) -> list[exp.Expr]:
    places = [select.args.get("from_"), *(select.args.get("joins") or [])]
    return [place.this for place in places if place is not None]


def gives_one_row(query: exp.Expr) -> bool:
    """Whether a query is an aggregate of all its rows."""
    others = ("group", "having", "qualify", "limit", "offset", "distinct")
    grand = isinstance(query, exp.Select) and not any(query.args.get(part) for part in others)
    return grand and any(_aggregates(e) for e in query.expressions)


def narrowed(query: exp.Query, read: set[str], one_row: Mapping[str, set[str]]) -> exp.Query:
    """`query` without the columns that are not read, and without the cross joins that are then for nothing.

    `one_row` has the columns of tables that have one row, by their names.
    """
    if not isinstance(query, exp.Select) or query.args.get("distinct") or _has_star(query) or _by_place(query):
        return query
    new = query.copy()
    while (unread := next((e for e in new.expressions if _is_for_nothing(e, new, read)), None)) is not None:
        unread.pop()
    for join in list(new.args.get("joins") or []):
        keeps_rows = isinstance(join.this, exp.Table) and join.this.name in one_row and join.kind == "CROSS"
        if keeps_rows and not _is_used(join, new, one_row[join.this.name]):
            join.pop()
    for subquery in [table for table in _tables(new) if isinstance(table, exp.Subquery)]:
        columns = {c.name for c in new.find_all(exp.Column) if c.table in ("", subquery.alias)}
        subquery.set("this", narrowed(subquery.this, columns, one_row))
    return new


def _by_place(select: exp.Select) -> bool:
    """Whether GROUP BY or ORDER BY tell columns by their places."""
    parts = [select.args.get("group"), select.args.get("order")]
    return any(isinstance(e.unnest(), exp.Literal) for part in parts if part for e in _unordered(part.expressions))


def _unordered(parts: list[exp.Expr]) -> list[exp.Expr]:
    return [part.this if isinstance(part, exp.Ordered) else part for part in parts]


def _is_for_nothing(made: exp.Expr, select: exp.Select, read: set[str]) -> bool:
    """Whether a column of a query can go: nobody reads it, the query neither, and there are as many rows without."""
    name = made.alias_or_name
    beside = [e for e in select.expressions if e is not made]
    if name in read or not beside or made.find(exp.Explode, exp.Unnest):
        return False
    if select.args.get("group"):
        rows_stay = _aggregates(made)
    else:
        rows_stay = not _aggregates(made) or any(_aggregates(e) for e in beside)
    parts = [part for key in ("where", "group", "having", "qualify", "order") if (part := select.args.get(key))]
    columns = [c for part in (*beside, *parts) for c in part.find_all(exp.Column)]
    return rows_stay and not any(c.name == name and not c.table for c in columns)


def _aggregates(tree: exp.Expr) -> bool:
    """Whether an expression makes one row of many: has an aggregate that is no window's."""
    if isinstance(tree, exp.Query):
        return False
    if isinstance(tree, exp.Window):
        beside = [e for e in tree.iter_expressions() if e is not tree.this]
        return any(map(_aggregates, [*tree.this.iter_expressions(), *beside]))
    return is_aggregate(tree) or any(map(_aggregates, tree.iter_expressions()))


def _is_used(join: exp.Join, select: exp.Select, columns: set[str]) -> bool:
    """Whether a query, its own join aside, may mean one of the `columns` of a joined table."""
    own = set(map(id, join.find_all(exp.Column)))
    alias = join.this.alias_or_name
    found = [c for c in select.find_all(exp.Column) if id(c) not in own]
    return any(c.table == alias or (not c.table and c.name in columns) for c in found)
