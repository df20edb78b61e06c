"""`okx_multi_currency`: OKX's multi-currency margin mode, cross-margined linear perpetuals on discounted collateral.

``maintenance = sum over positions of notional * rate`` and ``initial = notional * max(1 / leverage, least rate)``, the
rates of the tier that the whole position falls into; equity is the discounted value of every currency.
docs/methods/okx_multi_currency.md gives the sources.
"""

import itertools
import math

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff
from crossmargin.margin.collateral import HaircutSchedule, collateral_credits
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.perpetual_units import check_perpetuals, held_contracts, worse_side
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import balances_by_currency, cash_by_currency
from crossmargin.risk.risk_array import RiskArray


class PositionTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates of positions up to `up_to` of the venue's contracts."""

    up_to: float
    maintenance_rate: float
    initial_rate: float


class PositionTiers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first tiers of a perpetual, then equal steps without end."""

    contract_coins: float
    """Coins in one of the venue's contracts, in which tiers are counted."""
    tiers: tuple[PositionTier, ...]
    step: PositionTier
    """What each further tier adds to its predecessor."""

    def __post_init__(self) -> None:
        for low, high in itertools.pairwise(self.tiers):
            if high.up_to <= low.up_to or high.maintenance_rate < low.maintenance_rate:
                raise InputError("position tiers must rise in size and rate")
        if not self.tiers or not min(self.step.up_to, self.contract_coins) > 0.0:
            raise InputError("position tiers, their step and contract_coins must be positive")

    def rates(self, coins: float) -> tuple[float, float]:
        """Return maintenance and least initial rate of a position of `coins`, at most 1.

        Examples
        --------
        >>> one = PositionTier(up_to=1_500.0, maintenance_rate=0.005, initial_rate=0.0133)
        >>> step = PositionTier(up_to=6_000.0, maintenance_rate=0.005, initial_rate=0.005)
        >>> PositionTiers(contract_coins=100.0, tiers=(one,), step=step).rates(150_001.0)
        (0.01, 0.0183)
        """
        contracts = abs(coins) / self.contract_coins
        for tier in self.tiers:
            if contracts <= tier.up_to:
                return tier.maintenance_rate, tier.initial_rate
        last = self.tiers[-1]
        steps = math.ceil((contracts - last.up_to) / self.step.up_to)
        maintenance = last.maintenance_rate + steps * self.step.maintenance_rate
        return min(maintenance, 1.0), min(last.initial_rate + steps * self.step.initial_rate, 1.0)


class OkxMultiCurrencyParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Position tiers by coin, discounts of collateral as haircuts, and the leverage set."""

    leverage: float
    perpetuals: dict[str, PositionTiers]
    haircuts: HaircutSchedule

    def __post_init__(self) -> None:
        if not self.leverage >= 1.0:
            raise InputError(f"leverage must be at least 1, was {self.leverage}")


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: OkxMultiCurrencyParameters
) -> Requirement:
    """Return the sum over positions; orders at the worse side of each contract.

    Raises
    ------
    InputError
        Naming the first contract or balance whose parameters were not published.
    """
    check_perpetuals(
        portfolio,
        "okx_multi_currency",
        payoffs=(Payoff.LINEAR,),
        coins=parameters.perpetuals,
        collateral=parameters.haircuts.tiers,
    )
    for currency, amount in balances_by_currency(portfolio).items():
        if amount < 0.0:
            raise InputError(f"okx_multi_currency needs the tiers of loans, was given {currency} owed")
    initial: list[Component] = []
    maintenance: list[Component] = []
    held = net_quantities(portfolio.positions)
    contracts = {contract.id: contract for contract in held_contracts(portfolio)}
    for name, contract in sorted(contracts.items()):
        size, coin = contract.contract_size_float, market.mark_price(contract) * market.index_price(contract.quote)
        tiers = parameters.perpetuals[contract.base]
        coins = abs(held.get(name, 0.0)) * size
        ordered = worse_side(portfolio, name, held.get(name, 0.0)) * size
        rate, _ = tiers.rates(coins)
        least = max(1.0 / parameters.leverage, *tiers.rates(ordered))
        maintenance.append(Component(name=name, amount=coins * coin * rate, reason=f"tier rate {rate:.3%}"))
        initial.append(Component(name=name, amount=ordered * coin * least, reason=f"rate {least:.3%}"))
    counted = collateral_credits(cash_by_currency(portfolio, market), market, parameters.haircuts)
    equity = tuple(Component(name=f"{currency} equity", amount=amount) for currency, amount in counted.items())
    needed, total = (math.fsum(part.amount for part in parts) for parts in (maintenance, equity))
    return Requirement.from_components(
        account=portfolio.account,
        method="okx_multi_currency",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        measures={"mgnRatio": total / needed} if needed else {},
    )


METHOD = Method(
    name="okx_multi_currency",
    title="OKX multi-currency margin",
    parameters=OkxMultiCurrencyParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
