"""What a change would do to an account's margin."""

from collections.abc import Iterable
from pathlib import Path

from crossmargin.cli.app import app, console, write_json
from crossmargin.cli.inputs import Given, Observed, account_of
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.instruments.native_names import parse_instrument_name
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.margin.what_if import Change, legs
from crossmargin.margin.what_if import what_if as margin_what_if
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.table import requirement_record, what_if_table
from crossmargin.units import Currency, InstrumentId

DEFAULT = Observed()
Pairs = list[tuple[str, float]]


@app.command
def what_if(
    account: str,
    *,
    add: Pairs | None = None,
    close: list[str] | None = None,
    scale: Pairs | None = None,
    price: Pairs | None = None,
    vol: Pairs | None = None,
    deposit: Pairs | None = None,
    withdraw: Pairs | None = None,
    book: Path | None = None,
    method: str = DEFAULT_METHOD,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """State the margin of ACCOUNT before and after trades, moves of the market, deposits and withdrawals.

    Every option may be given several times. Trades are done at the mark of before.

    Parameters
    ----------
    account
        Name of the account.
    add
        Instrument and contracts to trade; negative sells.
    close
        Instrument whose position is closed, or "all".
    scale
        Instrument (or "all") and the factor on its position: 0.5 halves it, -1 turns it around.
    price
        Coin (or "all") and its relative move: -0.1 is -10 %.
    vol
        Coin (or "all") and the relative move of its vols: 0.5 is half as much again.
    deposit, withdraw
        Currency and amount.
    book
        Its book; the embedded sample where not given.
    method
        Margin method.
    json
        Print a record instead of a table.
    """
    portfolio, market, chosen = account_of(book, account), given.snapshot(), method_named(method)
    change = Change(
        trades=legs(
            portfolio,
            add=[(parse_instrument_name(name), quantity) for name, quantity in add or ()],
            close=[each for name in close or () for each in _positions(portfolio, name)],
            scale={each: factor for name, factor in scale or () for each in _positions(portfolio, name)},
        ),
        deposits=_flows(deposit or (), withdraw or ()),
        prices=_moves(market, price or ()),
        vols=_moves(market, vol or ()),
    )
    result = margin_what_if(portfolio, market, change, chosen, read_parameters(chosen, given.as_of))
    if json:
        write_json({"before": requirement_record(result.before), "after": requirement_record(result.after)})
    else:
        console.print(what_if_table(result, console.width))


def _positions(portfolio: Portfolio, name: str) -> list[InstrumentId]:
    held = dict.fromkeys(position.instrument.id for position in portfolio.positions)
    return list(held) if name == "all" else [parse_instrument_name(name).id]


def _moves(market: MarketSnapshot, pairs: Iterable[tuple[str, float]]) -> dict[Currency, float]:
    coins = [coin for coin in market.index if coin not in DOLLAR_COINS]
    found: dict[Currency, float] = {}
    for name, move in pairs:
        if name != "all" and name not in market.index:
            raise InputError(f"a coin must be all or one of {', '.join(coins)}, was {name}")
        found |= dict.fromkeys(coins if name == "all" else [Currency(name)], move)
    return found


def _flows(deposits: Iterable[tuple[str, float]], withdrawals: Iterable[tuple[str, float]]) -> dict[Currency, float]:
    found: dict[Currency, float] = {}
    for sign, pairs in ((1.0, deposits), (-1.0, withdrawals)):
        for name, amount in pairs:
            if not amount > 0.0:
                raise InputError(f"a deposit or withdrawal must be positive, was {amount} {name}")
            found[Currency(name)] = found.get(Currency(name), 0.0) + sign * amount
    return found
