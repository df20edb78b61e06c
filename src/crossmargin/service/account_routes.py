"""Routes that ask about accounts: their rows, one account and its reasons, what would happen, and its past."""

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from crossmargin.engine.engine import Engine
from crossmargin.service import analysis, lists, projection, views
from crossmargin.service.access.guard import caller
from crossmargin.service.history import History
from crossmargin.service.processes.admission import stop_if_admitted
from crossmargin.service.reading import Limit, Since, Until, of_account, projected, read
from crossmargin.service.standings import AccountsQuestion
from crossmargin.service.views import Record


@get("/accounts", sync_to_thread=True, before_request=stop_if_admitted)
def accounts(
    state: State,
    request: Request[Any, Any, State],
    limit: Limit = 100,
    cursor: FromQuery[str | None] = None,
    of_state: Annotated[str | None, QueryParameter(name="state")] = None,
) -> Record:
    """Rows of accounts in alphabetical order, page by page; of the caller's accounts only."""
    who = caller(request)
    asked = AccountsQuestion(limit=limit, cursor=cursor, state=of_state)

    def page(engine: Engine, _: int) -> Record:
        stated = ((name, held.state) for name, held in engine.state.accounts.items())
        names = sorted(asked.wanted(stated, None if who is None else who.may_touch))
        return asked.page(names, lambda name: views.account_row(engine, name))

    return read(state, page)


@get("/accounts/{name:str}", sync_to_thread=True)
def account(state: State, name: FromPath[str]) -> Record:
    """Return an account with its balances, positions and orders."""
    return of_account(state, name, views.account_page)


@get("/accounts/{name:str}/explain", sync_to_thread=True)
def explain(state: State, name: FromPath[str]) -> Record:
    """Return why the account needs what it needs."""
    return of_account(state, name, views.explanation)


@get("/accounts/{name:str}/surface", sync_to_thread=True)
def surface(state: State, name: FromPath[str], underlying: FromQuery[str] = "BTC") -> Record:
    """Return profit and excess over price and vol of one coin."""
    seen = of_account(state, name, _margined_with)
    return analysis.surface_answer(seen.portfolio, seen.market, underlying, seen.method, seen.parameters)


@get("/accounts/{name:str}/compare", sync_to_thread=True)
def compare(state: State, name: FromPath[str]) -> Record:
    """Return the account under every method."""
    seen = of_account(state, name, _margined_with)
    return analysis.comparison_answer(seen.portfolio, seen.market)


@post("/accounts/{name:str}/what-if", sync_to_thread=True, status_code=200)
def what_if(state: State, name: FromPath[str], data: JSONBody[analysis.WhatIfQuestion]) -> Record:
    """Return the account before and after a change."""
    seen = of_account(state, name, _margined_with)
    return analysis.what_if_answer(seen.portfolio, seen.market, data, seen.method, seen.parameters, seen.state)


@get("/accounts/{name:str}/history", sync_to_thread=True)
def history(state: State, name: FromPath[str], since: Since = 0, until: Until = None) -> Record:
    """Return an account's figures over time, minute by minute as they changed; `since` and `until` in ms since 1970."""
    of_account(state, name, lambda _, __: None)
    if state.writer.projector is None:
        kept: History = state.history
        return kept.points(name)
    until_ns = (1 << 62) if until is None else until * 1_000_000 + 999_999
    rows = projection.history(projected(state), name, since * 1_000_000, until_ns)
    return {"account": name, "points": [views.history_point(row) for row in rows]}


@get("/accounts/{name:str}/deleveraging", sync_to_thread=True)
def deleveraging(state: State, name: FromPath[str]) -> Record:
    """Return the account's places in the queues for deleveraging, contract by contract."""
    return of_account(state, name, lists.queue_record)


class _Seen(msgspec.Struct, frozen=True):
    """What a question about an account needs, taken in one look."""

    portfolio: Any
    market: Any
    method: str
    parameters: Any
    state: str


def _margined_with(engine: Engine, name: str) -> _Seen:
    held = engine.state.accounts[name]
    return _Seen(
        engine.portfolio(name), engine.market(), held.method, engine.margin_parameters(held.method), held.state
    )


ACCOUNT_ROUTES = [accounts, account, explain, surface, compare, what_if, history, deleveraging]
