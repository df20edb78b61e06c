"""Puts up on boards what the engine's process tells workers: the market when it moved, accounts when they are asked for."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.risk.risk_array import RiskArray
from crossmargin.service.processes.board import Board
from crossmargin.service.processes.market_pages import market_page
from crossmargin.service.processes.standing_pages import StandingPages, nothing_to_tell
from crossmargin.service.standings import glance
from crossmargin.service.writer import Starting, Writer

_LOG = logging.getLogger(__name__)
PACE_SECONDS = 0.05
"""What is asked for within this time is put up once."""
LARGEST_SHARE = 0.1
"""Of this process's time that putting accounts up may take, however often somebody asks."""
LARGEST_PAGE = 1 << 26


class _Repeating:
    """A thread that works when it is woken, and rests `rest` seconds each time: of what the work took, in processor time."""

    def __init__(self, name: str, work: Callable[[], None], rest: Callable[[float], float]) -> None:
        self._work, self._rest = work, rest
        self._woken, self._ends = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def end(self) -> None:
        self._ends.set()
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.is_set():
            self._woken.wait()
            self._woken.clear()
            begun = time.thread_time()
            self._work()
            self._ends.wait(self._rest(time.thread_time() - begun))


class Publisher:
    """The board of the market; a thread follows a writer for as long as the block lasts, once its engine is open."""

    def __init__(self, writer: Writer) -> None:
        self.board = Board.new(LARGEST_PAGE)
        self._writer = writer
        self._shipped = read_parameters(method_named(DEFAULT_METHOD))
        self._market: MarketSnapshot | None = None
        self._thread = _Repeating("publisher", self._try, lambda _: PACE_SECONDS)

    def __enter__(self) -> Self:
        """Begin."""
        self._writer.when_open(lambda _: self._thread.wake())
        self._writer.listen(self._thread.wake)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; who has the board keeps what is on it."""
        self._thread.end()
        self._writer.ignore(self._thread.wake)

    def _try(self) -> None:
        try:
            self.publish()
        except Starting:
            return
        except Exception:
            # a market that is not up any more must not be margined on; the engine's process answers instead
            _LOG.exception("a market could not be put up")
            self.board.write(b"")

    def publish(self) -> None:
        """Put the market up if it is another one than the last."""
        with self._writer.lock:
            engine = self._writer.engine
            market = engine.market()
            if market is self._market:
                return
            risk = self._risk(engine)
        self._market = market
        self.board.write(market_page(market, risk))

    def _risk(self, engine: Engine) -> RiskArray | None:
        """Return the engine's risk array of the default method, if it is what a book of nobody's is margined on."""
        try:
            if engine.margin_parameters(DEFAULT_METHOD) != self._shipped:
                return None
            return engine.risk_array(DEFAULT_METHOD)
        except CrossMarginError:  # no parameters in force yet, or a price is missing
            return None


class StandingsPublisher:
    """The board of accounts: whoever finds its columns behind the record that is due asks for them.

    What nobody reads is never put up, so orders are as fast as without.
    """

    def __init__(self, writer: Writer) -> None:
        self.board = Board.new(LARGEST_PAGE)
        self._writer, self._pages = writer, StandingPages()
        self._record: int | None = None
        self._thread = _Repeating(
            "standings", self.publish, lambda took: max(PACE_SECONDS, took * (1.0 / LARGEST_SHARE - 1.0))
        )
        self.want = self._thread.wake

    def __enter__(self) -> Self:
        """Begin."""
        with self._writer.lock:
            self._writer.applied.append(self._is_due)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._thread.end()
        with self._writer.lock:
            self._writer.applied.remove(self._is_due)

    def _is_due(self, record: int) -> None:
        self.board.due = record

    def publish(self) -> None:
        """Put the columns up if there are others than the last."""
        record = self._writer.record
        try:
            with self._writer.lock:
                record = self._writer.record
                if record == self._record:
                    return
                seen = glance(self._writer.engine, self._writer.sequence, record)
            self.board.write(self._pages.written(seen.standings(self._pages.roster)))
        except Starting:
            return
        except CrossMarginError:  # a price is missing, which the engine's process tells
            self.board.write(nothing_to_tell(record))
        except Exception:
            _LOG.exception("accounts could not be put up")
            self.board.write(nothing_to_tell(record))
        self._record = record
