"""A book in one line."""

from crossmargin.instruments.symbols import parse_contract
from crossmargin.portfolio import Balance, Order, Portfolio, Position
from crossmargin.units import AccountId, Currency


def book_of(held: dict[str, float], *orders: Order, **cash: float) -> Portfolio:
    """Return an account with contracts by name and coins by currency."""
    return Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(coin), amount=amount) for coin, amount in cash.items()),
        positions=tuple(Position(instrument=parse_contract(name), quantity=size) for name, size in held.items()),
        orders=orders,
    )
