"""Where liquidation begins, on reported and hand-worked cases."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import isolated, scenario_grid
from crossmargin.margin.comparison import compared
from crossmargin.margin.liquidation_search import (
    days_to_liquidation,
    first_hits,
    joint_surface,
    liquidation_prices,
)
from crossmargin.margin.what_if import Change, what_if
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency

BTC, ETH, USD, USDT = (Currency(name) for name in ("BTC", "ETH", "USD", "USDT"))
MARKET = MarketSnapshot(time_ns=0, index={BTC: Price(100.0), ETH: Price(10.0), USDT: Price(1.0)})
RATES = msgspec.structs.replace(
    read_parameters(isolated.METHOD),
    initial_rate={"BTC": 0.008, "ETH": 0.8},
    maintenance_factor=0.5,
)
BTC_PERP, ETH_PERP = parse_contract("binance:BTC/USDT:USDT"), parse_contract("binance:ETH/USDT:USDT")


def _book(*positions: Position, usd: float = 5.0, orders: tuple[Order, ...] = ()) -> Portfolio:
    return Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=USD, amount=usd),),
        positions=positions,
        orders=orders,
    )


def _prices(book: Portfolio, market: MarketSnapshot = MARKET) -> list[float]:
    found = liquidation_prices(book, market, isolated.METHOD, RATES, BTC)
    return [crossing.price for crossing in found.crossings if crossing.price is not None]


def test_other_positions_maintenance_counts() -> None:
    # TorchTrade issue 344: equity 5, long 1 at 100, rate 0.4 %, others need 4: 99 / 0.996, not 95.40
    long = Position(instrument=BTC_PERP, quantity=1.0, entry_price=100.0)
    other = Position(instrument=ETH_PERP, quantity=1.0, entry_price=10.0)  # 40 % of 10 is 4
    found = liquidation_prices(_book(long, other), MARKET, isolated.METHOD, RATES, BTC)
    assert [crossing.price for crossing in found.crossings] == pytest.approx([99.0 / 0.996], rel=1e-9)
    assert found.nearest is not None
    assert found.nearest.enters


def test_a_linear_perpetual_has_its_closed_form() -> None:
    # (entry - equity / q) / (1 - rate), and for a short (entry + equity / q) / (1 + rate)
    long = _book(Position(instrument=BTC_PERP, quantity=1.0, entry_price=100.0), usd=20.0)
    assert _prices(long) == pytest.approx([80.0 / 0.996], rel=1e-9)
    # profits are in USDT, of which 2 % is haircut; losses count in full
    short = _book(Position(instrument=BTC_PERP, quantity=-1.0, entry_price=100.0), usd=20.0)
    assert _prices(short) == pytest.approx([120.0 / 1.004], rel=1e-9)


def test_a_position_without_an_entry_price_is_entered_at_todays_mark() -> None:
    # it loses from today's 100 on: the same price, surface and distance as entered at 100
    unpriced = _book(Position(instrument=BTC_PERP, quantity=1.0), usd=20.0)
    assert _prices(unpriced) == pytest.approx([80.0 / 0.996], rel=1e-9)
    moves = np.array([-0.3, 0.0, 0.3])
    surface = joint_surface(unpriced, MARKET, isolated.METHOD, RATES, (BTC, ETH), moves)
    # 20 less the loss of 30 less 0.4 % of 70; a profit in USDT counts 98 cents
    assert surface[0] == pytest.approx([20.0 - 30.0 - 0.28] * 3)
    assert surface[2] == pytest.approx([20.0 + 0.98 * 30.0 - 0.52] * 3)
    fall = what_if(unpriced, MARKET, Change(prices={BTC: -0.1}), isolated.METHOD, RATES)
    assert fall.after.equity - fall.before.equity == pytest.approx(-10.0)
    (row,) = compared([unpriced], MARKET, [(isolated.METHOD, RATES)])
    assert row.distance == pytest.approx(80.0 / 0.996 / 100.0 - 1.0, abs=0.01)


def test_an_inverse_long_in_its_own_coin_has_its_closed_form() -> None:
    # SCIENCE: 10,000 USD at 50,000 with 0.05 BTC and 0.5 %: 40,200 long; here without haircut on the coin
    market = MarketSnapshot(time_ns=0, index={BTC: Price(50_000.0)})
    inverse = parse_contract("deribit:BTC/USD:BTC")
    rates = msgspec.structs.replace(
        RATES,
        initial_rate={"BTC": 0.01},
        haircuts=msgspec.convert({"tiers": {"BTC": [{"haircut": 0.0}]}}, type(RATES.haircuts)),
    )
    book = Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=BTC, amount=0.05),),
        positions=(Position(instrument=inverse, quantity=1_000.0, entry_price=50_000.0),),
    )
    found = liquidation_prices(book, market, isolated.METHOD, rates, BTC)
    assert [crossing.price for crossing in found.crossings] == pytest.approx([40_200.0], rel=1e-9)


def test_a_hedged_book_has_no_price_and_says_so() -> None:
    legs = (
        Position(instrument=BTC_PERP, quantity=1.0, entry_price=100.0),
        Position(instrument=parse_contract("okx:BTC/USDT:USDT"), quantity=-1.0, entry_price=100.0),
    )
    grid = read_parameters(scenario_grid.METHOD)
    size = legs[1].instrument.contract_size_float
    hedged = _book(legs[0], replace(legs[1], quantity=-1.0 / size), usd=1_000.0)
    found = liquidation_prices(hedged, MARKET, scenario_grid.METHOD, grid, BTC)
    assert found.crossings == ()
    assert not found.liquidatable_now


def test_a_book_under_water_says_that_liquidation_has_begun() -> None:
    found = liquidation_prices(
        _book(Position(instrument=BTC_PERP, quantity=1.0, entry_price=200.0)), MARKET, isolated.METHOD, RATES, BTC
    )
    assert found.liquidatable_now
    assert [crossing.enters for crossing in found.crossings] == [False]
    assert found.nearest is None


def test_an_order_that_the_move_crosses_fills_on_the_way() -> None:
    long = Position(instrument=BTC_PERP, quantity=1.0, entry_price=100.0)
    bid = Order(instrument=BTC_PERP, side=Side.BUY, quantity=1.0, price=90.0)
    # two coins from 90 down: 20 + (p - 100) + (p - 90) = 0.004 * 2 p
    book = _book(long, usd=20.0, orders=(bid,))
    assert _prices(book) == pytest.approx([170.0 / (2.0 * 0.996)], rel=1e-9)


def test_a_ray_of_joint_moves_hits_where_both_losses_add_up() -> None:
    book = _book(
        Position(instrument=BTC_PERP, quantity=1.0, entry_price=100.0),
        Position(instrument=ETH_PERP, quantity=10.0, entry_price=10.0),
        usd=60.0,
    )
    rates = msgspec.structs.replace(RATES, initial_rate={"BTC": 0.0, "ETH": 0.0}, default_initial_rate=0.0)
    found = first_hits(book, MARKET, isolated.METHOD, rates, {BTC: 1.0, ETH: 1.0})
    # 200 USD of exposure and 60 of equity: 30 % down
    assert found.nearest is not None
    assert found.nearest.move == pytest.approx(-0.3, rel=1e-9)
    surface = joint_surface(book, MARKET, isolated.METHOD, rates, (BTC, ETH), np.array([-0.3, 0.0]))
    # losses are owed in full, gains are USDT after 2 % haircut
    assert surface == pytest.approx(np.array([[0.0, 30.0], [30.0, 60.0]]), abs=1e-9)


def test_funding_eats_a_levered_long() -> None:
    market = replace(MARKET, funding_rate_8h={BTC_PERP.id: 0.001})
    book = _book(Position(instrument=BTC_PERP, quantity=1.0, entry_price=100.0), usd=2.0)
    # 0.3 a day until equity is 0.4
    assert days_to_liquidation(book, market, isolated.METHOD, RATES) == pytest.approx(1.6 / 0.3, abs=1e-4)
    assert days_to_liquidation(book, MARKET, isolated.METHOD, RATES) is None
