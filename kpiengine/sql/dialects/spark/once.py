"""Steps that are read more than once, computed once."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp


def computed_once(tree: exp.Expr) -> exp.Expr:
    """GROUP BY x → SELECT /*+ REPARTITION(x) */ … GROUP BY x HAVING RAND() >= 0, for groups that several steps read.

    Spark writes a common table expression out wherever it is read, and reads its tables again each time. One that is
    not deterministic it computes once, and keeps behind a shuffle. Where that is asked to be by the groups' own keys,
    it is the one that made the groups, which all readers share.
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
            query.having(exp.GTE(this=exp.Rand(), expression=exp.Literal.number(0)), copy=False)
            _keep_by(_keys(query), name, query, steps, tree)
        _count(query, times, 1 if shared else times[name])
    return tree


def _count(query: exp.Expr, times: dict[str, int], weight: int, skip: exp.Expr | None = None) -> None:
    """Adds how often `query`, itself read `weight` times, reads each step."""
    for node in query.walk(prune=lambda n: n is skip):
        if isinstance(node, exp.Table) and not node.db and node.name in times:
            times[node.name] += weight


def _keys(query: exp.Select) -> list[exp.Expr]:
    """What rows are grouped by, as the query's columns say it."""
    keys = query.args["group"].expressions
    at = [query.expressions[int(k.to_py()) - 1].unalias() if isinstance(k, exp.Literal) else k for k in keys]
    return list(at)


def _keep_by(keys: list[exp.Expr], name: str, query: exp.Select, steps: Mapping[str, exp.Expr], tree: exp.Expr) -> None:
    """Asks for the shuffle by `keys` where Spark has its own: a step that one other reads alone is a part of that."""
    while True:
        names = [_output(query, key) for key in keys]
        if None in names:
            return
        readers = [t for t in tree.find_all(exp.Table) if not t.db and t.name == name]
        reader = readers[0].find_ancestor(exp.Select) if len(readers) == 1 else None
        above = next((step for step, found in steps.items() if found is reader), None)
        if above is None or not isinstance(reader, exp.Select):
            break
        keys = [exp.column(i.copy(), table=readers[0].alias_or_name) for i in names if i is not None]
        name, query = above, reader
    columns: list[exp.Expr] = [exp.column(i.copy()) for i in names if i is not None]
    query.set("hint", exp.Hint(expressions=[exp.Anonymous(this="REPARTITION", expressions=columns)]))


def _output(query: exp.Select, key: exp.Expr) -> exp.Identifier | None:
    """The name that a key has among the columns of a query; None where it has none."""
    for made in query.expressions:
        value = made.unalias()
        bare = isinstance(value, exp.Column) and isinstance(key, exp.Column) and not value.table
        if value == key or (bare and value.name == key.name):
            name = made.args.get("alias") or made.this
            return name if isinstance(name, exp.Identifier) else None
    return None
