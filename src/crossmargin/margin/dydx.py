"""`dydx`: dYdX v4 perpetuals: a fraction of notional, raised to 100 % as open interest fills its cap.

Whole quanta and exact fractions, rounded as the chain rounds. Rule: `x/perpetuals` and `x/subaccounts` of
dydxprotocol/v4-chain, commit 84d4664b; page docs/methods/dydx.md.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import msgspec

from crossmargin.errors import InputError, MarketDataError
from crossmargin.instruments.contracts import Payoff, Perpetual
from crossmargin.margin.equity import cash_components
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency, InstrumentId

MILLION = 1_000_000
"""One, in parts per million; also the quote quanta of one USDC."""
USDC = Currency("USDC")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerpetualTerms:
    """Oracle price in quote quanta per base quantum, and margin in parts per million of notional."""

    price: Fraction
    initial_ppm: int
    maintenance_of_initial_ppm: int

    def __post_init__(self) -> None:
        if self.price <= 0 or not (self.initial_ppm >= 0 and 0 <= self.maintenance_of_initial_ppm <= MILLION):
            raise InputError("a perpetual must have a positive price and margin fractions in parts per million")


def notional(terms: PerpetualTerms, quantity: int) -> int:
    """Return the signed notional in quote quanta, rounded down."""
    return int(quantity * terms.price // 1)


def maintenance(terms: PerpetualTerms, quantity: int) -> int:
    """Return the maintenance requirement in quote quanta, rounded up."""
    rate = terms.initial_ppm * terms.maintenance_of_initial_ppm // MILLION
    return _divide_up(abs(notional(terms, quantity)) * rate, MILLION)


def open_interest_initial_ppm(base_ppm: int, open_interest: int, lower: int, upper: int) -> int:
    """Return the initial margin fraction, raised linearly to 100 % as open interest goes from `lower` to `upper`.

    Without an upper cap (0) it stays at the base.

    Examples
    --------
    >>> open_interest_initial_ppm(200_000, 1_234_567, 1_000_000, 2_000_000)
    387653
    """
    if upper == 0 or open_interest <= lower:
        return base_ppm
    if open_interest >= upper:
        return max(base_ppm, MILLION)
    return base_ppm + (MILLION - base_ppm) * (open_interest - lower) // (upper - lower)


def initial_margin(notional_quanta: int, initial_ppm: int) -> int:
    """Return the initial requirement of an absolute notional, rounded up."""
    return _divide_up(notional_quanta * initial_ppm, MILLION)


def _divide_up(amount: int, by: int) -> int:
    return -(-amount // by)


class LiquidityTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin of a group of perpetuals; caps in quote quanta, an upper cap of 0 is none."""

    initial_ppm: int
    maintenance_of_initial_ppm: int
    open_interest_lower_cap: int
    open_interest_upper_cap: int

    def __post_init__(self) -> None:
        if not (0 < self.initial_ppm <= MILLION and 0 < self.maintenance_of_initial_ppm <= MILLION):
            raise InputError("a tier's fractions must be inside (0, 1,000,000] parts per million")
        if not 0 <= self.open_interest_lower_cap <= self.open_interest_upper_cap:
            raise InputError("a tier's caps must satisfy 0 <= lower <= upper")


class Market(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tier of a perpetual, and the power of ten of a coin that its base quantum is."""

    tier: str
    atomic_resolution: int


class DydxParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Liquidity tiers, and the perpetuals by coin."""

    tiers: dict[str, LiquidityTier]
    markets: dict[Currency, Market]

    def __post_init__(self) -> None:
        for coin, market in self.markets.items():
            if market.tier not in self.tiers or not -18 <= market.atomic_resolution <= 0:
                raise InputError(
                    f"a market needs a known tier and a resolution inside [-18, 0], was {market} for {coin}"
                )


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: DydxParameters
) -> Requirement:
    """Return the sum over perpetuals, exact in millionths of a dollar; collateral is USDC, open orders do not count.

    Raises
    ------
    InputError
        Naming the first contract or balance that a perpetuals account does not hold.
    MarketDataError
        If a perpetual's margin grows with open interest and the snapshot has none for it.
    """
    contracts = _perpetuals(portfolio, parameters)
    initial, needed = [], []
    for name, quantity in net_quantities(portfolio.positions).items():
        contract = contracts[name]
        if quantity == 0.0:
            continue
        terms = _terms(contract, market, parameters)
        quanta = _quanta(quantity, contract, parameters.markets[contract.base])
        fraction = _initial_ppm(contract, market, parameters)
        whole = initial_margin(abs(notional(terms, quanta)), fraction)
        reason = f"{fraction / 10_000:g} % of notional"
        initial.append(Component(name=name, amount=whole / MILLION, reason=reason))
        needed.append(Component(name=name, amount=maintenance(terms, quanta) / MILLION))
    equity = cash_components(portfolio, market)
    return Requirement.from_components(
        account=portfolio.account,
        method="dydx",
        version=parameters.effective,
        initial=initial,
        maintenance=needed,
        equity=equity,
    )


def _terms(contract: Perpetual, market: MarketSnapshot, parameters: DydxParameters) -> PerpetualTerms:
    listed = parameters.markets[contract.base]
    tier = parameters.tiers[listed.tier]
    dollars = market.mark_price(contract) * market.index_price(contract.settle)
    return PerpetualTerms(
        # through its shortest decimal, so that a price of 0.1 is a tenth
        price=Fraction(Decimal(repr(dollars))) * MILLION * Fraction(10) ** listed.atomic_resolution,
        initial_ppm=tier.initial_ppm,
        maintenance_of_initial_ppm=tier.maintenance_of_initial_ppm,
    )


def _quanta(quantity: float, contract: Perpetual, listed: Market) -> int:
    coins = Fraction(Decimal(repr(quantity))) * Fraction(contract.contract_size)
    return round(coins / Fraction(10) ** listed.atomic_resolution)


def _initial_ppm(contract: Perpetual, market: MarketSnapshot, parameters: DydxParameters) -> int:
    listed = parameters.markets[contract.base]
    tier = parameters.tiers[listed.tier]
    if tier.open_interest_upper_cap == 0:
        return tier.initial_ppm
    contracts = market.open_interest.get(contract.id)
    if contracts is None:
        raise MarketDataError(f"dydx needs the open interest of {contract.id} at {market.time_ns} ns, has none")
    open_interest = notional(_terms(contract, market, parameters), _quanta(contracts, contract, listed))
    return open_interest_initial_ppm(
        tier.initial_ppm, open_interest, tier.open_interest_lower_cap, tier.open_interest_upper_cap
    )


def _perpetuals(portfolio: Portfolio, parameters: DydxParameters) -> dict[InstrumentId, Perpetual]:
    """Return the contracts held, refused where the account could not hold one, or a balance."""
    found: dict[InstrumentId, Perpetual] = {}
    for contract in (position.instrument for position in portfolio.positions):
        if not isinstance(contract, Perpetual) or contract.payoff is not Payoff.LINEAR:
            raise InputError(f"dydx margins linear perpetuals only, was given {contract.id}")
        if contract.base not in parameters.markets:
            raise InputError(f"dydx has no market of {contract.base} for {contract.id}")
        found[contract.id] = contract
    for balance in portfolio.balances:
        if balance.currency != USDC and balance.amount != 0.0:
            raise InputError(f"dydx takes USDC as collateral only, was given {balance.currency}")
    return found


METHOD = Method(
    name="dydx",
    title="dYdX v4: perpetuals",
    parameters=DydxParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
