"""State what the history says of each coin."""

import datetime as dt
from dataclasses import asdict
from pathlib import Path

from crossmargin.cli.app import app, console, write_json
from crossmargin.cli.backtest import chosen_days
from crossmargin.files.daily_bars import read_daily_bars
from crossmargin.report.backtest import calibration_table
from crossmargin.validation.calibration import calibrations


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
    found = calibrations(bars.until(chosen_days(dates, None, to).stop))
    if json:
        write_json([asdict(each) for each in found])
    else:
        console.print(calibration_table(found, console.width))
