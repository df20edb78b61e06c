"""Show how an account's value moves with prices and vols."""

from pathlib import Path

from crossmargin.cli.app import console, write_json
from crossmargin.cli.inputs import Given, Observed, account_of
from crossmargin.margin.exposure import underlyings
from crossmargin.margin.ladders import expiry_ladder, price_ladder
from crossmargin.margin.requirements import held_instruments
from crossmargin.report.ladders import ladder_table, rung_record
from crossmargin.risk.risk_array import risk_array
from crossmargin.scenarios.stress import Stress, stress_scenarios

DEFAULT = Observed()


def greeks(account: str, *, book: Path | None = None, given: Given = DEFAULT, json: bool = False) -> None:
    """Show delta, gamma and vega of ACCOUNT by expiry, and along the price of each coin.

    Parameters
    ----------
    account
        Name of the account.
    book
        Its book; the embedded sample where not given.
    json
        Print records instead of tables.
    """
    portfolio, market = account_of(book, account), given.snapshot()
    still = stress_scenarios([Stress(name="still", prices=dict.fromkeys(underlyings(portfolio), 0.0))])
    risk = risk_array(held_instruments([portfolio]), market, still)
    by_expiry, along = expiry_ladder(portfolio, risk, market), price_ladder(portfolio, risk, market)
    if json:
        write_json({"expiries": [*map(rung_record, by_expiry)], "prices": [*map(rung_record, along)]})
        return
    console.print(ladder_table(by_expiry, f"{account} by expiry · USD", console.width))
    console.print(ladder_table(along, f"{account} along the price, each strike at its own vol · USD", console.width))
