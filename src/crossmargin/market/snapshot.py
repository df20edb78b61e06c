"""The market at one moment, as calculations see it."""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from crossmargin.errors import InputError, MarketDataError
from crossmargin.instruments.contracts import Asset, Future, Instrument, Option, Perpetual, Spot
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.history import PriceHistory
from crossmargin.market.vol_surface import VolSurface
from crossmargin.units import USD, Currency, InstrumentId


class Quality(enum.Enum):
    """How far a price may be trusted."""

    GOOD = "good"
    STALE = "stale"
    """Older than its maximum age."""
    BOUND = "bound"
    """Held at a limit by its source."""
    MISSING = "missing"
    """Not quoted; the value is the last known one."""


@dataclass(frozen=True, slots=True)
class Price:
    """A positive number with its quality and the time at which it was observed."""

    value: float
    quality: Quality = Quality.GOOD
    time_ns: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value >= 0.0):
            raise MarketDataError(f"a price must be finite and not negative, was {self.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was wrong with a quote, and what was done about it."""

    subject: str
    rule: str
    found: str
    treatment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSnapshot:
    """Index, marks, forwards, vols, funding and open interest at `time_ns`.

    Attributes
    ----------
    index
        USD per coin, for every currency that a book may hold; USD itself is always 1.
    marks
        Perpetuals, futures and spot in quote currency per coin; options in settlement currency per coin of underlying.
    forwards, surfaces
        By underlying.
    funding_rate_8h
        Fraction of notional that longs pay shorts per 8 hours.
    open_interest
        Contracts.
    delivery_averages
        USD per coin: the running average of the index since the window opened in which a delivery price is fixed.
    history
        Past prices up to `time_ns`, for methods that draw scenarios from them.
    findings
        What was missing, stale or repaired on the way in.
    """

    time_ns: int
    index: Mapping[Currency, Price]
    marks: Mapping[InstrumentId, Price] = field(default_factory=dict)
    forwards: Mapping[Currency, ForwardCurve] = field(default_factory=dict)
    surfaces: Mapping[Currency, VolSurface] = field(default_factory=dict)
    funding_rate_8h: Mapping[InstrumentId, float] = field(default_factory=dict)
    open_interest: Mapping[InstrumentId, float] = field(default_factory=dict)
    delivery_averages: Mapping[Currency, float] = field(default_factory=dict)
    history: PriceHistory | None = None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if self.history is not None and self.history.times_ns.size and self.history.times_ns[-1] > self.time_ns:
            raise MarketDataError(
                f"a snapshot's history must end by its time {self.time_ns} ns, ended {self.history.times_ns[-1]} ns"
            )
        for currency, price in self.index.items():
            if price.value <= 0.0:
                raise MarketDataError(f"an index price must be positive, was {price.value} for {currency}")
        for currency, average in self.delivery_averages.items():
            if not (math.isfinite(average) and average > 0.0):
                raise MarketDataError(f"a delivery average must be finite and positive, was {average} for {currency}")

    def index_price(self, currency: Currency) -> float:
        """Return USD per coin of `currency`.

        Raises
        ------
        MarketDataError
            If the snapshot has no good price for it.
        """
        if currency == USD:
            return 1.0
        return _good(self.index.get(currency), "index price", currency, self.time_ns)

    def history_for(self, what: str) -> PriceHistory:
        """Return the price history, which `what` cannot do without.

        Raises
        ------
        InputError
            If the snapshot carries none.
        """
        if self.history is None:
            raise InputError(f"{what} needs a price history in the market snapshot, found none")
        return self.history

    def delivery_average(self, currency: Currency) -> float:
        """Return the running average of the index towards a delivery; the index price where none is known."""
        average = self.delivery_averages.get(currency)
        return self.index_price(currency) if average is None else average

    def mark_price(self, instrument: Instrument) -> float:
        """Return the mark: quote currency per coin, or settlement currency per coin for an option.

        A spot pair without a mark of its own is marked at the ratio of the two index prices; a future without one, at
        its forward; a perpetual, at the index. An option must have its own mark.
        """
        price = self.marks.get(instrument.id)
        if price is not None:
            return _good(price, "mark price", instrument.id, self.time_ns)
        match instrument:
            case Asset():
                return self.index_price(instrument.currency)
            case Spot() | Perpetual():
                return self.index_price(instrument.base) / self.index_price(instrument.quote)
            case Future():
                return self.forward(instrument.base, instrument.expiry_ns) / self.index_price(instrument.quote)
            case Option():
                return _good(None, "mark price", instrument.id, self.time_ns)

    def forward(self, underlying: Currency, expiry_ns: int) -> float:
        """Return the USD forward of `underlying` at `expiry_ns`; the index price where no curve is known."""
        curve = self.forwards.get(underlying)
        return self.index_price(underlying) if curve is None else curve.forward(expiry_ns)

    def vol(self, option: Option) -> float:
        """Return the annual implied vol of `option`.

        Raises
        ------
        MarketDataError
            If there is no vol surface for its underlying.
        """
        surface = self.surfaces.get(option.underlying)
        if surface is None:
            raise MarketDataError(f"no vol surface for {option.underlying} at {self.time_ns} ns, needed by {option.id}")
        return surface.vol(option.expiry_ns, option.strike_float, self.forward(option.underlying, option.expiry_ns))


def _good(price: Price | None, kind: str, of: str, time_ns: int) -> float:
    if price is None:
        raise MarketDataError(f"no {kind} for {of} at {time_ns} ns")
    if price.quality is not Quality.GOOD:
        raise MarketDataError(f"{kind} for {of} must be good, was {price.quality.value} at {time_ns} ns")
    return price.value
