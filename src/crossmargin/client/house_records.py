"""What the service answers to those who run it: its feeds, its past, who asks, and what waits for a second owner."""

from typing import Any

from crossmargin.client.records import AccountRow, Overview, Record, Time


class Source(Record, frozen=True, kw_only=True):
    """A source of prices: how old its last one is, and how many were taken and refused."""

    source: str
    state: str
    age_ms: int | None
    accepted: int
    rejected: int


class Connection(Record, frozen=True, kw_only=True):
    """A connection to a venue: how often it was opened and broke, and what came over it."""

    source: str
    state: str
    sessions: int
    broken: int
    gaps: int
    messages: int
    last_error: str | None


class Feeds(Record, frozen=True, kw_only=True):
    """How sources, their connections and the pump between them and the engine do."""

    sources: tuple[Source, ...]
    connections: tuple[Connection, ...]
    updates: int
    waited: int
    coalesced: int
    refused: dict[str, int]
    findings: tuple[str, ...]


class Replay(Record, frozen=True, kw_only=True):
    """The service after one record of its journal; no overview where an account has no price."""

    first: int
    last: int
    record: int
    time: Time
    overview: Overview | None
    unpriced: int
    accounts: tuple[AccountRow, ...]


class Session(Record, frozen=True, kw_only=True):
    """Who asks and what he may do; nobody in particular where the service is open, or the session has ended."""

    user: str | None
    open: bool | None = None
    scopes: tuple[str, ...] = ()
    accounts: tuple[str, ...] | None = None


class Approval(Record, frozen=True, kw_only=True):
    """A command that waits for a second owner, or what became of it."""

    id: str
    asked_by: str
    asked: Time
    command: dict[str, Any]
    state: str
    decided_by: str | None = None
    decided: Time | None = None


class Approvals(Record, frozen=True, kw_only=True):
    """What was asked of a second owner, the newest first, and the cursor of what was asked before."""

    items: tuple[Approval, ...]
    next: str | None = None


class Decided(Approval, frozen=True, kw_only=True):
    """An approval as decided, and what happened of it."""

    events: tuple[dict[str, Any], ...] = ()


class LogEntry(Record, frozen=True, kw_only=True):
    """Who asked for what, from where, and what was decided."""

    sequence: int
    time: Time
    who: str
    via: str
    address: str
    action: str
    detail: str
    decision: str


class AccessLog(Record, frozen=True, kw_only=True):
    """Entries of the log of who did what, the newest first, and the cursor of the next ones."""

    items: tuple[LogEntry, ...]
    next: str | None
