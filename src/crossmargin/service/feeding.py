"""Feeds of a running service, by specification: ``replay:FILE``, ``replay:FILE@SPEED`` or ``ccxt:VENUE,VENUE``.

All live venues share one pump, so that an index has them all as its sources. Each recording has its own, whose clock is
the recording's.
"""

import asyncio
import contextlib
import importlib.util
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from crossmargin.errors import CrossMarginError, InputError
from crossmargin.feeds.live import Exchange, Follow, LiveFeed, LiveRules
from crossmargin.feeds.pump import Pump, running
from crossmargin.feeds.replay import Playhead, play
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.service.views import Record
from crossmargin.service.writer import Writer
from crossmargin.units import USD

DOLLAR_QUOTES = ("USDC", "USDT")
"""In which an index price may be quoted where none is in USD, the best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A recording and how many of its seconds pass in one of ours."""

    path: Path
    speed: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Venues:
    """Venues by ccxt's names."""

    names: tuple[str, ...]


def parse_feed(text: str) -> Recorded | Venues:
    """Return what a specification asks for.

    Examples
    --------
    >>> parse_feed("replay:day.parquet@3600")
    Recorded(path=PosixPath('day.parquet'), speed=3600.0)
    >>> parse_feed("ccxt:deribit,kraken").names
    ('deribit', 'kraken')
    """
    kind, _, rest = text.partition(":")
    if kind == "ccxt" and rest and all(name.isidentifier() for name in rest.split(",")):
        return Venues(names=tuple(rest.split(",")))
    if kind == "replay" and rest:
        file, at, speed = rest.rpartition("@")
        if not at:
            return Recorded(path=Path(rest))
        with contextlib.suppress(ValueError):
            found = math.inf if speed == "max" else float(speed)
            if found > 0.0:
                return Recorded(path=Path(file), speed=found)
    raise InputError(f"a feed must be replay:FILE, replay:FILE@SPEED or ccxt:VENUE,VENUE, was {text!r}")


def require_feeds(feeds: Sequence[Recorded | Venues]) -> None:
    """Refuse a recording that cannot be read, and a venue that nothing connects to."""
    for each in feeds:
        if isinstance(each, Recorded):
            _recording(each)
        else:
            for name in each.names:
                ccxt_exchange(name)


def _recording(feed: Recorded) -> Iterator[MarketSnapshot]:
    from crossmargin.files.market_recording import read_recording  # with polars, slow to load; only a replay needs it

    return read_recording(feed.path)


@dataclass(slots=True)
class Feeding:
    """What feeds a writer, and how it does."""

    writer: Writer
    pumps: list[Pump] = field(default_factory=list)
    live: list[LiveFeed] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """Why a recording ended early."""

    def is_listed(self, instrument: str) -> bool:
        """Whether the engine has taken an instrument on; not while it is being opened."""
        if not self.writer.is_ready:
            return False
        with self.writer.lock:
            found = self.writer.engine.state.listings.get(instrument)
        return found is not None and not found.expired

    def dollar_price(self, coin: str) -> Decimal | None:
        """Return what a coin is worth in USD; None where its price is not good."""
        if not self.writer.is_ready:
            return None
        with self.writer.lock:
            seen = self.writer.engine.state.market.index.get(coin)
        return None if seen is None or seen.quality != "GOOD" else seen.price

    def status(self) -> Record:
        """Return how sources and connections do."""
        return {
            "sources": [
                {
                    "source": each.source,
                    "state": each.state,
                    "age_ms": None if each.age_ns is None else each.age_ns // 1_000_000,
                    "accepted": each.accepted,
                    "rejected": each.rejected,
                }
                for pump in self.pumps
                for each in pump.statuses()
            ],
            "connections": [
                {
                    "source": each.status.source,
                    "state": each.status.state,
                    "sessions": each.status.sessions,
                    "broken": each.status.broken,
                    "gaps": each.status.gaps,
                    "messages": each.status.messages,
                    "last_error": each.status.last_error,
                }
                for each in self.live
            ],
            "updates": sum(pump.updates for pump in self.pumps),
            "waited": sum(pump.waited for pump in self.pumps),
            "coalesced": sum(pump.pending.coalesced for pump in self.pumps),
            "refused": {reason: count for pump in self.pumps for reason, count in pump.refused.items()},
            "findings": self.findings,
        }


def no_feeds() -> Record:
    """Return the status of a service that nothing feeds."""
    return {
        "sources": [], "connections": [], "updates": 0, "waited": 0, "coalesced": 0, "refused": {}, "findings": [],
    }  # fmt: skip


@contextlib.contextmanager
def feeding(
    writer: Writer,
    feeds: Sequence[Recorded | Venues],
    *,
    connect: Callable[[str], Callable[[], Exchange]] | None = None,
    rules: LiveRules | None = None,
) -> Iterator[Feeding]:
    """Feed a writer for as long as the block lasts.

    Parameters
    ----------
    connect
        Gives, for a venue's name, what makes a new exchange; ccxt.pro's without it.
    """
    found = Feeding(writer)
    names = tuple(name for each in feeds if isinstance(each, Venues) for name in each.names)
    makers = {name: (connect or ccxt_exchange)(name) for name in names}
    with contextlib.ExitStack() as stack:
        for each in feeds:
            if isinstance(each, Recorded):
                stack.enter_context(_playing(found, each))
        if makers:
            stack.enter_context(_live(found, makers, rules))
        yield found


def ccxt_exchange(name: str) -> Callable[[], Exchange]:
    """Return what makes ccxt.pro's exchange of a name.

    Raises
    ------
    InputError
        If ccxt is not installed or has no such exchange.
    """
    # the import brings every exchange there is, ten seconds' work; whoever mistypes a name need not wait for it
    ccxt_is_at = importlib.util.find_spec("ccxt")
    if ccxt_is_at is not None:
        folders = [Path(each) / "pro" for each in ccxt_is_at.submodule_search_locations or ()]
        if not any((each / f"{name}.py").exists() for each in folders):
            raise _no_such(name)
    try:
        import ccxt.pro
    except ImportError as error:
        raise InputError("a live feed needs the extra crossmargin[live], ccxt is missing") from error
    if name not in ccxt.pro.exchanges:
        raise _no_such(name)
    maker: Callable[[], Exchange] = getattr(ccxt.pro, name)
    return maker


def _no_such(name: str) -> InputError:
    return InputError(f"a venue must be an exchange of ccxt.pro, was {name}")


def follows_of(
    venue: str, coins: Sequence[str], instruments: Sequence[str], markets: Mapping[str, Any]
) -> list[Follow]:
    """Return what to follow at a venue: one symbol for the index of each coin, and the marks of its instruments.

    The index is the spot pair in USD, the index that a perpetual in USD states, or either in a dollar coin.

    Examples
    --------
    >>> markets = {"BTC/USDC": {}, "ETH/USD:ETH": {}, "ETH/USDC": {}}
    >>> [(each.symbol, each.kind) for each in follows_of("deribit", ["BTC", "ETH"], ["deribit:ETH/USD:ETH"], markets)]
    [('BTC/USDC', 'index'), ('ETH/USD:ETH', 'index'), ('ETH/USD:ETH', 'mark')]
    """
    follows = []
    for coin in coins:
        dollars = [quote for quote in DOLLAR_QUOTES if quote != coin]
        pairs = [(f"{coin}/USD", "USD"), (f"{coin}/USD:{coin}", "USD")]
        pairs += [(f"{coin}/{quote}", quote) for quote in dollars]
        pairs += [(f"{coin}/{quote}:{quote}", quote) for quote in dollars]
        symbol, quote = next((pair for pair in pairs if pair[0] in markets), ("", ""))
        if symbol:
            follows.append(Follow(symbol=symbol, kind="index", subject=coin, quote=quote))
    for instrument in instruments:
        owner, _, symbol = instrument.partition(":")
        if owner == venue and symbol in markets:
            follows.append(Follow(symbol=symbol, kind="mark", subject=instrument))
    return follows


@contextlib.contextmanager
def _playing(found: Feeding, recorded: Recorded) -> Iterator[None]:
    snapshots, ended = _recording(recorded), threading.Event()
    playhead = Playhead(0)
    pump = Pump(found.writer.submit, found.is_listed, clock=playhead)
    found.pumps.append(pump)

    def run() -> None:
        while not found.writer.is_ready:
            if ended.wait(0.1) or found.writer.failure is not None:
                return
        with found.writer.lock:
            playhead.move(found.writer.engine.state.time_ns)
        try:
            play(snapshots, pump, playhead, speed=recorded.speed, wait=ended.wait, going=lambda: not ended.is_set())
        except CrossMarginError as error:  # a wrong row ends the recording, not the service
            found.findings.append(f"{recorded.path.name}: {error}")

    def end() -> None:
        ended.set()
        pump.end()

    with _in_a_thread(run, "replay", end):
        yield


@contextlib.contextmanager
def _live(found: Feeding, makers: Mapping[str, Callable[[], Exchange]], rules: LiveRules | None) -> Iterator[None]:
    pump = Pump(found.writer.submit, found.is_listed)
    found.pumps.append(pump)

    def chosen(venue: str) -> Callable[[Mapping[str, Any]], Sequence[Follow]]:
        def choose(markets: Mapping[str, Any]) -> Sequence[Follow]:
            with found.writer.lock:
                state = found.writer.engine.state
                coins = sorted(set(state.assets) - {USD})
                instruments = sorted(name for name, listing in state.listings.items() if not listing.expired)
            return follows_of(venue, coins, instruments, markets)

        return choose

    for venue, maker in makers.items():
        found.live.append(
            LiveFeed(venue, maker, chosen(venue), pump.offer, dollar_price=found.dollar_price, rules=rules)
        )
    loop = asyncio.new_event_loop()

    async def run_all() -> None:
        await asyncio.gather(*(feed.run() for feed in found.live))

    task = loop.create_task(run_all())

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    with running(pump), _in_a_thread(run, "live feeds", lambda: loop.call_soon_threadsafe(task.cancel)):
        yield


@contextlib.contextmanager
def _in_a_thread(run: Callable[[], None], name: str, end: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end()
        thread.join(timeout=30)
