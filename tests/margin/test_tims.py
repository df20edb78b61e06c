"""The OCC-style grid by hand, against a naive loop, and the laws it breaks."""

import math

import numpy as np
import pytest
from held_books import book_of

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_market
from crossmargin.instruments.contracts import Option
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import tims
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Order, Side
from crossmargin.pricing.valuation import model_price
from crossmargin.units import Currency, years_between

PRICES = {"BTC": 100_000.0, "ETH": 3_000.0, "USDT": 1.0, "USDC": 1.0}
MARKET = MarketSnapshot(time_ns=0, index={Currency(coin): Price(price) for coin, price in PRICES.items()})
PARAMETERS = read_parameters(tims.METHOD)
BTC = "binance:BTC/USDT:USDT"


def margined(market: MarketSnapshot, held: dict[str, float], *orders: Order, **cash: float) -> Requirement:
    return requirements((book_of(held, *orders, **cash),), market, tims.METHOD, PARAMETERS)[0]


def test_the_page_s_example() -> None:
    alone = margined(MARKET, {}, BTC=1.0)
    assert (alone.initial, alone.maintenance, alone.equity) == pytest.approx((15_000.0, 15_000.0, 100_000.0))
    assert alone.worst_scenario == "BTC: prices -15 %"
    assert margined(MARKET, {BTC: -1.0}, BTC=1.0).maintenance == pytest.approx(0.375)


def test_the_moves_are_ten_and_equidistant() -> None:
    moves = tims.scenarios(MARKET, PARAMETERS).price_factor[0] - 1.0
    assert moves == pytest.approx([-0.15, -0.12, -0.09, -0.06, -0.03, 0.03, 0.06, 0.09, 0.12, 0.15])


def test_underlyings_add_up() -> None:
    # a fall of one and a rise of the other, each at its own worst
    result = margined(MARKET, {BTC: 1.0, "binance:ETH/USDT:USDT": -10.0}, USDT=1e5)
    assert result.maintenance == pytest.approx(15_000.0 + 4_500.0)


def test_identical_opposite_legs_still_need_the_minimum() -> None:
    assert margined(MARKET, {BTC: 1.0, "bybit:BTC/USDT:USDT": -1.0}, USDT=1e5).maintenance == pytest.approx(0.75)


def test_an_inverse_contract_s_minimum_is_on_its_coins() -> None:
    # 10 contracts of 10 USD at 100,000, short against a thousandth of a coin
    name = "deribit:BTC/USD:BTC"
    size = parse_contract(name).contract_size_float
    result = margined(MARKET, {name: -100.0 / size}, BTC=0.001)
    assert result.maintenance == pytest.approx(0.375 * 0.001)


def test_a_short_put_against_a_naive_loop() -> None:
    market = sample_market()
    option = parse_contract("deribit:BTC/USD:BTC-260327-85000-P")
    assert isinstance(option, Option)
    index = market.index_price(Currency("BTC"))
    forward, vol = market.forward(option.underlying, option.expiry_ns), market.vol(option)
    root = vol * math.sqrt(years_between(market.time_ns, option.expiry_ns))

    def normal(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2.0))

    def put(future: float) -> float:
        first = math.log(future / option.strike_float) / root + root / 2.0
        return option.strike_float * normal(root - first) - future * normal(-first)

    # an inverse option is worth its dollar price over the forward, in coins, each worth the moved index
    now = put(forward) / forward * index
    moves = [share * 0.03 for share in range(-5, 6) if share]
    worst = max(put(forward * (1.0 + move)) / forward * index - now for move in moves)
    assert model_price(option, market) * index == pytest.approx(now)
    # the rest of the book is dollars, which stand still
    assert margined(market, {option.id: -2.0}, USDC=1e6).maintenance == pytest.approx(2.0 * worst, rel=1e-9)


def test_a_rise_of_vols_costs_a_short_straddle_nothing() -> None:
    assert np.count_nonzero(tims.scenarios(MARKET, PARAMETERS).vol_shock) == 0


def test_the_worst_fills_of_orders_are_margined() -> None:
    order = Order(instrument=parse_contract(BTC), side=Side.SELL, quantity=3.0, price=100_000.0)
    result = margined(MARKET, {BTC: 1.0}, order, USDT=1e6)
    assert (result.initial, result.maintenance) == pytest.approx((30_000.0, 15_000.0))


def test_a_contract_on_two_underlyings_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="the quanto"):
        margined(MARKET, {"bitmex:ETH/USD:BTC": 1.0}, USDT=1.0)
