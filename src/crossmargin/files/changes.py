"""Changes that a what-if asks about, as rows of a file: trades, scalings, moves, deposits and withdrawals."""

from pathlib import Path
from typing import Annotated

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.instruments.native_names import parse_instrument_name
from crossmargin.margin.what_if import Change, legs
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.units import Currency, InstrumentId

ALL = "all"
Positive = Annotated[float, msgspec.Meta(gt=0)]


class ChangeRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One change: `add`, `scale`, `price` and `vol` by name, "all" meaning every position or coin."""

    name: str | None = None
    account: str | None = None
    method: str | None = None
    add: dict[str, float] = {}
    close: tuple[str, ...] = ()
    scale: dict[str, float] = {}
    price: dict[str, float] = {}
    vol: dict[str, float] = {}
    deposit: dict[str, Positive] = {}
    withdraw: dict[str, Positive] = {}

    @property
    def words(self) -> str:
        """Its name, or what it does in words."""
        said = [f"{what} {name} {value:g}" for what in _PAIRS for name, value in getattr(self, what).items()]
        return self.name or ", ".join([*(f"close {name}" for name in self.close), *said]) or "nothing"


_PAIRS = ("add", "scale", "price", "vol", "deposit", "withdraw")


def read_changes(path: Path) -> list[ChangeRow]:
    """Return the changes in the JSON list at `path`.

    Raises
    ------
    InputError
        If the file does not hold a list of changes.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[ChangeRow])
    except msgspec.DecodeError as error:
        raise InputError(f"{path.name} must hold a list of changes: {error}") from error


def change_of(row: ChangeRow, portfolio: Portfolio, market: MarketSnapshot) -> Change:
    """Return what `row` does to `portfolio` and `market`.

    Raises
    ------
    InputError
        If it names an instrument, position or coin that is not there.

    Examples
    --------
    >>> row = ChangeRow(deposit={"USDC": 5.0}, withdraw={"USDC": 2.0})
    >>> change_of(row, Portfolio(account="a"), MarketSnapshot(time_ns=0, index={})).deposits
    {'USDC': 3.0}
    """
    return Change(
        trades=legs(
            portfolio,
            add=[(parse_instrument_name(name), quantity) for name, quantity in row.add.items()],
            close=[each for name in row.close for each in _positions(portfolio, name)],
            scale={each: factor for name, factor in row.scale.items() for each in _positions(portfolio, name)},
        ),
        deposits=_flows(row),
        prices=_moves(market, row.price),
        vols=_moves(market, row.vol),
    )


def _positions(portfolio: Portfolio, name: str) -> list[InstrumentId]:
    held = dict.fromkeys(position.instrument.id for position in portfolio.positions)
    return list(held) if name == ALL else [parse_instrument_name(name).id]


def _moves(market: MarketSnapshot, named: dict[str, float]) -> dict[Currency, float]:
    coins = [coin for coin in market.index if coin not in DOLLAR_COINS]
    found: dict[Currency, float] = {}
    # a coin's own move goes before that of all
    for name, move in sorted(named.items(), key=lambda pair: pair[0] != ALL):
        if name != ALL and name not in market.index:
            raise InputError(f"a coin must be all or one of {', '.join(coins)}, was {name}")
        found |= dict.fromkeys(coins if name == ALL else [Currency(name)], move)
    return found


def _flows(row: ChangeRow) -> dict[Currency, float]:
    found: dict[Currency, float] = {}
    for sign, named in ((1.0, row.deposit), (-1.0, row.withdraw)):
        for name, amount in named.items():
            if not amount > 0.0:
                raise InputError(f"a deposit or withdrawal must be positive, was {amount} {name}")
            found[Currency(name)] = found.get(Currency(name), 0.0) + sign * amount
    return found
