"""What can be asked of the service, each a `Call` that says its path, its body and its answer's type."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

from crossmargin.client import house_records as house
from crossmargin.client import records as are
from crossmargin.client.calls import API, Call, command, get, of_account, post

Amount = Decimal | int | str
"""Money and quantities go over the wire as decimal text; a float, which cannot say 0.1, is not taken."""


def health() -> Call[are.Health]:
    """Whether the engine answers, and where it stands."""
    return get("/health", are.Health)


def overview() -> Call[are.Overview]:
    """Sums over accounts, accounts by state, the fund, breakers, ages of prices."""
    return get(f"{API}/overview", are.Overview)


def accounts(*, limit: int = 100, cursor: str | None = None, state: str | None = None) -> Call[are.AccountsPage]:
    """Return accounts in alphabetical order, after `cursor`; those of one state where it is named."""
    return get(f"{API}/accounts", are.AccountsPage, {"limit": limit, "cursor": cursor, "state": state})


def account(name: str) -> Call[are.AccountPage]:
    """Return an account with balances, positions and orders."""
    return get(of_account(name), are.AccountPage)


def explain(name: str) -> Call[are.Explanation]:
    """Why an account needs what it needs."""
    return get(of_account(name, "explain"), are.Explanation)


def surface(name: str, underlying: str = "BTC") -> Call[are.Surface]:
    """Profit and excess of an account over prices and vols of one coin."""
    return get(of_account(name, "surface"), are.Surface, {"underlying": underlying})


def history(name: str, *, since_ms: int = 0, until_ms: int | None = None) -> Call[are.History]:
    """Return an account over time; times in ms since 1970."""
    return get(of_account(name, "history"), are.History, {"since": since_ms, "until": until_ms})


def compare(name: str) -> Call[are.Comparison]:
    """Return an account under every method."""
    return get(of_account(name, "compare"), are.Comparison)


def deleveraging(name: str) -> Call[are.Standings]:
    """Return an account's places in the queues for deleveraging."""
    return get(of_account(name, "deleveraging"), are.Standings)


def what_if(
    name: str,
    *,
    trades: Mapping[str, Amount] | None = None,
    collateral: Mapping[str, Amount] | None = None,
    price_moves: Mapping[str, float] | None = None,
    vol_moves: Mapping[str, float] | None = None,
) -> Call[are.WhatIf]:
    """Return an account before and after a change, which is not made.

    Parameters
    ----------
    trades
        Contracts to trade at the mark, by instrument; negative sells.
    collateral
        Coins to bring, by currency; negative takes away.
    price_moves, vol_moves
        Relative moves by coin: -0.1 is 10 % down.
    """
    body = {
        "trades": [{"instrument": each, "quantity": str(size)} for each, size in (trades or {}).items()],
        "collateral": [{"currency": each, "amount": str(amount)} for each, amount in (collateral or {}).items()],
        "price_moves": dict(price_moves or {}),
        "vol_moves": dict(vol_moves or {}),
    }
    return post(of_account(name, "what-if"), are.WhatIf, body)


def stress(moves: Mapping[str, float], *, vol: float = 0.0) -> Call[are.Stress]:
    """Return all accounts after relative moves of prices by coin, and of all vols."""
    return post(f"{API}/stress", are.Stress, {"moves": dict(moves), "vol": vol})


def margin(
    book: Mapping[str, Any],
    *,
    market: Mapping[str, Any] | None = None,
    method: str | None = None,
    explain: bool = False,
) -> Call[are.Margin]:
    """Return requirements of a book that is nobody's; in the engine's market where none is given."""
    body: dict[str, Any] = {"book": book, "explain": explain}
    body |= {name: value for name, value in (("market", market), ("method", method)) if value is not None}
    return post(f"{API}/margin", are.Margin, body)


def compare_book(book: Mapping[str, Any], *, market: Mapping[str, Any] | None = None) -> Call[are.Comparison]:
    """Return a book of one account, which is nobody's, under every method."""
    return post(
        f"{API}/compare", are.Comparison, {"book": book} if market is None else {"book": book, "market": market}
    )


def place_order(
    name: str,
    order: str,
    *,
    instrument: str,
    side: str,
    quantity: Amount,
    price: Amount,
    reduce_only: bool = False,
    key: str | None = None,
) -> Call[are.Done]:
    """Place an order; under the same `key` it is placed once."""
    body = {"account": name, "order": order, "instrument": instrument, "side": side, "reduce_only": reduce_only}
    return command(f"{API}/orders", {**body, "quantity": str(quantity), "price": str(price)}, key)


def cancel_order(name: str, order: str, *, key: str | None = None) -> Call[are.Done]:
    """Cancel an open order."""
    return command(of_account(name, "orders", order), {}, key, "DELETE")


def deposit(name: str, asset: str, amount: Amount, *, key: str | None = None) -> Call[are.Done]:
    """Credit money; under the same `key` once."""
    return command(f"{API}/deposits", {"account": name, "asset": asset, "amount": str(amount)}, key)


def withdraw(name: str, asset: str, amount: Amount, *, key: str | None = None) -> Call[are.Done]:
    """Pay money out; under the same `key` once."""
    return command(f"{API}/withdrawals", {"account": name, "asset": asset, "amount": str(amount)}, key)


def change_parameters(values: Mapping[str, Any], *, key: str | None = None) -> Call[are.Done]:
    """Ask for parameters of the engine, or of a method where `values` names one; a second owner may have to approve."""
    return command(f"{API}/parameters", values, key)


def operate(kind: str, *, key: str | None = None, **fields: object) -> Call[are.Done]:
    """Ask for a command of the house, as `Halt` or `RecordTrade` with their fields; some wait for a second owner."""
    return command(f"{API}/commands", {"type": kind, **fields}, key)


def bid(name: str, auctioned: str, *, key: str | None = None) -> Call[are.Done]:
    """Take over an account that is being auctioned, for the share of its equity that is on offer then."""
    return command(f"{API}/bids", {"account": name, "auctioned": auctioned}, key)


def liquidations(*, limit: int = 100, cursor: str | None = None) -> Call[are.Liquidations]:
    """Liquidations, the newest first, each of them whole."""
    return get(f"{API}/liquidations", are.Liquidations, {"limit": limit, "cursor": cursor})


def waterfall() -> Call[are.Waterfall]:
    """Return the layers of the waterfall and what they paid."""
    return get(f"{API}/waterfall", are.Waterfall)


def insurance(*, limit: int = 100, cursor: str | None = None) -> Call[are.Insurance]:
    """Return the insurance fund, what markets drew of it ever, and the newest draws."""
    return get(f"{API}/insurance", are.Insurance, {"limit": limit, "cursor": cursor})


def parameters() -> Call[are.ParameterVersions]:
    """Return the engine's parameters and every version of every method's."""
    return get(f"{API}/parameters", are.ParameterVersions)


def events(what: str, *, limit: int = 100, cursor: str | None = None) -> Call[are.Items]:
    """Return events of one kind, the newest first: `audit`, `draws`, `margin-calls` or `liquidation-events`."""
    return get(f"{API}/{what}", are.Items, {"limit": limit, "cursor": cursor})


def feeds() -> Call[house.Feeds]:
    """How sources of prices and their connections do."""
    return get(f"{API}/feeds", house.Feeds)


def replay(record: int | None = None) -> Call[house.Replay]:
    """Return the service as it stood after a record of its journal, the last one if none is named."""
    return get(f"{API}/replay", house.Replay, {"record": record})


def alerts() -> Call[are.Alerts]:
    """Return open alerts and ended ones."""
    return get(f"{API}/alerts", are.Alerts)


def acknowledge(alert: str) -> Call[are.Alert]:
    """Take an open alert on."""
    return post(f"{API}/alerts/{quote(alert, safe='')}/acknowledge", are.Alert)


def session() -> Call[house.Session]:
    """Who asks, and what he may do."""
    return get(f"{API}/session", house.Session)


def log_in(user: str, password: str) -> Call[house.Session]:
    """Begin a session as a user of the dashboard, over HTTPS; a program does better with a key."""
    return post(f"{API}/session", house.Session, {"user": user, "password": password})


def log_out() -> Call[house.Session]:
    """End the session."""
    return Call(method="DELETE", path=f"{API}/session", answer=house.Session)


def approvals(
    *, state: Literal["pending", "approved", "rejected"] | None = None, limit: int = 100, cursor: str | None = None
) -> Call[house.Approvals]:
    """Return what waits for a second owner, and what was decided, the newest first: all of it, or of one state."""
    return get(f"{API}/approvals", house.Approvals, {"state": state, "limit": limit, "cursor": cursor})


def decide(approval: str, decision: Literal["approve", "reject"]) -> Call[house.Decided]:
    """Approve or reject what another owner asked for; what is approved is done at once."""
    return post(f"{API}/approvals/{quote(approval, safe='')}", house.Decided, {"decision": decision})


def access_log(
    *, who: str | None = None, action: str | None = None, limit: int = 100, cursor: str | None = None
) -> Call[house.AccessLog]:
    """Return who asked for what, the newest first: of one owner, or what holds a text in its action or decision."""
    asked = {"who": who, "action": action, "limit": limit, "cursor": cursor}
    return get(f"{API}/access-log", house.AccessLog, asked)
