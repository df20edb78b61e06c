"""Hyperliquid portfolio margin: an independent worked example, by hand, and what it refuses."""

import pytest
from held_books import book_of

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import hyperliquid, hyperliquid_portfolio
from crossmargin.margin.hyperliquid_portfolio import SpotCollateral
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Order, Side
from crossmargin.units import Currency

PRICES = {"BTC": 40_000.0, "HYPE": 30.0, "USDC": 1.0, "USDT": 1.0}
MARKET = MarketSnapshot(time_ns=0, index={Currency(coin): Price(price) for coin, price in PRICES.items()})
PARAMETERS = read_parameters(hyperliquid_portfolio.METHOD)
BTC = "hyperliquid:BTC/USDC:USDC"


def margined(held: dict[str, float], *orders: Order, **cash: float) -> Requirement:
    return requirements((book_of(held, *orders, **cash),), MARKET, hyperliquid_portfolio.METHOD, PARAMETERS)[0]


def test_the_page_s_example() -> None:
    # 400 * 30 * 0.75 lent; maintenance of 40,000 at 1 / (2 * 40)
    result = margined({BTC: 1.0}, HYPE=400.0, USDC=-5_000.0)
    assert result.measures["portfolioMarginRatio"] == pytest.approx(5_520.0 / 9_000.0)
    assert result.equity == pytest.approx(4_000.0)
    assert result.maintenance == pytest.approx(5_520.0 / 0.95 - 5_000.0)
    # 40,000 / 20, and the 3,000 that 12,000 of HYPE lend less at an LTV of 0.5
    assert result.initial == pytest.approx(2_000.0 + 3_000.0)


def test_the_numbers_of_an_independent_example() -> None:
    # shared case: maintenance 150 and 9,200 borrowed need 9,370; 12,000 at a threshold of 0.75 lend 9,000
    assert hyperliquid.maintenance_requirement(150.0, 9_200.0) == 9_370.0
    terms = SpotCollateral(loan_to_value=0.5, supply_cap=12_000.0)
    assert terms.counted(13_000.0) * terms.liquidation_threshold == 9_000.0


def test_equity_is_maintenance_where_the_ratio_is_095() -> None:
    # (20 + 500) / 0.95 of USDC
    result = margined({BTC: -1.0}, USDC=520.0 / 0.95)
    assert result.measures["portfolioMarginRatio"] == pytest.approx(0.95)
    assert result.maintenance_ratio == pytest.approx(1.0)


def test_a_flat_account_still_needs_something() -> None:
    result = margined({}, USDC=100.0)
    assert (result.maintenance, result.initial) == pytest.approx((20.0 / 0.95, 20.0 / 0.95))


def test_opposite_legs_of_two_contracts_do_not_net() -> None:
    one, both = margined({BTC: 1.0}, USDC=1e4), margined({BTC: 1.0, "binance:BTC/USDC:USDC": -1.0}, USDC=1e4)
    assert both.maintenance - one.maintenance == pytest.approx(500.0 / 0.95)


def test_orders_count_at_the_worse_side() -> None:
    order = Order(instrument=parse_contract(BTC), side=Side.SELL, quantity=3.0, price=40_000.0)
    assert margined({BTC: 1.0}, order, USDC=1e4).initial == pytest.approx(2.0 * 40_000.0 / 20.0)


@pytest.mark.parametrize(
    ("held", "cash", "match"),
    [
        ({"deribit:BTC/USD:BTC": 1.0}, {}, "linear perpetuals only"),
        ({"binance:BTC/USDT:USDT": 1.0}, {}, "what USDT counts for"),
        ({"hyperliquid:VVV/USDC:USDC": 1.0}, {}, "parameters of VVV"),
        ({}, {"BTC": 1.0}, "what BTC counts for"),
        ({}, {"HYPE": -1.0}, "HYPE owed"),
    ],
)
def test_what_the_account_does_not_hold_is_refused_by_name(
    held: dict[str, float], cash: dict[str, float], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        margined(held, **cash)


def test_tiers_are_those_of_hyperliquid() -> None:
    assert PARAMETERS.tiers == read_parameters(hyperliquid.METHOD).tiers


def test_nothing_of_a_coin_without_terms_is_nothing() -> None:
    assert margined({BTC: 0.5}, USDC=9_000.0, DOGE=0.0) == margined({BTC: 0.5}, USDC=9_000.0)
    with pytest.raises(InputError, match="DOGE"):
        margined({BTC: 0.5}, USDC=9_000.0, DOGE=1.0)
