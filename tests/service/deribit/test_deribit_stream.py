"""ccxt.pro's own client over the WebSocket, and the protocol beneath it."""

import asyncio
import json
import time
from decimal import Decimal

import pytest
import websockets
from serving import LONGEST_S

from crossmargin.engine import commands as ask

ccxtpro = pytest.importorskip("ccxt.pro")
SYMBOL, OPTION = "BTC/USD:BTC", "BTC/USD:BTC-260327-100000-C"
PERPETUAL = "deribit:BTC/USD:BTC"
_numbers = iter(range(10**6))


def told(writer, kind, **fields):
    return writer.submit(kind(id=f"stream {next(_numbers)}", **fields)).result(timeout=LONGEST_S)


def with_client(client, act, key="alice"):
    """Run `act(exchange)` with ccxt.pro as it is, pointed at the service."""

    async def run():
        exchange = ccxtpro.deribit(
            {"apiKey": key, "secret": "none", "enableRateLimit": False, "timeout": 1_000 * LONGEST_S}
        )
        exchange.urls["api"] = client.urls["api"]
        try:
            await exchange.load_markets()
            return await asyncio.wait_for(act(exchange), timeout=LONGEST_S)
        finally:
            await exchange.close()

    return asyncio.run(run())


def test_watch_ticker_and_book(client, writer):
    async def act(exchange):
        first = await exchange.watch_ticker(SYMBOL)
        book = await exchange.watch_order_book(SYMBOL)
        assert (first["bid"], book["bids"][0][:2]) == (94990, [94990, 3000])
        waiting = asyncio.create_task(exchange.watch_ticker(SYMBOL))
        changed = asyncio.create_task(exchange.watch_order_book(SYMBOL))
        told(
            writer, ask.PlaceOrder, account="bob", order="better", instrument=PERPETUAL, side="buy",
            quantity=Decimal(5), price=Decimal("94995"),
        )  # fmt: skip
        while (await waiting)["bid"] != 94995:
            waiting = asyncio.create_task(exchange.watch_ticker(SYMBOL))
        assert [level[:2] for level in (await changed)["bids"][:2]] == [[94995, 50], [94990, 3000]]
        told(writer, ask.CancelOrder, order="better")
        while (await exchange.watch_order_book(SYMBOL))["bids"][0][:2] != [94990, 3000]:
            pass
        quote = await exchange.watch_bids_asks([SYMBOL])
        assert quote[SYMBOL]["ask"] == 95030

    with_client(client, act)


def test_watch_orders_trades_and_balance(client, writer):
    async def act(exchange):
        seen = asyncio.create_task(exchange.watch_orders())
        mine = asyncio.create_task(exchange.watch_my_trades())
        everybodys = asyncio.create_task(exchange.watch_trades(OPTION))
        balance = await exchange.watch_balance()
        codes = set(balance) - {"info"}  # as many as have come by now; ccxt nests a balance in a balance here
        held = client.fetch_balance()
        assert codes
        assert all(balance[code][code]["total"] == pytest.approx(held[code]["total"]) for code in codes)
        await exchange.watch_ticker(OPTION)  # asked after the others over the same socket, it is answered after them
        placed = await exchange.create_order(OPTION, "limit", "buy", 0.3, 0.02)
        assert [(order["id"], order["status"]) for order in await seen] == [(placed["id"], "open")]
        fill = asyncio.create_task(exchange.watch_orders())
        told(
            writer, ask.RecordTrade, buyer="alice", seller="bob", instrument="deribit:BTC/USD:BTC-260327-100000-C",
            quantity=Decimal("0.3"), price=Decimal("0.02"), buy_order=placed["id"],
        )  # fmt: skip
        assert (await fill)[0]["status"] == "closed"
        (trade,) = await mine
        assert (trade["order"], trade["amount"], trade["side"]) == (placed["id"], 0.3, "buy")
        assert (await everybodys)[-1]["price"] == 0.02
        await exchange.create_order(SYMBOL, "limit", "buy", 100, 90000)
        await exchange.cancel_all_orders()

    with_client(client, act)


def exchange_of_messages(port, *questions, wait_for=0):
    """Send questions over a bare socket; return the answers by id, and the notifications."""

    async def run():
        answers, notifications = {}, []
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws/api/v2") as socket:
            for number, (method, params) in enumerate(questions):
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
            while len(answers) < len(questions) or len(notifications) < wait_for:
                message = json.loads(await asyncio.wait_for(socket.recv(), timeout=LONGEST_S))
                if "id" in message:
                    answers[message["id"]] = message
                else:
                    notifications.append(message["params"])
        return answers, notifications

    return asyncio.run(run())


def test_changes_tell_orders_trades_and_positions_together(port, client, writer):
    async def run():
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws/api/v2") as socket:
            for number, (method, params) in enumerate(
                (
                    ("public/auth", {"grant_type": "client_credentials", "client_id": "alice", "client_secret": "x"}),
                    ("private/subscribe", {"channels": ["user.changes.any.any.raw"]}),
                )
            ):
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
                assert "result" in json.loads(await socket.recv())
            told(
                writer, ask.RecordTrade, buyer="alice", seller="bob", instrument=PERPETUAL,
                quantity=Decimal(10), price=Decimal("95010"),
            )  # fmt: skip
            return json.loads(await asyncio.wait_for(socket.recv(), timeout=LONGEST_S))

    found = asyncio.run(run())["params"]["data"]
    assert (found["instrument_name"], found["trades"][0]["amount"]) == ("BTC-PERPETUAL", 100.0)
    assert found["positions"][0]["size"] == client.fetch_position(SYMBOL)["contracts"]


def test_portfolio_and_index_are_said_at_once(port):
    answers, said = exchange_of_messages(
        port,
        ("public/auth", {"grant_type": "client_credentials", "client_id": "alice", "client_secret": "x"}),
        ("private/subscribe", {"channels": ["user.portfolio.btc", "deribit_price_index.btc_usd", "no.such.channel"]}),
        ("private/get_positions", {"currency": "BTC"}),
        wait_for=2,
    )
    assert answers[1]["result"] == ["user.portfolio.btc", "deribit_price_index.btc_usd"]
    assert len(answers[2]["result"]) == 3
    data = {each["channel"]: each["data"] for each in said}
    assert data["deribit_price_index.btc_usd"]["price"] == 95000
    assert data["user.portfolio.btc"]["currency"] == "BTC"


def test_private_channels_need_somebody(port):
    answers, _ = exchange_of_messages(
        port,
        ("private/subscribe", {"channels": ["user.portfolio.BTC"]}),
        ("public/subscribe", {"channels": ["user.portfolio.BTC"]}),
        ("public/no_such", {}),
        ("public/set_heartbeat", {"interval": 1}),
        ("public/set_heartbeat", {"interval": 30}),
    )
    assert answers[0]["error"]["code"] == 13009
    assert answers[1]["result"] == []
    assert answers[2]["error"]["code"] == -32601
    assert answers[3]["error"]["code"] == -32602
    assert answers[4]["result"] == "ok"


def test_orders_go_with_the_connection_that_asked_for_it(port, writer):
    answers, _ = exchange_of_messages(
        port,
        ("public/auth", {"grant_type": "client_credentials", "client_id": "alice", "client_secret": "x"}),
        ("private/enable_cancel_on_disconnect", {}),
        ("private/buy", {"instrument_name": "BTC-PERPETUAL", "amount": 100, "price": 90000}),
    )
    order_id = answers[2]["result"]["order"]["order_id"]
    writer.submit(ask.RunAudit(id="after the cancel")).result(timeout=LONGEST_S)
    deadline = time.monotonic() + LONGEST_S
    while order_id in writer.engine.state.orders:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_shapes_are_those_of_recorded_notifications(port, client, shared, record_property):
    """Every field of the venue's recorded ticker and books is in ours; books carry the same types of level."""
    folder = shared / "data/recorded/venue_answers/deribit"
    recorded = {
        name: json.loads((folder / f"ws_{name}.json").read_text())["params"]["data"]
        for name in ("ticker", "book_snapshot", "book_grouped_snapshot")
    }
    _, said = exchange_of_messages(
        port,
        (
            "public/subscribe",
            {
                "channels": [
                    "ticker.BTC-PERPETUAL.100ms",
                    "book.BTC-PERPETUAL.100ms",
                    "book.BTC-PERPETUAL.none.10.100ms",
                ]
            },
        ),
        wait_for=3,
    )
    ours = {each["channel"]: each["data"] for each in said}
    ticker = ours["ticker.BTC-PERPETUAL.100ms"]
    assert set(recorded["ticker"]) - set(ticker) <= {"interest_value"}
    assert set(recorded["ticker"]["stats"]) - set(ticker["stats"]) <= {"volume_notional"}
    book = ours["book.BTC-PERPETUAL.100ms"]
    assert set(recorded["book_snapshot"]) - {"prev_change_id"} <= set(book)
    assert [type(item) for item in book["bids"][0]] == [type(item) for item in recorded["book_snapshot"]["bids"][0]]
    assert set(recorded["book_grouped_snapshot"]) <= set(ours["book.BTC-PERPETUAL.none.10.100ms"])
    http = json.loads((folder / "http_get_instruments.json").read_text())["result"][0]
    mine = client.public_get_get_instrument({"instrument_name": "BTC-PERPETUAL"})["result"]
    assert set(http) - set(mine) <= {
        "max_leverage", "max_liquidation_commission", "block_trade_commission", "block_trade_min_trade_amount",
        "block_trade_tick_size",
    }  # fmt: skip
    for name in (
        "contract_size",
        "min_trade_amount",
        "tick_size",
        "settlement_currency",
        "kind",
        "expiration_timestamp",
    ):
        assert str(mine[name]) == str(http[name])
    record_property("outside_cases", 4)
