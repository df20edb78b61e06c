"""The float mirror of what the ledger records: books, the market as a snapshot, risk arrays, requirements.

Everything here is derived and can be thrown away. Profit since entry is put into a book as cash in the settlement
currency, which is the same thing in every scenario (docs/concepts.md).
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

import msgspec
import numpy as np

from crossmargin.engine.columns import (
    BookColumns,
    GridMarket,
    book_columns,
    figures,
    grid_market,
    mark_to_market,
    post_balance,
    post_holding,
    same_book,
    worst_deficit,
)
from crossmargin.engine.crowd import MANY, Crowd, lined_up
from crossmargin.engine.resting import AccountOrders
from crossmargin.engine.state import MarginVersion, State
from crossmargin.errors import MarketDataError, invariant
from crossmargin.instruments.contracts import Asset, Contract, Instrument, Option
from crossmargin.instruments.symbols import parse_contract
from crossmargin.ledger.settlement import ContractTerms, unrealised
from crossmargin.margin.grid_columns import grid_columns
from crossmargin.margin.grid_kernels import EQUITY, INITIAL, MAINTENANCE, WORTH
from crossmargin.margin.method import Parameters, Requirement
from crossmargin.margin.methods import method_named
from crossmargin.margin.scenario_grid import ScenarioGridParameters
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.pricing.valuation import unit_value
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.units import USD, AccountId, BoolArray, Currency, FloatArray, InstrumentId, IntArray

_RATIO = Context(prec=28)
GOOD = "GOOD"
STALE = "STALE"
BOUND = "BOUND"


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


@dataclass(frozen=True, slots=True)
class Health:
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


@dataclass(frozen=True, slots=True)
class Quoted:
    """What a contract's price allows: whether it can be margined, and whether it may back new risk."""

    is_priced: bool
    is_good: bool
    mark: Decimal | None
    is_option: bool


class Exposures:
    """Mirror of a `State`; `market_changed` and `account_changed` say what to compute anew."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._terms: dict[str, ContractTerms] = {}
        self._snapshot: MarketSnapshot | None = None
        self._risks: dict[tuple[str, int], tuple[Parameters, RiskArray | None]] = {}
        self._parsed: dict[tuple[str, int], Parameters] = {}
        self._health: dict[str, Health] = {}
        self._expected: dict[str, int] = {}
        self._grids: dict[int, GridMarket] = {}
        self._books: dict[str, BookColumns | None] = {}
        self._crowd: tuple[tuple[str, ...], Crowd] | None = None
        """Accounts that were asked for together, and those of them that have columns."""
        self._standing: Crowd | None = None
        """The same, while its figures are those of now except for `_disturbed` accounts."""
        self._disturbed: set[str] = set()
        self._unaudited: set[str] = set()
        self._shape: object = None
        self._rows: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        """Rows of instruments and numbers of currencies in `_books`."""
        self._trusted: BoolArray | None = None
        self._quoted: dict[str, Quoted] = {}
        self._out = np.empty(4)
        self._force: dict[str, tuple[int, list[int]]] = {}
        """Versions of a method's parameters in force, and at what time."""

    def market_changed(self) -> None:
        """Forget everything that depends on prices."""
        self._snapshot = None
        self._risks.clear()
        self.open_interest_changed()
        self.quality_changed()

    def quality_changed(self) -> None:
        """Forget which prices may back new risk."""
        self._trusted = None
        self._quoted.clear()

    def parameters_changed(self) -> None:
        """Forget everything that depends on parameters."""
        self._parsed.clear()
        self._force.clear()
        self.market_changed()

    def listing_changed(self, instrument_id: str) -> None:
        """Forget the terms of a contract."""
        self._terms.pop(instrument_id, None)
        self._books.clear()
        self._crowd = None
        self.market_changed()

    def account_changed(self, account: str) -> None:
        """Forget what an account holds, and its figures."""
        self._unaudited.add(account)
        self._disturbed.add(account)
        self._health.pop(account, None)
        self._books.pop(account, None)

    def balance_changed(self, account: str, asset: str) -> None:
        """Note that one balance of an account changed."""
        self._unaudited.add(account)
        self._disturbed.add(account)
        self._health.pop(account, None)
        book = self._books.get(account)
        if book is not None and not post_balance(book, self._state.ledger, account, asset, self._numbers):
            del self._books[account]

    def holding_changed(self, account: str, instrument_id: str, settle: str) -> None:
        """Note that an account's holding of one contract changed, and its balance of what that settles in."""
        self.balance_changed(account, settle)
        book = self._books.get(account)
        if book is not None:
            holding, terms = self._state.ledger.holding(account, instrument_id), self.terms(instrument_id)
            if not post_holding(book, holding, self._rows.get(instrument_id, -1), terms.lot_size):
                del self._books[account]

    def open_interest_changed(self) -> None:
        """Forget what depends on everybody's open interest."""
        self._standing = None
        self._health.clear()
        self._grids.clear()

    def terms(self, instrument_id: str) -> ContractTerms:
        """Return the terms of a listed contract."""
        found = self._terms.get(instrument_id)
        if found is None:
            listing = self._state.listings[instrument_id]
            contract = dataclasses.replace(
                parse_contract(instrument_id), contract_size=listing.contract_size, lot_size=listing.lot_size
            )
            quantum = self._state.assets[contract.settle].quantum
            found = ContractTerms(contract=contract, lot_size=listing.lot_size, settle_quantum=quantum)
            self._terms[instrument_id] = found
        return found

    def contract(self, instrument_id: str) -> Contract:
        """Return a listed contract."""
        return self.terms(instrument_id).contract

    def index(self, currency: str) -> Decimal | None:
        """Return the last index price of a currency in USD, or None."""
        if currency == USD:
            return Decimal(1)
        seen = self._state.market.index.get(currency)
        return None if seen is None else seen.price

    def index_quality(self, currency: str) -> str:
        """Return the quality of a currency's index price."""
        if currency == USD:
            return GOOD
        seen = self._state.market.index.get(currency)
        return "MISSING" if seen is None else seen.quality

    def mark(self, instrument_id: str) -> Decimal | None:
        """Return the mark of a listed contract: its own, or the ratio of index prices; None without either."""
        seen = self._state.market.marks.get(instrument_id)
        if seen is not None:
            return seen.price
        contract = self.contract(instrument_id)
        base, quote = self.index(contract.base), self.index(contract.quote)
        if isinstance(contract, Option) or base is None or quote is None:
            return None
        return _RATIO.divide(base, quote)

    def is_good(self, instrument_id: str) -> bool:
        """Whether every price that a contract hangs on is good."""
        contract = self.contract(instrument_id)
        seen = self._state.market.marks.get(instrument_id)
        names = (contract.base, contract.settle)
        return (seen is None or seen.quality == GOOD) and all(self.index_quality(name) == GOOD for name in names)

    def is_priced(self, instrument_id: str) -> bool:
        """Whether a contract can be margined."""
        contract = self.contract(instrument_id)
        if any(self.index(name) is None for name in (contract.base, contract.quote, contract.settle)):
            return False
        if isinstance(contract, Option) and contract.base not in self._state.market.smiles:
            return False
        return self.mark(instrument_id) is not None

    def quoted(self, instrument_id: str) -> Quoted:
        """Return what the price of a listed contract allows; cached until prices change."""
        found = self._quoted.get(instrument_id)
        if found is None:
            is_option = isinstance(self.contract(instrument_id), Option)
            is_priced = self.is_priced(instrument_id)
            found = Quoted(is_priced, self.is_good(instrument_id), self.mark(instrument_id), is_option)
            self._quoted[instrument_id] = found
        return found

    def snapshot(self) -> MarketSnapshot:
        """Return the last prices as calculations see them; judging their quality is the engine's part."""
        if self._snapshot is None:
            self._snapshot = _snapshot(self._state)
        return self._snapshot

    def book(self, account: str) -> Book:
        """Return the account in floats; profit is summed with the balance in quanta before it becomes one."""
        book = Book()
        ledger, assets = self._state.ledger, self._state.assets
        balances = ledger.balances.get(account, {})
        quanta = {asset: amount for asset, amount in balances.items() if self.index(asset) is not None}
        for instrument_id, holding in sorted(ledger.holdings.get(account, {}).items()):
            if holding.lots == 0:
                continue
            terms, mark = self.terms(instrument_id), self.mark(instrument_id)
            if mark is None:
                raise MarketDataError(f"a held contract must have a mark, {instrument_id} has none")
            book.positions[instrument_id] = float(holding.lots * terms.lot_size)
            profit = unrealised(terms, holding, mark)
            if profit:
                quanta[terms.settle] = quanta.get(terms.settle, 0) + profit
        book.cash = {asset: float(amount * assets[asset].quantum) for asset, amount in sorted(quanta.items())}
        return book

    def profits(self, account: str) -> dict[str, float]:
        """Return coins per currency of profit since entry, gains only."""
        gains: dict[str, float] = {}
        for instrument_id, holding in sorted(self._state.ledger.holdings.get(account, {}).items()):
            mark = self.mark(instrument_id)
            if holding.lots == 0 or mark is None:
                continue
            terms = self.terms(instrument_id)
            profit = unrealised(terms, holding, mark)
            if profit > 0:
                gains[terms.settle] = gains.get(terms.settle, 0.0) + float(profit * terms.settle_quantum)
        return gains

    def portfolio(self, account: str, book: Book) -> Portfolio:
        """Return a book as a portfolio; canonical order makes sums the same on every machine."""
        return Portfolio(
            account=AccountId(account),
            balances=tuple(
                Balance(currency=Currency(name), amount=amount) for name, amount in sorted(book.cash.items()) if amount
            ),
            positions=tuple(
                Position(instrument=self.contract(name), quantity=quantity)
                for name, quantity in sorted(book.positions.items())
            ),
        )

    def requirement(self, account: str, book: Book, version: int = -1) -> Requirement:
        """Return what the account's method asks of `book` under a version of its parameters: -1 is the latest."""
        method = method_named(self._state.accounts[account].method)
        parameters, risk = self._risk(method.name, version)
        return method.requirement(self.portfolio(account, book), self.snapshot(), risk, parameters)

    def worth(self, book: Book) -> float:
        """Return what a book would fetch at mark and index prices, in USD."""
        market = self.snapshot()
        cash = math.fsum(amount * market.index_price(Currency(name)) for name, amount in book.cash.items())
        return cash + math.fsum(
            quantity * unit_value(self.contract(name), market) for name, quantity in book.positions.items()
        )

    def health(self, account: str) -> Health:
        """Return where the account stands; cached until it or the market changes."""
        found = self._health.get(account)
        if found is None:
            found = self._in_the_crowd(account) or self._own_figures(account)
            found = self._health[account] = found or self.examine(account, self.book(account))
        return found

    def line_up(self, names: Sequence[str]) -> Crowd | None:
        """Margin accounts side by side, and return those for which that can be done; None if it is not worth it.

        `is_standing` says of which accounts the figures still hold.
        """
        accounts = self._state.accounts
        asked = tuple(name for name in names if accounts[name].method == "scenario_grid")
        market = self._columnar(asked[0]) if len(asked) >= MANY else None
        if market is None:
            return None
        if self._crowd is None or self._disturbed or self._crowd[0] != asked:
            for name in asked:
                if name not in self._books:
                    self._books[name] = book_columns(self._state.ledger, name, market)
            books = {name: book for name in asked if (book := self._books[name]) is not None}
            if not books:
                return None
            credit = [float(accounts[name].credit_line) for name in books]
            self._crowd = asked, lined_up(tuple(books), tuple(books.values()), credit, len(market.numbers))
        found = self._standing = self._crowd[1]
        self._disturbed.clear()
        found.margin(market)
        return found

    def is_standing(self, account: str) -> bool:
        """Return whether what `line_up` found of an account is still true."""
        return self._standing is not None and account not in self._disturbed

    def _in_the_crowd(self, account: str) -> Health | None:
        crowd = self._standing
        place = None if crowd is None or account in self._disturbed else crowd.places.get(account)
        if crowd is None or place is None or not crowd.fits[place]:
            return None
        equity, initial, maintenance, worth = crowd.figures[place].tolist()
        return Health(equity + float(crowd.credit[place]), initial, maintenance, worth)

    def examine(self, account: str, book: Book) -> Health:
        """Return where the account would stand with `book`."""
        market = self._columnar(account)
        if market is not None:
            columns = _columns_of(book, market)
            if columns is not None:
                return self._figures(account, market, *columns)
        return self.examine_by_definition(account, book)

    def take_unaudited(self) -> set[str]:
        """Return the accounts whose record has changed since this was last asked."""
        found, self._unaudited = self._unaudited, set()
        return found

    def recomputed(self, account: str) -> tuple[Health, bool]:
        """Return where the account stands, from the ledger alone, and whether its columns were what the ledger says."""
        market, book = self._grid(account), self._books.get(account)
        is_true = book is None or (market is not None and same_book(book, self._state.ledger, account, market))
        if book is not None and is_true:
            book.marked = None
        else:
            self._books.pop(account, None)
            self._disturbed.add(account)
        return self._own_figures(account) or self.examine(account, self.book(account)), is_true

    def examine_by_definition(self, account: str, book: Book) -> Health:
        """Return where the account would stand with `book`, by the method's own function: slow, and what `examine` is."""
        result = self.requirement(account, book)
        credit = float(self._state.accounts[account].credit_line)
        initial = result.initial + self._open_interest_add_on(book)
        equity, maintenance = self._in_transition(account, book, result)
        return Health(equity + credit, initial, maintenance, self.worth(book))

    def deficit_for_new_risk(
        self,
        account: str,
        book: Book | None,
        resting: AccountOrders,
        more: list[tuple[str, float, float]],
        enough: float,
    ) -> float | None:
        """Return initial margin less equity that may back new risk, in the worst subset of fills, in USD.

        None where the account is not margined in columns; some number at most `enough` if the deficit is; the account's
        own book where `book` is None.

        Parameters
        ----------
        resting, more
            The account's open orders, and what might fill besides: instrument, signed contracts and price.
        """
        market = self._grid(account)
        columns = None if market is None else self._book_in_columns(account, book, market)
        if market is None or columns is None:
            return None
        orders, sizes, prices = resting.columns(market.rows, self._shape, more)
        if self._trusted is None:
            self._trusted = np.array([self.index_quality(name) == GOOD for name in market.numbers])
        floats, integers = market.grid
        rows, quantities, cash = columns
        return float(
            worst_deficit(floats, integers, rows, quantities, cash, self._trusted, orders, sizes, prices, enough)
        )

    def excess_for_new_risk(self, account: str, book: Book) -> float:
        """Return equity that may back new risk less initial margin, in USD, under the newest parameters.

        Coins whose index price is stale or at its bound count for nothing in this equity.
        """
        result = self.requirement(account, book)
        trusted = {name: cash for name, cash in book.cash.items() if cash <= 0.0 or self.index_quality(name) == GOOD}
        equity = result.equity
        if len(trusted) < len(book.cash):
            equity = self.requirement(account, Book(trusted, book.positions)).equity
        credit = float(self._state.accounts[account].credit_line)
        return equity + credit - result.initial - self._open_interest_add_on(book)

    def delta(self, account: str, instrument_id: str) -> float:
        """Return the USD profit of one contract per +100 % of its underlying; 0 under a rulebook of formulas."""
        _, risk = self._risk(self._state.accounts[account].method, -1)
        return 0.0 if risk is None else float(risk.delta[risk.row_number(instrument_id)])

    def _in_transition(self, account: str, book: Book, result: Requirement) -> tuple[float, float]:
        """Equity and maintenance while parameters move from the old to the new; never worse than the new ones.

        The old ones may themselves still be moving: each version starts from where the one before it stood.
        """
        method = self._state.accounts[account].method
        versions = self._in_force(method)
        figures = (result.equity, result.maintenance)
        moving = []
        for number in reversed(versions[1:]):
            share = _transition(self._state.margin[method][number], self._state.time_ns)
            if share >= 1.0:
                break
            moving.append((number, share))
        if not moving:
            return figures
        first = self.requirement(account, book, version=moving[-1][0] - 1)
        figures = (first.equity, first.maintenance)
        for number, share in reversed(moving):
            new = result if number == versions[-1] else self.requirement(account, book, version=number)
            figures = _nearer(figures, (new.equity, new.maintenance), share)
        return figures

    def _open_interest_add_on(self, book: Book) -> float:
        """Extra initial margin that grows with everybody's open interest, so that it binds across accounts."""
        total = 0.0
        for instrument_id, quantity in sorted(book.positions.items()):
            total += abs(quantity) * self._open_interest_rate(instrument_id)
        return total

    def _open_interest_rate(self, instrument_id: str) -> float:
        """Extra initial margin per contract, in USD."""
        listing = self._state.listings[instrument_id]
        if not listing.open_interest_rate or not listing.open_interest_limit:
            return 0.0
        share = min(self.open_interest(instrument_id) / listing.open_interest_limit, 1.0)
        return listing.open_interest_rate * share * self.notional(instrument_id)

    def _columnar(self, account: str) -> GridMarket | None:
        """Return the market for an account whose figures are computed in columns, or None."""
        method = self._state.accounts[account].method
        versions = self._state.margin.get(method, ())
        if len(versions) > 1:
            number = self._in_force(method)[-1]
            if number and _transition(versions[number], self._state.time_ns) < 1.0:
                return None
        return self._grid(account)

    def _grid(self, account: str) -> GridMarket | None:
        method = self._state.accounts[account].method
        if method != "scenario_grid":
            return None
        number = self._in_force(method)[-1]
        found = self._grids.get(number)
        if found is None:
            found = self._grids[number] = self._new_grid(number)
            if found.shape != self._shape:
                self._shape, self._rows, self._numbers = found.shape, found.rows, found.numbers
                self._books.clear()
                self._crowd = None
        return found

    def _new_grid(self, number: int) -> GridMarket:
        parameters, risk = self._risk("scenario_grid", number)
        assert isinstance(parameters, ScenarioGridParameters)  # noqa: S101  (the method's own)
        assert risk is not None  # noqa: S101  (a grid has scenarios)
        names = sorted({*self._state.market.index, USD})
        contracts = {name: self.terms(name) for name in risk.rows if name in self._state.listings}
        rates = np.array([self._open_interest_rate(name) if name in contracts else 0.0 for name in risk.rows])
        return grid_market(
            grid_columns(risk, self.snapshot(), parameters, names, rates),
            {str(name): row for name, row in risk.rows.items()},
            names,
            {name: (terms, mark) for name, terms in contracts.items() if (mark := self.mark(name)) is not None},
            {name: terms.quantum for name, terms in self._state.assets.items()},
        )

    def _own_columns(self, account: str, market: GridMarket) -> BookColumns | None:
        if account not in self._books:
            self._books[account] = book_columns(self._state.ledger, account, market)
        book = self._books[account]
        return book if book is not None and mark_to_market(book, market) else None

    def _book_in_columns(
        self, account: str, book: Book | None, market: GridMarket
    ) -> tuple[IntArray, FloatArray, FloatArray] | None:
        if book is None:
            own = self._own_columns(account, market)
            if own is not None:
                return own.rows, own.quantities, own.cash
        return _columns_of(self.book(account) if book is None else book, market)

    def _own_figures(self, account: str) -> Health | None:
        market = self._columnar(account)
        own = None if market is None else self._own_columns(account, market)
        if market is None or own is None:
            return None
        return self._figures(account, market, own.rows, own.quantities, own.cash)

    def _figures(
        self, account: str, market: GridMarket, rows: IntArray, quantities: FloatArray, cash: FloatArray
    ) -> Health:
        figures(*market.grid, rows, quantities, cash, self._out)
        found = self._out.tolist()
        credit = float(self._state.accounts[account].credit_line)
        return Health(found[EQUITY] + credit, found[INITIAL], found[MAINTENANCE], found[WORTH])

    def open_interest(self, instrument_id: str) -> int:
        """Return the lots that are long, over everybody, with what a trade under examination would add."""
        return self._expected.get(instrument_id, 0) + sum(
            held[instrument_id].lots
            for held in self._state.ledger.holdings.values()
            if instrument_id in held and held[instrument_id].lots > 0
        )

    def expect_open_interest(self, instrument_id: str, lots: int) -> None:
        """Let open interest count `lots` more until told otherwise: a trade must carry the margin that it makes."""
        if self._state.listings[instrument_id].open_interest_rate:
            self._expected = {instrument_id: lots} if lots else {}
            self.open_interest_changed()

    def notional(self, instrument_id: str) -> float:
        """Return USD of underlying per contract."""
        contract = self.contract(instrument_id)
        market = self.snapshot()
        size = contract.contract_size_float
        if contract.settle == contract.base and not isinstance(contract, Option):
            return size * market.index_price(contract.quote)  # inverse: quoted currency per contract
        return size * market.index_price(contract.base)

    def _in_force(self, method: str) -> list[int]:
        kept = self._force.get(method)
        if kept is not None and kept[0] == self._state.time_ns:
            return kept[1]
        versions = self._state.margin.get(method, [])
        found = [number for number, item in enumerate(versions) if item.effective_ns <= self._state.time_ns]
        if not found:
            raise MarketDataError(f"a method must have parameters in force, {method} has none")
        self._force[method] = (self._state.time_ns, found)
        return found

    def _risk(self, method: str, version: int) -> tuple[Parameters, RiskArray | None]:
        number = self._in_force(method)[-1] if version == -1 else version
        key = (method, number)
        if key not in self._risks:
            parameters = self._parameters(method, number)
            scenarios = method_named(method).scenarios(self.snapshot(), parameters)
            risk = None if scenarios is None else risk_array(self._instruments(), self.snapshot(), scenarios)
            self._risks[key] = (parameters, risk)
        return self._risks[key]

    def parameters_in_force(self, method: str) -> Parameters:
        """Return a method's newest parameters that are in force."""
        return self._parameters(method, self._in_force(method)[-1])

    def _parameters(self, method: str, number: int) -> Parameters:
        key = (method, number)
        if key not in self._parsed:
            self._parsed[key] = parsed_parameters(method, self._state.margin[method][number].parameters)
        return self._parsed[key]

    def _instruments(self) -> list[Instrument]:
        contracts: list[Instrument] = [
            self.contract(name)
            for name, listing in sorted(self._state.listings.items())
            if not listing.expired and self.is_priced(name)
        ]
        names = sorted({*self._state.market.index, USD})
        return [*contracts, *(Asset(currency=Currency(name)) for name in names)]


def _columns_of(book: Book, market: GridMarket) -> tuple[IntArray, FloatArray, FloatArray] | None:
    """Return a book's rows, quantities and cash, or None if it holds what the market does not have."""
    cash = np.zeros(len(market.numbers))
    for name, coins in book.cash.items():
        if name not in market.numbers:
            return None
        cash[market.numbers[name]] = coins
    if any(name not in market.rows for name in book.positions):
        return None
    held = sorted((market.rows[name], quantity) for name, quantity in book.positions.items())
    return np.array([row for row, _ in held], dtype=np.int64), np.array([size for _, size in held], dtype=float), cash


def parsed_parameters(method: str, parameters: dict[str, Any]) -> Parameters:
    """Return the parameters of a method, checked by their own record."""
    result: Parameters = msgspec.convert(parameters, type=method_named(method).parameters)
    return result


def _transition(version: MarginVersion, time_ns: int) -> float:
    """Share of the way from the old parameters to `version`: 0 during its grace period, 1 after its ramp."""
    since = time_ns - version.effective_ns - version.grace_ns
    if since < 0:
        return 0.0
    return 1.0 if since >= version.ramp_ns else since / version.ramp_ns


def _nearer(old: tuple[float, float], new: tuple[float, float], share: float) -> tuple[float, float]:
    """Return equity and maintenance a share of the way from the old to the new, or the new where those are better."""
    equity = old[0] + share * (new[0] - old[0])
    maintenance = old[1] + share * (new[1] - old[1])
    return (equity, maintenance) if equity - maintenance > new[0] - new[1] else new


def _snapshot(state: State) -> MarketSnapshot:
    seen = state.market
    index = {Currency(name): Price(float(item.price)) for name, item in seen.index.items()}
    forwards, surfaces = {}, {}
    for name, smiles in seen.smiles.items():
        currency = Currency(name)
        invariant(currency in index, f"an underlying with vols must have an index price, {name} has none")
        alive = [smile for smile in smiles if smile.expiry_ns > seen.time_ns]
        forwards[currency] = ForwardCurve(
            spot=index[currency].value,
            time_ns=seen.time_ns,
            expiries_ns=tuple(smile.expiry_ns for smile in alive),
            forwards=tuple(smile.forward for smile in alive),
        )
        if smiles:
            surfaces[currency] = VolSurface(
                time_ns=seen.time_ns,
                smiles=tuple(
                    Smile(expiry_ns=item.expiry_ns, forward=item.forward, strikes=item.strikes, vols=item.vols)
                    for item in smiles
                ),
            )
    return MarketSnapshot(
        time_ns=seen.time_ns,
        index=index,
        marks={InstrumentId(name): Price(float(item.price)) for name, item in seen.marks.items()},
        forwards=forwards,
        surfaces=surfaces,
    )
