"""Show how a margin answers to each of its parameters."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from crossmargin.cli.app import console, followed, write_json
from crossmargin.cli.inputs import Given, Observed, portfolios
from crossmargin.errors import CrossMarginError, InputError
from crossmargin.files.daily_bars import read_daily_bars
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.brakes import Brakes
from crossmargin.margin.method import Method, Parameters
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.backtest import sensitivity_table
from crossmargin.scenarios.range_forecast import RangeForecastSettings
from crossmargin.units import FloatArray
from crossmargin.validation.books import LinearBooks, standard_books
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.rulebook_walk import rulebook_days
from crossmargin.validation.sensitivity import Sensitivity, moved_parameters, moved_settings
from crossmargin.validation.study import core_with_tools
from crossmargin.validation.walk_forward import TailSettings

DEFAULT = Observed()
OWN = "filtered_braked"


def sensitivity(
    book: Path | None = None,
    *,
    method: str = "scenario_grid",
    share: float = 0.1,
    data: Path | None = None,
    every: int = 30,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """Move every parameter of a method by a share, one at a time, and show what the requirement of BOOK does.

    Parameters
    ----------
    book
        Accounts; the embedded sample where not given. Those that the method does not margin are left out.
    method
        Margin method, or filtered_braked: the core measure with its tools, on the books of `backtest` and --data alone.
    share
        Of each parameter; a fraction that would pass one goes that share of the way.
    data
        Folder with daily history: the share of days covered is shown too, on long and short of each coin, pairs and baskets.
    every
        Days for which a margin is held before it is asked anew, in --data.
    json
        Print records instead of a table.
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"--share must be inside (0, 1], was {share}")
    if every < 1:
        raise InputError(f"--every must be at least 1, was {every}")
    if method == OWN:
        if data is None:
            raise InputError(f"{OWN} needs --data: it is walked through daily history")
        found = list(followed(_measure(read_daily_bars(data), share), "parameters", quiet=json))
    else:
        bars = None if data is None else read_daily_bars(data)
        chosen = method_named(method)
        parameters = read_parameters(chosen, given.as_of)
        steps = _rulebook(chosen, parameters, share, portfolios(book), given.snapshot(), bars, every)
        found = list(followed(steps, "parameters", quiet=json))
    if json:
        write_json([asdict(each) for each in found])
    else:
        console.print(sensitivity_table(found, method, share, console.width))


def _rulebook(
    method: Method[Parameters],
    parameters: Parameters,
    share: float,
    accounts: Iterable[Portfolio],
    market: MarketSnapshot,
    bars: DailyBars | None,
    every: int,
) -> Iterator[Sensitivity]:
    kept = [each for each in accounts if not math.isnan(_total([each], market, method, parameters))]
    if not kept:
        raise InputError(f"{method.name} must margin an account of the book, margins none")
    before = _total(kept, market, method, parameters)
    books = None if bars is None else _books(bars)
    covered = math.nan if bars is None or books is None else _coverage(method, parameters, books, bars, every)
    for name, value, moved, changed in moved_parameters(method, parameters, share):
        after = math.nan if changed is None else _total(kept, market, method, changed)
        found = Sensitivity(parameter=name, value=value, moved=moved, requirement=_change(before, after))
        if changed is not None and bars is not None and books is not None:
            found = replace(found, coverage=_coverage(method, changed, books, bars, every) - covered)
        yield found


def _total(
    accounts: list[Portfolio], market: MarketSnapshot, method: Method[Parameters], parameters: Parameters
) -> float:
    """Initial requirement of all, USD; NaN where one is refused."""
    try:
        risk = risk_for(accounts, market, method, parameters)
        return math.fsum(account_requirement(each, market, risk, method, parameters).initial for each in accounts)
    except CrossMarginError:
        return math.nan


def _change(before: float, after: float) -> float | None:
    return None if math.isnan(after) or before == 0.0 else after / before - 1.0


def _books(bars: DailyBars) -> LinearBooks:
    return standard_books(bars.currencies, bars.currencies, kinds=("long", "short", "pairs", "baskets"))


def _coverage(
    method: Method[Parameters], parameters: Parameters, books: LinearBooks, bars: DailyBars, every: int
) -> float:
    """Share of book-days covered by a margin that is asked every so many days and held in between."""
    n_days = bars.days_ns.size
    asked = np.full((len(books.names), n_days), np.nan)
    for day, margins in rulebook_days(method, parameters, books, bars, range(every, n_days, every)):
        asked[:, day : day + every] = margins[:, None]
    return _share_covered(asked, books, bars)


def _share_covered(margins: FloatArray, books: LinearBooks, bars: DailyBars) -> float:
    profits = books.profits(bars.returns)
    known = np.isfinite(margins) & np.isfinite(profits)
    return float(1.0 - (-profits > margins)[known].mean()) if known.any() else math.nan


def _measure(bars: DailyBars, share: float) -> Iterator[Sensitivity]:
    """Move the settings of tail, volatility forecast and tools; the requirement is the mean over books and days."""
    books, plain = _books(bars), (TailSettings(), RangeForecastSettings(), Brakes())
    first = core_with_tools(books, bars, *plain).margins
    days = np.isfinite(first)
    covered = _share_covered(first, books, bars)
    for name, value, moved, sets in _moved_sets(*plain, share):
        found = Sensitivity(parameter=name, value=value, moved=moved, requirement=None)
        if sets is not None:
            margins = np.where(days, core_with_tools(books, bars, *sets).margins, np.nan)
            found = replace(
                found,
                requirement=float(np.nanmean(margins) / first[days].mean() - 1.0),
                coverage=_share_covered(margins, books, bars) - covered,
            )
        yield found


Sets: TypeAlias = tuple[TailSettings, RangeForecastSettings, Brakes]


def _moved_sets(
    tail: TailSettings, forecast: RangeForecastSettings, tools: Brakes, share: float
) -> Iterator[tuple[str, float, float, Sets | None]]:
    """Yield name, value, moved value and all settings with it moved; None for settings that refuse it."""
    for name, value, moved, other in moved_settings(tail, share):
        yield f"tail.{name}", value, moved, None if other is None else (other, forecast, tools)
    for name, value, moved, law in moved_settings(forecast, share):
        yield f"forecast.{name}", value, moved, None if law is None else (tail, law, tools)
    for name, value, moved, brakes in moved_settings(tools, share):
        yield f"tools.{name}", value, moved, None if brakes is None else (tail, forecast, brakes)
