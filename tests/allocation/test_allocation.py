"""Transfers and hedges, by hand."""

import msgspec
import pytest

from crossmargin.allocation.hedging import best_hedges
from crossmargin.allocation.transfers import Route, cheapest_transfers
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import scenario_grid
from crossmargin.margin.venue_accounts import by_venue, consolidated
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency, Venue

A, B, C = Venue("a"), Venue("b"), Venue("c")
USDT, USDC, BTC = Currency("USDT"), Currency("USDC"), Currency("BTC")
FULL = {(venue, coin): 1.0 for venue in (A, B, C) for coin in (USDT, USDC)}
MARKET = MarketSnapshot(time_ns=0, index={BTC: Price(100_000.0), USDT: Price(1.0)})
GRID = msgspec.structs.replace(read_parameters(scenario_grid.METHOD), liquidity={}, basis_rate=0.0)


def test_the_cheaper_route_is_filled_first() -> None:
    routes = [Route(source=A, target=B, currency=USDT, cost=0.01), Route(source=C, target=B, currency=USDT, cost=0.001)]
    plan = cheapest_transfers(
        {A: 500.0, B: -100.0, C: 60.0}, {A: 0.0, B: 0.0, C: 0.0}, {(A, USDT): 500.0, (C, USDT): 60.0}, FULL, routes
    )
    # 60 from c arrive as 59.94; the other 40.06 come from a, where 1 % is lost on the way
    assert {t.route.source: t.amount for t in plan.transfers} == pytest.approx({C: 60.0, A: 40.06 / 0.99})
    assert plan.headroom[B] == pytest.approx(0.0, abs=1e-6)
    assert plan.cost == pytest.approx(0.06 + 0.4046464646)


def test_a_fixed_cost_makes_one_transfer_of_two() -> None:
    routes = [
        Route(source=A, target=B, currency=USDT, fixed_cost=5.0, hours=1.0),
        Route(source=C, target=B, currency=USDT, fixed_cost=4.0, hours=9.0),
    ]
    plan = cheapest_transfers({A: 200.0, B: -100.0, C: 60.0}, {}, {(A, USDT): 200.0, (C, USDT): 60.0}, FULL, routes)
    assert [t.route.source for t in plan.transfers] == [A]
    assert (plan.cost, plan.hours) == (5.0, 1.0)


def test_a_shortfall_that_cannot_be_closed_is_named() -> None:
    route = Route(source=A, target=B, currency=USDT)
    with pytest.raises(InputError, match=r"100\.00 USD at b"):
        cheapest_transfers({A: 50.0, B: -100.0}, {}, {(A, USDT): 50.0}, FULL, [route])


def test_nothing_moves_where_nothing_lacks() -> None:
    assert cheapest_transfers({A: 1.0}, {A: 0.5}, {}, FULL, []).transfers == ()


def _trader() -> Portfolio:
    return Portfolio(
        account=AccountId("firm"),
        balances=(
            Balance(currency=USDT, amount=50_000.0, venue=Venue("binance")),
            Balance(currency=USDT, amount=10_000.0, venue=Venue("bybit")),
        ),
        positions=(
            Position(instrument=parse_contract("binance:BTC/USDT:USDT"), quantity=1.0),
            Position(instrument=parse_contract("bybit:BTC/USDT:USDT"), quantity=-1.0),
        ),
    )


def test_a_pool_saves_what_two_venues_cannot_see() -> None:
    method = (scenario_grid.METHOD, GRID)
    found = consolidated(_trader(), MARKET, {Venue("binance"): method, Venue("bybit"): method}, method)
    assert {venue: result.initial for venue, result in found.venues.items()} == pytest.approx(
        {"binance": 16_000.0, "bybit": 16_000.0}
    )
    assert found.pool.initial == 0.0
    assert found.pool_saving == pytest.approx(32_000.0)
    assert found.exposure[BTC] == pytest.approx({"binance": 100_000.0, "bybit": -100_000.0})


def test_a_balance_without_a_venue_is_refused_where_it_could_lie_anywhere() -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="must name its venue"):
        by_venue(replace(_trader(), balances=(Balance(currency=USDT, amount=1.0),)))


def test_the_best_hedge_closes_the_exposure_where_it_is_cheapest() -> None:
    book = Portfolio(
        account=AccountId("firm"),
        balances=(Balance(currency=USDT, amount=50_000.0),),
        positions=(Position(instrument=parse_contract("binance:BTC/USDT:USDT"), quantity=1.0),),
    )
    candidates = [parse_contract("bybit:BTC/USDT:USDT"), parse_contract("binance:BTC/USDT:USDT-260327")]

    def cost(contract: Contract, quantity: float) -> float:
        return abs(quantity) * (20.0 if contract.id.startswith("bybit") else 50.0)

    found = best_hedges(book, MARKET, scenario_grid.METHOD, GRID, candidates, cost)
    assert [hedge.instrument for hedge in found] == [candidate.id for candidate in candidates]
    assert found[0].quantity == pytest.approx(-1.0, rel=1e-4)
    assert found[0].released == pytest.approx(16_000.0, rel=1e-3)
