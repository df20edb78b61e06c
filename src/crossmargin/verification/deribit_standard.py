"""Deribit's worked numbers of linear perpetuals under standard margin."""

from pathlib import Path

import msgspec

from crossmargin.margin.deribit_standard import futures_margin
from crossmargin.verification.tally import Tally


def verify(folder: Path) -> Tally:
    """Return the tally of the folder's rates and amounts."""
    data = msgspec.json.decode((folder / "vectors.json").read_bytes())
    tally = Tally(name="deribit_standard")
    for kind in ("linear_perp_im", "linear_perp_mm"):
        for case in data[kind]:
            found = futures_margin(case["size"], case["price"], case["base"], case["slope_per_coin"])
            pairs = [(found, case["expected"])]
            tally.check(f"{kind} {case['pair']} {case['size']}", pairs, tolerance=1e-9, scale=1.0)
    return tally
