"""Reverse stress: of all joint moves that lose a given amount, the one nearest to today.

Nearest by Mahalanobis distance ``sqrt(x' C^-1 x)``, so that under any elliptical law (normal, Student t) it is the most
likely such move (Glasserman, Kang & Kang 2015, Quantitative Finance 15, 67-81). In factors of unit variance, ``x = L u``
with ``C = L L'``, it is the point of the surface ``loss = amount`` closest to the origin: the design point of structural
reliability (Hasofer & Lind 1974; Rackwitz & Fiessler 1978). Rays from the origin find where the surface lies; sequential
quadratic programming runs from the nearest crossings, because an option book has several such points.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from crossmargin.errors import InputError
from crossmargin.units import FloatArray

Losses = Callable[[FloatArray], FloatArray]
"""Moves of shape (n_factors, n_points) to losses of shape (n_points,); a loss is positive."""

FURTHEST = 40.0
"""Standard deviations beyond which nothing is searched."""
_RADII = np.concatenate([np.linspace(0.125, 8.0, 64), np.geomspace(8.5, FURTHEST, 32)])
_BUMP = 1e-5
_SPREAD = 64
"""Directions that fill the sphere evenly, beside the axes and the steepest one."""
_POLISHED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakingMove:
    """The most likely move that loses at least what was asked.

    Attributes
    ----------
    moves : array of shape (n_factors,)
        In the unit of the covariance: log returns, say.
    distance
        Mahalanobis distance from no move: standard deviations along the way there.
    loss
        At the move.
    others
        Further moves that are nearest in their own neighbourhood, nearest first: a short strangle breaks on both sides.
    """

    moves: FloatArray
    distance: float
    loss: float
    others: tuple[FloatArray, ...]

    def tail_probability(self, degrees: float | None = None) -> float:
        """Return the chance of going at least as far in this direction: exact where the loss is linear.

        Under a normal law, or with `degrees` a joint Student t of the same covariance.

        Examples
        --------
        >>> move = BreakingMove(moves=np.array([-0.2]), distance=2.326347874, loss=1.0, others=())
        >>> round(move.tail_probability(), 6)
        0.01
        """
        if degrees is None:
            return float(ndtr(-self.distance))
        if degrees <= 2.0:
            raise InputError(f"degrees of freedom must be above 2, was {degrees}")
        return float(stdtr(degrees, -self.distance * math.sqrt(degrees / (degrees - 2.0))))


def most_likely_move(losses: Losses, covariance: FloatArray, amount: float) -> BreakingMove | None:
    """Return the most likely move whose loss reaches `amount`; None where nothing within 40 deviations does.

    Parameters
    ----------
    losses
        Continuous; kinks are allowed, the search then leans on its many starts.
    covariance : array of shape (n_factors, n_factors)
    amount
        Positive, in the unit of `losses`.

    Raises
    ------
    InputError
        If the covariance is not positive definite or `amount` not positive.

    Examples
    --------
    >>> found = most_likely_move(lambda x: -(x[0] + x[1]), np.diag([0.09, 0.16]), 0.5)
    >>> found.moves.round(6), round(found.distance, 6)
    (array([-0.18, -0.32]), 1.0)
    """
    if not (math.isfinite(amount) and amount > 0.0):
        raise InputError(f"the loss to reach must be positive, was {amount}")
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise InputError("a covariance must be positive definite") from error

    def excess(points: FloatArray) -> FloatArray:
        """Loss over `amount`, less one, at points of shape (n_factors, n_points) of unit variance."""
        return np.asarray(losses(root @ points)) / amount - 1.0

    crossings = _crossings(excess, root.shape[0])
    found = [point for start in crossings[:_POLISHED] if (point := _nearest(excess, start)) is not None]
    if not found:
        return None
    found.sort(key=lambda point: float(point @ point))
    distinct: list[FloatArray] = []
    for point in found:
        if all(np.linalg.norm(point - kept) > 0.05 * np.linalg.norm(point) for kept in distinct):
            distinct.append(point)
    best = root @ distinct[0]
    return BreakingMove(
        moves=best,
        distance=float(np.linalg.norm(distinct[0])),
        loss=float(losses(best[:, None])[0]),
        others=tuple(root @ point for point in distinct[1:]),
    )


def _crossings(excess: Losses, n: int) -> list[FloatArray]:
    """Where rays from the origin first cross the surface, nearest first, apart from one another in direction."""
    from scipy.stats import qmc  # slow to load, and seldom needed

    sphere = ndtri(np.clip(qmc.Sobol(n, scramble=True, rng=0).random_base2(6)[:_SPREAD], 1e-9, 1.0 - 1e-9)).T
    slope = _gradient(excess, np.zeros(n))[:, None]
    rays = np.concatenate([np.eye(n), -np.eye(n), slope, -slope, np.ones((n, 1)), -np.ones((n, 1)), sphere], axis=1)
    length = np.linalg.norm(rays, axis=0)
    rays = rays[:, length > 0.0] / length[length > 0.0]
    points = rays[:, :, None] * _RADII
    reached = excess(points.reshape(n, -1)).reshape(rays.shape[1], _RADII.size) >= 0.0
    hits = np.flatnonzero(reached.any(axis=1))
    order = hits[np.argsort(reached[hits].argmax(axis=1), kind="stable")]
    found: list[FloatArray] = []
    for ray in order:
        # starts in one direction find one point; spread them first, so that both sides of a strangle are seen
        if all(float(rays[:, ray] @ kept) < 0.7 * np.linalg.norm(kept) for kept in found):
            found.append(rays[:, ray] * _RADII[int(reached[ray].argmax())])
    return found


def _nearest(excess: Losses, start: FloatArray) -> FloatArray | None:
    """The point of the surface nearest to the origin, seen from `start`."""
    from scipy.optimize import minimize  # slow to load, and seldom needed

    def half_square(u: FloatArray) -> tuple[float, FloatArray]:
        return 0.5 * float(u @ u), u

    def reached(u: FloatArray) -> float:
        return float(excess(u[:, None])[0])

    def steepest(u: FloatArray) -> FloatArray:
        return _gradient(excess, u)

    answer = minimize(
        half_square,
        start,
        jac=True,
        method="SLSQP",
        constraints={"type": "ineq", "fun": reached, "jac": steepest},
        options={"ftol": 1e-12, "maxiter": 200},
    )
    for point in (np.asarray(answer.x, dtype=np.float64), start):
        there = _brought_to_surface(excess, point)
        if there is not None and float(there @ there) <= float(start @ start) * (1.0 + 1e-9):
            return there
    return start


def _brought_to_surface(excess: Losses, point: FloatArray) -> FloatArray | None:
    """`point` moved along its ray until the loss is reached, by bisection; None where a tenth of its length is too little."""
    if not np.isfinite(point).all() or not point.any():
        return None
    low, high = 0.9, 1.0 + 1e-9
    if excess(high * point[:, None])[0] < 0.0:
        low, high = high, 1.1
        if excess(high * point[:, None])[0] < 0.0:
            return None
    if excess(low * point[:, None])[0] >= 0.0:
        return point
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if excess(middle * point[:, None])[0] >= 0.0 else (middle, high)
    return np.asarray(high * point)


def _gradient(excess: Losses, point: FloatArray) -> FloatArray:
    """Central differences, all in one call."""
    bumps = _BUMP * np.eye(point.size)
    both = excess(np.concatenate([point[:, None] + bumps, point[:, None] - bumps], axis=1))
    return np.asarray((both[: point.size] - both[point.size :]) / (2.0 * _BUMP))
