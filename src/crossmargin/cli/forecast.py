"""Forecast requirements, margin calls and liquidations of a book."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from crossmargin.cli.app import console, errors, followed, write_json
from crossmargin.cli.inputs import Given, Observed, portfolios
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.comparison import Refusal
from crossmargin.margin.exposure import underlyings
from crossmargin.margin.forecast import Forecast, forecasts
from crossmargin.margin.methods import method_named
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.forecast import (
    calibration_record,
    calibration_words,
    forecast_record,
    forecast_sections,
    forecast_table,
)
from crossmargin.report.sections import sections_page
from crossmargin.scenarios.factor_paths import factor_paths
from crossmargin.units import Currency
from crossmargin.validation.forecast_calibration import Outcome, outcomes

DEFAULT = Observed()
NOTES = (
    "Moves are past dates, whole, at today's volatility (filtered historical, EWMA 0.94), without drift; vols follow "
    "their coin and a residual of their own. Options keep their time to expiry.",
    "Profit is revalued in full at every draw; the requirement is asked of the method at 96 of them and read off a "
    "regression elsewhere. ± is what that regression misses, out of sample; it is drawn along.",
    "A call is equity below the initial requirement, liquidation equity below maintenance, at any time: between the ends "
    "of days a Brownian bridge.",
    "Calibration holds today's book on past days: the law of moves knows closes up to each day only, prices alone move, "
    "and only the ends of days count. Accounts that are in a call today stand apart.",
)


def forecast(
    book: Path | None = None,
    *,
    method: str = "scenario_grid",
    days: int = 5,
    draws: int = 2_000,
    seed: int = 0,
    calibrate: int = 0,
    given: Given = DEFAULT,
    report: Path | None = None,
    json: bool = False,
) -> None:
    """Forecast tomorrow's requirement, and the chance of a margin call and of liquidation, per account of BOOK.

    Parameters
    ----------
    book
        Accounts, balances and positions; the embedded sample where not given.
    method
        Margin method.
    days
        Horizon of the chances, in steps of the market's history: days for daily closes.
    draws
        Paths that are drawn.
    seed
        The same seed draws the same paths.
    calibrate
        Compare forecasts with what happened on so many past days.
    report
        Write an HTML report there too.
    json
        Print records instead of a table.
    """
    held, market = portfolios(book), given.snapshot()
    history = _checked(market, days, draws, calibrate)
    chosen = method_named(method)
    parameters = read_parameters(chosen, given.as_of)
    coins = sorted({coin for portfolio in held for coin in underlyings(portfolio)})
    paths = factor_paths(history, coins, _vols(held, market), horizon=days, count=draws, seed=seed)
    steps = forecasts(held, market, chosen, parameters, paths, asked=min(96, days * draws), seed=seed)
    answers = list(followed(steps, "forecasting", total=len(held), quiet=json))
    found = [answer for answer in answers if isinstance(answer, Forecast)]
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    past: list[Outcome] = []
    if calibrate:
        walk = outcomes(held, market, chosen, parameters, coins, horizon=days, days=calibrate, seed=seed)
        past = [each for day in followed(walk, "calibrating", total=calibrate, quiet=json) for each in day]
    if report is not None:
        _write(report, book, market, method, found, past, days)
    if json:
        refusals = [{"account": each.account, "method": each.method, "refused": each.reason} for each in refused]
        calibration = calibration_record(past) if past else None
        write_json({"forecasts": [*map(forecast_record, found), *refusals], "calibration": calibration})
        return
    console.print(forecast_table(found, days, console.width))
    if past:
        console.print(calibration_words(past))
    for each in refused:
        errors.print(f"cannot: {each.reason}", soft_wrap=True)


def _checked(market: MarketSnapshot, days: int, draws: int, calibrate: int) -> PriceHistory:
    """Return the history that moves are drawn from."""
    if market.history is None:
        raise InputError("a forecast needs a law of moves: give --history, closes of the coins held")
    if not 1 <= days <= 60:
        raise InputError(f"a horizon must lie between 1 and 60 days, was {days}")
    if not 100 <= draws <= 100_000:
        raise InputError(f"draws must be between 100 and 100,000, were {draws}")
    if calibrate < 0:
        raise InputError(f"past days must not be negative, were {calibrate}")
    return market.history


def _vols(held: Sequence[Portfolio], market: MarketSnapshot) -> list[Currency]:
    quoted = {position.instrument.underlying for portfolio in held for position in portfolio.positions}
    return sorted(quoted & set(market.surfaces))


def _write(
    path: Path,
    book: Path | None,
    market: MarketSnapshot,
    method: str,
    found: Sequence[Forecast],
    past: Sequence[Outcome],
    days: int,
) -> None:
    if not path.parent.is_dir():
        raise InputError(f"a report must go into an existing folder, found none at {path.parent}")
    time = dt.datetime.fromtimestamp(market.time_ns / 1e9, tz=dt.UTC)
    title = f"Forecast of {book.stem if book else 'the sample book'}"
    subtitle = f"Market of {time:%d %B %Y, %H:%M} UTC · {method} · USD"
    path.write_text(sections_page(title, subtitle, forecast_sections(found, past, days), NOTES), encoding="utf-8")
