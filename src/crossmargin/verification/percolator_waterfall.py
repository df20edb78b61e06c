"""The waterfall of Percolator: warming profits, insurance, haircut."""

from pathlib import Path

from crossmargin.clearing.loss_sharing import equity_haircut
from crossmargin.verification.cases import read_cases
from crossmargin.verification.tally import Tally


def verify(folder: Path) -> Tally:
    """Check every case and every number in it."""
    tally = Tally("percolator_waterfall")
    for case in read_cases(folder / "vectors.json")["cases"]:
        equity = case["principal"] + case["realized"]
        answer = equity_haircut(
            equity + case["warming"] + case["insurance"] - case["collateral"],
            warming=case["warming"],
            insurance=case["insurance"],
            equity=equity,
        )
        ours = {
            "burned_warming": answer.warming,
            "insurance_draw": answer.insurance,
            "haircut": float(answer.fraction),
            "haircut_positive": answer.fraction > 0,
            "warming_after": case["warming"] - answer.warming,
            "principal_after": float(case["principal"] * (1 - answer.fraction)),
        }
        pairs = [(float(ours[name]), float(value)) for name, value in case["expected"].items()]
        tally.check(case["name"], pairs, tolerance=0.0)
    return tally
