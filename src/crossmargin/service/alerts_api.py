"""Routes of alerts: those that are open, those that ended, and who takes one on."""

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from crossmargin.errors import InputError
from crossmargin.service.access.guard import caller
from crossmargin.service.alert_watch import AlertWatch
from crossmargin.service.alerting import Alert
from crossmargin.service.views import Record, wire_time

NOBODY_NAMED = "open service"
"""Who acknowledged where requests carry no keys."""


def alert_record(alert: Alert) -> Record:
    """Return an alert in the wire's form."""
    times = {
        what: None if at is None else wire_time(at)
        for what, at in (
            ("opened", alert.opened_ns),
            ("raised", alert.raised_ns),
            ("acknowledged", alert.acknowledged_ns),
            ("ended", alert.ended_ns),
        )
    }
    plain: Record = msgspec.to_builtins(alert)
    kept = {key: value for key, value in plain.items() if not key.endswith("_ns")}
    return {**kept, **times}


@get("/alerts", sync_to_thread=True)
def listed(state: State) -> Record:
    """Return open alerts and the latest ended ones, the newest first."""
    watch: AlertWatch = state.alerts
    now, ended = watch.alerts()
    return {"open": [alert_record(each) for each in now], "ended": [alert_record(each) for each in ended]}


@post("/alerts/{identifier:str}/acknowledge", sync_to_thread=True, status_code=200)
def acknowledge(state: State, request: Request[Any, Any, State], identifier: FromPath[str]) -> Record:
    """Take an open alert on: it is told no more until it gets louder; again by somebody else changes nothing."""
    watch: AlertWatch = state.alerts
    who = caller(request)
    if len(identifier) > 64:
        raise InputError(f"an alert's id must be short, it had {len(identifier)} letters")
    return alert_record(watch.acknowledge(identifier, NOBODY_NAMED if who is None else who.owner))
