"""What Spark's text says that other dialects' does not have to."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from kpiengine.sql import in_dialect


def spark(text: str) -> str:
    query = sqlglot.parse_one(text, dialect="duckdb")
    assert isinstance(query, exp.Query)
    return in_dialect(query, "spark", pretty=False)


def test_groups_that_are_read_twice_are_computed_once() -> None:
    read_once = "WITH a AS (SELECT x, SUM(y) AS s FROM t GROUP BY x) SELECT * FROM a"
    assert "RAND" not in spark(read_once)
    assert spark(read_once + " JOIN a AS b ON a.x = b.x").count("RAND()") == 1


def test_a_step_between_multiplies_what_it_reads() -> None:
    text = (
        "WITH a AS (SELECT x, SUM(y) AS s FROM t GROUP BY x), b AS (SELECT x FROM a) "
        "SELECT * FROM b UNION ALL SELECT * FROM b"
    )
    assert spark(text).count("GROUP BY x HAVING RAND() >= 0") == 1


def test_groups_are_kept_behind_the_shuffle_that_made_them() -> None:
    text = "WITH a AS (SELECT x, y AS z, SUM(y) AS s FROM t GROUP BY 1, 2) SELECT * FROM a UNION ALL SELECT * FROM a"
    assert spark(text).startswith("WITH a AS (SELECT /*+ REPARTITION(x, z) */ x, y AS z, SUM(y) AS s FROM t")


def test_what_is_read_by_one_step_is_kept_with_that() -> None:
    text = (
        "WITH a AS (SELECT x AS key, SUM(y) AS s FROM t GROUP BY 1), b AS (SELECT a.key AS x, u.v, a.s FROM a "
        "LEFT JOIN u ON u.x = a.key) SELECT * FROM b UNION ALL SELECT * FROM b"
    )
    assert "WITH a AS (SELECT x AS key," in spark(text)
    assert "b AS (SELECT /*+ REPARTITION(x) */ a.key AS x," in spark(text)


def test_groups_whose_key_nobody_reads_are_kept_by_another_shuffle() -> None:
    text = "WITH a AS (SELECT SUM(y) AS s FROM t GROUP BY x) SELECT * FROM a UNION ALL SELECT * FROM a"
    assert "RAND() >= 0" in spark(text)
    assert "REPARTITION" not in spark(text)


def test_what_groups_that_are_computed_once_read_is_read_once() -> None:
    text = (
        "WITH a AS (SELECT x, SUM(y) AS s FROM t GROUP BY x), b AS (SELECT s, COUNT(*) AS n FROM a GROUP BY s) "
        "SELECT * FROM b UNION ALL SELECT * FROM b"
    )
    assert spark(text).count("RAND()") == 1
    assert "GROUP BY s HAVING RAND() >= 0" in spark(text)


def test_rows_are_read_again_rather_than_kept() -> None:
    assert "RAND" not in spark("WITH a AS (SELECT x FROM t) SELECT * FROM a UNION ALL SELECT * FROM a")


def test_a_condition_on_groups_stays() -> None:
    text = "WITH a AS (SELECT x FROM t GROUP BY x HAVING COUNT(*) > 1) SELECT * FROM a UNION ALL SELECT * FROM a"
    assert "HAVING COUNT(*) > 1 AND RAND() >= 0" in spark(text)


def test_a_generator_stands_bare() -> None:
    text = "SELECT CAST(UNNEST(GENERATE_SERIES(low, high, INTERVAL '1' DAY)) AS DATE) AS day FROM t"
    expected = "SELECT EXPLODE(SEQUENCE(CAST(low AS DATE), CAST(high AS DATE), INTERVAL '1' DAY)) AS day FROM t"
    assert spark(text) == expected
