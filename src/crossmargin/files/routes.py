"""Routes between venues: what a transfer costs and how long it takes, read from JSON."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec

from crossmargin.allocation.transfers import Route
from crossmargin.errors import InputError
from crossmargin.units import Currency, Venue

EVERY = "*"


class RouteRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One row: ``*`` stands for every venue or currency."""

    source: str
    target: str
    currency: str
    fixed_cost: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    cost: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    hours: Annotated[float, msgspec.Meta(ge=0)] = 0.0


def read_routes(path: Path, venues: Iterable[Venue], currencies: Iterable[Currency]) -> tuple[Route, ...]:
    """Return the routes that the file at `path` opens between `venues` for `currencies`; the first row that fits holds.

    Raises
    ------
    InputError
        If the file does not hold rows of routes.
    """
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[RouteRow])
    except msgspec.DecodeError as error:
        raise InputError(f"{path.name} must hold a list of routes: {error}") from error
    return tuple(
        replace(route, fixed_cost=row.fixed_cost, cost=row.cost, hours=row.hours)
        for route in free_routes(venues, currencies)
        if (row := next((row for row in rows if _opens(row, route)), None)) is not None
    )


def free_routes(venues: Iterable[Venue], currencies: Iterable[Currency]) -> tuple[Route, ...]:
    """Return a route without cost for every currency between every two venues."""
    ends = sorted(set(venues))
    return tuple(
        Route(source=source, target=target, currency=currency)
        for source in ends
        for target in ends
        if source != target
        for currency in sorted(set(currencies))
    )


def _opens(row: RouteRow, route: Route) -> bool:
    pairs = ((row.source, route.source), (row.target, route.target), (row.currency, route.currency))
    return all(pattern in (EVERY, name) for pattern, name in pairs)
