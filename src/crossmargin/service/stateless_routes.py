"""Routes for books that nobody holds here: margin, and every method side by side; see `stateless` for the answers."""

import anyio.to_thread
from litestar import post
from litestar.datastructures import State
from litestar.params import JSONBody

from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.service.processes.admission import stop_if_admitted
from crossmargin.service.stateless import CompareQuestion, MarginQuestion, compare_answer, margin_answer
from crossmargin.service.views import Record
from crossmargin.service.writer import Writer

MOST_AT_ONCE = 64
"""Positions and balances of a book that is margined without a thread of its own; open orders are never."""


def _market(state: State) -> MarketSnapshot:
    writer: Writer = state.writer
    with writer.lock:
        return writer.engine.market()


@post("/margin", status_code=200, before_request=stop_if_admitted)
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


@post("/compare", sync_to_thread=True, status_code=200, before_request=stop_if_admitted)
def compare(state: State, data: JSONBody[CompareQuestion]) -> Record:
    """Return a book of one account under every method."""
    return compare_answer(data, _market(state))
