"""Maximum likelihood for models whose parameters are all positive: their logarithms are what is searched for.

A search that ends is no fit yet: a Newton step from there has to be next to nothing, too. Where the likelihood has no
maximum (a parameter runs to 0 or without bound) the step stays as long as it was, however small the slope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kpiengine.records import dataclass

MANY = 20_000
"""Observations of which more than these are searched in a sample first."""

STEPS = 40
"""Newton steps that may follow the search."""

CLOSE = 1e-6
"""The longest last step, in logarithms, with which a fit has converged."""

SETTLED = 1e-10
"""A last step after which the curvature is what it was before: standard errors stand on it."""

WIDEST = 12.0
"""How far from their first guesses the logarithms may go."""

Objective = Callable[[Any], tuple[float, Any]]
"""Logarithms of the parameters → mean negative log-likelihood, and its gradient."""


class NoMaximum(Exception):
    """The likelihood has no maximum that could be found. `parameter` is the one that is not determined."""

    def __init__(self, parameter: str, grows: bool) -> None:
        super().__init__(f"{parameter} {'grows without bound' if grows else 'runs to 0'}")
        self.parameter = parameter
        self.grows = grows


@dataclass(frozen=True)
class Estimate:
    """Parameters with their standard errors, and the log-likelihood there."""

    values: tuple[float, ...]
    std_errors: tuple[float, ...]
    log_likelihood: float


def estimate(
    objective: Objective,
    starts: Sequence[Sequence[float]],
    names: Sequence[str],
    observations: float,
    sample: Objective | None = None,
) -> Estimate:
    """The maximum that is the highest of those reached from `starts` (parameters).

    `sample` is the objective of a part of the observations: the starts are searched from with it, and from the best
    place found there it is a few Newton steps to the maximum, if there is one. Raises NoMaximum.
    """
    import numpy as np

    places = np.log(np.asarray(starts, dtype=float))
    low, high = places.min(axis=0) - WIDEST, places.max(axis=0) + WIDEST
    best = min((_searched(sample or objective, place, low, high) for place in places), key=lambda point: point[0])[1]
    try:
        near = best if sample is None else _approached(objective, sample, best)
        logs, hessian = _polished(objective, near, low, high, names)
    except NoMaximum:
        if sample is None:
            raise
        logs, hessian = _polished(objective, _searched(objective, best, low, high)[1], low, high, names)
    values = np.exp(logs)
    spread = np.sqrt(np.diag(np.linalg.inv(hessian)) / observations)
    return Estimate(tuple(values.tolist()), tuple((values * spread).tolist()), -objective(logs)[0] * observations)


def sampled(observations: Sequence[Any]) -> list[Any] | None:
    """Every n-th entry of each array, which are sorted by their values; None where there are not that many."""
    many = len(observations[0]) // MANY
    if many < 2:
        return None
    return [array[::many] for array in observations]


def _searched(objective: Objective, start: Any, low: Any, high: Any) -> tuple[float, Any]:
    from scipy.optimize import minimize

    bounds = list(zip(low, high, strict=True))
    options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return float(found.fun), found.x


def _approached(objective: Objective, sample: Objective, logs: Any) -> Any:
    """Steps by the curvature of the sample, which is near to that of all and costs little; each one has to be shorter.

    Where that leads nowhere the point is given back as it is.
    """
    import numpy as np

    start, hessian, last = logs, _hessian(sample, logs), 1.0
    if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian)[0] <= 0:
        return start
    for _ in range(STEPS):
        step = np.linalg.solve(hessian, -objective(logs)[1])
        length = float(np.abs(step).max())
        if not length < last:
            return logs if last < CLOSE else start
        logs, last = logs + step, length
        if length < SETTLED:
            return logs
    return logs if last < CLOSE else start


def _polished(objective: Objective, logs: Any, low: Any, high: Any, names: Sequence[str]) -> tuple[Any, Any]:
    """Newton's method from near the maximum: the point and the Hessian there."""
    import numpy as np

    step = np.zeros_like(logs)
    for _ in range(STEPS):
        hessian = _hessian(objective, logs)
        if not np.isfinite(hessian).all():
            break
        curvatures, directions = np.linalg.eigh(hessian)
        if curvatures[0] <= 1e-12 * max(curvatures[-1], 1e-12):
            raise _undetermined(names, logs, directions[:, 0], objective)
        step = np.linalg.solve(hessian, -objective(logs)[1])
        length = np.abs(step).max()
        if length < CLOSE:
            return logs + step, hessian if length < SETTLED else _hessian(objective, logs + step)
        logs = logs + _downhill(objective, logs, step)
        if (logs <= low).any() or (logs >= high).any():
            break
    raise _undetermined(names, logs, step, objective)


def _downhill(objective: Objective, logs: Any, step: Any) -> Any:
    """The step, cut until it does not lead upwards."""
    import numpy as np

    step = step / max(1.0, float(np.abs(step).max()) / 2)
    here = objective(logs)[0]
    for _ in range(30):
        if objective(logs + step)[0] <= here + 1e-14 * abs(here):
            return step
        step = step / 2
    return step


def _undetermined(names: Sequence[str], logs: Any, direction: Any, objective: Objective) -> NoMaximum:
    import numpy as np

    worst = int(np.abs(direction).argmax())
    downhill = direction if float(objective(logs)[1] @ direction) <= 0 else -direction
    return NoMaximum(names[worst], bool(downhill[worst] > 0))


def _hessian(objective: Objective, logs: Any) -> Any:
    """From the gradients on both sides of the point."""
    import numpy as np

    size = 1e-4
    rows = [(objective(logs + side)[1] - objective(logs - side)[1]) / (2 * size) for side in size * np.eye(len(logs))]
    hessian = np.asarray(rows)
    return (hessian + hessian.T) / 2
