"""Routes of whoever runs the house: its other commands, as a matching engine, a custodian or an operator asks for them.

Orders, deposits, withdrawals and parameters have routes of their own, and time is the clock's or the feeds'. What takes an
account's money, changes the rules or moves time waits for a second owner; what must not wait (a halt, a fill, a
price) is done at once.
"""

import asyncio
from typing import Annotated, Any, TypeAlias, get_args

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import HeaderParameter, JSONBody

from crossmargin.engine import commands as ask
from crossmargin.errors import InputError
from crossmargin.service.access.api import waits
from crossmargin.service.access.approvals import FourEyes
from crossmargin.service.access.guard import caller
from crossmargin.service.clock import NS, Clock
from crossmargin.service.commands import answered, command_id
from crossmargin.service.views import Record, wire_time

Key = Annotated[str, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=100)]
AtOnce: TypeAlias = (
    ask.Halt
    | ask.Resume
    | ask.RunAudit
    | ask.Reconcile
    | ask.OpenAccount
    | ask.CloseAccount
    | ask.CancelOrder
    | ask.CancelAllOrders
    | ask.RecordTrade
    | ask.FillLiquidation
    | ask.UpdateMarket
    | ask.ApplyFunding
    | ask.SettleVariation
    | ask.AccrueInterest
    | ask.RecordSettlementSample
    | ask.Expire
    | ask.FundLayer
)
Waiting: TypeAlias = (
    ask.AdvanceTime
    | ask.ListAsset
    | ask.ListInstrument
    | ask.TransferFunds
    | ask.ReverseDeposit
    | ask.ChargeFee
    | ask.SetCreditLine
    | ask.RegisterBackstop
)
OPERATED = {kind.__name__: kind for kind in (*get_args(AtOnce), *get_args(Waiting))}


class Bid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who bids, and for whom."""

    account: str
    auctioned: str


@post("/commands", status_code=200)
async def commands(
    state: State, request: Request[Any, Any, State], key: Key, data: JSONBody[dict[str, Any]]
) -> Response[Record]:
    """Ask for a command of the house by its `type`; the same key with the same content counts once."""
    who = caller(request)
    kind = OPERATED.get(str(data.get("type")))
    if kind is None:
        raise InputError(f"a type must be one of {', '.join(sorted(OPERATED))}, was {data.get('type')!r}")
    if "id" in data:
        raise InputError("a command is named by its Idempotency-Key, the body held an id")
    command: AtOnce | Waiting = msgspec.convert({**data, "id": command_id(who, key)}, type=kind)
    if who is not None:  # the guard's entry tells the route, and of its body the digest
        await state.access.note(request, who, f"asked for {kind.__name__}")
    if isinstance(command, ask.AdvanceTime):
        await asyncio.to_thread(_require_near, state, command.time_ns)
    waiting = waits(state, who, command) if isinstance(command, FourEyes) else None
    return await answered(state.writer, command) if waiting is None else waiting


def _require_near(state: State, time_ns: int) -> None:
    """Refuse to move time far ahead of the service's clock: it stands there then, for no command moves it back."""
    clock: Clock | None = state.clock
    if clock is None or time_ns <= (furthest_ns := clock.furthest_ns):
        return
    told = f"{wire_time(time_ns)['iso']} is {(time_ns - furthest_ns) / NS:.0f} s later"
    raise InputError(f"time may be moved to {wire_time(furthest_ns)['iso']} at most, {told}")


@post("/bids", status_code=200)
async def bids(state: State, request: Request[Any, Any, State], key: Key, data: JSONBody[Bid]) -> Response[Record]:
    """Take over an account that is being auctioned: `account` bids for `auctioned`, at the share on offer then."""
    bid = ask.BidAuction(id=command_id(caller(request), key), account=data.auctioned, bidder=data.account)
    return await answered(state.writer, bid)


OPERATOR_ROUTES = [commands, bids]
