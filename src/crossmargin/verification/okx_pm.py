"""OKX's documentation example of its position builder: each risk unit, then the account."""

from pathlib import Path

import msgspec

from crossmargin.margin.okx_portfolio_rules import (
    UnitMeasures,
    account_margin,
    extreme_loss,
    proportional,
    spot_scenarios,
    worst,
)
from crossmargin.verification.tally import Tally


def verify(folder: Path) -> Tally:
    """Return the tally of the folder's risk units and account."""
    data = msgspec.json.decode((folder / "vectors.json").read_bytes())
    tally = Tally(name="okx_pm")
    units = []
    for case in data["risk_units"]:
        published = {float(shock): profit for shock, profit in case["mr1_scenarios"].items()}
        shocks = sorted(published)
        # the venue shocks the notional at the index, which it prints only through its own scenarios
        notional = published[shocks[-1]] / shocks[-1]
        profits = spot_scenarios(notional, shocks)
        rates = case["implied"]
        unit = UnitMeasures(
            spot=worst(profits),
            theta=case["mr2"],
            vega=case["mr3"],
            basis=proportional(case["delta_usd"], rates["mr4_rate"]),
            rate=case["mr5"],
            extreme=extreme_loss(notional, case["extreme_shock"]),
            reduction=proportional(case["delta_usd"], rates["mr7_rate"]),
            stablecoin=case.get("mr9", 0.0),
        )
        units.append(unit)
        pairs = [(ours, published[shock]) for ours, shock in zip(profits.tolist(), shocks, strict=True)]
        pairs += [
            (unit.spot, case["mr1"]),
            (unit.basis, case["mr4"]),
            (unit.extreme, case["mr6"]),
            (-2.0 * unit.extreme, case["mr6_pnl"]),
            (unit.reduction, case["mr7"]),
            (unit.maintenance, case["mmr"]),
            (unit.initial, case["imr"]),
        ]
        tally.check(case["unit"], pairs, tolerance=1e-9, scale=1.0)
    account = data["account"]
    total = account_margin(units, max(-account["eq"], 0.0))
    tally.check(
        "account",
        [
            (total.derivatives_maintenance, account["deriv_mmr"]),
            (total.borrow_maintenance, account["borrow_mmr"]),
            (total.borrow_initial, account["borrow_imr"]),
            (total.maintenance, account["total_mmr"]),
            (total.initial, account["total_imr"]),
        ],
        tolerance=1e-9,
        scale=1.0,
    )
    return tally
