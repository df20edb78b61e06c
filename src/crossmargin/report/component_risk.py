"""Measures of accounts under laws of moves, and their parts, as tables and records."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from crossmargin.margin.component_risk import ComponentRisk
from crossmargin.report.columns import Column, table


def component_risk_table(found: Sequence[ComponentRisk], width: int) -> Table:
    """Return one row per account and law, the largest expected shortfall first, with what adds most to it."""
    largest: dict[str, float] = {}
    for each in found:
        largest[each.account] = max(largest.get(each.account, 0.0), each.expected_shortfall)
    rows = sorted(found, key=lambda each: (-largest[each.account], each.account))
    columns = (
        Column(heading="account", cells=[each.account for each in rows], words=True),
        Column(heading="law", cells=[each.law.split(",")[0] for each in rows], words=True, importance=1),
        Column(heading="VaR", cells=[_usd(each.value_at_risk) for each in rows], importance=3),
        Column(heading="ES", cells=[_usd(each.expected_shortfall) for each in rows]),
        Column(heading="worst", cells=[_usd(each.worst_loss) for each in rows], importance=4),
        Column(heading="tail_risk", cells=[_usd(each.requirement.initial) for each in rows], importance=2),
        Column(
            heading="adds most", cells=[each.contributions[0].instrument for each in rows], importance=5, words=True
        ),
    )
    level = f" at {100 * found[0].confidence:g} %" if found else ""
    return table(columns, width, title=f"value at risk, expected shortfall{level} and initial margin by law · USD")


def contribution_table(each: ComponentRisk, width: int) -> Table:
    """Return what every holding of one account adds to its measures; columns sum to them."""
    parts = each.contributions
    columns = (
        Column(heading="holding", cells=[*(part.instrument for part in parts), "together"], words=True),
        Column(heading="quantity", cells=[*(f"{part.quantity:,.6g}" for part in parts), ""], importance=3),
        Column(heading="of VaR", cells=_summed([part.value_at_risk for part in parts]), importance=1),
        Column(heading="of ES", cells=_summed([part.expected_shortfall for part in parts])),
        Column(heading="of worst loss", cells=_summed([part.worst_loss for part in parts]), importance=2),
    )
    return table(columns, width, title=f"{each.account} · {each.law} · USD")


def component_risk_record(each: ComponentRisk) -> dict[str, Any]:
    """Return `each` as plain values that JSON can hold."""
    return {
        "account": each.account,
        "law": each.law,
        "confidence": each.confidence,
        "value_at_risk": each.value_at_risk,
        "expected_shortfall": each.expected_shortfall,
        "worst_loss": each.worst_loss,
        "initial": each.requirement.initial,
        "maintenance": each.requirement.maintenance,
        "equity": each.requirement.equity,
        "contributions": [
            {
                "instrument": part.instrument,
                "quantity": part.quantity,
                "value_at_risk": part.value_at_risk,
                "expected_shortfall": part.expected_shortfall,
                "worst_loss": part.worst_loss,
            }
            for part in each.contributions
        ],
    }


def _summed(values: Sequence[float]) -> list[str]:
    return [*map(_usd, values), _usd(sum(values))]


def _usd(value: float) -> str:
    return f"{value:,.0f}"
