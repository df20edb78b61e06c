"""SPAN on an account: the worked example, tiers and credits by hand, the law that it breaks, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import span
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.margin.span_spreads import CommoditySpread, TierSpread, calendar_charge, commodity_credits, price_risk
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.pricing.valuation import model_price
from crossmargin.units import NANOSECONDS_PER_DAY, AccountId, Currency

BTC, ETH = Currency("BTC"), Currency("ETH")
EXPIRY = parse_contract("deribit:BTC/USD:BTC-260327-100000-P").expiry_ns  # type: ignore[union-attr]
PARAMETERS = read_parameters(span.METHOD)
PERPETUAL, OTHER = "derive:BTC/USDC:USDC", "derive:ETH/USDC:USDC"
FUTURE = "binance:BTC/USDT:USDT-260327"


def market(days: float = 60.0) -> MarketSnapshot:
    now = EXPIRY - int(days * NANOSECONDS_PER_DAY)
    smile = Smile(expiry_ns=EXPIRY, forward=100_000.0, strikes=(50_000.0, 150_000.0), vols=(0.5, 0.5))
    plain = MarketSnapshot(
        time_ns=now,
        index={
            BTC: Price(100_000.0),
            ETH: Price(4_000.0),
            Currency("USDC"): Price(1.0),
            Currency("USDT"): Price(1.0),
            Currency("DOGE"): Price(0.1),
        },
        surfaces={BTC: VolSurface(time_ns=now, smiles=(smile,))},
    )
    options = [parse_contract(f"derive:BTC/USDC:USDC-260327-{strike}-P") for strike in (100_000, 95_000, 40_000)]
    return replace(plain, marks={each.id: Price(model_price(each, plain)) for each in options})  # type: ignore[arg-type]


def margined(*held: tuple[str, float], days: float = 60.0, **balances: float) -> Requirement:
    book = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(name), amount=amount) for name, amount in balances.items()),
        positions=tuple(Position(instrument=parse_contract(name), quantity=quantity) for name, quantity in held),
    )
    return requirements((book,), market(days), span.METHOD, PARAMETERS)[0]


def test_the_worked_example() -> None:
    spread = margined((PERPETUAL, 1.0), (OTHER, -20.0))
    assert spread.maintenance == pytest.approx(16_000.0 + 14_400.0 - 5_120.0 - 5_760.0)
    assert spread.initial == pytest.approx(21_472.0)
    assert margined((PERPETUAL, 1.0), (FUTURE, -1.0)).maintenance == pytest.approx(1_000.0)


def test_a_credit_needs_opposite_sides() -> None:
    assert margined((PERPETUAL, 1.0), (OTHER, 20.0)).maintenance == pytest.approx(30_400.0)


def test_a_short_option_that_no_scenario_reaches_needs_the_minimum() -> None:
    far = margined(("derive:BTC/USDC:USDC-260327-40000-P", -2.0), days=1.0)
    assert far.maintenance == pytest.approx(2.0 * 0.005 * 100_000.0)
    assert far.measures["scan risk, BTC"] < 1.0


def test_netting_can_cost() -> None:
    spread = ((PERPETUAL, 1.0), (OTHER, -25.0))
    back = (("derive:BTC/USDC:USDC-260327-100000-P", 2.0), ("derive:BTC/USDC:USDC-260327-95000-P", -3.0))
    apart = margined(*spread, days=1.0).maintenance + margined(*back, days=1.0).maintenance
    assert margined(*spread, *back, days=1.0).maintenance > 1.05 * apart


def test_tiers_use_each_dollar_once() -> None:
    spreads = (
        TierSpread(first=0, second=1, charge=0.01),
        TierSpread(first=1, second=2, charge=0.02),
        TierSpread(first=0, second=2, charge=0.03),
    )
    deltas, tiers = {1: 100.0, 2: -70.0, 3: -50.0}, {1: 0, 2: 1, 3: 2}
    # 70 against the second tier, and the 30 that are left against the third
    assert calendar_charge(deltas, tiers, spreads) == pytest.approx(0.7 + 0.9)
    mirrored = {expiry: -delta for expiry, delta in deltas.items()}
    assert calendar_charge(mirrored, tiers, spreads) == pytest.approx(1.6)


def test_price_risk_of_the_published_call_is_its_paired_loss_less_that_of_a_still_price() -> None:
    # McMillan, Options as a Strategic Investment, ch. 34: S&P 500 December 410 call; worst scenario 14, its pair 13
    call = [460, -610, 2640, 1730, -1270, -2340, 5210, 4540, -2540, -3430, 8060, 7640, -3380, -3990, 3130, -1500]
    assert price_risk(np.array(call, dtype=float)) == pytest.approx((3990 + 3380) / 2 - (610 - 460) / 2)


@example([1.3e-310, -1e6, 0.0], [1.192092896e-07, 1.3e-07, 1e5], 1.0)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    st.lists(st.floats(0.0, 1e5), min_size=3, max_size=3),
    st.floats(0.1, 5.0),
)
def test_credits_are_never_more_than_their_share_of_price_risk(
    deltas: list[float], risks: list[float], ratio: float
) -> None:
    coins = [BTC, ETH, Currency("SOL")]
    spreads = [
        CommoditySpread(first=coins[i], second=coins[j], credit=0.6, ratio=ratio) for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    given_deltas = dict(zip(coins, deltas, strict=True))
    risk = dict(zip(coins, risks, strict=True))
    for coin, credit in commodity_credits(given_deltas, risk, spreads).items():
        assert 0.0 <= credit <= 0.6 * risk[coin] * (1.0 + 1e-9)


@pytest.mark.parametrize(
    ("held", "balances", "name"),
    [
        ((("derive:DOGE/USDC:USDC", 1.0),), {}, "DOGE"),
        ((("binance:BTC/USDT", 1.0),), {}, "binance:BTC/USDT"),
        ((), {"DOGE": 1.0}, "haircut of DOGE"),
    ],
)
def test_what_it_cannot_margin_is_refused_by_name(
    held: tuple[tuple[str, float], ...], balances: dict[str, float], name: str
) -> None:
    with pytest.raises(InputError, match=name):
        margined(*held, **balances)
