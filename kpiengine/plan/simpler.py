"""What a formula says in a roundabout way, said plainly: values of parameters computed, numbers taken as they are.

The library asks for `try_cast(nps as double)`, since a survey's answers may be texts; of a column of numbers that is
the column itself. `$highest - 1` is a number once the parameter is. The engine reads less, and so does who looks at
`kpi sql`. Every form here gives the same value as the one that it stands for, NULL included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_EXACT = 2**53
"""Whole numbers below it are DOUBLEs without rounding."""
_INTEGER = 2**31
"""Literals below it are INTEGERs, and so is what DuckDB computes of them."""
_COMPUTED: dict[type[exp.Expr], Callable[[Sequence[int]], int]] = {
    exp.Add: sum,
    exp.Sub: lambda of: of[0] - of[1],
    exp.Mul: lambda of: of[0] * of[1],
    exp.Greatest: max,
    exp.Least: min,
}


def computed(tree: exp.Expr) -> exp.Expr:
    """`tree` with numbers where it compares with what is computed of whole numbers, and without FALSE in ORs and TRUE
    in ANDs.

    Nowhere else: `small * (2 * 50)` is an INTEGER, `small * 100` of a TINYINT is one, too, and overflows. Changes the
    tree in place and returns its root.
    """
    return _from_below(tree, _constant)


def of_numbers(tree: exp.Expr, types: Mapping[str, str]) -> exp.Expr:
    """`tree` with columns of whole numbers compared as they are, where it takes them for DOUBLE if they can be.

    `types` are the DuckDB types of columns by name. Changes the tree in place and returns its root.
    """

    def plainly(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.And):
            return _without_whole_tests(node, types)
        if isinstance(node, _COMPARED):
            for side, other in ((node.this, node.expression), (node.expression, node.this)):
                column = _number(side, types)
                if column is not None and _is_exact(other):
                    side.replace(column)
        if isinstance(node, exp.Between):
            column = _number(node.this, types)
            if column is not None and _is_exact(node.args["low"]) and _is_exact(node.args["high"]):
                node.this.replace(column)
        return node

    return _from_below(tree, plainly)


def _from_below(tree: exp.Expr, changed: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    for child in list(tree.iter_expressions()):
        made = _from_below(child, changed)
        if made is not child:
            child.replace(made)
    return changed(tree)


def _constant(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Or):
        return _other(node, exp.false())
    if isinstance(node, exp.And):
        return _other(node, exp.true())
    if isinstance(node, (*_COMPARED, exp.Between)):
        for side in list(node.iter_expressions()):
            value = _whole(side)
            if value is not None:
                side.replace(exp.Literal.number(value))
    return node


def _other(node: exp.Expr, neutral: exp.Expr) -> exp.Expr:
    """The side of a connector that decides, where the other one is `neutral`."""
    sides: tuple[exp.Expr, exp.Expr] = (node.this, node.expression)
    return next((other for side, other in zip(sides, reversed(sides), strict=True) if side == neutral), node)


def _whole(tree: exp.Expr) -> int | None:
    """The value of what is computed of whole numbers alone; None for anything else, and where it is no INTEGER."""
    bare = tree.unnest()
    if isinstance(bare, exp.Neg):
        number = _whole(bare.this)
        return None if number is None else -number
    compute = _COMPUTED.get(type(bare))
    if compute is not None:
        operands = [_whole(operand) for operand in bare.iter_expressions()]
        numbers = [n for n in operands if n is not None and abs(n) < _INTEGER]
        value = compute(numbers) if len(numbers) == len(operands) else None
        return value if value is not None and abs(value) < _INTEGER else None
    return int(bare.this) if isinstance(bare, exp.Literal) and bare.is_int else None


def _is_exact(tree: exp.Expr) -> bool:
    number = _whole(tree)
    return number is not None and abs(number) < _EXACT


def _number(tree: exp.Expr, types: Mapping[str, str]) -> exp.Column | None:
    """The column of whole numbers that is taken for DOUBLE here, if it can be."""
    column = tree.this if isinstance(tree, exp.TryCast) and tree.to.is_type("double") else None
    return column if isinstance(column, exp.Column) and types.get(column.name) in _WHOLE else None


def _without_whole_tests(node: exp.And, types: Mapping[str, str]) -> exp.Expr:
    """A conjunction without `x = floor(x)` of a whole number that it compares, too: NULL where that is NULL."""
    parts = list(node.flatten(unnest=False))
    compared = {part.this for part in parts if isinstance(part, exp.Between)}
    compared |= {side for part in parts if isinstance(part, _COMPARED) for side in (part.this, part.expression)}
    left = [part for part in parts if (column := _tested(part, types)) is None or column not in compared]
    return node if len(left) == len(parts) else exp.and_(*left, copy=False, wrap=False)


def _tested(part: exp.Expr, types: Mapping[str, str]) -> exp.Column | None:
    """The column of whole numbers of which it is asked whether it is one."""
    if not isinstance(part, exp.EQ) or not isinstance(part.expression, exp.Floor):
        return None
    return _number(part.this, types) if part.expression.this == part.this else None
