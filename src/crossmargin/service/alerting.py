"""How an alert lives: raised at a level, raised higher, acknowledged, escalated, lowered, ended. No clock and no disk.

One alert is open per rule and series. What was told once is not told again (but for `repeat_s`), however often it is
looked at. A louder level needs a new acknowledgement.
"""

import hashlib
from typing import Literal

import msgspec

from crossmargin.errors import InputError
from crossmargin.service.alert_rules import LEVELS, AlertRule, Level

NS = 10**9
GONE_S = 600.0
"""After which an alert ends whose series is no longer measured."""
What = Literal["raised", "lowered", "repeated", "escalated", "ended"]


class Alert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an alert stands; times in ns since 1970."""

    id: str
    rule: str
    labels: dict[str, str]
    level: str
    value: float
    raised_ns: int
    """When it reached its level."""
    opened_ns: int
    seen_ns: int
    """When its series was last measured."""
    told_ns: int
    is_escalated: bool = False
    acknowledged_by: str | None = None
    acknowledged_ns: int | None = None
    ended_ns: int | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to tell channels."""

    what: What
    alert: Alert
    tell: tuple[str, ...]


Step = tuple[Alert | None, tuple[Notice, ...]]


def loudest(rule: AlertRule, value: float, held: Level | None) -> Level | None:
    """Return the level of a value, given the level held so far: up at an edge, down only past where it clears.

    Examples
    --------
    >>> rule = AlertRule(name="a", metric="m", levels=(Level(level="warning", at=10.0, clear=8.0, tell=()),))
    >>> [loudest(rule, value, held) is None for value, held in ((9.0, None), (9.0, rule.levels[0]), (7.9, rule.levels[0]))]
    [True, False, True]
    """
    found = None
    for each in rule.levels:
        is_held = held is not None and LEVELS.index(each.level) <= LEVELS.index(held.level)
        clear = each.at if each.clear is None else each.clear
        reached = rule.sign * value >= rule.sign * each.at
        if reached or (is_held and rule.sign * value > rule.sign * clear):
            found = each
    return found


def step(rule: AlertRule, alert: Alert | None, labels: dict[str, str], value: float, now_ns: int) -> Step:
    """Return the alert after a value was seen, and what is to be told; the alert is None where nothing is wrong."""
    held = None if alert is None else next((each for each in rule.levels if each.level == alert.level), None)
    level = loudest(rule, value, held)
    if level is None:
        return _ended(rule, alert, value, now_ns)
    if alert is None:
        named = f"{rule.name} {sorted(labels.items())} {now_ns}"
        made = Alert(
            id=hashlib.sha256(named.encode()).hexdigest()[:16], rule=rule.name, labels=labels, level=level.level, value=value,
            raised_ns=now_ns, opened_ns=now_ns, seen_ns=now_ns, told_ns=now_ns,
        )  # fmt: skip
        return made, (Notice(what="raised", alert=made, tell=level.tell),)
    seen = msgspec.structs.replace(alert, value=value, seen_ns=now_ns)
    if level.level == alert.level:
        return _reminded(rule, level, seen, now_ns)
    is_louder = LEVELS.index(level.level) > LEVELS.index(alert.level)
    moved = msgspec.structs.replace(seen, level=level.level, raised_ns=now_ns, told_ns=now_ns)
    if is_louder:
        moved = msgspec.structs.replace(moved, is_escalated=False, acknowledged_by=None, acknowledged_ns=None)
    # those who heard of the louder level are told that it is over
    tell = level.tell if is_louder else _all_told(rule, alert)
    return moved, (Notice(what="raised" if is_louder else "lowered", alert=moved, tell=tell),)


def gone(rule: AlertRule, alert: Alert, now_ns: int) -> Step:
    """Return the alert where its series is not measured: it stays as it is, is told as before, and ends in the end."""
    if now_ns - alert.seen_ns >= GONE_S * NS:
        return _ended(rule, alert, alert.value, now_ns)
    level = next((each for each in rule.levels if each.level == alert.level), None)
    return (alert, ()) if level is None else _reminded(rule, level, alert, now_ns)


def acknowledged(alert: Alert, who: str, now_ns: int) -> Alert:
    """Return the alert as taken on by somebody: it is not told again at this level."""
    if alert.ended_ns is not None:
        raise InputError(f"an alert must be open to be acknowledged, {alert.id} has ended")
    if alert.acknowledged_by is not None:
        return alert
    return msgspec.structs.replace(alert, acknowledged_by=who, acknowledged_ns=now_ns)


def _ended(rule: AlertRule, alert: Alert | None, value: float, now_ns: int) -> Step:
    if alert is None:
        return None, ()
    over = msgspec.structs.replace(alert, value=value, ended_ns=now_ns)
    return None, (Notice(what="ended", alert=over, tell=_all_told(rule, alert)),)


def _all_told(rule: AlertRule, alert: Alert) -> tuple[str, ...]:
    heard = [
        name for each in rule.levels if LEVELS.index(each.level) <= LEVELS.index(alert.level) for name in each.tell
    ]
    return tuple(dict.fromkeys([*heard, *(rule.escalate_to if alert.is_escalated else ())]))


def _reminded(rule: AlertRule, level: Level, alert: Alert, now_ns: int) -> Step:
    if alert.acknowledged_by is not None:
        return alert, ()
    notices = []
    if rule.escalate_s is not None and not alert.is_escalated and now_ns - alert.raised_ns >= rule.escalate_s * NS:
        alert = msgspec.structs.replace(alert, is_escalated=True)
        notices.append(Notice(what="escalated", alert=alert, tell=rule.escalate_to))
    if rule.repeat_s is not None and now_ns - alert.told_ns >= rule.repeat_s * NS:
        alert = msgspec.structs.replace(alert, told_ns=now_ns)
        notices.append(Notice(what="repeated", alert=alert, tell=level.tell))
    return alert, tuple(notices)
