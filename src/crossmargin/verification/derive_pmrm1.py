"""Derive's PMRM (v1) cases, and the liquidation simulations that rest on it."""

from pathlib import Path
from typing import Any

import msgspec

from crossmargin.clearing import auction
from crossmargin.clearing.interest import RateCurve, borrow_rate
from crossmargin.margin import derive_pmrm as rule
from crossmargin.margin.derive_book import Expiry, expiry_of
from crossmargin.margin.derive_pmrm2 import Move, VolMove
from crossmargin.verification.cases import read_cases
from crossmargin.verification.tally import Tally

ONE = 1e18
CONTRACT = 1e8
SECONDS_PER_DAY = 86_400
TEST_MARKET = rule.PmrmMarket(
    scenarios=tuple(
        Move(spot=1.0 + step / 100, vol=vol) for step in (15, 10, 5, 0, -5, -10, -15) for vol in list(VolMove)[:3]
    ),
    vol_up=0.45,
    vol_down=0.3,
    vol_short_power=0.3,
    vol_long_power=0.13,
    vol_floor_seconds=SECONDS_PER_DAY,
    basis_up=1.05,
    basis_down=0.95,
    basis_add=0.25,
    basis_multiple=0.01,
    initial_factor=1.3,
    static_discount=0.95,
    rate_multiple=4.0,
    rate_add=0.05,
    peg_threshold=0.98,
    peg_factor=2.0,
    confidence_threshold=0.6,
    confidence_factor=0.5,
    base_rate=0.02,
    perpetual_rate=0.02,
    option_rate=0.01,
)
"""Parameters of the scenario file; the portfolio file differs in four."""
PORTFOLIO_MARKET = msgspec.structs.replace(
    TEST_MARKET, rate_add=0.12, confidence_factor=0.4, base_rate=0.025, perpetual_rate=0.025
)
AUCTION = auction.AuctionTerms(
    start=0.98, fast_cutoff=0.8, fast_seconds=100, slow_seconds=14_400, insolvent_seconds=0, buffer=0.2, fee=0.02
)
DAYS = {"0104": 3, "0111": 10, "0118": 17, "0227": 57, "0804": 215, "0811": 222, "0818": 229, "0825": 238}
PREMIA = (0.91345, 2.83305, 4.7545, 15.7696, 59.87416, 61.85933, 63.8284, 66.3744)
"""Days to the labelled expiries, and forwards above spot there: the source's test set-up."""
FEEDS: dict[str, dict[str, Any]] = {
    "test_depeg_contingency_pm": {"stable": 0.2},
    "test_oracle_cont_long_call_pm": {
        "spot_c": 0.1,
        "vol": {("0118", 1700): (0.5, 0.3)},
        "fwd": {"0118": (2004.75, 0.4)},
    },
    "test_oracle_cont_short_call_pm": {
        "spot_c": 0.1,
        "vol": {("0118", 1700): (0.5, 0.1)},
        "fwd": {"0118": (2004.75, 0.4)},
    },
    "test_oracle_cont_base_asset_pm": {
        "spot_c": 0.1,
        "vol": {("0118", 1700): (0.01, 0.1)},
        "fwd": {"0118": (2004.75, 0.02)},
    },
    "test_oracle_cont_long_perp_asset_pm": {
        "spot_c": 0.3,
        "vol": {("0118", 1700): (0.5, 0.1)},
        "fwd": {"0118": (2004.75, 0.02)},
        "perp": (2001.0, 0.1),
    },
    "test_general_portfolio_pm": {
        "spot": 2004.0,
        "spot_c": 0.3,
        "vol": {("0118", 1700): (0.15, 0.1), ("0118", 2100): (1.01, 0.1), ("0118", 1000): (0.33, 0.1)},
        "fwd": {"0227": (2014.7545, 0.2)},
        "perp": (2017.0, 0.3),
    },
}
"""Prices and confidences that a case's test sets and its file does not hold."""


def verify(folder: Path) -> Tally:
    """Check the scenario file to 1e-9 and the portfolio file exactly, truncated as its source does."""
    tally = Tally("derive_pmrm1")
    for name, case in read_cases(folder / "testAndVerifyScenarios.json").items():
        answer = rule.margin(_scenario_account(case["Scenario"]), TEST_MARKET)
        result = case["Result"]
        pairs = [
            (answer.net_maintenance, result["MaintenanceMarginHand"] / ONE),
            (answer.net_initial, result["InitialMarginHand"] / ONE),
        ]
        tally.check(name, pairs, tolerance=1e-9, scale=1.0)
    for name, case in read_cases(folder / "test-cases-portfolio-pm.json").items():
        answer = rule.margin(_portfolio_account(case, FEEDS.get(name, {})), PORTFOLIO_MARKET)
        pairs = [
            (int(answer.net_maintenance), case["results"]["mm"]),
            (int(answer.net_initial), case["results"]["im"]),
        ]
        tally.check(name, pairs, tolerance=0.0)
    return tally


def verify_liquidation(folder: Path) -> Tally:
    """Check every bid of every simulation, and the points of the interest curve."""
    tally = Tally("derive_liquidation")
    for name, case in read_cases(folder / "liquidationTests.json").items():
        if name.startswith("Insolvent"):
            tally.disable(name, "switched off upstream: an older rule for the lower bound of insolvent bids")
            continue
        tally.check(name, _simulated(case), tolerance=1e-9, scale=1.0)
    curve = RateCurve(minimum=0.05, multiplier=0.3, high_multiplier=2.0, optimal=0.6)
    sequence = read_cases(folder / "cash_interest_sequence.json")
    for used, rate in zip(sequence["utilizations"], sequence["borrowRates"], strict=True):
        tally.check(f"rate at {used / ONE:.4f}", [(borrow_rate(curve, used / ONE), rate / ONE)], tolerance=1e-9)
    return tally


def _simulated(case: dict[str, Any]) -> list[tuple[float, float]]:
    first = case["InitialPortfolio"]
    cash, reserved = first["Cash"] / ONE, 0.0
    amounts = [amount / ONE for amount in first["OptionAmounts"]]
    start = rule.margin(_auctioned(first, amounts, cash, case["StartTime"]), TEST_MARKET)
    fee = auction.start_fee(AUCTION, start.net_maintenance, start.value)
    pairs = [(fee, case["LiquidationFee"])]
    cash -= fee
    for action in case["Actions"]:
        feeds, results, now = action["PortfolioAndFeeds"], action["Results"], action["Time"]
        before = rule.margin(_auctioned(feeds, amounts, cash, now), TEST_MARKET)
        share = auction.discount(AUCTION, now)
        account = auction.Auctioned(
            maintenance_margin=before.net_maintenance, mark_to_market=before.value, cash=cash, reserved=reserved
        )
        bid = auction.bid(AUCTION, account, wanted=action["Liquidator"]["PercentWant"] / ONE, elapsed_seconds=now)
        cash, reserved = bid.cash, bid.reserved
        amounts = [amount * (1.0 - bid.proportion) for amount in amounts]
        after = rule.margin(_auctioned(feeds, amounts, cash, now), TEST_MARKET)
        ours = {
            "PreMtM": before.value,
            "PreMM": before.net_maintenance,
            "PreBM": auction.buffer_margin(AUCTION, before.net_maintenance, before.value),
            "PreFMax": auction.maximum_proportion(
                AUCTION, before.net_maintenance, before.value, account.reserved, share
            ),
            "ExpectedBidPrice": bid.payment,
            "fLiquidatedOfOriginal": bid.proportion,
            "PostMtM": after.value,
            "PostMM": after.net_maintenance,
            "PostBM": auction.buffer_margin(AUCTION, after.net_maintenance, after.value),
        }
        pairs += [(value, results[name] / ONE) for name, value in ours.items()]
    return pairs


def _auctioned(feeds: dict[str, Any], amounts: list[float], cash: float, now: float) -> rule.PmrmAccount:
    by_expiry: dict[float, list[tuple[float, bool, float, float]]] = {}
    for place, seconds in enumerate(feeds["OptionExpiries"]):
        by_expiry.setdefault(seconds, []).append(
            (
                feeds["OptionStrikes"][place] / ONE,
                feeds["OptionIsCall"][place] == 1,
                amounts[place],
                feeds["OptionVols"][place] / ONE,
            )
        )
    expiries = []
    for seconds, options in by_expiry.items():
        feed = feeds["FeedExpiries"].index(seconds)
        expiries.append(
            expiry_of(
                seconds - now,
                feeds["Forwards"][feed] / ONE,
                options,
                rate=feeds["Rates"][feed] / ONE,
                fixed=0.0,
            )
        )
    return rule.PmrmAccount(
        spot=feeds["SpotPrice"] / ONE, stable_price=feeds["StablePrice"] / ONE, cash=cash, expiries=expiries
    )


def _scenario_account(given: dict[str, Any]) -> rule.PmrmAccount:
    by_expiry: dict[float, list[int]] = {}
    for place, seconds in enumerate(given["OptionExpiries"]):
        by_expiry.setdefault(seconds, []).append(place)
    expiries: list[Expiry] = []
    for seconds, places in by_expiry.items():
        feed = given["FeedExpiries"].index(seconds)
        fixed, variable = given["ForwardsFixed"][feed] / ONE, given["ForwardsVariable"][feed] / ONE
        doubts = [given["OptionVolConfidences"][place] for place in places]
        expiries.append(
            expiry_of(
                seconds,
                fixed + variable,
                [
                    (
                        given["OptionStrikes"][place] / ONE,
                        given["OptionIsCall"][place] == 1,
                        given["OptionAmounts"][place] / ONE,
                        given["OptionVols"][place] / ONE,
                    )
                    for place in places
                ],
                rate=given["Rates"][feed] / ONE,
                confidence=min(given["ForwardConfidences"][feed], given["RateConfidences"][feed], *doubts) / ONE,
                fixed=fixed,
            )
        )
    return rule.PmrmAccount(
        spot=given["SpotPrice"] / ONE,
        spot_confidence=given["SpotConfidence"] / ONE,
        stable_price=given["StablePrice"] / ONE,
        cash=given["Cash"] / ONE,
        base=given["Base"] / ONE,
        perpetuals=given["Perps"] / ONE,
        perpetual_price=given["PerpPrice"] / ONE,
        perpetual_confidence=given["PerpConfidence"] / ONE,
        perpetual_profit=(given["UnrealisedPerpPNL"] + given["UnrealisedFunding"]) / ONE,
        expiries=expiries,
    )


def _portfolio_account(case: dict[str, Any], feeds: dict[str, Any]) -> rule.PmrmAccount:
    price, perpetual_confidence = feeds.get("perp", (2001.0, 1.0))
    forwards = {label: (2000.0 + extra, 1.0) for label, extra in zip(DAYS, PREMIA, strict=True)}
    forwards |= feeds.get("fwd", {})
    by_label: dict[str, list[tuple[float, bool, float, float]]] = {}
    confidence: dict[str, float] = {}
    for option in case["options"]:
        label = option["expiry"][4:]
        vol, doubt = feeds.get("vol", {}).get((label, option["strike"]), (0.5, 1.0))
        by_label.setdefault(label, []).append(
            (float(option["strike"]), option["type"] == "call", option["amount"] / CONTRACT, vol)
        )
        confidence[label] = min(confidence.get(label, forwards[label][1]), doubt)
    return rule.PmrmAccount(
        spot=feeds.get("spot", 2000.0),
        spot_confidence=feeds.get("spot_c", 1.0),
        stable_price=feeds.get("stable", 1.0),
        cash=case["cash"] / CONTRACT,
        base=sum(item["amount"] for item in case["bases"]) / CONTRACT,
        perpetuals=sum(item["amount"] for item in case["perps"]) / CONTRACT,
        perpetual_price=price,
        perpetual_confidence=perpetual_confidence,
        perpetual_profit=sum(
            (price - item["entryPrice"] / CONTRACT) * item["amount"] / CONTRACT for item in case["perps"]
        ),
        expiries=[
            expiry_of(
                DAYS[label] * SECONDS_PER_DAY + 8 * 3600,
                forwards[label][0],
                options,
                rate=0.02,
                confidence=confidence[label],
                fixed=0.0,
            )
            for label, options in by_label.items()
        ],
    )
