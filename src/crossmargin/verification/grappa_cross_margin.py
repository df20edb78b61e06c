"""Reader of the Grappa cases: the payoff floor of option portfolios, in dollars and coins."""

import json
import math
from pathlib import Path

from crossmargin.margin.payoff_floor import Leg, payoff_floor
from crossmargin.verification.tally import Tally

_MICRO = 10**6
_COIN = 10**18


def verify(folder: Path) -> Tally:
    """Return how many floors match; both are truncated to a millionth there."""
    tally = Tally(name=folder.name)
    for case in json.loads((folder / "vectors.json").read_text(encoding="utf-8"))["cases"]:
        legs = [
            Leg(leg["type"] == "CALL", leg["strike_1e6"] / _MICRO, float(leg["contracts"])) for leg in case["positions"]
        ]
        floor = payoff_floor(legs)
        expected = case["expected"]
        pairs = [
            (_truncated(floor.dollars), int(expected.get("usdcId", 0))),
            (_truncated(floor.coins), int(expected.get("wethId", 0)) * _MICRO // _COIN),
        ]
        tally.check(case["name"], [(float(ours), float(theirs)) for ours, theirs in pairs], tolerance=0.0)
    return tally


def _truncated(amount: float) -> int:
    # a division that comes out even may sit an ulp below its value
    return math.floor(amount * _MICRO * (1.0 + 1e-15))
