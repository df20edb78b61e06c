"""Measures of loss over scenarios. Losses and measures are positive; the last axis of `pnl` is scenarios."""

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray, IntArray


def worst_loss(pnl: FloatArray) -> FloatArray:
    """Return the largest loss over scenarios, at least 0.

    Examples
    --------
    >>> float(worst_loss(np.array([3.0, -2.0, 1.0])))
    2.0
    """
    return np.asarray(np.maximum(-np.min(pnl, axis=-1), 0.0))


def worst_scenario(pnl: FloatArray) -> IntArray:
    """Return the index of the scenario with the largest loss; the first of equals."""
    return np.asarray(np.argmin(pnl, axis=-1))


def value_at_risk(pnl: FloatArray, confidence: float, weights: FloatArray | None = None) -> FloatArray:
    """Return the smallest loss that is not exceeded with probability `confidence`: ``inf{l : F(l) >= confidence}``.

    Parameters
    ----------
    pnl : array of shape (..., n_scenarios)
        Profit (> 0) or loss (< 0) in each scenario.
    confidence
        Between 0 and 1, exclusive.
    weights : array of shape (n_scenarios,) or None
        Probabilities of the scenarios; None weighs all alike.

    Returns
    -------
    array of shape (...,)
        A loss is positive; negative where even this loss is a profit.

    Raises
    ------
    InputError
        If `confidence` is not inside (0, 1).

    Notes
    -----
    It is not sub-additive: two books may each need nothing and need something together.

    Examples
    --------
    >>> float(value_at_risk(np.array([-4.0, -2.0, 0.0, 6.0]), confidence=0.75))
    2.0
    """
    _check_confidence(confidence)
    n = pnl.shape[-1]
    if weights is None:
        # losses from the smallest: the first whose cumulative probability reaches the confidence
        place = min(max(int(np.ceil(confidence * n - _SLACK)) - 1, 0), n - 1)
        return np.asarray(-np.sort(pnl, axis=-1)[..., n - 1 - place])
    losses, probabilities = _by_loss(pnl, weights)
    reached = np.cumsum(probabilities[..., ::-1], axis=-1) >= confidence - _SLACK
    first = np.argmax(reached, axis=-1)
    return np.asarray(np.take_along_axis(losses[..., ::-1], first[..., None], axis=-1)[..., 0])


def expected_shortfall(pnl: FloatArray, confidence: float, weights: FloatArray | None = None) -> FloatArray:
    """Return the mean loss in the worst ``1 - confidence`` share of scenarios.

    Parameters
    ----------
    pnl : array of shape (..., n_scenarios)
        Profit (> 0) or loss (< 0) in each scenario.
    confidence
        Between 0 and 1, exclusive; 0.99 averages the worst 1 %.
    weights : array of shape (n_scenarios,) or None
        Probabilities of the scenarios; None weighs all alike.

    Returns
    -------
    array of shape (...,)
        The shortfall, in the unit of `pnl`; a loss is positive.

    Raises
    ------
    InputError
        If `confidence` is not inside (0, 1).

    Notes
    -----
    The tail rarely holds a whole number of scenarios. The last one counts by the fraction that still fits, which keeps
    the measure sub-additive (Acerbi & Tasche 2002, J. Banking & Finance 26, 1487-1503).

    Examples
    --------
    >>> float(expected_shortfall(np.array([-4.0, -2.0, 0.0, 6.0]), confidence=0.5))
    3.0
    """
    _check_confidence(confidence)
    if weights is not None:
        losses, probabilities = _by_loss(pnl, weights)
        counted = _tail_probabilities(probabilities, 1.0 - confidence)
        return np.asarray((counted * losses).sum(axis=-1) / (1.0 - confidence))
    losses = -np.sort(pnl, axis=-1)
    tail = (1.0 - confidence) * losses.shape[-1]
    whole = min(int(tail), losses.shape[-1] - 1)
    summed = losses[..., :whole].sum(axis=-1) + (tail - whole) * losses[..., whole]
    return np.asarray(summed / tail)


def tail_weights(pnl: FloatArray, confidence: float, weights: FloatArray | None = None) -> FloatArray:
    """Return how much each scenario counts in the expected shortfall of `pnl`; they sum to 1.

    ``expected_shortfall == -(tail_weights * pnl).sum()``. Scenarios outside the tail count 0, the last one inside
    counts by its fraction. Shape as `pnl`, which is one book: (n_scenarios,).
    """
    _check_confidence(confidence)
    n = pnl.shape[-1]
    given = np.full(n, 1.0 / n) if weights is None else weights
    order = np.argsort(pnl, kind="stable")
    counted = np.empty(n)
    counted[order] = _tail_probabilities(given[order], 1.0 - confidence)
    return counted / (1.0 - confidence)


_SLACK = 1e-12
"""Probabilities are sums of floats: 0.99 of 100 scenarios must mean 99, not 100."""


def _tail_probabilities(probabilities: FloatArray, tail: float) -> FloatArray:
    """Return the part of each probability, largest loss first, that lies inside the tail."""
    before = np.cumsum(probabilities, axis=-1) - probabilities
    return np.asarray(np.clip(tail - before, 0.0, probabilities))


def _by_loss(pnl: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Losses, largest first, and the probability of each."""
    order = np.argsort(pnl, axis=-1, kind="stable")
    losses = -np.take_along_axis(pnl, order, axis=-1)
    return losses, np.take_along_axis(np.broadcast_to(weights, pnl.shape), order, axis=-1)


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence must be inside (0, 1), was {confidence}")
