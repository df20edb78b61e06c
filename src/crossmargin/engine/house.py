"""What a handler of a command works with: the state, its float mirror, and the events so far.

Every change of the ledger goes through here, so that the mirror knows which accounts to look at again.
"""

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.engine import events as happened
from crossmargin.engine.book import Health
from crossmargin.engine.definition import Definition
from crossmargin.engine.events import Event, Refused
from crossmargin.engine.exposures import Exposures
from crossmargin.engine.margin_rules import MarginRules
from crossmargin.engine.market_view import MarketView
from crossmargin.engine.parameters import EngineParameters
from crossmargin.engine.refusals import Refusal
from crossmargin.engine.resting import Resting
from crossmargin.engine.state import CLOSED, HEALTHY, Account, State
from crossmargin.errors import known
from crossmargin.ledger.account import FEES, is_house
from crossmargin.ledger.ledger import Entry, payment
from crossmargin.ledger.rounding import divide_up, from_quanta, to_quanta
from crossmargin.ledger.settlement import trade


@dataclass(frozen=True, slots=True)
class No:
    """A refusal on its way out: the reason and what was found."""

    reason: Refusal
    detail: str = ""

    def event(self, command_id: str) -> Refused:
        """Return the event that says so."""
        return Refused(command=command_id, reason=self.reason.name, detail=self.detail)


class House:
    """State, mirror and events of the command under way."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.view = MarketView(state)
        self.rules = MarginRules(state, self.view)
        self.definition = Definition(state, self.view, self.rules)
        self.exposures = Exposures(state, self.view, self.rules, self.definition)
        self.resting = Resting(state)
        self.events: list[Event] = []
        self.touched: set[str] = set()
        self.uncalm = {name for name, account in state.accounts.items() if not _is_calm(account)}
        """Accounts that something is under way with, or that back others."""
        self._open: tuple[tuple[str, ...], frozenset[str]] | None = None

    @property
    def parameters(self) -> EngineParameters:
        """The engine's parameters in force."""
        return self.state.parameters

    def emit(self, *events: Event) -> None:
        """Say what happened."""
        self.events.extend(events)

    def touch(self, account: str) -> None:
        """Note that an account must be examined at the end of the command."""
        if not is_house(account):
            self.touched.add(account)
            self.exposures.account_changed(account)

    def touch_all(self) -> None:
        """Note that prices or parameters changed: every account must be examined at the end of the command."""
        self.touched.update(self.state.accounts)

    def change_state(self, account: str, after: str) -> None:
        """Move an account to another state, if the table of states allows it."""
        record = self.state.accounts[account]
        before = record.state
        record.move(account, after)
        self.account_listed(account)
        self.emit(happened.AccountStateChanged(account=account, before=before, after=after))

    def account_listed(self, name: str) -> None:
        """Note that an account was opened, closed, moved to another state, or backs others."""
        self._open = None
        if _is_calm(self.state.accounts[name]):
            self.uncalm.discard(name)
        else:
            self.uncalm.add(name)

    def open_accounts(self) -> tuple[str, ...]:
        """Return the names of all accounts that are not closed, in alphabetical order."""
        return self._open_names()[0]

    def all_touched(self) -> bool:
        """Whether every open account must be examined."""
        return self.touched >= self._open_names()[1]

    def _open_names(self) -> tuple[tuple[str, ...], frozenset[str]]:
        if self._open is None:
            names = tuple(name for name, account in sorted(self.state.accounts.items()) if account.state != CLOSED)
            self._open = names, frozenset(names)
        return self._open

    def account(self, name: str) -> Account | None:
        """Return an open account, or None."""
        found = self.state.accounts.get(name)
        return None if found is None or found.state == "CLOSED" else found

    def book(self, entry: Entry) -> None:
        """Book an entry."""
        self.state.ledger.book(entry)
        for posting in entry.postings:
            if not is_house(posting.account):
                self.touched.add(posting.account)
                self.exposures.balance_changed(posting.account, posting.asset)

    def pay(self, reason: str, asset: str, debit: str, credit: str, amount: int) -> None:
        """Move quanta, and say so for each user that it concerns; nothing is nothing."""
        if amount == 0:
            return
        self.book(payment(reason, asset, debit, credit, amount))
        for account, change in ((debit, -amount), (credit, amount)):
            if not is_house(account):
                self.emit(
                    happened.BalanceChanged(
                        account=account, asset=asset, change=self.amount(asset, change), reason=reason
                    )
                )

    def amount(self, asset: str, quanta: int) -> Decimal:
        """Return quanta of an asset as an exact amount."""
        return from_quanta(quanta, self.state.assets[asset].quantum)

    def quanta(self, asset: str, amount: Decimal) -> int:
        """Return an amount of an asset in quanta; `InputError` if it is not whole."""
        return to_quanta(amount, self.state.assets[asset].quantum)

    def balance(self, account: str, asset: str) -> int:
        """Return a balance in quanta."""
        return self.state.ledger.balance(account, asset)

    def lots(self, account: str, instrument_id: str) -> int:
        """Return the signed lots of a contract that an account holds."""
        return self.state.ledger.lots(account, instrument_id)

    def positions(self, account: str) -> dict[str, int]:
        """Return the lots of every contract that an account holds, in alphabetical order."""
        held = self.state.ledger.holdings.get(account, {})
        return {name: held[name].lots for name in sorted(held) if held[name].lots}

    def trade(self, buyer: str, seller: str, instrument_id: str, lots: int, price: Decimal, reason: str) -> None:
        """Let `lots` change hands."""
        terms = self.view.terms(instrument_id)
        trade(self.state.ledger, terms, buyer, seller, lots, price)
        for account in (buyer, seller):
            if not is_house(account):
                self.touched.add(account)
                self.exposures.holding_changed(account, instrument_id, terms.settle)
        if self.state.listings[instrument_id].open_interest_rate:
            self.exposures.open_interest_changed()
        quantity = lots * terms.lot_size
        self.emit(
            happened.Traded(
                buyer=buyer, seller=seller, instrument=instrument_id, quantity=quantity, price=price, reason=reason
            )
        )

    def charge(self, account: str, asset: str, numerator: int, denominator: int, reason: str) -> int:
        """Charge a fee given as a fraction of a quantum, rounded up; return it in quanta."""
        fee = divide_up(numerator, denominator)
        self.pay(reason, asset, account, FEES, fee)
        return fee

    def mark(self, instrument_id: str) -> Decimal:
        """Return the mark of a contract that is held, and so has one."""
        return known(self.view.mark(instrument_id), "mark of", instrument_id)

    def notional(self, instrument_id: str, lots: int) -> Decimal:
        """Return USD of underlying behind `lots`, at mark and index prices."""
        terms = self.view.terms(instrument_id)
        if terms.is_paid_up:
            price = self.view.index(terms.contract.base) or Decimal(0)
            return abs(lots) * terms.lot_size * terms.contract.contract_size * price
        return self.usd(terms.settle, abs(terms.value(lots, self.mark(instrument_id))))

    def health(self, account: str) -> Health:
        """Return where an account stands."""
        return self.exposures.health(account)

    def orders_of(self, account: str) -> list[str]:
        """Return the ids of an account's open orders, in alphabetical order."""
        return list(self.resting.of(account).names)

    def cancel_orders(self, account: str, reason: str) -> None:
        """Release all orders of an account."""
        for name in self.orders_of(account):
            self.resting.remove(name)
            self.emit(happened.OrderCancelled(order=name, reason=reason))

    def usd(self, asset: str, quanta: int) -> Decimal:
        """Return quanta of an asset in USD at its index price, exactly; 0 without a price."""
        price = self.view.index(asset)
        return Decimal(0) if price is None else self.amount(asset, quanta) * price


def _is_calm(account: Account) -> bool:
    return account.state in (HEALTHY, CLOSED) and account.backstop is None
