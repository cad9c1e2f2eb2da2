"""Gamma-Gamma: what a customer spends per purchase day.

P. S. Fader, B. G. S. Hardie, "The Gamma-Gamma Model of Monetary Value", 2013; P. S. Fader, B. G. S. Hardie, K. L. Lee,
"RFM and CLV: Using Iso-value Curves for Customer Base Analysis", Journal of Marketing Research 42(4), 2005. A day's
spend is Gamma(p, ν) with ν ~ Gamma(q, v) over customers, whatever they buy how often.
"""

from __future__ import annotations

from typing import Any

from kpiengine.records import dataclass
from kpiengine_plugins.clv.estimate import Estimate, estimate, sampled

NAMES = ("p", "q", "v")


@dataclass(frozen=True)
class Spends:
    """Customers who came back, as arrays: `repeats` (x), `mean` (of their repeat days, above 0), how many are alike."""

    repeats: Any
    mean: Any
    customers: Any


def fit(spends: Spends) -> Estimate:
    """p, q, v, with v in the amount's unit. Raises NoMaximum."""
    import numpy as np

    customers = float(spends.customers.sum())
    unit = float(np.average(spends.mean, weights=spends.customers))
    scaled = Spends(spends.repeats, spends.mean / unit, spends.customers)
    part = sampled((scaled.repeats, scaled.mean, scaled.customers))
    sample = Likelihood(Spends(*part)) if part else None
    starts = [(1.0, 3.0, 2.0), (6.0, 4.0, 0.5), (0.5, 10.0, 10.0)]
    found = estimate(Likelihood(scaled), starts, NAMES, customers, sample)
    p, q, v = found.values
    errors = (*found.std_errors[:2], found.std_errors[2] * unit)
    return Estimate((p, q, v * unit), errors, found.log_likelihood - customers * float(np.log(unit)))


class Likelihood:
    """The mean negative log-likelihood and its gradient, in the logarithms of p, q, v."""

    def __init__(self, spends: Spends) -> None:
        import numpy as np

        weights = spends.customers / spends.customers.sum()
        self.counts, place = np.unique(spends.repeats, return_inverse=True)
        self.weight_of_count = np.bincount(place, weights=weights)
        self.total = spends.repeats * spends.mean
        self.weights = np.stack([weights, weights * spends.repeats])
        self.log_mean = float(weights @ np.log(spends.mean))
        self.log_total = float(self.weights[1] @ np.log(self.total))

    def __call__(self, logs: Any) -> tuple[float, Any]:
        """At these logarithms."""
        import numpy as np
        from scipy.special import gammaln, psi

        p, q, v = parameters = np.exp(logs)
        x, share = self.counts, self.weight_of_count
        both = self.total + v
        logs_of_both, inverses = self.weights @ np.log(both), self.weights @ (1 / both)
        value = share @ (gammaln(p * x + q) - gammaln(p * x)) - gammaln(q) + q * np.log(v)
        value += p * self.log_total - self.log_mean - logs_of_both @ [q, p]
        joint = psi(p * x + q)
        slopes = np.array(
            [
                share @ (x * (joint - psi(p * x))) + self.log_total - logs_of_both[1],
                share @ joint - psi(q) + np.log(v) - logs_of_both[0],
                q / v - inverses @ [q, p],
            ]
        )
        return -float(value), -slopes * parameters
