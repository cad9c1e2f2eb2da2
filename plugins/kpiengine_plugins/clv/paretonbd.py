"""Pareto/NBD: how often customers buy while they are customers, and for how long they are.

D. C. Schmittlein, D. G. Morrison, R. Colombo, "Counting Your Customers: Who Are They and What Will They Do Next?",
Management Science 33(1), 1987; P. S. Fader, B. G. S. Hardie, "A Note on Deriving the Pareto/NBD Model and Related
Expressions", 2005. A customer buys at the rate λ ~ Gamma(r, α) and leaves at the rate μ ~ Gamma(s, β), at any moment.
Times are in one unit, that of α and β.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kpiengine_plugins.clv.bgnbd import Histories
from kpiengine_plugins.clv.estimate import Estimate, estimate, sampled

NAMES = ("r", "alpha", "s", "beta")

BLOCK = 20_000
"""Histories whose integrals are taken at once, to bound the memory."""

NOTHING = 42.0
"""An integrand that has fallen by this, in logarithms, is next to nothing."""

FEW, MANY = 12, 32
"""Points of the quadrature: for a span up to `SHORT` over which the integrand falls by up to `LITTLE`, for others."""

SHORT, LITTLE = 4.0, 10.0


def fit(histories: Histories) -> Estimate:
    """r, alpha, s, beta. Raises NoMaximum."""
    import numpy as np

    age = float(np.average(histories.age, weights=histories.customers)) or 1.0
    starts = [(0.5, age / 4, 0.5, age / 4), (1.0, age / 2, 1.0, age), (3.0, age, 0.3, age / 20)]
    part = sampled((histories.repeats, histories.last, histories.age, histories.customers))
    sample = Likelihood(Histories(*part)) if part else None
    return estimate(Likelihood(histories), starts, NAMES, float(histories.customers.sum()), sample)


class Likelihood:
    """The mean negative log-likelihood and its gradient, in the logarithms of r, α, s, β."""

    def __init__(self, histories: Histories) -> None:
        import numpy as np

        self.histories = histories
        self.weights = histories.customers / histories.customers.sum()
        self.counts, place = np.unique(histories.repeats, return_inverse=True)
        self.weight_of_count = np.bincount(place, weights=self.weights)

    def __call__(self, logs: Any) -> tuple[float, Any]:
        """At these logarithms."""
        import numpy as np
        from scipy.special import gammaln, psi

        r, alpha, s, beta = parameters = np.exp(logs)
        x, share = self.counts, self.weight_of_count
        value = share @ (gammaln(r + x) - gammaln(r)) + r * np.log(alpha) + s * np.log(beta)
        slopes = np.array([share @ (psi(r + x) - psi(r)) + np.log(alpha), r / alpha, np.log(beta), s / beta])
        for block, here, gone, of_here, of_gone in _ends(parameters, self.histories):
            weights = self.weights[block]
            left = _share_of_second(here, gone)
            value += weights @ np.logaddexp(here, gone)
            slopes += of_here @ (weights * (1 - left)) + of_gone @ (weights * left)
        return -float(value), -slopes * parameters


def probabilities_alive(parameters: Sequence[float], histories: Histories) -> Any:
    """The probability of being a customer yet, of each history."""
    import numpy as np

    return np.concatenate([1 - _share_of_second(here, gone) for _, here, gone, _, _ in _ends(parameters, histories)])


def expected_purchases(parameters: Sequence[float], repeats: float, age: Any, times: Any) -> Any:
    """Purchases expected within each of `times` from now on, of customers who still are ones: ages × times.

    For them λ is Gamma(r + x, α + T) and μ is Gamma(s, β + T): equation 41 of the note without P(alive).
    """
    import numpy as np

    r, alpha, s, beta = parameters
    reach = np.log1p(times[None, :] / (beta + age[:, None]))
    lasting = reach if s == 1 else -np.expm1((1 - s) * reach) / (s - 1)
    return (r + repeats) * ((beta + age) / (alpha + age))[:, None] * lasting


def _share_of_second(first: Any, second: Any) -> Any:
    """Of two terms, given by their logarithms, the share of the second in their sum."""
    from scipy.special import expit

    return expit(second - first)


def _ends(parameters: Sequence[float], histories: Histories) -> Iterator[tuple[slice, Any, Any, Any, Any]]:
    """Block by block: the logarithms of the likelihood of being a customer yet and of having left; their slopes."""
    import numpy as np

    r, alpha, s, beta = parameters
    for start in range(0, len(histories.age), BLOCK):
        block = slice(start, start + BLOCK)
        x, last, age = histories.repeats[block], histories.last[block], histories.age[block]
        log_age = np.log(alpha + age), np.log(beta + age)
        here = -(r + x) * log_age[0] - s * log_age[1]
        of_here = np.stack([-log_age[0], -(r + x) / (alpha + age), -log_age[1], -s / (beta + age)])
        gone, of_gone = np.empty_like(here), np.empty_like(of_here)
        span, fall = _spans(parameters, x, last, age)
        easy = (span <= SHORT) & (fall <= LITTLE)
        for part, points in ((easy, FEW), (~easy, MANY)):
            gone[part], of_gone[:, part] = _left(parameters, x[part], last[part], span[part], points)
        yield block, here, gone, of_here, of_gone


def _spans(parameters: Sequence[float], x: Any, last: Any, age: Any) -> tuple[Any, Any]:
    """How far the integral has to go in u = log((m + τ) / (m + t_x)), m the smaller of α and β, and its fall there.

    The logarithm of the integrand is concave in u, so that Newton's steps from beyond come near `NOTHING` from beyond.
    """
    import numpy as np

    r, alpha, s, beta = parameters
    least = min(alpha, beta)
    span = np.log1p((age - last) / (least + last))
    for _ in range(4):
        past = (least + last) * np.expm1(span)  # τ - t_x
        fall = (r + x) * np.log1p(past / (alpha + last)) + (s + 1) * np.log1p(past / (beta + last)) - span
        near = least + last + past
        slope = (r + x) * near / (alpha + last + past) + (s + 1) * near / (beta + last + past) - 1
        span = np.where(fall > NOTHING, span - (fall - NOTHING) / np.maximum(slope, 1e-300), span)
    return span, fall


def _left(parameters: Sequence[float], x: Any, last: Any, span: Any, points: int) -> tuple[Any, Any]:
    """log of s ∫ (α + τ)^-(r + x) (β + τ)^-(s + 1) dτ from t_x on, and its slopes: it left at τ, and bought no more.

    The closed form, a difference of two hypergeometric functions, cancels out where T is near t_x.
    """
    import numpy as np

    r, alpha, s, beta = parameters
    nodes, shares = np.polynomial.legendre.leggauss(points)
    least = min(alpha, beta) + last
    past = least[:, None] * np.expm1(span[:, None] * (nodes + 1) / 2)
    moment = last[:, None] + past
    of_alpha, of_beta = alpha + moment, beta + moment
    rate = (r + x)[:, None]
    logs = (np.log(of_alpha), np.log(of_beta))
    density = np.log(shares / 2) - rate * logs[0] - (s + 1) * logs[1] + np.log(least[:, None] + past)
    top = density.max(axis=1, initial=-np.inf)
    weight = np.exp(density - top[:, None])
    total = weight.sum(axis=1)
    with np.errstate(divide="ignore"):  # nobody leaves within no time
        value = np.log(s) + np.log(span) + top + np.log(total)
    weight /= total[:, None]
    slopes = [
        -(weight * logs[0]).sum(axis=1),
        -(r + x) * (weight / of_alpha).sum(axis=1),
        1 / s - (weight * logs[1]).sum(axis=1),
        -(s + 1) * (weight / of_beta).sum(axis=1),
    ]
    return value, np.stack(slopes)
