"""Options in the engine: margins equal the foundation's, a hedge comes first in liquidation, expiry pays."""

from decimal import Decimal

import pytest

from crossmargin.engine import commands as ask
from crossmargin.engine.events import LiquidationOrdered, Refused
from crossmargin.files.parameters import read_parameters
from crossmargin.files.story import Story, play
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import requirements
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency

PERPETUAL, CALL = "x:BTC/USDC:USDC", "x:BTC/USDC:USDC-260327-60000-C"
EXPIRY_NS = parse_contract(CALL).expiry_ns
START_NS = EXPIRY_NS - 30 * 86_400 * 10**9


def update(story: Story, price: float, option: float) -> None:
    smile = ask.SmileQuote(expiry_ns=EXPIRY_NS, forward=price, strikes=(60_000.0,), vols=(0.6,))
    story.do(
        ask.UpdateMarket,
        index={
            coin: tuple(ask.Quote(source=name, price=Decimal(value)) for name in "ab")
            for coin, value in (("BTC", price), ("USDC", 1))
        },
        marks={PERPETUAL: Decimal(price), CALL: Decimal(option)},
        smiles={"BTC": (smile,)},
    )


def market(price: float, option: float) -> MarketSnapshot:
    coin = Currency("BTC")
    curve = ForwardCurve(spot=price, time_ns=START_NS, expiries_ns=(EXPIRY_NS,), forwards=(price,))
    smile = Smile(expiry_ns=EXPIRY_NS, forward=price, strikes=(60_000.0,), vols=(0.6,))
    return MarketSnapshot(
        time_ns=START_NS,
        index={coin: Price(price), Currency("USDC"): Price(1.0), Currency("USDT"): Price(1.0)},
        marks={parse_contract(PERPETUAL).id: Price(price), parse_contract(CALL).id: Price(option)},
        forwards={coin: curve},
        surfaces={coin: VolSurface(time_ns=START_NS, smiles=(smile,))},
    )


def short_call(collateral: int = 30_000) -> Story:
    story = play(f"seller deposits {collateral}\nbuyer deposits 500_000\n")
    story.do(ask.AdvanceTime, time_ns=START_NS)
    story.do(ask.ListInstrument, instrument=PERPETUAL, lot_size=Decimal("0.001"), hedges_underlying=True)
    story.do(ask.ListInstrument, instrument=CALL, lot_size=Decimal("0.1"))
    update(story, 60_000, 4_000)
    trade = {"buyer": "buyer", "seller": "seller", "quantity": Decimal(2)}
    story.do(ask.RecordTrade, instrument=CALL, price=Decimal(4_000), **trade)
    assert [event for event in story.events if isinstance(event, Refused)] == []
    return story


@pytest.mark.parametrize(("price", "option"), [(60_000, 4_000), (58_000, 3_100), (62_500, 5_600)])
def test_engine_margins_equal_the_foundation_s_from_scratch(price: float, option: float) -> None:
    story = short_call(60_000)
    story.do(
        ask.RecordTrade,
        buyer="seller",
        seller="buyer",
        instrument=PERPETUAL,
        quantity=Decimal("0.7"),
        price=Decimal(60_000),
    )
    update(story, price, option)
    book = Portfolio(
        account=AccountId("seller"),
        # 60,000 and two premiums of 4,000
        balances=(Balance(currency=Currency("USDC"), amount=68_000.0),),
        positions=(
            Position(instrument=parse_contract(PERPETUAL), quantity=0.7, entry_price=60_000.0),
            Position(instrument=parse_contract(CALL), quantity=-2.0),
        ),
    )
    method = method_named("scenario_grid")
    (expected,) = requirements([book], market(price, option), method, read_parameters(method))
    found = story.engine.health("seller")
    assert found.initial == pytest.approx(expected.initial, rel=1e-12)
    assert found.maintenance == pytest.approx(expected.maintenance, rel=1e-12)
    assert found.equity == pytest.approx(expected.equity, rel=1e-12)


def test_a_short_option_is_hedged_before_it_is_closed() -> None:
    story = short_call(20_000)
    # 20,000 and the premium of 8,000 less two calls at 6,500: 15,000 against 15,502 of maintenance
    update(story, 64_000, 6_500)
    ordered = [event for event in story.events if isinstance(event, LiquidationOrdered)]
    assert ordered[0].instrument == PERPETUAL
    assert ordered[0].side == "buy"
    assert ordered[0].reason.startswith("hedges the delta")
    before = story.engine.health("seller").ratio
    (first, *_) = story.do(
        ask.FillLiquidation,
        account="seller",
        counterparty="buyer",
        quantity=ordered[0].quantity,
        price=Decimal(64_000),
    )
    assert not isinstance(first, Refused)
    assert story.engine.health("seller").ratio >= before


def test_an_option_expires_at_the_average_of_its_samples() -> None:
    story = short_call(60_000)
    for price in (64_000, 65_000, 66_000):
        story.do(ask.RecordSettlementSample, instrument=CALL, price=Decimal(price))
    assert story.do(ask.Expire, instrument=CALL)[0].reason == "NOT_EXPIRED"
    story.do(ask.AdvanceTime, time_ns=EXPIRY_NS)
    story.do(ask.Expire, instrument=CALL)
    # two calls of 65,000 - 60,000, against a premium of 8,000
    ledger = story.engine.state.ledger
    assert ledger.balance("seller", "USDC") == (60_000 + 8_000 - 10_000) * 10**6
    assert ledger.balance("buyer", "USDC") == (500_000 - 8_000 + 10_000) * 10**6
    assert ledger.holders(CALL) == []
