"""A query as asked: names and texts, nothing resolved. The command line, exports, tests and Python all make one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from kpiengine.records import dataclass


@dataclass(frozen=True)
class Order:
    """`--order revenue:desc`."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class Query:
    """What is asked of a project.

    `metrics` are names of metrics, kinds (`rfm`), or a kind's tables (`sales_funnel.members`). `by` None means the
    metrics' own grain, () the grand total. `where` and `having` are SQL conditions, all of which hold. `since` is
    inclusive, `until` exclusive, `as_of` the last day that exists. `totals` adds subtotals, `fill` empty periods,
    `complete` drops a period that is still running. `limit` holds for each group of `per` where that is given.
    `targets` adds each metric's target, `compare` its value a unit before ("year"). `timezone` replaces the
    project's, `language` that of labels, `parameters` those of metrics.
    """

    metrics: tuple[str, ...]
    by: tuple[str, ...] | None = None
    where: tuple[str, ...] = ()
    having: tuple[str, ...] = ()
    since: dt.date | dt.datetime | None = None
    until: dt.date | dt.datetime | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    per: tuple[str, ...] = ()
    totals: bool = False
    fill: bool = False
    complete: bool = False
    as_of: dt.date | None = None
    targets: bool = False
    compare: str | None = None
    timezone: str | None = None
    language: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
