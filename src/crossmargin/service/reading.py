"""Looking at the engine between two commands, and at the projection once it has what was acknowledged."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from litestar.datastructures import State
from litestar.params import QueryParameter
from sqlalchemy import Engine as Database

from crossmargin.engine.engine import Engine
from crossmargin.errors import InputError
from crossmargin.service import projection
from crossmargin.service.writer import Writer

T = TypeVar("T")
LONGEST_WAIT_S = 2.0
"""For the projection to have what was acknowledged."""
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
Cursor = Annotated[int | None, QueryParameter(ge=0, le=2**63 - 1)]
"""A place in a list; none is beyond what a database can count."""
_LATEST_MS = (2**63 - 1) // 1_000_000 - 1
Since = Annotated[int, QueryParameter(ge=0, le=_LATEST_MS)]
Until = Annotated[int | None, QueryParameter(ge=0, le=_LATEST_MS)]
"""Milliseconds since 1970; none is beyond what a database can count in nanoseconds."""


class NotHereError(InputError):
    """What was asked for is not here."""


def read(state: State, look: Callable[[Engine, int], T]) -> T:
    """Return what `look` sees in the engine and its sequence, while nothing is applied."""
    writer: Writer = state.writer
    with writer.lock:
        return look(writer.engine, writer.sequence)


def of_account(state: State, name: str, look: Callable[[Engine, str], T]) -> T:
    """Return what `look` sees of one account; raise `NotHereError` where it is not open."""

    def found(engine: Engine, _: int) -> T:
        if name not in engine.state.accounts:
            raise NotHereError(f"an account must be open, found none called {name}")
        return look(engine, name)

    return read(state, found)


def projected(state: State) -> Database:
    """Return the projection's database, level with what was acknowledged, if it can be within a moment."""
    projector = state.writer.projector
    if projector is None:
        raise NotHereError("a service must have a database to tell of the past, this one runs without")
    # nobody waits for tables that are known to be down: they are tried again whether somebody asks or not
    wait_s = LONGEST_WAIT_S if projector.failure is None else 0.0
    if not projector.wait_for(state.writer.record, wait_s) and projector.failure is not None:
        raise projection.DatabaseDownError(f"the database must answer, {projector.failure}")
    database: Database = projector.database
    return database
