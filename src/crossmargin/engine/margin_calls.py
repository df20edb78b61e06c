"""Where every account stands after a command: calls, cures, deadlines, and who goes into liquidation."""

from decimal import Decimal

import numpy as np

from crossmargin.engine import events as happened
from crossmargin.engine import liquidation
from crossmargin.engine.book import Health
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
from crossmargin.units import requirement_to_money

CENT = Decimal("0.01")


def examine_touched(house: House) -> None:
    """Examine every account that the command touched, and whom that touches, in alphabetical order.

    Each pass handles the accounts that the one before touched; a default touches others, whose own default can touch
    more, but every default empties one account, so it ends.
    """
    columns: dict[str, _Figures] = {}
    while house.touched:
        names, house.touched = sorted(house.touched), set()
        names = [name for name in names if house.state.accounts[name].state != CLOSED]
        calm = _calm(house, names)
        columns.update(calm)
        for name in names if len(calm) < len(names) else ():
            # what one account's default changed of another's figures is seen at once
            if name not in calm or not house.exposures.is_standing(name):
                examine(house, name)
                health = house.health(name)
                columns[name] = health.initial, health.maintenance, health.equity
    if columns:
        names = sorted(columns)
        initial, maintenance, equity = zip(*(columns[name] for name in names), strict=True)
        house.emit(
            happened.MarginUpdated(accounts=tuple(names), initial=initial, maintenance=maintenance, equity=equity)
        )


_Figures = tuple[float, float, float]
"""Initial margin, maintenance margin and equity in USD."""


def _calm(house: House, names: list[str]) -> dict[str, _Figures]:
    """Return the figures of accounts for which nothing is to be done; none unless there are many."""
    crowd = house.exposures.line_up(names)
    if crowd is None:
        return {}
    equity = crowd.figures[:, EQUITY] + crowd.credit
    initial, maintenance = crowd.figures[:, INITIAL], crowd.figures[:, MAINTENANCE]
    places = np.flatnonzero(crowd.fits & (equity >= maintenance) & (equity >= initial))
    figures = zip(*(column[places].tolist() for column in (initial, maintenance, equity)), strict=True)
    accounts = house.state.accounts
    found = zip((crowd.names[place] for place in places.tolist()), figures, strict=True)
    return {
        name: each for name, each in found if (account := accounts[name]).state == HEALTHY and account.backstop is None
    }


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
