"""Limits of requests by weight: a bucket per caller, and one of all with shares reserved for lanes.

A bucket holds up to a burst and fills steadily; a request takes its weight or waits (generic cell rate, in its form as
a leaky bucket; ITU-T I.371). From the common bucket ordinary callers may take until a fifth is left, liquidators until a
tenth, operators all: a flood never shuts out those who can end it.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from crossmargin.errors import CrossMarginError, InputError
from crossmargin.service.access.roles import Lane

MOST_CALLERS = 100_000
RESERVED = {Lane.ORDINARY: 0.2, Lane.LIQUIDATION: 0.1, Lane.OPERATORS: 0.0}


class TooManyError(CrossMarginError):
    """The caller has to wait."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"requests must keep to their rate, the next may come in {wait_seconds:.3f} s")
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Weight per second, and how much may come at once."""

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        if not (self.per_second > 0 and self.burst > 0):
            raise InputError(f"a rate and its burst must be positive, were {self.per_second} and {self.burst}")


class Buckets:
    """One bucket per name, of one rate; those idle longest are forgotten, which only fills them."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def level(self, name: str, now: float) -> float:
        """Return what the bucket holds at `now` (s, monotonic)."""
        level, at = self._levels.get(name, (self.rate.burst, now))
        return min(self.rate.burst, level + max(0.0, now - at) * self.rate.per_second)

    def wait(self, name: str, weight: float, now: float, reserve: float = 0.0) -> float:
        """Return the seconds until `weight` can be taken and leave `reserve`; 0 if now."""
        short = min(weight, self.rate.burst - reserve) + reserve - self.level(name, now)
        return max(0.0, short) / self.rate.per_second

    def take(self, name: str, weight: float, now: float) -> None:
        """Take `weight`."""
        self._levels[name] = (self.level(name, now) - weight, now)
        self._levels.move_to_end(name)
        while len(self._levels) > MOST_CALLERS:
            self._levels.popitem(last=False)


class RateLimits:
    """The limits of one service.

    Examples
    --------
    >>> limits = RateLimits(caller=Rate(per_second=1, burst=2), common=Rate(per_second=100, burst=100))
    >>> limits.take("alice", Lane.ORDINARY, 2, now=0.0)
    >>> limits.take("alice", Lane.ORDINARY, 1, now=0.0)
    Traceback (most recent call last):
    crossmargin.service.access.rate_limits.TooManyError: requests must keep to their rate, the next may come in 1.000 s
    """

    def __init__(self, *, caller: Rate, common: Rate) -> None:
        self._caller, self._common = Buckets(caller), Buckets(common)
        self._lock = threading.Lock()

    def take(self, caller: str, lane: Lane, weight: float, now: float) -> None:
        """Count a request.

        Raises
        ------
        TooManyError
            If it has to wait; then nothing is counted.
        """
        reserve = RESERVED[lane] * self._common.rate.burst
        with self._lock:
            wait = max(self._caller.wait(caller, weight, now), self._common.wait("all", weight, now, reserve))
            if wait > 0:
                raise TooManyError(wait)
            self._caller.take(caller, weight, now)
            self._common.take("all", weight, now)
