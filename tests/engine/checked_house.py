"""A clearing house under random commands: what is listed, what is checked after every command, what was reached.

The rules by which Hypothesis chooses commands are in `test_stateful.py`.
"""

from collections import Counter
from decimal import Decimal
from typing import get_args

import msgspec
from hypothesis.stateful import RuleBasedStateMachine, invariant

from crossmargin.engine import commands as ask
from crossmargin.engine.audit import violations
from crossmargin.engine.engine import HANDLERS, Engine
from crossmargin.engine.events import AccountStateChanged, Defaulted, Drawn, Event, Halted, Liquidated, Refused
from crossmargin.engine.parameters import EngineParameters
from crossmargin.engine.refusals import Refusal
from crossmargin.engine.state import ALLOWED
from crossmargin.files.parameters import read_parameters
from crossmargin.ledger.account import INSURANCE
from crossmargin.margin.methods import method_named

GRID = msgspec.to_builtins(read_parameters(method_named("scenario_grid")))
ISOLATED = msgspec.to_builtins(read_parameters(method_named("isolated")))
STEEP = {**GRID, "maintenance_factor": 0.95, "default_price_range": 0.5}
LINEAR, OTHER, INVERSE = "x:BTC/USDC:USDC", "x:ETH/USDC:USDC", "x:BTC/USD:BTC"
CALL, FUTURE, SPOT = "x:BTC/USDC:USDC-260327-50000-C", "x:BTC/USDC:USDC-260327", "x:BTC/USDC"
EXPIRY_NS = 1_774_598_400_000_000_000
MARKED = (LINEAR, OTHER, INVERSE, FUTURE)
UNPRICED = "x:SOL/USDC:USDC"
"""Listed, and never priced."""
USERS = ("ann", "bea", "cy", "dan", "eve", "ann.sub", "fay")
"""Of whom fay is margined contract by contract; the others by scenarios."""
ASSETS = ("USDC", "BTC", "ETH")
SEEN: Counter = Counter()
"""What the histories reached, over the whole session: refusals, states, layers, breakers, commands."""
OPENING: list[tuple[bytes, tuple, tuple]] = []
"""Snapshot, journal and events with which every history begins, once they are known."""


def quotes(price: Decimal, *sources: str) -> tuple[ask.Quote, ...]:
    return tuple(ask.Quote(source=source, price=price) for source in sources or ("a", "b"))


class CheckedHouse(RuleBasedStateMachine):
    """An engine, its journal, and the invariants of a clearing house."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.journal: list = []
        self.events: list = []
        self.prices = {"BTC": Decimal(50_000), "ETH": Decimal(2_000)}
        self.orders = 0

    # -- plumbing ---------------------------------------------------------------------------------------------------

    def do(self, build, **fields) -> tuple:
        command = build(id=f"c{len(self.journal)}", **fields)
        self.journal.append(command)
        before = self.engine.state_hash()
        unhealthy = {name for name in self.engine.state.liquidations if self.engine.health(name).needs_liquidation}
        ratios = {name: self.engine.health(name).ratio for name in self.engine.state.liquidations}
        fund = self.engine.state.ledger.balance(INSURANCE, "USDC")
        events = self.engine.apply(command)
        self.events += events
        SEEN[f"command {build.__name__}"] += 1
        SEEN.update(f"event {type(event).__name__}" for event in events)
        self.check_events(command, events, before, unhealthy, ratios, fund)
        return events

    def repeat(self, command) -> None:
        """Send a command under an id that was used: nothing happens."""
        before = self.engine.state_hash()
        if self.engine.has_applied(command.id):
            (event,) = self.engine.apply(command)
            SEEN[f"event {type(event).__name__}"] += 1
            if isinstance(event, Refused):
                SEEN[f"refusal {event.reason}"] += 1
            assert self.engine.state_hash() == before

    def check_events(self, command, events, before, unhealthy, ratios, fund) -> None:
        owed: dict[str, Decimal] = {}
        for event in events:
            match event:
                case Refused():
                    SEEN[f"refusal {event.reason}"] += 1
                    assert self.engine.state_hash() == before, f"{command} was refused and changed something"
                    assert len(events) == 1
                case AccountStateChanged():
                    SEEN[f"state {event.before} {event.after}"] += 1
                case Defaulted():
                    owed[event.account] = event.shortfall
                case Drawn():
                    SEEN[f"layer {event.layer}"] += 1
                    owed[event.account] -= event.amount
                    assert event.amount > 0
                case Halted():
                    SEEN[f"breaker {event.breaker}"] += 1
                case Liquidated():
                    assert event.account in unhealthy, "only an unhealthy account is liquidated"
        assert not any(owed.values()), "draws are the shortfall"
        if isinstance(command, ask.FillLiquidation) and not isinstance(events[0], Refused):
            health = self.engine.health(command.account)
            held = self.engine.state.ledger.holdings.get(command.account)
            # the slice itself; a default that follows in the same command leaves nothing to compare
            if held and self.engine.state.accounts[command.account].state != "BANKRUPT":
                assert health.ratio >= ratios[command.account] - 1e-9
        drawn = sum(event.amount for event in events if isinstance(event, Drawn) and event.layer == "insurance")
        paid_in = command.amount if isinstance(command, ask.FundLayer) and command.layer == "insurance" else Decimal(0)
        if not isinstance(events[0], Refused):
            change = (self.engine.state.ledger.balance(INSURANCE, "USDC") - fund) * Decimal("0.000001")
            assert change == paid_in - drawn, "the insurance fund changes by what is paid in and drawn"

    # -- set-up -----------------------------------------------------------------------------------------------------

    def list_everything(self) -> None:
        """List all that there is; done once, as every history begins with it."""
        if not OPENING:
            self.list_assets_and_accounts()
            OPENING.append((self.engine.snapshot(), tuple(self.journal), tuple(self.events)))
        snapshot, journal, events = OPENING[0]
        self.engine, self.journal, self.events = Engine.restore(snapshot), list(journal), list(events)
        # a history has done what it begins with, whoever played it first
        SEEN.update(f"command {type(command).__name__}" for command in journal)

    def list_assets_and_accounts(self) -> None:
        self.do(ask.ListAsset, asset="USDC", quantum=Decimal("0.000001"), borrow_limit=Decimal(1000))
        self.do(ask.ListAsset, asset="BTC", quantum=Decimal("0.00000001"), deposit_cap=Decimal(1000))
        self.do(ask.ListAsset, asset="ETH", quantum=Decimal("0.00000001"))
        self.do(ask.ListAsset, asset="SOL", quantum=Decimal("0.01"))
        self.do(ask.SetMarginParameters, method="scenario_grid", parameters=GRID)
        self.do(ask.SetParameters, parameters=EngineParameters(index_max_age_ns=10**18, mark_band=None, audit_every=5))
        self.do(ask.SetMarginParameters, method="isolated", parameters=ISOLATED)
        limits = {"position_limit": Decimal(30), "open_interest_limit": Decimal(60), "open_interest_rate": 0.05}
        self.do(ask.ListInstrument, instrument=LINEAR, lot_size=Decimal("0.1"), hedges_underlying=True, **limits)
        self.do(ask.ListInstrument, instrument=OTHER, lot_size=Decimal("0.1"), depth=Decimal(5))
        self.do(ask.ListInstrument, instrument=INVERSE, lot_size=Decimal("0.1"), contract_size=Decimal(10_000))
        for name in (CALL, SPOT, UNPRICED):
            self.do(ask.ListInstrument, instrument=name, lot_size=Decimal("0.1"))
        self.do(ask.ListInstrument, instrument=FUTURE, lot_size=Decimal("0.1"), open_interest_limit=Decimal(25))
        for name in USERS[:5]:
            self.do(ask.OpenAccount, account=name)
        self.do(ask.OpenAccount, account="ann.sub", parent="ann")
        self.do(ask.OpenAccount, account="fay", method="isolated")
        for name in USERS[:4]:
            self.do(ask.Deposit, account=name, asset="USDC", amount=Decimal(100_000))
        self.do(ask.FundLayer, layer="insurance", amount=Decimal(3000))
        self.do(ask.FundLayer, layer="house", amount=Decimal(500))
        self.do(ask.FundLayer, layer="default fund", amount=Decimal(300), member="cy")
        self.market(1.0, 1.0)

    def market(self, btc: float, eth: float) -> None:
        self.prices["BTC"] = min(max(round(self.prices["BTC"] * Decimal(repr(btc)), 2), Decimal(1)), Decimal(10**7))
        self.prices["ETH"] = min(max(round(self.prices["ETH"] * Decimal(repr(eth)), 2), Decimal(1)), Decimal(10**6))
        smile = ask.SmileQuote(expiry_ns=EXPIRY_NS, forward=float(self.prices["BTC"]), strikes=(50_000.0,), vols=(0.6,))
        marks = {name: self.prices["ETH" if name == OTHER else "BTC"] for name in MARKED}
        marks = {name: price for name, price in marks.items() if not self.engine.state.listings[name].expired}
        if not self.engine.state.listings[CALL].expired:
            marks[CALL] = max(self.prices["BTC"] - 50_000, Decimal(0)) + 500
        self.do(
            ask.UpdateMarket,
            index={**{name: quotes(price) for name, price in self.prices.items()}, "USDC": quotes(Decimal(1))},
            marks=marks,
            smiles={"BTC": (smile,)},
        )

    # -- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def the_books_are_right(self) -> None:
        assert violations(self.engine.state) == []
        assert self.engine.state.halt is None or self.engine.state.halt.breaker != "AUDIT"

    @invariant()
    def margins_are_ordered_and_the_mirror_is_true(self) -> None:
        for name, account in self.engine.state.accounts.items():
            if account.state == "CLOSED":
                continue
            health = self.engine.health(name)
            assert health.initial >= health.maintenance - 1e-6 or len(self.engine.state.margin["scenario_grid"]) > 1
            assert health.maintenance >= -1e-9
            if account.state == "HEALTHY" and self.engine.state.halt is None:
                assert not health.needs_liquidation

    def teardown(self) -> None:
        for snapshot, journal, events in OPENING:
            again = Engine.restore(snapshot)
            found = [event for command in self.journal[len(journal) :] for event in again.apply(command)]
            assert again.state_hash() == self.engine.state_hash()
            assert found == self.events[len(events) :]

    def price_of(self, name: str) -> Decimal:
        mark = self.engine.state.market.marks.get(name)
        return self.prices["BTC"] if mark is None else max(mark.price, Decimal(1))


def everything() -> set[str]:
    """Return what histories must reach: commands, refusals, changes of state, layers, breakers and kinds of event."""
    wanted = {f"command {kind.__name__}" for kind in HANDLERS}
    wanted |= {f"refusal {refusal.name}" for refusal in Refusal}
    wanted |= {f"state {before} {after}" for before, afters in ALLOWED.items() for after in afters}
    wanted |= {f"layer {layer}" for layer in EngineParameters().layers}
    wanted |= {f"breaker {name}" for name in ("INDEX_JUMP", "MARK_INDEX_GAP", "LIQUIDATED_NOTIONAL", "INSURANCE_LOSS")}
    wanted |= {f"event {kind.__name__}" for kind in get_args(Event)}
    # ENGINE_HALTED needs a failed audit (test_engine.py corrupts the state); NOT_LIQUIDATABLE a state that cannot be:
    # whoever is healthy again is released in the same command (test_liquidation.py makes one)
    return wanted - {"refusal ENGINE_HALTED", "refusal NOT_LIQUIDATABLE"}
