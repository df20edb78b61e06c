"""Stresses of an account against sums done by hand."""

import math

import pytest

from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.add_ons import Liquidity
from crossmargin.margin.requirements import held_instruments
from crossmargin.margin.stress_test import Depth, crisis_while_closing, stress_results
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.risk.risk_array import risk_array
from crossmargin.scenarios.crises import crisis_named
from crossmargin.scenarios.stress import Stress, stress_scenarios
from crossmargin.units import USD, AccountId, Currency

BTC, ETH = Currency("BTC"), Currency("ETH")
MARKET = MarketSnapshot(time_ns=0, index={BTC: Price(100_000.0), ETH: Price(4_000.0), USD: Price(1.0)})
BOOK = Portfolio(
    account=AccountId("pair"),
    balances=(Balance(currency=USD, amount=30_000.0), Balance(currency=BTC, amount=0.5)),
    positions=(
        Position(instrument=parse_contract("x:BTC/USD:USD"), quantity=2.0, entry_price=110_000.0),
        Position(instrument=parse_contract("x:ETH/USD:USD"), quantity=-25.0),
    ),
)


def test_a_linear_book_loses_exposure_times_move() -> None:
    moves = stress_scenarios(
        [Stress(name="crash", prices={BTC: -0.3, ETH: -0.4}), Stress(name="calm", prices={BTC: 0.0})]
    )
    ((crash, calm),) = stress_results([BOOK], MARKET, moves)
    # 30,000 cash + 50,000 coin - 20,000 since entry
    assert crash.equity == pytest.approx(60_000.0)
    assert dict(crash.by_coin) == {BTC: pytest.approx(-0.3 * 250_000.0), ETH: pytest.approx(0.4 * 100_000.0)}
    assert crash.equity_after == pytest.approx(60_000.0 - 75_000.0 + 40_000.0)
    assert (calm.pnl, calm.equity_after) == (0.0, pytest.approx(60_000.0))


def test_closing_costs_spread_and_square_root_impact_of_what_is_traded() -> None:
    rule = Liquidity(daily_volume=1e8, daily_vol=0.04, half_spread=0.001)
    depth = Depth(coins={"BTC": rule}, otherwise=Liquidity(daily_volume=1e6, daily_vol=0.05, half_spread=0.002))
    ((result,),) = stress_results([BOOK], MARKET, stress_scenarios([Stress(name="x", prices={BTC: -0.1})]), depth)
    expected = 2e5 * (0.001 + 0.04 * math.sqrt(2e5 / 1e8)) + 1e5 * (0.002 + 0.05 * math.sqrt(1e5 / 1e6))
    assert result.closing_cost == pytest.approx(expected)
    assert result.equity_after == pytest.approx(60_000.0 - 25_000.0 - expected)


def test_each_coin_moves_for_as_long_as_closing_it_takes() -> None:
    # BTC: 250,000 at a tenth of 1e6 a day is 2.5 days, 30 hours on average after one; ETH is gone in an hour
    depth = Depth(
        coins={"BTC": Liquidity(daily_volume=1e6, daily_vol=0.04)},
        otherwise=Liquidity(daily_volume=1e12, daily_vol=0.05),
    )
    risk = risk_array(held_instruments([BOOK]), MARKET, stress_scenarios([Stress(name="x", prices={BTC: -0.1})]))
    crisis = crisis_named("may-2021")
    stress = crisis_while_closing(BOOK, risk, crisis, depth)
    assert stress.prices[BTC] == pytest.approx(crisis.price_move(BTC, 31.0), rel=1e-6)
    assert stress.prices[ETH] == pytest.approx(-0.1432, rel=1e-4)
    assert stress.name == "May 2021, while closing (BTC held 31.0 h on average)"
