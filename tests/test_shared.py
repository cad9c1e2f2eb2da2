"""What a step computes again and again is a column of a step below; what may fail elsewhere stays behind its CASE."""

from __future__ import annotations

import duckdb
import pytest
from sqlglot import exp, parse_one

from kpiengine.plan.steps import Named, Output, OutputColumn, Plan, Select
from kpiengine.sql.shared import shared_named

ROWS = "(values (1, 4), (2, 0), (-3, 9), (null, 1)) t(a, b)"
PADDING = f"greatest({', '.join(f'b - {n}' for n in range(30))})"
"""Steps with few expressions are left as they are."""


def plan_of(*expressions: str, **kept: object) -> Plan:
    columns = tuple(Named(f"c{n}", parse_one(text, dialect="duckdb")) for n, text in enumerate([*expressions, PADDING]))
    shown = Select("", "t", columns, **kept)  # type: ignore[arg-type]
    return Plan((), Output((shown,), tuple(OutputColumn(c.name, "column") for c in columns)))


def run(plan: Plan) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        connection.execute(f"create table t as from {ROWS}")
        for step in [*plan.steps, *plan.output.inputs]:
            assert isinstance(step, Select)
            made = [exp.alias_(c.expression.copy(), c.name) for c in step.columns]
            connection.execute(
                f'create table "{step.name or "shown"}" as {exp.select(*made).from_(step.input).sql("duckdb")}'
            )
        return connection.execute("from shown").fetchall()


LONG = "(a * 2 + b * 3 - a * b + 7)"


@pytest.mark.parametrize(
    ("expressions", "parts"),
    [
        ((LONG, f"{LONG} * 2", f"-{LONG}"), {"c0"}),  # it is a column that is shown, and has its name
        ((f"{LONG} + 1", f"{LONG} * 2"), {"part"}),
        ((f"case when {LONG} > 3 then 1 else {LONG} end",), {"part"}),
        ((f"coalesce({LONG}, 0) + nullif({LONG}, 1)",), {"part"}),
        (("case when a >= 0 then sqrt(a * 2 + b * 3 + 1) + sqrt(a * 2 + b * 3 + 1) end",), set()),
        ((f"case when a > 0 then {LONG} end", f"case when a > 0 then {LONG} end"), {"c0"}),
        ((f"coalesce(b, {LONG} + {LONG})",), set()),
        ((f"a > 0 and {LONG} > sqrt({LONG})",), set()),
        (("a + 1", "(a + 1) * 2", "(a + 1) * 3"), set()),  # short
        ((f"sum({LONG}) over ()", f"sum({LONG}) over ()"), set()),
    ],
)
def test_what_is_asked_for_again_is_named(expressions, parts):
    plan = plan_of(*expressions)
    named = shared_named(plan)
    made = {c.name for step in named.steps if isinstance(step, Select) for c in step.columns}
    assert made - {"a", "b"} == parts
    assert run(named) == run(plan)


def test_parts_may_be_made_of_parts():
    whole = f"({LONG} * {LONG} + b)"
    plan = plan_of(f"{whole} + 1", f"{whole} - {LONG}")
    named = shared_named(plan)
    assert [step.name for step in named.steps] == ["t_parts", "t_parts_2"]
    assert run(named) == run(plan)


@pytest.mark.parametrize("kept", [{"filters": (parse_one("a > 0"),)}, {"distinct": True}], ids=str)
def test_rows_that_are_left_out_are_computed_for_nothing(kept):
    plan = plan_of(LONG, f"{LONG} * 2", **kept)
    assert shared_named(plan) == plan
