"""Answers of venues become portfolios: signs, units, and nothing dropped in silence."""

import json
from pathlib import Path
from typing import Any

import pytest

from crossmargin.errors import InputError
from crossmargin.files.venue_records import Imported, import_answers


def recorded(shared: Path, name: str) -> Imported:
    """Return one recorded answer, imported."""
    path = shared / "data/recorded/venue_answers" / name
    return import_answers({"answer": json.loads(path.read_text())}, name.partition("/")[0])


# File, positions and balances as a reader of the file finds them.
POSITIONS = [
    ("okx/http_get_positions.json", {"okx:BTC/USDT:USDT": 0.5}),
    ("binance/futures__http_json__position_risk.json", {"binance:BTC/USDT:USDT": 0.001}),
    ("bybit/http_get_positions.json", {"bybit:BTC/USDT:USDT": 0.5, "bybit:ETH/USDT:USDT": -5.0}),
    ("bybit/http_get_positions_with_open_time.json", {"bybit:LTC/USDT:USDT": 1.0}),
    ("bybit/ws_account_position_short.json", {"bybit:ETH/USDT:USDT": -0.01}),
    ("derive/perps__http_position_eth.json", {"derive:ETH/USD:USDC": -2.0}),
    ("derive/perps__http_positions_result_eth.json", {"derive:ETH/USD:USDC": 1.0}),
    # BitMEX counts dollars of XBTUSD, signed
    ("bitmex/http_get_positions.json", {"bitmex:BTC/USD:BTC": 100.0}),
    ("bitmex/ws_position.json", {"bitmex:BTC/USD:BTC": 1000.0}),
]
# Kraken, dYdX and Lighter state the side or sign beside a size without one, and no mark price.
UNMARKED = [
    ("kraken/http_futures_open_positions.json", {"kraken:BTC/USD:BTC": -8000.0, "kraken:ETH/USD:ETH": 12000.0}),
    ("dydx/ws_subaccounts_subscribed.json", {"dydx:BTC/USDC:USDC": 0.5}),
    ("lighter/ws_account_all_positions_update.json", {"lighter:ETH/USDC:USDC": 1.5}),
]
BALANCES = [
    ("deribit/http_get_account_summaries.json", {"BTC": 302.60065765, "ETH": 100.0}),
    ("okx/http_get_account_balance.json", {"USDT": 94.42612990333333}),
    ("binance/futures__http_json__account_info_v2.json", {"USDT": 23.72469206}),
    ("binance/futures__http_json__balance.json", {"USDT": 122.12345678}),
    ("binance/spot__http_json__account_response.json", {"BTC": 4723846.89208129, "LTC": 4763368.68006011}),
    ("bybit/http_get_wallet_balance_spot_short.json", {"ETH": -0.06142, "USDT": 2500.0}),
    ("bybit/http_get_wallet_balance_with_spot_borrow.json", {"USDT": 1000.0}),
    ("derive/common__http_subaccount_usdc.json", {"USDC": 1000.0}),
    # BitMEX states satoshi
    ("bitmex/http_get_wallet.json", {"BTC": 10.00123456}),
    ("bitmex/ws_margin.json", {"BTC": 1.0000518}),
    ("kraken/http_spot_balance.json", {"USD": 200_000.0, "BTC": 0.5, "ETH": 2.0}),
    ("dydx/http_get_subaccount.json", {"USDC": 45.201296}),
    ("lighter/ws_account_all_assets_with_position.json", {"USDC": 39.995369556}),
]


@pytest.mark.parametrize(("name", "wanted"), POSITIONS)
def test_recorded_positions(shared: Path, name: str, wanted: dict[str, float]) -> None:
    found = recorded(shared, name)
    assert {row.instrument.id: row.quantity for row in found.portfolio.positions} == wanted
    assert any("markPrice" in field or "markPx" in field or "mark_price" in field for field in found.unmapped)


@pytest.mark.parametrize(("name", "wanted"), UNMARKED)
def test_recorded_positions_without_a_mark(shared: Path, name: str, wanted: dict[str, float]) -> None:
    found = recorded(shared, name)
    assert {row.instrument.id: row.quantity for row in found.portfolio.positions} == wanted
    assert all(row.entry_price for row in found.portfolio.positions)
    assert any("ealized" in field or "fillTime" in field for field in found.unmapped)


@pytest.mark.parametrize(("name", "wanted"), BALANCES)
def test_recorded_balances(shared: Path, name: str, wanted: dict[str, float]) -> None:
    found = recorded(shared, name)
    assert {row.currency: row.amount for row in found.portfolio.balances} == pytest.approx(wanted, rel=1e-15)


def test_the_venues_own_margin(shared: Path) -> None:
    btc, eth = recorded(shared, "deribit/http_get_account_summaries.json").venue_margin
    assert (btc.currency, btc.initial, btc.maintenance, btc.equity) == ("BTC", 1.24669592, 0.8857841, 302.62729214)
    assert eth.initial == 0.000402
    (bybit,) = recorded(shared, "bybit/ws_account_wallet.json").venue_margin
    assert (bybit.initial, bybit.maintenance, bybit.equity) == (127.8573161, 12.78573161, 9684.46297164)


def test_the_margin_that_smaller_venues_state(shared: Path) -> None:
    (bitmex,) = recorded(shared, "bitmex/ws_margin.json").venue_margin
    assert (bitmex.currency, bitmex.initial) == ("BTC", None)
    assert (bitmex.maintenance, bitmex.equity) == pytest.approx((0.00015949, 1.0001036), rel=1e-12)
    # dYdX states what is free: 125,000.50 of equity less 100,000.25
    (dydx,) = recorded(shared, "dydx/ws_subaccounts_subscribed.json").venue_margin
    assert (dydx.initial, dydx.maintenance, dydx.equity) == (pytest.approx(25_000.25), None, 125_000.5)
    (kraken,) = recorded(shared, "kraken/http_spot_trade_balance.json").venue_margin
    assert (kraken.currency, kraken.initial, kraken.equity) == ("USD", 12_500.0, 198_499.67)


def test_an_order_named_by_number_needs_the_list_of_markets(shared: Path) -> None:
    answers = shared / "data/recorded/venue_answers/lighter"
    orders = json.loads((answers / "ws_account_orders_update.json").read_text())
    with pytest.raises(InputError, match="has number 0 of lighter: import its markets too"):
        import_answers({"orders": orders}, "lighter")
    markets = json.loads((answers / "http_order_books.json").read_text())
    (order,) = import_answers({"orders": orders, "markets": markets}, "lighter").portfolio.orders
    # 0.0050 were asked to sell and 0.0020 are sold
    assert (order.instrument.id, order.signed_quantity, order.price) == ("lighter:ETH/USDC:USDC", -0.003, 2352.74)


def test_a_filled_order_and_a_fill_are_neither_order_nor_position(shared: Path) -> None:
    answers = shared / "data/recorded/venue_answers/dydx"
    given = {
        name: json.loads((answers / f"{name}.json").read_text())
        for name in ("http_get_perpetual_markets", "ws_subaccounts_update", "http_get_subaccount")
    }
    found = import_answers(given, "dydx")
    assert (found.portfolio.orders, found.portfolio.positions) == ((), ())
    assert "ws_subaccounts_update.contents.fills[].size" in found.unmapped


def test_a_loan_on_krakens_spot_market_is_refused(shared: Path) -> None:
    with pytest.raises(InputError, match="margin loan cannot be imported as a position, was XXBTZUSD"):
        recorded(shared, "kraken/http_spot_open_positions.json")


def test_hyperliquid_state_of_its_documentation(shared: Path) -> None:
    path = shared / "data/recorded/api_doc_examples/hyperliquid.net/Futures__Account__GetAccountInfo.txt"
    found = import_answers({"state": json.loads(path.read_text().split("\n", 3)[3])}, "hyperliquid")
    (position,) = found.portfolio.positions
    assert (position.instrument.id, position.quantity, position.entry_price) == (
        "hyperliquid:HYPE/USDC:USDC",
        2,
        37.829,
    )
    assert position.isolated_group is not None
    assert {"state.marginSummary.totalRawUsd", "state.assetPositions[].position.leverage.value"} <= {*found.unmapped}
    # account value 83.307638, unrealised -0.006
    assert found.portfolio.balances[0].amount == pytest.approx(83.313638, rel=1e-12)


def position(found: Imported) -> tuple[str, float]:
    """Return the one position as id and quantity."""
    (row,) = found.portfolio.positions
    return row.instrument.id, row.quantity


@pytest.mark.parametrize(
    ("venue", "row", "wanted"),
    [
        # Deribit: futures in dollars (10 per BTC contract), options in coins; the sign is in the size and beside it.
        ("deribit", {"instrument_name": "BTC-PERPETUAL", "size": -50, "direction": "sell"}, -5.0),
        ("deribit", {"instrument_name": "BTC-PERPETUAL", "size": 50, "direction": "sell"}, -5.0),
        ("deribit", {"instrument_name": "BTC-27MAR26-100000-C", "size": -2.5, "direction": "sell"}, -2.5),
        # OKX: net mode signs the position, hedge mode names the side; sizes are contracts.
        ("okx", {"instId": "BTC-USDT-SWAP", "pos": "-3", "posSide": "net"}, -3.0),
        ("okx", {"instId": "BTC-USDT-SWAP", "pos": "3", "posSide": "short"}, -3.0),
        # Binance signs the amount, in hedge mode too; coin-margined amounts are contracts.
        ("binance", {"symbol": "BTCUSD_PERP", "positionAmt": "-7", "positionSide": "BOTH"}, -7.0),
        ("binance", {"symbol": "BTCUSDT", "positionAmt": "-0.1", "positionSide": "SHORT"}, -0.1),
    ],
)
def test_signs_and_units(venue: str, row: dict[str, Any], wanted: float) -> None:
    assert position(import_answers({"answer": {"result": [row]}}, venue))[1] == wanted


@pytest.mark.parametrize(
    ("venue", "row", "wanted"),
    [
        # Hyperliquid: B bids, A asks; sz is what is left.
        ("hyperliquid", {"coin": "BTC", "side": "A", "sz": "0.2", "limitPx": "9e4", "origSz": "1"}, -0.2),
        ("hyperliquid", {"coin": "BTC", "side": "B", "sz": "0.2", "limitPx": "9e4", "isTrigger": False}, 0.2),
        # Derive, Kraken and dYdX: what is filled is taken off, or left out by the venue.
        (
            "derive",
            {"instrument_name": "ETH-PERP", "direction": "sell", "amount": "2", "filled_amount": "0.5"}
            | {"limit_price": "3500", "average_price": "3400", "order_status": "open"},
            -1.5,
        ),
        (
            "kraken",
            {"symbol": "PI_XBTUSD", "side": "sell", "unfilledSize": 300, "filledSize": 700, "limitPrice": 9e4},
            -300.0,
        ),
        (
            "dydx",
            {"ticker": "BTC-USD", "side": "BUY", "size": "1", "totalFilled": "0.25", "price": "9e4", "status": "OPEN"},
            0.75,
        ),
        (
            "bitmex",
            {"symbol": "XBTUSD", "side": "Sell", "leavesQty": 700, "price": 9e4, "ordStatus": "New", "stopPx": None},
            -700.0,
        ),
    ],
)
def test_signs_and_units_of_open_orders(venue: str, row: dict[str, Any], wanted: float) -> None:
    found = import_answers({"answer": {"result": [row]}}, venue)
    assert [order.signed_quantity for order in found.portfolio.orders] == [wanted]
    assert not found.portfolio.positions


@pytest.mark.parametrize(
    ("venue", "row"),
    [
        ("hyperliquid", {"coin": "BTC", "side": "A", "sz": "1", "limitPx": "9e4", "isTrigger": True}),
        (
            "derive",
            {"instrument_name": "ETH-PERP", "direction": "sell", "amount": "2", "filled_amount": "0"}
            | {"limit_price": "3500", "order_status": "open", "trigger_price": "3450"},
        ),
        (
            "dydx",
            {"ticker": "BTC-USD", "side": "BUY", "size": "1", "totalFilled": "0", "price": "9", "triggerPrice": "8"},
        ),
    ],
)
def test_an_order_that_waits_for_its_trigger_is_named(venue: str, row: dict[str, Any]) -> None:
    found = import_answers({"answer": [row]}, venue)
    assert not found.portfolio.orders
    assert any("waits for its trigger" in field for field in found.unmapped)


@pytest.mark.parametrize(
    ("venue", "row", "wanted"),
    [
        (
            "bitmex",
            {"symbol": "XBTUSD", "currentQty": -300, "avgEntryPrice": 9e4, "crossMargin": True},
            (-300.0, False),
        ),
        ("bitmex", {"symbol": "XBTUSD", "currentQty": 300, "avgEntryPrice": 9e4, "crossMargin": False}, (300.0, True)),
        ("lighter", {"symbol": "ETH", "position": "1.5", "sign": -1, "margin_mode": 1}, (-1.5, True)),
        ("lighter", {"symbol": "ETH", "position": "1.5", "sign": 1, "margin_mode": 0}, (1.5, False)),
    ],
)
def test_signs_and_isolation_of_smaller_venues(venue: str, row: dict[str, Any], wanted: tuple[float, bool]) -> None:
    (found,) = import_answers({"answer": [row]}, venue).portfolio.positions
    assert (found.quantity, found.isolated_group is not None) == wanted


def test_what_dydx_calls_short_is_owed() -> None:
    row = {"USDC": {"size": "12.5", "symbol": "USDC", "side": "SHORT", "assetId": "0"}}
    (balance,) = import_answers({"answer": {"assetPositions": row}}, "dydx").portfolio.balances
    assert (balance.currency, balance.amount) == ("USDC", -12.5)


def test_kraken_currencies_with_a_suffix_are_named() -> None:
    found = import_answers({"answer": {"error": [], "result": {"XXBT": "0.5", "ETH.S": "2"}}}, "kraken")
    assert [(row.currency, row.amount) for row in found.portfolio.balances] == [("BTC", 0.5)]
    assert found.unmapped == ("answer.result.ETH.S",)


# ccxt.deribit passes the venue's size on as contracts: dollars, and negative for a short.
@pytest.mark.parametrize("contracts", [50.0, -50.0])
def test_ccxt_sizes_take_their_sign_from_the_side(contracts: float) -> None:
    row = {"symbol": "BTC/USD:BTC", "contracts": contracts, "contractSize": 10.0, "side": "short", "info": {"size": 1}}
    found = import_answers({"positions": [row]}, "deribit", ccxt=True)
    assert position(found) == ("deribit:BTC/USD:BTC", -5.0)
    assert found.unmapped == ("positions[].info",)


def test_ccxt_balance_and_order() -> None:
    balance = {"total": {"BTC": 1.5, "USDT": 0.0}, "free": {"BTC": 1.0}, "used": {"BTC": 0.5}, "BTC": {"total": 1.5}}
    order = {"symbol": "BTC/USDT:USDT", "side": "sell", "remaining": 2.0, "price": 9e4, "reduceOnly": True}
    found = import_answers({"balance": balance, "orders": [order]}, "okx", ccxt=True).portfolio
    assert [(row.currency, row.amount) for row in found.balances] == [("BTC", 1.5)]
    assert [(row.signed_quantity, row.price, row.reduce_only) for row in found.orders] == [(-2.0, 9e4, True)]


def test_an_order_without_a_price_is_named() -> None:
    order = {"symbol": "BTC/USDT:USDT", "side": "sell", "remaining": 2.0, "price": None}
    found = import_answers({"orders": [order]}, "okx", ccxt=True)
    assert not found.portfolio.orders
    assert found.unmapped == ("orders[]: the order in BTC/USDT:USDT has no limit price",)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([{"instId": "WHAT-EVER", "pos": "1", "posSide": "net"}], "WHAT-EVER"),
        ([{"instId": "BTC-USDT", "instType": "MARGIN", "pos": "1", "posSide": "net"}], "margin loan"),
        ({"code": "50111", "msg": "Invalid OK-ACCESS-KEY"}, "must not be an error"),
        ({"code": "0", "server": "up"}, "holds none"),
        ([{"ccy": "BTC", "cashBal": "1"}, {"ccy": "BTC", "cashBal": "1"}], "stated once"),
        ([{"ccy": "BTC", "cashBal": "much"}], "must be a number"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(answer: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        import_answers({"answer": answer}, "okx")
