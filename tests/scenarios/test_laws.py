"""Laws of joint moves against closed forms and slow rewrites."""

import math

import numpy as np
import pytest
from scipy import stats

from crossmargin import InputError
from crossmargin.files.sample import sample_market
from crossmargin.market.history import PriceHistory
from crossmargin.scenarios.laws import LAWS, law_scenarios, sticky_vol_betas, with_vol_betas
from crossmargin.units import NANOSECONDS_PER_DAY, Currency

BTC, ETH = Currency("BTC"), Currency("ETH")


def history(vols: tuple[float, ...], correlation: float, days: int = 600) -> PriceHistory:
    rng = np.random.default_rng(3)
    common, own = rng.standard_normal(days), rng.standard_normal((2, days))
    shocks = math.sqrt(correlation) * common + math.sqrt(1.0 - correlation) * own
    prices = 100.0 * np.exp(np.cumsum(np.array(vols)[:, None] * shocks, axis=1))
    return PriceHistory(currencies=(BTC, ETH), times_ns=np.arange(days) * NANOSECONDS_PER_DAY, prices=prices)


def test_monte_carlo_has_the_quantiles_of_students_t_at_the_weighted_vol_of_the_horizon() -> None:
    past = history((0.02, 0.04), 0.64)
    found = np.log(law_scenarios("monte_carlo", past, (BTC, ETH), horizon=3, count=2**16, degrees=5.0).price_factor)
    returns = np.diff(np.log(past.prices), axis=1)
    weights = 0.97 ** np.arange(returns.shape[1])[::-1]
    vols = np.sqrt(3.0 * (weights * returns**2).sum(axis=1) / weights.sum())
    for level in (0.01, 0.05, 0.5, 0.99):
        expected = vols * stats.t.ppf(level, 5.0) * math.sqrt(3.0 / 5.0)
        assert np.quantile(found, level, axis=1) == pytest.approx(expected, rel=0.02, abs=2e-4)
    weighted = (weights * returns[0] * returns[1]).sum() / weights.sum() * 3.0 / vols.prod()
    assert np.corrcoef(found)[0, 1] == pytest.approx(weighted, abs=0.02)


def test_filtered_moves_are_whole_dates_at_todays_volatility() -> None:
    """One coin in step with another stays so, and a stormy end is what counts, not the calm years before it."""
    calm = history((0.02, 0.04), 0.999999)
    found = np.log(law_scenarios("filtered", calm, (BTC, ETH), count=4_096).price_factor)
    assert np.corrcoef(found)[0, 1] > 0.999
    returns = np.diff(np.log(calm.prices), axis=1)
    returns[:, -60:] *= 3.0
    prices = 100.0 * np.exp(np.concatenate([np.zeros((2, 1)), np.cumsum(returns, axis=1)], axis=1))
    stormy = PriceHistory(currencies=(BTC, ETH), times_ns=calm.times_ns, prices=prices)
    after = np.log(law_scenarios("filtered", stormy, (BTC, ETH), count=4_096).price_factor)
    assert after.std() > 2.0 * found.std()
    plain = np.log(law_scenarios("historical", stormy, (BTC, ETH)).price_factor)
    assert after.std() > 1.4 * plain.std()


def test_no_filtered_move_goes_beyond_what_some_coin_has_done() -> None:
    past = history((0.02, 0.04), 0.5)
    found = np.log(law_scenarios("filtered", past, (BTC, ETH), horizon=2, count=20_000).price_factor)
    moves = np.log(past.prices[:, 2:] / past.prices[:, :-2])
    assert (found.min(), found.max()) == pytest.approx((moves.min(), moves.max()))


@pytest.mark.parametrize("law", LAWS)
def test_a_law_is_the_same_for_the_same_seed_and_refuses_what_it_cannot_know(law: str) -> None:
    past = history((0.02, 0.04), 0.5)
    first, second = (law_scenarios(law, past, (BTC, ETH), count=256, seed=7) for _ in range(2))
    assert np.array_equal(first.price_factor, second.price_factor)
    short = PriceHistory(currencies=(BTC,), times_ns=past.times_ns[:2], prices=past.prices[:1, :2])
    with pytest.raises(InputError, match="dates must be complete"):
        law_scenarios(law, short, (BTC,))
    with pytest.raises(InputError, match="a law of moves must be one of"):
        law_scenarios("guess", past, (BTC,))


def test_a_sticky_strike_keeps_its_vol_and_a_sticky_delta_takes_it_from_the_smile() -> None:
    market = sample_market()
    fall = law_scenarios("historical", market.history_for("test"), (BTC,), horizon=1)
    still = with_vol_betas(fall, sticky_vol_betas(market, (BTC,), 1.0))
    assert not still.vol_shock.any()
    beta = sticky_vol_betas(market, (BTC,), 0.0)[BTC]
    expiry = market.time_ns + 30 * NANOSECONDS_PER_DAY
    forward, surface = market.forward(BTC, expiry), market.surfaces[BTC]
    # the smile has gone with a forward 1 % lower: the old strike now has the vol of one 1 % above the forward
    carried = surface.vol(expiry, forward / 0.99, forward) / surface.vol(expiry, forward, forward)
    assert math.exp(beta * math.log(0.99)) == pytest.approx(carried, abs=1e-3)
    assert carried != 1.0
