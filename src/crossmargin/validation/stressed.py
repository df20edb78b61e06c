"""Margins of stressed observations: what a book would lose in March 2020, which no walk-forward margin sees."""

import math

import numpy as np

from crossmargin.scenarios.crises import crisis_named
from crossmargin.units import NANOSECONDS_PER_DAY, FloatArray, IntArray
from crossmargin.validation.books import LinearBooks

STRESS = "march-2020"
_HOURS_PER_DAY = 24.0


def stressed_margins(books: LinearBooks, days_ns: IntArray, horizon: int = 1) -> FloatArray:
    """Return the largest loss of each book in March 2020 for each day after it: over the horizon, at the lows, rebounding.

    Parameters
    ----------
    days_ns : array of shape (n_days,)
        Ends of the days.
    horizon
        Days that a book is held.

    Returns
    -------
    array of shape (n_books, n_days)
        Per USD of size, at least 0; NaN until the crisis was over.
    """
    crisis = crisis_named(STRESS)
    over = np.datetime64(crisis.last, "D").astype(np.int64) + 1
    low, rebound = crisis.stresses(books.currencies)[-2:]
    held = crisis.stress(dict.fromkeys(books.currencies, horizon * _HOURS_PER_DAY))
    losses = [
        -(books.weights @ np.array([each.prices[coin] for coin in books.currencies])) for each in (held, low, rebound)
    ]
    largest = np.maximum(np.max(losses, axis=0), 0.0)
    return np.where(days_ns // NANOSECONDS_PER_DAY - 1 >= over, largest[:, None], math.nan)
