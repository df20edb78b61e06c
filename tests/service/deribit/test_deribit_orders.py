"""Orders by ccxt's own client: what is placed rests in the engine, what is refused raises ccxt's own exceptions."""

from decimal import Decimal

import pytest

from crossmargin.engine.commands import RecordTrade

ccxt = pytest.importorskip("ccxt")
SYMBOL = "BTC/USD:BTC"
OPTION = "BTC/USD:BTC-260327-100000-C"


@pytest.fixture(autouse=True)
def _nothing_rests(client):
    client.cancel_all_orders()
    yield
    client.cancel_all_orders()


def test_an_order_rests_until_it_is_cancelled(client, writer):
    placed = client.create_order(SYMBOL, "limit", "buy", 500, 90000, {"label": "mine"})
    assert (placed["status"], placed["side"], placed["amount"], placed["price"]) == ("open", "buy", 500, 90000)
    assert writer.engine.state.orders[placed["id"]].lots == 50
    assert [order["id"] for order in client.fetch_open_orders(SYMBOL)] == [placed["id"]]
    assert [order["id"] for order in client.fetch_open_orders()] == [placed["id"]]
    found = client.fetch_order(placed["id"])
    assert (found["status"], found["info"]["label"]) == ("open", "mine")
    assert client.cancel_order(placed["id"])["status"] == "canceled"
    assert client.fetch_open_orders(SYMBOL) == []
    assert client.fetch_closed_orders(SYMBOL)[-1]["status"] == "canceled"
    with pytest.raises(ccxt.InvalidOrder):
        client.cancel_order(placed["id"])


def test_a_fill_shows_in_the_order_and_in_the_trades(client, writer):
    placed = client.create_order(OPTION, "limit", "buy", 1, 0.02)
    trade = RecordTrade(
        id="fill one", buyer="alice", seller="bob", instrument="deribit:BTC/USD:BTC-260327-100000-C",
        quantity=Decimal("0.4"), price=Decimal("0.019"), buy_order=placed["id"], taker="seller",
    )  # fmt: skip
    writer.submit(trade).result(timeout=30)
    found = client.fetch_order(placed["id"])
    assert (found["filled"], found["remaining"], found["average"]) == (0.4, 0.6, 0.019)
    (mine,) = client.fetch_order_trades(placed["id"])
    assert (mine["side"], mine["amount"], mine["price"], mine["takerOrMaker"]) == ("buy", 0.4, 0.019, "maker")
    assert mine["id"] in {each["id"] for each in client.fetch_my_trades(OPTION, limit=100)}
    assert client.fetch_ticker(OPTION)["last"] == 0.019


def test_all_of_an_instrument_or_of_a_currency_are_cancelled(client):
    for symbol, price in ((SYMBOL, 90000), (SYMBOL, 90010), ("ETH/USD:ETH", 3000)):
        client.create_order(symbol, "limit", "buy", 100, price)
    assert client.private_get_cancel_all_by_currency({"currency": "ETH"})["result"] == "1"
    assert len(client.fetch_open_orders(SYMBOL)) == 2
    client.cancel_all_orders(SYMBOL)
    assert client.fetch_open_orders(SYMBOL) == []


@pytest.mark.parametrize(
    ("order", "exception"),
    [
        pytest.param((SYMBOL, "limit", "buy", 20_000_000, 95000), ccxt.InsufficientFunds, id="margin"),
        pytest.param((SYMBOL, "limit", "buy", 100, 10000), ccxt.InvalidOrder, id="outside the band"),
        pytest.param((SYMBOL, "market", "buy", 100), ccxt.NotSupported, id="a market order"),
        pytest.param((SYMBOL, "limit", "buy", 100, 90000, {"timeInForce": "IOC"}), ccxt.NotSupported, id="at once"),
        pytest.param((SYMBOL, "limit", "buy", 100, 96000, {"postOnly": True}), ccxt.InvalidOrder, id="would take"),
        pytest.param((SYMBOL, "limit", "buy", 100, 96000, {"reduceOnly": True}), ccxt.ExchangeError, id="adds"),
    ],
)
def test_refusals_raise_ccxts_own_exceptions(client, order, exception):
    with pytest.raises(exception):
        client.create_order(*order)
    assert client.fetch_open_orders(SYMBOL) == []


def test_what_ccxt_would_round_away_is_refused_too(client):
    for change, exception in (
        ({"amount": "15"}, ccxt.InvalidOrder),
        ({"price": "90000.3"}, ccxt.InvalidOrder),
        ({"amount": "-10"}, ccxt.InvalidOrder),
        ({"amount": "many"}, ccxt.BadRequest),
        ({"type": "stop_limit"}, ccxt.NotSupported),
    ):
        request = {"instrument_name": "BTC-PERPETUAL", "amount": "10", "price": "90000", "type": "limit", **change}
        with pytest.raises(exception):
            client.private_get_buy(request)


def test_an_order_of_somebody_else_is_not_found(client, writer):
    for call in (client.fetch_order, client.cancel_order):
        for order_id in ("quote-0", "never"):
            with pytest.raises(ccxt.OrderNotFound):
                call(order_id)
    assert "quote-0" in writer.engine.state.orders


def test_an_order_in_contracts_is_the_same_as_in_dollars(client):
    raw = client.private_get_sell(
        {"instrument_name": "BTC-PERPETUAL", "contracts": 3, "price": 96000, "type": "limit", "post_only": "true"}
    )["result"]["order"]
    assert (float(raw["amount"]), raw["post_only"], raw["direction"]) == (30, True, "sell")
