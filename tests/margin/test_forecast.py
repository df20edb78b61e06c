"""Forecasts against the reflection principle, the method asked at every draw, and accounts that cannot be called."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.comparison import Refusal
from crossmargin.margin.exposure import underlyings
from crossmargin.margin.forecast import Forecast, forecasts, later, touch_probability
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import held_instruments, requirements
from crossmargin.scenarios.factor_paths import factor_paths
from crossmargin.units import Currency

GRID = method_named("scenario_grid")
BOOK = {portfolio.account: portfolio for portfolio in sample_book()}
HELD = {item.id for item in held_instruments(BOOK.values())}
MARKET = replace(sample_market(), marks={k: v for k, v in sample_market().marks.items() if k in HELD})


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("periods", [1, 5])
def test_a_brownian_path_touches_as_the_reflection_principle_says(distance: float, periods: int) -> None:
    steps = np.random.default_rng(8).normal(scale=math.sqrt(1.0 / periods), size=(periods, 200_000))
    found = touch_probability(distance, distance + steps.cumsum(axis=0))
    assert found == pytest.approx(2.0 * norm.cdf(-distance), rel=0.02)


def test_the_regression_is_what_the_method_would_have_said() -> None:
    names = ["pair-btc-eth", "levered-long", "strangle-seller", "diversified-alts"]
    held = [BOOK[name] for name in names]
    coins = sorted({coin for portfolio in held for coin in underlyings(portfolio)})
    assert MARKET.history is not None
    paths = factor_paths(MARKET.history, coins, (Currency("BTC"), Currency("ETH")), horizon=1, count=400, seed=1)
    parameters = read_parameters(GRID)
    found = list(forecasts(held, MARKET, GRID, parameters, paths))
    # draws at which the method was not asked
    probes = range(7, 400, 57)
    for row, each in enumerate(found):
        assert isinstance(each, Forecast)
        asked = [
            requirements([held[row]], later(MARKET, paths.factors, paths.moves[0][:, at]), GRID, parameters)[0]
            for at in probes
        ]
        exact = np.array([answer.initial for answer in asked])
        read = each.initial[list(probes)]
        assert np.sqrt(np.mean((read / exact - 1.0) ** 2)) < max(3.0 * each.error, 1e-3)
        assert each.error < 0.05
        excess = np.array([answer.excess for answer in asked])
        assert each.excess[0][list(probes)] == pytest.approx(excess, abs=0.1 * each.now.initial)


def test_a_levered_account_is_called_before_it_is_liquidated_and_cash_never() -> None:
    held = [BOOK[name] for name in ("near-liquidation", "levered-long", "coin-holder")]
    assert MARKET.history is not None
    paths = factor_paths(MARKET.history, (Currency("BTC"), Currency("ETH")), horizon=5, count=2_000, seed=3)
    near, levered, holder = forecasts(held, MARKET, GRID, read_parameters(GRID), paths)
    for each in (near, levered, holder):
        assert isinstance(each, Forecast)
        assert each.liquidation <= each.call + 1e-12
        assert each.liquidation_at_close <= each.liquidation + 1e-12
        assert each.excess.shape == (5, 2_000)
    assert isinstance(near, Forecast)
    assert isinstance(levered, Forecast)
    assert isinstance(holder, Forecast)
    assert near.liquidation > levered.liquidation > holder.liquidation == 0.0


def test_a_method_that_recalibrates_does_so_along_the_draw() -> None:
    tail = method_named("tail_risk")
    assert MARKET.history is not None
    paths = factor_paths(MARKET.history, MARKET.history.currencies, horizon=1, count=64, seed=0)
    crash = np.full(len(paths.factors.names), math.log(0.6))
    parameters = read_parameters(tail)
    held = BOOK["levered-long"]
    fallen = later(MARKET, paths.factors, crash)
    now, forgetful, after = (
        requirements([held], at, tail, parameters)[0].initial
        for at in (MARKET, replace(fallen, history=MARKET.history), fallen)
    )
    # at 60 % of the price the same tail needs 60 %, and somewhat more once a day of -40 % is in it
    assert forgetful == pytest.approx(0.6 * now, rel=0.01)
    assert after > 1.1 * forgetful


def test_refusals_stay_refusals_and_too_few_questions_are_refused() -> None:
    pmrm = method_named("derive_pmrm")
    assert MARKET.history is not None
    paths = factor_paths(MARKET.history, (Currency("BTC"), Currency("ETH")), horizon=1, count=64, seed=0)
    answers = list(forecasts([BOOK["levered-long"]], MARKET, pmrm, read_parameters(pmrm), paths, asked=32))
    assert isinstance(answers[0], Refusal)
    with pytest.raises(InputError, match="32 draws or more"):
        list(forecasts([BOOK["levered-long"]], MARKET, GRID, read_parameters(GRID), paths, asked=10))
