"""The table in docs/engines.md of dialects that are text alone, made by rendering the conformance suite in each."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from kpiengine.testing.conformance import groups

from .said import TEXT_ALONE, Said, said

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
TITLES = {"databricks": "Databricks", "snowflake": "Snowflake", "bigquery": "BigQuery", "trino": "Trino"}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return [each for group in groups() for each in said(group, tmp_path_factory.mktemp("said"))]


def table(features: list[Said]) -> str:
    families = dict.fromkeys(each.feature.partition(": ")[0] for each in features)
    counts = Counter((each.feature.partition(": ")[0], each.dialect, bool(each.refusal)) for each in features)
    lines = [f"| | {' | '.join(TITLES[d] for d in TEXT_ALONE)} |", "|---" * (len(TEXT_ALONE) + 1) + "|"]
    for family in families:
        cells = []
        for dialect in TEXT_ALONE:
            told, refused = (counts[family, dialect, is_refused] for is_refused in (False, True))
            cells.append(f"{told} said" + (f", {refused} refused" if refused else ""))
        lines.append(f"| {family} | {' | '.join(cells)} |")
    for dialect in TEXT_ALONE:
        lines += ["", f"{TITLES[dialect]} cannot say:", ""]
        for each in features:
            family, _, name = each.feature.partition(": ")
            if each.dialect == dialect and each.refusal:
                lines.append(f"- `{name}` ({family}): {_reason(each, name)}")
    return "\n".join(lines)


def _reason(each: Said, name: str) -> str:
    """Why, without the expression where it is the feature itself."""
    what, _, why = each.refusal.partition(": ")
    return why if why and what.partition("(")[0] == name.partition("(")[0] else each.refusal


def test_the_page_has_the_table(features: list[Said], request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text("utf-8")
    head, begin, rest = text.partition("<!-- the texts: made by writing the suite in each dialect -->\n")
    _, end, tail = rest.partition("<!-- end of the texts -->")
    wanted = f"{head}{begin}{table(features)}\n{end}{tail}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(wanted, "utf-8")
        return
    assert text == wanted, "docs/engines.md: write the table again with --update-golden"


@pytest.fixture
def deep() -> Iterator[None]:
    """Room for sqlglot's parser, which goes ten calls down for each call that is nested: retail months are a hundred."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(3 * limit)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("deep")
@pytest.mark.parametrize("dialect", TEXT_ALONE)
def test_what_is_said_parses_there(features: list[Said], dialect: str) -> None:
    texts = {text: each.feature for each in features if each.dialect == dialect for text in each.texts}
    assert len(texts) > 200
    for text, feature in texts.items():
        assert isinstance(sqlglot.parse_one(text, dialect=dialect), exp.Query), feature


@pytest.mark.usefixtures("deep")
def test_bigquerys_outer_joins_have_an_equality_of_both_sides(features: list[Said]) -> None:
    joins = 0
    for text in {t for each in features if each.dialect == "bigquery" for t in each.texts}:
        for join in sqlglot.parse_one(text, dialect="bigquery").find_all(exp.Join):
            if join.side in ("LEFT", "RIGHT", "FULL"):
                joins += 1
                on = join.args["on"]
                assert not on.find(exp.Or), join.sql("bigquery")
                sides = [[_tables(side) for side in (e.left, e.right)] for e in on.find_all(exp.EQ)]
                assert any(len(a) == len(b) == 1 and a != b for a, b in sides), join.sql("bigquery")
    assert joins > 50


def _tables(tree: exp.Expr) -> set[str]:
    return {column.table for column in tree.find_all(exp.Column)}
