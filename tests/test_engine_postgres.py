"""PostgreSQL as an engine."""

from __future__ import annotations


def test_the_server_is_one_of_our_own(postgres_url: str) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 'a' < 'B', 2 + 2")
        assert cursor.fetchall() == [(True, 4)]  # English collation: 'a' stands before 'B'
