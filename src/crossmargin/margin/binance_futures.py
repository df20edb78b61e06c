"""`binance_futures`: USDT-margined futures of Binance, cross or isolated, with maintenance tiers by notional.

``maintenance = sum over positions of rate * notional - amount`` at the tier of each position's notional; ``initial =
notional / leverage``. Wallet and profit in USDT or USDC; nothing else is collateral outside multi-assets mode (Binance
support, "How to calculate liquidation price of USDS-M futures contracts", b3c689c1f50a44cabb3a84e663b81d93).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Future, Payoff, Perpetual
from crossmargin.margin.equity import cash_components
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.perpetual_units import worse_side
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


class NotionalTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rate and deductible of positions with a notional up to `up_to` USDT; None is without end."""

    rate: float
    amount: float
    max_leverage: float
    up_to: float | None = None


def tier_of(notional: float, tiers: Sequence[NotionalTier]) -> NotionalTier:
    """Return the tier that holds `notional`.

    Raises
    ------
    InputError
        If it lies above the last tier: the venue allows no such position.
    """
    for tier in tiers:
        if tier.up_to is None or notional <= tier.up_to:
            return tier
    raise InputError(f"a position may be at most {tiers[-1].up_to:,.0f} USDT, was {notional:,.0f}")


def maintenance_margin(notional: float, rate: float, amount: float) -> float:
    """Return ``notional * rate - amount``; `amount` makes the tiers join without a step.

    Examples
    --------
    >>> maintenance_margin(100_000.0, 0.005, 50.0)
    450.0
    """
    return notional * rate - amount


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPosition:
    """Another position that shares the wallet; size signed."""

    size: float
    entry: float
    mark: float
    rate: float
    amount: float

    @property
    def cushion(self) -> float:
        """Its profit less its maintenance margin."""
        return self.size * (self.mark - self.entry) - maintenance_margin(
            abs(self.size) * self.mark, self.rate, self.amount
        )


def cross_liquidation_price(
    *,
    wallet: float,
    side: int,
    size: float,
    entry: float,
    rate: float,
    amount: float,
    others: Sequence[OtherPosition] = (),
) -> float:
    """Return the mark at which a one-way position is liquidated, all other positions as they are.

    ``(wallet + cushion of the others + amount - side * size * entry) / (size * rate - side * size)``. Isolated is the
    case without others, on the position's own wallet.

    Parameters
    ----------
    side
        +1 long, -1 short; `size` is positive.

    Examples
    --------
    >>> round(
    ...     cross_liquidation_price(
    ...         wallet=1_535_443.01, side=1, size=3_683.979, entry=1_456.84, rate=0.1, amount=135_365.0
    ...     ),
    ...     2,
    ... )
    1114.78
    """
    if side not in (1, -1) or not size > 0.0:
        raise InputError(f"side must be 1 or -1 and size positive, were {side} and {size}")
    available = wallet + math.fsum(other.cushion for other in others) + amount
    return (available - side * size * entry) / (size * rate - side * size)


def isolated_liquidation_price(
    rule: Literal["binance", "gate", "okx", "bybit"],
    *,
    side: int,
    entry: float,
    amount: float,
    leverage: float,
    rate: float,
    deductible: float = 0.0,
    taker_fee: float = 0.0,
) -> float:
    """Return the liquidation price of an isolated linear position with ``entry * amount / leverage`` as its wallet.

    Binance as above; Gate and OKX ``(entry - side * wallet / amount) / (1 - side * (rate + fee))``; Bybit the
    bankruptcy price moved by ``entry * rate``.
    """
    wallet = amount * entry / leverage
    if rule == "binance":
        return cross_liquidation_price(wallet=wallet, side=side, size=amount, entry=entry, rate=rate, amount=deductible)
    if rule == "bybit":
        return entry - side * (entry / leverage - entry * rate)
    return (entry - side * wallet / amount) / (1.0 - side * (rate + taker_fee))


class BinanceFuturesParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tiers by base coin."""

    leverage: float
    """What the account has set; capped by each tier's own."""
    tiers: dict[str, tuple[NotionalTier, ...]]

    def __post_init__(self) -> None:
        if not self.leverage >= 1.0:
            raise InputError(f"leverage must be at least 1, was {self.leverage}")
        for coin, tiers in self.tiers.items():
            for low, high in itertools.pairwise(tiers):
                if low.up_to is None or (high.up_to is not None and high.up_to <= low.up_to) or high.rate < low.rate:
                    raise InputError(f"tiers must rise in notional and rate, did not for {coin}")


COLLATERAL = (Currency("USDT"), Currency("USDC"))


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: BinanceFuturesParameters
) -> Requirement:
    """Return the sum over positions of what each needs at its own tier; orders at the worse side of each contract.

    Raises
    ------
    InputError
        Naming the first instrument or balance that this account cannot hold.
    """
    _check(portfolio, parameters)
    initial, maintenance = tier_margins(portfolio, market, parameters.tiers, parameters.leverage)
    equity = cash_components(portfolio, market)
    needed = math.fsum(part.amount for part in maintenance)
    total = math.fsum(part.amount for part in equity)
    return Requirement.from_components(
        account=portfolio.account,
        method="binance_futures",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        measures={"margin_ratio_maint_over_equity": needed / total} if total > 0.0 else {},
    )


def tier_margins(
    portfolio: Portfolio, market: MarketSnapshot, by_coin: Mapping[str, Sequence[NotionalTier]], leverage: float
) -> tuple[list[Component], list[Component]]:
    """Return initial and maintenance margin of every contract held or ordered, each at its own tier.

    Raises
    ------
    InputError
        If a position lies above the last tier of its coin.
    """
    initial: list[Component] = []
    maintenance: list[Component] = []
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    contracts |= {order.instrument.id: order.instrument for order in portfolio.orders}
    held = net_quantities(portfolio.positions)
    for name, contract in sorted(contracts.items()):
        price = contract.contract_size_float * market.mark_price(contract) * market.index_price(contract.settle)
        tiers = by_coin[contract.base]
        notional = abs(held.get(name, 0.0)) * price
        tier = tier_of(notional, tiers)
        open_notional = worse_side(portfolio, name, held.get(name, 0.0)) * price
        ordered = tier_of(open_notional, tiers)
        initial.append(
            Component(
                name=name,
                amount=open_notional / min(leverage, ordered.max_leverage),
                reason="at the worse of all buys and all sells filled",
            )
        )
        maintenance.append(
            Component(
                name=name,
                amount=maintenance_margin(notional, tier.rate, tier.amount),
                reason=f"tier rate {tier.rate:.3%}",
            )
        )
    return initial, maintenance


def _check(portfolio: Portfolio, parameters: BinanceFuturesParameters) -> None:
    contracts = [position.instrument for position in portfolio.positions]
    contracts += [order.instrument for order in portfolio.orders]
    for contract in contracts:
        linear = isinstance(contract, Perpetual | Future) and contract.payoff is Payoff.LINEAR
        if not (linear and contract.settle in COLLATERAL):
            raise InputError(f"binance_futures margins linear futures and perpetuals only, was given {contract.id}")
        if contract.base not in parameters.tiers:
            raise InputError(f"binance_futures needs notional tiers of {contract.base} for {contract.id}, has none")
    for balance in portfolio.balances:
        if balance.currency not in COLLATERAL and balance.amount != 0.0:
            raise InputError(f"binance_futures takes USDT and USDC as collateral only, was given {balance.currency}")


METHOD = Method(
    name="binance_futures",
    title="Binance USDT-margined futures: notional tiers",
    parameters=BinanceFuturesParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
