"""`scenario_grid` on numbers worked by hand."""

from dataclasses import replace

import msgspec
import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import scenario_grid
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency

BTC, ETH, USDC, USDT = (Currency(name) for name in ("BTC", "ETH", "USDC", "USDT"))
MARKET = MarketSnapshot(
    time_ns=0, index={BTC: Price(100_000.0), ETH: Price(4_000.0), USDC: Price(1.0), USDT: Price(1.0)}
)
PARAMETERS = msgspec.structs.replace(read_parameters(scenario_grid.METHOD, "2026-01-15"), liquidity={}, basis_rate=0.0)
"""Without add-ons, so that the scan can be worked by hand."""


def margin(*positions: tuple[str, float], **balances: float) -> scenario_grid.Requirement:
    book = Portfolio(
        account=AccountId("alice"),
        balances=tuple(Balance(currency=Currency(c), amount=a) for c, a in balances.items()),
        positions=tuple(Position(instrument=parse_contract(i), quantity=q) for i, q in positions),
    )
    return requirements([book], MARKET, scenario_grid.METHOD, PARAMETERS)[0]


def test_a_linear_perpetual_needs_the_price_range_of_its_coin() -> None:
    result = margin(("binance:BTC/USDT:USDT", 2.0), USDC=50_000.0)
    # two coins at 100,000 USD, 16 % down: 2 * 100,000 * 0.16
    assert result.initial == pytest.approx(32_000.0)
    assert result.maintenance == pytest.approx(0.8 * 32_000.0)
    assert result.equity == 50_000.0
    assert result.worst_scenario.startswith("BTC: prices -100 % of range")


def test_opposite_legs_in_two_coins_earn_the_declared_offset() -> None:
    result = margin(("binance:BTC/USDT:USDT", 1.0), ("binance:ETH/USDT:USDT", -25.0))
    # 16,000 for BTC and 18,000 for ETH; 40 % of the matched 16,000 is taken off each
    assert result.initial == pytest.approx(16_000.0 + 18_000.0 - 2 * 0.4 * 16_000.0)


def test_coins_that_hedge_are_not_haircut_and_the_rest_is() -> None:
    # one inverse contract is 10 USD: 10,000 of them short are one coin short
    result = margin(("deribit:BTC/USD:BTC", -10_000.0), BTC=3.0)
    hedged = [part.amount for part in result.equity_components if part.name == "BTC in the risk array"]
    assert hedged == pytest.approx([100_000.0], rel=1e-6)
    assert result.equity == pytest.approx(100_000.0 + 0.88 * 200_000.0, rel=1e-6)
    assert result.initial == pytest.approx(0.0, abs=1e-6)


def test_a_dollar_coin_below_a_dollar_counts_at_its_price() -> None:
    broken = replace(MARKET, index={**MARKET.index, USDC: Price(0.95)})
    book = Portfolio(account=AccountId("alice"), balances=(Balance(currency=USDC, amount=100.0),))
    assert requirements([book], broken, scenario_grid.METHOD, PARAMETERS)[0].equity == pytest.approx(95.0)


def test_an_offset_above_eighty_percent_is_refused() -> None:
    with pytest.raises(InputError, match="must be inside"):
        scenario_grid.Offset(first="BTC", second="ETH", credit=0.9)


def test_a_flat_book_needs_nothing() -> None:
    result = margin(USDC=10.0)
    assert (result.initial, result.maintenance, result.equity) == (0.0, 0.0, 10.0)


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**msgspec.to_builtins(PARAMETERS), "haircutz": 1}, type=scenario_grid.ScenarioGridParameters)


def test_a_calendar_spread_pays_for_its_basis() -> None:
    with_basis = msgspec.structs.replace(PARAMETERS, basis_rate=0.01)
    legs = (("binance:BTC/USDT:USDT-260327", 1.0), ("binance:BTC/USDT:USDT", -1.0))
    book = Portfolio(
        account=AccountId("calendar"),
        positions=tuple(Position(instrument=parse_contract(i), quantity=q) for i, q in legs),
    )
    result = requirements([book], MARKET, scenario_grid.METHOD, with_basis)[0]
    # both legs are 100,000 USD of exposure that nets only across expiries: 1 % of 200,000
    assert result.initial == pytest.approx(2_000.0)


def test_closing_a_large_position_costs_more_than_in_proportion() -> None:
    liquid = {"BTC": scenario_grid.Liquidity(daily_volume=1e9, daily_vol=0.02, half_spread=0.0)}
    parameters = msgspec.structs.replace(PARAMETERS, liquidity=liquid)

    def add_on(coins: float) -> float:
        book = Portfolio(
            account=AccountId("a"),
            positions=(Position(instrument=parse_contract("binance:BTC/USDT:USDT"), quantity=coins),),
        )
        result = requirements([book], MARKET, scenario_grid.METHOD, parameters)[0]
        return next(part.amount for part in result.initial_components if part.name == "BTC liquidity")

    # 10 coins are 1,000,000 USD: 1e6 * 0.02 * sqrt(1e6 / 1e9)
    assert add_on(10.0) == pytest.approx(1e6 * 0.02 * (1e-3) ** 0.5)
    assert add_on(40.0) == pytest.approx(8.0 * add_on(10.0))
