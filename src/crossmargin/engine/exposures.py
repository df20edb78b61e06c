"""The float mirror of what the ledger records: accounts in columns, kept in step, and where every one stands.

Everything here is derived and can be thrown away. What has no columns is computed by `engine.definition`, which gives
the same bits.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from crossmargin.engine.book import Book, Health
from crossmargin.engine.columns import (
    BookColumns,
    book_columns,
    columns_of,
    figures,
    margin_columns,
    mark_to_market,
    post_balance,
    post_holding,
    worst_deficit,
)
from crossmargin.engine.crowd import MANY, Crowd, lined_up
from crossmargin.engine.definition import Definition
from crossmargin.engine.grid_market import GridMarket, MarketLayout, grid_market, market_layout
from crossmargin.engine.headroom import Headrooms
from crossmargin.engine.margin_rules import MarginRules
from crossmargin.engine.market_view import GOOD, MarketView
from crossmargin.engine.rechecking import recheck, summed
from crossmargin.engine.resting import AccountOrders
from crossmargin.engine.state import State
from crossmargin.errors import InvariantError, known
from crossmargin.margin.grid_columns import grid_columns
from crossmargin.margin.grid_kernels import EQUITY, INITIAL, MAINTENANCE, WORTH
from crossmargin.margin.scenario_grid import ScenarioGridParameters
from crossmargin.units import USD, BoolArray, FloatArray, IntArray


class Exposures:
    """Mirror of a `State`; `market_changed` and `account_changed` say what to compute anew."""

    def __init__(self, state: State, view: MarketView, rules: MarginRules, definition: Definition) -> None:
        self._state, self._view, self._rules, self._definition = state, view, rules, definition
        self._health: dict[str, Health] = {}
        self._grids: dict[int, GridMarket] = {}
        self._books: dict[str, BookColumns | None] = {}
        self._crowd: tuple[tuple[str, ...], Crowd] | None = None
        """Accounts that were asked for together, and those of them that have columns."""
        self._asked: tuple[Sequence[str], tuple[str, ...]] = (), ()
        """The names that were asked for last, and those of them that can be lined up."""
        self._standing: Crowd | None = None
        """The same, while its figures are those of now except for `_disturbed` accounts."""
        self._disturbed: set[str] = set()
        self._unaudited: set[str] = set()
        self._shape: object = None
        self._rows: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        """Rows of instruments and numbers of currencies in `_books`."""
        self._trusted: BoolArray | None = None
        self._headrooms = Headrooms()
        self._out = np.empty(4)
        self._layout: MarketLayout | None = None

    def market_changed(self) -> None:
        """Forget everything that depends on prices."""
        self._view.prices_changed()
        self._rules.prices_changed()
        self.open_interest_changed()
        self.quality_changed()

    def quality_changed(self) -> None:
        """Forget which prices may back new risk."""
        self._trusted = None
        self._headrooms.forget_all()
        self._view.quality_changed()

    def parameters_changed(self) -> None:
        """Forget everything that depends on parameters."""
        self._rules.parameters_changed()
        self.market_changed()

    def listing_changed(self, instrument_id: str) -> None:
        """Forget the terms of a contract."""
        self._view.listing_changed(instrument_id)
        self._books.clear()
        self._crowd = None
        self.market_changed()

    def assets_changed(self) -> None:
        """Forget what is known of assets once prices change."""
        self._layout = None

    def account_changed(self, account: str) -> None:
        """Forget what an account holds, and its figures."""
        self._unaudited.add(account)
        self._disturbed.add(account)
        self._health.pop(account, None)
        self._headrooms.forget(account)
        self._books.pop(account, None)

    def balance_changed(self, account: str, asset: str) -> None:
        """Note that one balance of an account changed."""
        self._unaudited.add(account)
        self._disturbed.add(account)
        self._health.pop(account, None)
        self._headrooms.forget(account)
        book = self._books.get(account)
        if book is not None and not post_balance(book, self._state.ledger, account, asset, self._numbers):
            del self._books[account]

    def holding_changed(self, account: str, instrument_id: str, settle: str) -> None:
        """Note that an account's holding of one contract changed, and its balance of what that settles in."""
        self.balance_changed(account, settle)
        book = self._books.get(account)
        if book is not None:
            holding, terms = self._state.ledger.holding(account, instrument_id), self._view.terms(instrument_id)
            if not post_holding(book, holding, self._rows.get(instrument_id, -1), terms.lot_size):
                del self._books[account]

    def open_interest_changed(self) -> None:
        """Forget what depends on everybody's open interest."""
        self._standing = None
        self._health.clear()
        self._grids.clear()
        self._headrooms.forget_all()

    def expect_open_interest(self, instrument_id: str, lots: int) -> None:
        """Let open interest count `lots` more until told otherwise, where margin depends on it."""
        if self._state.listings[instrument_id].open_interest_rate:
            self._definition.expect_open_interest(instrument_id, lots)
            self.open_interest_changed()

    def health(self, account: str) -> Health:
        """Return where the account stands; cached until it or the market changes."""
        found = self._health.get(account)
        if found is None:
            found = self._in_the_crowd(account) or self._own_figures(account)
            found = self._health[account] = found or self.examine(account, self._definition.book(account))
        return found

    def line_up(self, names: Sequence[str]) -> Crowd | None:
        """Margin accounts side by side, and return those for which that can be done; None if it is not worth it.

        `is_standing` says of which accounts the figures still hold.
        """
        if len(names) < MANY:
            return None
        accounts = self._state.accounts
        if self._asked[0] is not names:
            self._asked = names, tuple(name for name in names if accounts[name].method == "scenario_grid")
        asked = self._asked[1]
        market = self._columnar(asked[0]) if len(asked) >= MANY else None
        if market is None:
            return None
        if not self._crowd_follows(asked, market):
            for name in asked:
                if name not in self._books:
                    self._books[name] = book_columns(self._state.ledger, name, market)
            books = {name: book for name in asked if (book := self._books[name]) is not None}
            if not books:
                return None
            credit = [float(accounts[name].credit_line) for name in books]
            self._crowd = asked, lined_up(tuple(books), tuple(books.values()), credit, len(market.numbers))
        found = self._standing = known(self._crowd, "crowd lined up")[1]
        self._disturbed.clear()
        found.margin(market)
        return found

    def _crowd_follows(self, asked: tuple[str, ...], market: GridMarket) -> bool:
        """Bring the accounts that changed up to date in the crowd; return False if it must be lined up anew."""
        if self._crowd is None or self._crowd[0] != asked:
            return False
        crowd, asked_for = self._crowd[1], set(asked)
        for name in sorted(self._disturbed):
            if name not in asked_for:
                continue
            book = self._books.get(name)
            if book is None:
                book = self._books[name] = book_columns(self._state.ledger, name, market)
            if name in crowd.places and book is not None:
                if not crowd.patch(name, book, float(self._state.accounts[name].credit_line)):
                    return False
            elif name in crowd.places or book is not None:
                return False
        return True

    def is_standing(self, account: str) -> bool:
        """Return whether what `line_up` found of an account is still true."""
        return self._standing is not None and account not in self._disturbed

    def _in_the_crowd(self, account: str) -> Health | None:
        crowd = self._standing
        place = None if crowd is None or account in self._disturbed else crowd.places.get(account)
        if crowd is None or place is None or not crowd.fits[place]:
            return None
        return self._health_of(account, crowd.figures[place].tolist())

    def examine(self, account: str, book: Book) -> Health:
        """Return where the account would stand with `book`."""
        market = self._columnar(account)
        if market is not None:
            columns = columns_of(book, market)
            if columns is not None:
                return self._figures(account, market, *columns)
        return self._definition.examine(account, book)

    def take_unaudited(self) -> set[str]:
        """Return the accounts whose record has changed since this was last asked."""
        found, self._unaudited = self._unaudited, set()
        return found

    def recomputed(self, names: Iterable[str]) -> Iterator[tuple[str, Health, bool]]:
        """Yield where accounts stand, from the ledger alone, and whether their columns were what the ledger says."""
        books: dict[str, BookColumns] = {}
        market = None
        for name in names:
            grid, book = self._grid(name), self._books.get(name)
            if grid is not None and book is not None:
                market, books[name] = grid, book
            else:
                self._forget_columns(name)
                yield name, self._own_figures(name) or self.examine(name, self._definition.book(name)), True
        if market is None:
            return
        found = recheck(self._state.ledger, tuple(books), tuple(books.values()), market)
        rechecked = zip(books.items(), found.true.tolist(), found.fit.tolist(), found.figures.tolist(), strict=True)
        for (name, book), is_true, fits, found_figures in rechecked:
            book.marked = None
            if not is_true:
                self._forget_columns(name)
            if is_true and fits and self._columnar(name) is market:
                yield name, self._health_of(name, found_figures), True
            else:
                yield name, self._own_figures(name) or self.examine(name, self._definition.book(name)), is_true

    def holding_sums(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the sums of lots and of costs per contract over everybody; from columns, where accounts have them."""
        ledger = self._state.ledger
        books = {name: book for name in ledger.holdings if (book := self._books.get(name)) is not None}
        lots, costs = summed(tuple(books.values()), tuple(self._rows))
        for name in ledger.holdings.keys() - books.keys():
            for instrument_id, holding in ledger.holdings[name].items():
                lots[instrument_id] = lots.get(instrument_id, 0) + holding.lots
                costs[instrument_id] = costs.get(instrument_id, 0) + holding.cost
        return lots, costs

    def _forget_columns(self, account: str) -> None:
        self._books.pop(account, None)
        self._disturbed.add(account)

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
        if market is None:
            return None
        own_order = more[0] if book is None and len(more) == 1 else None
        if own_order is not None:
            bound = self._headrooms.suffices(market, account, own_order, enough)
            if bound is not None:
                return bound
        columns = self._book_in_columns(account, book, market)
        if columns is None:
            return None
        orders, sizes, prices = resting.columns(market.rows, self._shape, more)
        if self._trusted is None:
            self._trusted = np.array([self._view.index_quality(name) == GOOD for name in market.numbers])
        reach = np.empty(len(market.numbers) + 2)
        floats, integers = market.grid
        rows, quantities, cash = columns
        deficit = float(
            worst_deficit(floats, integers, rows, quantities, cash, self._trusted, orders, sizes, prices, enough, reach)
        )
        if own_order is not None:
            self._headrooms.computed(market, account, own_order, reach)
        return deficit

    def order_placed(self, account: str, order: tuple[str, float, float]) -> None:
        """Note that an account has one more open order: instrument, signed contracts and price."""
        self._headrooms.placed(account, order)

    def _columnar(self, account: str) -> GridMarket | None:
        """Return the market for an account whose figures are computed in columns, or None."""
        method = self._state.accounts[account].method
        versions = self._state.margin.get(method, ())
        if len(versions) > 1:
            number = self._rules.in_force(method)[-1]
            if number and self._rules.settled_share(method, number) < 1.0:
                return None
        return self._grid(account)

    def _grid(self, account: str) -> GridMarket | None:
        method = self._state.accounts[account].method
        if method != "scenario_grid":
            return None
        number = self._rules.in_force(method)[-1]
        found = self._grids.get(number)
        if found is None:
            found = self._grids[number] = self._new_grid(number)
            if found.shape != self._shape:
                self._shape, self._rows, self._numbers = found.shape, found.rows, found.numbers
                self._books.clear()
                self._crowd = None
        return found

    def _new_grid(self, number: int) -> GridMarket:
        parameters, risk = self._rules.risk("scenario_grid", number)
        if not isinstance(parameters, ScenarioGridParameters) or risk is None:
            raise InvariantError("scenario_grid must have its own parameters, and scenarios")
        names = sorted({*self._state.market.index, USD})
        if self._layout is None or not self._layout.fits(risk.instruments, names):
            listed = [name for name in risk.rows if name in self._state.listings]
            self._layout = market_layout(
                risk,
                names,
                {name: self._view.terms(name) for name in listed},
                {name: terms.quantum for name, terms in self._state.assets.items()},
            )
        layout = self._layout
        rates = np.zeros(len(layout.rows))
        for name, listing in self._state.listings.items():
            if listing.open_interest_rate and name in layout.rows:
                rates[layout.rows[name]] = self._definition.open_interest_rate(name)
        return grid_market(
            grid_columns(risk, self._view.snapshot(), parameters, names, rates, layout.columns),
            layout,
            {name: known(self._view.mark(name), "mark of", name) for name in layout.marked},
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
        return columns_of(self._definition.book(account) if book is None else book, market)

    def _own_figures(self, account: str) -> Health | None:
        market = self._columnar(account)
        if market is None:
            return None
        if account not in self._books:
            self._books[account] = book_columns(self._state.ledger, account, market)
        book = self._books[account]
        if book is None or not margin_columns(book, market, self._out):
            return None
        return self._health_of(account, self._out.tolist())

    def _figures(
        self, account: str, market: GridMarket, rows: IntArray, quantities: FloatArray, cash: FloatArray
    ) -> Health:
        figures(*market.grid, rows, quantities, cash, self._out)
        return self._health_of(account, self._out.tolist())

    def _health_of(self, account: str, figures: list[float]) -> Health:
        """Return what `margin_book` says of an account, with its credit line."""
        line = self._state.accounts[account].credit_line
        credit = float(line) if line else 0.0
        return Health(figures[EQUITY] + credit, figures[INITIAL], figures[MAINTENANCE], figures[WORTH])
