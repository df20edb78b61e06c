"""After a rehearsal no order, fill, audit or tick meets a kernel for the first time."""

import subprocess
import sys

import pytest

from crossmargin.engine.events import Audited, Deleveraged, LiquidationStarted, OrderFilled, Refused
from crossmargin.service.rehearsal import rehearse

DAY = """
import sys
from decimal import Decimal
from numba.core.dispatcher import Dispatcher
from crossmargin.engine import commands as ask
from crossmargin.engine.engine import Engine
from crossmargin.files.sample import sample_market, solvent_sample_book
from crossmargin.service.opening import market_update, opening_commands
from crossmargin.service.rehearsal import rehearse


def known():
    modules = [each for name, each in list(sys.modules.items()) if name.startswith("crossmargin")]
    return {
        (each.__name__, name): len(found.signatures)
        for each in modules
        for name, found in vars(each).items()
        if isinstance(found, Dispatcher)
    }


if "rehearsed" in sys.argv:
    rehearse()
before, book, market, engine = known(), solvent_sample_book(), sample_market(), Engine()
for command in opening_commands(book, market):
    engine.apply(command)
for number in range(1_100):
    account = ("opening", "market-maker")[number % 2]
    engine.apply(
        ask.PlaceOrder(
            id=f"o{number}", account=account, order=f"o{number}", instrument="deribit:BTC/USD:BTC", side="buy",
            quantity=Decimal(1), price=Decimal(1000),
        )
    )
for number in range(3):
    engine.apply(ask.AdvanceTime(id=f"t{number}", time_ns=market.time_ns + number * 10**9))
    engine.apply(market_update(market, book, f"m{number}"))
print([name for name, count in known().items() if count > before.get(name, 0)])
"""


@pytest.mark.parametrize("rehearsed", [True, False])
def test_nothing_is_called_for_the_first_time_after_it(rehearsed):
    asked = ["rehearsed"] if rehearsed else []
    done = subprocess.run([sys.executable, "-c", DAY, *asked], check=True, capture_output=True, text=True)
    assert (done.stdout.strip() == "[]") == rehearsed, done.stdout


def test_a_rehearsal_does_what_it_means_to():
    kinds = {type(event) for event in rehearse()}
    assert kinds >= {Audited, Deleveraged, LiquidationStarted, OrderFilled}
    assert Refused not in kinds
