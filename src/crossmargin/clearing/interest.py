"""Interest on borrowed cash as a function of utilisation, with a kink."""

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.errors import InputError
from crossmargin.ledger.rounding import divide_up
from crossmargin.units import NANOSECONDS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCurve:
    """A kinked curve: annual rates, utilisation as a fraction (Derive v2 `InterestRateModel`)."""

    minimum: float
    multiplier: float
    high_multiplier: float
    optimal: float

    def __post_init__(self) -> None:
        if not 0.0 < self.optimal <= 1.0:
            raise InputError(f"optimal utilisation must be inside (0, 1], was {self.optimal}")
        if min(self.minimum, self.multiplier, self.high_multiplier) < 0.0:
            raise InputError("rates must not be negative")


def utilisation(supply: float, borrowed: float) -> float:
    """Return the share of `supply` that is lent out; 0 without supply."""
    return borrowed / supply if supply > 0.0 else 0.0


def borrow_rate(curve: RateCurve, used: float) -> float:
    """Return the annual, continuously compounded rate at utilisation `used`.

    Examples
    --------
    >>> curve = RateCurve(minimum=0.05, multiplier=0.3, high_multiplier=2.0, optimal=0.6)
    >>> round(borrow_rate(curve, 0.5), 12), round(borrow_rate(curve, 0.7), 12)
    (0.2, 0.43)
    """
    below = min(used, curve.optimal)
    return curve.minimum + curve.multiplier * below + curve.high_multiplier * (used - below)


def interest_charge(owed: int, annual_rate: Decimal, elapsed_ns: int) -> int:
    """Return simple interest on `owed` quanta over `elapsed_ns` in whole quanta, rounded up: money of record.

    Examples
    --------
    >>> interest_charge(1000, Decimal("0.05"), NANOSECONDS_PER_YEAR)
    50
    """
    numerator, denominator = annual_rate.as_integer_ratio()
    return divide_up(owed * numerator * elapsed_ns, denominator * NANOSECONDS_PER_YEAR)
