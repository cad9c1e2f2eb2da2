"""Rows of the library's sources: small, the same each time, with what real data has (NULL keys, returns, orphans)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

CHANNELS = ("web", "shop", "partner", None)
CATEGORIES = ("advertising", "salary", "commission", "planned", "lead", "content")
STAGES = ("lead", "prospect", "proforma", "invoice", "customer")
FIRST = dt.date(2024, 1, 1)


def _numbers(seed: int) -> Iterator[int]:
    """Numbers without a pattern that shows, the same on every machine (a linear congruential generator)."""
    state = seed
    while True:
        state = (state * 1_103_515_245 + 12_345) % 2**31
        yield state >> 8


def _day(number: int, days: int = 450) -> dt.date:
    return FIRST + dt.timedelta(days=number % days)


def _orders() -> list[list[Any]]:
    numbers = _numbers(7)
    rows: list[list[Any]] = []
    for order in range(1, 91):
        customer = next(numbers) % 27
        time = dt.datetime.combine(_day(next(numbers)), dt.time(next(numbers) % 24, next(numbers) % 60))
        status = ("completed", "completed", "completed", "refunded", None)[next(numbers) % 5]
        for line in range(1 + next(numbers) % 2):
            amount = Decimal(next(numbers) % 20_000).scaleb(-2) * (-1 if status == "refunded" else 1)
            product = ("book", "pen", "قلم", None)[next(numbers) % 4]
            cost = (amount / 2).quantize(Decimal("0.01"))
            channel = CHANNELS[(order + line) % 4]
            rows.append([order, customer if customer < 25 else None, time, amount, cost, status, channel, product])
    return rows


def _customers() -> list[list[Any]]:
    numbers = _numbers(11)
    return [[n, _day(next(numbers), 300), CHANNELS[n % 4], ("DE", "FR", None)[next(numbers) % 3]] for n in range(22)]


def _costs() -> list[list[Any]]:
    numbers = _numbers(13)
    return [
        [
            _day(next(numbers)),
            Decimal(next(numbers) % 90_000).scaleb(-2),
            CATEGORIES[n % 6],
            CHANNELS[next(numbers) % 4],
        ]
        for n in range(48)
    ]


def _survey() -> list[list[Any]]:
    numbers = _numbers(17)
    words = ("excellent", "Good ", "average", "poor", "4", "5", "خوب", None, "nonsense", "1")
    return [
        [
            dt.datetime.combine(_day(next(numbers)), dt.time(next(numbers) % 24)),
            next(numbers) % 25,
            (next(numbers) % 13 - 1) if next(numbers) % 9 else None,
            words[next(numbers) % len(words)],
            CHANNELS[next(numbers) % 4],
        ]
        for _ in range(80)
    ]


def _pipeline() -> list[list[Any]]:
    numbers = _numbers(19)
    rows: list[list[Any]] = []
    for lead in range(1, 41):
        day = _day(next(numbers), 380)
        for stage in STAGES[: 1 + next(numbers) % 5]:
            time = dt.datetime.combine(day, dt.time(next(numbers) % 24))
            rows.append([lead, stage, time, Decimal(next(numbers) % 500_000).scaleb(-2), CHANNELS[lead % 4], lead % 30])
            day += dt.timedelta(days=next(numbers) % 40)
    return rows


def _repeats() -> list[list[Any]]:
    """Customers who buy at rates of their own until they leave: what a lifetime model is made for."""
    numbers = _numbers(23)
    rows: list[list[Any]] = []
    for customer in range(1, 121):
        wait = 4 + next(numbers) % 60
        day = next(numbers) % 90
        while day < 365:
            rows.append([customer, FIRST + dt.timedelta(days=day), Decimal(1_000 + next(numbers) % 9_000).scaleb(-2)])
            if next(numbers) % 100 < 22:
                break
            day += 1 + (wait * (1 + next(numbers) % 200)) // 100
    return rows


MONEY = "DECIMAL(12,2)"

LIBRARY_SOURCES: dict[str, dict[str, Any]] = {
    "orders": {
        "columns": {
            "order_id": "BIGINT",
            "customer_id": "BIGINT",
            "ordered_at": "TIMESTAMP",
            "amount": MONEY,
            "cost": MONEY,
            "status": "VARCHAR",
            "channel": "VARCHAR",
            "product": "VARCHAR",
        },
        "rows": _orders(),
        "time": "ordered_at",
        "joins": {"customers": "customer_id"},
    },
    "customers": {
        "columns": {"customer_id": "BIGINT", "acquired_at": "DATE", "channel": "VARCHAR", "country": "VARCHAR"},
        "rows": _customers(),
        "key": "customer_id",
        "time": "acquired_at",
    },
    "costs": {
        "columns": {"spent_at": "DATE", "amount": MONEY, "category": "VARCHAR", "channel": "VARCHAR"},
        "rows": _costs(),
        "time": "spent_at",
    },
    "survey": {
        "columns": {
            "responded_at": "TIMESTAMP",
            "customer_id": "BIGINT",
            "nps": "INTEGER",
            "csat": "VARCHAR",
            "channel": "VARCHAR",
        },
        "rows": _survey(),
        "time": "responded_at",
        "joins": {"customers": "customer_id"},
    },
    "repeats": {
        "columns": {"customer": "BIGINT", "day": "DATE", "amount": MONEY},
        "rows": _repeats(),
        "time": "day",
    },
    "pipeline": {
        "columns": {
            "lead_id": "BIGINT",
            "stage": "VARCHAR",
            "entered_at": "TIMESTAMP",
            "amount": MONEY,
            "channel": "VARCHAR",
            "customer_id": "BIGINT",
        },
        "rows": _pipeline(),
        "time": "entered_at",
    },
}
"""The library's sources as a case file has them: columns with types, rows, and what kpi.yaml says of them."""
