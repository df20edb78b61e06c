"""How much of a position is closed at a time."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from crossmargin.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class DisposalTerms:
    """How a network gets rid of what it has taken over, one trade per time step."""

    fraction: Fraction
    """Of what is left, per step."""
    full_size: int
    """A remainder no larger is sold at once."""
    book_fraction: Fraction
    """Most of the book's volume that one trade may take."""

    def __post_init__(self) -> None:
        if not (0 < self.fraction <= 1 and 0 < self.book_fraction <= 1):
            raise InputError("disposal fractions must be inside (0, 1]")


def disposal_size(terms: DisposalTerms, position: int, book_volume: int) -> int:
    """Return the size of the next trade against a position; 0 where the book holds too little.

    Vega network disposal (vegaprotocol/specs 0012-POSR, commit 5fea1f3e).

    Examples
    --------
    >>> terms = DisposalTerms(fraction=Fraction(1, 2), full_size=50, book_fraction=Fraction(1, 100))
    >>> disposal_size(terms, 280, 10_000)
    100
    """
    size = abs(position)
    wanted = size if size <= terms.full_size else int(size * terms.fraction)
    return min(wanted, int(terms.book_fraction * book_volume))


def disposal_sizes(terms: DisposalTerms, position: int, book_volume: int) -> Iterator[int]:
    """Yield the trades that dispose of a position in an unchanging book; ends where no more can be sold."""
    left = abs(position)
    while left > 0:
        size = disposal_size(terms, left, book_volume)
        if size == 0:
            return
        yield size
        left -= size


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A candidate share to close: what margin and equity would be after it."""

    share: float
    maintenance: float
    penalty: float
    equity: float


def stepped_share(
    equity: float, maintenance: float, *, fee: float, target: float = 0.9, steps: int = 5
) -> tuple[Step, ...]:
    """Return the steps tried, the last of which is the smallest that brings margin usage below `target`, or is all.

    Every position is cut by the same share; the penalty is ``share * fee * maintenance``. Paradex
    (tradeparadex/paradex-docs, commit 9b82a75a).

    Examples
    --------
    >>> [step.share for step in stepped_share(80.0, 88.8, fee=0.5)]
    [0.2, 0.4]
    """
    if steps < 1 or maintenance < 0.0:
        raise InputError("liquidation must have a step and a requirement that is not negative")
    tried = []
    for number in range(1, steps + 1):
        share = number / steps
        penalty = share * fee * maintenance
        tried.append(
            Step(share=share, maintenance=maintenance * (1.0 - share), penalty=penalty, equity=equity - penalty)
        )
        if tried[-1].maintenance < target * tried[-1].equity:
            break
    return tuple(tried)


PRICE_UNIT = 10**6
RATIO_UNIT = 10**4
FEE_UNIT = 10**6
BASE_PER_QUOTE = 10**3
"""Drift's fixed points: prices, quote and fees 1e-6, margin ratios 1e-4, base 1e-9."""


def base_to_cover(
    shortage: int, *, price: int, quote_price: int, margin_ratio: int, liquidator_fee: int, insurance_fee: int
) -> int | None:
    """Return the base quanta whose closing frees `shortage` quote quanta of margin; None where fees eat the release.

    ``shortage / (price * (ratio - liquidator fee - insurance fee))`` in integers, each step rounded down
    (drift-labs/protocol-v2, commit 0ae3e3b1).

    Examples
    --------
    >>> base_to_cover(10_000_000, price=100_000_000, quote_price=1_000_000, margin_ratio=1_000,
    ...               liquidator_fee=10_000, insurance_fee=10_000)
    1250000000
    """
    value = price * quote_price // PRICE_UNIT
    freed = value * margin_ratio // RATIO_UNIT
    released = freed - value * liquidator_fee // FEE_UNIT - value * insurance_fee // FEE_UNIT
    return shortage * BASE_PER_QUOTE * PRICE_UNIT // released if released > 0 else None


def slice_lots(held: int, share: float, depth: int | None) -> int:
    """Return the signed lots of the largest slice that brings a position nearer to zero: a share of it, within depth.

    Examples
    --------
    >>> slice_lots(10, 0.25, None), slice_lots(-10, 0.25, 2), slice_lots(1, 0.25, None)
    (-3, 2, -1)
    """
    size = max(math.ceil(share * abs(held)), 1)
    if depth is not None:
        size = min(size, depth)
    return -size if held > 0 else size


def fewest_lots(lots: int, suffices: Callable[[int], bool]) -> int:
    """Return the fewest lots, signed like `lots`, that suffice, or all of `lots` if they do not.

    What suffices must do so in any larger size, up to `lots`.

    Examples
    --------
    >>> fewest_lots(-10, lambda lots: lots <= -7), fewest_lots(10, lambda lots: False)
    (-7, 10)
    """
    if not suffices(lots):
        return lots
    sign = 1 if lots > 0 else -1
    low, high = 1, abs(lots)
    while low < high:
        middle = (low + high) // 2
        if suffices(sign * middle):
            high = middle
        else:
            low = middle + 1
    return sign * high


def shortfall_per_notional(lots: int, depth: int | None, *, half_spread: float, impact: float, most: float) -> float:
    """Return the expected cost of a slice per notional: half the spread, plus impact with the root of size over depth.

    Never more than `most`, the worst price that is accepted. Square-root impact: Almgren, Thum, Hauptmann, Li 2005,
    Direct estimation of equity market impact, Risk 18(7), 58-62, with the exponent 1/2 that is usual in practice.

    Examples
    --------
    >>> shortfall_per_notional(-25, 100, half_spread=0.0005, impact=0.1, most=1.0)
    0.0505
    """
    paid = impact * math.sqrt(abs(lots) / depth) if depth else 0.0
    return min(half_spread + paid, most)
