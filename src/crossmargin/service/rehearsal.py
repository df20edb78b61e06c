"""A rehearsal before the doors open: every kind of command once, on an engine that is thrown away.

A kernel is compiled where it is first called, which takes seconds, and is loaded from the cache in a process's first call
after that. Whoever sent the first deposit, or the order before the first audit, would wait for it, and everybody behind
him.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import msgspec

from crossmargin.engine import commands as ask
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event
from crossmargin.files.sample import sample_market, solvent_sample_book
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.service.opening import COUNTERPARTY, MONEY, market_update, opening_commands

ACCOUNTS = ("cash-only", "hedger", "levered-long", "straddle-seller")
"""Of the sample book, which trade: with perpetuals, options, and none of them."""
SIDES: tuple[Literal["buy"], Literal["sell"]] = ("buy", "sell")
MINUTE_NS = 60 * 10**9
LEFT = Decimal("0.85")
"""Of every price, after the fall."""


def rehearse() -> list[Event]:
    """Open a small book, trade, audit, let the market fall and time go on; return what happened, for who looks at it."""
    book, market, engine = list(solvent_sample_book()), sample_market(), Engine()
    events: list[Event] = []
    for command in opening_commands(book, market):
        events += engine.apply(command)
    for command in _day(engine, book, market):
        events += engine.apply(command)
    return events


def _day(engine: Engine, book: list[Portfolio], market: MarketSnapshot) -> Iterator[ask.Command]:
    often = msgspec.structs.replace(engine.state.parameters, audit_every=1)
    yield ask.SetParameters(id="audits", parameters=often)
    traded = next(each for each in book if each.account == "levered-long").positions[0].instrument.id
    lot, price = engine.state.listings[traded].lot_size, engine.mark(traded) or Decimal(1)
    for name in ACCOUNTS:
        for side in SIDES:
            order = f"{name}-{side}"
            yield ask.PlaceOrder(
                id=order, order=order, account=name, instrument=traded, side=side, quantity=lot, price=price
            )
    yield ask.CancelOrder(id="cancel", order="hedger-buy")
    yield ask.RecordTrade(
        id="trade", buyer="cash-only", seller=COUNTERPARTY, instrument=traded, quantity=lot, price=price,
        buy_order="cash-only-buy",
    )  # fmt: skip
    yield ask.Deposit(id="deposit", account="cash-only", asset=MONEY, amount=Decimal(1))
    yield ask.Withdraw(id="withdraw", account="cash-only", asset=MONEY, amount=Decimal(1))
    yield ask.RunAudit(id="audit")
    yield _fallen(market_update(market, book, "fall"))
    yield market_update(market, book, "back")
    yield _fallen(market_update(market, book, "fall again"))
    for minutes in range(1, 4):
        yield ask.AdvanceTime(id=f"time-{minutes}", time_ns=market.time_ns + minutes * MINUTE_NS)
        yield ask.RunAudit(id=f"audit-{minutes}")


def _fallen(update: ask.UpdateMarket) -> ask.UpdateMarket:
    index = {
        coin: tuple(msgspec.structs.replace(each, price=each.price * LEFT) for each in quotes)
        for coin, quotes in update.index.items()
    }
    return msgspec.structs.replace(
        update, index=index, marks={name: price * LEFT for name, price in update.marks.items()}
    )
