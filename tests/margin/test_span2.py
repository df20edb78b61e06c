"""SPAN 2 style margin: a worked history, and the laws it breaks."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import span2
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency

DAYS = 100
DAY_NS = 86_400 * 10**9
BTC, ETH = "binance:BTC/USDT:USDT", "binance:ETH/USDT:USDT"
SHORT = msgspec.structs.replace(read_parameters(span2.METHOD), horizon=1, lookback=DAYS, minimum_dates=20)
"""The shipped parameters on a history of a hundred days."""


def market(falls: dict[str, dict[int, float]]) -> MarketSnapshot:
    """Return a market whose coins rose 1 % on every day but those named; dollars stood still."""
    coins = [*falls, "USDT"]
    moves = np.full((len(coins), DAYS), 1.01)
    moves[-1] = 1.0
    for row, days in enumerate(falls.values()):
        for day, move in days.items():
            moves[row, day] = 1.0 + move
    prices = np.concatenate([np.ones((len(coins), 1)), np.cumprod(moves, axis=1)], axis=1)
    return MarketSnapshot(
        time_ns=DAYS * DAY_NS,
        index={Currency(coin): Price(1.0 if coin == "USDT" else 100_000.0) for coin in coins},
        history=PriceHistory(
            times_ns=np.arange(DAYS + 1) * DAY_NS, currencies=tuple(map(Currency, coins)), prices=prices
        ),
    )


WORKED = market({"BTC": {10: -0.2, 50: -0.1}})


def margined(
    snapshot: MarketSnapshot, parameters: span2.Span2Parameters, held: dict[str, float], *orders: Order
) -> Requirement:
    book = Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=Currency("USDT"), amount=1e6),),
        positions=tuple(Position(instrument=parse_contract(name), quantity=size) for name, size in held.items()),
        orders=orders,
    )
    return requirements((book,), snapshot, span2.METHOD, parameters)[0]


def test_the_page_s_example() -> None:
    result = margined(WORKED, SHORT, {BTC: 1.0})
    assert result.measures == pytest.approx({"HVaR": 10_000.0, "stress": 35_000.0})
    liquidity = 100_000.0 * (0.0005 + 0.02 * math.sqrt(100_000.0 / 13.7e9))
    assert result.maintenance == pytest.approx(16_250.0 + liquidity)
    assert result.maintenance == pytest.approx(16_305.40, abs=0.005)
    assert result.initial == pytest.approx(1.1 * result.maintenance)
    assert result.worst_scenario.startswith("crash")


def test_a_short_is_stressed_the_other_way() -> None:
    # it loses 1 % on 98 days, and 30 % in the squeeze
    result = margined(WORKED, SHORT, {BTC: -1.0})
    assert result.measures == pytest.approx({"HVaR": 1_000.0, "stress": 30_000.0})


def test_stresses_have_no_probability() -> None:
    scenarios = span2.scenarios(WORKED, SHORT)
    assert scenarios.weights[-len(SHORT.stresses) :].tolist() == [0.0] * len(SHORT.stresses)
    assert scenarios.weights.sum() == pytest.approx(1.0)


def test_netting_may_cost() -> None:
    # each coin falls on one day of a hundred, which 99 % leaves out; together there are two such days
    snapshot = market({"BTC": {10: -0.2}, "ETH": {50: -0.2}})
    only_past = msgspec.structs.replace(SHORT, historical_weight=1.0)
    one = margined(snapshot, only_past, {BTC: 1.0}).measures["HVaR"]
    other = margined(snapshot, only_past, {ETH: 1.0}).measures["HVaR"]
    both = margined(snapshot, only_past, {BTC: 1.0, ETH: 1.0}).measures["HVaR"]
    assert (one, other) == (0.0, 0.0)
    # the second coin rose 1 % that day
    assert both == pytest.approx(20_000.0 - 1_000.0)


def test_twice_the_book_needs_more_than_twice() -> None:
    assert margined(WORKED, SHORT, {BTC: 200.0}).maintenance > 2.0 * margined(WORKED, SHORT, {BTC: 100.0}).maintenance


def test_a_crowded_book_pays_for_it() -> None:
    # 20,000 BTC are 2bn; a tenth of 13.7bn is free, and a tenth of the rest is charged
    parts = {part.name: part.amount for part in margined(WORKED, SHORT, {BTC: 20_000.0}).maintenance_components}
    assert parts["BTC concentration"] == pytest.approx(0.1 * (2e9 - 1.37e9))


def test_the_worst_fills_of_orders_are_margined() -> None:
    order = Order(instrument=parse_contract(BTC), side=Side.BUY, quantity=1.0, price=100_000.0)
    assert margined(WORKED, SHORT, {BTC: 1.0}, order).initial == pytest.approx(
        margined(WORKED, SHORT, {BTC: 2.0}).initial
    )
    assert margined(WORKED, SHORT, {BTC: -1.0}, order).initial == pytest.approx(
        margined(WORKED, SHORT, {BTC: -1.0}).initial
    )


@pytest.mark.parametrize(
    ("name", "match"),
    [("binance:PEPE/USDT:USDT", "liquidity of PEPE"), (ETH, "none for ETH"), ("binance:BTC/USDT", "was given")],
)
def test_what_it_cannot_hold_is_refused_by_name(name: str, match: str) -> None:
    index = {**WORKED.index, **{Currency(coin): Price(1.0) for coin in ("ETH", "PEPE")}}
    with pytest.raises(InputError, match=match):
        margined(replace(WORKED, index=index), SHORT, {name: 1.0})


def test_a_market_without_history_is_refused() -> None:
    with pytest.raises(InputError, match="needs a price history"):
        margined(replace(WORKED, history=None), SHORT, {BTC: 1.0})
