"""Where every account stands after a command: calls, cures, deadlines, and who goes into liquidation."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np

from crossmargin.engine import events as happened
from crossmargin.engine import liquidation
from crossmargin.engine.book import Health
from crossmargin.engine.crowd import Crowd
from crossmargin.engine.house import House
from crossmargin.engine.state import (
    BANKRUPT,
    CLOSED,
    HEALTHY,
    LIQUIDATING,
    MARGIN_CALL,
    REDUCE_ONLY,
    MarginCall,
)
from crossmargin.margin.grid_kernels import EQUITY, INITIAL, MAINTENANCE
from crossmargin.units import IntArray, requirement_to_money

CENT = Decimal("0.01")


def examine_touched(house: House) -> None:
    """Examine every account that the command touched, and whom that touches, in alphabetical order.

    Each pass handles the accounts that the one before touched; a default touches others, whose own default can touch
    more, but every default empties one account, so it ends.
    """
    columns: dict[str, _Figures] = {}
    while house.touched:
        names = house.open_accounts() if house.all_touched() else _open(house, house.touched)
        house.touched = set()
        crowd = house.exposures.line_up(names)
        calm = np.empty(0, dtype=np.int64) if crowd is None else _calm(house, crowd)
        if crowd is not None and calm.size == len(names) and not columns and not house.touched:
            _tell(house, names, *_figures(crowd, calm))
            return
        found = {} if crowd is None else _by_name(crowd, calm)
        columns.update(found)
        for name in names:
            # what one account's default changed of another's figures is seen at once
            if name not in found or not house.exposures.is_standing(name):
                examine(house, name)
                health = house.health(name)
                columns[name] = health.initial, health.maintenance, health.equity
    if columns:
        told = sorted(columns)
        _tell(house, told, *(list(column) for column in zip(*(columns[name] for name in told), strict=True)))


def _open(house: House, names: Iterable[str]) -> tuple[str, ...]:
    accounts = house.state.accounts
    return tuple(name for name in sorted(names) if accounts[name].state != CLOSED)


def _tell(
    house: House, names: Sequence[str], initial: list[float], maintenance: list[float], equity: list[float]
) -> None:
    house.emit(
        happened.MarginUpdated(
            accounts=tuple(names), initial=tuple(initial), maintenance=tuple(maintenance), equity=tuple(equity)
        )
    )


_Figures = tuple[float, float, float]
"""Initial margin, maintenance margin and equity in USD."""


def _calm(house: House, crowd: Crowd) -> IntArray:
    """Return the places of accounts for which nothing is to be done."""
    equity = crowd.figures[:, EQUITY] + crowd.credit
    calm = crowd.fits & (equity >= crowd.figures[:, MAINTENANCE]) & (equity >= crowd.figures[:, INITIAL])
    for name in house.uncalm:
        if name in crowd.places:
            calm[crowd.places[name]] = False
    return np.flatnonzero(calm)


def _figures(crowd: Crowd, places: IntArray) -> tuple[list[float], list[float], list[float]]:
    """Return initial margin, maintenance margin and equity of accounts."""
    chosen = crowd.figures[places]
    equity = chosen[:, EQUITY] + crowd.credit[places]
    return chosen[:, INITIAL].tolist(), chosen[:, MAINTENANCE].tolist(), equity.tolist()


def _by_name(crowd: Crowd, places: IntArray) -> dict[str, _Figures]:
    figures = zip(*_figures(crowd, places), strict=True)
    return dict(zip((crowd.names[place] for place in places.tolist()), figures, strict=True))


def examine(house: House, name: str) -> None:
    """Compare an account's equity with its requirement, and act."""
    account = house.state.accounts[name]
    liquidation.check_backstop(house, name)
    if account.state == BANKRUPT:
        return
    health = house.health(name)
    if account.state == LIQUIDATING:
        liquidation.advance(house, name)
    elif health.needs_liquidation:
        # in a halt prices are in doubt: nobody is liquidated on them
        if house.state.halt is None:
            liquidation.start(house, name)
    elif health.equity < health.initial:
        _call(house, name, health)
    else:
        _cure(house, name)


def _call(house: House, name: str, health: Health) -> None:
    account = house.state.accounts[name]
    deficit = requirement_to_money(health.initial - health.equity, CENT)
    call = account.call
    if call is not None and deficit <= call.deficit * Decimal(repr(1.0 + house.parameters.call_step)):
        return
    level = 1 if call is None else call.level + 1
    deadline = house.state.time_ns + house.parameters.call_period_ns if call is None else call.deadline_ns
    account.call = MarginCall(deadline_ns=deadline, level=level, deficit=deficit)
    if account.state == HEALTHY:
        house.change_state(name, MARGIN_CALL)
    house.emit(
        happened.MarginCalled(
            account=name,
            deficit=float(deficit),
            level=level,
            deadline_ns=deadline,
            equity=health.equity,
            initial=health.initial,
        )
    )


def _cure(house: House, name: str) -> None:
    account = house.state.accounts[name]
    if account.state in (MARGIN_CALL, REDUCE_ONLY):
        account.call = None
        house.change_state(name, HEALTHY)
        house.emit(happened.MarginCallMet(account=name))


def enforce_deadlines(house: House) -> None:
    """Restrict accounts whose margin call was not met in time: their orders go, and they may only reduce."""
    for name in sorted(house.state.accounts):
        account = house.state.accounts[name]
        if account.state == MARGIN_CALL and account.call and account.call.deadline_ns <= house.state.time_ns:
            house.change_state(name, REDUCE_ONLY)
            house.cancel_orders(name, "margin call not met")
            house.touch(name)
