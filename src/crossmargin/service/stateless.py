"""Margin and comparison of books that nobody holds here: no account is needed and nothing is kept but risk arrays.

A book comes as ``crossmargin schema book`` states it. Without a market of its own it is margined in the engine's; the
risk array of that market is built once and grows with the instruments that are asked for, until the market moves.
"""

import functools
import threading
from typing import Any

import anyio.to_thread
import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.params import JSONBody

from crossmargin.errors import InputError
from crossmargin.files.book import portfolios
from crossmargin.files.book_tables import BookTables
from crossmargin.files.market import snapshot
from crossmargin.files.market_tables import MarketTables
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Instrument
from crossmargin.margin.method import Method, Parameters, Requirement
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.margin.requirements import held_instruments, risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.service import analysis, views
from crossmargin.service.views import Record
from crossmargin.service.writer import Writer
from crossmargin.units import InstrumentId

MOST_INSTRUMENTS = 5_000
"""Instruments that the engine's market's risk array may hold before it is begun anew."""
MOST_ACCOUNTS = 1_000
MOST_AT_ONCE = 64
"""Positions and balances of a book that is margined without a thread of its own; open orders are never."""
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
            scenarios = method.scenarios(market, parameters)
            if scenarios is None:
                return None
            if known is not None and len(known.instruments) <= MOST_INSTRUMENTS:
                wanted |= {InstrumentId(item.id): item for item in known.instruments}
            self._held[method.name] = risk_array(wanted.values(), market, scenarios)
            return self._held[method.name]


def _names(portfolio: Portfolio) -> set[str]:
    """Name contracts and cash; an array that has a contract's row has those of the coins that it is about and paid in."""
    names: set[str] = {item.instrument.id for item in portfolio.positions}
    names |= {item.instrument.id for item in portfolio.orders}
    return names | {balance.currency for balance in portfolio.balances}


def margin_answer(question: MarginQuestion, market: MarketSnapshot, arrays: RiskArrays) -> Record:
    """Return a row per account of the question's book, in its order; `market` holds where the question has none."""
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


def _market(state: State) -> MarketSnapshot:
    writer: Writer = state.writer
    with writer.lock:
        return writer.engine.market()


@post("/margin", status_code=200)
async def margin(state: State, data: JSONBody[MarginQuestion]) -> Record:
    """Return the requirement of every account of a book that is nobody's here."""
    # a thread costs as much as a small book's margin, so that is found at once where nothing has to be waited for
    market = _market_at_once(state) if _is_small(data) else None
    if market is not None and state.risk_arrays.holds(data, market):
        return margin_answer(data, market, state.risk_arrays)
    return await anyio.to_thread.run_sync(lambda: margin_answer(data, _market(state), state.risk_arrays))


def _is_small(question: MarginQuestion) -> bool:
    rows = len(question.book.positions) + len(question.book.balances) + MOST_AT_ONCE * len(question.book.orders)
    return question.market is None and rows <= MOST_AT_ONCE


def _market_at_once(state: State) -> MarketSnapshot | None:
    """Return the engine's market unless somebody holds the engine."""
    writer: Writer = state.writer
    if not writer.lock.acquire(blocking=False):
        return None
    try:
        return writer.engine.market()
    finally:
        writer.lock.release()


@post("/compare", sync_to_thread=True, status_code=200)
def compare(state: State, data: JSONBody[CompareQuestion]) -> Record:
    """Return a book of one account under every method."""
    return compare_answer(data, _market(state))
