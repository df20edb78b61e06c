"""A venue's live market through ccxt.pro, behind a small protocol; it comes back when the connection breaks.

A session is one connection with all its subscriptions. Whatever breaks it ends the session, is written down, and after a
pause that doubles up to a limit a new one begins. Silence breaks it too: a connection that is open and says nothing is
worth no more than one that is closed. What was missed in between is a gap; prices show it by their age.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from crossmargin.errors import InputError
from crossmargin.feeds.ticks import Said, number, positive

NANOSECONDS_PER_MILLISECOND = 1_000_000
BATCH = 100
"""Symbols per subscription; venues limit the size of one message."""
LOOK_SECONDS = 0.05
Ticker = Mapping[str, Any]
DollarPrice = Callable[[str], Decimal | None]


class Exchange(Protocol):
    """What of a ccxt.pro exchange is used."""

    id: str
    tickers: Mapping[str, Ticker]
    """The newest ticker of each symbol; a new one is another object."""

    async def load_markets(self) -> Mapping[str, Any]:
        """Return the venue's markets by ccxt's symbol."""

    async def watch_tickers(self, symbols: list[str]) -> Mapping[str, Ticker]:
        """Wait for news of any of the symbols; of a burst only the first may be returned."""

    async def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRules:
    """When a session is given up, and how soon the next begins; seconds.

    A pause begins at `first_pause` and doubles up to `longest_pause`; it begins anew once a session has said something.
    """

    silence: float = 30.0
    gap: float = 5.0
    first_pause: float = 0.5
    longest_pause: float = 30.0

    def __post_init__(self) -> None:
        if not 0.0 < self.gap <= self.silence or not 0.0 <= self.first_pause <= self.longest_pause:
            raise InputError(
                f"live rules need 0 < gap <= silence and 0 <= first_pause <= longest_pause, were {self.gap}, "
                f"{self.silence}, {self.first_pause}, {self.longest_pause}"
            )


@dataclass(slots=True)
class LiveStatus:
    """How the connection does: ``connecting``, ``live`` or ``down``."""

    source: str
    state: str = "connecting"
    sessions: int = 0
    broken: int = 0
    """Sessions that ended otherwise than by being asked to."""
    gaps: int = 0
    """How often nothing was said for longer than a gap, breaks included."""
    messages: int = 0
    last_error: str = ""
    last_heard: float | None = field(default=None, repr=False)
    """Seconds of a clock that only runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """A symbol and what it is used for: ``index`` of a coin, or ``mark`` of an instrument."""

    symbol: str
    kind: str
    subject: str
    quote: str = "USD"


class LiveFeed:
    """Follows symbols of one venue and offers what it says.

    `connect` makes a new exchange for every session, `choose` says by its markets what to follow; `dollar_price` gives
    USD per coin of a quote currency, so that a dollar coin counts for what it is worth.
    """

    def __init__(
        self,
        source: str,
        connect: Callable[[], Exchange],
        choose: Callable[[Mapping[str, Any]], Sequence[Follow]],
        offer: Callable[[Said], None],
        *,
        dollar_price: DollarPrice = lambda _: None,
        rules: LiveRules | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.status = LiveStatus(source)
        self.rules = rules or LiveRules()
        self._connect = connect
        self._choose = choose
        self._by_symbol: dict[str, list[Follow]] = {}
        self._seen: dict[str, Ticker] = {}
        self._offer = offer
        self._dollar_price = dollar_price
        self._sleep = sleep
        self._clock = clock

    async def run(self) -> None:
        """Hold one session after another, until cancelled."""
        pause = self.rules.first_pause
        while True:
            before = self.status.messages
            try:
                await self._session()
            except Exception as error:  # a venue may fail in any way; the next session begins anew
                self._broke(error)
            if self.status.messages > before:
                pause = self.rules.first_pause
            await self._sleep(pause)
            pause = min(2.0 * pause, self.rules.longest_pause)

    async def _session(self) -> None:
        self.status.state, exchange = "connecting", self._connect()
        self.status.sessions += 1
        try:
            async with asyncio.timeout(self.rules.silence):
                markets = await exchange.load_markets()
            self._by_symbol = {}
            for follow in self._choose(markets):
                self._by_symbol.setdefault(follow.symbol, []).append(follow)
            symbols = sorted(self._by_symbol)
            if not symbols:
                raise InputError(f"a feed must have something to follow, {self.status.source} lists nothing of ours")
            self._seen = {}
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look(exchange))
                for first in range(0, len(symbols), BATCH):
                    tasks.create_task(self._watch(exchange, symbols[first : first + BATCH]))
        finally:
            await exchange.close()

    async def _watch(self, exchange: Exchange, symbols: list[str]) -> None:
        """Keep the subscriptions, and know when nothing is said."""
        while True:
            async with asyncio.timeout(self.rules.silence):
                await exchange.watch_tickers(symbols)
            self._heard()
            self._offer_news(exchange)

    async def _look(self, exchange: Exchange) -> None:
        """Offer what came after the first of a burst."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._offer_news(exchange)

    def _offer_news(self, exchange: Exchange) -> None:
        for symbol, follows in self._by_symbol.items():
            ticker = exchange.tickers.get(symbol)
            if ticker is None or ticker is self._seen.get(symbol):
                continue
            self._seen[symbol] = ticker
            for follow in follows:
                self._offer(said_by_ticker(self.status.source, follow, ticker, self._dollar_price))

    def _heard(self) -> None:
        now, last = self._clock(), self.status.last_heard
        if last is not None and now - last > self.rules.gap:
            self.status.gaps += 1
        self.status.last_heard, self.status.state = now, "live"
        self.status.messages += 1

    def _broke(self, error: Exception) -> None:
        causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        self.status.state = "down"
        self.status.broken += 1
        self.status.last_error = "; ".join(f"{type(each).__name__}: {each}"[:200] for each in causes)


def said_by_ticker(source: str, follow: Follow, ticker: object, dollar_price: DollarPrice) -> Said:
    """Return what a ticker of ccxt's form says; what it lacks is left for the door to turn away.

    An index is the middle of bid and ask, or the last price, in USD: a quote in another coin counts at that coin's own
    price. Of a contract, it is the index that the venue states. A mark is the venue's mark, or the same middle; an
    option's comes with the venue's vol and forward, where it states them.
    """
    found = ticker if isinstance(ticker, Mapping) else {}
    values: dict[str, object] = {"bid": found.get("bid"), "ask": found.get("ask")}
    middle, kind = _middle(found), follow.kind
    if kind == "index":
        middle = positive(found.get("indexPrice")) if ":" in follow.symbol else middle
        rate = Decimal(1) if follow.quote == "USD" else dollar_price(follow.quote)
        values["price"] = None if middle is None or rate is None else middle * rate
    else:
        mark = positive(found.get("markPrice"))
        values["price"] = middle if mark is None else mark
        info = found.get("info")
        vol = number(info.get("mark_iv")) if isinstance(info, Mapping) else None
        if isinstance(info, Mapping) and vol is not None:
            kind = "option"
            values |= {"price": info.get("mark_price"), "vol": vol / 100, "forward": info.get("underlying_price")}
    return Said(
        source=source, kind=kind, subject=follow.subject, values=values, time_ns=_nanoseconds(found.get("timestamp"))
    )


def _middle(ticker: Ticker) -> Decimal | None:
    bid, ask = positive(ticker.get("bid")), positive(ticker.get("ask"))
    return positive(ticker.get("last")) if bid is None or ask is None else (bid + ask) / 2


def _nanoseconds(time_ms: object) -> object:
    """Milliseconds as nanoseconds; what is no number stays what it is, and is turned away."""
    if isinstance(time_ms, int | float) and not isinstance(time_ms, bool) and abs(time_ms) < 1e15:
        return int(time_ms) * NANOSECONDS_PER_MILLISECOND
    return time_ms
