"""Walk-forward margins: the past alone, whole dates, and what brakes and judgements do."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run
from tests.cli.conftest import run as run

from crossmargin.errors import InputError
from crossmargin.files.daily_bars import read_daily_bars
from crossmargin.margin.brakes import Brakes, Levels, braked, tool_costs
from crossmargin.risk.measures import expected_shortfall, value_at_risk
from crossmargin.scenarios.range_forecast import RangeForecastSettings, range_variance_paths
from crossmargin.units import Currency, FloatArray
from crossmargin.validation.anchored import SHARES, anchored, anchored_as_chosen, candidates, chosen_candidates
from crossmargin.validation.books import LinearBooks, named_books, standard_books
from crossmargin.validation.buffers import book_buffers
from crossmargin.validation.disclosure import crisis_windows, z3_test
from crossmargin.validation.judgement import compared, judged, largest_rise, scaled_to_coverage
from crossmargin.validation.stressed import stressed_margins
from crossmargin.validation.study import filtered_anchored, filtered_braked, historical_floored
from crossmargin.validation.walk_forward import (
    TailSettings,
    filtered_forecasts,
    filtered_margins,
    historical_margins,
    tail_means,
)

COINS = tuple(Currency(name) for name in ("BTC", "ETH", "SOL", "NEW"))
SMALL = TailSettings(count=120, least=60)


def market(n_days: int = 260, seed: int = 3) -> tuple[FloatArray, FloatArray]:
    """Returns with clustered volatility, one coin listed late, and the variance of each day."""
    rng = np.random.default_rng(seed)
    vol = 0.03 * np.exp(np.cumsum(0.05 * rng.normal(size=n_days)))
    common = rng.standard_t(4, n_days)
    returns = vol * (0.7 * common + 0.5 * rng.standard_t(4, (4, n_days)))
    returns[:, 0], returns[3, :100] = np.nan, np.nan
    return returns, np.where(np.isfinite(returns), vol**2 * np.exp(0.3 * rng.normal(size=(4, n_days))), np.nan)


def books() -> LinearBooks:
    return named_books(
        {"long": {"BTC": 1.0}, "pair": {"BTC": 1.0, "ETH": -1.0}, "late": {"NEW": -1.0, "SOL": 0.5}}, COINS
    )


def seen(returns: FloatArray, day: int, horizon: int) -> tuple[float, float]:
    """The largest fall and rise of any coin over before `day`."""
    over = sum(returns[:, first : day - horizon + 1 + first] for first in range(horizon))
    return float(np.nanmin(over)), float(np.nanmax(over))


def naive(
    held: LinearBooks,
    returns: FloatArray,
    paths: FloatArray,
    settings: TailSettings,
    measure: Callable[[int, FloatArray], float] | None = None,
) -> FloatArray:
    """Walk book by book and day by day; `measure` is asked of a book's number and profits, the shortfall without it."""
    out = np.full((len(held.names), returns.shape[1] + 1), np.nan)
    for b, weights in enumerate(held.weights):
        coins = np.flatnonzero(weights)
        for day in range(settings.least, returns.shape[1] + 1):
            if not np.isfinite(paths[coins, day]).all():
                continue
            pnl, limits = [], seen(returns, day, settings.horizon)
            for past in range(day - settings.horizon, -1, -1):
                moved = returns[coins, past : past + settings.horizon].sum(axis=1)
                shape = moved / np.sqrt(settings.horizon * paths[coins, past])
                if np.isfinite(shape).all() and len(pnl) < settings.count:
                    scaled = shape * np.sqrt(settings.horizon * paths[coins, day])
                    pnl.append(float(weights[coins] @ np.expm1(np.clip(scaled, *limits))))
            if len(pnl) >= settings.least:
                told = np.array(pnl)
                out[b, day] = expected_shortfall(told, settings.confidence) if measure is None else measure(b, told)
    return out


@pytest.mark.parametrize("horizon", [1, 2])
def test_margins_equal_a_naive_walk(horizon: int) -> None:
    returns, variances = market()
    paths = range_variance_paths(returns, variances, RangeForecastSettings(first_fit=90))
    settings = TailSettings(count=120, least=60, horizon=horizon)
    found = filtered_margins(books(), returns, paths, settings)
    assert np.isfinite(found).sum() > 300
    np.testing.assert_allclose(found, naive(books(), returns, paths, settings), rtol=1e-9)
    plain = historical_margins(books(), returns, settings)
    np.testing.assert_allclose(plain, naive(books(), returns, np.full(paths.shape, 1.0 / horizon), settings), rtol=1e-9)


def test_a_day_without_a_forecast_or_a_profit_has_no_margin_or_rank() -> None:
    returns, variances = market()
    paths = range_variance_paths(returns, variances, RangeForecastSettings(first_fit=90))
    paths[2, 200] = returns[2, 200] = np.nan
    found = filtered_forecasts(books(), returns, paths, SMALL)
    holds_it = books().weights[:, 2] != 0.0
    assert holds_it.tolist() == [False, False, True]
    for each in (found.shortfall, found.quantile, found.rank):
        assert np.isnan(each[:, 200]).tolist() == holds_it.tolist()
    assert np.isnan(found.rank[:, -1]).all()  # of tomorrow nobody knows the profit
    np.testing.assert_allclose(found.shortfall, naive(books(), returns, paths, SMALL), rtol=1e-9)


@pytest.mark.parametrize("horizon", [1, 2])
def test_quantile_and_rank_are_those_of_the_scenarios_behind_the_margin(horizon: int) -> None:
    returns, variances = market()
    paths = range_variance_paths(returns, variances, RangeForecastSettings(first_fit=90))
    settings = TailSettings(count=120, least=120, horizon=horizon)
    found = filtered_forecasts(books(), returns, paths, settings)
    np.testing.assert_array_equal(found.shortfall, filtered_margins(books(), returns, paths, settings))
    moved = np.array([returns[0, day : day + horizon].sum() for day in range(returns.shape[1] - horizon + 1)])
    shapes = moved / np.sqrt(horizon * paths[0, : moved.size])
    for day in range(230, moved.size):
        known = np.flatnonzero(np.isfinite(shapes[: day - horizon + 1]))[-120:]
        scaled = shapes[known] * np.sqrt(horizon * paths[0, day])
        pnl = np.expm1(np.clip(scaled, *seen(returns, day, horizon)))
        assert found.quantile[0, day] == pytest.approx(float(value_at_risk(pnl, settings.confidence)), rel=1e-9)
        assert found.rank[0, day] == pytest.approx((np.sum(pnl <= np.expm1(moved[day])) + 0.5) / 121.0)


@pytest.mark.parametrize("horizon", [1, 2])
def test_means_of_tail_quantiles_are_those_of_the_scenarios(horizon: int) -> None:
    returns, variances = market()
    paths = range_variance_paths(returns, variances, RangeForecastSettings(first_fit=90))
    settings = TailSettings(count=120, least=60, horizon=horizon)
    levels = np.array([[[0.01, 0.02, 0.4], [0.5, np.nan, np.nan]], [[0.001, 0.999, np.nan], [0.1, 0.2, 0.3]],
                       [[0.05, np.nan, np.nan], [0.25, 0.75, np.nan]]])  # fmt: skip
    found = tail_means(books(), returns, paths, levels, settings)
    for kind in (0, 1):

        def mean(book: int, pnl: FloatArray, kind: int = kind) -> float:
            asked = levels[book, kind]
            return float(np.quantile(pnl, asked[np.isfinite(asked)]).mean())

        np.testing.assert_allclose(found[kind], naive(books(), returns, paths, settings, mean), rtol=1e-9, atol=1e-15)


def test_ranks_of_a_law_that_is_too_thin_are_found_and_of_the_right_one_are_not() -> None:
    """The days are drawn from each book's own forecast, as it is and half as wide."""
    rng = np.random.default_rng(17)
    days, count = 3_000, 1_000
    law = np.sort(rng.standard_t(5, (days, count)), axis=1)
    made = np.stack([rng.choice(day, 2, replace=True) for day in law], axis=1) * np.array([[1.0], [2.0]])
    ranks = (np.sum(law[None] <= made[..., None], axis=2) + 0.5) / (count + 1.0)

    def means_at(levels: FloatArray) -> FloatArray:
        return np.array([[[np.quantile(day, own[kind]).mean() for day in law] for own in levels] for kind in (0, 1)])

    right, thin = z3_test(ranks, means_at, 0.025)
    assert abs(right) < 0.1
    assert thin < -0.3
    ranks[1] = np.nan
    assert np.isnan(z3_test(ranks, lambda levels: means_at(np.nan_to_num(levels, nan=0.5)), 0.025)[1])


def test_a_past_jump_is_not_compounded_beyond_what_any_coin_has_done() -> None:
    returns, _ = market()
    returns[0, 100] = 1.0
    paths = np.full((4, returns.shape[1] + 1), 1e-4)
    paths[:, -1] = 1e-2  # ten times the volatility
    short = named_books({"short": {"BTC": -1.0}}, COINS)
    found = filtered_margins(short, returns, paths, TailSettings(count=250, least=60, confidence=0.999))
    assert found[0, -1] == pytest.approx(np.expm1(1.0))


def test_poisoning_the_future_changes_nothing() -> None:
    returns, variances = market()
    poisoned, spoiled = returns.copy(), variances.copy()
    poisoned[:, 200:], spoiled[:, 200:] = 5.0, 25.0

    def margins(r: FloatArray, v: FloatArray) -> FloatArray:
        forecast = range_variance_paths(r, v, RangeForecastSettings(first_fit=90))
        core = filtered_margins(books(), r, forecast, SMALL)[:, :-1]
        floor = historical_margins(books(), r, SMALL)[:, :-1]
        return braked(core, Brakes(), Levels(floor=floor, buffers=book_buffers(books(), r, forecast, 1))).requirement

    clean, dirty = margins(returns, variances), margins(poisoned, spoiled)
    # the margin of day 200 is known before it
    np.testing.assert_array_equal(clean[:, :201], dirty[:, :201])
    assert (clean[:, 201:] != dirty[:, 201:]).any()


def test_the_choice_of_an_anchor_knows_no_future() -> None:
    dice = np.random.default_rng(4)
    profits = dice.standard_t(4, (6, 900))
    margins = np.exp(0.5 * dice.normal(size=(6, 900)))  # follows nothing real: the most anchored is best
    chosen = chosen_candidates(candidates((margins,)), profits, horizon=2)
    assert chosen[0] == 0
    assert SHARES[chosen[-1]] == max(SHARES)
    spoiled = profits.copy()
    spoiled[:, 629:] = -50.0 * margins[:, 629:]
    again = chosen_candidates(candidates((margins,)), spoiled, horizon=2)
    # what begins on day 629 is over after day 630, on which a choice is made: it knows nothing of it
    np.testing.assert_array_equal(chosen[:720], again[:720])
    np.testing.assert_array_equal(
        anchored_as_chosen((margins, 2.0 * margins), profits, 2)[:, :720],
        anchored_as_chosen((margins, 2.0 * margins), spoiled, 2)[:, :720],
    )
    level = np.exp(np.log(margins[:, :100]).mean(axis=1))
    np.testing.assert_allclose(anchored(margins, 1.0, 1.0)[:, 99], level)
    only_above = anchored(margins, 0.0, 1.0)[:, 99]
    np.testing.assert_allclose(only_above, np.minimum(margins[:, 99], level))
    assert len(candidates((margins, 2.0 * margins))) == 3 * len(SHARES)


def test_a_cheap_candidate_whose_breaches_come_in_storms_is_not_chosen() -> None:
    dice = np.random.default_rng(6)
    # volatility that doubles for a hundred days in every five hundred: a constant margin fails in those
    vol = np.where(np.arange(1_200) % 500 >= 400, 2.0, 1.0)
    profits = vol * dice.normal(size=(8, 1_200))
    noisy = vol * np.exp(0.6 * dice.normal(size=(8, 1_200)))
    stands = np.ones(profits.shape)
    noisy *= np.quantile(-profits / noisy, 0.99, axis=1, keepdims=True)
    stands *= np.quantile(-profits, 0.99, axis=1, keepdims=True)
    assert stands.mean() < noisy.mean()  # both cover 99 % of each book's days: this one for less
    stands *= 0.7  # as it is asked it fails in every storm; what it would cost, once scaled, is the same
    offered = (noisy, stands)
    timed = [judged("", tuple("abcdefgh"), each, profits).share_not_rejected("conditional") for each in offered]
    # the better timed is chosen, not the cheaper
    assert timed[1] < 0.2 < 0.7 < timed[0]
    assert chosen_candidates(offered, profits)[-1] == 0


def test_a_speed_limit_holds_and_says_what_it_left_uncovered() -> None:
    core = np.array([[1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]])
    off = braked(core, Brakes(floor_share=0.0, buffer_share=0.0, speed_limit=np.inf), Levels(floor=core))
    on = braked(core, Brakes(floor_share=0.0, buffer_share=0.0), Levels(floor=core))
    assert largest_rise(off.requirement[0]) == 3.0
    assert largest_rise(on.requirement[0]) == pytest.approx(0.5)
    assert not off.uncovered.any()
    np.testing.assert_allclose(on.requirement + on.uncovered, off.requirement)


def test_floor_and_buffer() -> None:
    core = np.concatenate([np.full(400, 1.0), np.full(10, 3.0)])[None, :]
    unlimited, levels = Brakes(speed_limit=np.inf), Levels(floor=np.full(core.shape, 1.4))
    found = braked(core, unlimited, levels).requirement[0]
    assert found[0] == pytest.approx(1.4)  # the floor is more than 1.25
    assert found[-1] == pytest.approx(3.0)  # the buffer is used up at three times the average
    costs = tool_costs(core, unlimited, levels)
    # 400 days at 1 and ten at 3: the floor adds 0.4 to the first, nothing to the others
    assert costs["floor"] == pytest.approx(0.4 * 400 / 430)
    assert costs["speed limit"] == 0.0
    assert max(costs["floor"], costs["buffer"]) <= costs["together"] <= costs["floor"] + costs["buffer"]
    calm = braked(core, Brakes(floor_share=0.0, speed_limit=np.inf), levels).requirement[0]
    assert calm[300] == pytest.approx(1.25)
    with pytest.raises(InputError, match="shape"):
        braked(core, Brakes(), Levels(floor=core[:, 1:]))
    with pytest.raises(InputError, match="shape"):
        Levels(floor=core, buffers=core[:, 1:])


def test_a_calibrated_buffer_takes_up_the_rise_that_it_is_made_for() -> None:
    core = np.concatenate([np.full(400, 1.0), np.full(5, 1.5)])[None, :]
    free = Brakes(floor_share=0.0, speed_limit=np.inf)
    calibrated = Levels(floor=core, buffers=np.full(core.shape, 0.5))
    off, plain, on = (
        braked(core, tools, levels).requirement[0]
        for tools, levels in (
            (replace(free, buffer_share=0.0), calibrated),
            (free, Levels(floor=core)),
            (free, calibrated),
        )
    )
    assert largest_rise(off) == pytest.approx(0.5)
    assert largest_rise(plain) == pytest.approx(0.2)  # from 1.25 to 1.5
    assert largest_rise(on) < 0.01  # from 1.5 to 1.5 times an average that has moved a little
    costs = tool_costs(core, free, calibrated)
    assert costs["buffer"] > costs["buffer of 25%"] > 0.2


def test_a_stress_weight_counts_what_march_2020_did_once_it_is_over() -> None:
    days = np.array([np.datetime64(day, "ns").astype(np.int64) for day in ("2020-03-14", "2020-03-16", "2020-03-17")])
    found = stressed_margins(named_books({"long": {"BTC": 1.0}, "short": {"BTC": -1.0}}, COINS), days)
    assert np.isnan(found[:, :1]).all()
    np.testing.assert_array_equal(found[:, 1], found[:, 2])
    assert found[0, 1] > 0.39  # BTC's close of 12 March was 39 % below that of the 11th on every venue
    core = np.full((2, 3), 0.1)
    free = Brakes(floor_share=0.0, buffer_share=0.0, speed_limit=np.inf, stress_weight=0.25)
    asked = braked(core, free, Levels(floor=core, stressed=found)).requirement
    np.testing.assert_allclose(asked[:, 0], 0.1)
    np.testing.assert_allclose(asked[:, 1], 0.075 + 0.25 * found[:, 1])


def test_a_correct_model_is_judged_correct_and_half_of_it_is_not() -> None:
    rng = np.random.default_rng(1)
    vol = 0.02 * np.exp(0.5 * np.sin(np.arange(2_000) / 50.0))
    profits = vol * rng.normal(size=(20, 2_000))
    margins = np.broadcast_to(2.3263 * vol, profits.shape)
    names = tuple(f"book {n}" for n in range(20))
    right, wrong = judged("right", names, margins, profits), judged("wrong", names, 0.7 * margins, profits)
    assert right.coverage == pytest.approx(0.99, abs=0.002)
    assert right.share_not_rejected("conditional") >= 0.8
    assert right.green > 0.8
    assert wrong.share_not_rejected("too_many") == 0.0
    assert wrong.green < 0.2
    better = compared(margins, np.full(profits.shape, 0.06), profits)
    assert better is not None
    assert better.score_change < 0.0
    assert better.diebold_mariano.p_value < 0.05
    scaled = scaled_to_coverage(0.5 * margins, profits, 0.99)
    assert np.nanmedian(scaled / margins) == pytest.approx(1.0, abs=0.1)
    assert compared(margins[:, :300], margins[:, :300], profits[:, :300]) is None


def test_books_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="strange holds DOGE"):
        named_books({"strange": {"DOGE": 1.0}}, COINS)
    with pytest.raises(InputError, match="hold something"):
        named_books({"empty": {}}, COINS)


def test_the_core_measure_on_the_real_history(shared: Path, record_property: Callable[[str, object], None]) -> None:
    bars = read_daily_bars(shared / "data")
    returns = bars.returns
    coins = tuple(coin for coin, row in zip(bars.currencies, returns, strict=True) if np.isfinite(row).mean() >= 0.85)
    held = standard_books(bars.currencies, coins)
    core = filtered_margins(held, returns, range_variance_paths(returns, bars.variances))[:, :-1]
    profits = held.profits(returns)
    found = judged("filtered", held.names, core, profits)
    record_property("outside_cases", len(found.books))
    assert len(found.books) >= 50
    assert 0.99 <= found.coverage <= 0.994
    assert found.share_not_rejected("conditional") >= 0.85
    assert found.share_not_rejected("independence") >= 0.9
    against = compared(core, historical_floored(held, bars).margins, profits)
    assert against is not None
    assert against.mean_change <= -0.05
    assert against.score_change <= -0.08
    assert against.diebold_mariano.p_value < 0.05
    # drawn to its own level by the past's choice, it keeps all that and costs less at exactly equal coverage
    drawn = filtered_anchored(held, bars).margins
    found = judged("filtered_anchored", held.names, drawn, profits)
    assert 0.99 <= found.coverage <= 0.994
    assert found.share_not_rejected("conditional") >= 0.85
    assert found.share_not_rejected("independence") >= 0.9
    cheaper = compared(drawn, historical_floored(held, bars).margins, profits)
    assert cheaper is not None
    assert cheaper.hindsight_change <= -0.05
    assert cheaper.score_change <= -0.08
    # with its tools
    tools = filtered_braked(held, bars)
    asked = judged("braked", held.names, tools.margins, profits)
    assert asked.coverage >= 0.993
    assert asked.least_coverage >= 0.987
    assert asked.share_not_rejected("too_many") >= 0.95
    assert asked.green >= 0.95
    assert max(book.largest_rise for book in asked.books) <= 0.5 + 1e-9
    crises = crisis_windows(tools.margins, profits, bars.days_ns, tools.uncovered)
    assert [each.crisis for each in crises] == ["may-2021", "november-2022", "august-2024", "october-2025"]
    assert min(each.coverage for each in crises) >= 0.98
    assert max(each.median_rise for each in crises) <= 0.6


def test_backtest_as_typed(run: Run, shared: Path, tmp_path: Path) -> None:
    page, kept = tmp_path / "page.html", tmp_path / "kept.npz"
    arguments = ["backtest", "--data", shared / "data", "--method", "historical", "--method", "scenario_grid"]
    arguments += ["--from", "2025-10-01", "--to", "2025-10-31", "--random", 0, "--checkpoint", kept]
    code, out, _ = run(*arguments, "--report", page, "--json")
    assert code == 0
    records = json.loads(out)
    assert [record["margin"] for record in records] == ["historical", "scenario_grid"]
    assert all(0.9 < record["coverage"] <= 1.0 for record in records)
    assert "Does the margin cover?" in page.read_text(encoding="utf-8")
    before = kept.stat().st_mtime_ns
    assert run(*arguments, "--json")[1] == out  # resumed from what was kept: nothing is margined again
    assert kept.stat().st_mtime_ns == before
    code, _, err = run("backtest", "--data", tmp_path)
    assert (code, "perp_1d.parquet" in err) == (2, True)
    code, _, err = run("backtest", "--data", shared / "data", "--method", "nonsense")
    assert (code, "must be one of filtered" in err) == (2, True)


def test_several_processes_find_the_same(run: Run, shared: Path, tmp_path: Path) -> None:
    arguments = ["backtest", "--data", shared / "data", "--method", "historical", "--method", "deribit_portfolio"]
    arguments += ["--books", "long", "--from", "2025-01-01", "--to", "2025-03-15", "--json"]
    alone, two = run(*arguments), run(*arguments, "--workers", 2, "--checkpoint", tmp_path / "kept.npz")
    assert alone[0] == 0
    assert alone[1] == two[1]
    records = json.loads(alone[1])
    assert [book["book"] for book in records[1]["books"]] == ["long BTC", "long ETH"]  # what Deribit margins
    code, _, err = run("backtest", "--data", shared / "data", "--books", "nonsense")
    assert (code, "must be of long" in err) == (2, True)


def test_periods_of_several_days_do_not_overlap() -> None:
    profits = np.tile([-3.0, -3.0, 1.0, 1.0], 50)[None, :]
    margins = np.full(profits.shape, 2.0)
    every, second = (judged("m", ("b",), margins, profits, horizon=days).books[0] for days in (1, 2))
    assert (every.days, every.breaches, second.days, second.breaches) == (200, 100, 100, 50)
    assert judged("m", ("b",), margins[:, 1:], profits[:, 1:], horizon=4).books[0].breaches == 50
