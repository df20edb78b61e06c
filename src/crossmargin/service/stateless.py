"""Margin and comparison of books that nobody holds here: no account is needed and nothing is kept but risk arrays.

A book comes as ``crossmargin schema book`` states it. Without a market of its own it is margined in the engine's; the
risk array of that market is built once and grows with the instruments that are asked for, until the market moves.
"""

import functools
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import scipy.special  # noqa: F401  (vols of quotes need it, and whoever asks first does not wait for it)

from crossmargin.errors import InputError
from crossmargin.files.book import portfolios
from crossmargin.files.book_tables import BookTables
from crossmargin.files.market import snapshot
from crossmargin.files.market_tables import MarketTables
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Instrument
from crossmargin.margin import scenario_grid
from crossmargin.margin.grid_books import GridBooks
from crossmargin.margin.method import Method, Parameters, Requirement
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.margin.requirements import held_instruments, risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.service import analysis, views
from crossmargin.service.views import Record
from crossmargin.units import InstrumentId

MOST_INSTRUMENTS = 5_000
"""Instruments that may be added to the risk array of the engine's market before it is begun anew."""
MOST_ACCOUNTS = 1_000
GRID = scenario_grid.METHOD
_shipped = functools.cache(read_parameters)


class MarginQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A book, and a market where it is not the engine's; `method` goes before what accounts name themselves."""

    book: BookTables
    market: MarketTables | None = None
    method: str | None = None
    explain: bool = False


class CompareQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A book of one account, and a market where it is not the engine's."""

    book: BookTables
    market: MarketTables | None = None


class RiskArrays:
    """Risk arrays of the latest market, one per method, which grow with what is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._market: MarketSnapshot | None = None
        self._held: dict[str, RiskArray] = {}
        self._most = MOST_INSTRUMENTS
        self._plain: tuple[RiskArray, GridBooks] | None = None

    def holds(self, question: MarginQuestion, market: MarketSnapshot) -> bool:
        """Whether no row has to be built for a book that names its contracts canonically."""
        names = [row.instrument for row in question.book.positions]
        names += [row.currency for row in question.book.balances]
        used = {question.method or row.method or DEFAULT_METHOD for row in question.book.accounts}
        with self._lock:
            return self._market is market and all(
                (known := self._held.get(method)) is not None and all(name in known.rows for name in names)
                for method in used
            )

    def of(
        self, book: list[Portfolio], market: MarketSnapshot, method: Method[Any], parameters: Parameters
    ) -> RiskArray | None:
        """Return an array that holds everything in `book`; another market than the last begins anew."""
        with self._lock:
            if self._market is not market:
                self._market, self._held = market, {}
            known = self._held.get(method.name)
            if known is not None and all(_names(each) <= known.rows.keys() for each in book):
                return known
            wanted: dict[InstrumentId, Instrument] = {InstrumentId(item.id): item for item in held_instruments(book)}
            scenarios = method.scenarios(market, parameters) if known is None else known.scenarios
            if scenarios is None:
                return None
            if known is None or len(known.instruments) > self._most:
                found = risk_array(wanted.values(), market, scenarios)
            else:
                missing = [item for name, item in wanted.items() if name not in known.rows]
                found = _together(known, risk_array(missing, market, scenarios))
            self._held[method.name] = found
            return found

    def plain(self, market: MarketSnapshot) -> GridBooks | None:
        """Return the columns for plain books under `scenario_grid`; None where no array of `market` is known yet."""
        with self._lock:
            risk = self._held.get(GRID.name) if self._market is market else None
            if risk is None:
                return None
            if self._plain is None or self._plain[0] is not risk:
                self._plain = risk, GridBooks.on(risk, market, _shipped(GRID))
            return self._plain[1]

    def begin(self, market: MarketSnapshot, arrays: Mapping[str, RiskArray]) -> None:
        """Go on with another market, of which risk arrays are known by method."""
        with self._lock:
            self._market, self._held = market, dict(arrays)
            self._most = MOST_INSTRUMENTS + max((len(each.instruments) for each in arrays.values()), default=0)


def _together(one: RiskArray, other: RiskArray) -> RiskArray:
    """Return the rows of both in the order of ids; no row hangs on another."""
    instruments = one.instruments + other.instruments
    order = sorted(range(len(instruments)), key=lambda row: instruments[row].id)
    return RiskArray(
        instruments=tuple(instruments[row] for row in order),
        scenarios=one.scenarios,
        pnl=np.concatenate((one.pnl, other.pnl))[order],
        delta=np.concatenate((one.delta, other.delta))[order],
    )


def _names(portfolio: Portfolio) -> set[str]:
    """Name contracts and cash; an array that has a contract's row has those of the coins that it is about and paid in."""
    names: set[str] = {item.instrument.id for item in portfolio.positions}
    names |= {item.instrument.id for item in portfolio.orders}
    return names | {balance.currency for balance in portfolio.balances}


def margin_answer(question: MarginQuestion, market: MarketSnapshot, arrays: RiskArrays) -> Record:
    """Return a row per account of the question's book, in its order; `market` holds where the question has none."""
    plain = _plain_rows(question, market, arrays)
    if plain is not None:
        return {"time": views.wire_time(market.time_ns), "accounts": plain}
    given = None if question.market is None else snapshot(question.market)
    book = portfolios(question.book, given or market)
    if not 0 < len(book) <= MOST_ACCOUNTS:
        raise InputError(f"a book must have 1 to {MOST_ACCOUNTS} accounts, had {len(book)}")
    rows: dict[str, Record] = {}
    methods = {str(each.account): question.method or book.method_of(each.account) for each in book}
    for name in dict.fromkeys(methods.values()):
        method = method_named(name)
        part = [each for each in book if methods[str(each.account)] == name]
        parameters = _shipped(method)
        risk = (
            arrays.of(part, market, method, parameters) if given is None else risk_for(part, given, method, parameters)
        )
        for portfolio in part:
            result = account_requirement(portfolio, given or market, risk, method, parameters)
            rows[str(portfolio.account)] = _row(result, explain=question.explain)
    return {
        "time": views.wire_time((given or market).time_ns),
        "accounts": [rows[str(each.account)] for each in book],
    }


def _plain_rows(question: MarginQuestion, market: MarketSnapshot, arrays: RiskArrays) -> list[Record] | None:
    """Return the rows of a book that can be margined in columns, to the same bits; None of any other."""
    book = question.book
    if question.explain or question.market is not None or book.orders or not 0 < len(book.accounts) <= MOST_ACCOUNTS:
        return None
    books = arrays.plain(market)
    if books is None:
        return None
    positions: dict[str, list[tuple[str, float, float | None]]] = {}
    balances: dict[str, list[tuple[str, float]]] = {}
    for row in book.accounts:
        if row.parent is not None or (question.method or row.method or DEFAULT_METHOD) != GRID.name:
            return None
        positions[row.account], balances[row.account] = [], []
    try:
        for held in book.positions:
            if held.unit != "contracts" or held.isolated_group is not None:
                return None
            positions[held.account].append((held.instrument, held.quantity, held.entry_price))
        for owned in book.balances:
            balances[owned.account].append((owned.currency, owned.amount))
    except KeyError:  # an account that is not listed
        return None
    if len(positions) < len(book.accounts):
        return None
    rows = []
    for account, held_there in positions.items():
        found = books.figures(held_there, balances[account])
        if found is None:
            return None
        rows.append(views.figures_row(account, GRID.name, found))
    return rows


def _row(result: Requirement, *, explain: bool) -> Record:
    row = views.requirement_row(result, "")
    del row["state"]
    if explain:
        row["tree"] = views.requirement_tree(result)
    return row


def compare_answer(question: CompareQuestion, market: MarketSnapshot) -> Record:
    """Return the question's one account under every method."""
    given = market if question.market is None else snapshot(question.market)
    book = portfolios(question.book, given)
    if len(book) != 1:
        raise InputError(f"a comparison must have one account, had {len(book)}")
    return analysis.comparison_answer(book[0], given)
