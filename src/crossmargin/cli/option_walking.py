"""Option books of a folder's daily chains: their margins and profits beside each other."""

import concurrent.futures
import datetime as dt
import multiprocessing
from pathlib import Path

import numpy as np

from crossmargin.cli.app import followed
from crossmargin.errors import InputError
from crossmargin.files.daily_bars import read_daily_bars
from crossmargin.files.option_days import read_chain_days, read_daily_moves
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.units import NANOSECONDS_PER_DAY, Currency, FloatArray, IntArray
from crossmargin.validation.account_books import option_account_books
from crossmargin.validation.option_books import ChainDay, OptionBook, option_books
from crossmargin.validation.option_walk import OptionOutcomes, option_walk
from crossmargin.validation.study import WalkedMargins

KINDS = ("options", "sample-options")
COINS = (Currency("BTC"), Currency("ETH"))


def option_margins(
    data: Path, kinds: tuple[str, ...], random: int, workers: int, *, quiet: bool
) -> tuple[tuple[str, ...], WalkedMargins, FloatArray, list[dt.date], IntArray]:
    """Return names, margins and profits of shape (n_books, n_days), dates, and ends of the days, of the chains in `data`.

    Raises
    ------
    InputError
        If a kind is not one of options and sample-options.
    """
    if not set(kinds) <= set(KINDS):
        raise InputError(
            f"option books are walked on their own: kinds must be of {', '.join(KINDS)}, were {', '.join(kinds)}"
        )
    found: dict[Currency, tuple[OptionOutcomes, ...]] = {}
    tasks = [(data, coin, kinds, random) for coin in COINS]
    if workers == 1:
        for task in followed(tasks, "coins", total=len(tasks), quiet=quiet):
            found[task[1]] = _coin(*task)
    else:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
            waiting = {task[1]: pool.submit(_coin, *task) for task in tasks}
            for coin in followed(COINS, "coins", total=len(tasks), quiet=quiet):
                found[coin] = waiting[coin].result()
    return _beside(found)


def _coin(data: Path, coin: Currency, kinds: tuple[str, ...], random: int) -> tuple[OptionOutcomes, ...]:
    accounts = [each for each in option_account_books(sample_book(), sample_market()) if each.coin == coin]

    def books(day: ChainDay) -> tuple[OptionBook, ...]:
        standard = option_books(day, random=random) if "options" in kinds else ()
        return standard + (tuple(each.on(day) for each in accounts) if "sample-options" in kinds else ())

    return option_walk(list(read_chain_days(data, coin)), read_daily_moves(data, read_daily_bars(data), coin), books)


def _beside(
    found: dict[Currency, tuple[OptionOutcomes, ...]],
) -> tuple[tuple[str, ...], WalkedMargins, FloatArray, list[dt.date], IntArray]:
    """Rows by coin and book, columns by the date of the snapshot."""
    days = sorted(
        {int(at) // NANOSECONDS_PER_DAY for books in found.values() for book in books for at in book.times_ns}
    )
    rows = [(f"{coin} {book.name}", book) for coin, books in found.items() for book in books]
    margins, profits = np.full((2, len(rows), len(days)), np.nan)
    for row, (_, book) in enumerate(rows):
        at = np.searchsorted(days, book.times_ns // NANOSECONDS_PER_DAY)
        margins[row, at], profits[row, at] = book.margins, book.profits
    dates = [dt.date(1970, 1, 1) + dt.timedelta(days=day) for day in days]
    walked = WalkedMargins(name="filtered", margins=margins, uncovered=np.zeros(margins.shape))
    ends = (np.array(days, dtype=np.int64) + 1) * NANOSECONDS_PER_DAY
    return tuple(name for name, _ in rows), walked, profits, dates, ends
