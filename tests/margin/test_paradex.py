"""Paradex cross and portfolio margin of an account: the venue's worked examples, the laws that break, refusals."""

import math
from dataclasses import replace

import msgspec
import pytest
from scipy import stats

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import paradex_cross, paradex_portfolio
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import NANOSECONDS_PER_DAY, AccountId, Currency

CROSS = read_parameters(paradex_cross.METHOD)
NO_FEE = msgspec.structs.replace(CROSS, taker_fee=0.0)
PERPETUAL = "paradex:BTC/USD:USDC"


def option(strike: int, kind: str) -> str:
    return f"paradex:BTC/USD:USDC-260327-{strike}-{kind}"


def book(
    held: dict[str, float], orders: tuple[tuple[str, float, float], ...] = (), balances: dict[str, float] | None = None
) -> Portfolio:
    return Portfolio(
        account=AccountId("a"),
        balances=tuple(
            Balance(currency=Currency(name), amount=amount) for name, amount in (balances or {"USDC": 1e5}).items()
        ),
        positions=tuple(Position(instrument=parse_contract(name), quantity=q) for name, q in held.items()),
        orders=tuple(
            Order(
                instrument=parse_contract(name), side=Side.BUY if q > 0.0 else Side.SELL, quantity=abs(q), price=price
            )
            for name, q, price in orders
        ),
    )


def market(spot: float, **marks: float) -> MarketSnapshot:
    return MarketSnapshot(
        time_ns=0,
        index={Currency(coin): Price(spot) for coin in ("BTC", "XMR")} | {Currency("USDC"): Price(1.0)},
        marks={parse_contract(option(int(name[1:]), name[0])).id: Price(mark) for name, mark in marks.items()},
    )


def cross(
    portfolio: Portfolio, at: MarketSnapshot, parameters: paradex_cross.ParadexCrossParameters = NO_FEE
) -> Requirement:
    return requirements((portfolio,), at, paradex_cross.METHOD, parameters)[0]


def test_the_venue_s_example_of_open_sizes() -> None:
    orders = ((PERPETUAL, 3.0, 90_000.0), (PERPETUAL, -2.0, 90_000.0))
    answer = cross(book({PERPETUAL: -1.0}, orders), market(90_000.0))
    assert answer.initial == pytest.approx(5_400.0)
    assert answer.maintenance == pytest.approx(900.0)


def test_fees_and_open_loss_are_set_aside() -> None:
    answer = cross(book({PERPETUAL: 1.0}, ((PERPETUAL, 1.0, 90_500.0),)), market(90_000.0), CROSS)
    assert answer.initial == pytest.approx(2.0 * 90_000.0 * (0.02 + 0.0003) + 500.0)
    assert answer.maintenance == pytest.approx(90_000.0 * (0.01 + 0.0003))


def test_the_venue_s_example_of_a_call_spread() -> None:
    at = market(100_000.0, C100000=4_000.0, C110000=1_500.0)
    spread = cross(book({option(100_000, "C"): 1.0, option(110_000, "C"): -1.0}), at)
    apart = [cross(book({option(100_000, "C"): 1.0}), at), cross(book({option(110_000, "C"): -1.0}), at)]
    assert [each.initial for each in apart] == pytest.approx([4_000.0, 10_000.0])
    assert (spread.initial, spread.maintenance) == pytest.approx((2_500.0, 2_500.0))
    # what it is worth is equity, so that the spread frees nothing and costs nothing
    assert spread.excess == pytest.approx(1e5)


def test_a_call_left_unpaired_is_charged_by_the_sum_or_the_reserve() -> None:
    at = market(100_000.0, C100000=4_000.0, C110000=1_500.0)
    ratio = cross(book({option(100_000, "C"): 1.0, option(110_000, "C"): -2.0}), at)
    assert ratio.initial == pytest.approx(4_000.0 + 2.0 * 10_000.0)


def test_netting_can_cost() -> None:
    at = market(100_000.0, C100000=4_000.0, C110000=1_500.0, C120000=500.0)
    spread, naked = {option(100_000, "C"): 1.0, option(110_000, "C"): -1.0}, {option(120_000, "C"): -1.0}
    assert [cross(book(held), at).initial for held in (spread, naked)] == pytest.approx([2_500.0, 10_000.0])
    assert cross(book(spread | naked), at).initial == pytest.approx(24_000.0)


@pytest.mark.parametrize(
    ("held", "balances", "name"),
    [
        ({"deribit:BTC/USD:BTC": 1.0}, {}, "deribit:BTC/USD:BTC"),
        ({"paradex:XMR/USD:USDC": 1.0}, {}, "no parameters of XMR"),
        ({"binance:BTC/USDC": 1.0}, {}, "binance:BTC/USDC"),
        ({}, {"BTC": 1.0}, "was given BTC"),
    ],
)
def test_what_it_does_not_hold_is_refused_by_name(
    held: dict[str, float], balances: dict[str, float], name: str
) -> None:
    with pytest.raises(InputError, match=name):
        cross(book(held, balances=balances), market(90_000.0))


def test_an_order_on_an_option_is_refused_by_name() -> None:
    orders = ((option(100_000, "C"), 1.0, 4_000.0),)
    with pytest.raises(InputError, match="leave paradex:BTC/USD:USDC-260327-100000-C out"):
        cross(book({}, orders), market(100_000.0, C100000=4_000.0))


PORTFOLIO = read_parameters(paradex_portfolio.METHOD)
OTHER = "hyperliquid:BTC/USDC:USDC"


def scanned(portfolio: Portfolio, at: MarketSnapshot) -> Requirement:
    return requirements((portfolio,), at, paradex_portfolio.METHOD, PORTFOLIO)[0]


def funded(at: MarketSnapshot, rate: float) -> MarketSnapshot:
    return replace(at, funding_rate_8h={parse_contract(name).id: rate for name in (PERPETUAL, OTHER)})


def test_the_worked_example_of_portfolio_margin() -> None:
    answer = scanned(book({PERPETUAL: 1.0}), funded(market(70_000.0), 1e-4))
    assert answer.initial == pytest.approx(11_200.0 + 7.0 + 21.0)
    assert answer.maintenance == pytest.approx(5_600.0 + 7.0 + 21.0)
    # a short is paid this funding, and counts a listed rise of 50 %, a loss of 35,000, by 24 % only
    short = scanned(book({PERPETUAL: -1.0}), funded(market(70_000.0), 1e-4))
    assert short.initial == pytest.approx(11_200.0 + 21.0)


def test_a_hedge_of_two_contracts_needs_the_hedged_rate() -> None:
    answer = scanned(book({PERPETUAL: 1.0, OTHER: -1.5}), funded(market(70_000.0), 0.0))
    assert answer.measures["minimum delta requirement, BTC"] == pytest.approx((0.02 * 0.5 + 0.01) * 70_000.0)
    whole = scanned(book({PERPETUAL: 1.0, OTHER: -1.0}), funded(market(70_000.0), 0.0))
    assert whole.initial == pytest.approx(700.0 + 42.0)


def put_value(forward: float, strike: float, vol: float, years: float) -> float:
    deviation = vol * math.sqrt(years)
    first = math.log(forward / strike) / deviation + deviation / 2
    return float(strike * stats.norm.cdf(deviation - first) - forward * stats.norm.cdf(-first))


@pytest.mark.parametrize("days", [10.0, 90.0])
def test_a_short_put_is_revalued_at_the_shocked_spot_and_vol(days: float) -> None:
    name = option(70_000, "P")
    expiry_ns = parse_contract(name).expiry_ns  # type: ignore[union-attr]
    now = expiry_ns - int(days * NANOSECONDS_PER_DAY)
    smile = Smile(expiry_ns=expiry_ns, forward=70_000.0, strikes=(35_000.0, 140_000.0), vols=(0.5, 0.5))
    years = days / 365.0
    mark = put_value(70_000.0, 70_000.0, 0.5, years)
    at = replace(
        market(70_000.0, P70000=mark),
        time_ns=now,
        surfaces={Currency("BTC"): VolSurface(time_ns=now, smiles=(smile,))},
    )
    tenor = (30.0 / days) ** (0.3 if days < 30.0 else 0.13)
    losses = []
    # the venue's table: falls of 16, 66 and 33 % with vols up 40 %, counted by 100, 18 and 36 %
    for fall, weight in ((0.16, 1.0), (0.66, 0.18), (0.33, 0.36)):
        shocked = put_value(70_000.0 * (1.0 - fall), 70_000.0, max(0.5 * (1.0 + 0.4 * tenor), 0.4), years)
        losses.append(weight * (shocked - mark))
    answer = scanned(book({name: -1.0}), at)
    assert answer.measures["scan risk, BTC"] == pytest.approx(max(losses), rel=1e-6)


def test_every_table_holds_the_venue_s_24_scenarios() -> None:
    for asset in PORTFOLIO.assets.values():
        assert len(asset.shocks) == 24
        assert sum(shock.weight == 1.0 for shock in asset.shocks) == 16
    hype = PORTFOLIO.assets[Currency("HYPE")].shocks
    assert [(shock.spot, shock.vol, shock.weight) for shock in hype[14:18]] == [
        (-0.21, -0.352, 1.0),
        (-0.28, 0.64, 1.0),
        (-0.66, 0.64, 0.3),
        (-0.33, 0.64, 0.5),
    ]


def test_portfolio_margin_refuses_what_its_pages_do_not_say() -> None:
    at = market(70_000.0)
    with pytest.raises(InputError, match="leave out paradex:BTC/USD:USDC"):
        scanned(book({}, ((PERPETUAL, 1.0, 70_000.0),)), at)
    with pytest.raises(MarketDataError, match="funding rate of paradex:BTC/USD:USDC"):
        scanned(book({PERPETUAL: 1.0}), at)
    with pytest.raises(InputError, match="no parameters of XMR"):
        scanned(book({"paradex:XMR/USD:USDC": 1.0}), at)
