"""BG/NBD and MBG/NBD: how often customers buy while they are ones, and after which purchase they are none any more.

P. S. Fader, B. G. S. Hardie, K. L. Lee, "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model",
Marketing Science 24(2), 2005. A customer buys at the rate λ ~ Gamma(r, α) and leaves after each repeat purchase with
the probability p ~ Beta(a, b). Times are in one unit, that of α.

In MBG/NBD (E. P. Batislam, M. Denizel, A. Filiztekin, "Empirical Validation and Comparison of Models for Customer Base
Analysis", International Journal of Research in Marketing 24(3), 2007) customers may leave after the first purchase,
too: who bought x times since had `earlier` + x chances to leave, where `earlier` is 1, and 0 in BG/NBD.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kpiengine.records import dataclass
from kpiengine_plugins.clv.estimate import Estimate, estimate, sampled

NAMES = ("r", "alpha", "a", "b")

NOTHING = 42.0
"""A density that has fallen by this, in logarithms, is next to nothing."""

PANEL, FEWEST, NODES = 2.5, 6, 8
"""The forecast's quadrature: the length of a piece in the logarithm of the odds, the fewest pieces, points in each."""


@dataclass(frozen=True)
class Histories:
    """Distinct histories as arrays: `repeats` (x), `last` (t_x) and `age` (T), and how many customers have each."""

    repeats: Any
    last: Any
    age: Any
    customers: Any


def fit(histories: Histories, earlier: int = 0) -> Estimate:
    """r, alpha, a, b. Raises NoMaximum."""
    import numpy as np

    age = float(np.average(histories.age, weights=histories.customers)) or 1.0
    starts = [(0.25, age / 8, 0.8, 2.5), (1.0, age / 2, 0.3, 1.0), (3.0, age, 1.0, 5.0)]
    part = sampled((histories.repeats, histories.last, histories.age, histories.customers))
    sample = Likelihood(Histories(*part), earlier) if part else None
    return estimate(Likelihood(histories, earlier), starts, NAMES, float(histories.customers.sum()), sample)


class Likelihood:
    """The mean negative log-likelihood and its gradient, in the logarithms of r, α, a, b.

    What depends on one of x, t_x and T alone is computed once for each value that there is.
    """

    def __init__(self, histories: Histories, earlier: int = 0) -> None:
        import numpy as np

        self.lasts, self.last = np.unique(histories.last, return_inverse=True)
        self.ages, self.age = np.unique(histories.age, return_inverse=True)
        self.counts, self.count = np.unique(histories.repeats, return_inverse=True)
        self.repeats = histories.repeats
        self.chances = self.counts + earlier
        self.weights = histories.customers / histories.customers.sum()
        self.weight_of_count = np.bincount(self.count, weights=self.weights)

    def __call__(self, logs: Any) -> tuple[float, Any]:
        """At these logarithms."""
        import numpy as np
        from scipy.special import gammaln, psi

        r, alpha, a, b = parameters = np.exp(logs)
        x, n, share = self.counts, self.chances, self.weight_of_count
        by_count = gammaln(r + x) - gammaln(r) + gammaln(a + b) + gammaln(b + n) - gammaln(b) - gammaln(a + b + n)
        total = psi(a + b) - psi(a + b + n)
        slopes = np.array([share @ (psi(r + x) - psi(r)), 0.0, share @ total, share @ (total + psi(b + n) - psi(b))])
        slopes += [np.log(alpha), r / alpha, 0, 0]
        ends, of_ends = self._ends(r, alpha, a, b)
        return -float(share @ by_count + r * np.log(alpha) + ends), -(slopes + of_ends) * parameters

    def _ends(self, r: float, alpha: float, a: float, b: float) -> tuple[float, Any]:
        """The mean logarithm of the likelihood's two terms, of being a customer still and not; its slopes."""
        import numpy as np

        log_age, log_last = np.log(alpha + self.ages), np.log(alpha + self.lasts)
        rate, leaving = r + self.repeats, b + np.maximum(self.chances, 1) - 1
        odds = np.where(self.chances > 0, np.log(a / leaving), -np.inf)
        stays = -rate * log_age[self.age]
        lead = odds[self.count] - rate * log_last[self.last] - stays
        fewer = np.exp(-np.abs(lead))  # log(e^s + e^l) and the share of e^l in it, whichever is the larger
        left = np.where(lead > 0, 1.0, fewer) / (1 + fewer)
        value = self.weights @ (stays + np.maximum(lead, 0) + np.log1p(fewer))
        gone, here = self.weights * left, self.weights * (1 - left)
        ages, lasts = np.bincount(self.age, weights=here), np.bincount(self.last, weights=gone)
        rates = np.bincount(self.age, weights=here * rate), np.bincount(self.last, weights=gone * rate)
        slopes = [
            -(ages @ log_age) - lasts @ log_last,
            -(rates[0] @ (1 / (alpha + self.ages))) - rates[1] @ (1 / (alpha + self.lasts)),
            lasts.sum() / a,
            -(np.bincount(self.count, weights=gone) @ (1 / leaving)),
        ]
        return float(value), np.array(slopes)


def expected_purchases(parameters: Sequence[float], repeats: float, age: Any, times: Any, earlier: int = 0) -> Any:
    """Purchases expected within each of `times` from now on, of customers who still are ones: ages × times.

    Equation 10 of the paper without its denominator, which is 1 / P(alive). The paper's closed form (a hypergeometric
    function) cancels out where a is near 1, and overflows for frequent customers; so the mean over p, which for them
    is Beta(a, b + chances) and apart from λ ~ Gamma(r + x, α + T), is taken by quadrature, where no term is below 0.
    """
    import numpy as np

    r, alpha, a, b = parameters
    reach = times[None, :] / (alpha + age[:, None])
    chance, weight = _beta_nodes(a, b + earlier + repeats, 1e-13 / ((r + repeats + 1) * float(reach.max())))
    # (1 - (1 + p t / (α + T)) ** -(r + x)) / p, the purchases of one with this p within t
    bought = -np.expm1(-(r + repeats) * np.log1p(reach[:, :, None] * chance)) / chance
    return bought @ weight


def _beta_nodes(a: float, b: float, negligible: float) -> tuple[Any, Any]:
    """Points and weights whose weighted sum is the mean of a smooth function over Beta(a, b).

    Below the chance `negligible`, and as near to 1, the function is held to be constant. Between, Gauss-Legendre in
    the logarithm of the odds, where the density is smooth whatever a and b are.
    """
    import numpy as np
    from scipy.special import betainc, betaln, expit, logit

    low = max(-_reach_of_odds(b, a), float(logit(min(negligible, 1e-3))))
    high = min(_reach_of_odds(a, b), -float(logit(1e-13)))
    panels = int(np.ceil((high - low) / PANEL)) + FEWEST
    nodes, shares = np.polynomial.legendre.leggauss(NODES)
    half = (high - low) / panels / 2
    middles = low + half * (2 * np.arange(panels) + 1)
    odds = (middles[:, None] + half * nodes).ravel()
    density = np.exp(-a * np.logaddexp(0, -odds) - b * np.logaddexp(0, odds) - betaln(a, b))
    weight = density * np.tile(shares * half, panels)
    ends = [betainc(a, b, expit(low)), betainc(b, a, expit(-high))]
    return expit(np.concatenate([[low], odds, [high]])), np.concatenate([ends[:1], weight, ends[1:]])


def _reach_of_odds(a: float, b: float) -> float:
    """The logarithm of the odds above its mode at which the density of Beta(a, b) is next to nothing."""
    mode = math.log(a / b)

    def fall(odds: float) -> float:
        return a * (_softplus(-odds) - _softplus(-mode)) + b * (_softplus(odds) - _softplus(mode))

    near, far = mode, mode + 1.0
    while fall(far) < NOTHING:
        near, far = far, mode + 2 * (far - mode)
    for _ in range(20):
        middle = (near + far) / 2
        near, far = (middle, far) if fall(middle) < NOTHING else (near, middle)
    return far


def _softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
