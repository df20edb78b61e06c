"""Test margin against what happened."""

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from crossmargin.cli.app import console, followed, write_json
from crossmargin.cli.option_walking import KINDS as OPTION_KINDS
from crossmargin.cli.option_walking import option_margins
from crossmargin.cli.walking import walked_margins
from crossmargin.errors import InputError
from crossmargin.files.daily_bars import read_daily_bars
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.brakes import Brakes
from crossmargin.margin.methods import METHODS
from crossmargin.report.backtest import Backtest, backtest_record, backtest_sections, backtest_table
from crossmargin.report.sections import sections_page
from crossmargin.units import BoolArray, FloatArray, IntArray
from crossmargin.validation.account_books import linear_account_books
from crossmargin.validation.books import KINDS, LinearBooks, joined, standard_books
from crossmargin.validation.correct_model import correct_model_rates
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.disclosure import crisis_windows, disclosures, limit_cost, shortfall_test, z3_test
from crossmargin.validation.judgement import FEWEST_PERIODS, compared, judged
from crossmargin.validation.netting import pair_savings
from crossmargin.validation.study import MEASURES, WalkedMargins, measures
from crossmargin.validation.walk_forward import TailSettings, summed_returns

_LISTED = 0.85
"""Share of all days that a coin must have traded to make up books; any coin's history feeds the forecasts."""
NOTES = (
    "A margin of a day is made from the days before it alone.",
    "Books hold dollars of each coin and are rebalanced daily; margin and loss are per dollar of size.",
    "filtered: expected shortfall 97.5 % of 1,000 whole dates, scaled to a volatility forecast from daily ranges; "
    "filtered_braked adds the long-lookback floor, a buffer per asset and a limit of 50 % on the rise over five days; "
    "filtered_anchored draws it, on 1,000 dates or on all, towards its own past level, as chosen every 90 days from the "
    "days before; "
    "historical: expected shortfall 97.5 % of the last 500 dates; historical_floored: not below that of all dates.",
    "Methods and rulebooks are asked for a book of 100,000 dollars of perpetuals of their venue on the close before, "
    "with the parameters of today on every day: their authors knew this past. They state what is to be held, whatever "
    "the horizon. Only books and days that every margin answers for are judged.",
)


def backtest(
    *,
    data: Path,
    method: list[str] | None = None,
    books: list[str] | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    horizon: int = 1,
    level: float = 0.99,
    random: int = 12,
    stress_weight: float = 0.0,
    workers: int = 1,
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
        filtered, filtered_braked, filtered_anchored, historical, historical_floored or any margin method; may be given
        several times. The last one is what the others are compared with.
    books
        Kinds of books: long, short, pairs, baskets, random, sample (accounts of the sample book); the first five where
        not given. options and sample-options are walked through option_chains_daily.parquet, by themselves: straddles,
        strangles, hedged ones, calendars, basis, random ones; profits are of real marks.
    from_
        First day (ISO); days count from the first on which every margin exists.
    to
        Last day (ISO).
    horizon
        Days that a loss takes to close out; periods do not overlap.
    level
        Share of periods to be covered.
    random
        Random books beside the others.
    stress_weight
        Share of what a book would lose in March 2020 in the margin of filtered_braked.
    workers
        Processes that margin days beside each other; results are the same with any number.
    checkpoint
        File that keeps margins as they are computed; a run that was broken off goes on from there.
    report
        Write an HTML report there too.
    json
        Print records instead of a table.
    """
    options = bool(set(books or ()) & set(OPTION_KINDS))
    names = (
        method or ["filtered"]
        if options
        else method or ["filtered", "filtered_braked", "historical", "historical_floored"]
    )
    unknown = [name for name in names if name not in MEASURES and name not in METHODS]
    if unknown:
        known = ", ".join([*MEASURES, *METHODS])
        raise InputError(f"a margin to be tested must be one of {known}, was {unknown[0]!r}")
    if horizon < 1 or workers < 1:
        raise InputError(f"--horizon and --workers must be at least 1, were {horizon} and {workers}")
    if report is not None and not report.parent.is_dir():
        raise InputError(f"a report must go into an existing folder, found none at {report.parent}")
    if options:
        tests, profits = _option_tests(data, names, tuple(books or ()), random, workers, horizon, level, quiet=json)
    else:
        tests, profits = _linear_tests(
            data, names, tuple(books or KINDS), (from_, to), random, workers, checkpoint, horizon, level,
            brakes=Brakes(stress_weight=stress_weight), quiet=json,
        )  # fmt: skip
    judged_names = tuple(book.name for book in tests[0].judgement.books)
    if report is not None:
        sections = backtest_sections(tests, judged_names, profits)
        subtitle = f"{len(judged_names)} books, {tests[0].dates[0]} to {tests[0].dates[-1]}, over {horizon} day(s)"
        report.write_text(sections_page("Does the margin cover?", subtitle, sections, NOTES), encoding="utf-8")
    if json:
        write_json([backtest_record(test) for test in tests])
    else:
        console.print(backtest_table(tests, console.width))


def _linear_tests(
    data: Path,
    names: list[str],
    kinds: tuple[str, ...],
    between: tuple[str | None, str | None],
    random: int,
    workers: int,
    checkpoint: Path | None,
    horizon: int,
    level: float,
    *,
    brakes: Brakes,
    quiet: bool,
) -> tuple[list[Backtest], FloatArray]:
    """Return the tests of perpetuals through daily bars, and the profits of the books judged."""
    bars = read_daily_bars(data)
    dates = [dt.datetime.fromtimestamp(int(at - 1) // 10**9, tz=dt.UTC).date() for at in bars.days_ns]
    chosen = chosen_days(dates, *between)
    held = _books(bars, kinds, random)
    walked = walked_margins(
        names, held, bars, range(max(chosen.start, 1), chosen.stop), horizon, workers, checkpoint,
        measures=measures(brakes), quiet=quiet,
    )  # fmt: skip
    profits = _in_common(walked, held.profits(summed_returns(bars.returns, horizon)), chosen)
    kept = np.isfinite(profits)[:, ::horizon].sum(axis=1) >= FEWEST_PERIODS
    if not kept.any():
        raise InputError(
            f"every margin must answer for a book on {FEWEST_PERIODS} periods, {', '.join(names)} share none"
        )
    record = _Record(
        books=held.names, profits=profits, kept=kept, chosen=chosen, dates=dates, days_ns=bars.days_ns, level=level,
        horizon=horizon, held=held,
    )  # fmt: skip
    tests = [_tested(each, walked[-1], record) for each in followed(walked, "tests", total=len(walked), quiet=quiet)]
    return tests, profits[kept]


def _option_tests(
    data: Path,
    names: list[str],
    kinds: tuple[str, ...],
    random: int,
    workers: int,
    horizon: int,
    level: float,
    *,
    quiet: bool,
) -> tuple[list[Backtest], FloatArray]:
    """Return the test of option books through daily chains, and their profits."""
    if horizon != 1:
        raise InputError(f"option books are held for a day, --horizon was {horizon}")
    if not set(names) <= set(MEASURES):
        raise InputError(f"option books are walked under filtered only, --method was {', '.join(names)}")
    books, walked, profits, dates, days_ns = option_margins(data, kinds, random, workers, quiet=quiet)
    record = _Record(
        books=books, profits=profits, kept=np.ones(len(books), dtype=bool), chosen=slice(0, len(dates)), dates=dates,
        days_ns=days_ns, level=level, horizon=horizon,
    )  # fmt: skip
    return [_tested(walked, walked, record)], profits


def chosen_days(dates: list[dt.date], from_: str | None, to: str | None) -> slice:
    """Return the places of the days from `from_` to `to`, both ISO dates or None.

    Raises
    ------
    InputError
        If one is no date, or no day lies between.
    """
    try:
        first = dt.date.fromisoformat(from_) if from_ else dates[0]
        last = dt.date.fromisoformat(to) if to else dates[-1]
    except ValueError as error:
        raise InputError(f"--from and --to must be ISO dates, were {from_} and {to}") from error
    inside = [place for place, day in enumerate(dates) if first <= day <= last]
    if not inside:
        raise InputError(f"--from and --to must lie between {dates[0]} and {dates[-1]}, were {first} and {last}")
    return slice(inside[0], inside[-1] + 1)


def _books(bars: DailyBars, kinds: tuple[str, ...], random: int) -> LinearBooks:
    traded = np.isfinite(bars.closes).mean(axis=1)
    coins = tuple(coin for coin, share in zip(bars.currencies, traded, strict=True) if share >= _LISTED)
    if "sample" not in kinds:
        return standard_books(bars.currencies, coins, kinds=kinds, random=random)
    accounts = linear_account_books(sample_book(), sample_market(), bars.currencies)
    others = tuple(kind for kind in kinds if kind != "sample")
    return joined(standard_books(bars.currencies, coins, kinds=others, random=random), accounts) if others else accounts


def _in_common(walked: list[WalkedMargins], profits: FloatArray, chosen: slice) -> FloatArray:
    """Profits of the days in `chosen` on which every margin answers for the book; NaN on others."""
    answered = np.isfinite([each.margins[:, chosen] for each in walked]).all(axis=0)
    return np.where(answered, profits[:, chosen], np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What margins are tested against.

    Attributes
    ----------
    profits : array of shape (n_books, n_chosen_days)
    kept : array of shape (n_books,)
        Whether a book has enough periods to be judged.
    chosen
        Days of all that the margins know.
    held
        What the books hold; None for options.
    """

    books: tuple[str, ...]
    profits: FloatArray
    kept: BoolArray
    chosen: slice
    dates: list[dt.date]
    days_ns: IntArray
    level: float
    horizon: int
    held: LinearBooks | None = None

    def of(self, values: FloatArray) -> FloatArray:
        """Return the rows and days of `values` that are judged."""
        return values[:, self.chosen][self.kept]


def _tested(margin: WalkedMargins, other: WalkedMargins, record: _Record) -> Backtest:
    names = tuple(name for name, keep in zip(record.books, record.kept, strict=True) if keep)
    made, level, apart = record.profits[record.kept], record.level, slice(None, None, record.horizon)
    margins, theirs, uncovered = record.of(margin.margins), record.of(other.margins), record.of(margin.uncovered)
    ranks = None if margin.ranks is None else record.of(margin.ranks)
    quantiles = None if margin.quantiles is None else record.of(margin.quantiles)
    tail = 1.0 - TailSettings().confidence
    return Backtest(
        judgement=judged(margin.name, names, margins, made, level, horizon=record.horizon),
        against=None if margin is other else compared(margins[:, apart], theirs[:, apart], made[:, apart], level),
        margins=margins,
        uncovered=uncovered,
        dates=record.dates[record.chosen],
        years=disclosures(margins, made, record.horizon),
        windows=crisis_windows(margins, made, record.days_ns[record.chosen], uncovered),
        ranks=ranks,
        shortfall=None
        if quantiles is None
        else replace(
            shortfall_test(margins[:, apart], quantiles[:, apart], made[:, apart], tail),
            z3=_z3(margin, record, tail),
        ),
        tool_costs=margin.tool_costs,
        limit=None if margin.tool_costs is None else limit_cost(margins, uncovered, made),
        savings=()
        if record.held is None
        else pair_savings(record.held, margin.margins[:, record.chosen], record.profits),
        correct=None if ranks is None else correct_model_rates(ranks[:, apart], 1.0 - level),
    )


def _z3(margin: WalkedMargins, record: _Record, tail: float) -> FloatArray | None:
    """Return Z3 of every book that is judged, on periods that do not overlap; None without forecasts."""
    if margin.ranks is None or margin.tail_means is None:
        return None
    asked, apart = margin.tail_means, slice(None, None, record.horizon)

    def means_at(levels: FloatArray) -> FloatArray:
        everybody = np.full((record.kept.size, *levels.shape[1:]), np.nan)
        everybody[record.kept] = levels
        return np.stack([record.of(each)[:, apart] for each in asked(everybody)])

    return z3_test(record.of(margin.ranks)[:, apart], means_at, tail)
