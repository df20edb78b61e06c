"""Simulated portfolios through ccxt's private calls, and the risk matrix against the venue's own example."""

import json

import msgspec
import pytest

from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.native_names import parse_native
from crossmargin.margin.deribit_portfolio import METHOD, CurrencyParameters, PairParameters
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Portfolio, Position
from crossmargin.service.deribit.risk_matrix import matrix_record

ccxt = pytest.importorskip("ccxt")


def _simulated(client, **params):
    return client.request("simulate_portfolio", "private", "GET", {"currency": "BTC", **params})["result"]


def test_a_portfolio_simulated_as_it_is_has_the_figures_of_the_account(client):
    held = client.private_get_get_account_summary({"currency": "BTC"})["result"]
    found = _simulated(client)
    for name in (
        "balance",
        "equity",
        "initial_margin",
        "maintenance_margin",
        "margin_balance",
        "delta_total",
        "total_pl",
    ):
        assert float(found[name]) == pytest.approx(float(held[name]), rel=1e-6, abs=1e-7), name


def test_a_simulated_trade_moves_what_it_should(client):
    """One coin more at the mark: a delta of one (of the index, at the mark) and more margin; equity stays."""
    now = _simulated(client)
    later = _simulated(client, simulated_positions=json.dumps({"BTC-PERPETUAL": 1.0}))
    assert float(later["delta_total"]) - float(now["delta_total"]) == pytest.approx(95000 / 95010, rel=1e-9)
    assert float(later["initial_margin"]) > float(now["initial_margin"])
    assert float(later["equity"]) == pytest.approx(float(now["equity"]), abs=1e-9)
    option = _simulated(client, simulated_positions=json.dumps({"BTC-27MAR26-100000-C": 1.0}))
    assert float(option["equity"]) == pytest.approx(float(now["equity"]), abs=1e-9)
    assert float(option["balance"]) - float(now["balance"]) == pytest.approx(-0.025, abs=1e-9)
    alone = _simulated(client, add_positions="false")
    assert (float(alone["initial_margin"]), float(alone["delta_total"])) == (pytest.approx(0, abs=1), 0)


def test_margin_of_an_order_is_what_the_engine_would_ask(client):
    ask = {"instrument_name": "BTC-PERPETUAL", "amount": 100_000, "price": 95010}
    found = client.private_get_get_margins(ask)["result"]
    assert float(found["buy"]) > 0
    assert float(found["min_price"]) == 47505.0  # half the mark, on the tick
    now = client.private_get_get_account_summary({"currency": "BTC"})["result"]
    coins = 100_000 / 95000
    later = _simulated(client, simulated_positions=json.dumps({"BTC-PERPETUAL": coins}))
    more = float(later["initial_margin"]) - float(now["initial_margin"])
    assert float(found["buy"]) == pytest.approx(more, rel=1e-9)


def test_risk_matrix_over_the_wire(client):
    found = client.request("pme/simulate", "private", "GET", {"currency": "BTC"})["result"]
    assert set(found["initial_risk_vectors"]) == {"BTC-PERPETUAL", "BTC-27MAR26-100000-C", "BTC-27MAR26-90000-P"}
    assert [len(found["aggregated_risk_vectors"]["btc_btc"][name]) for name in ("standard", "extended")] == [27, 8]
    details = found["margins"]["btc"]
    assert float(details["maintenance_margin"]) == pytest.approx(0.8 * float(details["initial_margin"]))
    crossed = client.request("pme/simulate", "private", "GET", {"currency": "CROSS"})["result"]
    assert {"btc", "usdc"} == set(crossed["margins"])


def test_risk_matrix_is_the_venues_own(shared, record_property):
    """The response example of docs.deribit.com private/pme/simulate: every vector and the risk-matrix margin."""
    path = shared / "vectors/deribit_pm/pme_simulate_example.json"
    example = json.loads(path.read_text())["result"]
    index, marks = example["index_price"]["btc_usd"], example["ticker"]
    contracts = {name: parse_native("deribit", name) for name in example["portfolio"]["position"]}
    market = MarketSnapshot(
        time_ns=example["model_params"]["general"]["timestamp"] * 1_000_000,
        index={"BTC": Price(index)},
        marks={contract.id: Price(marks[name]["mark_price"]) for name, contract in contracts.items()},
    )
    book = Portfolio(
        account="a",
        positions=tuple(
            Position(instrument=contract, quantity=example["portfolio"]["position"][name] * index / 10)
            for name, contract in contracts.items()
        ),
    )
    params = example["model_params"]
    ours = read_parameters(METHOD)
    terms = {key: params["currency"]["btc"][key] for key in CurrencyParameters.__struct_fields__}
    parameters = msgspec.structs.replace(
        ours,
        pairs={"BTC": msgspec.convert(params["currency_pair"]["btc_usd"], PairParameters)},
        currencies={"BTC": msgspec.convert(terms, CurrencyParameters)},
        haircuts={"BTC": 0.0},
    )
    found = matrix_record(book, market, parameters, "BTC")
    for vectors in ("initial_risk_vectors", "aggregated_risk_vectors"):
        assert set(found[vectors]) == set(example[vectors])
        for name, tables in example[vectors].items():
            for table, values in tables.items():
                assert found[vectors][name][table] == pytest.approx(values, abs=1e-12), (vectors, name, table)
    theirs = example["margins"]["btc"]["initial_margin_details"]
    details = found["margins"]["btc"]["initial_margin_details"]
    assert details["risk_matrix_margin"] == pytest.approx(theirs["risk_matrix_margin"], abs=5e-10)
    for name, value in theirs["risk_matrix_margin_details"].items():
        assert details["risk_matrix_margin_details"][name] == (
            value if isinstance(value, dict) else pytest.approx(value, abs=5e-10)
        ), name
    assert found["portfolio"]["position"] == pytest.approx(example["portfolio"]["position"])
    assert set(found) == set(example)
    record_property("outside_cases", 1)
