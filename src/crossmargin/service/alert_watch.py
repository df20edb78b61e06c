"""The threads that look at metrics by the rules and tell channels; what they know survives a restart.

`alerts.json` in the service's folder holds open alerts, the latest ended ones, and what has not reached a channel yet. It is
replaced as a whole, and before anything is told: after a crash a notice may come twice, never not at all.
"""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.samples import Sample

from crossmargin.errors import InputError
from crossmargin.service.alert_channels import Delivery, deliver, deliveries
from crossmargin.service.alert_rules import AlertRule, AlertRules
from crossmargin.service.alerting import NS, Alert, acknowledged, gone, step

_LOG = logging.getLogger(__name__)
ENDED_KEPT = 1_000
LONGEST_PAUSE_S = 300.0
"""Between two tries of a channel that does not answer."""
MOST_TRIES = 100
Series = tuple[str, tuple[tuple[str, str], ...]]


class Kept(msgspec.Struct, kw_only=True):
    """What the file holds."""

    open: list[Alert] = []
    ended: list[Alert] = []
    waiting: list[Delivery] = []


class AlertWatch:
    """Alerts of one service.

    Parameters
    ----------
    read
        Gives the samples of all metrics as they are.
    clock_ns
        The time, ns since 1970.
    send
        Tells a channel, and whether it took it; apprise's without it.
    """

    def __init__(
        self,
        rules: AlertRules,
        folder: Path,
        read: Callable[[], Iterable[Sample]],
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        send: Callable[[Delivery, str], bool] = deliver,
    ) -> None:
        self.rules = rules
        self._read, self._clock_ns, self._send = read, clock_ns, send
        self._path = folder / "alerts.json"
        self._lock = threading.RLock()
        kept = _loaded(self._path)
        names = {rule.name for rule in rules.rules}
        now_ns = clock_ns()
        # nobody measured while the service was down; an alert whose rule is gone has nothing to end it
        self._open = {
            _series(each.rule, each.labels): msgspec.structs.replace(each, seen_ns=now_ns)
            for each in kept.open
            if each.rule in names
        }
        self._ended = deque(kept.ended, maxlen=ENDED_KEPT)
        self._waiting = [each for each in kept.waiting if each.channel in rules.channels]
        self._since: dict[Series, int] = {}
        self._past: dict[Series, deque[tuple[int, float]]] = {}
        self._stopping, self._woken = threading.Event(), threading.Event()

    def alerts(self) -> tuple[list[Alert], list[Alert]]:
        """Return open alerts and ended ones, the newest first."""
        with self._lock:
            newest = sorted(self._open.values(), key=lambda each: each.opened_ns, reverse=True)
            return newest, list(self._ended)[::-1]

    def acknowledge(self, identifier: str, who: str) -> Alert:
        """Note that somebody has taken an open alert on, and return it.

        Raises
        ------
        InputError
            If no alert of that id is open.
        """
        with self._lock:
            key = next((key for key, each in self._open.items() if each.id == identifier), None)
            if key is None:
                raise InputError(f"an alert must be open to be acknowledged, none called {identifier} is")
            self._open[key] = acknowledged(self._open[key], who, self._clock_ns())
            self._save()
            return self._open[key]

    def look(self) -> None:
        """Look at every metric once, and put down what is to be told."""
        now_ns = self._clock_ns()
        found: dict[str, list[Sample]] = {}
        for sample in self._read():
            found.setdefault(sample.name, []).append(sample)
        with self._lock:
            told = [self._judge(rule, found.get(rule.metric, []), now_ns) for rule in self.rules.rules]
            if any(told):
                self._save()
                self._woken.set()

    def _judge(self, rule: AlertRule, samples: list[Sample], now_ns: int) -> bool:
        """Tell whether anything is to be told."""
        chosen = [each for each in samples if rule.labels.items() <= each.labels.items()]
        told = False
        for sample in chosen:
            key = _series(rule.name, sample.labels)
            value = (
                sample.value if rule.rise_over_s is None else self._rise(key, rule.rise_over_s, sample.value, now_ns)
            )
            told |= self._step(rule, key, sample.labels, value, now_ns)
        seen = {_series(rule.name, each.labels) for each in chosen}
        for key in [each for each in self._open if each[0] == rule.name and each not in seen]:
            told |= self._settle(key, *gone(rule, self._open[key], now_ns))
        return told

    def _step(self, rule: AlertRule, key: Series, labels: dict[str, str], value: float, now_ns: int) -> bool:
        alert, notices = step(rule, self._open.get(key), labels, value, now_ns)
        is_rising = any(each.what == "raised" for each in notices)
        if is_rising and now_ns - self._since.setdefault(key, now_ns) < rule.for_s * NS:
            return False
        self._since.pop(key, None)
        return self._settle(key, alert, notices)

    def _settle(self, key: Series, alert: Alert | None, notices: Iterable[Any]) -> bool:
        notices = tuple(notices)
        if alert is None:
            self._open.pop(key, None)
        else:
            self._open[key] = alert
        rule = next(each for each in self.rules.rules if each.name == key[0])
        for each in notices:
            if each.what == "ended":
                self._ended.append(each.alert)
            self._waiting += deliveries(each, rule)
        return bool(notices)

    def _rise(self, key: Series, over_s: float, value: float, now_ns: int) -> float:
        """Rise of a counter; one that was begun anew rose from nothing."""
        past = self._past.setdefault(key, deque())
        if past and value < past[-1][1]:
            past.clear()
            past.append((now_ns, 0.0))
        past.append((now_ns, value))
        while len(past) > 2 and past[1][0] <= now_ns - int(over_s * NS):
            past.popleft()
        return value - past[0][1]

    def tell(self) -> float:
        """Tell what waits and is due; return the seconds until something is due again, at most a minute."""
        with self._lock:
            due = [each for each in self._waiting if each.next_ns <= self._clock_ns()]
        for each in due:
            taken = self._send(each, self.rules.channels[each.channel])
            with self._lock:
                self._waiting.remove(each)
                if not taken and each.tries + 1 < MOST_TRIES:
                    pause_s = min(2.0**each.tries, LONGEST_PAUSE_S)
                    next_ns = self._clock_ns() + int(pause_s * NS)
                    self._waiting.append(msgspec.structs.replace(each, tries=each.tries + 1, next_ns=next_ns))
                elif not taken:
                    _LOG.error("channel %s was not told of %s", each.channel, each.title)
                self._save()
        with self._lock:
            times = [each.next_ns for each in self._waiting]
        return min([60.0, *(max(0.0, (each - self._clock_ns()) / NS) for each in times)])

    @contextlib.contextmanager
    def running(self) -> Iterator["AlertWatch"]:
        """Look and tell from threads of their own for as long as the block lasts; without rules there is nothing to do."""
        if not self.rules.rules:
            yield self
            return
        threads = [
            threading.Thread(target=run, name=run.__name__, daemon=True) for run in (self._looking, self._telling)
        ]
        for each in threads:
            each.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._woken.set()
            for each in threads:
                each.join(timeout=10)

    def _looking(self) -> None:
        while not self._stopping.wait(self.rules.every_s):
            try:
                self.look()
            except Exception:
                # a metric that cannot be read today may be read tomorrow; the others are to be watched until then
                _LOG.exception("metrics could not be looked at")

    def _telling(self) -> None:
        pause_s = 0.0
        while not self._stopping.is_set():
            self._woken.wait(max(pause_s, 0.05))
            self._woken.clear()
            try:
                pause_s = self.tell()
            except Exception:
                _LOG.exception("alerts could not be told")
                pause_s = 10.0

    def _save(self) -> None:
        kept = Kept(open=list(self._open.values()), ended=list(self._ended), waiting=self._waiting)
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


def _series(rule: str, labels: dict[str, str]) -> Series:
    return rule, tuple(sorted(labels.items()))


def _loaded(path: Path) -> Kept:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept()
    except msgspec.MsgspecError as error:
        raise InputError(f"kept alerts must be readable, {path}: {error}") from error
