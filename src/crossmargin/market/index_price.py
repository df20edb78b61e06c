"""Index price from several sources: outliers and stale sources out, the trimmed median of the rest."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from crossmargin.errors import InputError
from crossmargin.market.snapshot import Finding, Price, Quality
from crossmargin.units import NANOSECONDS_PER_SECOND

Number = TypeVar("Number", float, Decimal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one venue says; the price may be anything, for a broken venue says anything."""

    name: str
    price: float
    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRules:
    """How sources make an index.

    Attributes
    ----------
    max_age_ns
        Older sources are left out, as are ones from the future.
    max_deviation
        A source further than this fraction from the median of all fresh sources is left out.
    least_sources
        With fewer left the index is `Quality.BOUND`, not good.
    """

    max_age_ns: int = 10 * NANOSECONDS_PER_SECOND
    max_deviation: float = 0.02
    least_sources: int = 3

    def __post_init__(self) -> None:
        if self.max_age_ns < 0 or not self.max_deviation > 0.0 or self.least_sources < 1:
            raise InputError(
                "index rules need max_age_ns >= 0, max_deviation > 0, least_sources >= 1, "
                f"were {self.max_age_ns}, {self.max_deviation}, {self.least_sources}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPrice:
    """The index, None without any source, with the sources used and the share of all that they are."""

    price: Price | None
    used: tuple[str, ...]
    confidence: float
    findings: tuple[Finding, ...]


def index_price(sources: Sequence[Source], time_ns: int, rules: IndexRules | None = None) -> IndexPrice:
    """Return the median of the sources that are fresh and near the others.

    The median of n positive prices lies between the least and the greatest honest one as long as fewer than half are
    dishonest: up to ``floor((n - 1) / 2)`` arbitrary sources cannot move the index outside the honest envelope, n being
    the sources that are fresh and positive. What is far from the median is left out of what counts as used, and so of
    the confidence; the value stays between the two middle sources, which no minority can push out.

    Examples
    --------
    >>> said = [Source(name=name, price=price, time_ns=0) for name, price in [("a", 100.0), ("b", 101.0), ("c", 1e9)]]
    >>> index_price(said, 0, IndexRules(least_sources=2)).price.value
    101.0
    """
    rules = rules or IndexRules()
    names = [source.name for source in sources]
    if len(set(names)) != len(names):
        raise InputError(f"a source counts once in an index, had {', '.join(names)}")
    findings, fresh = [], []
    for source in sources:
        doubt = _doubt(source, time_ns, rules)
        if doubt is None:
            fresh.append(source)
        else:
            findings.append(Finding(subject=source.name, rule=doubt[0], found=doubt[1], treatment="left out"))
    if not fresh:
        return IndexPrice(price=None, used=(), confidence=0.0, findings=tuple(findings))
    prices = [source.price for source in fresh]
    value, used = trimmed_median(prices, rules.max_deviation)
    near = [fresh[place] for place in used]
    middle = statistics.median_low(prices)
    for place, source in enumerate(fresh):
        if place not in used:
            found = f"{source.price:g} against the median {middle:g}"
            findings.append(Finding(subject=source.name, rule="outlier", found=found, treatment="left out"))
    quality = Quality.GOOD if len(near) >= rules.least_sources else Quality.BOUND
    return IndexPrice(
        price=Price(value, quality, max(source.time_ns for source in near)),
        used=tuple(source.name for source in near),
        confidence=len(near) / len(sources),
        findings=tuple(findings),
    )


def trimmed_median(prices: Sequence[Number], max_deviation: Number) -> tuple[Number, list[int]]:
    """Return the index that positive prices make, and the places of those within `max_deviation` of their low median.

    It is the median of those that are near and between the two middle prices of all, which no minority can push out.

    Examples
    --------
    >>> trimmed_median([Decimal(100), Decimal(101), Decimal(30)], Decimal("0.1"))
    (Decimal('100'), [0, 1])
    """
    middle = statistics.median_low(prices)
    near = [place for place, price in enumerate(prices) if abs(price / middle - 1) <= max_deviation]
    ordered, faulty = sorted(prices), (len(prices) - 1) // 2
    low, high = ordered[faulty], ordered[len(prices) - 1 - faulty]
    return statistics.median(prices[place] for place in near if low <= prices[place] <= high), near


def _doubt(source: Source, time_ns: int, rules: IndexRules) -> tuple[str, str] | None:
    if not (math.isfinite(source.price) and source.price > 0.0):
        return "impossible", f"{source.price}"
    age = time_ns - source.time_ns
    if not 0 <= age <= rules.max_age_ns:
        return "stale", f"{age / NANOSECONDS_PER_SECOND:g} s old"
    return None
