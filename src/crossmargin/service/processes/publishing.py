"""Puts the engine's market up on the board whenever it has moved."""

import logging
import threading
from typing import Self

from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.risk.risk_array import RiskArray
from crossmargin.service.processes.board import Board
from crossmargin.service.processes.market_pages import market_page
from crossmargin.service.writer import Starting, Writer

_LOG = logging.getLogger(__name__)
PACE_SECONDS = 0.05
"""Moves of the market within this time are put up as one."""
LARGEST_PAGE = 1 << 26


class Publisher:
    """A thread that follows a writer for as long as the block lasts; the first page is up once the engine is open."""

    def __init__(self, writer: Writer) -> None:
        self.board = Board.new(LARGEST_PAGE)
        self._writer = writer
        self._shipped = read_parameters(method_named(DEFAULT_METHOD))
        self._market: MarketSnapshot | None = None
        self._moved, self._ends = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="publisher", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._writer.when_open(lambda _: self._moved.set())
        self._writer.listen(self._moved.set)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; who has the board keeps what is on it."""
        self._ends.set()
        self._moved.set()
        self._thread.join()
        self._writer.ignore(self._moved.set)

    def _follow(self) -> None:
        while not self._ends.is_set():
            self._moved.wait()
            self._moved.clear()
            try:
                self.publish()
            except Starting:
                continue
            except Exception:
                # a market that is not up any more must not be margined on; the engine's process answers instead
                _LOG.exception("a market could not be put up")
                self.board.write(b"")
            self._ends.wait(PACE_SECONDS)

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
