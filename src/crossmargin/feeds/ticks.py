"""What a source says, judged at the door: a number that cannot be is turned away and counted, and nothing else happens.

A source may say anything: nothing it says raises an exception here, and nothing that is turned away moves a price.
Whether a price that can be is also believed, against others and in its band, is decided by the engine.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from crossmargin.units import LARGEST_NUMBER, NANOSECONDS_PER_SECOND, SMALLEST_PRICE

LARGEST_VOL = 20.0
"""Annual; more than any option has been quoted at."""
LONGEST_SUBJECT = 100
MOST_DIGITS = 40
LARGEST_FUNDING = Decimal("0.1")
"""Of notional, in one payment; venues cap it below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a source said, as it came: any of the values, and the time, may be anything.

    `kind` is ``index`` (of a coin), ``mark``, ``option`` or ``funding`` (of an instrument); `subject` says of which.
    """

    source: str
    kind: str
    subject: object
    values: Mapping[str, object]
    time_ns: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexTick:
    """USD per coin at one source."""

    source: str
    coin: str
    price: Decimal
    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkTick:
    """Mark of an instrument."""

    source: str
    instrument: str
    price: Decimal
    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionTick:
    """Mark of an option, its vol, and the forward of its expiry in USD."""

    source: str
    instrument: str
    price: Decimal
    vol: float
    forward: float
    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingTick:
    """Rate that longs pay shorts of notional at `due_ns`."""

    source: str
    instrument: str
    rate: Decimal
    due_ns: int
    time_ns: int


Tick: TypeAlias = IndexTick | MarkTick | OptionTick | FundingTick


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRules:
    """When what was said is too old or too early.

    Attributes
    ----------
    max_age_ns
        Older ticks are turned away.
    max_ahead_ns
        How far clocks may differ; a time further ahead is turned away.
    """

    max_age_ns: int = 60 * NANOSECONDS_PER_SECOND
    max_ahead_ns: int = NANOSECONDS_PER_SECOND


@dataclass(slots=True)
class Tally:
    """What came from one source."""

    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """How many were turned away, by reason."""
    last_ns: int | None = None
    """Time of the newest tick that was let in."""


class Door:
    """Lets ticks in or turns them away, and counts both by source."""

    def __init__(self, rules: DoorRules | None = None) -> None:
        self.rules = rules or DoorRules()
        self.tallies: dict[str, Tally] = {}
        self._last: dict[tuple[str, str, str], tuple[int, Tick]] = {}

    def admit(self, said: Said, now_ns: int) -> Tick | None:
        """Return the tick that was said; None if it cannot be, which is counted.

        Examples
        --------
        >>> door = Door()
        >>> said = Said(source="x", kind="index", subject="BTC", values={"price": float("nan")}, time_ns=5)
        >>> door.admit(said, now_ns=5), door.tallies["x"].rejected
        (None, Counter({'not a positive number': 1}))
        """
        tally = self.tallies.setdefault(str(said.source), Tally())
        found = self._judged(said, now_ns)
        if isinstance(found, str):
            tally.rejected[found] += 1
            return None
        tally.accepted += 1
        tally.last_ns = max(found.time_ns, tally.last_ns or 0)
        return found

    def _judged(self, said: Said, now_ns: int) -> Tick | str:
        time_ns = now_ns if said.time_ns is None else said.time_ns
        if not isinstance(time_ns, int) or isinstance(time_ns, bool):
            return "no time"
        if time_ns > now_ns + self.rules.max_ahead_ns:
            return "from the future"
        if time_ns < now_ns - self.rules.max_age_ns:
            return "too old"
        found = _tick(said, min(time_ns, now_ns))
        if isinstance(found, str):
            return found
        key = (said.source, said.kind, str(said.subject))
        before = self._last.get(key)
        if before is not None and time_ns < before[0]:
            return "out of order"
        if before is not None and time_ns == before[0] and found == before[1]:
            return "said before"
        self._last[key] = (time_ns, found)
        return found


def _tick(said: Said, time_ns: int) -> Tick | str:
    """Return what the values amount to, or what is wrong with them."""
    source, subject, values = said.source, said.subject, said.values
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        return "no subject"
    crossed = _crossed(values)
    if crossed is not None:
        return crossed
    match said.kind:
        case "index":
            price = positive(values.get("price"))
            if price is None:
                return "not a positive number"
            return IndexTick(source=source, coin=subject, price=price, time_ns=time_ns)
        case "mark":
            price = positive(values.get("price"))
            if price is None:
                return "not a positive number"
            return MarkTick(source=source, instrument=subject, price=price, time_ns=time_ns)
        case "option":
            return _option(source, subject, values, time_ns)
        case "funding":
            return _funding(source, subject, values, time_ns)
        case _:
            return "no such kind"


def _option(source: str, subject: str, values: Mapping[str, object], time_ns: int) -> Tick | str:
    price, vol, forward = (number(values.get(name)) for name in ("price", "vol", "forward"))
    if price is None or price < 0 or price > LARGEST_NUMBER:
        return "not a positive number"
    if vol is None or not 0 < vol <= LARGEST_VOL:
        return "no possible vol"
    if forward is None or not SMALLEST_PRICE <= forward <= LARGEST_NUMBER:
        return "no possible forward"
    return OptionTick(
        source=source,
        instrument=subject,
        price=price,
        vol=float(vol),
        forward=float(forward),
        time_ns=time_ns,
    )


def _funding(source: str, subject: str, values: Mapping[str, object], time_ns: int) -> Tick | str:
    rate, due_ns = number(values.get("rate")), values.get("due_ns")
    if rate is None or abs(rate) > LARGEST_FUNDING:
        return "no possible rate"
    if not isinstance(due_ns, int) or isinstance(due_ns, bool):
        return "no time"
    return FundingTick(source=source, instrument=subject, rate=rate, due_ns=due_ns, time_ns=time_ns)


def _crossed(values: Mapping[str, object]) -> str | None:
    """Say whether the best bid is above the best ask; a side that is not there does not cross."""
    bid, ask = number(values.get("bid")), number(values.get("ask"))
    return "a crossed book" if bid is not None and ask is not None and bid > ask > 0 else None


def positive(value: object) -> Decimal | None:
    """Return a price; None where it is none.

    Examples
    --------
    >>> positive("95000.5"), positive(0), positive(float("inf")), positive(None)
    (Decimal('95000.5'), None, None, None)
    """
    found = number(value)
    return found if found is not None and SMALLEST_PRICE <= found <= LARGEST_NUMBER else None


def number(value: object) -> Decimal | None:
    """Return a finite number, exactly as it was written; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        return None
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    # more digits than any price has would only slow down what comes after
    return found if found.is_finite() and len(found.as_tuple().digits) <= MOST_DIGITS else None
