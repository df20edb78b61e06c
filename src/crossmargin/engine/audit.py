"""The invariants that the engine checks of itself, on a schedule of commands; a violation halts it."""

from collections.abc import Collection

from crossmargin.engine import events as happened
from crossmargin.engine.breakers import trip
from crossmargin.engine.house import House
from crossmargin.engine.state import BANKRUPT, CLOSED, LIQUIDATING, State
from crossmargin.ledger.account import INSURANCE, clearing_account, default_fund_account, is_house

TURNS = 16
"""Audits until every account has been recomputed, changed or not."""


def run_audit(house: House, *, whole: bool = False) -> None:
    """Check every invariant, say so, and halt on a violation.

    On the schedule, holdings are summed over the columns of the mirror. Those of accounts that changed are compared with
    the ledger in the same audit, and those of the others in turn. Orders are counted by the index of who has some, of
    which one account at a time is compared with the orders: a visit to each of very many would hold up what waits behind
    the audit. An audit of the `whole` compares all.
    """
    if whole:
        found = violations(house.state)
    else:
        found = _record_violations(house.state, house.exposures.holding_sums())
        found += _ownership_violations(house.state, house.resting.owners())
    found += _mirror_violations(house, whole=whole)
    house.emit(happened.Audited(violations=tuple(found)))
    if found:
        trip(house, "AUDIT", found[0])


Sums = tuple[dict[str, int], dict[str, int]]
"""Lots and costs, by contract."""


def violations(state: State) -> list[str]:
    """Return what the record says that cannot be; empty when all is well."""
    return _record_violations(state, state.ledger.holding_sums()) + _order_violations(state)


def _record_violations(state: State, sums: Sums) -> list[str]:
    """Return what accounts and the ledger say that cannot be; `sums` are those of all holdings."""
    ledger = state.ledger
    found = [f"balances of {asset} sum to {total}, not 0" for asset, total in ledger.sums().items() if total]
    lots, costs = sums
    found += [f"lots of {name} sum to {total}, not 0" for name, total in lots.items() if total]
    for name, cost in costs.items():
        settle = _settle(name)
        held = ledger.balance(clearing_account(name), settle)
        if held != -cost:
            found.append(f"costs of {name} are {cost}, its clearing account holds {held}")
    funds = [INSURANCE, *(default_fund_account(member) for member in state.members)]
    found += [
        f"{fund} must not be negative, holds {amount} {asset}"
        for fund in funds
        for asset, amount in ledger.balances.get(fund, {}).items()
        if amount < 0
    ]
    return found + _account_violations(state)


def _account_violations(state: State) -> list[str]:
    found = [
        f"{name} has something and is no account"
        for name in (*state.ledger.balances, *state.ledger.holdings)
        if name not in state.accounts and not is_house(name)
    ]
    for name, account in state.accounts.items():
        if (account.state == LIQUIDATING) != (name in state.liquidations):
            found.append(f"{name} is {account.state}, its liquidation says otherwise")
        held = state.ledger.holdings.get(name, {}) if account.state in (BANKRUPT, CLOSED) else {}
        if any(holding.lots for holding in held.values()):
            found.append(f"{name} is {account.state} and holds positions")
    return found


def _order_violations(state: State) -> list[str]:
    owners = {order.account if order.lots else "" for order in state.orders.values()}
    return _ownership_violations(state, owners)


def _ownership_violations(state: State, owners: Collection[str]) -> list[str]:
    """Look at every order if one of the `owners` of some may have none."""
    shut = {name: item.state for name, item in state.accounts.items() if item.state in (BANKRUPT, CLOSED, LIQUIDATING)}
    if state.accounts.keys() >= set(owners) and shut.keys().isdisjoint(owners):
        return []
    found = []
    for name, order in state.orders.items():
        if order.lots == 0 or order.account not in state.accounts:
            found.append(f"order {name} has nothing left or nobody's")
        elif order.account in shut:
            found.append(f"order {name} is open for an account that is {shut[order.account]}")
    return found


def _mirror_violations(house: House, *, whole: bool) -> list[str]:
    """Compare cached figures with figures from scratch, of accounts that changed and a share of the others in turn."""
    found: list[str] = []
    names = [name for name, account in sorted(house.state.accounts.items()) if account.state != CLOSED]
    if not names:
        return found
    turn = house.state.sequence // house.parameters.audit_every
    due = house.exposures.take_unaudited().union(names if whole else names[turn % TURNS :: TURNS])
    cached = {name: house.health(name) for name in names if name in due}
    for name, fresh, is_true in house.exposures.recomputed(cached):
        if not is_true:
            found.append(f"columns of {name} are not what the ledger says")
        if cached[name] != fresh:
            found.append(f"figures of {name} are {cached[name]} in the mirror and {fresh} from scratch")
    return found + _definition_violations(house, names[turn % len(names)])


def _definition_violations(house: House, name: str) -> list[str]:
    """Compare the figures of one account, the next one at each audit, with those of its method's own function."""
    wrong = list(house.resting.violations(name))
    found, expected = house.health(name), house.definition.examine(name, house.definition.book(name))
    if found != expected:
        wrong.append(f"figures of {name} are {found}, by the method's definition {expected}")
    return wrong


def _settle(instrument_id: str) -> str:
    """Return the settlement asset named in a canonical id."""
    _, _, pair = instrument_id.partition(":")
    _, _, after = pair.partition(":")
    return after.split("-")[0] if after else pair.split("/")[1]
