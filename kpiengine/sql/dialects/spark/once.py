"""Steps that are read more than once, computed once."""

from __future__ import annotations

from sqlglot import exp


def computed_once(tree: exp.Expr) -> exp.Expr:
    """GROUP BY … → GROUP BY … HAVING RAND() >= 0, for groups that several later steps read.

    Spark writes a common table expression out wherever it is read, and reads its tables again each time. One that is
    not deterministic it computes once, and keeps behind a shuffle: of groups, that is a small one.
    """
    with_ = tree.args.get("with_") or tree.args.get("with")
    if with_ is None:
        return tree
    steps = {cte.alias: cte.this for cte in with_.expressions}
    times = dict.fromkeys(steps, 0)
    _count(tree, times, 1, skip=with_)
    for name, query in reversed(steps.items()):
        shared = times[name] > 1 and isinstance(query, exp.Select) and query.args.get("group") is not None
        if shared:
            held = exp.GTE(this=exp.Rand(), expression=exp.Literal.number(0))
            query.having(held, copy=False)
        _count(query, times, 1 if shared else times[name])
    return tree


def _count(query: exp.Expr, times: dict[str, int], weight: int, skip: exp.Expr | None = None) -> None:
    """Adds how often `query`, itself read `weight` times, reads each step."""
    for node in query.walk(prune=lambda n: n is skip):
        if isinstance(node, exp.Table) and not node.db and node.name in times:
            times[node.name] += weight
