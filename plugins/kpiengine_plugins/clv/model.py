"""From distinct histories and spends to fitted models, and from these to what is expected of a history."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kpiengine.errors import DataError
from kpiengine.records import dataclass
from kpiengine_plugins.clv import bgnbd, gammagamma, paretonbd
from kpiengine_plugins.clv.estimate import Estimate, NoMaximum

if TYPE_CHECKING:
    import pyarrow

FEWEST_REPEATERS = 10
"""Customers with a repeat purchase below which nothing is fitted: seven parameters need some ground."""

MODELS = {"bgnbd": "BG/NBD", "mbgnbd": "MBG/NBD", "paretonbd": "Pareto/NBD"}
"""Models of purchases, by what the option `model` calls them."""

EARLIER = {"bgnbd": 0, "mbgnbd": 1}
"""For `bgnbd.fit`: the chances to leave before the first repeat purchase."""

YEAR = 365.25
MONTH = YEAR / 12

_REASONS = {
    ("r", True): "all customers seem to buy at the same rate",
    ("alpha", True): "all customers seem to buy at the same rate",
    ("r", False): "next to nobody seems to come back",
    ("alpha", False): "next to nobody seems to come back",
    ("a", False): "no customer seems to be lost",
    ("b", True): "all customers seem to leave alike, or none does",
    ("a", True): "all customers seem to leave alike",
    ("b", False): "all customers seem to leave after their first repeat purchase, or none does",
    ("s", False): "no customer seems to be lost",
    ("s", True): "all customers seem to leave at the same rate",
    ("beta", True): "all customers seem to leave at the same rate, or none does",
    ("beta", False): "customers seem to leave at once or never",
    ("p", True): "each customer seems to spend the same every time",
    ("q", True): "all customers seem to spend alike",
    ("v", True): "all customers seem to spend alike",
    ("p", False): "what single customers spend varies too much",
    ("v", False): "what single customers spend varies too much",
    ("q", False): "spend differs too much between customers",
}


@dataclass(frozen=True)
class Fit:
    """Both models, fitted. `model` is that of purchases; `histories` have their times in its unit."""

    model: str
    histories: bgnbd.Histories
    purchases: Estimate
    spend: Estimate
    spenders: float
    correlation: float
    unit_days: int

    def parameters(self) -> dict[str, float]:
        """r, alpha, a, b (of Pareto/NBD: r, alpha, s, beta), and p, q, v."""
        of_purchases = paretonbd.NAMES if self.model == "paretonbd" else bgnbd.NAMES
        names, values = (*of_purchases, *gammagamma.NAMES), (*self.purchases.values, *self.spend.values)
        return dict(zip(names, values, strict=True))


def fitted(name: str, model: str, summary: pyarrow.Table, unit_days: int) -> Fit:
    """Both models, from the rows of `history.counted`. Raises DataError, which names the metric and the cause."""
    import numpy as np

    # Engines give rows in any order, and sums of floating point numbers would differ by it.
    summary = summary.sort_by([(column, "ascending") for column in summary.column_names])
    columns = {name: summary[name].cast("float64").to_numpy() for name in summary.column_names}
    of_spend = np.isnan(columns["age"])
    times = {column: values[~of_spend] for column, values in columns.items()}
    customers = times["customers"]
    histories = bgnbd.Histories(times["repeats"], times["active"] / unit_days, times["age"] / unit_days, customers)
    _check_counts(name, model, customers.sum(), customers[histories.repeats > 0].sum())
    positive = of_spend & (columns["mean_spend"] > 0) & np.isfinite(columns["mean_spend"])
    spends = gammagamma.Spends(*(columns[column][positive] for column in ("repeats", "mean_spend", "customers")))
    _check_spends(name, model, spends)
    try:
        purchases = paretonbd.fit(histories) if model == "paretonbd" else bgnbd.fit(histories, EARLIER[model])
    except NoMaximum as error:
        raise _not_fitted(name, MODELS[model], error) from None
    try:
        spend = gammagamma.fit(spends)
    except NoMaximum as error:
        raise _not_fitted(name, "Gamma-Gamma", error) from None
    if spend.values[1] <= 1:
        raise DataError(
            f'"{name}": the spend of customers differs so much that its mean is infinite under Gamma-Gamma '
            f"(q is {spend.values[1]:.3g}, and has to be above 1); filter out the outliers, or use model: historical"
        )
    return Fit(model, histories, purchases, spend, float(spends.customers.sum()), _correlation(spends), unit_days)


def _check_counts(name: str, model: str, customers: float, repeaters: float) -> None:
    if repeaters < FEWEST_REPEATERS:
        raise DataError(
            f'"{name}": {repeaters:,.0f} of {customers:,.0f} customers bought on more than one day, and '
            f"model: {model} needs {FEWEST_REPEATERS} at least; use model: historical"
        )


def _check_spends(name: str, model: str, spends: gammagamma.Spends) -> None:
    count = float(spends.customers.sum())
    if count < FEWEST_REPEATERS:
        raise DataError(
            f'"{name}": {count:,.0f} customers with a repeat purchase spent more than 0 on their repeat days, and '
            f"model: {model} needs {FEWEST_REPEATERS} at least; use model: historical"
        )
    if spends.mean.max() - spends.mean.min() <= 1e-9 * spends.mean.max():
        raise DataError(
            f'"{name}": all customers spend the same, {spends.mean.max():g}: amount has no variance for Gamma-Gamma; '
            "use model: historical"
        )


def _not_fitted(name: str, model: str, error: NoMaximum) -> DataError:
    reason = _REASONS[(error.parameter, error.grows)]
    return DataError(
        f'"{name}": {model} does not converge on these data ({error}: {reason}); take a longer span of data, check '
        "what is filtered, or use model: historical"
    )


def _correlation(spends: gammagamma.Spends) -> float:
    """Of repeat purchases and mean spend, which Gamma-Gamma takes to be 0; NaN where all customers came as often."""
    import numpy as np

    x, m, w = spends.repeats, spends.mean, spends.customers
    x, m = x - np.average(x, weights=w), m - np.average(m, weights=w)
    scale = math.sqrt(float(w @ x**2) * float(w @ m**2))
    return float(w @ (x * m)) / scale if scale else math.nan


def fit_table(fit: Fit) -> pyarrow.Table:
    """`parameter`, `value`, `std_error`: parameters, log-likelihoods, and what they come from."""
    import pyarrow as pa

    errors = (*fit.purchases.std_errors, *fit.spend.std_errors)
    rows: list[tuple[str, float, float | None]] = [
        (name, value, error) for (name, value), error in zip(fit.parameters().items(), errors, strict=True)
    ]
    customers = fit.histories.customers
    rows += [
        ("log_likelihood", fit.purchases.log_likelihood, None),
        ("log_likelihood_spend", fit.spend.log_likelihood, None),
        ("customers", float(customers.sum()), None),
        ("repeaters", float(customers[fit.histories.repeats > 0].sum()), None),
        ("spenders", fit.spenders, None),
        ("distinct_histories", float(len(customers)), None),
        ("frequency_spend_correlation", fit.correlation, None),
        ("unit_days", float(fit.unit_days), None),
    ]
    return pa.table(
        {
            "parameter": pa.array([name for name, _, _ in rows], pa.string()),
            "value": pa.array([None if math.isnan(value) else value for _, value, _ in rows], pa.float64()),
            "std_error": pa.array([error for _, _, error in rows], pa.float64()),
        }
    )


def model_table(fit: Fit) -> pyarrow.Table:
    """One row: the parameters by their names."""
    import pyarrow as pa

    return pa.table({name: pa.array([value], pa.float64()) for name, value in fit.parameters().items()})


def forecast_table(fit: Fit, horizon_days: float, discount: float) -> pyarrow.Table:
    """`repeats`, `age` (days), `purchases` within the horizon and `discounted_purchases`, of one who is a customer yet.

    Purchases are discounted at the end of their month, counted from now; the last month may be cut by the horizon.
    """
    import numpy as np
    import pyarrow as pa

    months = math.ceil(horizon_days / MONTH - 1e-9)
    ends = np.array([*(MONTH * month for month in range(1, months)), horizon_days])
    if not discount:
        ends = ends[-1:]
    factors = (1 + discount) ** (-ends / YEAR)
    days = np.rint(fit.histories.age * fit.unit_days).astype("int64")
    width = int(days.max()) + 1
    pairs = np.stack(np.divmod(np.unique(fit.histories.repeats.astype("int64") * width + days), width))
    expected: list[Any] = []
    for repeats in np.unique(pairs[0]):
        ages = pairs[1][pairs[0] == repeats] / fit.unit_days
        expected.append(_expected_purchases(fit, float(repeats), ages, ends / fit.unit_days))
    until = np.concatenate(expected)
    discounted = np.diff(until, axis=1, prepend=0.0) @ factors
    return pa.table(
        {
            "repeats": pa.array(pairs[0]),
            "age": pa.array(pairs[1]),
            "purchases": pa.array(until[:, -1]),
            "discounted_purchases": pa.array(discounted),
        }
    )


def _expected_purchases(fit: Fit, repeats: float, ages: Any, times: Any) -> Any:
    if fit.model == "paretonbd":
        return paretonbd.expected_purchases(fit.purchases.values, repeats, ages, times)
    return bgnbd.expected_purchases(fit.purchases.values, repeats, ages, times, EARLIER[fit.model])


def alive_table(fit: Fit) -> pyarrow.Table:
    """`repeats`, `active`, `age` (days), `p_alive`: of Pareto/NBD, whose probability is an integral, no formula."""
    import numpy as np
    import pyarrow as pa

    times = {"active": fit.histories.last, "age": fit.histories.age}
    days = {name: np.rint(values * fit.unit_days).astype("int64") for name, values in times.items()}
    return pa.table(
        {
            "repeats": pa.array(fit.histories.repeats.astype("int64")),
            **{name: pa.array(values) for name, values in days.items()},
            "p_alive": pa.array(paretonbd.probabilities_alive(fit.purchases.values, fit.histories)),
        }
    )
