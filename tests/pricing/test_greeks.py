import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crossmargin.pricing.black76 import black76, inverse_black76
from crossmargin.pricing.greeks import coin_greeks, net_delta, usd_greeks
from crossmargin.pricing.settlement import AVERAGING_YEARS, averaged_black76

F, K, T, VOL = 60_000.0, np.array([40_000.0, 58_000.0, 60_000.0, 70_000.0, 110_000.0]), 30 / 365, 0.6


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(("greeks", "price"), [(usd_greeks, black76), (coin_greeks, inverse_black76)])
def test_greeks_are_the_finite_differences_of_their_own_value(greeks, price, is_call: bool) -> None:
    found = greeks(F, K, T, VOL, is_call)
    h, v, y = 6.0, 1e-4, 1e-6
    up, here, down = (price(F + step, K, T, VOL, is_call) for step in (h, 0.0, -h))
    scale = np.abs(here).max()
    np.testing.assert_allclose(found.delta, (up - down) / (2 * h), atol=1e-8 * scale / F * 1e2)
    np.testing.assert_allclose(found.gamma, (up - 2 * here + down) / h**2, atol=1e-3 * scale / F**2)
    vega = (price(F, K, T, VOL + v, is_call) - price(F, K, T, VOL - v, is_call)) / (2 * v)
    np.testing.assert_allclose(found.vega, vega, atol=1e-6 * scale)
    theta = (price(F, K, T - y, VOL, is_call) - price(F, K, T + y, VOL, is_call)) / (2 * y) / 365
    np.testing.assert_allclose(found.theta, theta, atol=1e-6 * scale)


def test_the_coin_delta_is_net_of_premium_and_not_the_black76_delta() -> None:
    usd, coin = usd_greeks(F, K, T, VOL, True), coin_greeks(F, K, T, VOL, True)
    np.testing.assert_allclose(net_delta(F, K, T, VOL, True), usd.delta - coin.value, rtol=1e-12)
    assert (np.abs(coin.delta * F - usd.delta) > 1e-6).all()


def test_published_prices(shared: Path, record_property: Callable[[str, object], None]) -> None:
    cases = {case["id"]: case for case in json.loads((shared / "design" / "science_values.json").read_text())}
    haug = [case for name, case in cases.items() if name.startswith("haug_")]
    for case in haug:
        i = case["inputs"]
        forward = i["S"] * np.exp((i["r"] - i["q"]) * i["T"])
        price = np.exp(-i["r"] * i["T"]) * black76(forward, i["K"], i["T"], i["vol"], i["cp"] > 0)
        assert price == pytest.approx(case["expected"], **case["tolerance"])
    hull = cases["hull_black76_put"]
    i = hull["inputs"]
    price = np.exp(-i["r"] * i["T"]) * black76(i["F"], i["K"], i["T"], i["vol"], False)
    assert price == pytest.approx(hull["expected"], **hull["tolerance"])
    for name in ("inverse_call", "inverse_put"):
        i, expected = cases[name]["inputs"], cases[name]["expected"]
        found = coin_greeks(i["F"], i["K"], i["T"], i["vol"], i["cp"] > 0)
        assert found.value == pytest.approx(expected["coin"], rel=1e-10)
        assert found.value * i["F"] == pytest.approx(expected["usd"], rel=1e-10)
    record_property("outside_cases", len(haug) + 3)


def test_black76_agrees_with_quantlib_on_random_options() -> None:
    ql = pytest.importorskip("QuantLib")
    rng = np.random.default_rng(7)
    n = 100_000
    k, s, call = np.exp(rng.uniform(-2, 2, n)), rng.uniform(0.005, 3.0, n), rng.random(n) < 0.5
    ours = black76(1.0, k, 1.0, s, call)
    kinds = [ql.Option.Put, ql.Option.Call]
    theirs = [
        ql.blackFormula(kinds[c], a, 1.0, b) for c, a, b in zip(call.tolist(), k.tolist(), s.tolist(), strict=True)
    ]
    assert np.abs(ours - np.array(theirs)).max() <= 1e-12


def test_only_the_part_still_to_come_moves() -> None:
    half = AVERAGING_YEARS / 2
    moved = averaged_black76(110.0, 50.0, half, 0.5, True, 100.0) - averaged_black76(
        100.0, 50.0, half, 0.5, True, 100.0
    )
    assert moved == pytest.approx(5.0)
    assert averaged_black76(500.0, 90.0, 0.0, 0.5, True, 100.0) == 10.0  # all fixed: the forward no longer counts


def test_averaging_agrees_with_simulated_paths() -> None:
    rng = np.random.default_rng(3)
    steps, paths, vol, left = 60, 200_000, 20.0, 0.5
    t = left * AVERAGING_YEARS
    path = np.cumsum(rng.standard_normal((paths, steps), dtype=np.float32) * vol * np.sqrt(t / steps), axis=1)
    path = np.exp(path - 0.5 * vol**2 * t * np.arange(1, steps + 1) / steps)
    payoff = np.maximum(0.5 * 99.0 + 0.5 * 100.0 * path.mean(axis=1) - 100.0, 0.0)
    error = payoff.std() / np.sqrt(paths)
    found = averaged_black76(100.0, 100.0, t, vol, True, 99.0)
    assert abs(found - payoff.mean()) < 4 * error + 0.03 * payoff.mean()
