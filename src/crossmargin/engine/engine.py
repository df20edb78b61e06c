"""The engine: `apply(command) -> events`. Deterministic; it decides first and then changes.

A refused command changes nothing. A command whose id was applied before is not applied again. A command that raises is
a bug in us: the caller must throw this engine away, mark the command as poisoned in the journal, and replay.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from crossmargin.engine import audit, funds, liquidation, listing, margin_calls, orders, prices, reconciling, settling
from crossmargin.engine import events as happened
from crossmargin.engine.adl_queue import Standing, standings
from crossmargin.engine.applied_ids import AppliedIds
from crossmargin.engine.book import Health, as_portfolio
from crossmargin.engine.breakers import FINAL, reopen_if_calm
from crossmargin.engine.commands import (
    AccrueInterest,
    AdvanceTime,
    ApplyFunding,
    BidAuction,
    CancelAllOrders,
    CancelOrder,
    ChargeFee,
    CloseAccount,
    Command,
    Deposit,
    Expire,
    FillLiquidation,
    FundLayer,
    Halt,
    ListAsset,
    ListInstrument,
    OpenAccount,
    PlaceOrder,
    Reconcile,
    RecordSettlementSample,
    RecordTrade,
    RegisterBackstop,
    Resume,
    ReverseDeposit,
    RunAudit,
    SetCreditLine,
    SetMarginParameters,
    SetParameters,
    SettleVariation,
    TransferFunds,
    UpdateMarket,
    Upgrade,
    Withdraw,
    encoded,
)
from crossmargin.engine.events import Event
from crossmargin.engine.house import House, No
from crossmargin.engine.refusals import Refusal
from crossmargin.engine.sizes import misfit
from crossmargin.engine.state import HaltState, Snapshot, State, encode_snapshot, encode_state
from crossmargin.errors import InputError, InvariantError, invariant
from crossmargin.instruments.contracts import Option
from crossmargin.ledger.settlement import ContractTerms
from crossmargin.margin.method import Parameters
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray


class Engine:
    """The one place with state: who owns what, what was observed, what is under way."""

    def __init__(
        self, state: State | None = None, applied: dict[str, str] | None = None, sent: dict[str, int] | None = None
    ) -> None:
        self._house = House(state or State())
        self._applied = AppliedIds(applied or {}, sent or {})

    @classmethod
    def restore(cls, snapshot: bytes) -> "Engine":
        """Return the engine that `snapshot` was taken of."""
        found = msgspec.json.decode(snapshot, type=Snapshot)
        return cls(found.state, found.applied, found.sent)

    @property
    def state(self) -> State:
        """What the engine remembers; to be read, not changed."""
        return self._house.state

    def snapshot(self) -> bytes:
        """Return everything needed to go on from here."""
        return encode_snapshot(Snapshot(state=self.state, applied=self._applied.digests, sent=self._applied.sent))

    def state_hash(self) -> str:
        """Return the SHA-256 of the state, in hexadecimal."""
        return hashlib.sha256(encode_state(self.state)).hexdigest()

    def has_applied(self, command_id: str) -> bool:
        """Whether a command of this id was applied, as far back as ids are kept."""
        return command_id in self._applied.digests

    def health(self, account: str) -> Health:
        """Return where an account stands."""
        return self._house.health(account)

    def portfolio(self, account: str) -> Portfolio:
        """Return an account's balances and positions as calculations see them.

        Profits since entry are in the cash, so positions stand as entered at their marks of now.
        """
        found = as_portfolio(account, self._house.definition.book(account), self._house.view)
        market = self.market()
        positions = tuple(
            each
            if isinstance(each.instrument, Option)
            else replace(each, entry_price=market.mark_price(each.instrument))
            for each in found.positions
        )
        return replace(found, positions=positions)

    def market(self) -> MarketSnapshot:
        """Return what was observed last."""
        return self._house.view.snapshot()

    def mark(self, instrument_id: str) -> Decimal | None:
        """Return the mark of a contract that is taken on; None where it has none."""
        return self._house.view.mark(instrument_id)

    def deleveraging_standings(self, account: str) -> tuple[Standing, ...]:
        """Return where an account stands in the queues for deleveraging."""
        return standings(self._house, account)

    def margin_parameters(self, method: str) -> Parameters:
        """Return the parameters of a method that are in force now.

        Raises
        ------
        MarketDataError
            If none are.
        """
        return self._house.rules.parameters_in_force(method)

    def risk_array(self, method: str) -> RiskArray | None:
        """Return what a method's accounts are margined on now; None where it is a rulebook of formulas.

        Raises
        ------
        MarketDataError
            If the method has no parameters in force.
        """
        return self._house.rules.risk(method, -1)[1]

    def terms(self, instrument_id: str) -> ContractTerms:
        """Return a contract that is taken on, in whole numbers."""
        return self._house.view.terms(instrument_id)

    def poison(self, command_id: str) -> tuple[Event, ...]:
        """Halt because a command raised; only an operator's `Resume` opens again."""
        finding = f"command {command_id} raised"
        self.state.halt = HaltState(breaker="POISONED", finding=finding, quiet_since_ns=self.state.time_ns)
        return (happened.Halted(breaker="POISONED", finding=finding),)

    def apply(self, command: Command, text: bytes | None = None) -> tuple[Event, ...]:
        """Decide about a command, change what it changes, and return what happened.

        `text` is what `encoded` says of it, where the caller has that already.

        Raises
        ------
        InvariantError
            If we contradicted ourselves; the engine must not be used any more.
        """
        house = self._house
        state, applied = house.state, self._applied
        invariant(not house.events and not house.touched, "a command must not begin inside another")
        digest = hashlib.sha256(encoded(command) if text is None else text).hexdigest()
        content = digest if command.sent_ns is None else _content_digest(command)
        known = applied.digests.get(command.id)
        if known is not None:
            if known == content:
                return (happened.Repeated(command=command.id),)
            return (No(Refusal.DUPLICATE_ID_OTHER_CONTENT).event(command.id),)
        no = self._decide(command)
        if no is not None:
            if house.events or house.touched:
                raise InvariantError(f"a refused command must change nothing, {command.id} did")
            return (no.event(command.id),)
        if house.touched:
            margin_calls.examine_touched(house)
        parameters = state.parameters
        applied.add(command.id, content, command.sent_ns)
        if parameters.id_window_ns is not None:
            applied.forget(state.time_ns, parameters.id_window_ns)
        state.sequence += 1
        state.history = hashlib.sha256((state.history + digest).encode()).hexdigest()
        if state.sequence % parameters.audit_every == 0:
            audit.run_audit(house)
        events, house.events = tuple(house.events), []
        return events or (happened.Accepted(command=command.id),)

    def _decide(self, command: Command) -> No | None:
        house = self._house
        held = house.state.halt
        if held is not None and held.breaker in FINAL and not isinstance(command, Resume):
            return No(Refusal.ENGINE_HALTED, f"{held.breaker}: {held.finding}")
        finding = misfit(command)
        if finding is not None:
            return No(Refusal.MALFORMED, finding)
        if command.sent_ns is not None:
            no = self._in_time(command.sent_ns)
            if no is not None:
                return no
        if not 1 <= len(command.id) <= 128:
            return No(Refusal.MALFORMED, "an id has 1 to 128 characters")
        try:
            return HANDLERS[type(command)](house, command)
        except InputError as error:
            # handlers check before they change; `apply` makes sure
            return No(Refusal.MALFORMED, str(error))

    def _in_time(self, sent_ns: int) -> No | None:
        now, parameters = self._house.state.time_ns, self._house.parameters
        if parameters.command_ttl_ns is not None and sent_ns + parameters.command_ttl_ns < now:
            return No(Refusal.EXPIRED_COMMAND, f"sent at {sent_ns} ns")
        window = parameters.id_window_ns
        if window is not None and sent_ns < now - window:
            return No(Refusal.EXPIRED_COMMAND, f"sent at {sent_ns} ns, ids are kept for {window} ns")
        return None


def _content_digest(command: Command) -> str:
    """Return the digest of what a command asks for: who asks again says anew when it was sent."""
    return hashlib.sha256(encoded(msgspec.structs.replace(command, sent_ns=None))).hexdigest()


def advance_time(house: House, command: AdvanceTime) -> No | None:
    """Move the clock, and do what has become due."""
    before = house.state.time_ns
    if command.time_ns < before:
        return No(Refusal.TIME_RUNS_FORWARD, f"{command.time_ns} ns is before {before} ns")
    house.state.time_ns = command.time_ns
    if any(_is_moving(house, method, before) for method in house.state.margin):
        house.exposures.parameters_changed()
        house.touch_all()
    prices.mark_stale(house)
    reopen_if_calm(house)
    margin_calls.enforce_deadlines(house)
    margin_calls.examine_touched(house)
    liquidation.advance_all(house)
    return None


def _is_moving(house: House, method: str, before_ns: int) -> bool:
    """Whether a method's parameters took effect, or moved along their ramp, since `before_ns`."""
    now = house.state.time_ns
    return any(
        before_ns < version.effective_ns <= now
        or (
            len(house.state.margin[method]) > 1
            and now >= version.effective_ns
            and before_ns < version.effective_ns + version.grace_ns + version.ramp_ns + 1
        )
        for version in house.state.margin[method]
    )


def _run_audit(house: House, _: RunAudit) -> No | None:
    audit.run_audit(house, whole=True)
    return None


Handler = Callable[[House, Any], No | None]
HANDLERS: dict[type, Handler] = {
    AdvanceTime: advance_time,
    ListAsset: listing.list_asset,
    ListInstrument: listing.list_instrument,
    SetParameters: listing.set_parameters,
    SetMarginParameters: listing.set_margin_parameters,
    OpenAccount: funds.open_account,
    CloseAccount: funds.close_account,
    Deposit: funds.deposit,
    ReverseDeposit: funds.reverse_deposit,
    Withdraw: funds.withdraw,
    TransferFunds: funds.transfer,
    SetCreditLine: funds.set_credit_line,
    UpdateMarket: prices.update_market,
    PlaceOrder: orders.place_order,
    CancelOrder: orders.cancel_order,
    CancelAllOrders: orders.cancel_all_orders,
    RecordTrade: orders.record_trade,
    ApplyFunding: settling.apply_funding,
    SettleVariation: settling.settle,
    AccrueInterest: settling.accrue_interest,
    RecordSettlementSample: settling.record_sample,
    Expire: settling.expire,
    ChargeFee: funds.charge_fee,
    FundLayer: funds.fund_layer,
    RegisterBackstop: funds.register_backstop,
    FillLiquidation: liquidation.fill,
    BidAuction: liquidation.bid,
    Halt: listing.halt,
    Resume: listing.resume,
    RunAudit: _run_audit,
    Reconcile: reconciling.reconcile,
    Upgrade: listing.upgrade,
}
