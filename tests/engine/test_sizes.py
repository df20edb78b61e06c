"""Numbers beyond all use: one that raised in the midst of a calculation halted the house, whoever sent it."""

from decimal import Decimal

import msgspec
import pytest

from crossmargin.engine import commands as ask
from crossmargin.engine import engine as deciding
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Refused
from crossmargin.engine.parameters import Breakers, EngineParameters
from crossmargin.errors import MarketDataError
from crossmargin.files.story import play

PERPETUAL = "crossmargin:BTC/USDC:USDC"
HUGE, WHOLE = Decimal("1e400"), 1 << 63
ORDER = ask.PlaceOrder(
    id="x", account="ann", order="o", instrument=PERPETUAL, side="buy", quantity=Decimal("0.01"), price=Decimal(50_000)
)


def quoted(**fields):
    quote = ask.Quote(**({"source": "a", "price": Decimal(50_000)} | fields))
    return ask.UpdateMarket(id="x", index={"BTC": (quote,)})


def smile(**fields):
    terms = {"expiry_ns": 1, "forward": 5e4, "strikes": (4e4, 6e4), "vols": (0.5, 0.5)} | fields
    return ask.UpdateMarket(id="x", smiles={"BTC": (ask.SmileQuote(**terms),)})


ABSURD = {
    "quantity": msgspec.structs.replace(ORDER, quantity=HUGE),
    "price": msgspec.structs.replace(ORDER, price=Decimal("1e-400")),
    "digits": msgspec.structs.replace(ORDER, price=Decimal("50000." + "0" * 5000)),
    "sent": msgspec.structs.replace(ORDER, sent_ns=WHOLE),
    "long ago": msgspec.structs.replace(ORDER, sent_ns=-WHOLE - 1),
    "NUL": msgspec.structs.replace(ORDER, order="o\0"),
    "name": msgspec.structs.replace(ORDER, id="x\0"),
    "withdrawal": ask.Withdraw(id="x", account="ann", asset="USDC", amount=Decimal("1e5000")),
    "deposit": ask.Deposit(id="x", account="ann", asset="USDC", amount=Decimal("1e5000")),
    "time": ask.AdvanceTime(id="x", time_ns=WHOLE),
    "effective": ask.SetMarginParameters(id="x", method="scenario_grid", parameters={}, effective_ns=WHOLE),
    "inside": ask.SetMarginParameters(id="x", method="scenario_grid", parameters={"a": [{"b": 10**4000}]}),
    "window": ask.SetParameters(id="x", parameters=EngineParameters(breakers=Breakers(window_ns=WHOLE))),
    "mark": ask.UpdateMarket(id="x", marks={PERPETUAL: HUGE}),
    "index": quoted(price=HUGE),
    "observed": quoted(time_ns=WHOLE),
    "expiry": smile(expiry_ns=WHOLE),
    "forward": smile(forward=1e300),
    "vols": smile(vols=(0.5, float("inf"))),
    "statement": ask.Reconcile(id="x", statement={"USDC": HUGE}),
}


@pytest.fixture
def house():
    engine = Engine()
    for command in play("ann deposits 100_000\nBTC-PERP marks 50_000").commands:
        engine.apply(command)
    return engine


@pytest.mark.parametrize("which", ABSURD)
def test_what_is_beyond_all_use_is_refused_and_changes_nothing(house, which):
    before = house.state_hash()
    (event,) = house.apply(ABSURD[which])
    assert isinstance(event, Refused)
    assert event.reason == "MALFORMED"
    assert " must be " in event.detail
    assert len(event.detail) < 150
    assert house.state_hash() == before


@pytest.mark.parametrize("which", ["quantity", "withdrawal", "deposit", "mark", "index"])
def test_without_the_look_at_sizes_a_command_of_anybody_raises(house, monkeypatch, which):
    monkeypatch.setattr(deciding, "misfit", lambda _: None)
    with pytest.raises((OverflowError, ValueError, MarketDataError)):
        house.apply(ABSURD[which])


def test_the_largest_that_fit_are_decided_on_their_merits(house):
    fitting = [
        msgspec.structs.replace(ORDER, quantity=Decimal("9e39")),
        msgspec.structs.replace(ORDER, sent_ns=(1 << 63) - 1),
        quoted(price=Decimal("1e39"), time_ns=(1 << 63) - 1),
        smile(forward=9e39),
        ask.UpdateMarket(id="nan", marks={PERPETUAL: Decimal("NaN")}),
        ask.AdvanceTime(id="t", time_ns=(1 << 63) - 1),
    ]
    for number, command in enumerate(fitting):
        event = house.apply(msgspec.structs.replace(command, id=f"f{number}"))[0]
        assert not isinstance(event, Refused) or event.reason == "INSUFFICIENT_MARGIN", event
