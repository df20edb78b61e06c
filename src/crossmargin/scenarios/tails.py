"""Tails beyond the sample: the generalised Pareto law of losses above a threshold."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from crossmargin.errors import InputError
from crossmargin.units import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoTail:
    """Losses above `threshold`: shape `xi`, scale `beta`, and how many of how many losses exceeded it."""

    threshold: float
    xi: float
    beta: float
    exceedances: int
    observations: int

    def value_at_risk(self, confidence: float) -> float:
        """Return ``u + beta/xi [((n/Nu)(1-q))**-xi - 1]`` (McNeil & Frey 2000, J. Empirical Finance 7, 271-300).

        Raises
        ------
        InputError
            If `confidence` lies below the threshold's own level, where the law says nothing.
        """
        share = self.exceedances / self.observations
        if not 1.0 - share <= confidence < 1.0:
            raise InputError(f"confidence must be inside [{1.0 - share:.6g}, 1), was {confidence}")
        ratio = (1.0 - confidence) / share
        if abs(self.xi) < 1e-12:
            return self.threshold - self.beta * math.log(ratio)
        return float(self.threshold + self.beta / self.xi * (ratio**-self.xi - 1.0))

    def expected_shortfall(self, confidence: float) -> float:
        """Return ``VaR/(1-xi) + (beta - xi u)/(1-xi)``; infinite when `xi` is 1 or more."""
        if self.xi >= 1.0:
            return math.inf
        var = self.value_at_risk(confidence)
        return (var + self.beta - self.xi * self.threshold) / (1.0 - self.xi)


def fit_pareto_tail(losses: FloatArray, threshold: float) -> ParetoTail:
    """Return the maximum-likelihood generalised Pareto law of `losses` above `threshold`.

    Raises
    ------
    InputError
        If fewer than ten losses exceed the threshold.
    """
    data = np.asarray(losses, dtype=np.float64)
    excess = data[data > threshold] - threshold
    if excess.size < 10:
        raise InputError(f"a tail needs at least 10 losses above {threshold}, had {excess.size}")
    scale = float(excess.mean())
    y = excess / scale

    def loss(x: FloatArray) -> float:
        xi, beta = float(x[0]), math.exp(float(x[1]))
        if abs(xi) < 1e-9:
            return y.size * math.log(beta) + float(y.sum()) / beta
        inside = 1.0 + xi * y / beta
        if inside.min() <= 0.0:
            return 1e12
        return y.size * math.log(beta) + (1.0 + 1.0 / xi) * float(np.log(inside).sum())

    found = minimize(
        loss, np.array([0.1, 0.0]), method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 5000}
    )
    return ParetoTail(
        threshold=threshold,
        xi=float(found.x[0]),
        beta=scale * math.exp(float(found.x[1])),
        exceedances=int(excess.size),
        observations=int(data.size),
    )
