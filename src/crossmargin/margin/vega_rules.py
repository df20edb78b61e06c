"""Arithmetic of Vega's margin: maintenance from slippage and risk factor, and the levels above it.

vegaprotocol/specs 0019-MCAL (commit 5fea1f3e), vegaprotocol/vega (commit a50750cc).
"""

from dataclasses import dataclass
from fractions import Fraction

from crossmargin.errors import InputError


def maintenance_margin(
    size: float, mark: float, slippage_rate: float, risk_factor: float, funding: float = 0.0
) -> float:
    """Return ``|size| mark (slippage_rate + risk_factor)`` and what funding adds.

    Examples
    --------
    >>> maintenance_margin(-1.0, 15_900.0, 0.25, 0.1)
    5565.0
    """
    return abs(size) * mark * slippage_rate + abs(size) * mark * risk_factor + funding


def funding_add_on(payment: float, factor: float, *, is_long: bool) -> float:
    """Return ``factor`` of the funding that a side is about to pay per unit; a positive payment is paid by longs.

    Examples
    --------
    >>> funding_add_on(-20.0, 0.5, is_long=False)
    10.0
    """
    return factor * max(payment if is_long else -payment, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLevels:
    """Levels of an account in its asset's units; below maintenance it is closed out, below search it is topped up."""

    maintenance: int
    search: int
    initial: int
    release: int


def margin_levels(maintenance: int, *, search: Fraction, initial: Fraction, release: Fraction) -> MarginLevels:
    """Return the levels as multiples of maintenance, rounded down to whole units.

    Raises
    ------
    InputError
        Unless ``1 < search < initial < release``.

    Examples
    --------
    >>> margin_levels(41_842_481, search=Fraction(16, 5), initial=Fraction(4), release=Fraction(5)).search
    133895939
    """
    if not 1 < search < initial < release:
        raise InputError(f"scaling must satisfy 1 < search < initial < release, was {search}, {initial}, {release}")
    return MarginLevels(
        maintenance=maintenance,
        search=int(maintenance * search),
        initial=int(maintenance * initial),
        release=int(maintenance * release),
    )
