"""The workloads in polars, lazily and on its streaming engine, as someone at home in polars writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

WINDOW, USER = 30 * 86_400, 1 << 27
STEPS = ["lead", "prospect", "proforma", "invoice", "customer"]
C = pl.col


def _done(data: Path) -> pl.LazyFrame:
    return pl.scan_parquet(data / "orders.parquet").filter(C("status") == "completed")


def _customers(data: Path) -> pl.LazyFrame:
    return pl.scan_parquet(data / "customers.parquet").select("customer_id", "channel")


def _month(column: str) -> pl.Expr:
    return C(column).dt.truncate("1mo").dt.date()


def _ratio(over: str | pl.Expr, under: str | pl.Expr) -> pl.Expr:
    one, other = (C(x) if isinstance(x, str) else x for x in (over, under))
    return pl.when(other != 0).then(one.cast(pl.Float64) / other.cast(pl.Float64))


def monthly_sales(data: Path) -> pl.LazyFrame:
    """Month × channel."""
    rows = _done(data).join(_customers(data), on="customer_id", how="left")
    found = rows.group_by(_month("ordered_at").alias("month"), "channel").agg(
        revenue=C("amount").sum(), orders=pl.len(), buyers=C("customer_id").n_unique()
    )
    return found.with_columns(aov=_ratio("revenue", "orders")).sort("month", "channel")


def twenty_metrics(data: Path) -> pl.LazyFrame:
    """The same grain."""
    done, refunded = C("status") == "completed", C("status") == "refunded"
    amount, line = C("amount"), C("product_line")
    rows = pl.scan_parquet(data / "orders.parquet").join(_customers(data), on="customer_id", how="left")
    found = rows.group_by(_month("ordered_at").alias("month"), "channel").agg(
        completed_revenue=amount.filter(done).sum(),
        completed_orders=done.sum(),
        completed_buyers=C("customer_id").filter(done).n_unique(),
        gross_revenue=amount.sum(),
        all_orders=pl.len(),
        cancelled_orders=(C("status") == "cancelled").sum(),
        pending_orders=(C("status") == "pending").sum(),
        refunded_orders=refunded.sum(),
        refunded_amount=amount.filter(refunded).sum(),
        basic_revenue=amount.filter(done & (line == "basic")).sum(),
        plus_revenue=amount.filter(done & (line == "plus")).sum(),
        enterprise_revenue=amount.filter(done & (line == "enterprise")).sum(),
        big_orders=(done & (amount >= 200)).sum(),
        largest_order=amount.filter(done).max(),
        smallest_order=amount.filter(done).min(),
    )
    return found.with_columns(
        completed_aov=_ratio("completed_revenue", "completed_orders"),
        cancel_rate=_ratio("cancelled_orders", "all_orders"),
        refund_rate=_ratio("refunded_orders", "all_orders"),
        net_revenue=C("completed_revenue") - C("refunded_amount"),
        revenue_per_buyer=_ratio("completed_revenue", "completed_buyers"),
    ).sort("month", "channel")


def year_to_date(data: Path) -> pl.LazyFrame:
    """And a year before; every month has orders, so that twelve rows up is a year before."""
    months = _done(data).group_by(_month("ordered_at").alias("month")).agg(revenue=C("amount").sum()).sort("month")
    before = C("revenue").shift(12)
    return months.with_columns(
        revenue_ytd=C("revenue").cum_sum().over(C("month").dt.year()),
        revenue_year_before=before,
        revenue_yoy=C("revenue").cast(pl.Float64) / before.cast(pl.Float64) - 1,
    )


def trailing_buyers(data: Path) -> pl.LazyFrame:
    """A buyer counts until 28 days or the next order: what begins and what ends on a day, added up."""
    day = C("ordered_at").dt.date().cast(pl.Int64)
    k = _done(data).select(k=C("customer_id") * 65_536 + day).sort("k")
    stay = (C("k").shift(-1) - C("k")).fill_null(28).clip(upper_bound=28)
    pairs = k.select(day=C("k") % 65_536, stay=stay).group_by("day", "stay").agg(n=pl.len().cast(pl.Int64))
    changes = pl.concat([pairs.select("day", "n"), pairs.select(day=C("day") + C("stay"), n=-C("n"))])
    days = changes.group_by("day").agg(C("n").sum()).sort("day").with_columns(buyers_28d=C("n").cum_sum())
    last = pairs.select(C("day").max()).collect().item()
    return days.filter(C("day") <= last).select(C("day").cast(pl.Int32).cast(pl.Date), "buyers_28d")


def _per_customer(data: Path) -> pl.LazyFrame:
    each = (
        _done(data)
        .group_by("customer_id")
        .agg(last=C("ordered_at").max().dt.date(), frequency=pl.len().cast(pl.Int64), monetary=C("amount").sum())
    )
    recency = (C("last").max() - C("last")).dt.total_days() + 1
    return each.with_columns(recency=recency).drop("last")


def _ntile(value: str, descending: bool = False) -> pl.Expr:
    place = pl.struct(value, "customer_id").rank("ordinal") - 1
    size, more = pl.len() // 5, pl.len() % 5
    place = place.cast(pl.Int64)
    tile = (
        pl.when(place < more * (size + 1))
        .then(place // (size + 1))
        .otherwise(more + (place - more * (size + 1)) // size)
    )
    return (5 - tile if descending else 1 + tile).cast(pl.Int64)


def _segment() -> pl.Expr:
    r, f = C("r"), C("f")
    return (
        pl.when((r <= 2) & (f <= 2)).then(pl.lit("hibernating"))
        .when((r <= 2) & (f <= 4)).then(pl.lit("at_risk"))
        .when(r <= 2).then(pl.lit("cant_lose"))
        .when((r == 3) & (f <= 2)).then(pl.lit("about_to_sleep"))
        .when((r == 3) & (f == 3)).then(pl.lit("need_attention"))
        .when((r <= 4) & (f >= 4)).then(pl.lit("loyal_customers"))
        .when((r == 4) & (f == 1)).then(pl.lit("promising"))
        .when((r == 5) & (f == 1)).then(pl.lit("new_customers"))
        .when(f <= 3).then(pl.lit("potential_loyalists"))
        .otherwise(pl.lit("champions"))
    )  # fmt: skip


def rfm_scores(data: Path) -> pl.LazyFrame:
    """By ntile."""
    scored = _per_customer(data).with_columns(r=_ntile("recency", True), f=_ntile("frequency"), m=_ntile("monetary"))
    return scored.with_columns(rfm=pl.format("{}{}{}", "r", "f", "m"), segment=_segment()).sort("customer_id")


def rfm_segments(data: Path) -> pl.LazyFrame:
    """Counted."""
    scored = _per_customer(data).with_columns(r=_ntile("recency", True), f=_ntile("frequency"))
    rows = _customers(data).join(scored.with_columns(segment=_segment()), on="customer_id", how="left")
    found = rows.group_by("segment").agg(
        segment_customers=pl.len(),
        segment_revenue=pl.when(C("monetary").count() > 0).then(C("monetary").sum()),
        segment_recency=C("recency").mean(),
        segment_frequency=C("frequency").mean(),
    )
    return found.sort("segment", nulls_last=True)


def rfm_quantiles(data: Path) -> pl.LazyFrame:
    """By edges."""

    def score(value: str) -> pl.Expr:
        real = C(value).cast(pl.Float64)
        return sum(
            ((real.quantile(q, "linear") < real).cast(pl.Int64) for q in (0.2, 0.4, 0.6, 0.8)),
            start=pl.lit(0, pl.Int64),
        )

    scored = _per_customer(data).with_columns(r=5 - score("recency"), f=1 + score("frequency"), m=1 + score("monetary"))
    return scored.with_columns(rfm=pl.format("{}{}{}", "r", "f", "m"), segment=_segment()).sort("customer_id")


def _number(column: str) -> pl.Expr:
    return C(column).dt.year().cast(pl.Int64) * 12 + C(column).dt.month().cast(pl.Int64)


def _cohorts(data: Path) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """The grid of cohorts and ages that the data can show, and what cohorts did at each age."""
    firsts = _done(data).group_by("customer_id").agg(first=C("ordered_at").min()).with_columns(c=_number("first"))
    sizes = firsts.group_by("c").agg(customers=pl.len()).collect()
    rows = _done(data).with_columns(at=_number("ordered_at")).join(firsts.select("customer_id", "c"), on="customer_id")
    cells = rows.group_by("c", period_number=C("at") - C("c")).agg(
        active=C("customer_id").n_unique(), revenue=C("amount").sum()
    )
    ages = pl.DataFrame({"period_number": range(36)}, schema={"period_number": pl.Int64})
    last = int(str(sizes["c"].max()))
    grid = sizes.join(ages, how="cross").filter(C("period_number") <= last - int(str(sizes["c"].min())))
    return grid.with_columns(known=C("c") + C("period_number") <= last).lazy(), cells


def _cohort() -> pl.Expr:
    return pl.date((C("c") - 1) // 12, (C("c") - 1) % 12 + 1, 1)


def monthly_cohorts(data: Path) -> pl.LazyFrame:
    """Retention."""
    grid, cells = _cohorts(data)
    rows = grid.join(cells, on=["c", "period_number"], how="left")
    return rows.select(
        "period_number",
        "customers",
        cohort=_cohort(),
        active=pl.when("known").then(C("active").fill_null(0)),
        retention=pl.when("known").then(C("active").fill_null(0) / C("customers")),
        revenue=pl.when("known").then(C("revenue").cast(pl.Float64).fill_null(0)),
    ).sort("cohort", "period_number")


def clv_by_cohort(data: Path) -> pl.LazyFrame:
    """And age."""
    grid, cells = _cohorts(data)
    rows = grid.join(cells.drop("active"), on=["c", "period_number"], how="left").sort("c", "period_number")
    rows = rows.with_columns(revenue=pl.when("known").then(C("revenue").cast(pl.Float64).fill_null(0)))
    rows = rows.with_columns(revenue_to_date=C("revenue").cum_sum().over("c"), first=C("revenue").first().over("c"))
    return rows.select(
        "period_number",
        "customers",
        "revenue",
        "revenue_to_date",
        cohort=_cohort(),
        revenue_retention=_ratio("revenue", "first"),
        clv=C("revenue_to_date") / C("customers"),
    )


def acquisition(data: Path) -> pl.LazyFrame:
    """CAC, LTV:CAC."""
    each = _done(data).group_by("customer_id").agg(first=C("ordered_at").min(), revenue=C("amount").sum())
    won = each.join(_customers(data), on="customer_id", how="left").group_by(_month("first").alias("month"), "channel")
    cost = (
        pl.scan_parquet(data / "spend.parquet")
        .filter(C("category").str.to_lowercase().str.strip_chars().ne_missing("planned"))
        .group_by(C("day").dt.truncate("1mo").alias("month"), "channel")
        .agg(acquisition_cost=C("cost").sum())
    )
    both = won.agg(new_customers=pl.len(), revenue=C("revenue").sum()).join(
        cost, on=["month", "channel"], how="full", coalesce=True, nulls_equal=True
    )
    return both.select(
        "month",
        "channel",
        "acquisition_cost",
        C("new_customers").fill_null(0),
        cac=_ratio("acquisition_cost", "new_customers"),
        ltv=0.6 * _ratio("revenue", "new_customers"),
        ltv_cac=0.6 * _ratio("revenue", "acquisition_cost"),
    ).sort("month", "channel")


def nps_csat(data: Path) -> pl.LazyFrame:
    """With intervals."""
    nps, csat, z = C("nps"), C("csat"), 1.959963984540054
    found = (
        pl.scan_parquet(data / "survey.parquet")
        .group_by(_month("responded_at").alias("month"))
        .agg(
            p=nps.is_between(9, 10).sum().cast(pl.Float64),
            q=nps.is_between(0, 6).sum().cast(pl.Float64),
            nps_responses=nps.is_between(0, 10).sum().cast(pl.Int64),
            x=csat.is_in(["excellent", "good"]).sum().cast(pl.Float64),
            csat_responses=csat.is_in(["excellent", "good", "average", "poor"]).sum().cast(pl.Int64),
        )
    )
    n, m, p, q, x = C("nps_responses") + 3, C("csat_responses"), C("p"), C("q"), C("x")
    mid, error = 100 * (p - q) / n, 100 * (((p + q + 1.5) / n - ((p - q) / n) ** 2) / n).sqrt()
    half = z * (x * (m - x) / m + z * z / 4).sqrt()
    return found.select(
        "month",
        "nps_responses",
        "csat_responses",
        nps=100 * (p - q) / C("nps_responses"),
        nps_low=(mid - z * error).clip(lower_bound=-100),
        nps_high=(mid + z * error).clip(upper_bound=100),
        csat=x / m,
        csat_low=((x + z * z / 2 - half) / (m + z * z)).clip(lower_bound=0),
        csat_high=((x + z * z / 2 + half) / (m + z * z)).clip(upper_bound=1),
    ).sort("month")


def funnel(data: Path) -> pl.LazyFrame:
    """As the expert: sorted once, the next event of each step carried backwards."""
    second = C("ts").dt.timestamp("us") // 1_000_000 - 1_640_995_200
    step = C("step").replace_strict(STEPS, list(range(5)), return_dtype=pl.Int64)
    key = ((C("user_id") * USER + second) * 8 + step).alias("k")
    rows = pl.scan_parquet(data / "events.parquet").select(key).sort("k").select(t=C("k") // 8, i=C("k") % 8)
    far = 1 << 62
    carried: list[str] = []
    for level in (4, 3, 2, 1):
        here = C("i") == level
        names = [f"t{level}", *carried]
        values = [C("t"), *(C(name) for name in carried)]
        filled = [
            pl.when(here).then(v).backward_fill().fill_null(far).alias(n) for n, v in zip(names, values, strict=True)
        ]
        rows = rows.with_columns(filled).filter(C("i") < level)
        carried = names
    reached = sum(((C(f"t{n}") <= C("t") + WINDOW).cast(pl.Int64) for n in range(1, 5)), start=pl.lit(1, pl.Int64))
    best = rows.with_columns(level=reached, user=C("t") // USER).sort(
        "user", "level", "t", descending=[False, True, False]
    )
    first = best.group_by("user", maintain_order=True).first()
    month = pl.from_epoch((C("t") % USER) + 1_640_995_200, "s").dt.truncate("1mo").dt.date().alias("month")
    gaps = {
        n: (C(f"t{n}") - (C(f"t{n - 1}") if n > 1 else C("t"))).filter(C("level") > n) / 86_400 for n in range(1, 5)
    }
    found = first.group_by(month).agg(
        *((C("level") > n).sum().cast(pl.Int64).alias(f"n{n}") for n in range(5)),
        *(gap.median().alias(f"median{n}") for n, gap in gaps.items()),
        *(gap.mean().alias(f"mean{n}") for n, gap in gaps.items()),
    )
    return pl.concat([_step(found, n) for n in range(5)]).sort("month", "step")


def _step(found: pl.LazyFrame, n: int) -> pl.LazyFrame:
    entities, none = C(f"n{n}"), pl.lit(None, pl.Float64)
    return found.select(
        "month",
        step=pl.lit(n + 1, pl.Int64),
        step_name=pl.lit(STEPS[n]),
        entities=entities,
        from_first=entities / C("n0"),
        from_previous=_ratio(entities, C(f"n{n - 1}")) if n else none,
        dropped=C(f"n{n - 1}") - entities if n else pl.lit(0, pl.Int64),
        median_days=C(f"median{n}") if n else none,
        mean_days=C(f"mean{n}") if n else none,
    )


FORMS: Mapping[str, Callable[[Path], pl.LazyFrame]] = {
    form.__name__: form
    for form in (
        monthly_sales, twenty_metrics, year_to_date, trailing_buyers, rfm_segments, rfm_scores, rfm_quantiles,
        clv_by_cohort, monthly_cohorts, acquisition, nps_csat, funnel,
    )
}  # fmt: skip


def answer(name: str, data: Path) -> object:
    """The answer as an Arrow table."""
    return FORMS[name](data).collect(engine="streaming").to_arrow()
