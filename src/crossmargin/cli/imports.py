"""Import of what a venue states."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from crossmargin.cli.app import console, write_json
from crossmargin.cli.inputs import Given, Observed
from crossmargin.errors import CrossMarginError, InputError
from crossmargin.feeds.credentials import credentials_of
from crossmargin.feeds.live_account import LIVE_VENUES, live_answers
from crossmargin.files.book import book_tables, write_book
from crossmargin.files.parameters import read_parameters
from crossmargin.files.venue_records import Imported, VenueMargin, import_answers
from crossmargin.margin.methods import METHODS, OWN_METHODS
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot

DEFAULT = Observed()


def import_records(
    *files: Path,
    venue: str | None = None,
    live: str | None = None,
    endpoint: str | None = None,
    ccxt: bool = False,
    account: str = "imported",
    out: Path | None = None,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """Read FILES, answers of one account at a venue, or its live answers, into a book; name what is not read.

    With --market, the venue's own margin stands beside ours where the venue states it and has a rulebook here.

    Parameters
    ----------
    files
        Answers of the venue in JSON, or records of ccxt.
    venue
        Whose answers the files are.
    live
        Venue that is asked instead of files: binance, bybit, deribit, hyperliquid or okx. Key, secret and passphrase,
        or the wallet, come from CROSSMARGIN_<VENUE>_KEY, _SECRET, _PASSPHRASE, _WALLET in the environment. A key that
        may do more than read is refused.
    endpoint
        Scheme and host to ask instead of the venue's own, such as its test network.
    ccxt
        The files hold records of ccxt.
    account
        The account's name in the book.
    out
        Write the book there.
    json
        Print a record instead of text.
    """
    answers, asked = _answers(files, venue, live, endpoint, ccxt=ccxt)
    found = import_answers(answers, asked, account=account, ccxt=ccxt)
    if out is not None:
        write_book([found.portfolio], out)
    market = None if given.market is None else given.snapshot()
    beside = [] if market is None else _beside(found, asked, market, given.as_of)
    if json:
        book = book_tables([found.portfolio])
        margin = list(found.venue_margin)
        write_json({"book": book, "unmapped": found.unmapped, "venue_margin": margin, "compared": beside})
    else:
        _print(found, beside)


def _answers(
    files: Sequence[Path], venue: str | None, live: str | None, endpoint: str | None, *, ccxt: bool
) -> tuple[dict[str, object], str]:
    """Return the answers by name, and the venue that they are of."""
    if live is None:
        if venue is None or endpoint is not None:
            raise InputError("an import of files needs --venue, and takes no --endpoint")
        if not files:
            raise InputError("an import must have a file, had none")
        return {path.name: _decoded(path) for path in files}, venue
    if files or venue is not None or ccxt:
        raise InputError("a live import takes no files, no --venue and no --ccxt")
    if live not in LIVE_VENUES:
        raise InputError(f"a venue of a live import must be one of {', '.join(LIVE_VENUES)}, was {live!r}")
    return live_answers(live, credentials_of(live, LIVE_VENUES[live].credentials, os.environ), endpoint), live


def _decoded(path: Path) -> object:
    try:
        return msgspec.json.decode(path.read_bytes())
    except msgspec.DecodeError as error:
        raise InputError(f"{path.name} must hold JSON: {error}") from error


def _beside(found: Imported, venue: str, market: MarketSnapshot, as_of: str | None) -> list[dict[str, Any]]:
    """Return our figures less the venue's, in USD, under each of the venue's rulebooks."""
    stated = _in_dollars(found.venue_margin, market)
    if not stated:
        return []
    held = found.portfolio.positions or found.portfolio.orders
    if not held and any(stated.get(figure) for figure in ("initial", "maintenance")):
        return [{"method": venue, "cannot": "the venue states margin, but no file holds the positions that need it"}]
    records: list[dict[str, Any]] = []
    for name in sorted(METHODS.keys() - set(OWN_METHODS)):
        if name.split("_")[0] != venue:
            continue
        try:
            (ours,) = requirements([found.portfolio], market, METHODS[name], read_parameters(METHODS[name], as_of))
        except CrossMarginError as error:
            records.append({"method": name, "cannot": str(error)})
            continue
        figures = {"initial": ours.initial, "maintenance": ours.maintenance, "equity": ours.equity}
        for figure, amount in figures.items():
            if figure in stated:
                theirs = stated[figure]
                record = {"figure": figure, "ours": amount, "venue": theirs, "difference": amount - theirs}
                records.append({"method": name, **record})
    return records


def _in_dollars(margins: Sequence[VenueMargin], market: MarketSnapshot) -> dict[str, float]:
    """Return the sums over currencies of the figures that every statement has."""
    sums: dict[str, float] = {}
    for figure in ("initial", "maintenance", "equity"):
        amounts = [(margin.currency, getattr(margin, figure)) for margin in margins]
        if amounts and all(amount is not None for _, amount in amounts):
            sums[figure] = sum(
                amount if currency == "USD" else amount * market.index_price(currency)
                for currency, amount in amounts
                if amount
            )
    return sums


def _print(found: Imported, beside: Sequence[dict[str, Any]]) -> None:
    held = found.portfolio
    for balance in held.balances:
        console.print(f"balance   {balance.amount:,.8g} {balance.currency}")
    for position in held.positions:
        console.print(f"position  {position.quantity:,.8g} {position.instrument.id}")
    for order in held.orders:
        console.print(f"order     {order.signed_quantity:,.8g} {order.instrument.id} at {order.price:,.8g}")
    for margin in found.venue_margin:
        for name in ("initial", "maintenance", "equity"):
            amount = getattr(margin, name)
            if amount is not None:
                console.print(f"venue     {name} {amount:,.8g} {margin.currency}")
    for row in beside:
        if "cannot" in row:
            console.print(f"{row['method']} cannot: {row['cannot']}")
        else:
            ours, theirs, difference = row["ours"], row["venue"], row["difference"]
            console.print(
                f"{row['method']} {row['figure']}: ours {ours:,.2f}, venue {theirs:,.2f}, difference {difference:,.2f}"
            )
    for field in found.unmapped:
        console.print(f"not read  {field}", soft_wrap=True, markup=False)
