"""Routes that ask about the house as a whole: sums, feeds, stress, lists of what happened, and who pays a default."""

import contextlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated

from litestar import get, post
from litestar.datastructures import State
from litestar.params import JSONBody, PathParameter

from crossmargin.engine.events import Drawn
from crossmargin.service import analysis, lists, projection, views
from crossmargin.service.paid import Paid
from crossmargin.service.processes.admission import stop_if_admitted
from crossmargin.service.projection_tables import HAPPENED
from crossmargin.service.reading import Cursor, Limit, NotHereError, projected, read
from crossmargin.service.views import Record
from crossmargin.service.writer import Writer

LISTS = {name: kinds for name, (_, kinds) in HAPPENED.items()}
What = Annotated[str, PathParameter(schema_extra={"enum": list(LISTS)})]


@get("/overview", sync_to_thread=True, before_request=stop_if_admitted)
def overview(state: State) -> Record:
    """Sums over accounts, accounts by state, fund, breakers and feeds."""
    return read(state, views.overview)


@get("/feeds", sync_to_thread=True)
def fed(state: State) -> Record:
    """Return how sources of prices, their connections and the pump do."""
    status: Callable[[], Record] = state.feeds
    return status()


@post("/stress", sync_to_thread=True, status_code=200)
def stress(state: State, data: JSONBody[analysis.StressQuestion]) -> Record:
    """Return every account after one move of the market."""
    return read(state, lambda engine, _: analysis.stress_answer(engine, data))


@get("/{what:str}", sync_to_thread=True)
def listed(state: State, what: What, limit: Limit = 100, cursor: Cursor = None) -> Record:
    """Events of one kind, the newest first."""
    if what not in LISTS:
        raise NotHereError(f"a list must be {' or '.join(LISTS)}, was {what}")
    if state.writer.projector is not None:
        rows = projection.listed(projected(state), what, limit + 1, cursor)
        items = [views.happened_record(row) for row in rows[:limit]]
        return {"items": items, "next": str(rows[limit - 1]["place"]) if len(rows) > limit else None}
    return _listed_in_memory(state.writer, what, limit, cursor)


def _listed_in_memory(writer: Writer, what: str, limit: int, cursor: int | None) -> Record:
    """Events since this process started, where there is no database."""
    found = [item for item in reversed(_in_memory(writer)) if type(item.event).__name__ in LISTS[what]]
    rest = [item for item in found if cursor is None or item.sequence < cursor]
    return {
        "items": [views.event_record(item) for item in rest[:limit]],
        "next": str(rest[limit - 1].sequence) if len(rest) > limit else None,
    }


@get("/parameters", sync_to_thread=True)
def parameters(state: State) -> Record:
    """Return the engine's parameters and every version of every method's."""
    return read(state, lambda engine, _: {"items": lists.parameter_items(engine), "next": None})


@get("/liquidations", sync_to_thread=True)
def liquidations(state: State, limit: Limit = 100, cursor: Cursor = None) -> Record:
    """Liquidations from start to end, the newest first; each is whole, whatever the limit."""
    if state.writer.projector is not None:
        told: Sequence[views.Told] = projection.liquidated(projected(state), limit + 1, cursor)
    else:
        told = _in_memory(state.writer)
    begun = lists.liquidation_items(told)
    items = [each for each in begun if cursor is None or each["sequence"] < cursor]
    return {"items": items[:limit], "next": str(items[limit - 1]["sequence"]) if len(items) > limit else None}


@get("/waterfall", sync_to_thread=True)
def waterfall(state: State) -> Record:
    """Return the layers of the waterfall in their order, and what they have paid."""
    sums = _paid(state)
    return read(state, lambda engine, _: {"items": lists.waterfall_items(engine, sums), "next": None})


@get("/insurance", sync_to_thread=True)
def insurance(state: State, limit: Limit = 100, cursor: Cursor = None) -> Record:
    """Return the insurance fund, what markets drew of it ever, and the draws, the newest first."""
    found = _drawn(state, limit + 1, cursor)[::-1]
    following = str(found[limit - 1].sequence) if len(found) > limit else None
    return read(state, lambda engine, _: lists.insurance_record(engine, found[:limit], following))


def _drawn(state: State, limit: int, before: int | None) -> Sequence[views.Told]:
    """Return what the fund paid, the oldest first: from the tables, which have all of it, else the last events in memory."""
    writer: Writer = state.writer
    if writer.projector is not None:
        with contextlib.suppress(projection.DatabaseDownError):
            return projection.drawn(projected(state), "insurance", limit, before)
    draws = (each for each in _in_memory(writer) if isinstance(each.event, Drawn) and each.event.layer == "insurance")
    return [each for each in draws if before is None or each.sequence < before][-limit:]


def _paid(state: State) -> dict[str, Decimal]:
    """Return what each layer paid ever: as the tables have it, while they are down as they had it last.

    Without a database it is what the last events in memory tell.
    """
    writer: Writer = state.writer
    paid: Paid = state.paid
    if writer.projector is None:
        return lists.by_layer(each.event for each in _in_memory(writer) if isinstance(each.event, Drawn))
    try:
        database = projected(state)
        return paid.sums(database, level=writer.projector.wait_for(writer.record, 0))
    except projection.DatabaseDownError:
        known = paid.known()
        if known is None:
            raise
        return known


def _in_memory(writer: Writer) -> Sequence[views.Told]:
    with writer.lock:
        return tuple(writer.published)


HOUSE_ROUTES = [overview, fed, stress, listed, parameters, liquidations, waterfall, insurance]
