"""`tims`: portfolio margin of the OCC kind: ten price moves per underlying, and a minimum per contract.

``requirement of an underlying = max(worst loss over the moves, minimum * coins of contracts)``; underlyings add up.
Coins stand in the scenarios beside what is written on them, at full value. docs/methods/tims.md gives the sources.
"""

import math

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS, Asset, Option, Payoff, Spot
from crossmargin.margin.equity import equity_components
from crossmargin.margin.exposure import book_pnl, check_scenarios_move, net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement
from crossmargin.margin.open_orders import subset_charge
from crossmargin.margin.perpetual_units import held_contracts
from crossmargin.margin.tail_risk import holdings
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import unit_value
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import Currency, InstrumentId


class TimsParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The range of prices, its points, and the minimum."""

    fall: float
    rise: float
    """Ends of the range, both positive fractions."""
    points_a_side: int
    """Equidistant moves down and up; vols stay."""
    minimum: float
    """USD per coin of each contract; a long option needs no more than its value."""

    def __post_init__(self) -> None:
        if not (0.0 < self.fall < 1.0 and self.rise > 0.0 and self.points_a_side >= 1 and self.minimum >= 0.0):
            raise InputError("fall inside (0, 1), rise > 0, points_a_side >= 1 and minimum >= 0 must hold")


def scenarios(market: MarketSnapshot, parameters: TimsParameters) -> ScenarioSet:
    """Return the moves, the same for every coin that is not a dollar; each coin is judged at its own worst."""
    coins = tuple(sorted(coin for coin in market.index if coin not in DOLLAR_COINS))
    shares = np.arange(1, parameters.points_a_side + 1) / parameters.points_a_side
    moves = np.concatenate([-parameters.fall * shares[::-1], parameters.rise * shares])
    return ScenarioSet(
        name="ten equidistant moves" if len(moves) == 10 else f"{len(moves)} equidistant moves",
        underlyings=coins,
        price_factor=np.tile(1.0 + moves, (len(coins), 1)),
        vol_shock=np.zeros((len(coins), len(moves))),
        labels=tuple(f"prices {100.0 * move:+.3g} %" for move in moves.tolist()),
    )


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: TimsParameters
) -> Requirement:
    """Return the sum over underlyings; the rule has one requirement, so initial and maintenance are equal but for orders.

    Raises
    ------
    InputError
        Naming a quanto contract, whose profit depends on two underlyings.
    """
    if risk is None:
        raise InputError("tims needs a risk array, found none")
    for contract in held_contracts(portfolio):
        if contract.payoff is Payoff.QUANTO and not isinstance(contract, Spot):
            raise InputError(f"tims margins one underlying at a time, was given the quanto {contract.id}")
    check_scenarios_move(portfolio, risk, "tims")
    parts, label = _needed(portfolio, market, risk, parameters)
    equity = equity_components(portfolio, market)

    def deficit(book: Portfolio) -> float:
        needed = math.fsum(part.amount for part in _needed(book, market, risk, parameters)[0])
        return needed - math.fsum(part.amount for part in equity_components(book, market))

    initial = [*parts, subset_charge(portfolio, deficit, "tims")]
    return Requirement.from_components(
        account=portfolio.account,
        method="tims",
        version=parameters.effective,
        initial=initial,
        maintenance=parts,
        equity=equity,
        worst_scenario=label,
    )


def _needed(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, parameters: TimsParameters
) -> tuple[list[Component], str]:
    """Requirement of each underlying, and the worst move of the one that loses most."""
    groups: dict[Currency, dict[InstrumentId, float]] = {}
    for name, quantity in holdings(portfolio, market).items():
        groups.setdefault(risk.instruments[risk.row_number(name)].underlying, {})[name] = quantity
    least = _minimums(portfolio, market, parameters)
    parts: list[Component] = []
    largest, label = 0.0, ""
    for coin, held in sorted(groups.items()):
        profits = book_pnl(held, risk)
        loss, minimum = max(-float(profits.min()), 0.0), least.get(coin, 0.0)
        if loss > largest:
            largest, label = loss, f"{coin}: {risk.scenarios.labels[int(np.argmin(profits))]}"
        if loss or minimum:
            reason = "worst loss" if loss >= minimum else "minimum per contract"
            parts.append(Component(name=f"{coin} class group", amount=max(loss, minimum), reason=reason))
    return parts, label


def _minimums(portfolio: Portfolio, market: MarketSnapshot, parameters: TimsParameters) -> dict[Currency, float]:
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    found: dict[Currency, float] = {}
    for name, quantity in net_quantities(portfolio.positions).items():
        contract = contracts[name]
        if isinstance(contract, Asset | Spot):
            continue
        coins = abs(quantity) * contract.contract_size_float
        if contract.payoff is Payoff.INVERSE and not isinstance(contract, Option):
            coins /= market.mark_price(contract)  # its size is in dollars
        least = parameters.minimum * coins
        if isinstance(contract, Option) and quantity > 0.0:
            least = min(least, quantity * unit_value(contract, market))
        found[contract.underlying] = found.get(contract.underlying, 0.0) + least
    return found


METHOD = Method(
    name="tims",
    title="OCC portfolio margin: ten price moves per underlying",
    parameters=TimsParameters,
    scenarios=scenarios,
    requirement=requirement,
)
