"""Deribit's standard margin and OKX's measures against the venues' worked numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_market
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import deribit_standard as sm
from crossmargin.margin.okx_portfolio_rules import UnitMeasures, account_margin, extreme_loss, spot_scenarios, worst
from crossmargin.margin.requirements import requirements
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency
from crossmargin.verification.readers import READERS

MARKET = sample_market()
BTC = MARKET.index_price(Currency("BTC"))


def _margined(*positions: Position) -> sm.Requirement:
    book = Portfolio(
        account=AccountId("a"), balances=(Balance(currency=Currency("BTC"), amount=5.0),), positions=positions
    )
    return requirements((book,), MARKET, sm.METHOD, read_parameters(sm.METHOD))[0]


@pytest.mark.parametrize("name", ["deribit_standard", "okx_pm"])
def test_the_outside_cases_match(name: str, shared: Path, record_property: Callable[[str, object], None]) -> None:
    tally = READERS[name](shared / "vectors" / name)
    record_property("outside_cases", tally.cases)
    assert tally.cases > 0
    assert tally.ok, tally.mismatches


@pytest.mark.parametrize(
    ("coins", "price", "rate", "slope", "expected"),
    [
        # support.deribit.com 25944738177565, worked numbers
        (25.0, 100_000.0, 0.02, 0.00005, 53_125.0),
        (350.0, 100_000.0, 0.02, 0.00005, 1_312_500.0),
        (25.0, 100_000.0, 0.01, 0.00005, 28_125.0),
        (6_000.0, 200.0, 0.04, 0.000005, 84_000.0),
        (25.0, 200.0, 0.02, 0.000005, 100.625),
    ],
)
def test_rates_rise_with_size(coins: float, price: float, rate: float, slope: float, expected: float) -> None:
    assert sm.futures_margin(coins, price, rate, slope) == pytest.approx(expected, rel=1e-12)


def test_short_options_at_far_and_at_the_money() -> None:
    # at the money: 15 % and 7.5 %, and what the option is worth; far out: 10 %
    assert sm.short_option_margin(is_call=True, strike=100.0, index=100.0, mark=0.05) == pytest.approx((0.20, 0.125))
    assert sm.short_option_margin(is_call=False, strike=50.0, index=100.0, mark=0.01) == pytest.approx((0.11, 0.085))
    # a put deep in the money: 7.5 % of its own mark is more than 7.5 % of a coin
    assert sm.short_option_margin(is_call=False, strike=300.0, index=100.0, mark=2.0) == pytest.approx((2.15, 2.15))


def test_a_spread_needs_as_much_as_its_short_leg() -> None:
    short = Position(instrument=parse_contract("deribit:BTC/USD:BTC-260327-100000-C"), quantity=-1.0)
    long = Position(instrument=parse_contract("deribit:BTC/USD:BTC-260327-110000-C"), quantity=1.0)
    assert _margined(short, long).initial == _margined(short).initial > 0.1 * BTC


def test_an_inverse_coin_needs_two_percent_and_the_slope() -> None:
    result = _margined(Position(instrument=parse_contract("deribit:BTC/USD:BTC"), quantity=BTC / 10.0))
    assert result.initial == pytest.approx(0.02005 * BTC, rel=1e-6)
    assert result.maintenance == pytest.approx(0.01005 * BTC, rel=1e-6)


def test_what_the_rulebook_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="binance:BTC/USDT:USDT"):
        _margined(Position(instrument=parse_contract("binance:BTC/USDT:USDT"), quantity=1.0))


def test_okx_s_documentation_example() -> None:
    # API v5 position-builder, response of 15 January 2025: short 0.1 BTC, long 10 LTC, USDT owed
    btc = UnitMeasures(
        spot=worst(spot_scenarios(-9_703.4243706, [-0.12, 0.0, 0.12])),
        basis=0.002 * 9_704.9036898,
        extreme=extreme_loss(-9_703.4243706, 0.24),
        reduction=0.0045 * 9_704.9036898,
    )
    ltc = UnitMeasures(
        spot=183.5067280572, basis=0.008 * 1_019.5308, extreme=183.5067280572, reduction=0.007 * 1_019.5308
    )
    assert btc.maintenance == pytest.approx(1_183.8207318516, rel=1e-9)
    assert btc.initial == pytest.approx(1_538.96695140708, rel=1e-9)
    total = account_margin([btc, ltc], 78_553.21888979999)
    assert total.maintenance == pytest.approx(2_946.5480841048, rel=1e-9)
    assert total.initial == pytest.approx(9_643.45070718144, rel=1e-9)
