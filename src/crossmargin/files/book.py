"""Books: tables of accounts, balances, positions and orders, read into portfolios and written back."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, overload

import msgspec

from crossmargin.errors import InputError
from crossmargin.files.book_tables import AccountRow, BalanceRow, BookTables, OrderRow, PositionRow, read_tables
from crossmargin.instruments.contracts import Contract, Future, Payoff, Perpetual
from crossmargin.instruments.native_names import parse_instrument_name
from crossmargin.instruments.specifications import Terms
from crossmargin.margin.methods import DEFAULT_METHOD, METHODS
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency, InstrumentId, Venue

Unit = Literal["contracts", "coin", "usd"]
R = TypeVar("R", BalanceRow, PositionRow, OrderRow)
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book(Sequence[Portfolio]):
    """The portfolios of a book in the order of its accounts, and what it says of each account."""

    portfolios: tuple[Portfolio, ...]
    accounts: Mapping[AccountId, AccountRow] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Portfolio]:
        """Return the portfolios one by one."""
        return iter(self.portfolios)

    def __len__(self) -> int:
        """Return the number of accounts."""
        return len(self.portfolios)

    @overload
    def __getitem__(self, place: int) -> Portfolio: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Portfolio, ...]: ...
    def __getitem__(self, place: int | slice) -> Portfolio | tuple[Portfolio, ...]:
        """Return one portfolio by its place, or several."""
        return self.portfolios[place]

    def method_of(self, account: str) -> str:
        """Return the method under which `account` says it is margined, else the default one."""
        row = self.accounts.get(AccountId(account))
        return row.method if row is not None and row.method is not None else DEFAULT_METHOD


def read_book(
    path: str | Path,
    *,
    market: MarketSnapshot | None = None,
    instruments: Mapping[InstrumentId, Contract] | None = None,
) -> Book:
    """Return the book at `path`, one portfolio per account in the order of its accounts.

    Parameters
    ----------
    path
        JSON, Excel, a CSV or Parquet file with a column ``kind``, or a folder of CSV or Parquet files.
    market
        Prices for quantities whose `unit` needs one: coins of an inverse contract, dollars of any other.
    instruments
        Contracts with terms of their own (`read_instrument_records`), which go before those on record.

    Raises
    ------
    InputError
        If the book is missing or breaks the schema; the message names table, row and finding.
    """
    return portfolios(read_tables(Path(path)), market, instruments)


def write_book(book: Sequence[Portfolio], path: str | Path) -> None:
    """Write `book` as JSON; reading it gives the same portfolios."""
    Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(book_tables(book)), indent=1))


def portfolios(
    tables: BookTables,
    market: MarketSnapshot | None = None,
    instruments: Mapping[InstrumentId, Contract] | None = None,
) -> Book:
    """Return one portfolio per account of `tables`."""
    accounts: dict[AccountId, AccountRow] = {}
    for number, row in enumerate(tables.accounts, start=1):
        if row.account in accounts:
            raise InputError(
                f"an account may stand once in a book, {row.account!r} stands twice in table accounts, row {number}"
            )
        accounts[AccountId(row.account)] = row
    for row in tables.accounts:
        if row.parent is not None and row.parent not in accounts:
            raise InputError(f"a parent must be listed under accounts, was {row.parent!r} of account {row.account!r}")
        if row.method is not None and row.method not in METHODS:
            raise InputError(
                f"an account's method must be one of {', '.join(METHODS)}, was {row.method!r} of account {row.account!r}"
            )
    contracts: dict[str, Contract] = {}

    def contract(name: str) -> Contract:
        if name not in contracts:
            try:
                given = instruments.get(parse_instrument_name(name, Terms()).id) if instruments else None
                contracts[name] = given or parse_instrument_name(name)
            except InputError as error:
                raise _ColumnError(str(error), "instrument") from error
        return contracts[name]

    balances = _grouped("balances", tables.balances, accounts, _balance)
    positions = _grouped("positions", tables.positions, accounts, lambda row: _position(row, contract, market))
    orders = _grouped("orders", tables.orders, accounts, lambda row: _order(row, contract))
    return Book(
        portfolios=tuple(
            Portfolio(
                account=account,
                balances=tuple(balances.get(account, ())),
                positions=tuple(positions.get(account, ())),
                orders=tuple(orders.get(account, ())),
            )
            for account in accounts
        ),
        accounts=accounts,
    )


def contracts_of(contract: Contract, quantity: float, unit: Unit, market: MarketSnapshot | None = None) -> float:
    """Return `quantity` as a number of contracts.

    Coins of a linear contract and dollars of an inverse future need the contract size only; the other way needs a
    price: the mark of a perpetual or future, the index of an option's or pair's base.

    Raises
    ------
    InputError
        If a price is needed and `market` is None.

    Examples
    --------
    >>> contracts_of(parse_instrument_name("deribit:BTC-PERPETUAL"), 5_000.0, "usd")
    500.0
    """
    if unit == "contracts":
        return quantity
    delta_one = isinstance(contract, Perpetual | Future)
    sized_in = "usd" if delta_one and contract.payoff is Payoff.INVERSE else "coin"
    if unit == sized_in:
        return quantity / contract.contract_size_float
    if contract.payoff is Payoff.QUANTO:
        raise InputError(f"a quantity of a quanto contract must be in contracts, was in {unit} for {contract.id}")
    if market is None:
        raise InputError(f"a quantity in {unit} must come with a market for its price, has none for {contract.id}")
    price = market.mark_price(contract) if delta_one else market.index_price(contract.base)
    coins_or_dollars = quantity * price if sized_in == "usd" else quantity / price
    return coins_or_dollars / contract.contract_size_float


def book_tables(book: Sequence[Portfolio]) -> BookTables:
    """Return `book` as tables."""
    accounts = book.accounts if isinstance(book, Book) else {}
    return BookTables(
        accounts=tuple(accounts.get(one.account, AccountRow(account=one.account)) for one in book),
        balances=tuple(
            BalanceRow(account=one.account, currency=row.currency, amount=row.amount, venue=row.venue, chain=row.chain)
            for one in book
            for row in one.balances
        ),
        positions=tuple(
            PositionRow(
                account=one.account,
                instrument=row.instrument.id,
                quantity=row.quantity,
                entry_price=row.entry_price,
                isolated_group=row.isolated_group,
            )
            for one in book
            for row in one.positions
        ),
        orders=tuple(
            OrderRow(
                account=one.account,
                instrument=row.instrument.id,
                side=row.side.value,
                quantity=row.quantity,
                price=row.price,
                reduce_only=row.reduce_only,
            )
            for one in book
            for row in one.orders
        ),
    )


class _ColumnError(InputError):
    """A finding in one column of a row, which names itself on the way out."""

    def __init__(self, message: str, column: str) -> None:
        super().__init__(message)
        self.column = column


def _grouped(
    table: str, rows: tuple[R, ...], accounts: Mapping[AccountId, AccountRow], value: Callable[[R], V]
) -> dict[str, list[V]]:
    groups: dict[str, list[V]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        try:
            groups[_listed(row.account, accounts)].append(value(row))
        except InputError as error:
            column = f", column {error.column}" if isinstance(error, _ColumnError) else ""
            raise InputError(f"{error} in table {table}, row {number}{column}") from error
    return groups


def _listed(account: str, accounts: Mapping[AccountId, AccountRow]) -> str:
    if account not in accounts:
        raise _ColumnError(f"an account must be listed under accounts, was {account!r}", "account")
    return account


def _balance(row: BalanceRow) -> Balance:
    venue = Venue(row.venue) if row.venue else None
    return Balance(currency=Currency(row.currency), amount=row.amount, venue=venue, chain=row.chain)


def _position(row: PositionRow, contract: Callable[[str], Contract], market: MarketSnapshot | None) -> Position:
    instrument = contract(row.instrument)
    if not math.isfinite(row.quantity):
        raise InputError(f"a quantity must be finite, was {row.quantity} of {instrument.id}")
    return Position(
        instrument=instrument,
        quantity=contracts_of(instrument, row.quantity, row.unit, market),
        entry_price=row.entry_price,
        isolated_group=row.isolated_group,
    )


def _order(row: OrderRow, contract: Callable[[str], Contract]) -> Order:
    return Order(
        instrument=contract(row.instrument),
        side=Side(row.side),
        quantity=row.quantity,
        price=row.price,
        reduce_only=row.reduce_only,
    )
