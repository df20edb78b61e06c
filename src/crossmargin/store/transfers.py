"""What entered and left a clearing house, out of its journal, as a custodian would list it."""

from collections.abc import Callable
from decimal import Decimal

from crossmargin.clearing.reconciliation import Line, Statement
from crossmargin.engine.commands import AdvanceTime, Command, Deposit, FundLayer, ReverseDeposit, Withdraw
from crossmargin.engine.events import Event, Refused, Repeated
from crossmargin.ledger.account import EXTERNAL
from crossmargin.store.journal import Journal
from crossmargin.store.records import Asked
from crossmargin.store.runner import replay


def held_outside(journal: Journal, follow: Callable[[int], None] = lambda _: None) -> Statement:
    """Return what a journal says that custodians hold: per asset, and each transfer under the id of its command.

    Positions are among our own accounts and so nobody else's to state. `follow` is told each record's number.
    """
    applied: set[int] = set()

    def watch(number: int, events: tuple[Event, ...]) -> None:
        follow(number)
        if not isinstance(events[0], Refused | Repeated):
            applied.add(number)

    state = replay(journal, watch).engine.state
    lines, now, money = [], 0, state.parameters.money
    for number, payload in journal.read():
        if isinstance(payload, Asked) and number in applied:
            command = payload.command
            now = command.time_ns if isinstance(command, AdvanceTime) else now
            lines += _transfers(command, now, money)
    balances = {
        asset: -state.ledger.balance(EXTERNAL, asset) * terms.quantum for asset, terms in sorted(state.assets.items())
    }
    return Statement(balances=balances, lines=tuple(lines), time_ns=state.time_ns)


def _transfers(command: Command, now: int, money: str) -> list[Line]:
    match command:
        case Deposit(id=name, account=account, asset=asset, amount=amount):
            change = amount
        case Withdraw(id=name, account=account, asset=asset, amount=amount):
            change = -amount
        case ReverseDeposit(id=name, account=account, asset=asset, amount=amount):
            change = -amount
        case FundLayer(id=name, layer=account, amount=amount):
            asset, change = money, amount
        case _:
            return []
    return [Line(id=name, account=account, asset=asset, amount=Decimal(change), time_ns=now)]
