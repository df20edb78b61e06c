"""Live imports against a venue on the loopback: recorded answers in, a book out, and no key that can do harm."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import run as run
from tests.feeds.conftest import PlayedVenue

Run = Callable[..., tuple[int, str, str]]
KEY, SECRET, PASSPHRASE = "key-7Qm2", "secret/with+signs=9", "pass phrase"

pytest.importorskip("ccxt")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BINANCE", "BYBIT", "DERIBIT", "OKX"):
        monkeypatch.setenv(f"CROSSMARGIN_{name}_KEY", KEY)
        monkeypatch.setenv(f"CROSSMARGIN_{name}_SECRET", SECRET)
    monkeypatch.setenv("CROSSMARGIN_OKX_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CROSSMARGIN_HYPERLIQUID_WALLET", "0x" + "ab" * 20)


# What each venue says of a key that only reads, in the fields of its public reference.
BINANCE_FLAGS = ("Withdrawals", "InternalTransfer", "Margin", "Futures", "VanillaOptions", "SpotAndMarginTrading")
BINANCE_READS = {"ipRestrict": False, "enableReading": True, "enableFixReadOnly": True} | {
    f"enable{name}": False for name in BINANCE_FLAGS
}
OKX_READS = {"code": "0", "data": [{"uid": "1", "acctLv": "3", "perm": "read_only"}], "msg": ""}
BYBIT_READS = {
    "retCode": 0,
    "result": {"readOnly": 1, "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": []}},
}
DERIBIT_READS = {
    "jsonrpc": "2.0",
    "result": {"scope": "account:read trade:read wallet:none connection", "expires_in": 900, "access_token": "t"},
}
EMPTY = {"retCode": 0, "retMsg": "OK", "result": {"list": [], "nextPageCursor": ""}}


def recorded(shared: Path, name: str) -> Any:
    return json.loads((shared / "data/recorded/venue_answers" / name).read_text(encoding="utf-8"))


def live(run: Run, venue: PlayedVenue, name: str) -> dict[str, Any]:
    """Return the import as JSON, once no secret was found in what was printed or sent."""
    code, out, err = run("import", "--live", name, "--endpoint", venue.url, "--json")
    assert (code, err) == (0, "")
    for secret in (SECRET, "secret%2Fwith%2Bsigns%3D9"):
        assert secret not in out
        assert not any(secret in request for request in venue.sent)
    return json.loads(out)  # type: ignore[no-any-return]


def held(record: dict[str, Any]) -> dict[str, float]:
    return {row["instrument"]: row["quantity"] for row in record["book"]["positions"]}


def test_binance(run: Run, venue: PlayedVenue, shared: Path) -> None:
    account = recorded(shared, "binance/futures__http_json__account_info_v2.json")
    order = {"symbol": "BTCUSDT", "side": "SELL", "origQty": "0.01", "executedQty": "0.004", "price": "99000"}
    venue.answers = {
        "/sapi/v1/account/apiRestrictions": BINANCE_READS,
        "/fapi/v2/account": account,
        "/fapi/v1/openOrders": [{**order, "positionSide": "BOTH", "reduceOnly": True, "orderId": 1}],
    }
    record = live(run, venue, "binance")
    assert {row["currency"]: row["amount"] for row in record["book"]["balances"]} == {"USDT": 23.72469206}
    (margin,) = record["venue_margin"]
    assert margin["initial"] == float(account["totalInitialMargin"])
    (placed,) = record["book"]["orders"]
    assert (placed["quantity"], placed["side"], placed["reduce_only"]) == (pytest.approx(0.006), "sell", True)
    assert all("signature=" in path for path in venue.asked)


def test_okx(run: Run, venue: PlayedVenue, shared: Path) -> None:
    venue.answers = {
        "/api/v5/account/config": OKX_READS,
        "/api/v5/account/balance": recorded(shared, "okx/http_get_account_balance.json"),
        "/api/v5/account/positions": recorded(shared, "okx/http_get_positions.json"),
        "/api/v5/trade/orders-pending": {"code": "0", "data": [], "msg": ""},
    }
    record = live(run, venue, "okx")
    assert held(record) == {"okx:BTC/USDT:USDT": 0.5}
    assert {row["currency"]: row["amount"] for row in record["book"]["balances"]} == {"USDT": 94.42612990333333}


def test_bybit_follows_its_pages(run: Run, venue: PlayedVenue, shared: Path) -> None:
    positions = recorded(shared, "bybit/http_get_positions.json")
    first = {**positions, "result": {"list": positions["result"]["list"][:1], "nextPageCursor": "p2"}}
    second = {**positions, "result": {"list": positions["result"]["list"][1:], "nextPageCursor": ""}}

    def listed(path: str) -> Any:
        if "settleCoin=USDT" not in path:
            return EMPTY
        return second if "cursor=p2" in path else first

    venue.answers = {
        "/v5/user/query-api": BYBIT_READS,
        "/v5/account/wallet-balance": recorded(shared, "bybit/http_get_wallet_balance_spot_short.json"),
        "/v5/position/list": listed,
        "/v5/order/realtime": EMPTY,
    }
    record = live(run, venue, "bybit")
    assert held(record) == {"bybit:BTC/USDT:USDT": 0.5, "bybit:ETH/USDT:USDT": -5.0}
    assert {row["currency"]: row["amount"] for row in record["book"]["balances"]} == {"ETH": -0.06142, "USDT": 2500.0}


def test_deribit(run: Run, venue: PlayedVenue, shared: Path) -> None:
    row = {"instrument_name": "BTC-PERPETUAL", "size": -50.0, "direction": "sell", "average_price": 9e4}
    order = {"instrument_name": "BTC-PERPETUAL", "direction": "buy", "amount": 30.0, "filled_amount": 10.0}
    venue.answers = {
        "/api/v2/public/auth": DERIBIT_READS,
        "/api/v2/private/get_account_summaries": recorded(shared, "deribit/http_get_account_summaries.json"),
        "/api/v2/private/get_positions": {"jsonrpc": "2.0", "result": [row]},
        "/api/v2/private/get_open_orders": {"jsonrpc": "2.0", "result": [{**order, "price": 8e4}]},
    }
    record = live(run, venue, "deribit")
    assert held(record) == {"deribit:BTC/USD:BTC": -5.0}
    assert [row["quantity"] for row in record["book"]["orders"]] == [2.0]
    assert {row["currency"]: row["amount"] for row in record["book"]["balances"]} == {"BTC": 302.60065765, "ETH": 100.0}


def test_hyperliquid_needs_no_key(run: Run, venue: PlayedVenue, shared: Path) -> None:
    path = shared / "data/recorded/api_doc_examples/hyperliquid.net/Futures__Account__GetAccountInfo.txt"
    state = json.loads(path.read_text(encoding="utf-8").split("\n", 3)[3])
    venue.answers = {"/info": lambda asked: state if "clearinghouseState" in asked else []}
    assert held(live(run, venue, "hyperliquid")) == {"hyperliquid:HYPE/USDC:USDC": 2.0}


@pytest.mark.parametrize(
    ("name", "path", "answer", "says"),
    [
        ("binance", "/sapi/v1/account/apiRestrictions", BINANCE_READS | {"enableWithdrawals": True}, "enableWithdr"),
        ("binance", "/sapi/v1/account/apiRestrictions", BINANCE_READS | {"enableNewTrading": True}, "enableNewTrad"),
        ("binance", "/sapi/v1/account/apiRestrictions", {"ipRestrict": True}, "does not say"),
        ("okx", "/api/v5/account/config", {"code": "0", "data": [{"perm": "read_only,trade"}]}, "may trade"),
        ("okx", "/api/v5/account/config", {"code": "0", "data": [{"perm": "withdraw"}]}, "may withdraw"),
        ("okx", "/api/v5/account/config", {"code": "0", "data": []}, "does not say"),
        (
            "bybit",
            "/v5/user/query-api",
            {"retCode": 0, "result": {"readOnly": 0, "permissions": {"Wallet": ["Withdraw"]}}},
            "Wallet Withdraw",
        ),
        ("bybit", "/v5/user/query-api", {"retCode": 0, "result": {}}, "does not say"),
        ("deribit", "/api/v2/public/auth", {"result": {"scope": "account:read trade:read_write"}}, "trade:read_write"),
        ("deribit", "/api/v2/public/auth", {"result": {"scope": "account:read wallet:read_write"}}, "wallet:read_wri"),
        ("deribit", "/api/v2/public/auth", {"result": {}}, "does not say"),
    ],
)
def test_a_key_that_may_do_more_is_refused_and_asked_nothing_else(
    run: Run, venue: PlayedVenue, name: str, path: str, answer: Any, says: str
) -> None:
    venue.answers = {path: answer}
    code, out, err = run("import", "--live", name, "--endpoint", venue.url)
    assert (code, out) == (2, "")
    assert "must only read" in err
    assert says in err
    assert [asked.partition("?")[0] for asked in venue.asked] == [path]


def test_a_refusal_of_the_venue_shows_no_secret(run: Run, venue: PlayedVenue) -> None:
    venue.answers = {
        "/sapi/v1/account/apiRestrictions": {"code": -2015, "msg": f"no rights for {KEY} signed with {SECRET}"}
    }
    venue.status = 401
    code, out, err = run("import", "--live", "binance", "--endpoint", venue.url)
    assert (code, out) == (2, "")
    assert "must answer account/apiRestrictions" in err
    for secret in (KEY, SECRET, "signature="):
        assert secret not in err


def test_a_venue_that_is_not_there_shows_no_secret(run: Run) -> None:
    code, _, err = run("import", "--live", "okx", "--endpoint", "http://127.0.0.1:9")
    assert (code, "must answer account/config" in err) == (2, True)
    for secret in (KEY, SECRET, PASSPHRASE):
        assert secret not in err


def test_what_is_not_set_is_named_and_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSMARGIN_OKX_PASSPHRASE")
    code, _, err = run("import", "--live", "okx")
    assert code == 2
    assert "not set: CROSSMARGIN_OKX_PASSPHRASE" in err
    assert SECRET not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--live", "nowhere"], "must be one of binance"),
        (["--live", "okx", "--venue", "okx"], "takes no files"),
        (["--live", "okx", "--endpoint", "ftp://x"], "http or https"),
        (["--endpoint", "http://x", "--venue", "okx"], "takes no --endpoint"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: list[str], says: str) -> None:
    code, _, err = run("import", *arguments)
    assert (code, says in err) == (2, True)
