"""Routes that change something: orders, deposits and withdrawals, each once for its key."""

import asyncio
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response, delete, post
from litestar.datastructures import State
from litestar.params import FromPath, HeaderParameter, JSONBody

from crossmargin.engine.commands import CancelOrder, Deposit, PlaceOrder, Withdraw
from crossmargin.engine.engine import Engine
from crossmargin.errors import InputError
from crossmargin.service.access.api import waits
from crossmargin.service.access.guard import caller
from crossmargin.service.access.roles import Principal
from crossmargin.service.commands import answered, command_id, outcome
from crossmargin.service.reading import NotHereError, of_account
from crossmargin.service.views import Record

Asked = TypeVar("Asked", bound=PlaceOrder | Deposit | Withdraw)
Key = Annotated[str, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=100)]


@post("/orders", status_code=200)
async def orders(
    state: State, request: Request[Any, Any, State], key: Key, data: JSONBody[dict[str, Any]]
) -> Response[Record]:
    """Place an order; the same key with the same content places it once."""
    status, found = await placed(state, caller(request), key, data)
    return Response(found, status_code=status)


async def placed(state: State, who: Principal | None, key: str, data: dict[str, Any]) -> tuple[int, Record]:
    """Place an order, and return the status and the body of the answer."""
    return await outcome(state.writer, _command(who, key, data, PlaceOrder))


@delete("/accounts/{name:str}/orders/{order:str}", status_code=200)
async def cancel(
    state: State, request: Request[Any, Any, State], key: Key, name: FromPath[str], order: FromPath[str]
) -> Response[Record]:
    """Cancel an open order of the account; the same key cancels it once."""
    writer, named = state.writer, command_id(caller(request), key)

    def is_known(engine: Engine, account: str) -> bool:
        found = engine.state.orders.get(order)
        return engine.has_applied(named) or (found is not None and found.account == account)

    if not await asyncio.to_thread(of_account, state, name, is_known):
        raise NotHereError(f"an order must be open, {name} has none called {order}")
    return await answered(writer, CancelOrder(id=named, order=order))


@post("/deposits", status_code=200)
async def deposits(
    state: State, request: Request[Any, Any, State], key: Key, data: JSONBody[dict[str, Any]]
) -> Response[Record]:
    """Credit money."""
    return await _asked(state, request, key, data, Deposit)


@post("/withdrawals", status_code=200)
async def withdrawals(
    state: State, request: Request[Any, Any, State], key: Key, data: JSONBody[dict[str, Any]]
) -> Response[Record]:
    """Pay money out."""
    return await _asked(state, request, key, data, Withdraw)


async def _asked(
    state: State, request: Request[Any, Any, State], key: str, data: dict[str, Any], kind: type[Deposit | Withdraw]
) -> Response[Record]:
    who = caller(request)
    command: Deposit | Withdraw = _command(who, key, data, kind)
    waiting = waits(state, who, command) if isinstance(command, Withdraw) else None
    return await answered(state.writer, command) if waiting is None else waiting


def _command(who: Principal | None, key: str, data: dict[str, Any], kind: type[Asked]) -> Asked:
    if "id" in data or "type" in data:
        raise InputError("a command is named by its Idempotency-Key, the body held an id or a type")
    return msgspec.convert({**data, "id": command_id(who, key), "type": kind.__name__}, type=kind)


COMMAND_ROUTES = [orders, cancel, deposits, withdrawals]
