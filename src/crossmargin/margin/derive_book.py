"""What Derive's three rulebooks read of an account: options by expiry, perpetual, cash and collateral.

Black-76 on the forward, discounted where the rulebook discounts; in the last half hour the forward is partly fixed by
the settlement average, and only the variable part moves.
"""

import math
from dataclasses import dataclass

import numpy as np

from crossmargin.compilation import kernel
from crossmargin.elementary import logarithm, power
from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS, Option, Payoff, Perpetual
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.kernels import NO_DEVIATION, call_price
from crossmargin.units import NANOSECONDS_PER_SECOND, Currency, FloatArray, InstrumentId

SECONDS_PER_YEAR = 365 * 86_400.0
SETTLEMENT_SECONDS = 1_800.0
"""Over which the settlement price is averaged."""
THIRTY_DAYS = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """The options of one expiry as arrays; `fixed` and `variable` add up to the forward."""

    seconds: float
    fixed: float
    variable: float
    rate: float
    confidence: float
    strikes: FloatArray
    signs: FloatArray
    """+1 a call, -1 a put."""
    quantities: FloatArray
    """Coins, signed."""
    vols: FloatArray

    @property
    def years(self) -> float:
        """Time left, never negative."""
        return max(self.seconds, 0.0) / SECONDS_PER_YEAR

    @property
    def forward(self) -> float:
        """The forward price."""
        return self.fixed + self.variable


def expiry_of(
    seconds: float,
    forward: float,
    options: list[tuple[float, bool, float, float]],
    *,
    rate: float = 0.0,
    confidence: float = 1.0,
    fixed: float | None = None,
) -> Expiry:
    """Return an expiry from ``(strike, is call, quantity, vol)``; without `fixed`, that part follows the clock."""
    if fixed is None:
        fixed = forward * max(0.0, 1.0 - max(seconds, 0.0) / SETTLEMENT_SECONDS)
    return Expiry(
        seconds=seconds,
        fixed=fixed,
        variable=forward - fixed,
        rate=rate,
        confidence=confidence,
        strikes=np.array([option[0] for option in options], dtype=np.float64),
        signs=np.array([1.0 if option[1] else -1.0 for option in options], dtype=np.float64),
        quantities=np.array([option[2] for option in options], dtype=np.float64),
        vols=np.array([option[3] for option in options], dtype=np.float64),
    )


def option_values(expiry: Expiry, forwards: FloatArray, vols: FloatArray, discount: float) -> FloatArray:
    """Return the value of the expiry's options for each forward of shape (s,), at `vols` of shape (s, n_options)."""
    out = np.empty(len(forwards))
    _option_values(forwards, vols, expiry.strikes, expiry.signs, expiry.quantities, expiry.years, discount, out)
    return out


def unit_values(expiry: Expiry) -> FloatArray:
    """Return what one coin of each option is worth at the expiry's forward and vols, undiscounted."""
    out = np.empty(len(expiry.strikes))
    _unit_values(expiry.forward, expiry.vols, expiry.strikes, expiry.signs, expiry.years, out)
    return out


@kernel
def _unit_value(forward: float, strike: float, sign: float, deviation: float) -> float:
    if strike <= 0.0 or forward <= 0.0:
        return max(sign * (forward - strike), 0.0)
    m = forward / strike
    inverse = 1.0 / deviation if deviation > 0.0 else NO_DEVIATION
    call = call_price(logarithm(m), 0.5 * deviation, inverse, m)
    return strike * (call if sign > 0.0 else call - (m - 1.0))


@kernel
def _unit_values(
    forward: float, vols: FloatArray, strikes: FloatArray, signs: FloatArray, years: float, out: FloatArray
) -> None:
    root = math.sqrt(years)
    for i in range(strikes.shape[0]):
        out[i] = _unit_value(forward, strikes[i], signs[i], vols[i] * root)


@kernel
def _option_values(
    forwards: FloatArray,
    vols: FloatArray,
    strikes: FloatArray,
    signs: FloatArray,
    quantities: FloatArray,
    years: float,
    discount: float,
    out: FloatArray,
) -> None:
    root = math.sqrt(years)
    for s in range(forwards.shape[0]):
        total = 0.0
        for i in range(strikes.shape[0]):
            total += quantities[i] * _unit_value(forwards[s], strikes[i], signs[i], vols[s, i] * root)
        out[s] = total * discount


def naked_shorts(expiry: Expiry) -> float:
    """Return the coins of short options that no long option of the same strike covers."""
    at_strike: dict[float, float] = {}
    for strike, quantity in zip(expiry.strikes.tolist(), expiry.quantities.tolist(), strict=True):
        at_strike[strike] = at_strike.get(strike, 0.0) + quantity
    return sum(max(-net, 0.0) for net in at_strike.values())


def vol_factors(
    seconds: float, *, up: float, down: float, short_power: float, long_power: float, floor_seconds: float
) -> tuple[float, float]:
    """Return the factors of an up and a down shock: stronger the nearer the expiry, by a power law around 30 days."""
    time = max(seconds, floor_seconds)
    scale = power(THIRTY_DAYS / time, short_power if seconds <= THIRTY_DAYS else long_power)
    return 1.0 + up * scale, max(0.0, 1.0 - down * scale)


def confidence_charge(confidence: float, notional: float, *, threshold: float, factor: float) -> float:
    """Return the charge on `notional` where the oracle trusts its own price less than `threshold`."""
    return (1.0 - confidence) * factor * notional if confidence < threshold else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveHolding:
    """Everything of one underlying: options, perpetual and its unrealised profit."""

    underlying: Currency
    expiries: tuple[Expiry, ...]
    perpetuals: float
    perpetual_price: float
    perpetual_profit: float


def holdings(portfolio: Portfolio, market: MarketSnapshot, *, rate: float, rulebook: str) -> tuple[DeriveHolding, ...]:
    """Return what the account holds, underlying by underlying; lots of one contract are added up first.

    Raises
    ------
    InputError
        If it holds anything but linear perpetuals and linear options.
    """
    quantities: dict[InstrumentId, float] = {}
    contracts: dict[InstrumentId, Option | Perpetual] = {}
    profits: dict[Currency, float] = {}
    for position in portfolio.positions:
        contract = position.instrument
        if not isinstance(contract, Option | Perpetual) or contract.payoff is not Payoff.LINEAR:
            raise InputError(f"{rulebook} margins linear options and perpetuals only, was given {contract.id}")
        size = contract.contract_size_float * position.quantity
        contracts[contract.id] = contract
        quantities[contract.id] = quantities.get(contract.id, 0.0) + size
        if isinstance(contract, Perpetual) and position.entry_price is not None:
            gain = size * (market.mark_price(contract) - position.entry_price)
            profits[contract.underlying] = profits.get(contract.underlying, 0.0) + gain
    names = sorted({contract.underlying for contract in contracts.values()})
    return tuple(
        _holding(
            name,
            [(contracts[key], quantities[key]) for key in sorted(contracts) if contracts[key].underlying == name],
            profits.get(name, 0.0),
            market,
            rate,
        )
        for name in names
    )


def _holding(
    underlying: Currency,
    held: list[tuple[Option | Perpetual, float]],
    profit: float,
    market: MarketSnapshot,
    rate: float,
) -> DeriveHolding:
    options: dict[int, list[tuple[float, bool, float, float]]] = {}
    perpetuals, price = 0.0, market.index_price(underlying)
    for contract, quantity in held:
        if isinstance(contract, Option):
            # what is closed must leave nothing behind, not even its expiry's confidence
            if quantity != 0.0:
                options.setdefault(contract.expiry_ns, []).append(
                    (contract.strike_float, contract.is_call, quantity, market.vol(contract))
                )
        else:
            perpetuals += quantity
            price = market.mark_price(contract)
    return DeriveHolding(
        underlying=underlying,
        expiries=tuple(
            expiry_of(
                (expiry_ns - market.time_ns) / NANOSECONDS_PER_SECOND,
                market.forward(underlying, expiry_ns),
                options[expiry_ns],
                rate=rate,
            )
            for expiry_ns in sorted(options)
        ),
        perpetuals=perpetuals,
        perpetual_price=price,
        perpetual_profit=profit,
    )


def split_balances(portfolio: Portfolio) -> tuple[float, dict[Currency, float]]:
    """Return cash (USD and USDC together) and the other balances, in coins."""
    cash, others = 0.0, dict[Currency, float]()
    for balance in portfolio.balances:
        if balance.currency in CASH:
            cash += balance.amount
        elif balance.amount:
            others[balance.currency] = others.get(balance.currency, 0.0) + balance.amount
    for currency, amount in others.items():
        if amount < 0.0:
            raise InputError(f"Derive lends cash only, so {currency} must not be negative, was {amount:g}")
    return cash, others


CASH = frozenset(coin for coin in DOLLAR_COINS if coin in ("USD", "USDC"))
"""What counts as the venue's cash."""
