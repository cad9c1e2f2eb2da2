"""Values told apart where an engine names a grouped one by its text without its casts, and takes two of one name for an
error: DataFusion, and with it Sail."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from kpiengine.sql.dialects.filters import is_aggregate_call


def values_told_apart(tree: exp.Expr) -> exp.Expr:
    """sum(x), sum(CAST(x AS DOUBLE)) → the second of COALESCE(…), which changes nothing but the name."""
    for query in tree.find_all(exp.Select):
        calls = [n for n in query.walk() if is_aggregate_call(n) and n.parent_select is query]
        calls = [n for n in calls if not isinstance(n, exp.Filter | exp.WithinGroup)]
        _told_apart(calls, _argument)
        if query.args.get("group"):
            keys = [p.unalias() for p in query.expressions if not any(map(is_aggregate_call, p.walk()))]
            _told_apart([k for k in keys if not isinstance(k, exp.Literal | exp.Null)], lambda key: key)
    return tree


def _argument(call: exp.Expr) -> exp.Expr | None:
    first = call.expressions[0] if isinstance(call, exp.Anonymous) else call.this
    while isinstance(first, exp.Order | exp.Distinct):
        first = first.this if isinstance(first, exp.Order) else first.expressions[0]
    return first if isinstance(first, exp.Expr) and not isinstance(first, exp.Star) else None


def _told_apart(nodes: list[exp.Expr], part: Callable[[exp.Expr], exp.Expr | None]) -> None:
    seen: dict[str, list[str]] = {}
    for node in nodes:
        whole, inner = node.sql(), part(node)
        texts = seen.setdefault(_without_casts(node), [])
        if whole not in texts:
            texts.append(whole)
        for _ in range(texts.index(whole)):
            if inner is None:
                break
            wrapped = exp.Coalesce(this=inner.copy(), expressions=[])
            inner.replace(wrapped)
            inner = wrapped


def _without_casts(node: exp.Expr) -> str:
    def bare(inner: exp.Expr) -> exp.Expr:
        while isinstance(inner, exp.Cast | exp.Paren):
            inner = inner.this
        return inner

    return node.transform(bare).sql()
