"""Cases of Drift's own margin and liquidation tests, in its fixed points."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from crossmargin.clearing.liquidation_size import base_to_cover
from crossmargin.margin import drift_rules
from crossmargin.verification.tally import Tally

_TRANSFER = 5e-5
"""Liability transfers: upstream rounds at a step that its tests do not state (the folder's README)."""


def verify(folder: Path) -> Tally:
    """Return the tally of the folder's numbers."""
    data = msgspec.json.decode((folder / "vectors.json").read_bytes())
    tally = Tally(name="drift_v2")
    for name, answer in _ANSWERS.items():
        for place, case in enumerate(data.get(name, ())):
            expected = case.get("expected", case.get("expected_fill"))
            tolerance = _TRANSFER if name == "liq_liability_transfer_to_cover_shortage" else 0.0
            tally.check(f"{name} {place}", [(float(answer(case) or 0), float(expected))], tolerance=tolerance)
    return tally


def _size_weight(case: dict[str, Any]) -> int:
    size = int(case["size_usd"] * drift_rules.SIZE_UNIT)
    rule = (
        drift_rules.size_discounted_asset_weight
        if case["type"] == "asset"
        else drift_rules.size_premium_liability_weight
    )
    return rule(case["base_weight"], case["imf_factor"], size)


def _scaled(case: dict[str, Any]) -> int:
    value = case["deposits_base"] * case["price"]
    return drift_rules.deposit_scaled_asset_weight(case["initial_asset_weight"], value, case["start_usd"])


def _base(case: dict[str, Any]) -> int | None:
    return base_to_cover(
        case["shortage"],
        price=case["price"],
        quote_price=case["quote_price"],
        margin_ratio=case["margin_ratio"],
        liquidator_fee=case["liq_fee"],
        insurance_fee=case["if_fee"],
    )


def _transfer(case: dict[str, Any]) -> int | None:
    return drift_rules.liability_to_cover(
        case["shortage"],
        asset_weight=case["asset_weight"],
        asset_multiplier=case["asset_mult"],
        liability_weight=case["liab_weight"],
        liability_multiplier=case["liab_mult"],
        decimals=case["decimals"],
        price=case["price"],
        insurance_fee=case["if_fee"],
    )


def _pair(case: dict[str, Any]) -> dict[str, int]:
    """The two tokens of a transfer; where decimals are not given, USDC against a nine-decimals token."""
    return {
        "asset_multiplier": case["asset_mult"],
        "asset_price": case["asset_price"],
        "asset_decimals": case.get("asset_decimals", 6),
        "liability_multiplier": case["liab_mult"],
        "liability_price": case["liab_price"],
        "liability_decimals": case.get("liab_decimals", 9),
    }


_ANSWERS: dict[str, Callable[[dict[str, Any]], int | None]] = {
    "size_weights": _size_weight,
    "scaled_initial_asset_weight": _scaled,
    "fill_asset_weight": lambda case: drift_rules.fill_asset_weight(case["initial"], case["maintenance"]),
    "liq_base_to_cover_shortage": _base,
    "liq_liability_transfer_to_cover_shortage": _transfer,
    "liq_liability_implied_by_asset": lambda case: drift_rules.liability_for_asset(
        case["asset_transfer"], **_pair(case)
    ),
    "liq_asset_for_liability": lambda case: drift_rules.asset_for_liability(case["liability_transfer"], **_pair(case)),
}
