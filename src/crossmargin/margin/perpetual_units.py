"""What rulebooks of perpetuals read of a book: net holdings by underlying, in USD at the index and at the mark."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Contract, Payoff, Perpetual
from crossmargin.margin.exposure import net_quantities
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency
from crossmargin.units import USD, Currency, InstrumentId


@dataclass(frozen=True, slots=True, kw_only=True)
class PerpetualLeg:
    """A net holding of one perpetual: its coins valued at the index and at the mark, USD, signed.

    `dollar` is the dollar that its price is counted in: the settlement coin of a linear contract, USD of an inverse one.
    """

    name: InstrumentId
    dollar: Currency
    at_index: float
    at_mark: float


def perpetual_legs(portfolio: Portfolio, market: MarketSnapshot) -> dict[Currency, list[PerpetualLeg]]:
    """Return the legs of each underlying; lots of one contract are one leg.

    An inverse contract holds ``size / mark`` coins: their dollars at the shocked price are ``size * (price / mark - 1)``
    above today's, so that its profit is as linear in USD as a linear contract's.
    """
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    units: dict[Currency, list[PerpetualLeg]] = {}
    for name, quantity in net_quantities(portfolio.positions).items():
        contract = contracts[name]
        inverse = contract.payoff is Payoff.INVERSE
        mark, size = market.mark_price(contract), quantity * contract.contract_size_float
        coins = size / mark if inverse else size
        leg = PerpetualLeg(
            name=name,
            dollar=USD if inverse else contract.settle,
            at_index=coins * market.index_price(contract.base),
            at_mark=coins * mark * market.index_price(contract.quote),
        )
        units.setdefault(contract.base, []).append(leg)
    return dict(sorted(units.items()))


def hedged_dollars(legs: Collection[PerpetualLeg]) -> tuple[Currency, ...]:
    """Return the dollars that `legs` are long and short in at once; empty where all stand on one side."""
    by_dollar: dict[Currency, float] = {}
    for leg in legs:
        by_dollar[leg.dollar] = by_dollar.get(leg.dollar, 0.0) + leg.at_mark
    sides = by_dollar.values()
    return tuple(sorted(by_dollar)) if sides and min(sides) < 0.0 < max(sides) else ()


def owed(portfolio: Portfolio, market: MarketSnapshot) -> float:
    """Return the USD of every currency whose balance and profit are negative, at least 0."""
    return math.fsum(
        max(-coins, 0.0) * market.index_price(currency)
        for currency, coins in sorted(cash_by_currency(portfolio, market).items())
    )


def worse_side(portfolio: Portfolio, name: InstrumentId, held: float) -> float:
    """Return the contracts of `name` held once all buys or all sells have filled, whichever is more, without a sign."""
    orders = [order for order in portfolio.orders if order.instrument.id == name and not order.reduce_only]
    buys = math.fsum(max(order.signed_quantity, 0.0) for order in orders)
    sells = math.fsum(min(order.signed_quantity, 0.0) for order in orders)
    return max(abs(held), abs(held + buys), abs(held + sells))


def held_contracts(portfolio: Portfolio) -> list[Contract]:
    """Return the contracts of positions and orders."""
    contracts: list[Contract] = [position.instrument for position in portfolio.positions]
    return contracts + [order.instrument for order in portfolio.orders]


def check_perpetuals(
    portfolio: Portfolio,
    method: str,
    *,
    payoffs: Collection[Payoff],
    coins: Collection[str],
    collateral: Collection[str],
) -> None:
    """Refuse a book that holds anything but perpetuals of `payoffs` on `coins`, or money outside `collateral`.

    Raises
    ------
    InputError
        Naming the first contract or balance.
    """
    kinds = " and ".join(sorted((payoff.value for payoff in payoffs), reverse=True))
    for contract in held_contracts(portfolio):
        if not isinstance(contract, Perpetual) or contract.payoff not in payoffs:
            raise InputError(f"{method} margins {kinds} perpetuals only, was given {contract.id}")
        if contract.base not in coins:
            raise InputError(f"{method} needs parameters of {contract.base} for {contract.id}, has none")
        if contract.settle not in collateral:
            raise InputError(f"{method} needs to know what {contract.settle} counts for, does not, for {contract.id}")
    for balance in portfolio.balances:
        if balance.currency not in collateral and balance.amount != 0.0:
            raise InputError(f"{method} needs to know what {balance.currency} counts for, does not")
