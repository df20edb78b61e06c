"""Value at risk and expected shortfall of an account under a law of moves, and what each instrument adds to them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.comparison import Refusal
from crossmargin.margin.exposure import check_scenarios_move
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import held_instruments
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.margin.tail_risk import METHOD, TailRiskParameters, holdings
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.contributions import (
    expected_shortfall_contributions,
    value_at_risk_contributions,
    worst_loss_contributions,
)
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import AccountId, InstrumentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one holding adds to the measures of its account, in USD: positive adds risk, negative hedges."""

    instrument: InstrumentId
    quantity: float
    expected_shortfall: float
    value_at_risk: float
    worst_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRisk:
    """Measures of one account under one law, in USD, the holdings that add up to them, and its margin under that law.

    Attributes
    ----------
    law
        The scenarios, in words.
    contributions
        From the one that adds most to expected shortfall to the best hedge; their sums are the measures.
    requirement
        Of `tail_risk`, with this law in the place of its past dates.
    """

    account: AccountId
    law: str
    confidence: float
    contributions: tuple[Contribution, ...]
    requirement: Requirement

    @property
    def expected_shortfall(self) -> float:
        """Mean loss of the worst ``1 - confidence`` of scenarios."""
        return float(np.sum([each.expected_shortfall for each in self.contributions]))

    @property
    def value_at_risk(self) -> float:
        """Loss that is exceeded in at most ``1 - confidence`` of scenarios."""
        return float(np.sum([each.value_at_risk for each in self.contributions]))

    @property
    def worst_loss(self) -> float:
        """Loss of the worst scenario."""
        return float(np.sum([each.worst_loss for each in self.contributions]))


def component_risks(
    portfolios: Iterable[Portfolio], market: MarketSnapshot, scenarios: ScenarioSet, parameters: TailRiskParameters
) -> Iterator[ComponentRisk | Refusal]:
    """Yield the measures of each account, or why it has none; the risk array is built once for all."""
    accounts = [portfolio for portfolio in portfolios if portfolio.positions or portfolio.balances]
    risk = risk_array(held_instruments(accounts), market, scenarios)
    for portfolio in accounts:
        try:
            yield component_risk(portfolio, market, risk, parameters)
        except InputError as error:
            yield Refusal(account=portfolio.account, method=scenarios.name, reason=str(error))


def component_risk(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, parameters: TailRiskParameters
) -> ComponentRisk:
    """Return the measures of `portfolio` as a whole and each holding's Euler contribution (`risk.contributions`).

    Raises
    ------
    InputError
        If it holds a coin that the scenarios leave still.
    """
    check_scenarios_move(portfolio, risk, "component risk")
    held = {name: quantity for name, quantity in holdings(portfolio, market).items() if quantity}
    if not held:
        raise InputError(f"component risk needs something held, {portfolio.account} holds nothing")
    pnl = np.array([quantity * risk.row(name) for name, quantity in held.items()])
    weights, confidence = risk.scenarios.weights, parameters.confidence
    shortfall = expected_shortfall_contributions(pnl, confidence, weights)
    at_risk = value_at_risk_contributions(pnl, confidence, weights)
    worst = worst_loss_contributions(pnl)
    found = [
        Contribution(
            instrument=name,
            quantity=quantity,
            expected_shortfall=float(shortfall[place]),
            value_at_risk=float(at_risk[place]),
            worst_loss=float(worst[place]),
        )
        for place, (name, quantity) in enumerate(held.items())
    ]
    return ComponentRisk(
        account=portfolio.account,
        law=risk.scenarios.name,
        confidence=confidence,
        contributions=tuple(sorted(found, key=lambda each: (-each.expected_shortfall, each.instrument))),
        requirement=account_requirement(portfolio, market, risk, METHOD, parameters),
    )
