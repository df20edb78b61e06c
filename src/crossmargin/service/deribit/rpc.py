"""JSON-RPC 2.0 as Deribit speaks it: methods by name, one envelope, errors by number."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from crossmargin.errors import CrossMarginError, InputError, MarketDataError
from crossmargin.service.access.rate_limits import TooManyError
from crossmargin.service.command_queue import Busy
from crossmargin.service.deribit import account as accounts
from crossmargin.service.deribit import market, order_state, orders, positions, risk_matrix, simulation
from crossmargin.service.deribit.call import Call, Method, Params
from crossmargin.service.deribit.credentials import Credentials, Grant, NoKeys, Tokens, authenticate, grant_of_header
from crossmargin.service.deribit.errors import DeribitError, Record, invalid_params, method_not_found, unauthorized
from crossmargin.service.deribit.history import History
from crossmargin.service.writer import Starting, Writer
from crossmargin.store.journal import UnwrittenError

VERSION = "crossmargin"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came; what it asks is checked when it is answered."""

    method: str
    params: dict[str, Any] = {}
    id: int | str | None = None
    jsonrpc: str = "2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What answers: the writer, the history told by its events, the keys, and the tokens given out."""

    writer: Writer
    history: History = field(default_factory=History)
    credentials: Credentials = field(default_factory=NoKeys)
    tokens: Tokens = field(default_factory=Tokens)


def open_desk(writer: Writer, credentials: Credentials | None = None) -> Desk:
    """Return a desk that knows the orders that are open; without `credentials` a client id is an account's name."""
    desk = Desk(writer=writer, credentials=credentials or NoKeys())
    writer.when_open(desk.history.begin)
    writer.listen(lambda: desk.history.keep_up(writer))
    return desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What came with a request besides the question."""

    authorization: str | None = None
    method: str = "POST"
    uri: str = ""
    body: bytes = b""
    address: str = "unknown"
    grant: Grant | None = None
    """What a connection has authenticated as."""


METHODS: dict[str, Method] = {
    "public/get_time": lambda call: call.now_ms,
    "public/test": lambda _: {"version": VERSION},
    "public/hello": lambda _: {"version": VERSION},
    "public/status": lambda _: {"locked": "false", "locked_indices": []},
    "public/get_currencies": market.get_currencies,
    "public/get_instruments": market.get_instruments,
    "public/get_instrument": market.get_instrument,
    "public/get_contract_size": market.get_contract_size,
    "public/get_index_price": market.get_index_price,
    "public/get_index_price_names": market.get_index_price_names,
    "public/ticker": market.ticker,
    "public/get_order_book": market.get_order_book,
    "public/get_book_summary_by_currency": market.get_book_summary_by_currency,
    "public/get_book_summary_by_instrument": market.get_book_summary_by_instrument,
    "private/get_account_summary": accounts.get_account_summary,
    "private/get_account_summaries": accounts.get_account_summaries,
    "private/get_subaccounts": accounts.get_subaccounts,
    "private/get_positions": positions.get_positions,
    "private/get_position": positions.get_position,
    "private/simulate_portfolio": simulation.simulate_portfolio,
    "private/get_margins": simulation.get_margins,
    "private/pme/simulate": risk_matrix.simulate,
    "private/buy": orders.buy,
    "private/sell": orders.sell,
    "private/cancel": orders.cancel,
    "private/cancel_all": orders.cancel_all,
    "private/cancel_all_by_currency": orders.cancel_all_by_currency,
    "private/cancel_all_by_instrument": orders.cancel_all_by_instrument,
    "private/cancel_by_label": orders.cancel_by_label,
    "private/get_order_state": order_state.get_order_state,
    "private/get_open_orders": order_state.get_open_orders,
    "private/get_open_orders_by_currency": order_state.get_open_orders_by_currency,
    "private/get_open_orders_by_instrument": order_state.get_open_orders_by_instrument,
    "private/get_order_history_by_currency": order_state.get_order_history_by_currency,
    "private/get_order_history_by_instrument": order_state.get_order_history_by_instrument,
    "private/get_user_trades_by_order": order_state.get_user_trades_by_order,
    "private/get_user_trades_by_currency": order_state.get_user_trades_by_currency,
    "private/get_user_trades_by_instrument": order_state.get_user_trades_by_instrument,
    "private/get_user_trades_by_currency_and_time": order_state.get_user_trades_by_currency,
    "private/get_user_trades_by_instrument_and_time": order_state.get_user_trades_by_instrument,
}
"""What is answered over any transport; subscriptions need a connection."""


def now_us() -> int:
    """Return the time of the clock on the wall in microseconds."""
    return time.time_ns() // 1000


def answer(desk: Desk, question: Question, caller: Caller) -> Record:
    """Return the answer to a question, which may be an error."""
    started_us = now_us()
    try:
        found: Record = {"result": result(desk, question, caller)}
    except Exception as error:
        known = deribit_error(error)
        if known is None:
            raise
        found = {"error": known.record()}
    return envelope(question.id, found, started_us)


def result(desk: Desk, question: Question, caller: Caller) -> object:
    """Return what a method answers.

    Raises
    ------
    DeribitError
        If there is no such method, or nobody known asks a private one.
    """
    now_ms, params = now_us() // 1000, Params(question.params)
    if question.method == "public/auth":
        return desk.tokens.issue(authenticated(desk, params, now_ms, caller.address), now_ms)
    method = METHODS.get(question.method)
    grant = None
    if method and question.method.startswith("private/"):
        try:
            grant = _caller(desk, params, caller, now_ms)
        except DeribitError:
            # who is not known weighs on where he comes from
            desk.credentials.admit(None, question.method, {}, caller.address)
            raise
    desk.credentials.admit(grant, question.method, question.params, caller.address)
    if method is None:
        raise method_not_found(question.method)
    account = None if grant is None else grant.account
    return method(Call(writer=desk.writer, history=desk.history, params=params, account=account, now_ms=now_ms))


def authenticated(desk: Desk, params: Params, now_ms: int, address: str) -> Grant:
    """Return what ``public/auth`` is asked for; a key that has ended is given no token for an old one."""
    grant = authenticate(params, desk.credentials, desk.tokens, now_ms, address)
    desk.credentials.admit(grant, "public/auth", {}, address)
    return grant


def _caller(desk: Desk, params: Params, caller: Caller, now_ms: int) -> Grant:
    """Find out who asks: by a token among the parameters, by the header, or by the connection."""
    if "access_token" in params.given:
        found = desk.tokens.grant(params.text("access_token"), now_ms)
        if found is None:
            raise unauthorized("the token is unknown or too old")
        return found
    if caller.authorization is not None:
        return grant_of_header(
            caller.authorization,
            desk.credentials,
            desk.tokens,
            now_ms,
            caller.method,
            caller.uri,
            caller.body,
            caller.address,
        )
    if caller.grant is None:
        raise unauthorized("a private method needs credentials")
    return caller.grant


def deribit_error(error: Exception) -> DeribitError | None:
    """Return Deribit's error for one of ours; None for what nobody foresaw."""
    match error:
        case DeribitError():
            return error
        case InputError():
            return invalid_params("", str(error))
        case MarketDataError():
            return DeribitError(10040, "retry", {"reason": str(error)})
        case Starting():
            return DeribitError(11051, "system_maintenance", {"reason": str(error)})
        case TooManyError():
            return DeribitError(10028, "too_many_requests", {"wait": math.ceil(1000 * error.wait_seconds)})
        case UnwrittenError() | TimeoutError():
            return DeribitError(10040, "retry", {"reason": str(error) or "the engine did not answer in time"})
        case Busy():
            return DeribitError(10047, "matching_engine_queue_full", {"reason": str(error)})
        case CrossMarginError():
            return DeribitError(11094, "internal_server_error")
        case _:
            return None


def envelope(question_id: int | str | None, found: Mapping[str, Any], started_us: int) -> Record:
    """Return an answer with its times."""
    ended_us = now_us()
    head: Record = {"jsonrpc": "2.0"} if question_id is None else {"jsonrpc": "2.0", "id": question_id}
    return {**head, **found, "usIn": started_us, "usOut": ended_us, "usDiff": ended_us - started_us, "testnet": False}
