"""Scenes that random commands alone seldom reach: calls nobody meets, bad answers to slices, providers that lose."""

from decimal import Decimal

from checked_house import EXPIRY_NS, FUTURE, LINEAR, MARKED, SPOT, UNPRICED, USERS, CheckedHouse

from crossmargin.engine import commands as ask
from crossmargin.engine.engine import Engine
from crossmargin.engine.parameters import Breakers, EngineParameters

BREAKERS = {
    "an index jumps": Breakers(index_jump=0.1),
    "a mark leaves its index": Breakers(mark_index_gap=0.05),
    "insurance pays": Breakers(insurance_loss=Decimal(1)),
}
SCENES = (
    "nothing",
    "a call is met late",
    "a call is not met",
    "a call is overtaken",
    "bad answers",
    "a provider loses",
    "an auction",
    "a default",
    "a deep default",
    "operators",
    "slips",
    "a crowd",
    "an expiry",
    *BREAKERS,
)


SLIPS = ("other", "late", "amount", "asset", "too much", "fast", "back", "unlisted", "unpriced", "not owned", "early")


class StagedHouse(CheckedHouse):
    """A clearing house with scenes to begin from, which a random history goes on with."""

    def stage(self, scene: str, number: int, move: float) -> None:
        """Play a scene with one of those who have positions."""
        able = self.drainable("HEALTHY")
        who = able[number % len(able)] if able else "ann"
        other = "cy" if who == "dan" else "dan"
        match scene.split():
            case ["a", "call", *_]:
                self.called(who, scene)
            case ["bad", "answers"]:
                self.answers_are_bad(who, other)
            case ["a", "provider", "loses"] | ["an", "auction"]:
                duration = 30 * 10**9 if scene == "an auction" else 0
                self.set_parameters(auction_duration_ns=duration)
                self.provider_loses(who, other, move)
            case ["a", *_, "default"]:
                self.defaults(who, other, deep="deep" in scene, again=number % 2 == 0)
            case ["operators"]:
                self.operators_act()
            case ["slips"]:
                for kind in SLIPS:
                    self.slip(kind)
            case ["a", "crowd"]:
                self.crowd(who, other)
            case ["an", "expiry"]:
                self.expires(FUTURE, who, other)
            case _ if scene in BREAKERS:
                self.trips(BREAKERS[scene], who, other)

    def set_parameters(self, **fields) -> None:
        """Set the engine's parameters, with prices that do not grow old."""
        self.do(ask.SetParameters, parameters=EngineParameters(**({"index_max_age_ns": 10**18} | fields)))

    def called(self, who: str, scene: str) -> None:
        """A margin call is not met in time, or a loss comes before that."""
        if scene == "a call is overtaken":
            self.drain(who, "call")
            self.drain(who, "slices")
            return
        self.call_goes_unmet(who)
        if scene == "a call is met late":
            self.do(ask.Deposit, account=who, asset="USDC", amount=Decimal(200_000))
        else:
            self.drain(who, "slices")

    def expires(self, name: str, who: str, other: str) -> None:
        """A contract expires, and somebody trades it still."""
        self.do(ask.RecordSettlementSample, instrument=name, price=self.prices["BTC"])
        self.do(ask.AdvanceTime, time_ns=max(EXPIRY_NS, self.engine.state.time_ns))
        self.do(ask.Expire, instrument=name)
        trade = {"instrument": name, "quantity": Decimal(1), "price": self.prices["BTC"]}
        self.do(ask.RecordTrade, buyer=who, seller=other, **trade)

    def crowd(self, who: str, other: str) -> None:
        self.giant(other, who)
        self.orders_everywhere("fay")
        for name in sorted(self.engine.state.orders)[:2]:
            self.fill_order(name, other)

    def drainable(self, *states: str) -> list[str]:
        """Return who of these states has positions, and cash that a fee could take."""
        state = self.engine.state
        return [
            name
            for name in USERS
            if state.accounts[name].state in states
            and any(held.lots for held in state.ledger.holdings.get(name, {}).values())
            and state.ledger.balance(name, "USDC") > 0
        ]

    def drain(self, who: str, aim: str) -> None:
        """Charge a fee that leaves just too little: for initial margin, for maintenance, or for half of that."""
        health = self.engine.health(who)
        between = {
            "call": (health.initial + health.maintenance) / 2,
            "slices": 0.99 * health.maintenance,
            "takeover": 0.3 * health.maintenance,
        }
        fee = round(Decimal(health.equity - between[aim]), 6)
        if fee > 0:
            self.do(ask.ChargeFee, account=who, asset="USDC", amount=fee, reason="drained")

    def call_goes_unmet(self, who: str) -> None:
        self.drain(who, "call")
        call = self.engine.state.accounts[who].call
        if call is not None:
            self.do(ask.AdvanceTime, time_ns=max(call.deadline_ns, self.engine.state.time_ns))

    def answers_are_bad(self, who: str, other: str) -> None:
        """A slice is answered beyond its limit, at its limit, and at the mark, at which it trips a breaker."""
        self.set_parameters(breakers=Breakers(liquidated_notional=100.0), slice_slippage=0.2, mark_band=None)
        self.do(ask.Deposit, account=other, asset="USDC", amount=Decimal(50_000_000))
        self.drain(who, "slices")
        found = self.engine.state.liquidations.get(who)
        if found is None or found.order is None:
            return
        order = found.order
        quantity = abs(order.lots) * self.engine.state.listings[order.instrument].lot_size
        beyond = Decimal("1.01") if order.lots > 0 else Decimal("0.99")
        for price in (order.limit * beyond, order.limit, self.price_of(order.instrument)):
            self.do(ask.FillLiquidation, account=who, counterparty=other, quantity=quantity, price=price)

    def provider_loses(self, who: str, taker: str, move: float) -> None:
        """An account is handed over, by auction where there are any, to a provider who may lose ten dollars by it."""
        self.do(ask.Deposit, account=taker, asset="USDC", amount=Decimal(50_000_000))
        self.do(ask.RegisterBackstop, account=taker, capacity=Decimal(10**9), loss_cap=Decimal(10))
        self.drain(who, "takeover")
        self.do(ask.AdvanceTime, time_ns=self.engine.state.time_ns + 31 * 10**9)
        self.market(move, move)

    def defaults(self, who: str, other: str, *, deep: bool, again: bool) -> None:
        """A member of the default fund is left with more contracts than money, and the market moves against it."""
        self.do(ask.FundLayer, layer="default fund", amount=Decimal(50), member=who)
        self.do(ask.Deposit, account=who, asset="ETH", amount=Decimal("0.1"))
        size = Decimal(20) if deep else Decimal(4)
        for name, amount in ((who, 600_000), (other, 600_000)):
            self.do(ask.Deposit, account=name, asset="USDC", amount=Decimal(amount))
        trade = {"instrument": LINEAR, "quantity": size, "price": self.price_of(LINEAR)}
        self.do(ask.RecordTrade, buyer=who, seller=other, **trade)
        self.drain(who, "call")
        self.market(0.3 if deep else 0.8, 1.0)
        if self.engine.state.accounts[who].state == "BANKRUPT":
            if again:
                self.do(ask.Deposit, account=who, asset="USDC", amount=Decimal(10_000))
            else:
                for name in MARKED:  # what was lost stays on record until it is settled
                    self.do(ask.SettleVariation, instrument=name)
                self.do(ask.CloseAccount, account=who)

    def trips(self, breakers: Breakers, who: str, other: str) -> None:
        """Set a breaker, push a mark away from its index, and let an account default on a falling index."""
        layers = ("collateral", "insurance", "socialised")
        self.set_parameters(breakers=breakers, layers=layers)
        self.do(ask.FundLayer, layer="insurance", amount=Decimal(1000))
        self.do(ask.UpdateMarket, marks={LINEAR: round(self.prices["BTC"] * Decimal("1.2"), 2)})
        self.do(ask.UpdateMarket, marks={LINEAR: self.prices["BTC"]})
        self.defaults(who, other, deep=False, again=True)

    def operators_act(self) -> None:
        self.do(ask.RunAudit)
        self.reconcile(off=False)
        self.do(ask.Upgrade, version="2")
        self.engine = Engine.restore(self.engine.snapshot())
        self.do(ask.Halt, reason="drill")
        for _ in range(2):
            self.do(ask.Resume, reason="looked at")

    def reconcile(self, *, off: bool) -> None:
        ledger, found = self.engine.state.ledger, {}
        for asset, terms in self.engine.state.assets.items():
            found[asset] = -ledger.balance("@external", asset) * terms.quantum
        if off:
            found["USDC"] += 1
        self.do(ask.Reconcile, statement=found)

    def slip(self, kind: str) -> None:
        """Make one of the mistakes that a client makes."""
        one = {"account": "ann", "asset": "USDC", "amount": Decimal(1)}
        match kind:
            case "other":
                self.do(ask.Deposit, **one)
                self.repeat(ask.Deposit(id=self.journal[-1].id, **(one | {"amount": Decimal(2)})))
            case "late":
                self.set_parameters(command_ttl_ns=10**9)
                self.do(ask.Deposit, **one, sent_ns=-(10**12))
            case "amount":
                self.do(ask.Deposit, **(one | {"amount": Decimal(-1)}))
            case "asset":
                self.do(ask.Deposit, **(one | {"asset": "XYZ"}))
            case "too much":
                self.do(ask.Deposit, **(one | {"asset": "BTC", "amount": Decimal(2000)}))
            case "fast":
                self.set_parameters(withdrawal_limit=Decimal(1))
                for build in (ask.Deposit, ask.Withdraw):
                    self.do(build, **(one | {"account": "eve", "amount": Decimal(2)}))
            case _:
                self.slip_of_trade(kind)

    def slip_of_trade(self, kind: str) -> None:
        trade = {"buyer": "ann", "seller": "bea", "quantity": Decimal(1), "price": Decimal(1)}
        match kind:
            case "back":
                self.do(ask.AdvanceTime, time_ns=-1)
            case "unlisted":
                self.do(ask.RecordTrade, instrument="x:NO/USDC:USDC", **trade)
            case "unpriced":
                self.do(ask.RecordTrade, instrument=UNPRICED, **trade)
            case "not owned":
                self.do(ask.Deposit, account="dan", asset="USDC", amount=Decimal(100_000))
                self.do(ask.RecordTrade, instrument=SPOT, **(trade | {"seller": "dan", "price": self.prices["BTC"]}))
            case "early":
                self.do(ask.Expire, instrument=FUTURE)

    def giant(self, buyer: str, seller: str) -> None:
        """Two with all the money there is reach for more than may be held, by one and by all."""
        for name in (buyer, seller):
            self.do(ask.Deposit, account=name, asset="USDC", amount=Decimal(50_000_000))
        for name, size in ((LINEAR, 29), (LINEAR, 5), (FUTURE, 20), (FUTURE, 6)):
            trade = {"instrument": name, "quantity": Decimal(size), "price": self.price_of(name)}
            self.do(ask.RecordTrade, buyer=buyer, seller=seller, **trade)

    def orders_everywhere(self, who: str) -> None:
        self.do(ask.Deposit, account=who, asset="USDC", amount=Decimal(50_000_000))
        for name in MARKED:
            for side in ("buy", "sell"):
                self.orders += 1
                fields = {"instrument": name, "side": side, "quantity": Decimal(1), "price": self.price_of(name)}
                self.do(ask.PlaceOrder, account=who, order=f"e{self.orders}", **fields)

    def fill_order(self, name: str, other: str, more: Decimal = Decimal(0)) -> None:
        """Fill an order, and `more` than was ordered."""
        order = self.engine.state.orders[name]
        quantity = abs(order.lots) * self.engine.state.listings[order.instrument].lot_size
        buys = order.lots > 0
        self.do(
            ask.RecordTrade,
            buyer=order.account if buys else other,
            seller=other if buys else order.account,
            instrument=order.instrument,
            quantity=quantity + more,
            price=order.price,
            **{"buy_order" if buys else "sell_order": name},
        )
