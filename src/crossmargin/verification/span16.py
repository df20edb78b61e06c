"""Reader of the SPAN example: three portfolios on published risk arrays, and the order of the scenarios."""

import json
from pathlib import Path

import numpy as np

from crossmargin.margin.span import scan_risk, span_scenarios
from crossmargin.units import Currency
from crossmargin.verification.tally import Tally

_PRINTED = 4e-4
"""Thirds are printed with four decimals, extremes with two."""


def verify(folder: Path) -> Tally:
    """Return how many scan risks and scenarios match."""
    tally = Tally(name=folder.name)
    cases = json.loads((folder / "vectors.json").read_text(encoding="utf-8"))
    arrays = np.array([cases["long_future"], cases["long_call_dec410"]], dtype=np.float64)
    for case in cases["portfolios"]:
        held = np.array([case["future"], case["call"]], dtype=np.float64)
        pairs = [(scan_risk(held, arrays), float(case["expected_scan_risk"]))]
        pairs += zip((held @ arrays).tolist(), map(float, case.get("expected_array_book", [])), strict=False)
        tally.check(case["name"], pairs, tolerance=0.0)
    scan = span_scenarios(Currency("X"), price_range=0.1, vol_range=0.1)
    pairs = []
    for place, (price, vol, weight) in enumerate(cases["cme_16_scenarios"]):
        pairs += [
            ((float(scan.price_factor[0, place]) - 1.0) / 0.1, float(price)),
            (float(scan.vol_shock[0, place]) / 0.1, float(vol)),
            (float(scan.damping[place]), float(weight)),
        ]
    tally.check("order of the scenarios", pairs, tolerance=_PRINTED)
    return tally
