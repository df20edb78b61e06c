"""BitMEX's published example of an auto-deleveraging queue."""

from pathlib import Path

from crossmargin.clearing.deleveraging import fill_in_order, percentiles
from crossmargin.verification.cases import read_cases
from crossmargin.verification.tally import Tally


def verify(folder: Path) -> Tally:
    """Check order, indicator lights, fills at the bankruptcy price and what remains."""
    tally = Tally("bitmex_adl")
    case = read_cases(folder / "vectors.json")["queue_example"]
    ids = [account["id"] for account in case["accounts"]]
    scores = [account["score"] for account in case["accounts"]]
    held = [account["qty"] for account in case["accounts"]]
    order = [ids[place] for place, _ in fill_in_order(scores, held, sum(held))]
    fills = fill_in_order(scores, held, case["liquidation"]["qty"])
    lights = dict(zip(ids, percentiles(scores, held), strict=True))
    price = case["liquidation"]["bankruptcy_price"]
    answer = {
        "order": (order, case["expected_order"]),
        "percentile": (lights, {int(name): light for name, light in case["expected_percentile"].items()}),
        "fills": ([{"id": ids[i], "qty": taken, "price": price} for i, taken in fills], case["expected_fills"]),
        "remaining": (
            {str(ids[i]): held[i] - taken for i, taken in fills if held[i] > taken},
            case["expected_remaining"],
        ),
    }
    tally.check("queue", [(0.0 if ours == theirs else 1.0, 0.0) for ours, theirs in answer.values()], tolerance=0.0)
    return tally
