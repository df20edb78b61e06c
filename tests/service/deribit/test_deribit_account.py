"""Private reading methods, asked by ccxt's own client over HTTP."""

import json

import pytest

ccxt = pytest.importorskip("ccxt")


def test_balance_is_the_ledgers_and_margins_are_the_engines(client, writer):
    """Alice: 10 BTC less the premium of two calls at 0.03 and a put at 0.02, plus what the positions are worth now."""
    found = client.fetch_balance()
    upl = 1000 * 10 * (1 / 94000 - 1 / 95010)
    assert found["BTC"]["total"] == pytest.approx(10 - 0.08 + upl + 2 * 0.025 + 0.02, abs=1e-7)
    assert found["USDC"]["total"] == pytest.approx(100000, abs=1e-6)  # the linear perpetual stands where it was entered
    health = writer.engine.health("alice")
    assert found["BTC"]["used"] == pytest.approx(health.maintenance / 95000, rel=1e-9)
    assert found["BTC"]["free"] == pytest.approx((health.equity - health.initial) / 95000, rel=1e-9)
    raw = client.private_get_get_account_summary({"currency": "USDC"})["result"]
    assert float(raw["margin_balance"]) == pytest.approx(health.equity, rel=1e-9)
    assert float(raw["total_equity_usd"]) == pytest.approx(health.worth, rel=1e-9)


def test_positions(client):
    found = {row["symbol"]: row for row in client.fetch_positions()}
    assert len(found) == 4
    perpetual = found["BTC/USD:BTC"]
    assert (perpetual["side"], perpetual["contracts"], perpetual["markPrice"]) == ("long", 10000, 95010)
    assert perpetual["entryPrice"] == pytest.approx(94000, abs=0.01)
    assert perpetual["unrealizedPnl"] == pytest.approx(10000 * (1 / 94000 - 1 / 95010), abs=1e-7)
    assert perpetual["notional"] == pytest.approx(10000 / 95010)
    assert 0 < perpetual["maintenanceMargin"] <= perpetual["initialMargin"]
    call = client.fetch_position("BTC/USD:BTC-260327-100000-C")
    assert (call["contracts"], call["entryPrice"]) == (2, 0.03)
    assert call["unrealizedPnl"] == pytest.approx(2 * (0.025 - 0.03), abs=1e-9)
    assert client.fetch_position("ETH/USD:ETH")["contracts"] == 0
    assert {row["symbol"] for row in client.fetch_positions(params={"currency": "USDC"})} == {"BTC/USDC:USDC"}


def test_delta_is_that_of_the_parts(client):
    """Futures at the mark, options at the delta that `fetch_greeks` states."""
    raw = client.private_get_get_account_summary({"currency": "BTC"})["result"]
    call, put = (client.fetch_greeks(f"BTC/USD:BTC-260327-{name}")["delta"] for name in ("100000-C", "90000-P"))
    assert float(raw["options_delta"]) == pytest.approx(2 * call + put, abs=1e-4)
    assert float(raw["delta_total"]) == pytest.approx(10000 / 95010 + 2 * call + put, abs=1e-4)
    assert float(raw["delta_total_map"]["btc_usd"]) == pytest.approx(float(raw["delta_total"]))


def test_the_other_side_holds_the_opposite(port, client):
    other = type(client)({"apiKey": "bob", "secret": "none"})
    other.urls["api"] = client.urls["api"]
    found = {row["symbol"]: row for row in other.fetch_positions()}
    assert found["BTC/USD:BTC"]["side"] == "short"
    mine = client.fetch_position("BTC/USD:BTC")["unrealizedPnl"]
    assert found["BTC/USD:BTC"]["unrealizedPnl"] == pytest.approx(-mine, abs=1e-8)


def test_summary_has_the_venues_fields(client, shared, record_property):
    """Every figure of a recorded cross-collateral summary is in ours, and its relations between figures hold in ours."""
    path = shared / "data/recorded/venue_answers/deribit/http_get_account_summaries_cross_margin.json"
    recorded = json.loads(path.read_text())["result"]
    ours = client.private_get_get_account_summaries()["result"]
    assert set(recorded) - set(ours) <= {
        "block_rfq_self_match_prevention", "self_trading_reject_mode", "self_trading_extended_to_subaccounts",
    }  # fmt: skip
    assert set(recorded["summaries"][0]) <= set(ours["summaries"][0])
    both = [*recorded["summaries"], *ours["summaries"]]
    for row in both:
        free = float(row["margin_balance"]) - float(row["initial_margin"])
        assert float(row["available_funds"]) == pytest.approx(free, abs=2e-5 + 1e-9 * abs(free))
        if float(row["margin_balance"]):
            price = float(row["total_margin_balance_usd"]) / float(row["margin_balance"])
            assert float(row["initial_margin"]) * price == pytest.approx(
                float(row["total_initial_margin_usd"]), rel=2e-3
            )
    record_property("outside_cases", len(recorded["summaries"]))


def test_who_nobody_knows_is_refused(port, client):
    stranger = type(client)({"apiKey": "nobody", "secret": "none"})
    stranger.urls["api"] = client.urls["api"]
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fetch_balance()
    with pytest.raises(ccxt.AuthenticationError):
        client.public_get_auth({"grant_type": "refresh_token", "refresh_token": "made up"})


def test_tokens_open_what_credentials_do(port, client):
    import requests

    url = f"http://127.0.0.1:{port}/api/v2/"
    token = client.public_get_auth({"grant_type": "client_credentials", "client_id": "alice", "client_secret": "none"})[
        "result"
    ]["access_token"]
    body = {"jsonrpc": "2.0", "id": 7, "method": "private/get_positions", "params": {"currency": "BTC"}}
    answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=120).json()
    assert (answer["id"], len(answer["result"])) == (7, 3)
    refused = requests.post(url, json=body, timeout=120)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 13009)
    assert requests.post(url, data="{", timeout=120).json()["error"]["code"] == -32700
