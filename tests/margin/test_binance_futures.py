"""Binance's tiers and liquidation prices against published numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import binance_futures
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency
from crossmargin.verification.binance_freqtrade import verify

MARKET = MarketSnapshot(
    time_ns=0, index={Currency("BTC"): Price(100_000.0), Currency("ETH"): Price(4_000.0), Currency("USDT"): Price(1.0)}
)
PARAMETERS = read_parameters(binance_futures.METHOD)
BTC = parse_contract("binance:BTC/USDT:USDT")


def _margined(*positions: Position, orders: tuple[Order, ...] = ()) -> binance_futures.Requirement:
    book = Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=Currency("USDT"), amount=50_000.0),),
        positions=positions,
        orders=orders,
    )
    return requirements((book,), MARKET, binance_futures.METHOD, PARAMETERS)[0]


def test_the_outside_cases_match(shared: Path, record_property: Callable[[str, object], None]) -> None:
    tally = verify(shared / "vectors" / "binance_freqtrade")
    record_property("outside_cases", tally.cases)
    assert tally.cases > 0
    assert tally.ok, tally.mismatches


def test_binance_s_published_cross_example() -> None:
    # Binance support b3c689c1f50a44cabb3a84e663b81d93
    eth = {"wallet": 1_535_443.01, "side": 1, "size": 3_683.979, "entry": 1_456.84, "rate": 0.1, "amount": 135_365.0}
    btc = binance_futures.OtherPosition(size=109.488, entry=32_481.98, mark=31_967.27, rate=0.025, amount=16_300.0)
    assert binance_futures.cross_liquidation_price(**eth) == pytest.approx(1_114.78, abs=0.006)
    assert binance_futures.cross_liquidation_price(**eth, others=[btc]) == pytest.approx(1_153.26, abs=0.006)


def test_a_tier_is_taken_at_the_position_s_own_notional() -> None:
    # 1 BTC is 100,000 USDT: 0.5 % less 50; 10 BTC are 1,000,000: 0.65 % less 950
    assert _margined(Position(instrument=BTC, quantity=1.0)).maintenance == pytest.approx(450.0)
    assert _margined(Position(instrument=BTC, quantity=-10.0)).maintenance == pytest.approx(5_550.0)
    assert _margined(Position(instrument=BTC, quantity=1.0)).initial == pytest.approx(5_000.0)


def test_orders_count_at_the_worse_side() -> None:
    orders = (
        Order(instrument=BTC, side=Side.BUY, quantity=2.0, price=99_000.0),
        Order(instrument=BTC, side=Side.SELL, quantity=5.0, price=101_000.0),
    )
    # 1 held: buys reach 3, sells -4
    assert _margined(Position(instrument=BTC, quantity=1.0), orders=orders).initial == pytest.approx(20_000.0)


@given(st.sampled_from(sorted(PARAMETERS.tiers)), st.floats(0.0, 1.0))
def test_tiers_join_without_a_step(coin: str, share: float) -> None:
    for low, high in zip(PARAMETERS.tiers[coin], PARAMETERS.tiers[coin][1:], strict=False):
        edge = low.up_to or 0.0
        below = binance_futures.maintenance_margin(edge, low.rate, low.amount)
        assert binance_futures.maintenance_margin(edge, high.rate, high.amount) == pytest.approx(below, rel=1e-9)
        inside = edge * (1.0 + share)
        assert binance_futures.maintenance_margin(inside, high.rate, high.amount) >= below - 1e-6


def test_a_calendar_spread_needs_the_sum_of_its_legs() -> None:
    future = parse_contract("binance:BTC/USDT:USDT-260327")
    spread = _margined(Position(instrument=BTC, quantity=1.0), Position(instrument=future, quantity=-1.0))
    assert spread.maintenance == pytest.approx(900.0)


def test_twice_the_position_needs_more_than_twice() -> None:
    one, many = (_margined(Position(instrument=BTC, quantity=q)).maintenance for q in (5.0, 50.0))
    assert many > 10.0 * one


@pytest.mark.parametrize(
    "name", ["deribit:BTC/USD:BTC", "binance:BTC/USDT:USDT-260327-100000-C", "binance:PEPE/USDT:USDT"]
)
def test_what_the_rulebook_cannot_hold_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=name.split(":")[1].split("/")[0]):
        _margined(Position(instrument=parse_contract(name), quantity=1.0))
