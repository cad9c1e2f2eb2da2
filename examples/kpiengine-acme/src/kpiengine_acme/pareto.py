"""The kind `pareto`: entities by what they bring, and the few that bring most of it.

Sorted from the largest down, an entity is of class A as long as those before it bring less than `a` (80 %) of the
whole, of B until `b` (95 %), else of C. Rows without an entity are left out; equal amounts rank by entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from sqlglot import exp

from kpiengine.hooks import hookimpl
from kpiengine.kind import Cte, Kind, KindColumn, KindContext, KindOption, KindTable


class Pareto(Kind):
    """One row an entity: `amount`, `rank`, `share`, `cumulated_share`, `class`."""

    name = "pareto"
    options: ClassVar = {
        "entity": KindOption(required=True, column=True, description="Whose amounts are compared."),
        "amount": KindOption(required=True, column=True, description="What is added up."),
        "a": KindOption(type=float, default=0.8, description="The share up to which the largest are A."),
        "b": KindOption(type=float, default=0.95, description="The share up to which the next are B."),
    }

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        return {} if 0 < options["a"] <= options["b"] <= 1 else {"a": "it has to be 0 < a ≤ b ≤ 1"}

    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        return {"entity": options["entity"], "amount": options["amount"]}

    def entity(self, options: Mapping[str, Any]) -> str:
        return "entity"

    def time(self, options: Mapping[str, Any]) -> None:
        return None

    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        return columns(options["entity"])

    def compile(self, context: KindContext) -> KindTable:
        amounts, ranked, classes = (f"{context.name}_{step}" for step in ("amounts", "ranked", "classes"))
        summed = (
            exp.select("entity", "SUM(amount) AS amount")
            .from_(context.rows)
            .where("NOT entity IS NULL")
            .group_by("entity")
            .having("NOT SUM(amount) IS NULL")
        )
        order, rows = "ORDER BY amount DESC, entity", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
        cumulated = (
            exp.select("entity", "amount")
            .select(f"ROW_NUMBER() OVER ({order}) AS place", "SUM(amount) OVER () AS whole", dialect="duckdb")
            .select(f"SUM(amount) OVER ({order} {rows}) AS so_far", dialect="duckdb")
            .from_(amounts)
        )
        # Numbers of the options come in as literals of a tree, never as text of a statement.
        before = "CAST(so_far - amount AS DOUBLE) / NULLIF(whole, 0)"
        kind = exp.case()
        for letter, limit in (("A", context.options["a"]), ("B", context.options["b"])):
            kind = kind.when(exp.maybe_parse(before) < exp.Literal.number(limit), exp.Literal.string(letter))
        table = (
            exp.select(exp.column("entity").as_(context.entity, quoted=True), "amount", "place AS rank")
            .select("CAST(amount AS DOUBLE) / NULLIF(whole, 0) AS share")
            .select("CAST(so_far AS DOUBLE) / NULLIF(whole, 0) AS cumulated_share")
            .select(kind.else_(exp.Literal.string("C")).as_("class"))
            .from_(ranked)
        )
        steps = (Cte(amounts, summed), Cte(ranked, cumulated), Cte(classes, table))
        return KindTable(steps, columns(context.entity), order=("rank",))


def columns(entity: str) -> tuple[KindColumn, ...]:
    shares = (KindColumn("share", unit="percent"), KindColumn("cumulated_share", unit="percent"))
    return (KindColumn(entity, entity=True), KindColumn("amount"), KindColumn("rank"), *shares, KindColumn("class"))


@hookimpl
def register_kinds() -> Iterable[type[Kind]]:
    return [Pareto]
