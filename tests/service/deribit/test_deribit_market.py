"""Public methods, asked by ccxt's own client over HTTP."""

import pytest

ccxt = pytest.importorskip("ccxt")

OPTION = "BTC/USD:BTC-260327-100000-C"


def test_markets_load(client):
    assert set(client.symbols) == {
        "BTC/USD:BTC", "ETH/USD:ETH", "BTC/USDC:USDC", "BTC/USD:BTC-260327", OPTION, "BTC/USD:BTC-260327-90000-P",
        "BTC/USDC",
    }  # fmt: skip
    perpetual, option = client.market("BTC/USD:BTC"), client.market(OPTION)
    assert (perpetual["inverse"], perpetual["contractSize"], perpetual["precision"]["amount"]) == (True, 10, 10)
    assert (option["strike"], option["optionType"], option["precision"]["amount"]) == (100000, "call", 0.1)
    assert client.market("BTC/USDC:USDC")["linear"]


def test_time_and_currencies(client):
    assert client.fetch_time() == pytest.approx(client.milliseconds(), abs=10_000)
    assert set(client.fetch_currencies()) == {"BTC", "ETH", "USDC"}
    assert client.fetch_status()["status"] == "ok"


def test_ticker_and_book(client):
    seen = client.fetch_ticker("BTC/USD:BTC")
    assert (seen["bid"], seen["ask"], seen["markPrice"], seen["indexPrice"]) == (94990, 95030, 95010, 95000)
    assert seen["last"] == 94000
    book = client.fetch_order_book("BTC/USD:BTC")
    assert book["bids"] == [[94990, 3000], [94980, 1000]]  # contracts of 10 USD
    assert book["asks"] == [[95030, 2000]]


def test_greeks_are_those_of_black_76(client):
    """d1 of F = 95,500, K = 100,000, vol 0.45, 17 days 8 h: worked by the closed form of Black (1976)."""
    from math import erf, exp, log, pi, sqrt

    years = (17 + 8 / 24) / 365
    d1 = log(95500 / 100000) / (0.45 * sqrt(years)) + 0.5 * 0.45 * sqrt(years)
    d2 = d1 - 0.45 * sqrt(years)
    seen = client.fetch_greeks(OPTION)
    assert seen["delta"] == pytest.approx(0.5 * (1 + erf(d1 / sqrt(2))), abs=1e-5)
    density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
    assert seen["vega"] == pytest.approx(95500 * density * sqrt(years) / 100, abs=1e-4)
    assert seen["gamma"] == pytest.approx(density / (95500 * 0.45 * sqrt(years)), abs=1e-8)
    assert seen["rho"] == pytest.approx(100000 * years * 0.5 * (1 + erf(d2 / sqrt(2))) / 100, rel=1e-4)
    assert (seen["markImpliedVolatility"], seen["underlyingPrice"], seen["markPrice"]) == (45.0, 95500, 0.025)
    assert seen["askImpliedVolatility"] > 45


def test_option_chain(client):
    chain = client.fetch_option_chain("BTC")
    assert set(chain) == {OPTION, "BTC/USD:BTC-260327-90000-P"}
    assert chain[OPTION]["askPrice"] == 0.026
    assert chain[OPTION]["openInterest"] == 2
    assert client.fetch_option(OPTION)["markPrice"] == 0.025


def test_what_is_not_there_raises_ccxts_own_exceptions(client):
    with pytest.raises(ccxt.BadSymbol):
        client.fetch_ticker("DOGE/USD:DOGE")
    with pytest.raises(ccxt.ExchangeError, match="not_found"):
        client.public_get_ticker({"instrument_name": "BTC-1JAN40-5-C"})
    with pytest.raises(ccxt.BadRequest):
        client.public_get_get_index({"currency": "BTC"})
    with pytest.raises(ccxt.BadRequest):
        client.public_get_get_instruments({"currency": "NONE"})
