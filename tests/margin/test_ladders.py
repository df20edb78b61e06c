"""Ladders against differences of the risk array's own full revaluation, and against the greeks by coin."""

import math

import numpy as np
import pytest

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.account_greeks import coin_greeks, held_quantities
from crossmargin.margin.exposure import underlyings
from crossmargin.margin.ladders import MOVES, expiry_ladder, price_ladder
from crossmargin.margin.requirements import held_instruments
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.scenarios.stress import Stress, stress_scenarios
from crossmargin.units import Currency

MARKET = sample_market()
BOOK = {portfolio.account: portfolio for portfolio in sample_book()}
NAMES = ("market-maker", "covered-call", "delta-hedged-seller", "calendar-spread", "basis-trader")


def valued(portfolio: Portfolio, coin: Currency, moves: list[float], vol: float = 0.0) -> RiskArray:
    stresses = [Stress(name=f"{k}", prices={coin: move}, vols={coin: vol}) for k, move in enumerate(moves)]
    return risk_array(held_instruments([portfolio]), MARKET, stress_scenarios(stresses))


def profit(portfolio: Portfolio, risk: RiskArray) -> np.ndarray:
    return np.sum([q * risk.row(name) for name, q in held_quantities(portfolio).items()], axis=0)


@pytest.mark.parametrize("account", NAMES)
def test_delta_and_gamma_along_the_price_are_the_slopes_of_full_revaluation(account: str) -> None:
    portfolio = BOOK[account]
    for coin in underlyings(portfolio):
        risk = valued(portfolio, coin, [0.0])
        scale = sum(abs(q * float(risk.delta[risk.row_number(n)])) for n, q in held_quantities(portfolio).items())
        for rung in price_ladder(portfolio, risk, MARKET):
            if rung.coin != coin:
                continue
            step = 1e-4 * (1.0 + rung.move)
            lower, here, upper = profit(
                portfolio, valued(portfolio, coin, [rung.move - step, rung.move, rung.move + step])
            )
            slope = (upper - lower) / (2.0 * step) * (1.0 + rung.move)
            assert rung.delta_usd == pytest.approx(slope, abs=1e-4 * scale)
            convexity = (upper - 2.0 * here + lower) / step**2 * (1.0 + rung.move) ** 2 * 0.01
            assert rung.gamma_usd == pytest.approx(convexity, abs=1e-4 * scale)


@pytest.mark.parametrize("account", NAMES)
def test_expiries_sum_to_the_greeks_of_the_coin(account: str) -> None:
    portfolio = BOOK[account]
    risk = valued(portfolio, underlyings(portfolio)[0], [0.0])
    rungs = expiry_ladder(portfolio, risk, MARKET)
    for greeks in coin_greeks(portfolio, risk, MARKET):
        own = [rung for rung in rungs if rung.coin == greeks.coin]
        scale = max(1.0, math.fsum(abs(rung.delta_usd) for rung in own))
        assert math.fsum(rung.delta_usd for rung in own) == pytest.approx(greeks.delta_usd, abs=1e-6 * scale)
        assert math.fsum(rung.gamma_usd for rung in own) == pytest.approx(greeks.gamma_usd, abs=1e-9 * scale)
        assert math.fsum(rung.vega_usd for rung in own) == pytest.approx(greeks.vega_usd, abs=1e-9 * scale)


def test_a_calendar_spread_has_vega_of_both_signs() -> None:
    portfolio = BOOK["calendar-spread"]
    risk = valued(portfolio, Currency("BTC"), [0.0])
    vegas = [rung.vega_usd for rung in expiry_ladder(portfolio, risk, MARKET) if rung.vega_usd]
    assert min(vegas) < 0.0 < max(vegas)
    assert len({rung.move for rung in price_ladder(portfolio, risk, MARKET)}) == len(MOVES)
