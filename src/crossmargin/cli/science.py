"""State what the history says of each coin and pair."""

import datetime as dt
from pathlib import Path

from crossmargin.cli.app import console, write_json
from crossmargin.cli.backtest import chosen_days
from crossmargin.errors import InputError
from crossmargin.files.daily_bars import read_daily_bars
from crossmargin.files.option_days import read_implied_vols
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.tail_risk import METHOD
from crossmargin.report.calibration import (
    buffer_table,
    calibration_record,
    calibration_sections,
    calibration_table,
    choice_table,
    haircut_table,
    implied_table,
    offset_table,
    tail_table,
)
from crossmargin.report.sections import sections_page
from crossmargin.units import Currency
from crossmargin.validation.calibration import calibrations
from crossmargin.validation.collateral_calibration import coin_haircuts, dependence, pair_offsets
from crossmargin.validation.implied_calibration import implied_calibration

BTC = Currency("BTC")
NOTES = (
    "Volatility: forecast of the next day from daily ranges of all coins, and an exponentially weighted one, both a year's.",
    "Tails: shape of a Pareto fit to a tenth of standardised moves; 0 is thin, a third is Student's t with three degrees.",
    "Student's t: degrees of freedom by maximum likelihood, skewed where a likelihood ratio rejects no skew at 5 %.",
    "Buffers: what volatility goes beyond its average by on one day in twenty, by the tail index of a GARCH drawn towards "
    "those of the other coins; where the index is not sure, not less than the five-day rise so far.",
    "Haircuts: expected shortfall 99 % while the amount is sold, wrong-way risk and cost of selling; volumes and spreads "
    "are those of tail_risk.",
    "Offsets: expected shortfall 97.5 % of a pair in perpetuals under a t copula, against the sum of its legs; own "
    "tails: each coin with its own degrees of freedom and skew (grouped t).",
)


def calibrate(
    *, data: Path, to: str | None = None, offset_cap: float = 1.0, report: Path | None = None, json: bool = False
) -> None:
    """State each coin's volatility forecast, tail, buffer and haircut, and each pair's offset, from the history of DATA.

    Parameters
    ----------
    data
        Folder with perp_1d.parquet, perp_1h.parquet for better variances, and dvol_btc_daily.parquet for implied vol.
    to
        Last day to look at (ISO).
    offset_cap
        Most that netting may save of the legs of a pair: 0.8 charges a fifth of them whatever their correlation.
    report
        Write an HTML report there too, with the correlations.
    json
        Print records instead of tables.
    """
    if not 0.0 <= offset_cap <= 1.0:
        raise InputError(f"a cap on the offset must be inside [0, 1], was {offset_cap}")
    if report is not None and not report.parent.is_dir():
        raise InputError(f"a report must go into an existing folder, found none at {report.parent}")
    bars = read_daily_bars(data)
    dates = [dt.datetime.fromtimestamp(int(at - 1) // 10**9, tz=dt.UTC).date() for at in bars.days_ns]
    past = bars.until(chosen_days(dates, None, to).stop)
    found, moved = calibrations(past), dependence(past)
    tails = {each.currency: each.tail for each in found}
    haircuts, offsets = coin_haircuts(past, read_parameters(METHOD).liquidity), pair_offsets(past, moved, tails)
    vols = read_implied_vols(data, past)
    implied = None if vols is None or BTC not in past.currencies else implied_calibration(past, BTC, vols)
    if report is not None:
        day = dates[past.days_ns.size - 1]
        sections = calibration_sections(found, haircuts, offsets, moved, implied, cap=offset_cap)
        page = sections_page("What the history says", f"{len(found)} coins on {day}", sections, NOTES)
        report.write_text(page, encoding="utf-8")
    if json:
        write_json(calibration_record(found, haircuts, offsets, moved, implied, cap=offset_cap))
        return
    for each in (
        calibration_table(found, console.width),
        *([tail_table(found, console.width)] if found else []),
        *([choice_table(found, console.width)] if found else []),
        *([buffer_table(found, console.width)] if found else []),
        *([] if implied is None else [implied_table(implied, console.width)]),
        haircut_table(haircuts, console.width),
        offset_table(offsets, console.width, offset_cap),
    ):
        console.print(each)
