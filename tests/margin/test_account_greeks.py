"""Greeks of an account against finite differences of the account's own revaluation."""

from dataclasses import replace

import numpy as np
import pytest

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.instruments.contracts import DOLLAR_COINS, Option
from crossmargin.margin.account_greeks import coin_greeks, held_quantities
from crossmargin.margin.requirements import held_instruments
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor

FLAT_TENOR = VolTenor(short_power=0.0, long_power=0.0)


@pytest.fixture(scope="module")
def market() -> MarketSnapshot:
    return sample_market()


def scenarios(coin: str, prices: list[float], vols: list[float], days: float = 0.0) -> ScenarioSet:
    return ScenarioSet(
        name="bumps",
        underlyings=(coin,),
        price_factor=np.array([prices]),
        vol_shock=np.array([vols]),
        labels=tuple(map(str, range(len(prices)))),
        vol_tenor=FLAT_TENOR,
        horizon_years=days / 365.0,
    )


def profits(book: Portfolio, risk: RiskArray) -> list[float]:
    return sum(quantity * risk.row(name) for name, quantity in held_quantities(book).items()).tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("account", ["straddle-seller", "vol-pair", "covered-call-eth", "market-maker", "hedger"])
def test_greeks_are_the_slopes_of_the_books_own_value(account: str, market: MarketSnapshot) -> None:
    book = next(portfolio for portfolio in sample_book() if portfolio.account == account)
    book = replace(book, orders=())
    items = held_instruments([book])
    one = risk_array(items, market, scenarios("BTC", [1.0], [0.0]))
    found = coin_greeks(book, one, market)
    coins = {item.underlying for item in items} - DOLLAR_COINS
    assert {greeks.coin for greeks in found} == coins
    for greeks in found:
        step = 1e-3
        down, up = profits(book, risk_array(items, market, scenarios(greeks.coin, [1 - step, 1 + step], [0.0, 0.0])))
        scale = max(abs(greeks.delta_usd), 1.0)
        assert (up - down) / (2 * step) == pytest.approx(greeks.delta_usd, abs=2e-4 * scale + 50.0)
        # delta_usd is the slope by relative price x: gamma per 1 % is 0.01 V''(x)
        bent = (up + down) / step**2 * 0.01
        assert bent == pytest.approx(greeks.gamma_usd, rel=5e-3, abs=20.0)
        assert greeks.delta_coins == pytest.approx(greeks.delta_usd / market.index_price(greeks.coin))


def test_vega_and_theta_of_one_option_are_its_bumps(market: MarketSnapshot) -> None:
    seller = next(portfolio for portfolio in sample_book() if portfolio.account == "naked-call-seller")
    options = tuple(position for position in seller.positions if isinstance(position.instrument, Option))
    book = replace(seller, orders=(), positions=options[:1], balances=())
    (position,) = book.positions
    items = held_instruments([book])
    (greeks,) = (g for g in coin_greeks(book, risk_array(items, market, scenarios("BTC", [1.0], [0.0])), market))
    vol = market.vol(position.instrument)  # type: ignore[arg-type]
    shock = 1e-4 / vol
    low, high = profits(book, risk_array(items, market, scenarios(greeks.coin, [1.0, 1.0], [-shock, shock])))
    assert (high - low) / 2e-4 * 0.01 == pytest.approx(greeks.vega_usd, rel=1e-5)
    (later,) = profits(book, risk_array(items, market, scenarios(greeks.coin, [1.0], [0.0], days=0.01)))
    assert later / 0.01 == pytest.approx(greeks.theta_usd, rel=2e-3)
