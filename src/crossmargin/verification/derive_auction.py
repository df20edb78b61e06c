"""The Dutch auction of Derive v2: prices, proportions and payouts, as its own tests state them."""

import math
from pathlib import Path
from typing import Any

from crossmargin.clearing import auction
from crossmargin.verification.cases import read_cases
from crossmargin.verification.tally import Tally


def verify(folder: Path) -> Tally:
    """Check every case; some are truncated by their source before it compares."""
    tally = Tally("derive_auction")
    for number, case in enumerate(read_cases(folder / "vectors.json")["cases"], start=1):
        ours = _answer(case["kind"], auction_terms(case["params"]), case["inputs"])
        digits = case["trunc_digits"]
        if digits is not None:
            ours = math.floor(ours * 10**digits + 1e-9) / 10**digits
        tally.check(f"{number} {case['kind']}", [(ours, case["expected"])], tolerance=1e-12, scale=1.0)
    return tally


def auction_terms(given: dict[str, Any]) -> auction.AuctionTerms:
    """Return the terms in our names."""
    return auction.AuctionTerms(
        start=given["start_mtm_pct"],
        fast_cutoff=given["fast_cutoff_pct"],
        fast_seconds=given["fast_len_s"],
        slow_seconds=given["slow_len_s"],
        insolvent_seconds=given["insolvent_len_s"],
        buffer=given["buffer_margin_pct"],
    )


def _answer(kind: str, terms: auction.AuctionTerms, given: dict[str, float]) -> float:
    share = auction.discount(terms, given["elapsed_s"])
    match kind:
        case "discount":
            return share
        case "solvent_bid":
            return auction.solvent_bid(given["mtm"], given["reserved"], share)
        case "max_proportion":
            return auction.maximum_proportion(terms, given["mm"], given["mtm"], given["reserved"], share)
        case "solvent_payment":
            account = auction.Auctioned(
                maintenance_margin=given["mm"], mark_to_market=given["mtm"], cash=0.0, reserved=given["reserved"]
            )
            return auction.bid(terms, account, wanted=given["requested"], elapsed_seconds=given["elapsed_s"]).payment
        case "insolvent_bid":
            return auction.insolvent_bid(terms, given["mm"], given["mtm"], given["elapsed_s"])
        case "insolvent_payout":
            price = auction.insolvent_bid(terms, given["mm"], given["mtm"], given["elapsed_s"])
            return -price * given["proportion"]
    return math.nan
