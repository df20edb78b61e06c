"""Test margin against what happened."""

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from crossmargin.cli.app import app, console, followed, write_json
from crossmargin.errors import InputError
from crossmargin.files.daily_bars import read_daily_bars
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import METHODS, method_named
from crossmargin.report.backtest import (
    Backtest,
    backtest_record,
    backtest_sections,
    backtest_table,
    calibration_table,
)
from crossmargin.report.sections import sections_page
from crossmargin.units import FloatArray
from crossmargin.validation.books import LinearBooks, standard_books
from crossmargin.validation.calibration import calibrations
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.judgement import compared, judged
from crossmargin.validation.study import MEASURES, WalkedMargins, rulebook_days

_LISTED = 0.85
"""Share of all days that a coin must have traded to make up books; any coin's history feeds the forecasts."""
_SAVED_EVERY = 50
NOTES = (
    "A margin of a day is made from the days before it alone.",
    "Books hold dollars of each coin and are rebalanced daily; margin and loss are per dollar of size.",
    "filtered: expected shortfall 97.5 % of 1,000 whole dates, scaled to a volatility forecast from daily ranges; "
    "filtered_braked adds the long-lookback floor, a 25 % buffer and a limit of 50 % on the rise over five days; "
    "historical: expected shortfall 97.5 % of the last 500 dates; historical_floored: not below that of all dates.",
    "Rulebooks are asked for a book of 100,000 dollars of Binance perpetuals on the close before.",
)


@app.command
def backtest(
    *,
    data: Path,
    method: list[str] | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    level: float = 0.99,
    random: int = 12,
    checkpoint: Path | None = None,
    report: Path | None = None,
    json: bool = False,
) -> None:
    """Walk margin through the daily history of DATA and test it against what then happened.

    Parameters
    ----------
    data
        Folder with perp_1d.parquet, and perp_1h.parquet for better variances.
    method
        filtered, filtered_braked, historical, historical_floored or any margin method; may be given several times. The
        last one is what the others are compared with.
    from_
        First day (ISO); by default the first on which the last margin exists.
    to
        Last day (ISO).
    level
        Share of days to be covered.
    random
        Random books beside long, short, pairs and baskets.
    checkpoint
        File that keeps the margins of rulebooks as they are computed; a run that was broken off goes on from there.
    report
        Write an HTML report there too.
    json
        Print records instead of a table.
    """
    names = method or ["filtered", "filtered_braked", "historical", "historical_floored"]
    unknown = [name for name in names if name not in MEASURES and name not in METHODS]
    if unknown:
        known = ", ".join([*MEASURES, *METHODS])
        raise InputError(f"a margin to be tested must be one of {known}, was {unknown[0]!r}")
    bars = read_daily_bars(data)
    dates = [dt.datetime.fromtimestamp(int(at - 1) // 10**9, tz=dt.UTC).date() for at in bars.days_ns]
    chosen = _days(dates, from_, to)
    traded = np.isfinite(bars.closes).mean(axis=1)
    coins = tuple(coin for coin, share in zip(bars.currencies, traded, strict=True) if share >= _LISTED)
    books = standard_books(bars.currencies, coins, random=random)
    walked = [
        _walked(name, books, bars, chosen, checkpoint, quiet=json)
        for name in followed(names, "margins", total=len(names), quiet=json)
    ]
    profits = books.profits(bars.returns)[:, chosen]
    other = walked[-1].margins[:, chosen]
    tests = [
        Backtest(
            judgement=judged(each.name, books.names, each.margins[:, chosen], profits, level),
            against=None if each is walked[-1] else compared(each.margins[:, chosen], other, profits, level),
            margins=each.margins[:, chosen],
            uncovered=each.uncovered[:, chosen],
            ranks=None if each.ranks is None else each.ranks[:, chosen],
        )
        for each in walked
    ]
    if report is not None:
        if not report.parent.is_dir():
            raise InputError(f"a report must go into an existing folder, found none at {report.parent}")
        days = [dates[day] for day in range(chosen.start, chosen.stop)]
        sections = backtest_sections(tests, books.names, days, profits)
        subtitle = f"{len(books.names)} books, {days[0]} to {days[-1]}, {len(days)} days"
        report.write_text(sections_page("Does the margin cover?", subtitle, sections, NOTES), encoding="utf-8")
    if json:
        write_json([backtest_record(test) for test in tests])
    else:
        console.print(backtest_table(tests, console.width))


@app.command
def calibrate(*, data: Path, to: str | None = None, json: bool = False) -> None:
    """State each coin's volatility forecast and tail as the daily history of DATA gives them.

    Parameters
    ----------
    data
        Folder with perp_1d.parquet, and perp_1h.parquet for better variances.
    to
        Last day to look at (ISO).
    json
        Print records instead of a table.
    """
    bars = read_daily_bars(data)
    dates = [dt.datetime.fromtimestamp(int(at - 1) // 10**9, tz=dt.UTC).date() for at in bars.days_ns]
    found = calibrations(bars.until(_days(dates, None, to).stop))
    if json:
        write_json([asdict(each) for each in found])
    else:
        console.print(calibration_table(found, console.width))


def _days(dates: list[dt.date], from_: str | None, to: str | None) -> slice:
    try:
        first = dt.date.fromisoformat(from_) if from_ else dates[0]
        last = dt.date.fromisoformat(to) if to else dates[-1]
    except ValueError as error:
        raise InputError(f"--from and --to must be ISO dates, were {from_} and {to}") from error
    inside = [place for place, day in enumerate(dates) if first <= day <= last]
    if not inside:
        raise InputError(f"--from and --to must lie between {dates[0]} and {dates[-1]}, were {first} and {last}")
    return slice(inside[0], inside[-1] + 1)


def _walked(
    name: str, books: LinearBooks, bars: DailyBars, chosen: slice, checkpoint: Path | None, *, quiet: bool
) -> WalkedMargins:
    if name in MEASURES:
        return MEASURES[name](books, bars)
    method = method_named(name)
    parameters = read_parameters(method)
    margins = _saved(checkpoint, name, (len(books.names), bars.days_ns.size))
    todo = [day for day in range(max(chosen.start, 1), chosen.stop) if np.isnan(margins[:, day]).all()]
    days = followed(todo, name, total=len(todo), quiet=quiet)
    for number, day in enumerate(days, start=1):
        for _, asked in rulebook_days(method, parameters, books, bars, range(day, day + 1)):
            margins[:, day] = asked
        if checkpoint is not None and (number % _SAVED_EVERY == 0 or number == len(todo)):
            _save(checkpoint, name, margins)
    return WalkedMargins(name=name, margins=margins, uncovered=np.zeros(margins.shape))


def _saved(checkpoint: Path | None, name: str, shape: tuple[int, int]) -> FloatArray:
    if checkpoint is not None and checkpoint.is_file():
        with np.load(checkpoint) as kept:
            if name in kept and kept[name].shape == shape:
                return np.array(kept[name])
    return np.full(shape, np.nan)


def _save(checkpoint: Path, name: str, margins: FloatArray) -> None:
    kept: dict[str, Any] = {}
    if checkpoint.is_file():
        with np.load(checkpoint) as old:
            kept = {each: np.array(old[each]) for each in old}
    spare = checkpoint.with_name(checkpoint.name + ".part.npz")
    np.savez_compressed(spare, **{**kept, name: margins})
    spare.replace(checkpoint)
