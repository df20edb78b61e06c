"""The last half hour: only the part of a delivery price that is still to come moves, and nothing jumps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.contracts import Future, Instrument, Option, Payoff
from crossmargin.instruments.symbols import parse_contract
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.pricing.settlement import averaged_black76
from crossmargin.pricing.valuation import model_price
from crossmargin.risk.risk_array import risk_array
from crossmargin.scenarios.grid import price_vol_grid
from crossmargin.units import NANOSECONDS_PER_SECOND, Currency, FloatArray, years_between

BTC, USD, USDC = Currency("BTC"), Currency("USD"), Currency("USDC")
MINUTE = 60 * NANOSECONDS_PER_SECOND
INVERSE = parse_contract("deribit:BTC/USD:BTC-260130-100000-C")
LINEAR = parse_contract("deribit:BTC/USDC:USDC-260130-100000-P")
FUTURE = parse_contract("deribit:BTC/USD:BTC-260130")
assert isinstance(INVERSE, Option)
EXPIRY = INVERSE.expiry_ns
GRID = price_vol_grid({BTC: 0.2}, price_steps=4, vol_moves=(-0.3, 0.0, 0.5))


def market_before(nanoseconds: int, average: float | None = None, index: float = 100_000.0) -> MarketSnapshot:
    """A market so long before expiry; an average of None leaves the index to stand for it."""
    now = EXPIRY - nanoseconds
    smile = Smile(expiry_ns=EXPIRY, forward=index, strikes=(80_000.0, 120_000.0), vols=(0.8, 0.7))
    return MarketSnapshot(
        time_ns=now,
        index={BTC: Price(index), USDC: Price(1.0)},
        forwards={BTC: ForwardCurve(spot=index, time_ns=now, expiries_ns=(EXPIRY,), forwards=(index,))},
        surfaces={BTC: VolSurface(time_ns=now, smiles=(smile,))},
        delivery_averages={} if average is None else {BTC: average},
    )


def profits(contract: Instrument, market: MarketSnapshot) -> FloatArray:
    return risk_array([contract], market, GRID).row(contract.id)


def naive(option: Option, market: MarketSnapshot) -> FloatArray:
    """Profit by the plain formula, one scenario at a time."""
    years = years_between(market.time_ns, option.expiry_ns)
    average, forward = market.delivery_average(BTC), market.forward(BTC, option.expiry_ns)
    left = min(max(years * 365 * 48, 0.0), 1.0)

    def value(price_factor: float, vol_factor: float) -> float:
        vol = market.vol(option) * vol_factor
        moved = forward * price_factor
        dollars = float(
            averaged_black76(moved, option.strike_float, years, vol, option.is_call, average, vol_of_average=True)
        )
        if option.payoff is Payoff.INVERSE:
            return dollars / ((1.0 - left) * average + left * moved) * market.index_price(BTC) * price_factor
        return dollars

    shocks = GRID.vol_shocks(BTC)
    tenor = GRID.vol_tenor.multiplier(years * 365.0)
    prices = GRID.price_factors(BTC)
    moved = [value(float(prices[s]), max(1.0 + float(shocks[s]) * tenor, 0.0)) for s in range(GRID.size)]
    return np.array(moved) - value(1.0, 1.0)


@given(
    minutes=st.floats(0.0, 45.0),
    average=st.floats(90_000.0, 110_000.0),
    strike=st.sampled_from([70_000, 99_000, 100_000, 101_000, 140_000]),
    kind=st.sampled_from(["BTC/USD:BTC-260130-{}-C", "BTC/USD:BTC-260130-{}-P", "BTC/USDC:USDC-260130-{}-P"]),
)
def test_options_in_delivery_equal_the_plain_formula(minutes: float, average: float, strike: int, kind: str) -> None:
    option = parse_contract("deribit:" + kind.format(strike))
    assert isinstance(option, Option)
    market = market_before(int(minutes * MINUTE), average)
    found = profits(option, market) / option.contract_size_float
    assert found == pytest.approx(naive(option, market), abs=1e-9 * 100_000)


@pytest.mark.parametrize("contract", [INVERSE, LINEAR, FUTURE], ids=str)
def test_nothing_jumps_when_the_window_opens_nor_when_it_closes(contract: Instrument) -> None:
    second = NANOSECONDS_PER_SECOND
    opening = [profits(contract, market_before(30 * MINUTE + after)) for after in (second, -second)]
    assert np.abs(opening[0] - opening[1]).max() <= 2e-3 * np.abs(opening[0]).max()
    closing = [profits(contract, market_before(left)) for left in (second, 0, -second)]
    whole = np.abs(opening[0]).max()
    assert np.abs(closing[0]).max() <= 1e-3 * whole
    assert not closing[1].any()
    assert not closing[2].any()


def test_without_averaging_a_minute_before_expiry_thirty_times_the_risk_would_be_margined() -> None:
    averaged = profits(FUTURE, market_before(MINUTE))
    assert isinstance(FUTURE, Future)
    moved = GRID.price_factors(BTC)
    plain = FUTURE.contract_size_float * (1.0 - 1.0 / moved) * moved  # of one dollar, in dollars
    assert np.abs(plain).max() == pytest.approx(30.0 * np.abs(averaged).max(), rel=0.25)


def test_at_expiry_an_option_is_worth_what_the_average_pays() -> None:
    assert isinstance(INVERSE, Option)
    settled = market_before(0, average=104_000.0)
    assert model_price(INVERSE, settled) == pytest.approx(4_000.0 / 104_000.0)
    assert model_price(INVERSE, replace(settled, delivery_averages={BTC: 96_000.0})) == 0.0
    # the index no longer counts
    elsewhere = market_before(0, average=104_000.0, index=50_000.0)
    assert model_price(INVERSE, elsewhere) == pytest.approx(4_000.0 / 104_000.0)
