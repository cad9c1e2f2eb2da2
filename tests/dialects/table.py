"""The rows that expressions are tried on: NULL, negative, halves, ties, texts beyond ASCII, days before 1970, leap days."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import lru_cache

import pyarrow as pa

TYPES = {
    "u": pa.int64(),
    "g": pa.string(),
    "i": pa.int64(),
    "j": pa.int32(),
    "dc": pa.decimal128(10, 2),
    "dc2": pa.decimal128(12, 2),
    "f": pa.float64(),
    "s": pa.string(),
    "b": pa.bool_(),
    "dt": pa.date32(),
    "ts": pa.timestamp("us"),
    "ts2": pa.timestamp("us"),
    "num": pa.string(),
    "day": pa.string(),
    "m": pa.string(),
    "tz": pa.timestamp("us", "UTC"),
}

# u, g, i, j, dc, dc2, f, s, b, dt, ts, ts2, num, day, m
_ROWS = [
    (1, "a", 1, 2, "1.50", "2.00", 1.25, "a", True, "2024-01-01", "2024-01-01 00:00:00", "2024-01-05 10:30:00", "12", "2024-01-31", "x"),
    (2, "a", 2, 0, "2.50", "0.00", 2.5, "b", False, "2024-01-31", "2024-01-31 23:59:59.500000", "2023-12-31 00:00:00", "-7", "2024-02-29", "y"),
    (3, "a", 3, 3, "-2.50", "1.25", -2.5, "a b", True, "2024-02-29", "2024-02-29 12:34:56.789012", "2024-02-29 12:34:56", "0", "2023-12-31", "x"),
    (4, "a", None, 4, None, "3.00", None, None, None, None, None, None, None, None, None),
    (5, "b", 5, None, "3.50", None, 3.5, "aab b", True, "2023-12-31", "2023-12-31 08:00:00", "2024-01-01 00:00:00", "3", "2024-12-30", "y"),
    (6, "b", -3, 5, "0.25", "7.77", 0.5, "Z a", False, "2024-12-30", "2024-12-30 18:30:00", "2024-12-31 00:00:00", "100", "1999-01-01", "y"),
    (7, "b", 4, -1, "10.05", "-1.10", 1e2, "é b", None, "1969-07-20", "1969-07-20 20:17:40.250000", "1970-01-01 00:00:00", "42", "1969-07-20", "z"),
    (8, "b", 4, 7, "10.05", "-1.10", -0.125, "  Ab  ", True, "2024-03-31", "2024-03-31 02:30:00", "2024-04-01 00:00:00", "7", "2024-03-31", "y"),
    (9, "c", None, None, None, None, None, None, None, None, None, None, None, None, None),
    (10, None, 7, 2, "5.55", "5.55", 7.75, "b", False, "2024-07-01", "2024-07-01 00:00:00", "2024-07-01 00:00:01", "1", "2024-07-01", "x"),
    (11, "d", 2147483647, 1, "99999999.99", "0.01", 1e10, "ab", False, "2025-01-01", "2025-01-01 00:00:00", "2025-01-01 00:00:00", "2147483647", "2025-01-01", ""),
    (12, "d", 0, 6, "0.00", "0.50", 0.0, "", True, "2023-01-01", "2023-01-01 12:00:00", "2022-12-31 12:00:00", "5", "2023-01-01", "q"),
]  # fmt: skip

_READ = {
    "dc": Decimal,
    "dc2": Decimal,
    "dt": dt.date.fromisoformat,
    "ts": dt.datetime.fromisoformat,
    "ts2": dt.datetime.fromisoformat,
}


@lru_cache(maxsize=1)
def rows() -> pa.Table:
    """The rows; `tz` is `ts` taken for UTC."""
    made = {}
    for place, name in enumerate([n for n in TYPES if n != "tz"]):
        read = _READ.get(name, lambda value: value)
        made[name] = [None if row[place] is None else read(row[place]) for row in _ROWS]
    made["tz"] = [None if moment is None else moment.replace(tzinfo=dt.UTC) for moment in made["ts"]]
    return pa.table({name: pa.array(values, TYPES[name]) for name, values in made.items()})
