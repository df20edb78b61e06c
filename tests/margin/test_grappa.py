"""The payoff floor of an account: the protocol's own previews, currencies that do not replace each other, refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import grappa
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency


def margined(*options: tuple[str, float], spot: float = 50_000.0, **balances: float) -> Requirement:
    market = MarketSnapshot(
        time_ns=0, index={Currency("BTC"): Price(spot), Currency("ETH"): Price(spot), Currency("USDC"): Price(1.0)}
    )
    book = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(name), amount=amount) for name, amount in balances.items()),
        positions=tuple(Position(instrument=parse_contract(name), quantity=quantity) for name, quantity in options),
    )
    return requirements((book,), market, grappa.METHOD, read_parameters(grappa.METHOD))[0]


def option(strike: str, kind: str, quantity: float, expiry: str = "260327") -> tuple[str, float]:
    return f"deribit:BTC/USD:BTC-{expiry}-{strike}-{kind}", quantity


SPREAD = (option("21000", "C", -1.0), option("22000", "C", 1.0))


def test_the_protocol_s_previews_come_out_of_an_account(
    shared: Path, record_property: Callable[[str, object], None]
) -> None:
    folder = shared / "vectors" / "grappa_cross_margin"
    cases = json.loads((folder / "vectors.json").read_text(encoding="utf-8"))["cases"]
    record_property("outside_cases", len(cases))
    assert cases
    for case in cases:
        options = [
            option(f"{leg['strike_1e6'] / 1e6:g}", leg["type"][0], float(leg["contracts"])) for leg in case["positions"]
        ]
        measures = margined(*options).measures
        dollars = int(case["expected"].get("usdcId", 0)) / 1e6
        coins = int(case["expected"].get("wethId", 0)) / 1e18
        assert measures.get("collateral needed, USD", 0.0) == pytest.approx(dollars, abs=2e-6), case["name"]
        assert measures.get("collateral needed, BTC", 0.0) == pytest.approx(coins, abs=2e-6), case["name"]


def test_the_worked_example() -> None:
    calls, with_put = margined(*SPREAD), margined(*SPREAD, option("10000", "P", 1.0))
    assert calls.initial == calls.maintenance == pytest.approx(50_000.0 * 1_000.0 / 22_000.0)
    assert with_put.initial == pytest.approx(1_000.0)


def test_a_long_option_can_cost() -> None:
    spread = (option("20000", "C", -1.0), option("40000", "C", 1.0))
    assert margined(*spread, spot=10_000.0).initial == pytest.approx(5_000.0)
    assert margined(*spread, option("1", "P", 1.0), spot=10_000.0).initial == pytest.approx(20_000.0)


def test_dollars_do_not_stand_in_for_coins() -> None:
    short = option("60000", "C", -1.0)
    poor = margined(short, USDC=200_000.0)
    assert poor.excess == pytest.approx(-50_000.0)
    assert margined(short, BTC=0.9, USDC=200_000.0).excess == pytest.approx(-5_000.0)
    assert margined(short, BTC=1.0, USDC=200_000.0).excess == pytest.approx(200_000.0)


def test_expiries_do_not_offset() -> None:
    near, far = option("40000", "P", -1.0), option("40000", "P", 1.0, "260626")
    assert margined(near, far).initial == pytest.approx(40_000.0)
    assert margined(near, option("40000", "P", 1.0)).initial == 0.0


def test_what_rounding_leaves_of_a_closed_put_does_not_choose_the_currency() -> None:
    put = [option("10000", "P", quantity) for quantity in (0.1, 0.2, -0.3)]
    assert margined(*SPREAD, *put).initial == margined(*SPREAD).initial


@pytest.mark.parametrize(
    ("options", "balances", "name"),
    [
        ([("deribit:BTC/USD:BTC", 1.0)], {}, "deribit:BTC/USD:BTC"),
        ([("derive:SOL/USDC:USDC-260327-200-C", 1.0)], {}, "SOL/USDC:USDC-260327-200-C"),
        ([], {"SOL": 1.0}, "SOL as collateral"),
        ([], {"USDC": -1.0}, "owes 1 USD"),
    ],
)
def test_what_it_cannot_hold_is_refused_by_name(
    options: list[tuple[str, float]], balances: dict[str, float], name: str
) -> None:
    with pytest.raises(InputError, match=name):
        margined(*options, **balances)
