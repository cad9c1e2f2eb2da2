"""The kind `rfm_migration`: who moved from which RFM segment to which between two days.

Both days are scored as `rfm` scores them with that `as_of`: each with the customers, the edges and the quintiles of
its own day. A customer who had not bought by the first day comes from no segment (NULL).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlglot import exp

from kpiengine.errors import UsageError
from kpiengine.kind import Cte, Kind, KindColumn, KindContext, KindOption, KindTable
from kpiengine_plugins.orders import date
from kpiengine_plugins.rfm.kind import Rfm, segment_labels, segment_steps

UNITS = ("day", "week", "month", "quarter", "year")
"""Units of time that `from` counts back in."""

_TITLES = {
    "from_segment": {"en": "From segment", "fa": "از بخش"},
    "to_segment": {"en": "To segment", "fa": "به بخش"},
    "customers": {"en": "Customers", "fa": "مشتریان"},
    "share": {"en": "Share of the segment", "fa": "سهم از بخش"},
    "from_rfm": {"en": "RFM before", "fa": "RFM پیشین"},
    "to_rfm": {"en": "RFM now", "fa": "RFM کنونی"},
}


class RfmMigration(Kind):
    """One row a pair of segments that customers moved between; `members`: one row a customer."""

    name: ClassVar[str] = "rfm_migration"
    tables: ClassVar[tuple[str, ...]] = ("members",)
    options: ClassVar[Mapping[str, KindOption]] = {
        **{name: option for name, option in Rfm.options.items() if name != "as_of"},
        "from": KindOption(
            type=(str, dt.date), required=True, description='The first day, or how long before the second: "3 months".'
        ),
        "to": KindOption(type=(str, dt.date), description="The second day; the day after the last row."),
    }

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Wrong days, and all that is wrong for `rfm`."""
        problems = dict(Rfm().check({**options, "as_of": None}))
        for name in ("from", "to"):
            if _day(options.get(name)) is None and not (name == "from" and _span(options)) and options.get(name):
                told = ' or a span such as "3 months"' if name == "from" else ""
                problems[name] = f'{name} must be a date such as 2026-03-31{told}, not "{options[name]}"'
        first, second = _day(options.get("from")), _day(options.get("to"))
        if first and second and first >= second:
            problems["to"] = f"to ({second}) must be later than from ({first})"
        return problems

    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Those of `rfm`."""
        return Rfm().inputs(options)

    def entity(self, options: Mapping[str, Any]) -> str | None:
        """The customer's option, whose column `members` has."""
        return "customer"

    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        """The two segments with customers and share; or the customer with scores and segments."""
        return _columns(str(options["customer"]), options, table)

    def compile(self, context: KindContext) -> KindTable:
        """The two days, the segments on each, customers with both, and pairs of segments."""
        name, options = context.name, context.options
        first, second = _day(options["from"]), context.as_of or _day(options.get("to"))
        if first and second and first >= second:
            raise UsageError(f'"{name}" compares with {first}, and the later day asked for is {second}')
        steps = [Cte(f"{name}_dates", _dates(context, first, second))]
        for side in ("from", "to"):
            day = exp.select(f"{side}_day").from_(f"{name}_dates").subquery()
            steps += segment_steps(context, f"{name}_{side}", day)
        steps.append(Cte(f"{name}_members", _members(context)))
        columns = _columns(context.entity, options, context.table)
        if context.table == "members":
            return KindTable(tuple(steps), columns, (context.entity,))
        steps.append(Cte(f"{name}_pairs", _pairs(f"{name}_members")))
        return KindTable(tuple(steps), columns, ("from_segment", "to_segment"))


def _day(value: Any) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, dt.date) else None


def _span(options: Mapping[str, Any]) -> tuple[int, str] | None:
    """`3 months` → (3, "month")."""
    match = re.fullmatch(r"\s*([1-9][0-9]{0,3})\s*([a-z]+?)s?\s*", str(options.get("from")).lower())
    return (int(match[1]), match[2]) if match and match[2] in UNITS else None


def _columns(customer: str, options: Mapping[str, Any], table: str | None) -> tuple[KindColumn, ...]:
    labels = segment_labels(options)
    names = ("from_segment", "to_segment", "customers", "share")
    own: tuple[KindColumn, ...] = ()
    if table == "members":
        names = ("from_rfm", "to_rfm", "from_segment", "to_segment")
        own = (KindColumn(customer, entity=True),)
    return own + tuple(
        KindColumn(
            name,
            label=_TITLES[name],
            labels=labels if name.endswith("_segment") else {},
            unit="percent" if name == "share" else None,
        )
        for name in names
    )


def _dates(context: KindContext, first: dt.date | None, second: dt.date | None) -> exp.Select:
    """One row with the days that are compared: `to_day` and `from_day`."""
    to_day: exp.Expr = exp.column("to_day")
    if second is not None:
        newest = exp.select(date(second).as_("to_day"))
    else:
        following = exp.Add(this=exp.Max(this=context.day("time")), expression=exp.Interval(this=_one(), unit=_days()))
        newest = exp.select(exp.cast(following, "DATE").as_("to_day")).from_(context.rows)
        newest = newest.where(exp.Not(this=exp.column("customer").is_(exp.null())))
    if first is not None:
        from_day = date(first)
    else:
        count, unit = _span(context.options) or (1, "month")
        from_day = context.calendar.move(to_day, -count, unit)
    return exp.select(to_day, exp.cast(from_day, "DATE").as_("from_day")).from_(newest.subquery("newest"))


def _one() -> exp.Expr:
    return exp.Literal.string("1")


def _days() -> exp.Expr:
    return exp.var("DAY")


def _members(context: KindContext) -> exp.Select:
    """Each customer of the second day, with what they were on the first."""
    customer = exp.to_identifier(context.entity, quoted=context.entity != "customer")
    now, before = f"{context.name}_to_segments", f"{context.name}_from_segments"
    return (
        exp.select(
            exp.column(customer.copy(), table="now").as_(customer.copy()),
            exp.column("rfm", table="before").as_("from_rfm"),
            exp.column("rfm", table="now").as_("to_rfm"),
            exp.column("segment", table="before").as_("from_segment"),
            exp.column("segment", table="now").as_("to_segment"),
        )
        .from_(exp.to_table(now).as_("now"))
        .join(
            exp.to_table(before).as_("before"),
            on=exp.EQ(
                this=exp.column(customer.copy(), table="before"), expression=exp.column(customer.copy(), table="now")
            ),
            join_type="left",
        )
    )


def _pairs(members: str) -> exp.Select:
    """The matrix, a row for each pair that has customers, with their share of those who came from the same segment."""
    pair = [exp.column("from_segment"), exp.column("to_segment")]
    count = exp.Count(this=exp.Star())
    row = exp.Window(this=exp.Sum(this=count.copy()), partition_by=[exp.column("from_segment")])
    share = exp.Div(this=exp.cast(count.copy(), "DOUBLE"), expression=row)
    return exp.select(*pair, count.as_("customers"), share.as_("share")).from_(members).group_by(*pair)
