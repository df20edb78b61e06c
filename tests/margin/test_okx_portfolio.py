"""OKX portfolio margin on the venue's own example, by hand, and what it refuses."""

import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Perpetual
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import okx_portfolio
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency

OKX_BTC, LTC = parse_contract("okx:BTC/USDT:USDT"), parse_contract("okx:LTC/USDT:USDT")
BTC = parse_contract("binance:BTC/USDT:USDT")
"""One coin a contract; the venue's own has a hundredth."""
# OKX API v5, position-builder, response example of 15 January 2025: index prices follow from its MR1 scenarios, the
# dollar price of USDT from its delta
EXAMPLE = MarketSnapshot(
    time_ns=0,
    index={
        Currency("BTC"): Price(1164.4109244719994 / 0.12 / 0.1),
        Currency("LTC"): Price(183.50672805719995 / 0.18 / 10.0),
        Currency("USDT"): Price(0.99954),
    },
    marks={OKX_BTC.id: Price(97_093.7), LTC.id: Price(102.0)},
)
ROUND = MarketSnapshot(
    time_ns=0,
    index={
        Currency(coin): Price(price)
        for coin, price in {"BTC": 100_000.0, "LTC": 100.0, "USDT": 1.0, "USDC": 1.0}.items()
    },
)
PARAMETERS = read_parameters(okx_portfolio.METHOD)


def margined(
    market: MarketSnapshot, *positions: Position, orders: tuple[Order, ...] = (), **cash: float
) -> Requirement:
    balances = tuple(Balance(currency=Currency(coin), amount=amount) for coin, amount in cash.items())
    book = Portfolio(account=AccountId("a"), balances=balances, positions=positions, orders=orders)
    return requirements((book,), market, okx_portfolio.METHOD, PARAMETERS)[0]


def test_the_venue_s_example_account() -> None:
    result = margined(
        EXAMPLE,
        Position(instrument=OKX_BTC, quantity=-10.0, entry_price=100_000.0),
        Position(instrument=LTC, quantity=10.0, entry_price=8_000.0),
        USDT=100.0,
    )
    assert result.maintenance == pytest.approx(2946.5480841048, rel=1e-9)
    assert result.initial == pytest.approx(9643.45070718144, rel=1e-9)
    assert result.equity == pytest.approx(-78553.21888979999, rel=1e-9)
    assert result.measures["BTC MR7"] == pytest.approx(43.67206660410001, rel=1e-9)
    assert result.measures["LTC MR6"] == pytest.approx(183.5067280572, rel=1e-9)


def test_the_page_s_example() -> None:
    # 12 % of 100,000 and 0.2 % of it; the extreme move, half of 24 %, and 0.45 % ask for less
    result = margined(ROUND, Position(instrument=BTC, quantity=1.0), USDT=20_000.0)
    assert result.maintenance == pytest.approx(12_200.0)
    assert result.initial == pytest.approx(15_860.0)


def test_the_reduction_charge_steps_by_tier() -> None:
    terms = PARAMETERS.classes["major"]
    assert okx_portfolio.reduction_charge(250_000.0, terms) == pytest.approx(250_000.0)
    assert okx_portfolio.reduction_charge(300_000.0, terms) == pytest.approx(600_000.0)
    with pytest.raises(InputError, match="up to 10,000 USD"):
        okx_portfolio.reduction_charge(10_001.0, PARAMETERS.classes["middle"])


def test_a_hedge_between_venues_still_pays_to_be_reduced() -> None:
    # nets in MR1, MR4, MR6; MR7 is 0.45 % of either leg: identical opposite legs of two contracts are not free
    other = parse_contract("bybit:BTC/USDT:USDT")
    legs = [Position(instrument=BTC, quantity=1.0), Position(instrument=other, quantity=-1.0)]
    assert margined(ROUND, *legs, USDT=20_000.0).maintenance == pytest.approx(900.0)


def test_twice_the_position_may_need_more_than_twice() -> None:
    # the law of scaling breaks where a tier of MR7 rules: a hedge of 300 and one of 600 BTC either side
    other = parse_contract("bybit:BTC/USDT:USDT")

    def hedge(size: float) -> float:
        legs = [Position(instrument=BTC, quantity=size), Position(instrument=other, quantity=-size)]
        return margined(ROUND, *legs, USDT=1e9).maintenance

    assert hedge(600.0) > 2.0 * hedge(300.0)


def test_what_is_owed_needs_two_and_ten_percent() -> None:
    result = margined(ROUND, USDT=-1_000.0, USDC=5_000.0)
    assert (result.maintenance, result.initial, result.equity) == pytest.approx((20.0, 100.0, 4_000.0))


def test_a_discount_counts_tier_by_tier() -> None:
    # 2m at 95 %, 2m at 85 %, 4m at 50 %, and nothing beyond 8m
    assert margined(ROUND, LTC=100_000.0).equity == pytest.approx(1.9e6 + 1.7e6 + 2e6)


def test_an_order_counts_as_filled_where_that_is_worse() -> None:
    order = Order(instrument=BTC, side=Side.BUY, quantity=1.0, price=100_000.0)
    held = Position(instrument=BTC, quantity=1.0)
    assert margined(ROUND, held, orders=(order,), USDT=1e5).initial == pytest.approx(31_720.0)
    closing = Order(instrument=BTC, side=Side.SELL, quantity=1.0, price=100_000.0)
    assert margined(ROUND, held, orders=(closing,), USDT=1e5).initial == pytest.approx(15_860.0)


@pytest.mark.parametrize(
    ("symbols", "match"),
    [
        (("deribit:BTC/USD:BTC-260327-100000-C",), "perpetuals only"),
        (("deribit:BTC/USD:BTC-260327",), "perpetuals only"),
        (("okx:AVAX/USDT:USDT",), "parameters of AVAX"),
        (("deribit:BTC/USD:BTC",), "what BTC counts for"),
    ],
)
def test_what_the_public_rule_does_not_cover_is_refused_by_name(symbols: tuple[str, ...], match: str) -> None:
    positions = [Position(instrument=parse_contract(symbol), quantity=1.0) for symbol in symbols]
    with pytest.raises(InputError, match=match):
        margined(ROUND, *positions, USDT=1.0)


def test_a_hedge_between_dollar_coins_is_refused() -> None:
    other = parse_contract("okx:BTC/USDC:USDC")
    assert isinstance(other, Perpetual)
    with pytest.raises(InputError, match="needs MR9 for BTC"):
        margined(ROUND, Position(instrument=BTC, quantity=1.0), Position(instrument=other, quantity=-1.0), USDT=1.0)
