"""Walk-forward tests of a hundred books over five years, on drawn histories: linear ones, and with options among them."""

import time
from collections.abc import Callable

import numpy as np

from crossmargin.bench.workload import Workload
from crossmargin.bench.workloads import SEED
from crossmargin.pricing.black76 import black76
from crossmargin.scenarios.range_forecast import range_variance_paths
from crossmargin.units import NANOSECONDS_PER_DAY, Currency, FloatArray
from crossmargin.validation.books import LinearBooks
from crossmargin.validation.option_books import ChainDay, OptionBook, option_books
from crossmargin.validation.option_walk import DailyMoves, option_walk
from crossmargin.validation.walk_forward import filtered_margins

DAYS, WARM_UP = 5 * 365, 120
COINS = 20
OPTION_BOOKS = 20
LINEAR_SECONDS, OPTION_SECONDS = 15.0, 60.0
_FIRST = 20_000
"""Days since 1970 of the first drawn day: some time in 2024."""


def backtest_linear() -> Workload:
    """Walk 100 linear books through five years: 1,000 scenarios, refiltered daily, refitted monthly."""
    return _measured("backtest_linear", "100 linear books", LINEAR_SECONDS, options=0)


def backtest_options() -> Workload:
    """Walk 80 linear books and 20 of options through five years."""
    return _measured("backtest_options", "80 linear books, 20 of options", OPTION_SECONDS, options=OPTION_BOOKS)


def _measured(name: str, books: str, bound: float, *, options: int) -> Workload:
    short = _run(400, options)
    short()  # compiles
    full = _run(DAYS, options)
    start = time.perf_counter()
    full()
    return Workload(
        name=name,
        title=f"{books} over {DAYS:,} days, 1,000 scenarios, one core",
        unit="s",
        ours=time.perf_counter() - start,
        peers={},
        floor={"ours": bound},
        higher_is_better=False,
    )


def _run(n_days: int, options: int) -> Callable[[], None]:
    dice = np.random.default_rng(SEED)
    vol = 0.035 * np.exp(0.4 * np.sin(np.arange(n_days) / 60.0))
    returns = vol * (0.75 * dice.standard_t(4, n_days) + 0.5 * dice.standard_t(4, (COINS, n_days)))
    variances = vol**2 * dice.gamma(4.0, 0.25, (COINS, n_days))
    weights = dice.normal(size=(100 - options, COINS)) * (dice.random((100 - options, COINS)) < 0.25)
    weights[:, 0] += 1.0
    coins = tuple(Currency(f"C{number}") for number in range(COINS))
    books = LinearBooks(
        names=tuple(f"book {number}" for number in range(len(weights))), currencies=coins, weights=weights
    )
    # 300 days of moves lie before the first chain
    past = returns[0, :300]
    moves = DailyMoves(
        times_ns=(np.arange(_FIRST - 299, _FIRST + 1)) * NANOSECONDS_PER_DAY,
        returns=past,
        vols=-1.5 * past + 0.05 * dice.normal(size=300),
        funding=0.1 * dice.normal(size=300),
    )
    chains = _chains(returns[0], vol * np.sqrt(365.0)) if options else []

    def run() -> None:
        filtered_margins(books, returns, range_variance_paths(returns, variances))
        if options:
            option_walk(chains, moves, _option_books)

    return run


def _option_books(day: ChainDay) -> tuple[OptionBook, ...]:
    # eight of options, two of futures: twelve drawn ones make twenty that hold options
    return option_books(day, random=OPTION_BOOKS - 8)


def _chains(returns: FloatArray, vols: FloatArray) -> list[ChainDay]:
    """A snapshot a day: monthly expiries up to four months off, strikes 2.5 % apart, one vol for all."""
    spots = 100.0 * np.exp(np.cumsum(returns - returns.mean()))
    return [_chain(_FIRST + 1 + day, float(spot), float(vols[day])) for day, spot in enumerate(spots)]


def _chain(day: int, spot: float, vol: float) -> ChainDay:
    months = list(range(day - day % 30 + 30, day + 130, 30))
    middle = round(np.log(spot) / 0.025)
    grid = np.meshgrid(months, 0.025 * np.arange(middle - 24, middle + 25), [True, False], indexing="ij")
    expiries, steps, calls = (each.ravel() for each in grid)
    strikes, years = np.exp(steps), (expiries - day) / 365.0
    marks = black76(spot, strikes, years, vol, calls)
    bump = 1e-4 * spot
    deltas = (black76(spot + bump, strikes, years, vol, calls) - black76(spot - bump, strikes, years, vol, calls)) / (
        2.0 * bump
    )
    return ChainDay(
        time_ns=day * NANOSECONDS_PER_DAY,
        spot=spot,
        names=tuple(f"{e:.0f}-{k:.3f}-{c:d}" for e, k, c in zip(expiries, steps, calls, strict=True)),
        expiries_ns=expiries.astype(np.int64) * NANOSECONDS_PER_DAY,
        strikes=strikes,
        calls=calls,
        forwards=np.full(strikes.size, spot),
        vols=np.full(strikes.size, vol),
        marks=marks,
        deltas=deltas,
    )
