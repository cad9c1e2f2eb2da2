"""The workloads in pandas, as someone at home in pandas writes them. Amounts are floats there.

What pandas has no form for that is worth the comparison (windows of distinct customers, funnels) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

CHANNEL = ["month", "channel"]


def _done(data: Path, *columns: str) -> pd.DataFrame:
    rows = pd.read_parquet(
        data / "orders.parquet", columns=["status", *columns], filters=[("status", "==", "completed")]
    )
    rows = rows.drop(columns="status")
    if "amount" in rows:
        rows["amount"] = rows["amount"].astype("float64")
    return rows


def _month(moments: pd.Series) -> pd.Series:
    return moments.astype("datetime64[us]").dt.to_period("M").dt.start_time


def _dates(found: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return found.assign(**{column: found[column].dt.date for column in columns})


def monthly_sales(data: Path) -> pd.DataFrame:
    """Month × channel."""
    customers = pd.read_parquet(data / "customers.parquet", columns=["customer_id", "channel"])
    rows = _done(data, "customer_id", "ordered_at", "amount").merge(customers, on="customer_id", how="left")
    rows["month"] = _month(rows["ordered_at"])
    found = rows.groupby(CHANNEL, dropna=False).agg(
        revenue=("amount", "sum"), orders=("amount", "size"), buyers=("customer_id", "nunique")
    )
    found["aov"] = found["revenue"] / found["orders"]
    return _dates(found.reset_index(), "month")


def year_to_date(data: Path) -> pd.DataFrame:
    """And a year before; every month has orders."""
    rows = _done(data, "ordered_at", "amount")
    found = rows.groupby(_month(rows["ordered_at"]).rename("month"))["amount"].sum().rename("revenue").reset_index()
    found["revenue_ytd"] = found.groupby(found["month"].dt.year)["revenue"].cumsum()
    found["revenue_year_before"] = found["revenue"].shift(12)
    found["revenue_yoy"] = found["revenue"] / found["revenue_year_before"] - 1
    return _dates(found, "month")


def _ntile(found: pd.DataFrame, value: str) -> pd.Series:
    order = np.lexsort((found["customer_id"].to_numpy(), found[value].to_numpy()))
    size, more = divmod(len(found), 5)
    tiles = np.repeat(np.arange(1, 6), [size + (n < more) for n in range(5)])
    scored = np.empty(len(found), dtype=np.int64)
    scored[order] = tiles
    return pd.Series(scored, index=found.index)


def rfm_scores(data: Path) -> pd.DataFrame:
    """By ntile."""
    rows = _done(data, "customer_id", "ordered_at", "amount")
    found = rows.groupby("customer_id").agg(
        last=("ordered_at", "max"), frequency=("amount", "size"), monetary=("amount", "sum")
    ).reset_index()  # fmt: skip
    days = found["last"].dt.normalize()
    found["recency"] = (days.max() - days).dt.days + 1
    found["monetary"] = found["monetary"].round(2)
    r, f = 6 - _ntile(found, "recency"), _ntile(found, "frequency")
    found = found.assign(r=r, f=f, m=_ntile(found, "monetary"))
    found["rfm"] = found["r"].astype(str) + found["f"].astype(str) + found["m"].astype(str)
    cases = [
        ((r <= 2) & (f <= 2), "hibernating"), ((r <= 2) & (f <= 4), "at_risk"), (r <= 2, "cant_lose"),
        ((r == 3) & (f <= 2), "about_to_sleep"), ((r == 3) & (f == 3), "need_attention"),
        ((r <= 4) & (f >= 4), "loyal_customers"), ((r == 4) & (f == 1), "promising"),
        ((r == 5) & (f == 1), "new_customers"), (f <= 3, "potential_loyalists"),
    ]  # fmt: skip
    found["segment"] = np.select([case for case, _ in cases], [name for _, name in cases], "champions")
    return found.drop(columns="last")


def acquisition(data: Path) -> pd.DataFrame:
    """CAC, LTV:CAC."""
    rows = _done(data, "customer_id", "ordered_at", "amount")
    each = rows.groupby("customer_id").agg(first=("ordered_at", "min"), revenue=("amount", "sum")).reset_index()
    customers = pd.read_parquet(data / "customers.parquet", columns=["customer_id", "channel"])
    each = each.merge(customers, on="customer_id", how="left")
    each["month"] = _month(each["first"])
    won = each.groupby(CHANNEL, dropna=False).agg(new_customers=("revenue", "size"), revenue=("revenue", "sum"))
    cost = pd.read_parquet(data / "spend.parquet")
    cost = cost[cost["category"].str.lower().str.strip() != "planned"]
    cost = cost.assign(month=_month(pd.to_datetime(cost["day"])), cost=cost["cost"].astype("float64"))
    spent = cost.groupby(CHANNEL, dropna=False)["cost"].sum().rename("acquisition_cost")
    found = won.reset_index().merge(spent.reset_index(), on=CHANNEL, how="outer")
    found["new_customers"] = found["new_customers"].fillna(0).astype("int64")
    found["cac"] = found["acquisition_cost"] / found["new_customers"]
    found["ltv"] = 0.6 * found["revenue"] / found["new_customers"]
    found["ltv_cac"] = 0.6 * found["revenue"] / found["acquisition_cost"]
    return _dates(found.drop(columns="revenue"), "month")


def nps_csat(data: Path) -> pd.DataFrame:
    """With intervals."""
    rows = pd.read_parquet(data / "survey.parquet", columns=["responded_at", "nps", "csat"])
    nps, csat = rows["nps"], rows["csat"]
    marks = pd.DataFrame({
        "month": _month(rows["responded_at"]), "p": nps.between(9, 10), "q": nps.between(0, 6), "n": nps.between(0, 10),
        "x": csat.isin(["excellent", "good"]), "m": csat.isin(["excellent", "good", "average", "poor"]),
    })  # fmt: skip
    found = marks.groupby("month").sum().reset_index()
    p, q, x, m, n, z = found["p"], found["q"], found["x"], found["m"], found["n"] + 3, 1.959963984540054
    mid, error = 100 * (p - q) / n, 100 * (((p + q + 1.5) / n - ((p - q) / n) ** 2) / n) ** 0.5
    half = z * (x * (m - x) / m + z * z / 4) ** 0.5
    return _dates(pd.DataFrame({
        "month": found["month"], "nps_responses": found["n"], "nps": 100 * (p - q) / found["n"],
        "nps_low": (mid - z * error).clip(lower=-100), "nps_high": (mid + z * error).clip(upper=100),
        "csat_responses": m, "csat": x / m, "csat_low": ((x + z * z / 2 - half) / (m + z * z)).clip(lower=0),
        "csat_high": ((x + z * z / 2 + half) / (m + z * z)).clip(upper=1),
    }), "month")  # fmt: skip


FORMS: Mapping[str, Callable[[Path], pd.DataFrame]] = {
    form.__name__: form for form in (monthly_sales, year_to_date, rfm_scores, acquisition, nps_csat)
}


def answer(name: str, data: Path) -> object:
    """The answer as an Arrow table, without floats' NaN."""
    import pyarrow

    return pyarrow.Table.from_pandas(FORMS[name](data), preserve_index=False)
