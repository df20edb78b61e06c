"""What the service answers, typed. Money is `Decimal`, a time both ISO 8601 and milliseconds since 1970.

Fields that a later service adds are passed over, so that an older client goes on working.
"""

from decimal import Decimal
from typing import Any

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Something the service said."""


class Time(Record, frozen=True, kw_only=True):
    """A moment, UTC."""

    iso: str
    epoch_ms: int


class Progress(Record, frozen=True, kw_only=True):
    """How many commands a service that opens has applied, of how many; or `kernels` compiled, of about how many."""

    done: int
    of: int
    what: str = "commands"


class Health(Record, frozen=True, kw_only=True):
    """Whether the engine answers, where it stands, and whether it asks nobody for a key; how far it is while it opens."""

    status: str
    sequence: int | None = None
    time: Time | None = None
    finding: str | None = None
    open: bool | None = None
    progress: Progress | None = None


class Figures(Record, frozen=True, kw_only=True):
    """What an account has and needs, USD; a ratio is None where it is infinite."""

    equity: Decimal
    initial: Decimal
    maintenance: Decimal
    excess: Decimal
    maintenance_ratio: float | None = None
    margin_usage: float | None = None


class AccountRow(Figures, frozen=True, kw_only=True):
    """An account at a glance."""

    account: str
    method: str
    state: str = ""
    worst_scenario: str | None = None


class Balance(Record, frozen=True, kw_only=True):
    """Coins."""

    currency: str
    amount: Decimal


class Position(Record, frozen=True, kw_only=True):
    """Contracts held; negative is short."""

    instrument: str
    quantity: Decimal
    mark_price: Decimal
    value: Decimal
    value_currency: str | None = None
    entry_price: Decimal | None = None


class Order(Record, frozen=True, kw_only=True):
    """An open order."""

    order: str
    instrument: str
    side: str
    quantity: Decimal
    price: Decimal
    reduce_only: bool


class AccountPage(AccountRow, frozen=True, kw_only=True):
    """An account with all it holds."""

    balances: tuple[Balance, ...]
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]


class AccountsPage(Record, frozen=True, kw_only=True):
    """Some accounts, and the cursor of the next ones, None at the end."""

    accounts: tuple[AccountRow, ...]
    next: str | None = None


class Node(Record, frozen=True, kw_only=True):
    """An amount, why it is there, and what it is made of."""

    label: str
    amount: Decimal
    why: str | None = None
    children: tuple["Node", ...] = ()


class Explanation(Record, frozen=True, kw_only=True):
    """Why an account needs what it needs."""

    tree: Node


class Component(Record, frozen=True, kw_only=True):
    """A part of the initial margin before and after; None where there is no such part."""

    label: str
    before: Decimal | None
    after: Decimal | None


class WhatIf(Record, frozen=True, kw_only=True):
    """An account before and after a change."""

    before: AccountRow
    after: AccountRow
    components: tuple[Component, ...]


class Surface(Record, frozen=True, kw_only=True):
    """Profit and excess over vol moves (rows) and prices (columns) of one coin."""

    underlying: str
    prices: tuple[float, ...]
    vols: tuple[float, ...]
    pnl: tuple[tuple[float, ...], ...]
    excess: tuple[tuple[float, ...], ...]
    boundary: tuple[tuple[float, ...], ...]
    price_now: float


class MethodRow(Record, frozen=True, kw_only=True):
    """An account under one method; `refused` says why the method cannot hold it."""

    method: str
    initial: Decimal | None
    maintenance: Decimal | None
    excess: Decimal | None
    refused: str | None = None


class Comparison(Record, frozen=True, kw_only=True):
    """An account under every method."""

    rows: tuple[MethodRow, ...]


class StressRow(Record, frozen=True, kw_only=True):
    """An account after a move of the market."""

    account: str
    pnl: float
    equity_after: Decimal
    breach: bool


class Stress(Record, frozen=True, kw_only=True):
    """All accounts after a move, and what they would owe beyond their equity, USD."""

    accounts: tuple[StressRow, ...]
    shortfall: Decimal


class MarginRow(AccountRow, frozen=True, kw_only=True):
    """The requirement of an account of a book that is nobody's."""

    tree: Node | None = None


class Margin(Record, frozen=True, kw_only=True):
    """Requirements of a book, in its order."""

    time: Time
    accounts: tuple[MarginRow, ...]


class Done(Record, frozen=True, kw_only=True):
    """A command that is on disk and applied, with what happened.

    Where a second owner must approve first, `approval` names what waits and `command` is None.
    """

    command: str | None = None
    events: tuple[dict[str, Any], ...] = ()
    approval: str | None = None


class Feed(Record, frozen=True, kw_only=True):
    """A price and its age by the engine's time."""

    source: str
    age_ms: int
    state: str


class Breaker(Record, frozen=True, kw_only=True):
    """A breaker that is active, and why."""

    name: str
    active: bool
    reason: str


class Overview(Record, frozen=True, kw_only=True):
    """The whole: sums over accounts, the fund, breakers and prices."""

    time: Time
    sequence: int
    equity: Decimal
    initial: Decimal
    maintenance: Decimal
    accounts_by_state: dict[str, int]
    insurance_fund: Decimal
    breakers: tuple[Breaker, ...]
    feeds: tuple[Feed, ...]


class Point(Record, frozen=True, kw_only=True):
    """What an account had and needed at a time."""

    time: Time
    equity: Decimal
    initial: Decimal
    maintenance: Decimal


class History(Record, frozen=True, kw_only=True):
    """An account over time."""

    points: tuple[Point, ...]


class Place(Record, frozen=True, kw_only=True):
    """Where an event stands: its number, its time, and the command of which it came."""

    sequence: int
    time: Time
    command: str


class ParameterVersion(Record, frozen=True, kw_only=True):
    """A method's parameters from a time on, or the engine's own, which have no versions."""

    name: str
    values: dict[str, Any]
    shipped: dict[str, Any] | None
    """The values that come with the package; None of a method that has none."""
    in_force: bool
    version: int | None = None
    effective: Time | None = None
    grace_ns: int | None = None
    ramp_ns: int | None = None


class ParameterVersions(Record, frozen=True, kw_only=True):
    """Every version of every method's parameters, and the engine's own."""

    items: tuple[ParameterVersion, ...]
    next: str | None = None


class Items(Record, frozen=True, kw_only=True):
    """A list of events, the newest first, and the cursor of the next ones."""

    items: tuple[dict[str, Any], ...]
    next: str | None = None


class Payment(Record, frozen=True, kw_only=True):
    """What a layer of the waterfall paid."""

    layer: str
    payer: str
    amount: Decimal


class Liquidation(Record, frozen=True, kw_only=True):
    """A liquidation from its start to where it is."""

    sequence: int
    account: str
    state: str
    started: Time
    steps: tuple[dict[str, Any], ...]
    paid_by: tuple[Payment, ...]
    equity: Decimal | None = None
    maintenance: Decimal | None = None


class Liquidations(Record, frozen=True, kw_only=True):
    """Liquidations, the newest first, and the cursor of those that began before."""

    items: tuple[Liquidation, ...]
    next: str | None = None


class Layer(Record, frozen=True, kw_only=True):
    """A layer of the waterfall, and what it paid."""

    layer: str
    drawn: Decimal
    size: Decimal | None = None


class Waterfall(Record, frozen=True, kw_only=True):
    """The layers in the order in which they pay."""

    items: tuple[Layer, ...]
    next: str | None = None


class Insurance(Record, frozen=True, kw_only=True):
    """The insurance fund, what each market drew of it ever, the newest draws, and the cursor of those before."""

    time: Time
    asset: str
    fund: Decimal
    cap_per_market: Decimal | None
    drawn_by_market: dict[str, Decimal]
    draws: tuple[dict[str, Any], ...]
    next: str | None = None


class Standing(Record, frozen=True, kw_only=True):
    """A place in the queue for deleveraging; None for who has no profit to give."""

    instrument: str
    place: int | None
    of: int
    light: int | None
    profit: Decimal
    leverage: float


class Standings(Record, frozen=True, kw_only=True):
    """The places of an account."""

    account: str
    policy: str
    positions: tuple[Standing, ...]


class Alert(Record, frozen=True, kw_only=True):
    """An alert."""

    id: str
    rule: str
    labels: dict[str, str]
    level: str
    value: float
    is_escalated: bool
    opened: Time
    raised: Time
    acknowledged_by: str | None = None
    acknowledged: Time | None = None
    ended: Time | None = None


class Alerts(Record, frozen=True, kw_only=True):
    """Open alerts and the latest ended ones, the newest first."""

    open: tuple[Alert, ...]
    ended: tuple[Alert, ...]


class Message(Record, frozen=True, kw_only=True):
    """A message of the stream; `previous` is that before it in the same channel, None where a snapshot begins."""

    channel: str
    sequence: int
    previous: int | None
    snapshot: bool
    data: Any
