"""What one WebSocket connection may ask beyond HTTP: to be known, to subscribe, to be tested, to have orders cancelled.

It holds no socket: texts go in, records come out, so that it can be tested without one.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from crossmargin.engine import commands as ask
from crossmargin.engine.engine import Engine
from crossmargin.service.deribit.call import Call, Params
from crossmargin.service.deribit.channels import Channel, news, parse_channel
from crossmargin.service.deribit.credentials import Grant
from crossmargin.service.deribit.errors import DeribitError, Record, invalid_params, unauthorized
from crossmargin.service.deribit.rpc import (
    Caller,
    Desk,
    Question,
    authenticated,
    deribit_error,
    envelope,
    now_us,
    result,
)

MOST_CHANNELS = 500
SHORTEST_HEARTBEAT = 10
MOST_FAULTS = 100
"""Messages in a row that are no question, name nobody known or come too fast, after which a connection is ended."""
FAULTS = frozenset({-32700, 10028, 13004, 13009})
"""Errors of such messages."""
LOGGED_OUT = "logged out, or the key has ended"
KEEP = "keep"
"""What a connection that follows channels asks of its key, again and again: to live."""


@dataclass(slots=True)
class Connection:
    """The state of one connection."""

    desk: Desk
    address: str = "unknown"
    grant: Grant | None = None
    channels: dict[str, Channel] = field(default_factory=dict)
    heartbeat_seconds: int | None = None
    cancels_on_disconnect: bool = False
    orders: set[str] = field(default_factory=set)
    """Orders placed over this connection."""
    ends: str | None = None
    """Why it is to be closed."""
    faults: int = 0

    def answer(self, question: Question | DeribitError) -> Record:
        """Return the answer to a question, which may be an error; a message that is none has its error as the question."""
        started_us = now_us()
        try:
            found: Record = {"result": self._result(question)}
        except Exception as error:
            known = deribit_error(error)
            if known is None:
                raise
            found = {"error": known.record()}
            self._count(known)
        else:
            self.faults = 0
        return envelope(question.id if isinstance(question, Question) else None, found, started_us)

    def _count(self, error: DeribitError) -> None:
        self.faults = self.faults + 1 if error.code in FAULTS else 0
        if self.faults >= MOST_FAULTS:
            self.ends = f"{MOST_FAULTS} messages in a row were no questions, or came too fast"

    def news(self, *, slow: bool) -> list[Record]:
        """Return what the channels have to say; those of an interval only when `slow` ones are due."""
        due = [each for each in self.channels.values() if slow or each.interval == "raw"]
        if not due or (slow and not self._still_known()):
            return []
        call = self._call({})

        def look(engine: Engine) -> list[Record]:
            return [notification(each, said) for each in due for said in self._said(call, engine, each)]

        return call.look(look)

    def closed(self) -> None:
        """Cancel what this connection placed, if it asked for that."""
        if self.cancels_on_disconnect:
            for order_id in sorted(self.orders):
                self.desk.writer.submit(ask.CancelOrder(id=f"deribit-gone-{order_id}", order=order_id))

    def _said(self, call: Call, engine: Engine, channel: Channel) -> Iterator[object]:
        if channel.is_private and call.account not in engine.state.accounts:
            return
        yield from news(call, engine, channel)

    def _still_known(self) -> bool:
        """Whether the key, if there is one, still lives; else nothing more is said."""
        try:
            self.desk.credentials.admit(self.grant, KEEP, {}, self.address)
        except DeribitError:
            self.grant, self.ends = None, LOGGED_OUT
        return self.ends is None

    def _result(self, question: Question | DeribitError) -> object:
        if isinstance(question, DeribitError):
            # it weighs as a question: the next of them may have to wait
            self.desk.credentials.admit(self.grant, "unreadable", {}, self.address)
            raise question
        own = OWN.get(question.method)
        if own is not None:
            if question.method.startswith("private/"):
                self._identify(question)
            if question.method != "public/auth":  # which is admitted as whoever it names
                self.desk.credentials.admit(self.grant, question.method, question.params, self.address)
            return own(self, Params(question.params))
        found = result(self.desk, question, Caller(address=self.address, grant=self.grant))
        if question.method in ("private/buy", "private/sell") and isinstance(found, dict):
            self.orders.add(found["order"]["order_id"])
        return found

    def _identify(self, question: Question) -> None:
        """Take a token among the parameters as being known from now on."""
        token = question.params.get("access_token")
        if isinstance(token, str):
            self.grant = self.desk.tokens.grant(token, now_us() // 1000)
        if self.grant is None:
            self.desk.credentials.admit(None, question.method, {}, self.address)
            raise unauthorized("a private method needs credentials")

    def _call(self, params: dict[str, Any]) -> Call:
        return Call(
            writer=self.desk.writer,
            history=self.desk.history,
            params=Params(params),
            account=None if self.grant is None else self.grant.account,
            now_ms=time.time_ns() // 1_000_000,
        )

    def auth(self, params: Params) -> Record:
        """Become known, and get a token besides."""
        now_ms = now_us() // 1000
        self.grant = authenticated(self.desk, params, now_ms, self.address)
        return self.desk.tokens.issue(self.grant, now_ms)

    def logout(self, _: Params) -> str:
        """Be closed."""
        self.grant, self.ends = None, LOGGED_OUT
        return "ok"

    def subscribe(self, params: Params) -> list[str]:
        """Follow channels; return those that there are. What holds now is said next."""
        names = params.texts("channels")
        if len(self.channels) + len(names) > MOST_CHANNELS:
            raise invalid_params("channels", f"must be at most {MOST_CHANNELS} in one connection")

        def look(engine: Engine) -> list[Channel]:
            found = [parse_channel(engine, name) for name in names]
            return [each for each in found if each is not None]

        call = self._call({})
        found = [each for each in call.look(look) if self.grant is not None or not each.is_private]
        for channel in found:
            channel.place = self.desk.writer.sequence
            self.channels.setdefault(channel.name, channel)
        return [channel.name for channel in found]

    def unsubscribe(self, params: Params) -> list[str]:
        """Stop following channels; return those that were followed."""
        return [name for name in params.texts("channels") if self.channels.pop(name, None) is not None]

    def unsubscribe_all(self, _: Params) -> str:
        """Stop following anything."""
        self.channels.clear()
        return "ok"

    def set_heartbeat(self, params: Params) -> str:
        """Be tested at an interval in seconds; a connection that does not answer is closed."""
        seconds = params.whole("interval", SHORTEST_HEARTBEAT, 3600)
        if seconds < SHORTEST_HEARTBEAT:
            raise invalid_params("interval", f"must be at least {SHORTEST_HEARTBEAT} seconds, was {seconds}")
        self.heartbeat_seconds = seconds
        return "ok"

    def disable_heartbeat(self, _: Params) -> str:
        """Be tested no more."""
        self.heartbeat_seconds = None
        return "ok"

    def enable_cancel_on_disconnect(self, _: Params) -> str:
        """Have this connection's orders cancelled when it ends."""
        self.cancels_on_disconnect = True
        return "ok"

    def disable_cancel_on_disconnect(self, _: Params) -> str:
        """Have this connection's orders outlive it."""
        self.cancels_on_disconnect = False
        return "ok"

    def get_cancel_on_disconnect(self, _: Params) -> Record:
        """Say whether this connection's orders are cancelled when it ends."""
        return {"scope": "connection", "enabled": self.cancels_on_disconnect}


def notification(channel: Channel, said: object) -> Record:
    """Return what is sent to a subscriber."""
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel.name, "data": said}}


OWN: dict[str, Callable[[Connection, Params], object]] = {
    "public/auth": Connection.auth,
    "private/logout": Connection.logout,
    "public/subscribe": Connection.subscribe,
    "private/subscribe": Connection.subscribe,
    "public/unsubscribe": Connection.unsubscribe,
    "private/unsubscribe": Connection.unsubscribe,
    "public/unsubscribe_all": Connection.unsubscribe_all,
    "private/unsubscribe_all": Connection.unsubscribe_all,
    "public/set_heartbeat": Connection.set_heartbeat,
    "public/disable_heartbeat": Connection.disable_heartbeat,
    "private/enable_cancel_on_disconnect": Connection.enable_cancel_on_disconnect,
    "private/disable_cancel_on_disconnect": Connection.disable_cancel_on_disconnect,
    "private/get_cancel_on_disconnect": Connection.get_cancel_on_disconnect,
}
"""What only a connection answers."""
