"""What each position adds to the measure of the whole: Euler contributions, which sum to it.

For a measure that scales with the book, the contribution of a position is the rate at which the measure grows with it
(Tasche 1999; Acerbi & Tasche 2002): its mean loss in the scenarios that make the measure.
"""

import numpy as np

from crossmargin.errors import InputError
from crossmargin.risk.measures import tail_weights, value_at_risk
from crossmargin.units import FloatArray


def expected_shortfall_contributions(
    position_pnl: FloatArray, confidence: float, weights: FloatArray | None = None
) -> FloatArray:
    """Return each position's share of the book's expected shortfall.

    Parameters
    ----------
    position_pnl : array of shape (n_positions, n_scenarios)
        Profit of each position, quantity included.

    Returns
    -------
    array of shape (n_positions,)
        Positive adds risk, negative hedges; they sum to the expected shortfall of the column sums.

    Examples
    --------
    >>> expected_shortfall_contributions(np.array([[-4.0, 1.0], [1.0, 0.0]]), 0.5)
    array([ 4., -1.])
    """
    counted = tail_weights(position_pnl.sum(axis=0), confidence, weights)
    return np.asarray(-(position_pnl * counted).sum(axis=1))


def worst_loss_contributions(position_pnl: FloatArray) -> FloatArray:
    """Return each position's loss in the scenario that is worst for the book; they sum to its worst loss."""
    return np.asarray(-position_pnl[:, int(np.argmin(position_pnl.sum(axis=0)))])


def value_at_risk_contributions(
    position_pnl: FloatArray, confidence: float, weights: FloatArray | None = None
) -> FloatArray:
    """Return each position's loss in the scenario that is the book's value at risk; they sum to it.

    One scenario is a noisy estimate of ``E[loss of position | loss of book = VaR]``; prefer the expected shortfall's.
    """
    book = position_pnl.sum(axis=0)
    at = np.flatnonzero(-book == value_at_risk(book, confidence, weights))
    if at.size == 0:
        raise InputError("the value at risk must be the loss of a scenario")
    return np.asarray(-position_pnl[:, at[0]])
