"""dYdX margin of an account: exact quanta, the chain's own cases through an account, refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import dydx
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency

PARAMETERS = read_parameters(dydx.METHOD)
SOL = "dydx:SOL/USDC:USDC"


def margined(
    *held: tuple[str, float],
    price: float = 150.0,
    open_interest: float | None = None,
    parameters: dydx.DydxParameters = PARAMETERS,
    **balances: float,
) -> Requirement:
    market = MarketSnapshot(
        time_ns=0,
        index={Currency(coin): Price(price) for coin in ("SOL", "BTC", "ETH", "XMR")} | {Currency("USDC"): Price(1.0)},
        open_interest={} if open_interest is None else {parse_contract(SOL).id: open_interest},
    )
    book = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(name), amount=amount) for name, amount in balances.items()),
        positions=tuple(Position(instrument=parse_contract(name), quantity=quantity) for name, quantity in held),
    )
    return requirements((book,), market, dydx.METHOD, parameters)[0]


def test_the_worked_example_and_margin_that_grows_with_what_others_hold() -> None:
    crowded = margined((SOL, 10_000.0), open_interest=200_000.0, USDC=1e6)
    assert crowded.initial == 600_000.0
    assert crowded.maintenance == 75_000.0
    assert crowded.excess == 400_000.0
    calm = margined((SOL, 10_000.0), open_interest=100_000.0)
    assert (calm.initial, calm.maintenance) == (150_000.0, 75_000.0)
    full = margined((SOL, -10_000.0), open_interest=1e6)
    assert full.initial == 1_500_000.0


def test_the_chain_s_initial_margins_come_out_of_an_account(
    shared: Path, record_property: Callable[[str, object], None]
) -> None:
    vectors = json.loads((shared / "vectors" / "dydx_v4" / "vectors.json").read_text(encoding="utf-8"))
    cases = vectors["initial_margin_quote_quantums"]
    record_property("outside_cases", len(cases))
    assert cases
    for case in cases:
        tier = dydx.LiquidityTier(
            initial_ppm=case["initialMarginPpm"],
            maintenance_of_initial_ppm=500_000,
            open_interest_lower_cap=case.get("openInterestLowerCap", 0),
            open_interest_upper_cap=case.get("openInterestUpperCap", 0),
        )
        parameters = dydx.DydxParameters(
            effective="2025-01-01",
            sources=(),
            tiers={"t": tier},
            markets={Currency("SOL"): dydx.Market(tier="t", atomic_resolution=-6)},
        )
        # at a price of one dollar and a millionth of a coin as quantum, quote and base quanta are the same
        answer = margined(
            (SOL, case["bigQuoteQuantums"] / 1e6),
            price=1.0,
            open_interest=case.get("openInterestNotional", 0) / 1e6,
            parameters=parameters,
        )
        assert round(answer.initial * 1e6) == case["expectedInitialMarginQuoteQuantums"], case["name"]


def test_requirements_round_up_to_a_whole_quantum() -> None:
    # a ten-billionth of a coin at 150 is less than a quantum long, and one quantum owed short
    assert margined(("dydx:BTC/USDC:USDC", 1e-10)).initial == 0.0
    assert margined(("dydx:BTC/USDC:USDC", -1e-10)).initial == 1e-6


@pytest.mark.parametrize(
    ("held", "balances", "name"),
    [
        ((("deribit:BTC/USD:BTC", 1.0),), {}, "deribit:BTC/USD:BTC"),
        ((("derive:BTC/USDC:USDC-260327-90000-C", 1.0),), {}, "260327-90000-C"),
        ((("dydx:XMR/USDC:USDC", 1.0),), {}, "no market of XMR"),
        ((), {"BTC": 1.0}, "USDC as collateral only, was given BTC"),
    ],
)
def test_what_it_does_not_hold_is_refused_by_name(
    held: tuple[tuple[str, float], ...], balances: dict[str, float], name: str
) -> None:
    with pytest.raises(InputError, match=name):
        margined(*held, **balances)


def test_an_unknown_open_interest_is_not_taken_as_none() -> None:
    with pytest.raises(MarketDataError, match="open interest of dydx:SOL/USDC:USDC"):
        margined((SOL, 1.0))
