"""Derive's standard-margin cases."""

from pathlib import Path
from typing import Any

from crossmargin.margin import derive_srm as rule
from crossmargin.margin.derive_book import expiry_of
from crossmargin.verification.cases import read_cases
from crossmargin.verification.derive_srm_portfolios import check_portfolios
from crossmargin.verification.tally import Tally

ONE = 1e18
OPTION = rule.OptionTerms(
    max_spot=0.15,
    min_spot=0.1,
    call_maintenance=0.075,
    put_maintenance=0.075,
    put_value_maintenance=0.075,
    unpaired_initial=1.2,
    unpaired_maintenance=1.1,
    offset_scale=1.05,
)
MARKET = rule.SrmMarket(
    perpetual_confidence=0.4,
    option_confidence=0.4,
    base_confidence=0.4,
    confidence_factor=0.4,
    perpetual=rule.PerpetualTerms(maintenance=0.05, initial=0.065),
    base=rule.BaseTerms(factor=0.1, initial_scale=1.0),
    option=OPTION,
)
"""Parameters of the source's tests."""
HOUR = 3_600


def verify(folder: Path) -> Tally:
    """Check the two-market cases to 1e-9 (their source allows 0.1 %), and the integer portfolios exactly."""
    tally = Tally("derive_srm")
    for name, case in read_cases(folder / "test-cases.json").items():
        given, result = case["Scenario"], case["Result"]
        held, cash, stable = _holdings(given), given["Cash"] / ONE, given["USDCValue"] / ONE

        def net(
            *, initial: bool, held: list[rule.SrmHolding] = held, cash: float = cash, stable: float = stable
        ) -> float:
            return rule.net_margin(held, cash, stable_price=stable, peg_threshold=0.98, peg_factor=1.2, initial=initial)

        pairs = [
            (net(initial=False), result["realMM"] / ONE),
            (net(initial=True), result["realIM"] / ONE),
            (rule.value(held, cash, stable_price=stable), result["PortfolioMtM"] / ONE),
        ]
        tally.check(name, pairs, tolerance=1e-9, scale=1.0)
    check_portfolios(tally, folder, MARKET)
    return tally


def _holdings(given: dict[str, Any]) -> list[rule.SrmHolding]:
    held = []
    for place, name in enumerate(("ETH", "BTC")):
        perpetuals, price = given[f"Perps_{name}"] / ONE, given["PerpPrice"][place] / ONE
        profit = 0.0
        if perpetuals:
            funding = (given[f"{name}GlobalFundingIndex"] - given[f"Account{name}FundingIndex"]) / ONE
            profit = perpetuals * (price - given[f"LastEntry{name}"] / ONE - funding)
        spot_confidence, perpetual_confidence = given["SpotPerpConfidences"][place]
        held.append(
            rule.SrmHolding(
                market=MARKET,
                spot=given[f"{name}SpotPrice"] / ONE,
                spot_confidence=spot_confidence / ONE,
                perpetuals=perpetuals,
                perpetual_price=price,
                perpetual_confidence=perpetual_confidence / ONE,
                perpetual_profit=profit,
                base=given[f"w{name}"] / ONE,
                expiries=_expiries(given, name),
            )
        )
    return held


def _expiries(given: dict[str, Any], name: str) -> list[Any]:
    by_expiry: dict[int, list[int]] = {}
    for place, underlying in enumerate(given["OptionUnderlying"]):
        if underlying == name:
            by_expiry.setdefault(given["OptionExpiries"][place], []).append(place)
    expiries = []
    for seconds, places in by_expiry.items():
        # the feeds stand in the order of the options that use them
        known = len(given["OptionUnderlying"])
        own = [
            j
            for j, feed in enumerate(given["FeedExpiries"])
            if feed == seconds and j < known and given["OptionUnderlying"][j] == name
        ]
        feed = own[-1] if own else given["FeedExpiries"].index(seconds)
        forward = given["Forwards"][feed] if seconds >= HOUR else given[f"SettlementPrice{name}"]
        doubts = [given["OptionVolConfidences"][place] for place in places]
        options = [
            (
                given["OptionStrikes"][place] / ONE,
                given["OptionIsCall"][place] == 1,
                given["OptionAmounts"][place] / ONE,
                given["OptionVols"][place] / ONE,
            )
            for place in places
        ]
        confidence = min(given["ForwardConfidences"][feed], *doubts) / ONE
        expiries.append(expiry_of(seconds, forward / ONE, options, confidence=confidence, fixed=0.0))
    return expiries
