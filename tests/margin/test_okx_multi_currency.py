"""OKX multi-currency margin by hand, and what it refuses."""

import pytest
from held_books import book_of

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import okx_multi_currency
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Order, Side
from crossmargin.units import Currency

PRICES = {"ADA": 1.0, "LTC": 100.0, "BTC": 100_000.0, "USDT": 1.0}
MARKET = MarketSnapshot(time_ns=0, index={Currency(coin): Price(price) for coin, price in PRICES.items()})
PARAMETERS = read_parameters(okx_multi_currency.METHOD)
ADA = "binance:ADA/USDT:USDT"
"""One coin a contract, so that quantities are coins."""


def margined(held: dict[str, float], *orders: Order, **cash: float) -> Requirement:
    return requirements((book_of(held, *orders, **cash),), MARKET, okx_multi_currency.METHOD, PARAMETERS)[0]


def test_the_page_s_example() -> None:
    result = margined({ADA: 150_000.0}, USDT=15_000.0)
    assert (result.maintenance, result.initial) == pytest.approx((750.0, 15_000.0))
    assert result.measures["mgnRatio"] == pytest.approx(20.0)
    assert margined({ADA: -150_100.0}, USDT=1.0).maintenance == pytest.approx(1_125.75)


@pytest.mark.parametrize(
    ("contracts", "rates"),
    [
        (6_000.0, (0.01, 0.025)),
        # the announcement's fourth tier: 6,000 contracts, 0.5 % and 0.5 % above the third
        (6_001.0, (0.015, 0.03)),
        (12_000.0, (0.015, 0.03)),
        (12_001.0, (0.02, 0.035)),
        (1e9, (1.0, 1.0)),
    ],
)
def test_tiers_go_on_in_equal_steps(contracts: float, rates: tuple[float, float]) -> None:
    assert PARAMETERS.perpetuals["ADA"].rates(100.0 * contracts) == pytest.approx(rates)


def test_two_accounts_may_need_less_than_one() -> None:
    assert margined({ADA: 300_000.0}).maintenance > 2.0 * margined({ADA: 150_000.0}).maintenance


def test_opposite_legs_of_two_contracts_do_not_net() -> None:
    both = margined({ADA: 1_000.0, "bybit:ADA/USDT:USDT": -1_000.0})
    assert both.maintenance == pytest.approx(2.0 * margined({ADA: 1_000.0}).maintenance)


def test_a_discount_counts_tier_by_tier() -> None:
    # 30,000 LTC at 100: 2m at 95 %, 1m at 85 %
    assert margined({}, LTC=30_000.0, USDT=7.0).equity == pytest.approx(2_750_007.0)


def test_orders_count_at_the_worse_side() -> None:
    contract = parse_contract(ADA)
    buy = Order(instrument=contract, side=Side.BUY, quantity=1_000.0, price=1.0)
    sell = Order(instrument=contract, side=Side.SELL, quantity=500.0, price=1.0)
    assert margined({ADA: 1_000.0}, buy, sell).initial == pytest.approx(200.0)
    assert margined({ADA: -1_000.0}, buy, sell).initial == pytest.approx(150.0)


@pytest.mark.parametrize(
    ("held", "cash", "match"),
    [
        ({"binance:BTC/USDT:USDT": 1.0}, {}, "parameters of BTC"),
        ({"deribit:BTC/USD:BTC-260327": 1.0}, {}, "linear perpetuals only"),
        ({}, {"BTC": 1.0}, "what BTC counts for"),
        ({}, {"USDT": -1.0}, "USDT owed"),
    ],
)
def test_what_was_not_published_is_refused_by_name(held: dict[str, float], cash: dict[str, float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        margined(held, **cash)
