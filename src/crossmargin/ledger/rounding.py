"""Whole numbers of quanta, and the rules by which a fraction of one is rounded.

Inside the ledger an amount is an `int` of quanta; at its border it is a `Decimal` and on disk text. A fraction that is
rounded away never disappears: `Ledger` books it on the rounding account.
"""

import enum
from decimal import Decimal

from crossmargin.errors import InputError


class Rounding(enum.Enum):
    """How an exact fraction becomes a whole number of quanta; every entry of the ledger names one."""

    EXACT = "exact"
    """The amounts are whole already."""
    TO_THE_HOUSE = "to the house"
    """Toward minus infinity for whoever is paid: a credit shrinks, a debit grows."""
    NEAREST = "nearest"
    """Half to even; symmetric, so that both sides of a trade book the same size."""


def divide_nearest(numerator: int, denominator: int) -> int:
    """Return the nearest whole number to a fraction, half to even.

    Examples
    --------
    >>> [divide_nearest(n, 2) for n in (1, 3, -1, -3)]
    [0, 2, 0, -2]
    """
    if denominator <= 0:
        raise InputError(f"a denominator must be positive, was {denominator}")
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def divide_up(numerator: int, denominator: int) -> int:
    """Return the smallest whole number that is not below a fraction.

    Examples
    --------
    >>> [divide_up(n, 2) for n in (1, 2, -1)]
    [1, 1, 0]
    """
    return -(-numerator // denominator)


def to_quanta(amount: Decimal, quantum: Decimal) -> int:
    """Return `amount` as a whole number of `quantum`.

    Raises
    ------
    InputError
        If it is not finite or not a whole number of quanta.

    Examples
    --------
    >>> to_quanta(Decimal("1.50"), Decimal("0.01"))
    150
    """
    if not amount.is_finite():
        raise InputError(f"an amount must be finite, was {amount}")
    a, b = amount.as_integer_ratio()
    c, d = quantum.as_integer_ratio()
    whole, rest = divmod(a * d, b * c)
    if rest:
        raise InputError(f"an amount must be a whole number of {quantum}, was {amount}")
    return whole


def from_quanta(quanta: int, quantum: Decimal) -> Decimal:
    """Return an exact amount in units of the asset.

    Examples
    --------
    >>> from_quanta(150, Decimal("0.01"))
    Decimal('1.50')
    """
    # built from digits: an int times a Decimal would round at the precision of the caller's context
    _, digits, exponent = quantum.as_tuple()
    factor = int("".join(map(str, digits)))
    product = quanta * factor
    return Decimal((int(product < 0), tuple(map(int, str(abs(product)))), int(exponent)))


def share_out(total: int, weights: list[int]) -> list[int]:
    """Return whole parts of `total` in proportion to `weights`, adding up to it: the largest remainders round up.

    Of equal remainders the earlier one wins. All weights zero share nothing.

    Raises
    ------
    InputError
        If `total` or a weight is negative.

    Examples
    --------
    >>> share_out(10, [1, 1, 1])
    [4, 3, 3]
    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise InputError(f"a total and its weights must not be negative, were {total} and {min(weights, default=0)}")
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for place in order[: total - sum(parts)]:
        parts[place] += 1
    return parts
