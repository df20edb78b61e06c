"""Binance portfolio margin by hand, and what it refuses."""

import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import binance_futures, binance_portfolio
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency

PRICES = {"BTC": 100_000.0, "USDT": 1.0, "USDC": 1.0, "ETH": 3_000.0}
MARKET = MarketSnapshot(time_ns=0, index={Currency(coin): Price(price) for coin, price in PRICES.items()})
PARAMETERS = read_parameters(binance_portfolio.METHOD)
BTC = "binance:BTC/USDT:USDT"


def margined(held: dict[str, float], **cash: float) -> Requirement:
    book = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(coin), amount=amount) for coin, amount in cash.items()),
        positions=tuple(Position(instrument=parse_contract(name), quantity=size) for name, size in held.items()),
    )
    return requirements((book,), MARKET, binance_portfolio.METHOD, PARAMETERS)[0]


def test_the_page_s_example() -> None:
    # 100,000 * 0.5 % - 50; 20,000 * 10 %; 100,000 / 20 + 20,000 / (3 - 1)
    result = margined({BTC: 1.0}, BTC=1.0, USDT=-20_000.0)
    assert result.equity == pytest.approx(75_000.0)
    assert result.measures["uniMMR"] == pytest.approx(75_000.0 / 2_450.0)
    assert result.maintenance == pytest.approx(1.05 * 2_450.0)
    assert result.initial == pytest.approx(15_000.0)


def test_at_a_uni_mmr_of_105_percent_equity_is_our_maintenance() -> None:
    result = margined({BTC: 1.0}, USDT=1.05 * 450.0)
    assert result.maintenance_ratio == pytest.approx(1.0)
    assert binance_portfolio.band(result.measures["uniMMR"] - 1e-9) == "liquidation"


@pytest.mark.parametrize(
    ("ratio", "band"),
    [(1.51, "normal"), (1.5, "margin call ahead"), (1.2, "reduce only"), (1.01, "liquidation"), (1.0, "bankruptcy")],
)
def test_bands(ratio: float, band: str) -> None:
    assert binance_portfolio.band(ratio) == band


def test_tiers_are_those_of_binance_futures() -> None:
    assert PARAMETERS.tiers == read_parameters(binance_futures.METHOD).tiers


def test_opposite_legs_of_two_contracts_do_not_net() -> None:
    one = margined({BTC: 1.0}, USDT=1e5).maintenance
    assert margined({BTC: 1.0, "bybit:BTC/USDT:USDT": -1.0}, USDT=1e5).maintenance == pytest.approx(2.0 * one)


def test_the_requirement_grows_faster_than_the_position() -> None:
    assert margined({BTC: 20.0}, USDT=1e6).maintenance > 2.0 * margined({BTC: 10.0}, USDT=1e6).maintenance


@pytest.mark.parametrize(
    ("held", "cash", "match"),
    [
        ({"deribit:BTC/USD:BTC": 1.0}, {}, "linear perpetuals only"),
        ({"deribit:BTC/USD:BTC-260327-100000-C": 1.0}, {}, "linear perpetuals only"),
        ({"binance:PEPE/USDT:USDT": 1.0}, {}, "parameters of PEPE"),
        ({}, {"ETH": 1.0}, "what ETH counts for"),
    ],
)
def test_what_the_account_cannot_hold_is_refused_by_name(
    held: dict[str, float], cash: dict[str, float], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        margined(held, **cash)
