"""Say why a book earned or lost between two snapshots."""

import datetime as dt
from pathlib import Path

from crossmargin.cli.app import console, write_json
from crossmargin.cli.inputs import account_of, portfolios
from crossmargin.errors import InputError
from crossmargin.files.market import read_market
from crossmargin.report.attribution import attribution_record, attribution_sections, attribution_table
from crossmargin.report.sections import sections_page
from crossmargin.risk.attribution import attribution

NOTES = (
    "The book is held unchanged. An option's value is moved along the straight line from the index, basis, vol and time of "
    "before to those of after; each cause is the integral of its own slope. The residual is what marks did beyond that.",
    "Funding accrues at the rate of the first snapshot, where it has one.",
)


def attribute(
    book: Path,
    *,
    before: Path,
    after: Path | None = None,
    start: str | None = None,
    end: str | None = None,
    account: str | None = None,
    report: Path | None = None,
    json: bool = False,
) -> None:
    """Split the profit of every account of BOOK between two snapshots into delta, gamma, vega, theta, basis and funding.

    Parameters
    ----------
    book
        Accounts, balances and positions.
    before
        Market snapshot, or a file of many.
    after
        The later one; the same file where not given.
    start
        Use the newest first snapshot at or before this time (UTC), where a file holds many.
    end
        Likewise of the second.
    account
        One account alone, line by line.
    report
        Write an HTML report there too.
    json
        Print records instead of a table.
    """
    if after is None and end is None:
        raise InputError("a second snapshot must be named: give --after, or --end for another time of the same file")
    first, last = read_market(before, start), read_market(after or before, end)
    held = portfolios(book) if account is None else (account_of(book, account),)
    found = [(portfolio.account, attribution(portfolio, first, last)) for portfolio in held]
    if report is not None:
        if not report.parent.is_dir():
            raise InputError(f"a report must go into an existing folder, found none at {report.parent}")
        times = [dt.datetime.fromtimestamp(market.time_ns / 1e9, tz=dt.UTC) for market in (first, last)]
        subtitle = f"{times[0]:%d %B %Y, %H:%M} to {times[1]:%d %B %Y, %H:%M} UTC · USD"
        page = sections_page(f"Profit and loss of {book.stem}", subtitle, attribution_sections(found), NOTES)
        report.write_text(page, encoding="utf-8")
    if json:
        write_json([attribution_record(name, lines) for name, lines in found])
    else:
        console.print(attribution_table(found, console.width))
