"""Liquidation prices of linear positions: Binance's published example, and isolated positions on four venues."""

from pathlib import Path

import msgspec

from crossmargin.margin.binance_futures import OtherPosition, cross_liquidation_price, isolated_liquidation_price
from crossmargin.verification.tally import Tally

_CENT = 0.006
"""The cross cases are printed to the cent."""
_ISOLATED = {"rate": 0.01, "deductible": 0.01, "taker_fee": 0.0006}
"""Terms of every isolated case, as the folder's note states them."""


def verify(folder: Path) -> Tally:
    """Return the tally of the folder's prices."""
    data = msgspec.json.decode((folder / "vectors.json").read_bytes())
    tally = Tally(name="binance_freqtrade")
    for case in data["cross_cases"]:
        price = cross_liquidation_price(
            wallet=case["wallet"],
            side=case["side"],
            size=case["size"],
            entry=case["entry"],
            rate=case["mmr"],
            amount=case["cum"],
            others=[
                OtherPosition(size=o["size"], entry=o["entry"], mark=o["mark"], rate=o["mmr"], amount=o["cum"])
                for o in case["others"]
            ],
        )
        expected = case["expected_liq"]
        tally.check(case["name"], [(price, expected)], tolerance=_CENT / expected)
    for rule, side, leverage, entry, amount, expected in data["isolated_simple"]["cases"]:
        price = isolated_liquidation_price(
            rule, side=1 if side == "long" else -1, entry=entry, amount=amount, leverage=leverage, **_ISOLATED
        )
        # printed to six decimals at least
        tally.check(f"{rule} {side} {leverage}x {entry} {amount}", [(price, expected)], tolerance=2e-6, scale=1.0)
    return tally
