"""Deribit's own simulations of portfolio margin: the delta-one part of every published or recorded answer."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from crossmargin.margin.deribit_portfolio import (
    EXTENDED_MOVES,
    dampened,
    extended_profit,
    inverse_future_profit,
    offset,
    risk_matrix,
    roll_shock,
    standard_moves,
)
from crossmargin.verification.tally import Tally

_PRINTED = 5e-10
"""The venue prints margins to nine decimals."""


def verify(folder: Path) -> Tally:
    """Return the tally of the folder's cases, and of the documentation example where it lies there."""
    tally = Tally(name="deribit_pm")
    for case in msgspec.json.decode((folder / "vectors.json").read_bytes())["cases"]:
        _check(tally, case)
    example = folder / "pme_simulate_example.json"
    if example.is_file():
        for case in _from_answer(msgspec.json.decode(example.read_bytes())["result"]):
            _check(tally, case)
    return tally


def _check(tally: Tally, case: dict[str, Any]) -> None:
    """Compare the vectors of each position, the aggregate, and the margins of the pool."""
    terms, currency = case["params"], case["params"]["currency"]
    width = terms["price_range"]
    moves, extended = standard_moves(width, terms["buckets_count"]), np.array(EXTENDED_MOVES)
    pairs: list[tuple[float, float]] = []
    standard, tail = np.zeros(moves.size), np.zeros(extended.size)
    for name, coins in case["positions"].items():
        vector = inverse_future_profit(coins, moves)
        far = extended_profit(inverse_future_profit(coins, extended), extended, width, terms["extended_table_factor"])
        published = case["initial_risk_vectors"].get(name, {})
        pairs += zip(vector.tolist(), published.get("standard_per_bucket", ()), strict=False)
        pairs += zip(far.tolist(), published.get("extended", ()), strict=False)
        standard, tail = standard + vector, tail + far
    tail = dampened(tail, extended, width, currency["extended_dampener"], case["index"])
    limit = currency["max_offsetable_pnl"] / case["index"]
    standard = offset(standard, currency["pnl_offset"], limit)
    tail = offset(tail, currency["pnl_offset"], limit)
    pairs += zip(standard.tolist(), case["aggregated_standard_per_bucket"], strict=True)
    pairs += zip(tail.tolist(), case.get("aggregated_extended", ()), strict=False)
    # the cases name no time: every expiry in them is near enough for the least move to hold
    deltas = [(coins, 0.0) for coins in case["positions"].values()]
    roll = roll_shock(deltas, currency["annualised_move_risk"], currency["min_annualised_move"])
    expected = case["expected"]
    matrix = risk_matrix(standard, tail, roll, expected["delta_shock"])
    initial = matrix.total + expected["mmp_margin"] + expected["open_orders_margin"] + expected.get("spot_margin", 0.0)
    pairs += [
        (matrix.worst_case, expected["worst_case"]),
        (matrix.roll, expected["roll_shock"]),
        (matrix.total, expected["risk_matrix_margin"]),
        (initial, expected["initial_margin"]),
        (terms["mm_factor"] * matrix.total, expected["maintenance_margin"]),
    ]
    tally.check(case["name"], pairs, tolerance=_PRINTED, scale=1.0)


def _from_answer(result: dict[str, Any]) -> list[dict[str, Any]]:
    """One case per currency of a complete answer of the simulation."""
    general, cases = result["model_params"]["general"], []
    for currency, margin in result["margins"].items():
        pair = f"{currency}_usd"
        aggregated = result["aggregated_risk_vectors"][f"{currency}_{currency}"]
        details = margin["initial_margin_details"]
        every = general["vol_scenarios_count"]
        mine = {k: v for k, v in result["portfolio"]["position"].items() if k.lower().startswith(f"{currency}-")}
        cases.append(
            {
                "name": f"documentation example, {currency}",
                "index": result["index_price"][pair],
                "positions": mine,
                "params": {
                    **result["model_params"]["currency_pair"][pair],
                    **general,
                    "currency": result["model_params"]["currency"][currency],
                },
                "initial_risk_vectors": {
                    name: {"standard_per_bucket": vector["standard"][::every], "extended": vector["extended"]}
                    for name, vector in result["initial_risk_vectors"].items()
                },
                "aggregated_standard_per_bucket": aggregated["standard"][::every],
                "aggregated_extended": aggregated["extended"],
                "expected": {
                    **details["risk_matrix_margin_details"],
                    **details,
                    "initial_margin": margin["initial_margin"],
                    "maintenance_margin": margin["maintenance_margin"],
                },
            }
        )
    return cases
