"""What a channel is told of an alert, and apprise, which tells it: Telegram, Slack, Discord, mail, webhooks and more."""

import logging

import msgspec

from crossmargin.service.alert_rules import AlertRule
from crossmargin.service.alerting import Notice

_LOG = logging.getLogger(__name__)
KINDS = {"info": "info", "warning": "warning", "critical": "failure", "ended": "success"}
"""What apprise calls ours."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One notice for one channel; its URL stands in the rules alone."""

    channel: str
    title: str
    body: str
    kind: str
    tries: int = 0
    next_ns: int = 0


def deliveries(notice: Notice, rule: AlertRule) -> list[Delivery]:
    """Return what each channel of a notice is told."""
    alert = notice.alert
    words = {"raised": alert.level, "ended": "ended", "lowered": f"lowered to {alert.level}"}
    title = f"{words.get(notice.what, f'{notice.what}, {alert.level}')}: {rule.name}"
    edges = ", ".join(f"{each.level} {rule.when} {each.at:,.12g}" for each in rule.levels)
    labels = ",".join(f"{key}={text}" for key, text in sorted(alert.labels.items()))
    body = f"{rule.metric}{f'{{{labels}}}' if labels else ''} is {alert.value:,.12g} ({edges}); alert {alert.id}"
    kind = "ended" if notice.what == "ended" else alert.level
    return [Delivery(channel=name, title=title, body=body, kind=kind) for name in notice.tell]


def deliver(delivery: Delivery, url: str) -> bool:
    """Tell a channel by apprise; tell whether it took it."""
    import apprise  # slow to load, and a service starts without

    to = apprise.Apprise()
    if not to.add(url):
        _LOG.error("the URL of channel %s is none that apprise knows", delivery.channel)
        return False
    return bool(
        to.notify(title=delivery.title, body=delivery.body, notify_type=apprise.NotifyType(KINDS[delivery.kind]))
    )
