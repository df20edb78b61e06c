"""Recorded markets as ticks, at any speed: the recording's own time moves, the wall's clock only paces it."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from crossmargin.errors import InputError, MarketDataError
from crossmargin.feeds.pump import Pump
from crossmargin.feeds.ticks import Said
from crossmargin.instruments.contracts import Option
from crossmargin.instruments.symbols import parse_contract
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.units import NANOSECONDS_PER_SECOND


@dataclass(slots=True)
class Played:
    """What a replay did."""

    snapshots: int = 0
    skipped: int = 0
    """Snapshots before the time at which the engine stood."""
    ticks: int = 0


class Playhead:
    """The time of a recording while it plays; a pump's clock."""

    def __init__(self, time_ns: int) -> None:
        self._time_ns = time_ns

    def __call__(self) -> int:
        """Return the time of the recording."""
        return self._time_ns

    def move(self, time_ns: int) -> None:
        """Go on to a later time."""
        self._time_ns = max(time_ns, self._time_ns)


def play(
    snapshots: Iterable[MarketSnapshot],
    pump: Pump,
    playhead: Playhead,
    *,
    speed: float,
    wait: Callable[[float], object] = time.sleep,
    going: Callable[[], bool] = lambda: True,
) -> Played:
    """Tell `pump` the snapshots in their order, `speed` seconds of theirs in one of the clock's.

    `playhead` must be the clock of the pump; `wait` is told how many seconds to let pass. A speed of infinity waits for
    nothing. A recording that goes back in time is skipped up to where it stood.

    Raises
    ------
    InputError
        If the speed is not above 0.
    """
    if not speed > 0.0:
        raise InputError(f"a speed must be above 0, was {speed}")
    played = Played()
    before: int | None = None
    for snapshot in snapshots:
        if not going():
            break
        if snapshot.time_ns < playhead():
            played.skipped += 1
            continue
        if before is not None and speed != float("inf"):
            wait((snapshot.time_ns - before) / NANOSECONDS_PER_SECOND / speed)
        before = snapshot.time_ns
        playhead.move(snapshot.time_ns)
        for said in said_by(snapshot):
            pump.offer(said)
            played.ticks += 1
        pump.tell()
        played.snapshots += 1
    return played


def said_by(snapshot: MarketSnapshot, source: str = "recording") -> Iterator[Said]:
    """Yield what a snapshot says, as a source would say it; prices that are not good are not said."""
    for coin, price in snapshot.index.items():
        if price.quality.value == "good":
            yield Said(
                source=source, kind="index", subject=str(coin), values={"price": price.value}, time_ns=snapshot.time_ns
            )
    for name, price in snapshot.marks.items():
        if price.quality.value != "good":
            continue
        values: dict[str, object] = {"price": price.value}
        contract = parse_contract(name)
        if isinstance(contract, Option):
            with contextlib.suppress(MarketDataError):
                values |= {
                    "vol": snapshot.vol(contract),
                    "forward": snapshot.forward(contract.base, contract.expiry_ns),
                }
        kind = "option" if "vol" in values else "mark"
        yield Said(source=source, kind=kind, subject=str(name), values=values, time_ns=snapshot.time_ns)
