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


def expected_shortfall(pnl: FloatArray, confidence: float) -> FloatArray:
    """Return the mean loss in the worst ``1 - confidence`` share of equally weighted scenarios.

    The tail rarely holds a whole number of scenarios; the last one counts by the fraction that still fits, which keeps
    the measure sub-additive (Acerbi & Tasche 2002, J. Banking & Finance 26, 1487-1503).

    Raises
    ------
    InputError
        If `confidence` is not inside (0, 1).

    Examples
    --------
    >>> float(expected_shortfall(np.array([-4.0, -2.0, 0.0, 6.0]), confidence=0.5))
    3.0
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence must be inside (0, 1), was {confidence}")
    losses = -np.sort(pnl, axis=-1)
    tail = (1.0 - confidence) * losses.shape[-1]
    whole = min(int(tail), losses.shape[-1] - 1)
    summed = losses[..., :whole].sum(axis=-1) + (tail - whole) * losses[..., whole]
    return np.asarray(summed / tail)
