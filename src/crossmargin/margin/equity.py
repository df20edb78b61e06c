"""What an account owns at today's prices, as the components of its equity in USD."""

from collections.abc import Mapping

from crossmargin.errors import InputError
from crossmargin.margin.method import Component
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency, position_value


def cash_components(portfolio: Portfolio, market: MarketSnapshot) -> list[Component]:
    """Return balance and unrealised profit of each currency at its index price, without haircut."""
    return [
        Component(name=f"{currency} balance and profit", amount=coins * market.index_price(currency))
        for currency, coins in sorted(cash_by_currency(portfolio, market).items())
    ]


def equity_components(portfolio: Portfolio, market: MarketSnapshot) -> list[Component]:
    """Return `cash_components` and the value of the options and coins held as positions, without haircut."""
    value = Component(name="option and spot value", amount=position_value(portfolio.positions, market))
    return [*cash_components(portfolio, market), value]


def haircut_components(
    portfolio: Portfolio, market: MarketSnapshot, haircuts: Mapping[str, float]
) -> tuple[Component, ...]:
    """Return what is held of each currency after its haircut, what is owed in full, and option value.

    Source: Deribit's page on cross collateral, named in the parameter files of both of its methods.
    """
    parts = []
    for currency, coins in sorted(cash_by_currency(portfolio, market).items()):
        value = coins * market.index_price(currency)
        counted = value * (1.0 - haircuts[currency]) if value > 0.0 else value
        parts.append(Component(name=f"{currency} collateral", amount=counted, reason="after haircut"))
    parts.append(Component(name="option value", amount=position_value(portfolio.positions, market)))
    return tuple(part for part in parts if part.amount)


def check_haircuts(portfolio: Portfolio, method: str, haircuts: Mapping[str, float]) -> None:
    """Refuse a balance without a haircut.

    Raises
    ------
    InputError
        Naming `method` and the first currency of which no haircut is known.
    """
    for balance in portfolio.balances:
        if balance.currency not in haircuts and balance.amount != 0.0:
            raise InputError(f"{method} needs a haircut of {balance.currency}, has none")
