"""The worked examples of docs/methods, and isolated groups."""

import msgspec
import numpy as np
import pytest

from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import isolated, scenario_grid, tail_risk
from crossmargin.margin.requirements import requirements
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Portfolio, Position
from crossmargin.units import NANOSECONDS_PER_DAY, AccountId, Currency

BTC, USDT = Currency("BTC"), Currency("USDT")
PERPETUAL = parse_contract("binance:BTC/USDT:USDT")
CALL = parse_contract("deribit:BTC/USD:BTC-260327-110000-C")
MOVES = np.log(np.array([1.01] * 10 + [0.8] + [1.01] * 20 + [0.9] + [1.01] * 8))
MARKET = MarketSnapshot(
    time_ns=40 * NANOSECONDS_PER_DAY,
    index={BTC: Price(100_000.0), USDT: Price(1.0)},
    marks={CALL.id: Price(0.03)},
    history=PriceHistory(
        times_ns=NANOSECONDS_PER_DAY * np.arange(41),
        currencies=(BTC,),
        prices=1_000.0 * np.exp(np.concatenate([[0.0], np.cumsum(MOVES)]))[None, :],
    ),
)


def _book(*positions: Position) -> Portfolio:
    return Portfolio(account=AccountId("a"), positions=positions)


@pytest.mark.parametrize(("contract", "quantity", "initial"), [(PERPETUAL, 2.0, 4_000.0), (CALL, -1.0, 10_000.0)])
def test_isolated(contract: object, quantity: float, initial: float) -> None:
    book = _book(Position(instrument=contract, quantity=quantity))  # type: ignore[arg-type]
    result = requirements([book], MARKET, isolated.METHOD, read_parameters(isolated.METHOD, "2026-01-15"))[0]
    assert result.initial == pytest.approx(initial)
    assert result.maintenance == pytest.approx({4_000.0: 2_000.0, 10_000.0: 7_500.0}[initial])


@pytest.mark.parametrize(("confidence", "expected"), [(0.95, 15_000.0), (0.9375, 11_800.0)])
def test_tail_risk(confidence: float, expected: float) -> None:
    parameters = msgspec.structs.replace(
        read_parameters(tail_risk.METHOD, "2026-01-15"), confidence=confidence, horizon=1, minimum_dates=20, lookback=40
    )
    result = requirements([_book(Position(instrument=PERPETUAL, quantity=1.0))], MARKET, tail_risk.METHOD, parameters)[
        0
    ]
    measured = [part.amount for part in result.initial_components if part.name.startswith("expected shortfall")]
    assert measured == pytest.approx([expected])


def test_nothing_offsets_across_the_fence_of_an_isolated_group() -> None:
    parameters = msgspec.structs.replace(
        read_parameters(scenario_grid.METHOD, "2026-01-15"), liquidity={}, basis_rate=0.0
    )
    long = Position(instrument=PERPETUAL, quantity=1.0)
    netted = _book(long, Position(instrument=PERPETUAL, quantity=-1.0))
    fenced = _book(long, Position(instrument=PERPETUAL, quantity=-1.0, isolated_group="hedge"))
    together, apart = requirements([netted, fenced], MARKET, scenario_grid.METHOD, parameters)
    assert together.initial == 0.0
    assert apart.initial == pytest.approx(2 * 16_000.0)
    assert any(part.name.startswith("hedge: ") for part in apart.initial_components)
