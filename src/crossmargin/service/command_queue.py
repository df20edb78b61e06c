"""Commands that wait for the writer, those that must not wait before a flood of others, and how whoever asked is answered."""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter

from crossmargin.engine.commands import (
    AdvanceTime,
    BidAuction,
    CancelAllOrders,
    CancelOrder,
    Command,
    FillLiquidation,
    Halt,
    PlaceOrder,
    Resume,
    RunAudit,
    UpdateMarket,
    Withdraw,
)
from crossmargin.engine.events import Event

LARGEST_BATCH = 512
LONGEST_QUEUE = 20_000
OF_ACCOUNTS = (PlaceOrder, CancelOrder, CancelAllOrders, Withdraw, RunAudit)
"""What there may be a flood of."""
URGENT = (AdvanceTime, UpdateMarket, Halt, Resume, FillLiquidation, BidAuction)
"""Time, prices, what operators must not wait for, and what ends a liquidation: they pass what accounts ask for, so that a
flood of orders neither holds up a liquidation nor shuts out who can end it. They pass nothing else: a price never comes
before the listing that it is of, nor funding before a trade."""
_WAKE = object()
"""In the queue: something urgent waits."""

Answer = tuple[Event, ...]


class Busy(Exception):  # noqa: N818  (a state, not a fault)
    """More commands wait than may wait; ask again later."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A command in the queue, whom to answer, and when it came, s."""

    command: Command
    answer: "Future[Answer] | asyncio.Future[Answer]"
    since: float


class CommandQueue:
    """What waits for the writer; many threads put, one takes."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Waiting | object | None] = queue.SimpleQueue()
        self._urgent: deque[Waiting] = deque()
        """What passes the queue; for each of them that holds a wake-up."""
        self._unpassable = 0
        """How many in the queue nothing may pass."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Commands that wait."""
        return self._queue.qsize()

    def put(self, command: Command, answer: "Future[Answer] | asyncio.Future[Answer]") -> None:
        """Let a command wait.

        Raises
        ------
        Busy
            If too many wait; the urgent have as much room again when the others have none.
        """
        urgent = isinstance(command, URGENT)
        if self._queue.qsize() >= (2 * LONGEST_QUEUE if urgent else LONGEST_QUEUE):
            raise Busy(f"{LONGEST_QUEUE} commands wait already")
        item = Waiting(command, answer, perf_counter())
        with self._lock:
            if urgent and not self._unpassable:
                self._urgent.append(item)
                self._queue.put(_WAKE)
            else:
                self._unpassable += _is_unpassable(item)
                self._queue.put(item)

    def end(self) -> None:
        """Let who takes know that nothing will come after what waits."""
        self._queue.put(None)

    def take(self) -> tuple[list[Waiting], bool]:
        """Wait for commands and return a batch of them, those that pass first, and whether more may come."""
        batch = [self._queue.get()]
        return self._taken(batch, LARGEST_BATCH), None not in batch

    def take_all(self) -> list[Waiting]:
        """Return all that waits now, without waiting for any."""
        return self._taken([], 4 * LONGEST_QUEUE)

    def _taken(self, batch: list[Waiting | object | None], most: int) -> list[Waiting]:
        """Fill `batch` up, and return the commands in it after those that pass them."""
        found: list[Waiting] = []
        with self._lock:
            with contextlib.suppress(queue.Empty):
                while len(batch) < most:
                    batch.append(self._queue.get_nowait())
            with contextlib.suppress(IndexError):
                while len(found) < most:
                    found.append(self._urgent.popleft())
            rest = [item for item in batch if isinstance(item, Waiting)]
            self._unpassable -= sum(map(_is_unpassable, rest))
        return found + rest


def _is_unpassable(item: Waiting) -> bool:
    return not isinstance(item.command, OF_ACCOUNTS)


def tell(told: Sequence[tuple[Waiting, Answer | Exception]]) -> None:
    """Answer commands; each event loop that waits for some of them is woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer | Exception]]] = {}
    for each, found in told:
        if isinstance(each.answer, asyncio.Future):
            by_loop.setdefault(each.answer.get_loop(), []).append((each.answer, found))
        elif isinstance(found, Exception):
            each.answer.set_exception(found)
        else:
            each.answer.set_result(found)
    for loop, answers in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has closed, and nobody waits
            loop.call_soon_threadsafe(_settle, answers)


def _settle(answers: Sequence[tuple["asyncio.Future[Answer]", Answer | Exception]]) -> None:
    for answer, found in answers:
        if answer.done():
            continue  # who asked has gone
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)
