"""UNION ALL whose arms leave columns open."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.families import family

_TYPES = {"text": "TEXT", "bool": "BOOLEAN", "int": "BIGINT", "double": "DOUBLE", "date": "DATE"}


def nulls_typed(tree: exp.Expr) -> exp.Expr:
    """NULL AS x in an arm of a union → a NULL of the type that x has in the arm that knows it.

    PostgreSQL takes two arms at a time, and makes two NULLs a text.
    """
    unions = [u for u in tree.find_all(exp.Union) if not isinstance(u.parent, exp.Union)]
    for union in unions:
        arms = _arms(union)
        if len(arms) < 3:
            continue
        for place in range(min(len(arm.expressions) for arm in arms)):
            columns = [arm.expressions[place] for arm in arms]
            knowing = next((c for c in columns if not isinstance(c.unalias(), exp.Null)), None)
            if knowing is None:
                continue
            for column in columns:
                value = column.unalias()
                if isinstance(value, exp.Null):
                    value.replace(_typed_null(knowing))
    return tree


def _arms(union: exp.Expr) -> list[exp.Select]:
    """The SELECTs of a union, in order; none where an arm is something else."""
    found: list[exp.Select] = []
    waiting: list[exp.Expr] = [union]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.Union):
            waiting += [node.expression, node.this]
        elif isinstance(node, exp.Select):
            found.append(node)
        else:
            return []
    return found


def _typed_null(knowing: exp.Expr) -> exp.Expr:
    """NULL cast to the type where that is known for sure, else taken from where the column comes from."""
    kind = _TYPES.get(family(knowing))
    if kind is not None:
        return exp.cast(exp.null(), kind)
    arm = knowing.parent_select
    assert arm is not None
    nothing = exp.select(knowing.unalias().copy()).from_(arm.args["from_"].this.copy()).limit(0)
    return nothing.subquery()
