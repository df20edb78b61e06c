"""Tail indices of simulated GARCH, the buffers made of them, and those of assets and books."""

import numpy as np
import pytest

from crossmargin.errors import InputError
from crossmargin.scenarios.tail_index import TailIndex, buffer_of, empirical_rise, shrunk, tail_index
from crossmargin.scenarios.volatility import garch_tail_index
from crossmargin.units import Currency, FloatArray
from crossmargin.validation.books import named_books
from crossmargin.validation.buffers import AssetBuffer, asset_buffers, book_buffers


def simulated(alpha: float, beta: float, n_days: int, seed: int, degrees: float = 0.0) -> FloatArray:
    """Returns of a GARCH(1,1) of 4 % a day in the long run; Student's t where `degrees` are given."""
    dice = np.random.default_rng(seed)
    drawn = dice.standard_t(degrees, n_days) * np.sqrt(1.0 - 2.0 / degrees) if degrees else dice.normal(size=n_days)
    found, variance, long_run = np.empty(n_days), 0.0016, 0.0016
    for day, z in enumerate(drawn):
        found[day] = np.sqrt(variance) * z
        variance = long_run * (1.0 - alpha - beta) + alpha * found[day] ** 2 + beta * variance
    return found


@pytest.mark.parametrize(("alpha", "beta"), [(0.10, 0.85), (0.15, 0.80), (0.07, 0.92)])
def test_the_interval_holds_the_index_that_made_the_returns(alpha: float, beta: float) -> None:
    k = garch_tail_index(alpha, beta)
    found = [tail_index(simulated(alpha, beta, 2_000, seed)) for seed in range(20)]
    inside = [low <= k <= high for low, high in (each.interval for each in found)]
    assert sum(inside) >= 16
    assert np.median([each.index for each in found]) == pytest.approx(k, rel=0.25)


def test_few_or_fat_returns_leave_the_index_open() -> None:
    long, short = (tail_index(simulated(0.1, 0.85, days, 3)) for days in (3_000, 300))
    assert long.stable
    assert not short.stable
    assert (
        tail_index(simulated(0.1, 0.85, 1_500, 4, degrees=3.0)).log_spread
        > tail_index(simulated(0.1, 0.85, 1_500, 4)).log_spread
    )
    for returns in (np.full(300, 0.01), np.full(300, np.nan)):
        with pytest.raises(InputError, match="a tail index needs"):
            tail_index(returns)


def test_shrinking_gives_all_the_mean_where_assets_agree_and_each_its_own_where_they_do_not() -> None:
    agree = [TailIndex(log_mean=mean, log_spread=0.5) for mean in (1.9, 2.0, 2.1)]
    assert [each.log_mean for each in shrunk(agree)] == pytest.approx([2.0] * 3)
    assert [each.log_spread for each in shrunk(agree)] == pytest.approx([0.5] * 3)  # they err together
    differ = [TailIndex(log_mean=mean, log_spread=0.01) for mean in (1.0, 2.0, 3.0)]
    assert [each.log_mean for each in shrunk(differ)] == pytest.approx([1.0, 2.0, 3.0], abs=1e-3)
    assert shrunk([]) == ()
    assert shrunk(agree[:1]) == tuple(agree[:1])


def test_a_buffer_is_used_up_on_its_share_of_days() -> None:
    for index in (3.0, 6.0, 15.0):
        # inverse gamma variance: of tail index k, s2 ~ k / chi2(k)
        vols = np.sqrt(index / np.random.default_rng(7).chisquare(index, 400_000))
        beyond = float(np.mean(vols > vols.mean() * (1.0 + buffer_of(index, 0.05))))
        assert beyond == pytest.approx(0.05, abs=0.002)
    # Nelson's limit of short steps has 2 + 2 (1 - alpha - beta) / alpha^2 degrees, which Kesten's equation must reach
    for alpha, persistence in ((1e-3, 1.0 - 5e-6), (1e-3, 1.0 - 2e-6)):
        limit = 2.0 + 2.0 * (1.0 - persistence) / alpha**2
        assert garch_tail_index(alpha, persistence - alpha) == pytest.approx(limit, rel=0.01)
    with pytest.raises(InputError, match="above 2"):
        buffer_of(2.0)


def test_an_unsure_index_does_not_hide_what_has_happened() -> None:
    sure, unsure = TailIndex(log_mean=2.0, log_spread=0.1), TailIndex(log_mean=2.0, log_spread=1.0)
    asked = buffer_of(sure.index)
    assert AssetBuffer(own=sure, drawn=sure, rise=2.0).buffer == asked
    assert AssetBuffer(own=unsure, drawn=unsure, rise=2.0).buffer == 2.0
    assert AssetBuffer(own=unsure, drawn=unsure, rise=0.1).buffer == asked
    assert AssetBuffer(own=unsure, drawn=unsure, rise=np.nan).buffer == asked
    assert np.isnan(empirical_rise(np.ones(3)))


def test_a_book_has_the_buffers_of_what_it_holds_from_the_past_alone() -> None:
    returns = np.array(
        [simulated(0.1, 0.85, 400, 1), simulated(0.3, 0.6, 400, 2), np.full(400, 0.0)]
    )  # NEW never moves
    paths = np.concatenate([np.full((3, 1), 0.0016), 0.06 * returns**2 + 0.0015], axis=1)
    coins = (Currency("BTC"), Currency("ALT"), Currency("NEW"))
    held = named_books(
        {
            "long": {"BTC": 1.0},
            "pair": {"BTC": 3.0, "ALT": -1.0},
            "new": {"NEW": 1.0},
            "half": {"NEW": 1.0, "ALT": 1.0},
        },
        coins,
    )
    found = book_buffers(held, returns, paths, every=50)
    each = asset_buffers(returns[:, :350], paths)
    assert set(each) == {0, 1}
    assert found[0, 399] == pytest.approx(each[0].buffer)
    assert found[1, 399] == pytest.approx(0.75 * each[0].buffer + 0.25 * each[1].buffer)
    assert found[3, 399] == pytest.approx(each[1].buffer)
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, :200]).all()
    spoiled, ruined = returns.copy(), paths.copy()
    spoiled[:, 300:], ruined[:, 301:] = 3.0, 9.0
    again = book_buffers(held, spoiled, ruined, every=50)
    np.testing.assert_array_equal(found[:, :350], again[:, :350])
    assert (found[0, 350:] != again[0, 350:]).all()
