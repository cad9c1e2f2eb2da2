"""The connector `ledger`: a bank's file of fixed width, one entry a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa

from kpiengine.connector import ArrowRelation, Connector, SourceContext
from kpiengine.errors import DataError
from kpiengine.hooks import hookimpl

SCHEMA = pa.schema(
    {"booked_on": pa.date32(), "account": pa.string(), "amount": pa.decimal128(14, 2), "text": pa.string()}
)


class Ledger(Connector):
    """A line: day (8), C or D for credit or debit, cents (10), account (8), text.

    20260105C0000012990AC100042Invoice 7
    """

    name = "ledger"
    endings = (".ledger",)
    options: ClassVar = {"path": str, "encoding": str}

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> ArrowRelation:
        path = context.existing(options["path"])
        lines = path.read_text(options.get("encoding", "utf-8")).splitlines()
        try:
            table = pa.Table.from_pylist([entry(line) for line in lines if line.strip()], schema=SCHEMA)
        except ValueError as error:
            raise DataError(f'source "{context.source}": {path} is no ledger: {error}') from error
        return ArrowRelation(lambda: table, files=(path,))


def entry(line: str) -> dict[str, Any]:
    day, side, cents, account, text = line[:8], line[8:9], line[9:19], line[19:27], line[27:]
    if side not in ("C", "D"):
        raise ValueError(f'neither C nor D in "{line}"')
    return {
        "booked_on": datetime.strptime(day, "%Y%m%d").date(),
        "account": account.strip() or None,
        "amount": Decimal(int(cents)) / (100 if side == "C" else -100),
        "text": text.strip(),
    }


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    return [Ledger]
