"""What the service counts and times as it works, for ``/metrics``; what it can read when asked is in `figures`."""

from collections.abc import Iterable, Sequence
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram

from crossmargin.engine.commands import Command, UpdateMarket
from crossmargin.engine.events import Event, Refused, Repeated
from crossmargin.store.journal import Journal
from crossmargin.store.records import Payload

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Edges of the histograms, s; 25 ms is what an order may take."""


class Measures:
    """Counters and histograms of one writer and of the routes over it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.applied = self._counter("commands_applied", "Commands applied, by kind.", "command")
        self.refused = self._counter("commands_refused", "Commands refused, by reason.", "reason")
        self.repeated = self._counter("commands_repeated", "Commands that had been applied before, and were not again.")
        self.events = self._counter("events", "Events published, by kind.", "event")
        self.command_seconds = self._histogram("command_seconds", "From a command's arrival to its answer.")
        self.tick_seconds = self._histogram("tick_seconds", "From a market update's arrival to its answer.")
        self.journal_sync_seconds = self._histogram("journal_sync_seconds", "Write and fsync of a batch of commands.")
        self.requests = self._counter("requests", "Requests answered.", "method", "route", "status")
        self.request_seconds = self._histogram("request_seconds", "From a request to its answer's first byte.", "route")
        self.left_out = self._counter("clock_findings", "Jumps of a clock that were left out of the engine's time.")
        self.handed = self._counter("connections_handed", "Connections handed to another process, or back.", "to")
        self.started = self._counter("processes_started", "Starts of the engine's child processes, by kind.", "kind")

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"crossmargin_{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(f"crossmargin_{name}", what, labels, registry=self.registry, buckets=FAST)

    def answered(self, command: Command, events: Sequence[Event], waited_s: float) -> None:
        """Count a command with its events, and the time from its arrival to now."""
        if isinstance(command, UpdateMarket):
            self.tick_seconds.observe(waited_s)
        else:
            self.command_seconds.observe(waited_s)
        first = events[0] if events else None
        if isinstance(first, Refused):
            self.refused.labels(first.reason).inc()
        elif isinstance(first, Repeated):
            self.repeated.inc()
        else:
            self.applied.labels(type(command).__name__).inc()
        for event in events:
            if not isinstance(event, Refused | Repeated):
                self.events.labels(type(event).__name__).inc()


class TimedJournal:
    """A journal whose appends are timed."""

    def __init__(self, journal: Journal, seconds: Histogram) -> None:
        self._journal, self._seconds = journal, seconds
        self.read, self.begin_segment = journal.read, journal.begin_segment
        self.head, self.close = journal.head, journal.close

    def append(self, payloads: Iterable[Payload | bytes]) -> int:
        """Write payloads and sync them; return the number of the last."""
        begun = perf_counter()
        last = self._journal.append(payloads)
        self._seconds.observe(perf_counter() - begun)
        return last
