"""An account in floats, and where it stands."""

import math
from dataclasses import dataclass, field

import msgspec

from crossmargin.engine.market_view import MarketView
from crossmargin.ledger.ledger import Ledger
from crossmargin.ledger.settlement import unrealised
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.pricing.valuation import unit_value
from crossmargin.units import AccountId, Currency


@dataclass(slots=True)
class Book:
    """An account in floats: coins per currency, profit since entry included, and contracts per instrument."""

    cash: dict[str, float] = field(default_factory=dict)
    positions: dict[str, float] = field(default_factory=dict)

    def copy(self) -> "Book":
        """Return a book that can be changed without changing this one."""
        return Book(dict(self.cash), dict(self.positions))

    def add_cash(self, currency: str, amount: float) -> None:
        """Add coins; negative takes them away."""
        self.cash[currency] = self.cash.get(currency, 0.0) + amount

    def add_position(self, instrument_id: str, quantity: float) -> None:
        """Add contracts; a position of none is forgotten."""
        left = self.positions.get(instrument_id, 0.0) + quantity
        if abs(left) < 1e-12:
            self.positions.pop(instrument_id, None)
        else:
            self.positions[instrument_id] = left


class Health(msgspec.Struct, frozen=True, gc=False):
    """Where an account stands, in USD.

    `equity`, `initial` and `maintenance` are margin figures (collateral after haircut, credit line included); `worth`
    is what everything would fetch at mark and index prices.
    """

    equity: float
    initial: float
    maintenance: float
    worth: float

    @property
    def ratio(self) -> float:
        """Equity over maintenance; infinite where nothing is required of an account that owes nothing."""
        if self.maintenance > 0.0:
            return self.equity / self.maintenance
        return float("inf") if self.equity >= 0.0 else float("-inf")

    @property
    def needs_liquidation(self) -> bool:
        """Whether equity is below maintenance."""
        return self.equity < self.maintenance


def profits(account: str, ledger: Ledger, view: MarketView) -> dict[str, float]:
    """Return coins per currency of profit since entry, gains only."""
    gains: dict[str, float] = {}
    for instrument_id, holding in sorted(ledger.holdings.get(account, {}).items()):
        mark = view.mark(instrument_id)
        if holding.lots == 0 or mark is None:
            continue
        terms = view.terms(instrument_id)
        profit = unrealised(terms, holding, mark)
        if profit > 0:
            gains[terms.settle] = gains.get(terms.settle, 0.0) + float(profit * terms.settle_quantum)
    return gains


def as_portfolio(account: str, book: Book, view: MarketView) -> Portfolio:
    """Return a book as a portfolio; canonical order makes sums the same on every machine."""
    return Portfolio(
        account=AccountId(account),
        balances=tuple(
            Balance(currency=Currency(name), amount=amount) for name, amount in sorted(book.cash.items()) if amount
        ),
        positions=tuple(
            Position(instrument=view.contract(name), quantity=quantity)
            for name, quantity in sorted(book.positions.items())
        ),
    )


def worth(book: Book, view: MarketView) -> float:
    """Return what a book would fetch at mark and index prices, in USD."""
    market = view.snapshot()
    cash = math.fsum(amount * market.index_price(Currency(name)) for name, amount in book.cash.items())
    return cash + math.fsum(
        quantity * unit_value(view.contract(name), market) for name, quantity in book.positions.items()
    )
