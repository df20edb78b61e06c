"""Derive's integer standard-margin portfolios: one market snapshot, and the feeds that single tests override.

The source keeps its feeds in the test contract (TestStandardManager portfolio cases), not in the file of cases; the numbers
below are those feeds, transcribed as facts.
"""

from pathlib import Path
from typing import Any

import msgspec

from crossmargin.margin import derive_srm as rule
from crossmargin.margin.derive_book import Expiry, expiry_of
from crossmargin.verification.cases import read_cases
from crossmargin.verification.tally import Tally

UNIT = 1e8
DAY, EIGHT_HOURS = 86_400, 8 * 3_600
VOL = 0.5
EXPIRY_DAYS = {
    "20230104": 3,
    "20230111": 10,
    "20230118": 17,
    "20230227": 57,
    "20230804": 215,
    "20230811": 222,
    "20230818": 229,
    "20230825": 238,
}
SPOT = {"eth": 2_000.0, "btc": 28_000.0}
PERPETUAL = {"eth": 2_001.0, "btc": 28_020.0}
BASIS = {
    "eth": (0.91345, 2.83305, 4.7545, 15.7696, 59.87416, 61.85933, 63.8284, 66.3744),
    "btc": (12.7883, 39.66276, 66.56301, 220.77451, 838.23835, 865.90472, 893.59763, 929.24184),
}
_JUST_BELOW = 0.4 - 1e-12
"""Below a threshold of 0.4 that otherwise does not bind."""


class _Feeds(msgspec.Struct, frozen=True, kw_only=True):
    """What a test overrides, all of it of ETH: stable price, confidences, one forward, one option's vol confidence."""

    stable: float = 1.0
    spot: float = 1.0
    perpetual: float = 1.0
    forward: tuple[float, float] | None = None
    vol: float | None = None


_NEAR = "20230118"
_STRIKE = 2_000
_OVERRIDES = {
    "test_USDC_depeg": _Feeds(stable=0.1),
    "test_long_perp_and_USDC_depeg": _Feeds(stable=0.1),
    "test_short_call_low_vol_conf": _Feeds(vol=0.1),
    "test_short_call_low_vol_and_fwd_confidence": _Feeds(vol=0.5, forward=(2_004.75, _JUST_BELOW)),
    "test_short_call_low_spot_vol_fwd_confidence": _Feeds(vol=0.5, forward=(2_004.75, 0.4), spot=0.2),
    "test_long_call_low_spot_vol_fwd_confidence": _Feeds(vol=0.5, forward=(2_004.75, 0.4), spot=0.2),
    "test_short_options_two_expiries_low_conf_one_expiry": _Feeds(vol=0.3, forward=(2_004.75, 0.4), spot=0.9),
    "test_long_eth_perp_low_perp_confidence": _Feeds(perpetual=0.1),
    "test_base_asset_low_spot_confidence": _Feeds(spot=0.1),
    "test_general_portfolio": _Feeds(stable=0.97, vol=0.5, forward=(2_004.75, _JUST_BELOW), spot=0.2),
}


def check_portfolios(tally: Tally, folder: Path, market: rule.SrmMarket) -> None:
    """Add the folder's portfolios to `tally`; expected margins are integers truncated towards zero."""
    terms = msgspec.structs.replace(market, base=rule.BaseTerms(factor=0.8, initial_scale=1.0))
    for name, case in read_cases(folder / "test-cases-portfolio.json").items():
        feeds = _OVERRIDES.get(name, _Feeds())
        held = [_holding(coin, case, feeds, terms) for coin in ("eth", "btc")]
        told = case.get("results") or case["result"]
        pairs = []
        for key, initial in (("mm", False), ("im", True)):
            net = rule.net_margin(
                held,
                case["cash"] / UNIT,
                stable_price=feeds.stable,
                peg_threshold=0.98,
                peg_factor=1.2,
                initial=initial,
            )
            # the source truncates integers; a float a billionth short of one is that one
            pairs.append((float(int(round(net, 9))), float(told[key])))
        tally.check(name, pairs, tolerance=0.0)


def _holding(coin: str, case: dict[str, Any], feeds: _Feeds, terms: rule.SrmMarket) -> rule.SrmHolding:
    own = feeds if coin == "eth" else _Feeds()
    perpetuals = [each for each in case["perps"] if each["underlying"] == coin]
    price = PERPETUAL[coin]
    return rule.SrmHolding(
        market=terms,
        spot=SPOT[coin],
        spot_confidence=own.spot,
        perpetuals=sum(each["amount"] for each in perpetuals) / UNIT,
        perpetual_price=price,
        perpetual_confidence=own.perpetual,
        perpetual_profit=sum((price - p["entryPrice"] / UNIT) * p["amount"] / UNIT for p in perpetuals),
        base=sum(each["amount"] for each in case["bases"] if each["underlying"] == coin) / UNIT,
        expiries=_expiries(coin, case, own),
    )


def _expiries(coin: str, case: dict[str, Any], feeds: _Feeds) -> list[Expiry]:
    forwards = dict(zip(EXPIRY_DAYS, (SPOT[coin] + basis for basis in BASIS[coin]), strict=True))
    listed: dict[str, list[dict[str, Any]]] = {}
    for option in case["options"]:
        if option["underlying"] == coin:
            listed.setdefault(option["expiry"], []).append(option)
    found = []
    for expiry, options in listed.items():
        forward, confidence = forwards[expiry], 1.0
        if expiry == _NEAR and feeds.forward is not None:
            forward, confidence = feeds.forward
        if expiry == _NEAR and feeds.vol is not None and any(option["strike"] == _STRIKE for option in options):
            confidence = min(confidence, feeds.vol)
        rows = [(float(o["strike"]), o["type"] == "call", o["amount"] / UNIT, VOL) for o in options]
        seconds = EXPIRY_DAYS[expiry] * DAY + EIGHT_HOURS
        found.append(expiry_of(seconds, forward, rows, confidence=confidence, fixed=0.0))
    return found
