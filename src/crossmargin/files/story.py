"""Stories: text tables of what happens, played through the engine.

One line is one thing that happens, or one thing that is expected. `BTC-PERP` is short for a linear dollar perpetual;
full canonical ids work everywhere. Accounts open with their first deposit, contracts are taken on when first named.
docs/stories.md lists the lines.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import msgspec

from crossmargin.engine import commands as ask
from crossmargin.engine.commands import Command
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event, Refused
from crossmargin.engine.parameters import EngineParameters
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.ledger.account import FEES, HOUSE, INSURANCE, default_fund_account
from crossmargin.margin.methods import method_named
from crossmargin.units import USD

_HOUSE_NAMES = {"fund": INSURANCE, "house": HOUSE, "fees": FEES}
_UNITS_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}


class Sink(Protocol):
    """Where a story's commands go instead of an engine of its own: a journaled runner, say."""

    @property
    def engine(self) -> Engine:
        """The engine that the story looks at."""

    def __call__(self, command: Command) -> tuple[Event, ...]:
        """Apply a command."""


@dataclass
class Story:
    """A story under way: the engine, what was asked, and what has happened."""

    engine: Engine = field(default_factory=Engine)
    commands: list[Command] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    expectations: int = 0
    unexpected_refusal: str = ""
    last: tuple[Event, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    sink: Sink | None = None

    def do(self, build: Callable[..., Command], **fields: object) -> tuple[Event, ...]:
        """Apply a command made of `fields` under the next id."""
        command = build(id=f"c{len(self.commands) + 1}", **fields)
        self.commands.append(command)
        if self.sink is None:
            self.last = self.engine.apply(command)
        else:
            self.last = self.sink(command)
            self.engine = self.sink.engine
        self.events += self.last
        return self.last


def play(text: str, sink: Sink | None = None) -> Story:
    """Play a story; return it with its engine, commands and events.

    Raises
    ------
    InputError
        If a line cannot be read, or something expected did not happen, or a refusal was not expected.

    Examples
    --------
    >>> story = play('''
    ...     alice deposits 100
    ...     expect alice balance 100
    ... ''')
    >>> story.expectations
    1
    """
    story = Story()
    story.sink = sink
    _set_up(story)
    for number, raw in enumerate(text.splitlines(), start=1):
        line = " ".join(raw.split("#", 1)[0].split())
        if line:
            try:
                _play_line(story, line)
            except InputError as error:
                raise InputError(f"line {number} ({line}): {error}") from error
    if story.unexpected_refusal:
        raise InputError(story.unexpected_refusal)
    return story


def _set_up(story: Story) -> None:
    for asset, quantum in (("USDC", "0.000001"), ("USDT", "0.000001"), ("BTC", "0.00000001"), ("ETH", "0.00000001")):
        story.do(ask.ListAsset, asset=asset, quantum=Decimal(quantum))
    # a story has no feed that keeps prices young
    story.settings = {"index_max_age_ns": 10**18, "mark_band": None, "order_band": 1.0}
    _apply_settings(story)
    method = method_named("scenario_grid")
    parameters = msgspec.to_builtins(read_parameters(method))
    story.do(ask.SetMarginParameters, method="scenario_grid", parameters=parameters)
    story.do(ask.UpdateMarket, index={name: _quotes("1") for name in ("USDC", "USDT")})


def _apply_settings(story: Story) -> None:
    try:
        parameters = msgspec.convert(story.settings, type=EngineParameters, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"settings must be the engine's parameters: {error}") from error
    story.do(ask.SetParameters, parameters=parameters)


def _play_line(story: Story, line: str) -> None:
    if line.startswith("expect"):
        _expect(story, line.split(None, 1)[1])
        story.expectations += 1
        return
    if story.unexpected_refusal:
        raise InputError(story.unexpected_refusal)
    for pattern, action in _LINES:
        match = re.fullmatch(pattern, line)
        if match:
            action(story, **match.groupdict())
            refused = [event for event in story.last if isinstance(event, Refused)]
            if refused:
                story.unexpected_refusal = f"{line}: refused, {refused[0].reason} {refused[0].detail}"
            return
    raise InputError("a line must be one of those in docs/stories.md")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text.replace("_", ""))
    except InvalidOperation as error:
        raise InputError(f"a number was expected, was {text!r}") from error


def _instrument(story: Story, name: str) -> str:
    """Return the canonical id, after taking the contract and its assets on if they are new."""
    full = name if ":" in name else f"crossmargin:{name.removesuffix('-PERP')}/USDC:USDC"
    if full not in story.engine.state.listings:
        _list(story, full)
    return full


def _list(story: Story, full: str, **fields: object) -> None:
    contract = parse_contract(full)
    for asset in sorted({contract.base, contract.quote, contract.settle} - {USD}):
        if asset not in story.engine.state.assets:
            story.do(ask.ListAsset, asset=asset, quantum=Decimal("0.00000001"))
    lot = fields.pop("lot_size", contract.lot_size or Decimal("0.001"))
    story.do(ask.ListInstrument, instrument=full, lot_size=lot, **fields)


def _quotes(price: str) -> tuple[ask.Quote, ...]:
    return tuple(ask.Quote(source=name, price=_number(price)) for name in ("a", "b", "c"))


def _open(story: Story, account: str) -> None:
    if account not in story.engine.state.accounts:
        story.do(ask.OpenAccount, account=account)


def _deposits(story: Story, who: str, amount: str, asset: str | None) -> None:
    if who in ("fund", "house"):
        layer = "insurance" if who == "fund" else "house"
        story.do(ask.FundLayer, layer=layer, amount=_number(amount))
        return
    _open(story, who)
    story.do(ask.Deposit, account=who, asset=asset or "USDC", amount=_number(amount))


def _contributes(story: Story, who: str, amount: str) -> None:
    _open(story, who)
    story.do(ask.FundLayer, layer="default fund", member=who, amount=_number(amount))


def _marks(story: Story, pairs: str) -> None:
    named = [pair.split(" marks ") for pair in pairs.split(", ")]
    marks = {_instrument(story, name): _number(price) for name, price in named}
    index = {parse_contract(_instrument(story, name)).base: _quotes(price) for name, price in named}
    story.do(ask.UpdateMarket, index=index, marks=marks)


def _mark_only(story: Story, name: str, price: str) -> None:
    story.do(ask.UpdateMarket, marks={_instrument(story, name): _number(price)})


def _index(story: Story, coin: str, quotes: str) -> None:
    if coin not in story.engine.state.assets:
        story.do(ask.ListAsset, asset=coin, quantum=Decimal("0.00000001"))
    found = []
    for place, part in enumerate(quotes.split(",")):
        price, _, source = part.strip().partition(" from ")
        found.append(ask.Quote(source=source.strip() or f"source-{place}", price=_number(price)))
    story.do(ask.UpdateMarket, index={coin: tuple(found)})


def _trades(story: Story, who: str, verb: str, quantity: str, name: str, price: str, other: str) -> None:
    buyer, seller = (who, other) if verb == "buys" else (other, who)
    story.do(
        ask.RecordTrade,
        buyer=buyer,
        seller=seller,
        instrument=_instrument(story, name),
        quantity=_number(quantity),
        price=_number(price),
    )


def _orders(story: Story, who: str, order: str, side: str, quantity: str, name: str, price: str) -> None:
    story.do(
        ask.PlaceOrder,
        account=who,
        order=order,
        instrument=_instrument(story, name),
        side=side,
        quantity=_number(quantity),
        price=_number(price),
    )


def _sets(story: Story, name: str, value: str) -> None:
    try:
        parsed = msgspec.json.decode(value)
    except msgspec.DecodeError:
        parsed = value
    if name.startswith("breakers."):
        story.settings.setdefault("breakers", {})[name.removeprefix("breakers.")] = parsed
    else:
        story.settings[name] = parsed
    _apply_settings(story)


def _lists(story: Story, name: str, rest: str) -> None:
    full = name if ":" in name else f"crossmargin:{name.removesuffix('-PERP')}/USDC:USDC"
    fields: dict[str, Any] = {}
    for part in rest.split():
        key, _, value = part.partition("=")
        fields[key] = (
            value == "true"
            if key == "hedges_underlying"
            else float(value)
            if key == "open_interest_rate"
            else _number(value)
        )
    _list(story, full, **fields)


def _passes(story: Story, count: str, unit: str) -> None:
    story.do(ask.AdvanceTime, time_ns=story.engine.state.time_ns + int(count) * _UNITS_NS[unit])


def _fills(story: Story, who: str, account: str, quantity: str, price: str) -> None:
    story.do(ask.FillLiquidation, account=account, counterparty=who, quantity=_number(quantity), price=_number(price))


def _backstops(story: Story, who: str, amount: str, cap: str | None) -> None:
    story.do(
        ask.RegisterBackstop,
        account=who,
        capacity=_number(amount),
        loss_cap=None if cap is None else _number(cap),
    )


def _expires(story: Story, name: str, price: str) -> None:
    full = _instrument(story, name)
    story.do(ask.RecordSettlementSample, instrument=full, price=_number(price))
    story.do(ask.Expire, instrument=full)


_N = r"[\d_.]+"
_A = r"[\w.-]+"
_I = r"[\w:/.-]+"
_LINES: list[tuple[str, Callable[..., None]]] = [
    (rf"(?P<who>{_A}) deposits (?P<amount>{_N})(?: (?P<asset>\w+))?", _deposits),
    (rf"(?P<who>{_A}) contributes (?P<amount>{_N})", _contributes),
    (rf"(?P<pairs>{_I} marks {_N}(?:, {_I} marks {_N})*)", _marks),
    (rf"(?P<name>{_I}) mark alone (?P<price>{_N})", _mark_only),
    (r"(?P<coin>\w+) index (?P<quotes>.+)", _index),
    (
        rf"(?P<who>{_A}) (?P<verb>buys|sells) (?P<quantity>{_N}) (?P<name>{_I}) at (?P<price>{_N})"
        rf" (?:from|to) (?P<other>{_A})",
        _trades,
    ),
    (
        rf"(?P<who>{_A}) orders (?P<order>\w+) (?P<side>buy|sell) (?P<quantity>{_N}) (?P<name>{_I})"
        rf" at (?P<price>{_N})",
        _orders,
    ),
    (r"cancel (?P<order>\w+)", lambda story, order: story.do(ask.CancelOrder, order=order)),
    (
        rf"(?P<who>{_A}) withdraws (?P<amount>{_N})(?: (?P<asset>\w+))?",
        lambda story, who, amount, asset: story.do(
            ask.Withdraw, account=who, asset=asset or "USDC", amount=_number(amount)
        ),
    ),
    (
        rf"(?P<who>{_A}) opens (?P<sub>{_A}) isolated",
        lambda story, who, sub: story.do(ask.OpenAccount, account=sub, parent=who),
    ),
    (
        rf"(?P<who>{_A}) transfers (?P<amount>{_N})(?: (?P<asset>\w+))? to (?P<other>{_A})",
        lambda story, who, amount, asset, other: story.do(
            ask.TransferFunds, debit=who, credit=other, asset=asset or "USDC", amount=_number(amount)
        ),
    ),
    (
        rf"(?P<who>{_A}) gets credit (?P<amount>{_N})",
        lambda story, who, amount: story.do(ask.SetCreditLine, account=who, limit=_number(amount)),
    ),
    (rf"(?P<who>{_A}) backstops (?P<amount>{_N})(?: losing at most (?P<cap>{_N}))?", _backstops),
    (rf"(?P<who>{_A}) fills (?P<account>{_A}) (?P<quantity>{_N}) at (?P<price>{_N})", _fills),
    (
        rf"(?P<who>{_A}) bids on (?P<account>{_A})",
        lambda story, who, account: story.do(ask.BidAuction, account=account, bidder=who),
    ),
    (r"(?P<count>\d+)(?P<unit>[smhd]) pass(?:es)?", _passes),
    (r"set (?P<name>[\w.]+) (?P<value>.+)", _sets),
    (rf"list (?P<name>{_I})(?P<rest>(?: \w+=\S+)*)", _lists),
    (
        rf"borrowing (?P<asset>\w+) up to (?P<amount>{_N})",
        lambda story, asset, amount: story.do(
            ask.ListAsset, asset=asset, quantum=Decimal("0.000001"), borrow_limit=_number(amount)
        ),
    ),
    (
        rf"settle (?P<name>{_I})",
        lambda story, name: story.do(ask.SettleVariation, instrument=_instrument(story, name)),
    ),
    (
        rf"funding (?P<name>{_I}) (?P<rate>-?{_N})",
        lambda story, name, rate: story.do(ask.ApplyFunding, instrument=_instrument(story, name), rate=_number(rate)),
    ),
    (rf"(?P<name>{_I}) expires at (?P<price>{_N})", _expires),
    (r"halt(?: (?P<reason>.+))?", lambda story, reason: story.do(ask.Halt, reason=reason or "asked for")),
    (r"resume(?: (?P<reason>.+))?", lambda story, reason: story.do(ask.Resume, reason=reason or "asked for")),
    (r"audit", lambda story: story.do(ask.RunAudit)),
]


def _expect(story: Story, what: str) -> None:
    words = what.split()
    if words[0] == "refused":
        _expect_refused(story, words[1])
        return
    if story.unexpected_refusal:
        raise InputError(story.unexpected_refusal)
    if words[0] == "event" or words[:2] == ["no", "event"]:
        _expect_event(story, words)
        return
    account, kind, *rest = words
    found = _observe(story, account, kind, rest)
    wanted: Any = rest[-1] if kind == "state" else _number(rest[0] if kind != "position" else rest[-1])
    close = found == wanted if kind == "state" else abs(found - wanted) <= Decimal("0.01")
    if not close:
        raise InputError(f"expected {wanted}, found {found}")


def _expect_refused(story: Story, reason: str) -> None:
    refused = [event.reason for event in story.last if isinstance(event, Refused)]
    story.unexpected_refusal = ""
    if refused != [reason]:
        raise InputError(f"expected a refusal for {reason}, found {refused or 'none'}")


def _expect_event(story: Story, words: list[str]) -> None:
    name = words[-1]
    happened = sum(type(event).__name__ == name for event in story.events)
    if (words[0] == "no") == (happened > 0):
        raise InputError(f"expected {' '.join(words)}, it happened {happened} times")


def _observe(story: Story, account: str, kind: str, rest: list[str]) -> str | Decimal:
    state = story.engine.state
    if kind == "state":
        return state.accounts[account].state
    if account not in _HOUSE_NAMES and account not in state.accounts:
        raise InputError(f"an account must be open, {account} is not")
    if kind == "position":
        full = _instrument(story, rest[0])
        return state.ledger.lots(account, full) * state.listings[full].lot_size
    if kind == "contribution":
        account, kind = default_fund_account(account), "balance"
    if kind == "balance" or account in _HOUSE_NAMES:
        asset = rest[1] if len(rest) > 1 else "USDC"
        name = _HOUSE_NAMES.get(account, account)
        return state.ledger.balance(name, asset) * state.assets[asset].quantum
    if kind == "equity":
        return Decimal(repr(story.engine.health(account).worth))
    raise InputError(f"an account has equity, balance, contribution, position or state, not {kind}")
