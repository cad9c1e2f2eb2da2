"""How much of compiling a query is copying trees: counted, where times would tell of the machine."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

import kpiengine
from kpiengine.plan.calls import BoundCall
from kpiengine.plan.facts import FactBinder

pytestmark = pytest.mark.skipif(
    not sqlglot.parser.__file__.endswith(".py"), reason="the compiled sqlglot calls its own methods"
)

YAML = """
sources: {s: {from: s.csv, time: day}}
metrics:
"""
MOST_COPIED = 6
"""Nodes copied for each node of the statement: from the model, into the plan, by its passes, into the statement."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[kpiengine.project.Project]:  # type: ignore[name-defined]
    metrics = [f"  m{n}: {{source: s, formula: \"sum(x) where c = 'a' and x >= {n}\"}}" for n in range(20)]
    (tmp_path / "kpi.yaml").write_text(YAML + "\n".join(metrics) + "\n")
    (tmp_path / "s.csv").write_text("day,c,x\n2026-01-05,a,10\n")
    with kpiengine.open(tmp_path) as project:
        yield project


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[exp.Expr]:
    """Every node that is copied."""
    seen: list[exp.Expr] = []
    really: Any = exp.Expression.__deepcopy__

    def watched(tree: exp.Expr, memo: Any) -> Any:
        seen.extend(tree.walk())
        return really(tree, memo)

    monkeypatch.setattr(exp.Expression, "__deepcopy__", watched)
    return seen


def test_trees_are_copied_a_few_times(opened: Any, copied: list[exp.Expr]) -> None:
    names = [f"m{n}" for n in range(20)]
    opened.query(names, by="month")  # types are asked for once
    copied.clear()
    statement = opened.query(names, by="month").sql
    nodes = sum(1 for _ in sqlglot.parse_one(statement, dialect="duckdb").walk())
    assert 0 < len(copied) < MOST_COPIED * nodes


def test_what_is_bound_does_not_carry_its_places(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[BoundCall] = []
    really = FactBinder.bind

    def watched(*given: Any) -> Any:
        found = really(*given)
        bound.extend(call for fact in found for call in fact.measures.values())
        return found

    monkeypatch.setattr(FactBinder, "bind", watched)
    opened.query(["m1", "m2"], by="month")
    trees = [tree for call in bound for tree in (call.tree, *call.filters)]
    assert trees
    assert not [node for tree in trees for node in tree.walk() if node._meta]


def test_the_copies_are_counted(copied: list[exp.Expr]) -> None:
    copy.deepcopy(exp.column("x"))
    assert len(copied) == 2
