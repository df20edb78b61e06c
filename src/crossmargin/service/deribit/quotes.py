"""What stands in the books, and how much is open, of every contract at once."""

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.engine.engine import Engine
from crossmargin.instruments.contracts import Contract
from crossmargin.service.deribit.instruments import amount_of

Level = tuple[float, float]
"""Price and amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """Open orders by price, and contracts held long, at one state of the engine.

    `bids` and `asks` hold contracts by price, by instrument; `held` contracts.
    """

    sequence: int
    bids: dict[str, dict[Decimal, Decimal]]
    asks: dict[str, dict[Decimal, Decimal]]
    held: dict[str, Decimal]

    def book(self, contract: Contract) -> tuple[list[Level], list[Level]]:
        """Return bids and asks in Deribit's amount, the best first."""
        bids, asks = (
            [
                (float(price), amount_of(contract, quantity))
                for price, quantity in sorted(side.get(contract.id, {}).items(), reverse=buys)
            ]
            for side, buys in ((self.bids, True), (self.asks, False))
        )
        return bids, asks

    def open_interest(self, contract: Contract) -> float:
        """Return what is held long over everybody, in Deribit's amount."""
        return amount_of(contract, self.held.get(contract.id, Decimal(0)))


def quotes(engine: Engine) -> Quotes:
    """Return the books and the open interest of an engine."""
    state = engine.state
    sides: tuple[dict[str, dict[Decimal, Decimal]], dict[str, dict[Decimal, Decimal]]] = ({}, {})
    for order in state.orders.values():
        levels = sides[order.lots < 0].setdefault(order.instrument, {})
        size = abs(order.lots) * state.listings[order.instrument].lot_size
        levels[order.price] = levels.get(order.price, Decimal(0)) + size
    held: dict[str, Decimal] = {}
    for holdings in state.ledger.holdings.values():
        for name, holding in holdings.items():
            if holding.lots > 0:
                held[name] = held.get(name, Decimal(0)) + holding.lots * state.listings[name].lot_size
    return Quotes(sequence=state.sequence, bids=sides[0], asks=sides[1], held=held)
