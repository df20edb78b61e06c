"""Checks before a trade on a cached account vector: the account's profit in every scenario, kept from the last fill.

A trade adds ``quantity * row`` to the vector, so a check touches one row and no position. The vector only screens: it
was added up in another order than the official figure, so within 1e-9 of the gross of its limit the decision is taken
on the canonical sum (`decide`). After a fill the engine rebuilds the vector canonically.

The checks are compiled functions: calling one costs some 0.3 us before it does anything, a batch pays that once.
"""

from collections.abc import Callable

import numpy as np

from crossmargin.compilation import kernel
from crossmargin.errors import InputError
from crossmargin.risk.kernels import add_and_least, add_positions, least_of_sum, tail_mean
from crossmargin.units import FloatArray, IntArray

DOUBT = 1e-9
"""Share of the gross within which a cached vector may not decide; rounding leaves it a millionth of that."""


def account_vector(rows: IntArray, quantities: FloatArray, pnl: FloatArray) -> FloatArray:
    """Return the canonical profit of an account per scenario: its positions added in their order.

    Examples
    --------
    >>> account_vector(np.array([0, 1]), np.array([2.0, -1.0]), np.array([[1.0, -1.0], [0.5, 0.5]])).tolist()
    [1.5, -2.5]
    """
    if rows.shape != quantities.shape:
        raise InputError(f"rows and quantities must have one shape, were {rows.shape} and {quantities.shape}")
    vector = np.empty(pnl.shape[1])
    add_positions(rows, quantities, 0, rows.size, pnl, 0, pnl.shape[1], vector)
    return vector


@kernel
def worst_after_trade(vector: FloatArray, row: FloatArray, quantity: float) -> float:
    """Return the largest loss once `quantity` of the instrument of `row` is added; below 0 if every scenario gains."""
    return -least_of_sum(vector, quantity, row)


@kernel
def shortfall_after_trade(
    vector: FloatArray, row: FloatArray, quantity: float, tail: float, whole: int, normal: float, scratch: FloatArray
) -> float:
    """Return the expected shortfall once `quantity` of the instrument of `row` is added.

    `tail`, `whole` and `normal` come from `risk.kernels.tail_shape`; `scratch` has shape (2, n_scenarios).
    """
    smallest = add_and_least(vector, quantity, row, scratch[0])
    return -tail_mean(scratch[0], smallest, tail, whole, normal, scratch[1])


@kernel
def add_trade(vector: FloatArray, row: FloatArray, quantity: float) -> None:
    """Add `quantity` of the instrument of `row` to a cached vector, in place."""
    for s in range(vector.size):
        vector[s] = vector[s] + quantity * row[s]


@kernel
def worst_after_trades(
    vectors: FloatArray, pnl: FloatArray, accounts: IntArray, rows: IntArray, quantities: FloatArray, out: FloatArray
) -> None:
    """Write the largest loss of each candidate trade alone: ``accounts[i]`` adds ``quantities[i]`` of ``rows[i]``."""
    for i in range(accounts.size):
        out[i] = -least_of_sum(vectors[accounts[i]], quantities[i], pnl[rows[i]])


def decide(cached: float, limit: float, gross: float, canonical: Callable[[], float]) -> bool:
    """Return whether a measure is within its limit; near the limit `canonical` is asked for the official figure.

    Parameters
    ----------
    cached, limit
        Measure on the cached vector and what it may be at most, in USD.
    gross
        Sum of ``|quantity| * max |profit|`` over positions, USD: the scale of rounding.

    Examples
    --------
    >>> decide(100.0, 100.0 + 1e-12, 5_000.0, lambda: 100.0 + 2e-12)
    False
    """
    if abs(cached - limit) > DOUBT * gross:
        return cached <= limit
    return canonical() <= limit
