"""Compare what custodians hold with what we owe; a difference above the tolerance halts, and no balance changes."""

from crossmargin.clearing.reconciliation import compare_balances
from crossmargin.engine import events as happened
from crossmargin.engine.breakers import trip
from crossmargin.engine.commands import Reconcile
from crossmargin.engine.house import House, No
from crossmargin.errors import InputError
from crossmargin.ledger.account import EXTERNAL


def reconcile(house: House, command: Reconcile) -> No | None:
    """Compare a statement of all that is held outside with the ledger."""
    for asset, amount in command.statement.items():
        if not amount.is_finite():
            raise InputError(f"a statement's amount must be finite, was {amount} {asset}")
    # what the world owes us is the negative of its account
    ours = {asset: house.amount(asset, -house.balance(EXTERNAL, asset)) for asset in house.state.assets}
    found = compare_balances(ours, command.statement, tolerance=house.parameters.reconciliation_tolerance)
    house.emit(happened.Reconciled(breaks=tuple(f"{item.kind.value}: {item.detail}" for item in found)))
    if found:
        trip(house, "RECONCILIATION", found[0].detail)
    return None
