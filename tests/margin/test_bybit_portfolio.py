"""Bybit portfolio margin by hand, and what it refuses."""

import pytest
from held_books import book_of

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import bybit_portfolio
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Order, Side
from crossmargin.units import Currency

PRICES = {"BTC": 100_000.0, "ETH": 3_000.0, "USDT": 1.0, "USDC": 1.0}
MARKET = MarketSnapshot(time_ns=0, index={Currency(coin): Price(price) for coin, price in PRICES.items()})
PARAMETERS = read_parameters(bybit_portfolio.METHOD)


def margined(held: dict[str, float], *orders: Order, **cash: float) -> Requirement:
    return requirements((book_of(held, *orders, **cash),), MARKET, bybit_portfolio.METHOD, PARAMETERS)[0]


def test_the_page_s_example() -> None:
    # 10 % of 100,000 and 0.5 % of it; initial 1.2 times
    result = margined({"bybit:BTC/USDT:USDT": 1.0}, USDT=42_000.0)
    assert (result.maintenance, result.initial) == pytest.approx((10_500.0, 12_600.0))
    assert result.measures["accountMMRate"] == pytest.approx(0.25)
    assert result.worst_scenario == "BTC -10%"


def test_units_add_up() -> None:
    # BTC short 10,500; ETH long 10 * 3,000 * 10.5 %
    result = margined({"bybit:BTC/USDT:USDT": -1.0, "bybit:ETH/USDT:USDT": 10.0}, USDT=1e5)
    assert result.maintenance == pytest.approx(10_500.0 + 3_150.0)


def test_opposite_legs_of_two_contracts_are_not_free() -> None:
    # they net in the stress loss; the contingency counts 0.5 % of either: identical opposite legs need 1,000
    result = margined({"bybit:BTC/USDT:USDT": 1.0, "binance:BTC/USDT:USDT": -1.0}, USDT=1e5)
    assert result.maintenance == pytest.approx(1_000.0)


def test_collateral_counts_at_its_ratio() -> None:
    assert margined({}, BTC=1.0, USDC=5.0).equity == pytest.approx(95_005.0)


def test_an_order_above_the_mark_costs_its_loss_too() -> None:
    contract = parse_contract("bybit:BTC/USDT:USDT")
    order = Order(instrument=contract, side=Side.BUY, quantity=1.0, price=101_000.0)
    # 12,600 for the position and 1,000 lost at the mark
    assert margined({}, order, USDT=1e5).initial == pytest.approx(13_600.0)


@pytest.mark.parametrize(
    ("held", "cash", "match"),
    [
        ({"deribit:BTC/USD:BTC-260327-100000-C": 1.0}, {"USDT": 1.0}, "linear perpetuals only"),
        ({"deribit:BTC/USD:BTC": 1.0}, {"USDT": 1.0}, "linear perpetuals only"),
        ({"bybit:SOL/USDT:USDT": 1.0}, {"USDT": 1.0}, "parameters of SOL"),
        ({"bybit:BTC/USDT:USDT": 1.0, "okx:BTC/USDC:USDC": -9.0}, {"USDT": 1.0}, "USDT-USDC spread for BTC"),
        ({}, {"ETH": 1.0}, "what ETH counts for"),
        ({}, {"USDT": -1.0}, "USDT owed"),
    ],
)
def test_what_the_public_rule_does_not_cover_is_refused_by_name(
    held: dict[str, float], cash: dict[str, float], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        margined(held, **cash)
