"""Ladders as tables and records."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from crossmargin.margin.ladders import Rung
from crossmargin.report.columns import Column, table


def ladder_table(rungs: Sequence[Rung], title: str, width: int) -> Table:
    """Return one row per rung."""
    columns = (
        Column(heading="coin", cells=[rung.coin for rung in rungs], words=True),
        Column(heading="at", cells=[_place(rung) for rung in rungs]),
        Column(heading="delta", cells=[_usd(rung.delta_usd) for rung in rungs]),
        Column(heading="gamma per 1 %", cells=[_usd(rung.gamma_usd) for rung in rungs], importance=1),
        Column(heading="vega per point", cells=[_usd(rung.vega_usd) for rung in rungs], importance=1),
    )
    return table(columns, width, title=title)


def rung_record(rung: Rung) -> dict[str, Any]:
    """Return `rung` as plain values that JSON can hold."""
    day = None if rung.expiry_ns is None else "none" if rung.expiry_ns == 0 else _day(rung.expiry_ns)
    return {
        "coin": rung.coin,
        "expiry": day,
        "move": rung.move,
        "delta_usd": rung.delta_usd,
        "gamma_usd": rung.gamma_usd,
        "vega_usd": rung.vega_usd,
    }


def _place(rung: Rung) -> str:
    if rung.expiry_ns is None:
        return "now" if rung.move == 0.0 else f"{100 * rung.move:+.0f} %"
    return "no expiry" if rung.expiry_ns == 0 else _day(rung.expiry_ns)


def _day(time_ns: int) -> str:
    return f"{dt.datetime.fromtimestamp(time_ns / 1e9, tz=dt.UTC):%Y-%m-%d}"


def _usd(amount: float) -> str:
    return f"{amount:,.0f}" if round(amount) else "0"
