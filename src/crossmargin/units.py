"""Words for ids and units, and the one border between exact money and float analytics.

Money of record is `Decimal`; analytics are `float64`. They cross here only: a requirement is rounded up, a credit is
rounded down, so that no rounding ever favours the account.
"""

import decimal
import math
from decimal import Decimal
from typing import NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.errors import InputError

AccountId = NewType("AccountId", str)
Currency = NewType("Currency", str)
InstrumentId = NewType("InstrumentId", str)
Venue = NewType("Venue", str)

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

USD = Currency("USD")
"""The numeraire: every analytic amount is in it unless its name says otherwise."""

LARGEST_NUMBER = 1e15
"""No price, quantity or parameter is larger; beyond it products of them lose their meaning, then overflow."""
SMALLEST_PRICE = 1e-18
"""No coin trades below it; what divides by less overflows."""

NANOSECONDS_PER_SECOND = 1_000_000_000
NANOSECONDS_PER_DAY = 86_400 * NANOSECONDS_PER_SECOND
DAYS_PER_YEAR = 365.0
NANOSECONDS_PER_YEAR = 365 * NANOSECONDS_PER_DAY

MONEY = decimal.Context(prec=60, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.DivisionByZero])
"""Arithmetic of record: ample, and any loss of a digit is an error."""

_ROUNDING = decimal.Context(prec=60, traps=[decimal.InvalidOperation, decimal.DivisionByZero])


def years_between(start_ns: int, end_ns: int) -> float:
    """Return the years of 365 days from `start_ns` to `end_ns`, negative when `end_ns` is earlier.

    Examples
    --------
    >>> years_between(0, 73 * NANOSECONDS_PER_DAY)
    0.2
    """
    return (end_ns - start_ns) / NANOSECONDS_PER_YEAR


def requirement_to_money(amount: float, quantum: Decimal) -> Decimal:
    """Return `amount` as exact money, rounded up to a whole number of `quantum`.

    Raises
    ------
    InputError
        If `amount` is not finite.

    Examples
    --------
    >>> requirement_to_money(10.001, Decimal("0.01"))
    Decimal('10.01')
    """
    return _quantize(amount, quantum, decimal.ROUND_CEILING)


def credit_to_money(amount: float, quantum: Decimal) -> Decimal:
    """Return `amount` as exact money, rounded down to a whole number of `quantum`.

    Raises
    ------
    InputError
        If `amount` is not finite.

    Examples
    --------
    >>> credit_to_money(10.009, Decimal("0.01"))
    Decimal('10.00')
    """
    return _quantize(amount, quantum, decimal.ROUND_FLOOR)


def _quantize(amount: float, quantum: Decimal, rounding: str) -> Decimal:
    if not math.isfinite(amount):
        raise InputError(f"an amount of money must be finite, was {amount}")
    return Decimal(amount).quantize(quantum, rounding=rounding, context=_ROUNDING)
