"""Options in the engine: margins equal the foundation's, a hedge comes first in liquidation, expiry pays."""

from decimal import Decimal

import pytest

from crossmargin.engine import commands as ask
from crossmargin.engine import liquidation
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


def short_call(collateral: int = 30_000, **listing: object) -> Story:
    story = play(f"seller deposits {collateral}\nbuyer deposits 500_000\n")
    story.do(ask.AdvanceTime, time_ns=START_NS)
    terms = {"lot_size": Decimal("0.001"), "hedges_underlying": True, **listing}
    story.do(ask.ListInstrument, instrument=PERPETUAL, **terms)
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


def hedges(story: Story) -> list[tuple[str, int, bool]]:
    house = story.engine._house
    return liquidation._hedges(house, "seller", house.definition.book("seller"))


def delta(story: Story, instrument: str) -> float:
    """Return coins per contract."""
    return story.engine._house.definition.delta("seller", instrument) / 60_000


def test_a_hedge_is_the_delta_in_whole_lots() -> None:
    story = short_call(60_000)
    # a short call of delta -d takes 2 d coins; at the money with 60 % for 30 days d is N(0.086) = 0.534
    found = 2 * delta(story, CALL)
    assert found / 2 == pytest.approx(0.5342, abs=1e-4)
    assert delta(story, PERPETUAL) == pytest.approx(1.0)
    assert hedges(story) == [(PERPETUAL, int(found * 1000), True)]


def test_no_hedge_is_larger_than_the_book_or_turns_a_position() -> None:
    story = short_call(60_000, depth=Decimal("0.1"))
    assert hedges(story) == [(PERPETUAL, 100, True)]
    deep = {"instrument": PERPETUAL, "price": Decimal(60_000), "buyer": "seller", "seller": "buyer"}
    story.do(ask.RecordTrade, quantity=Decimal("1.5"), **deep)
    assert hedges(story) == [(PERPETUAL, -100, True)]
    story = short_call(60_000)
    trade = {"instrument": PERPETUAL, "price": Decimal(60_000)}
    # too much of a hedge: it sells the difference
    story.do(ask.RecordTrade, buyer="seller", seller="buyer", quantity=Decimal("1.5"), **trade)
    ((_, lots, _),) = hedges(story)
    assert lots == -int((1.5 - 2 * delta(story, CALL)) * 1000)
    # a short perpetual beside the short call needs more than it holds: it is bought back, and no more
    story.do(ask.RecordTrade, buyer="buyer", seller="seller", quantity=Decimal("1.7"), **trade)
    assert hedges(story) == [(PERPETUAL, 200, True)]


def test_nothing_hedges_without_a_good_price_a_delta_or_a_contract_for_it() -> None:
    assert hedges(short_call(60_000, hedges_underlying=False)) == []
    assert hedges(short_call(60_000, lot_size=Decimal(5))) == []  # less than one lot
    story = short_call(60_000)
    story.do(ask.ListInstrument, instrument="x:ETH/USDC:USDC", lot_size=Decimal("0.1"), hedges_underlying=True)
    story.do(ask.ListInstrument, instrument="x:BTC/USDC", lot_size=Decimal("0.1"), hedges_underlying=True)
    story.do(ask.ListInstrument, instrument="x:BTC/USDT:USDT", lot_size=Decimal("0.001"), hedges_underlying=True)
    story.do(ask.ListAsset, asset="EUR", quantum=Decimal("0.01"))
    story.do(ask.UpdateMarket, index={"USDT": tuple(ask.Quote(source=name, price=Decimal(1)) for name in "ab")})
    story.do(ask.ListInstrument, instrument="x:BTC/EUR:EUR", lot_size=Decimal("0.001"), hedges_underlying=True)
    # not another coin's, not the coin itself, not what cannot be priced
    assert [name for name, _, _ in hedges(story)] == [PERPETUAL, "x:BTC/USDT:USDT"]
    story.engine.state.market.marks[PERPETUAL].quality = "BOUND"
    story.engine._house.exposures.quality_changed()
    assert [name for name, _, _ in hedges(story)] == ["x:BTC/USDT:USDT"]
