"""Offsets against the closed form of a normal pair, and the sample's books."""

import numpy as np
import pytest
from scipy.stats import norm

from crossmargin.errors import InputError
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.exposure import underlyings
from crossmargin.margin.offsets import Offset, offset, stressed_offsets
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Portfolio, Position
from crossmargin.scenarios.factors import market_factors
from crossmargin.units import USD, AccountId, Currency

BTC, ETH = Currency("BTC"), Currency("ETH")
MARKET = MarketSnapshot(time_ns=0, index={BTC: Price(100_000.0), ETH: Price(4_000.0), USD: Price(1.0)})
PAIR = Portfolio(
    account=AccountId("pair"),
    positions=(
        Position(instrument=parse_contract("x:BTC/USD:USD"), quantity=1.0),
        Position(instrument=parse_contract("x:ETH/USD:USD"), quantity=-25.0),
    ),
)


def test_a_normal_pair_has_the_closed_form_under_every_correlation() -> None:
    # 100,000 long and short at 0.4 % a step: ES = m * 400 * sqrt(2 - 2 rho), m = phi(z) / 0.025; small, so that the
    # convexity of the exponential stays below a percent
    vols, rho = np.array([0.004, 0.004]), 0.8
    found = stressed_offsets(
        PAIR, MARKET, (BTC, ETH), vols, np.array([[1.0, rho], [rho, 1.0]]), degrees=1e6, weight=0.5, count=65_536
    )
    multiple = norm.pdf(norm.ppf(0.975)) / 0.025
    for each, correlation in zip(found, (rho, 0.9, 0.4, -0.1), strict=True):
        assert dict(each.alone) == pytest.approx({BTC: 400.0 * multiple, ETH: 400.0 * multiple}, rel=0.012)
        assert each.together == pytest.approx(400.0 * multiple * np.sqrt(2.0 - 2.0 * correlation), rel=0.012)
    # a long-short pair is hurt by the break of its correlation, and by nothing as much as by minus one
    assert max(found, key=lambda each: each.together).law == "against one another, weight 0.5"
    assert found[0].share == pytest.approx(1.0 - np.sqrt(0.4) / 2.0, abs=0.01)


def test_shortfalls_offset_and_never_the_other_way() -> None:
    market = sample_market()
    assert market.history is not None
    for portfolio in sample_book():
        coins = underlyings(portfolio)
        if portfolio.account not in ("pair-btc-eth", "diversified-alts", "vol-pair", "market-maker"):
            continue
        factors = market_factors(market.history, coins)
        sd = np.sqrt(np.diag(factors.covariance))
        for each in stressed_offsets(portfolio, market, coins, sd, factors.covariance / np.outer(sd, sd), count=1_024):
            assert -1e-9 <= each.share <= 1.0
            assert each.capped(0.0) == pytest.approx(each.total)
            assert each.together <= each.capped(0.8) <= each.total + 1e-9


def test_what_makes_no_offset_is_refused() -> None:
    with pytest.raises(InputError, match="at least one underlying"):
        offset({}, 0.99, None)
    with pytest.raises(InputError, match="inside \\[0, 1\\]"):
        Offset(law="", alone=(), together=0.0).capped(1.5)
