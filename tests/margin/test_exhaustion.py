"""Moves that exhaust accounts and funds, against closed forms for linear books and against the sample as it is."""

import math

import numpy as np
import pytest

from crossmargin.errors import InputError
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.exhaustion import account_exhausted, fund_exhausted, net_equity
from crossmargin.margin.exposure import underlyings
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.scenarios.factors import MarketFactors, market_factors
from crossmargin.units import USD, AccountId, Currency

BTC, ETH = Currency("BTC"), Currency("ETH")
MARKET = MarketSnapshot(time_ns=0, index={BTC: Price(100_000.0), ETH: Price(4_000.0), USD: Price(1.0)})
COVARIANCE = np.array([[0.04**2, 0.8 * 0.04 * 0.05], [0.8 * 0.04 * 0.05, 0.05**2]])
FACTORS = MarketFactors(coins=(BTC, ETH), vol_coins=(), covariance=COVARIANCE)


def book(account: str, cash: float, btc: float = 0.0, eth: float = 0.0) -> Portfolio:
    return Portfolio(
        account=AccountId(account),
        balances=(Balance(currency=USD, amount=cash),),
        positions=tuple(
            Position(instrument=parse_contract(name), quantity=quantity)
            for name, quantity in (("x:BTC/USD:USD", btc), ("x:ETH/USD:USD", eth))
            if quantity
        ),
    )


def test_one_position_is_exhausted_where_its_loss_is_its_equity() -> None:
    # 2 BTC at 100,000 lose 50,000 at -25 %: ln(0.75) / 0.04 deviations away, ETH at its conditional mean
    found = account_exhausted(book("long", 50_000.0, btc=2.0), MARKET, FACTORS).move
    assert found is not None
    assert found.moves[0] == pytest.approx(math.log(0.75), rel=1e-8)
    assert found.moves[1] == pytest.approx(0.8 * 0.05 / 0.04 * math.log(0.75), rel=1e-4)
    assert found.distance == pytest.approx(-math.log(0.75) / 0.04, rel=1e-8)


@pytest.mark.parametrize(("eth", "cash"), [(20.0, 60_000.0), (-25.0, 10_000.0)])
def test_two_legs_are_exhausted_at_the_point_of_tangency(eth: float, cash: float) -> None:
    # of all (x, y) that lose the cash, the least x'C^-1 x, by a fine search along the curve
    found = account_exhausted(book("both", cash, btc=2.0, eth=eth), MARKET, FACTORS).move
    assert found is not None
    x = np.linspace(-0.6, 0.6, 1_200_001)
    rest = 1.0 + (-cash - 200_000.0 * np.expm1(x)) / (4_000.0 * eth)
    points = np.stack([x[rest > 0.0], np.log(rest[rest > 0.0])])
    squared = np.einsum("is,ij,js->s", points, np.linalg.inv(COVARIANCE), points)
    assert found.distance == pytest.approx(math.sqrt(squared.min()), rel=1e-8)
    assert found.moves == pytest.approx(points[:, squared.argmin()], abs=1e-4)


def test_a_fund_pays_for_shortfalls_only() -> None:
    # each 2 BTC on 20,000: at -10 % both are at zero, and a fund of 40,000 is gone 20 % lower; the winner pays nothing
    books = [book("a", 20_000.0, btc=2.0), book("b", 20_000.0, btc=2.0), book("short", 1e8, btc=-100.0)]
    found = fund_exhausted(books, MARKET, FACTORS, resources=40_000.0)
    assert found.move is not None
    assert found.move.moves[0] == pytest.approx(math.log(1.0 - 0.1 - 0.1), rel=1e-6)
    assert found.shortfalls == (("a", pytest.approx(20_000.0, rel=1e-6)), ("b", pytest.approx(20_000.0, rel=1e-6)))


def test_every_sample_account_with_risk_breaks_where_its_equity_is_gone() -> None:
    market, broken = sample_market(), 0
    assert market.history is not None
    for portfolio in list(sample_book())[:12]:
        coins = underlyings(portfolio)
        if not coins:  # dollars alone
            continue
        factors = market_factors(market.history, coins, [coin for coin in (BTC, ETH) if coin in coins])
        found = account_exhausted(portfolio, market, factors)
        if found.move is not None:
            broken += 1
            assert found.move.loss == pytest.approx(net_equity(portfolio, market), rel=1e-6)
    assert broken >= 6


def test_what_is_gone_already_or_has_no_factor_is_refused() -> None:
    with pytest.raises(InputError, match="must have equity above 0 USD"):
        account_exhausted(book("poor", -1.0, btc=1.0), MARKET, FACTORS)
    only = MarketFactors(coins=(BTC,), vol_coins=(), covariance=np.eye(1))
    with pytest.raises(InputError, match="ETH has none"):
        account_exhausted(book("eth", 1.0, eth=1.0), MARKET, only)
    with pytest.raises(InputError, match=r"resources must exceed today's shortfalls of 5 USD"):
        fund_exhausted([book("poor", -5.0, btc=1.0)], MARKET, FACTORS, resources=5.0)
