"""Books: tables of accounts, balances, positions and orders, read into portfolios."""

from pathlib import Path
from typing import Literal

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.symbols import parse_contract
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency, Venue


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    account: str


class AccountRow(_Row, frozen=True, kw_only=True):
    """One account of a book."""

    method: str | None = None
    parent: str | None = None
    kind: str | None = None


class BalanceRow(_Row, frozen=True, kw_only=True):
    """One balance; negative is borrowed."""

    currency: str
    amount: float
    venue: str | None = None
    chain: str | None = None


class PositionRow(_Row, frozen=True, kw_only=True):
    """One position; quantity in contracts, long > 0."""

    instrument: str
    quantity: float
    entry_price: float | None = None
    isolated_group: str | None = None


class OrderRow(_Row, frozen=True, kw_only=True):
    """One open order; quantity in contracts, positive."""

    instrument: str
    side: Literal["buy", "sell"]
    quantity: float
    price: float
    reduce_only: bool = False


class BookTables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A book as tables, the form in which it is written down."""

    accounts: tuple[AccountRow, ...]
    balances: tuple[BalanceRow, ...] = ()
    positions: tuple[PositionRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()


def read_book(path: str | Path) -> tuple[Portfolio, ...]:
    """Return the portfolios of a book file (JSON), one per account, in the order of its accounts.

    Raises
    ------
    InputError
        If the file is missing or breaks the schema; the message names the rule and the finding.
    """
    return portfolios(_tables(Path(path)))


def portfolios(tables: BookTables) -> tuple[Portfolio, ...]:
    """Return one portfolio per account of `tables`."""
    known = [row.account for row in tables.accounts]
    if len(set(known)) != len(known):
        raise InputError(f"an account may stand once in a book, {_first_repeated(known)!r} stands twice")
    for row in (*tables.balances, *tables.positions, *tables.orders):
        if row.account not in known:
            raise InputError(f"an account must be listed under accounts, was {row.account!r}")
    return tuple(_portfolio(account, tables) for account in known)


def _portfolio(account: str, tables: BookTables) -> Portfolio:
    return Portfolio(
        account=AccountId(account),
        balances=tuple(
            Balance(
                currency=Currency(row.currency),
                amount=row.amount,
                venue=Venue(row.venue) if row.venue else None,
                chain=row.chain,
            )
            for row in tables.balances
            if row.account == account
        ),
        positions=tuple(
            Position(
                instrument=parse_contract(row.instrument),
                quantity=row.quantity,
                entry_price=row.entry_price,
                isolated_group=row.isolated_group,
            )
            for row in tables.positions
            if row.account == account
        ),
        orders=tuple(
            Order(
                instrument=parse_contract(row.instrument),
                side=Side(row.side),
                quantity=row.quantity,
                price=row.price,
                reduce_only=row.reduce_only,
            )
            for row in tables.orders
            if row.account == account
        ),
    )


def _tables(path: Path) -> BookTables:
    if not path.is_file():
        raise InputError(f"a book must be a file, found none at {path}")
    try:
        return msgspec.json.decode(path.read_bytes(), type=BookTables)
    except msgspec.DecodeError as error:
        raise InputError(f"{path.name} must hold a book: {error}") from error


def _first_repeated(names: list[str]) -> str:
    return next(name for place, name in enumerate(names) if name in names[:place])
