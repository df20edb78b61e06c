"""Isolated groups: each is margined alone under the account's method, and nothing offsets across the fence."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from crossmargin.margin.method import Component, Explanation, Method, Parameters, Requirement
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.netting import netting_sets
from crossmargin.risk.risk_array import RiskArray

P = TypeVar("P", bound=Parameters)


def account_requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, method: Method[P], parameters: P
) -> Requirement:
    """Return the requirement of one account, its isolated groups ring-fenced."""
    return ring_fenced(portfolio, lambda part: method.requirement(part, market, risk, parameters))


def ring_fenced(portfolio: Portfolio, requirement: Callable[[Portfolio], Requirement]) -> Requirement:
    """Return the requirement of the cross-margined part plus that of each isolated group alone.

    Components of a group carry its name. Without groups it is `requirement` of the portfolio itself.
    """
    sets = netting_sets(portfolio)
    if len(sets) == 1:
        return requirement(portfolio)
    answers = [(group, requirement(part)) for group, part in sets]
    initial = [_named(group, answer.initial_components) for group, answer in answers]
    maintenance = [_named(group, answer.maintenance_components) for group, answer in answers]
    equity = [_named(group, answer.equity_components) for group, answer in answers]
    trees = [
        replace(answer.explanation, name=f"{group}: {answer.explanation.name}" if group else answer.explanation.name)
        for group, answer in answers
        if answer.explanation is not None
    ]
    worst = max((answer for _, answer in answers), key=lambda answer: answer.initial)
    return replace(
        answers[0][1],
        initial=math.fsum(part.amount for parts in initial for part in parts),
        maintenance=math.fsum(part.amount for parts in maintenance for part in parts),
        equity=math.fsum(part.amount for parts in equity for part in parts),
        initial_components=tuple(part for parts in initial for part in parts),
        maintenance_components=tuple(part for parts in maintenance for part in parts),
        equity_components=tuple(part for parts in equity for part in parts),
        worst_scenario=worst.worst_scenario,
        explanation=Explanation(
            name="cross margin and isolated groups", pnl=math.fsum(tree.pnl for tree in trees), children=tuple(trees)
        ),
    )


def _named(group: str | None, parts: Sequence[Component]) -> list[Component]:
    return [replace(part, name=f"{group}: {part.name}" if group else part.name) for part in parts]
