"""Haircuts against log-normal closed forms, a simulated sale, and real prices."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from crossmargin.errors import InputError
from crossmargin.files.history import read_history
from crossmargin.margin.add_ons import Liquidity
from crossmargin.margin.haircuts import HaircutRules, effective_days, haircut, haircut_schedule
from crossmargin.scenarios.historical import historical_scenarios
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import Currency, FloatArray

BTC, ALT = Currency("BTC"), Currency("ALT")
EXACT = HaircutRules(reaction_days=1.0, floor=0.0, step=1e-9)
DEEP = Liquidity(daily_volume=1e18, daily_vol=0.04, half_spread=0.0)


def moves(**logs: FloatArray) -> ScenarioSet:
    rows = np.array(list(logs.values()))
    return ScenarioSet(
        name="test",
        underlyings=tuple(Currency(name) for name in logs),
        price_factor=np.exp(rows),
        vol_shock=np.zeros(rows.shape),
        labels=tuple(map(str, range(rows.shape[1]))),
    )


def evenly(n: int) -> FloatArray:
    return np.asarray(norm.ppf((np.arange(n) + 0.5) / n))


def log_normal_shortfall(sd: float, tail: float) -> float:
    # E[1 - e^r | r in its worst `tail`], r normal: 1 - e^(s^2/2) N(z - s) / tail
    return 1.0 - math.exp(0.5 * sd**2) * float(norm.cdf(norm.ppf(tail) - sd)) / tail


@pytest.mark.parametrize("days", [0.5, 1.0, 5.0])
def test_a_log_normal_asset_has_the_closed_form_over_its_horizon(days: float) -> None:
    rules = HaircutRules(reaction_days=days, floor=0.0, step=1e-9)
    found = haircut(BTC, 1.0, moves(BTC=0.04 * evenly(200_000)), DEEP, rules)
    assert found.own == pytest.approx(log_normal_shortfall(0.04 * math.sqrt(days), 0.01), rel=2e-3)
    assert found.total == pytest.approx(found.own, abs=1e-6)


def test_an_even_sale_runs_a_third_of_its_time() -> None:
    # sell a tenth of 10 a day at 1/10 of a volume of 30 a day: 10 / 3 days of sale in small steps of a random walk
    steps, rng = 400, np.random.default_rng(5)
    step_days = 10.0 / 3.0 / steps
    paths = rng.normal(scale=math.sqrt(step_days), size=(20_000, steps)).cumsum(axis=1)
    simulated = float(paths.mean(axis=1).var())
    expected = effective_days(10.0, 30.0, HaircutRules(reaction_days=0.0))
    assert expected == pytest.approx(10.0 / 9.0)
    assert simulated == pytest.approx(expected, rel=0.03)


def test_wrong_way_collateral_pays_more_and_independent_none() -> None:
    n = 400_000
    z = evenly(n)
    shuffled = np.random.default_rng(1).permutation(z)
    scenarios = moves(BTC=0.04 * z, ALT=0.04 * shuffled)
    falling = 1e6 * np.expm1(0.04 * z)
    with_it = haircut(BTC, 1.0, scenarios, DEEP, EXACT, falling)
    beside = haircut(ALT, 1.0, scenarios, DEEP, EXACT, falling)
    against = haircut(BTC, 1.0, scenarios, DEEP, EXACT, -falling)
    assert beside.wrong_way == against.wrong_way == 0.0
    # in the worst 1 % of the book the asset's worst quarter is its own worst 0.25 %
    assert with_it.own + with_it.wrong_way == pytest.approx(log_normal_shortfall(0.04, 0.0025), rel=2e-3)


def test_selling_costs_spread_and_impact_and_more_time() -> None:
    thin = Liquidity(daily_volume=1e6, daily_vol=0.05, half_spread=0.002)
    scenarios = moves(ALT=0.05 * evenly(20_000))
    small, large = (haircut(ALT, size, scenarios, thin, EXACT) for size in (1e3, 1e6))
    assert large.depth == pytest.approx(0.002 + 0.05)
    assert small.depth == pytest.approx(0.002 + 0.05 * math.sqrt(1e-3))
    assert (small.days, large.days) == (pytest.approx(1.0 + 0.01 / 3.0), pytest.approx(1.0 + 10.0 / 3.0))
    assert large.own > small.own


def test_tiers_add_up_to_the_haircut_on_the_whole() -> None:
    thin = Liquidity(daily_volume=1e7, daily_vol=0.05, half_spread=0.002)
    scenarios = moves(ALT=0.05 * evenly(20_000))
    schedule = haircut_schedule({ALT: (1e5, 1e6, 1e7)}, scenarios, {"ALT": thin}, EXACT)
    for size in (1e5, 1e6, 1e7):
        whole = haircut(ALT, size, scenarios, thin, EXACT)
        assert schedule.credit(ALT, size) == pytest.approx(size * (1.0 - whole.total), rel=1e-6)
    assert schedule.credit(ALT, 2e7) == schedule.credit(ALT, 1e7)
    haircuts = [tier.haircut for tier in schedule.tiers["ALT"]]
    assert haircuts == sorted(haircuts)


def test_real_coins_rank_as_their_risk_does(shared: Path, record_property: Callable[[str, object], None]) -> None:
    history = read_history(shared / "data" / "perp_1d.parquet")
    coins = tuple(Currency(c) for c in ("BTC", "ETH", "DOGE"))
    scenarios = historical_scenarios(history, coins, count=1_000)
    found = [haircut(coin, 1e6, scenarios, DEEP, HaircutRules(reaction_days=1.0)) for coin in coins]
    assert [each.total for each in found] == sorted(each.total for each in found)
    # a shortfall at 99 % is at most the worst day of the thousand and at least their 1 % quantile
    for coin, each in zip(coins, found, strict=True):
        losses = 1.0 - scenarios.price_factors(coin)
        assert np.quantile(losses, 0.99) <= each.own <= losses.max()
    record_property("outside_cases", len(coins))


def test_what_cannot_be_haircut_is_refused() -> None:
    with pytest.raises(InputError, match="ALT stands still"):
        haircut(ALT, 1.0, moves(BTC=np.array([0.1, -0.1])), DEEP, EXACT)
    with pytest.raises(InputError, match="conditional <= confidence"):
        HaircutRules(conditional=0.995)
    with pytest.raises(InputError, match="ALT has none"):
        haircut_schedule({ALT: (1.0,)}, moves(ALT=np.array([0.1, -0.1])), {}, EXACT)
