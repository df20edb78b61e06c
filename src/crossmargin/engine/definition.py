"""Books in floats, and where an account would stand with one, by its method's own function.

This is the definition. `engine.exposures` gives the same bits from columns, and audits compare the two.
"""

from crossmargin.engine.book import Book, Health, as_portfolio, worth
from crossmargin.engine.margin_rules import MarginRules, nearer
from crossmargin.engine.market_view import GOOD, MarketView
from crossmargin.engine.state import State
from crossmargin.errors import MarketDataError
from crossmargin.ledger.settlement import unrealised
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import method_named


class Definition:
    """What a `State` says of any account under any method; it keeps nothing but what is about to be traded."""

    def __init__(self, state: State, view: MarketView, rules: MarginRules) -> None:
        self._state, self._view, self._rules = state, view, rules
        self._expected: dict[str, int] = {}

    def book(self, account: str) -> Book:
        """Return the account in floats; profit is summed with the balance in quanta before it becomes one."""
        book = Book()
        ledger, assets = self._state.ledger, self._state.assets
        balances = ledger.balances.get(account, {})
        quanta = {asset: amount for asset, amount in balances.items() if self._view.index(asset) is not None}
        for instrument_id, holding in sorted(ledger.holdings.get(account, {}).items()):
            if holding.lots == 0:
                continue
            terms, mark = self._view.terms(instrument_id), self._view.mark(instrument_id)
            if mark is None:
                raise MarketDataError(f"a held contract must have a mark, {instrument_id} has none")
            book.positions[instrument_id] = float(holding.lots * terms.lot_size)
            profit = unrealised(terms, holding, mark)
            if profit:
                quanta[terms.settle] = quanta.get(terms.settle, 0) + profit
        book.cash = {asset: float(amount * assets[asset].quantum) for asset, amount in sorted(quanta.items())}
        return book

    def requirement(self, account: str, book: Book, version: int = -1) -> Requirement:
        """Return what the account's method asks of `book` under a version of its parameters: -1 is the latest."""
        method = method_named(self._state.accounts[account].method)
        parameters, risk = self._rules.risk(method.name, version)
        return method.requirement(as_portfolio(account, book, self._view), self._view.snapshot(), risk, parameters)

    def examine(self, account: str, book: Book) -> Health:
        """Return where the account would stand with `book`, by the method's own function: slow, and what `examine` is."""
        result = self.requirement(account, book)
        credit = float(self._state.accounts[account].credit_line)
        initial = result.initial + self._open_interest_add_on(book)
        equity, maintenance = self._in_transition(account, book, result)
        return Health(equity + credit, initial, maintenance, worth(book, self._view))

    def excess_for_new_risk(self, account: str, book: Book) -> float:
        """Return equity that may back new risk less initial margin, in USD, under the newest parameters.

        Coins whose index price is stale or at its bound count for nothing in this equity.
        """
        result = self.requirement(account, book)
        trusted = {
            name: cash for name, cash in book.cash.items() if cash <= 0.0 or self._view.index_quality(name) == GOOD
        }
        equity = result.equity
        if len(trusted) < len(book.cash):
            equity = self.requirement(account, Book(trusted, book.positions)).equity
        credit = float(self._state.accounts[account].credit_line)
        return equity + credit - result.initial - self._open_interest_add_on(book)

    def delta(self, account: str, instrument_id: str) -> float:
        """Return the USD profit of one contract per +100 % of its underlying; 0 under a rulebook of formulas."""
        _, risk = self._rules.risk(self._state.accounts[account].method, -1)
        return 0.0 if risk is None else float(risk.delta[risk.row_number(instrument_id)])

    def _in_transition(self, account: str, book: Book, result: Requirement) -> tuple[float, float]:
        """Equity and maintenance while parameters move from the old to the new; never worse than the new ones.

        The old ones may themselves still be moving: each version starts from where the one before it stood.
        """
        method = self._state.accounts[account].method
        versions = self._rules.in_force(method)
        figures = (result.equity, result.maintenance)
        moving = []
        for number in reversed(versions[1:]):
            share = self._rules.settled_share(method, number)
            if share >= 1.0:
                break
            moving.append((number, share))
        if not moving:
            return figures
        first = self.requirement(account, book, version=moving[-1][0] - 1)
        figures = (first.equity, first.maintenance)
        for number, share in reversed(moving):
            new = result if number == versions[-1] else self.requirement(account, book, version=number)
            figures = nearer(figures, (new.equity, new.maintenance), share)
        return figures

    def _open_interest_add_on(self, book: Book) -> float:
        """Extra initial margin that grows with everybody's open interest, so that it binds across accounts."""
        total = 0.0
        for instrument_id, quantity in sorted(book.positions.items()):
            total += abs(quantity) * self.open_interest_rate(instrument_id)
        return total

    def open_interest_rate(self, instrument_id: str) -> float:
        """Extra initial margin per contract, in USD."""
        listing = self._state.listings[instrument_id]
        if not listing.open_interest_rate or not listing.open_interest_limit:
            return 0.0
        share = min(self.open_interest(instrument_id) / listing.open_interest_limit, 1.0)
        return listing.open_interest_rate * share * self._view.notional(instrument_id)

    def open_interest(self, instrument_id: str) -> int:
        """Return the lots that are long, over everybody, with what a trade under examination would add."""
        return self._expected.get(instrument_id, 0) + sum(
            held[instrument_id].lots
            for held in self._state.ledger.holdings.values()
            if instrument_id in held and held[instrument_id].lots > 0
        )

    def expect_open_interest(self, instrument_id: str, lots: int) -> None:
        """Let open interest count `lots` more until told otherwise: a trade must carry the margin that it makes."""
        self._expected = {instrument_id: lots} if lots else {}
