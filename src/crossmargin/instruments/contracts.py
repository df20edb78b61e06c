"""The kinds of thing a book can hold, as frozen records that refuse to be nonsense.

An `Instrument` is one of five kinds; a calculation that must tell them apart uses `match` closed with `assert_never`.
Contract terms are exact (`Decimal`); calculations take them as floats through `contract_size_float` and `strike_float`.
"""

import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from crossmargin.errors import InputError
from crossmargin.units import USD, Currency, InstrumentId, Venue


class Payoff(enum.Enum):
    """How a contract turns a price into money."""

    LINEAR = "linear"
    """Settled in the quote currency: ``size * price`` of it."""
    INVERSE = "inverse"
    """Settled in the base coin: a future pays ``size / price``; an option pays its USD payoff divided by the price."""
    QUANTO = "quanto"
    """Settled in a third currency: ``size * price`` of that currency, whatever it is worth."""


class OptionType(enum.Enum):
    """Right to buy or right to sell."""

    CALL = "C"
    PUT = "P"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A currency held as a balance: BTC, USDC, USD. Its id is its ticker."""

    currency: Currency

    @property
    def id(self) -> InstrumentId:
        """The ticker itself; it can never equal the id of a contract, which holds a colon."""
        return InstrumentId(self.currency)

    @property
    def underlying(self) -> Currency:
        """The currency whose price moves this."""
        return self.currency

    @property
    def settle(self) -> Currency:
        """The currency in which its value is counted."""
        return self.currency


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contract:
    """What spot pairs, perpetuals, futures and options share.

    Attributes
    ----------
    contract_size
        Base coins per contract; for inverse perpetuals and futures, quote currency per contract (Deribit: 10 USD);
        for quanto contracts, settlement currency per contract and unit of price.
    tick_size, lot_size
        Smallest step of price (quote currency; for inverse options base coin) and of quantity (contracts).
    """

    id: InstrumentId
    venue: Venue
    base: Currency
    quote: Currency
    settle: Currency
    contract_size: Decimal = Decimal(1)
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("contract_size", "tick_size", "lot_size"):
            value = getattr(self, name)
            if value is not None and not (value.is_finite() and value > 0):
                raise InputError(f"{name} must be positive, was {value} for {self.id}")

    @property
    def underlying(self) -> Currency:
        """The coin whose price moves the contract."""
        return self.base

    @property
    def payoff(self) -> Payoff:
        """Linear, inverse or quanto, read from the currencies; USD quotes settled in a dollar coin are linear."""
        if self.settle == self.quote or (self.quote == USD and self.settle in DOLLAR_COINS):
            return Payoff.LINEAR
        return Payoff.INVERSE if self.settle == self.base else Payoff.QUANTO

    @property
    def contract_size_float(self) -> float:
        """The contract size for calculations."""
        return float(self.contract_size)


DOLLAR_COINS = frozenset(Currency(name) for name in ("USD", "USDC", "USDT", "FDUSD", "USDE", "BUSD", "DAI"))
"""Coins meant to be worth a dollar; a contract quoted in USD and settled in one of them is linear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot(_Contract):
    """A spot pair. A position in it is so many coins of the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perpetual(_Contract):
    """A perpetual swap, marked to market and paid funding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Future(_Contract):
    """A dated future, marked to market until `expiry_ns`."""

    expiry_ns: int


LARGEST_STRIKE = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(_Contract):
    """A European option on the price of the base at `expiry_ns`, paid for when bought."""

    expiry_ns: int
    strike: Decimal
    option_type: OptionType

    def __post_init__(self) -> None:
        # a slotted dataclass is a new class, so the zero-argument super() would miss
        _Contract.__post_init__(self)
        if not (self.strike.is_finite() and 0 < self.strike < LARGEST_STRIKE):
            raise InputError(f"strike must be positive and below {LARGEST_STRIKE:g}, was {self.strike} for {self.id}")

    @property
    def strike_float(self) -> float:
        """The strike for calculations, in quote currency."""
        return float(self.strike)

    @property
    def is_call(self) -> bool:
        """Whether it is the right to buy."""
        return self.option_type is OptionType.CALL


Contract: TypeAlias = Spot | Perpetual | Future | Option
Instrument: TypeAlias = Asset | Contract
