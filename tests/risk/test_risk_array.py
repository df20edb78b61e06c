"""The vectorised risk array equals the plain one, for every kind of instrument."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_risk_array import plain_pnl

from crossmargin.instruments.contracts import Asset, Future, Instrument, Option, OptionType, Perpetual, Spot
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.risk.risk_array import risk_array
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import NANOSECONDS_PER_DAY, Currency, InstrumentId, Venue

BTC, ETH, USD, USDT = (Currency(name) for name in ("BTC", "ETH", "USD", "USDT"))
EXPIRIES = [3 * NANOSECONDS_PER_DAY, 40 * NANOSECONDS_PER_DAY]


def market() -> MarketSnapshot:
    index = {BTC: Price(95_000.0), ETH: Price(3_300.0), USDT: Price(0.999)}
    smiles = {
        coin: tuple(
            Smile(expiry_ns=at, forward=spot, strikes=(0.6 * spot, spot, 1.8 * spot), vols=(0.8, 0.5, 0.7))
            for at in EXPIRIES
        )
        for coin, spot in ((BTC, 95_000.0), (ETH, 3_300.0))
    }
    return MarketSnapshot(
        time_ns=0,
        index=index,
        forwards={
            BTC: ForwardCurve(spot=95_000.0, time_ns=0, expiries_ns=tuple(EXPIRIES), forwards=(95_100.0, 96_000.0)),
            ETH: ForwardCurve(spot=3_300.0, time_ns=0),
        },
        surfaces={coin: VolSurface(time_ns=0, smiles=each) for coin, each in smiles.items()},
    )


def instruments() -> list[Instrument]:
    found: list[Instrument] = [Asset(currency=name) for name in (BTC, ETH, USD, USDT)]
    for base, spot in ((BTC, 95_000), (ETH, 3_300)):
        for quote, settle, size in ((USD, base, 10), (USDT, USDT, 1), (USD, USDT, 1), (USD, BTC, 1)):
            common: dict[str, Any] = {"venue": Venue("v"), "base": base, "quote": quote, "settle": settle}
            name = f"v:{base}/{quote}:{settle}"
            size_of = {"contract_size": Decimal(size)}
            found.append(Perpetual(id=InstrumentId(name), **common, **size_of))
            for at in EXPIRIES:
                found.append(Future(id=InstrumentId(f"{name}-{at}"), expiry_ns=at, **common, **size_of))
                for share in (0.5, 0.98, 1.0, 1.4):
                    for kind in OptionType:
                        strike = Decimal(round(spot * share))
                        identity = InstrumentId(f"{name}-{at}-{strike}-{kind.value}")
                        found.append(Option(id=identity, expiry_ns=at, strike=strike, option_type=kind, **common))
        found.append(Spot(id=InstrumentId(f"v:{base}/USDT"), venue=Venue("v"), base=base, quote=USDT, settle=USDT))
    return found


@st.composite
def scenario_sets(draw: st.DrawFn) -> ScenarioSet:
    size = draw(st.integers(1, 21))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    underlyings = draw(st.sampled_from([(BTC,), (BTC, ETH), (BTC, ETH, USDT)]))
    shape = (len(underlyings), size)
    return ScenarioSet(
        name="drawn",
        underlyings=underlyings,
        price_factor=np.exp(rng.normal(0.0, draw(st.sampled_from([0.01, 0.2, 1.0])), shape)),
        vol_shock=np.where(rng.random(shape) < 0.3, 0.0, np.maximum(rng.normal(0.0, 0.6, shape), -1.5)),
        labels=tuple(str(number) for number in range(size)),
        vol_tenor=draw(st.sampled_from([VolTenor(), VolTenor(short_power=0.3, long_power=0.13)])),
        min_vol_up=draw(st.sampled_from([0.0, 0.5, 2.0])),
        basis=draw(st.sampled_from([None, rng.normal(0.0, 0.1, shape)])),
        damping=rng.choice([1.0, 0.36], size),
        horizon_years=draw(st.sampled_from([0.0, 1 / 365, 3 / 365, 5 / 365])),
    )


@given(scenarios=scenario_sets(), threads=st.sampled_from([1, 2]))
def test_every_row_equals_the_plain_calculation(scenarios: ScenarioSet, threads: int) -> None:
    now = market()
    risk = risk_array(instruments(), now, scenarios, threads=threads)
    for row, instrument in enumerate(risk.instruments):
        plain = plain_pnl(instrument, now, scenarios)
        # a settlement coin other than the underlying multiplies the value by its own price
        scale = now.index_price(instrument.underlying) * float(scenarios.price_factor.max()) ** 2
        scale *= now.index_price(instrument.settle) if "USD:BTC" in instrument.id else 1.0
        assert np.abs(risk.pnl[row] - plain).max() <= 1e-12 * scale, instrument.id


def test_an_account_is_its_quantities_times_the_array_as_in_a_double_loop() -> None:
    rng = np.random.default_rng(7)
    scenarios = ScenarioSet(
        name="ten",
        underlyings=(BTC, ETH),
        price_factor=np.exp(rng.normal(0.0, 0.1, (2, 10))),
        vol_shock=rng.normal(0.0, 0.3, (2, 10)),
        labels=tuple("0123456789"),
    )
    risk = risk_array(instruments(), market(), scenarios)
    quantities = rng.normal(size=len(risk.instruments))
    gross = np.abs(quantities) @ np.abs(risk.pnl)
    for scenario in range(10):
        total = 0.0
        for quantity, instrument in zip(quantities, risk.instruments, strict=True):
            total += quantity * float(plain_pnl(instrument, market(), scenarios)[scenario])
        assert float((quantities @ risk.pnl)[scenario]) == pytest.approx(total, abs=1e-9 * gross[scenario])


def test_the_delta_of_an_asset_is_its_price_and_a_linear_perpetual_has_its_mark() -> None:
    scenarios = ScenarioSet(
        name="still", underlyings=(BTC,), price_factor=np.ones((1, 1)), vol_shock=np.zeros((1, 1)), labels=("still",)
    )
    risk = risk_array(instruments(), market(), scenarios)
    assert risk.delta[risk.row_number("BTC")] == pytest.approx(95_000.0, rel=1e-10)
    perpetual = risk.row_number("v:BTC/USDT:USDT")
    assert risk.delta[perpetual] == pytest.approx(95_000.0, rel=1e-10)
