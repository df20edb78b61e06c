"""A small engine behind the service on a free port of this machine, and ccxt's unmodified client pointed at it."""

from decimal import Decimal

import pytest
import uvicorn
from serving import LONGEST_S, running

from crossmargin.engine import commands as ask
from crossmargin.engine.parameters import EngineParameters
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import method_named
from crossmargin.service.application import application
from crossmargin.service.writer import Writer

ccxt = pytest.importorskip("ccxt")
import msgspec  # noqa: E402

NOW_NS = 1_773_100_800_000_000_000  # 2026-03-10
EXPIRY_NS = 1_774_598_400_000_000_000  # 2026-03-27 08:00 UTC
PERPETUAL, ETH, LINEAR = "deribit:BTC/USD:BTC", "deribit:ETH/USD:ETH", "deribit:BTC/USDC:USDC"
FUTURE = "deribit:BTC/USD:BTC-260327"
CALL, PUT = f"{FUTURE}-100000-C", f"{FUTURE}-90000-P"
SPOT = "deribit:BTC/USDC"
MARKS = {
    PERPETUAL: "95010", ETH: "3200", LINEAR: "95020", FUTURE: "95500", CALL: "0.025", PUT: "0.02", SPOT: "95000",
}  # fmt: skip
LOTS = {PERPETUAL: "1", ETH: "1", LINEAR: "1", FUTURE: "1", CALL: "0.1", PUT: "0.1", SPOT: "0.0001"}
D = Decimal


def commands():
    yield ask.AdvanceTime(id="time", time_ns=NOW_NS)
    yield ask.SetParameters(
        id="parameters", parameters=EngineParameters(index_max_age_ns=10**18, mark_band=None, taker_fee=D("0.0005"))
    )
    parameters = msgspec.to_builtins(read_parameters(method_named("scenario_grid")))
    yield ask.SetMarginParameters(id="margin", method="scenario_grid", parameters=parameters)
    for coin in ("BTC", "ETH", "USDC"):
        yield ask.ListAsset(id=f"list {coin}", asset=coin, quantum=D("0.00000001"), borrow_limit=D(10**6))
    for name, lot in LOTS.items():
        yield ask.ListInstrument(id=f"list {name}", instrument=name, lot_size=D(lot))
    smile = ask.SmileQuote(
        expiry_ns=EXPIRY_NS, forward=95500.0, strikes=(80000.0, 90000.0, 100000.0, 110000.0), vols=(0.6, 0.5, 0.45, 0.5)
    )
    prices = {"BTC": "95000", "ETH": "3195", "USDC": "1"}
    yield ask.UpdateMarket(
        id="market",
        index={coin: (ask.Quote(source="x", price=D(price)),) for coin, price in prices.items()},
        marks={name: D(price) for name, price in MARKS.items()},
        smiles={"BTC": (smile,)},
    )
    for account, btc, usdc in (("alice", "10", "100000"), ("bob", "10", "100000"), ("poor", "0", "100")):
        yield ask.OpenAccount(id=f"open {account}", account=account)
        for asset, amount in (("BTC", btc), ("USDC", usdc)):
            if D(amount):
                yield ask.Deposit(id=f"{account} {asset}", account=account, asset=asset, amount=D(amount))
    trades = ((PERPETUAL, "1000", "94000"), (CALL, "2", "0.03"), (PUT, "1", "0.02"), (LINEAR, "50", "95020"))
    for name, quantity, price in trades:
        yield ask.RecordTrade(
            id=f"trade {name}", buyer="alice", seller="bob", instrument=name, quantity=D(quantity), price=D(price)
        )
    quotes = (("buy", "94990", "300"), ("buy", "94980", "100"), ("sell", "95030", "200"))
    for number, (side, price, quantity) in enumerate(quotes):
        yield ask.PlaceOrder(
            id=f"quote {number}", account="bob", order=f"quote-{number}", instrument=PERPETUAL, side=side,
            quantity=D(quantity), price=D(price),
        )  # fmt: skip
    yield ask.PlaceOrder(
        id="quote 9", account="bob", order="quote-9", instrument=CALL, side="sell", quantity=D(1), price=D("0.026")
    )


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    writer = Writer(tmp_path_factory.mktemp("deribit"))
    answers = [writer.submit(command) for command in commands()]
    events = [event for answer in answers for event in answer.result(timeout=120)]
    assert [event for event in events if type(event).__name__ == "Refused"] == []
    yield writer
    writer.close()


@pytest.fixture(scope="module")
def port(writer):
    with running(uvicorn.Config(application(writer), log_level="warning")) as port:
        yield port


def pointed(exchange, port):
    exchange.urls["api"] = {"rest": f"http://127.0.0.1:{port}", "ws": f"ws://127.0.0.1:{port}/ws/api/v2"}
    return exchange


@pytest.fixture(scope="module")
def client(port):
    """ccxt as it is, with another address."""
    exchange = pointed(
        ccxt.deribit({"apiKey": "alice", "secret": "none", "enableRateLimit": False, "timeout": 1_000 * LONGEST_S}),
        port,
    )
    exchange.load_markets()
    return exchange
