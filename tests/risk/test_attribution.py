"""Attribution against single causes, sums by hand, and real option chains a day apart."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from crossmargin.errors import InputError
from crossmargin.files.market import read_market
from crossmargin.instruments.contracts import Option
from crossmargin.instruments.symbols import parse_contract
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.pricing.valuation import cash_by_currency, model_price, position_value, usd_value
from crossmargin.risk.attribution import PARTS, attribution, summed
from crossmargin.units import USD, AccountId, Currency, InstrumentId

BTC, USDC = Currency("BTC"), Currency("USDC")
DAY_NS = 86_400_000_000_000
CALL = parse_contract("deribit:BTC/USD:BTC-260101-100000-C")
LINEAR = parse_contract("deribit:BTC/USDC:USDC-260101-100000-P")
assert isinstance(CALL, Option)
EXPIRY_NS = CALL.expiry_ns
PERPETUAL = parse_contract("deribit:BTC/USD:BTC")


def market(days_left: float, spot: float, vol: float) -> MarketSnapshot:
    now = EXPIRY_NS - int(days_left * DAY_NS)
    flat = Smile(expiry_ns=EXPIRY_NS, forward=spot, strikes=(100_000.0,), vols=(vol,))
    bare = MarketSnapshot(
        time_ns=now,
        index={BTC: Price(spot), USD: Price(1.0), USDC: Price(1.0)},
        surfaces={BTC: VolSurface(time_ns=now, smiles=(flat,))},
    )
    priced = {option.id: Price(model_price(option, bare)) for option in (CALL, LINEAR) if isinstance(option, Option)}
    return replace(bare, marks=priced)


def book(*held: tuple[object, float]) -> Portfolio:
    return Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=BTC, amount=0.5),),
        positions=tuple(Position(instrument=c, quantity=q) for c, q in held),  # type: ignore[arg-type]
    )


def value(portfolio: Portfolio, at: MarketSnapshot) -> float:
    return usd_value(cash_by_currency(portfolio, at), at) + position_value(portfolio.positions, at)


@pytest.mark.parametrize(("after", "alone"), [(market(30, 1e5, 0.8), "vega"), (market(29, 1e5, 0.6), "theta")])
@pytest.mark.parametrize("option", [CALL, LINEAR])
def test_one_cause_is_one_part(option: object, after: MarketSnapshot, alone: str) -> None:
    before, held = market(30, 1e5, 0.6), book((option, 3.0))
    found = summed(attribution(held, before, after), "book")
    assert getattr(found, alone) == pytest.approx(value(held, after) - value(held, before), rel=1e-9)
    assert all(abs(getattr(found, part)) < 1e-5 for part in PARTS if part != alone)


@pytest.mark.parametrize("option", [CALL, LINEAR])
def test_a_crash_is_delta_and_gamma_to_the_cent(option: object) -> None:
    # a coin-settled option in dollars is Black-76 on the forward like a linear one
    before, after, held = market(30, 1e5, 0.6), market(30, 6e4, 0.6), book((option, -2.0))
    cash, found = attribution(held, before, after)
    assert cash.delta == pytest.approx(0.5 * -4e4)
    assert found.delta + found.gamma == pytest.approx(found.total, abs=0.01)
    assert found.gamma < 0.0 < abs(found.delta)
    assert summed((cash, found), "book").total == pytest.approx(value(held, after) - value(held, before), rel=1e-12)


def test_a_perpetual_earns_index_basis_and_funding() -> None:
    before, after = market(30, 1e5, 0.6), market(29, 1.1e5, 0.6)
    name = InstrumentId(PERPETUAL.id)
    before = replace(before, marks={**before.marks, name: Price(1e5)}, funding_rate_8h={name: 1e-4})
    after = replace(after, marks={**after.marks, name: Price(1.12e5)})
    _, found = attribution(book((PERPETUAL, 1_000.0)), before, after)
    size = 1_000.0 * PERPETUAL.contract_size_float
    # inverse: size (1/entry - 1/mark) coins, at the index of after
    assert found.delta == pytest.approx(size * (1 / 1e5 - 1 / 1.1e5) * 1.1e5)
    assert found.delta + found.basis == pytest.approx(size * (1 / 1e5 - 1 / 1.12e5) * 1.1e5)
    # three payments of a basis point in a day, by the long
    assert found.funding == pytest.approx(-3e-4 * size)
    _, paid = attribution(book((PERPETUAL, 1_000.0)), before, after, {name: -5e-4})
    assert paid.funding == pytest.approx(5e-4 * size)


def test_real_chains_leave_little(shared: Path, record_property: Callable[[str, object], None]) -> None:
    file = shared / "data" / "option_chains_daily.parquet"
    times = pl.read_parquet(file, columns=["snapshot_ts"])["snapshot_ts"].unique().sort()
    chains = [read_market(file, f"{time}") for time in times[:7]]
    compared, residual, gross = 0, 0.0, 0.0
    for before, after in itertools.pairwise(chains):
        names = [name for name in before.marks if name in after.marks]
        options = [option for name in names if isinstance(option := parse_contract(name), Option)]
        held = tuple(
            Position(instrument=option, quantity=(-1.0) ** place)
            for place, option in enumerate(options)
            if option.expiry_ns > after.time_ns + 3 * DAY_NS
        )
        found = attribution(Portfolio(account=AccountId("all"), positions=held), before, after)
        assert sum(each.total for each in found) == pytest.approx(
            position_value(held, after) - position_value(held, before), abs=1e-6
        )
        residual += sum(abs(each.residual) for each in found)
        gross += sum(abs(getattr(each, part)) for each in found for part in PARTS)
        compared += len(found)
    # of all that moved, position by position: what Deribit's marks did beyond Black-76 at its published vol and forward
    assert residual / gross < 0.01
    record_property("outside_cases", compared)


def test_time_goes_forward_and_what_expired_is_settled_first() -> None:
    early, late = market(30, 1e5, 0.6), market(29, 1e5, 0.6)
    with pytest.raises(InputError, match="goes forward in time"):
        attribution(book(), late, early)
    with pytest.raises(InputError, match="has expired: settle it first"):
        attribution(book((CALL, 1.0)), early, replace(late, time_ns=EXPIRY_NS))
