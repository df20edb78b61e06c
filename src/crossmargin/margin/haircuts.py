"""Collateral haircuts from risk: the tail of each asset while it is sold, the cost of selling, and wrong-way dependence.

``haircut = max(own, wrong way) + depth``, at least the floor and at most 1:

- own: expected shortfall of the asset's loss over its own liquidation horizon;
- wrong way: the same in the scenarios in which the book that it secures loses most. Given the book's tail, the asset's
  shortfall is taken at a lower level, so that independent collateral pays nothing more and collateral that falls with
  the book does (a CoES; Adrian & Brunnermeier 2016, American Economic Review 106, 1705-1741);
- depth: half the spread and the square-root impact of selling the amount.

The larger the amount, the longer its sale and the higher its impact: a schedule has tiers of marginal haircuts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.add_ons import Liquidity, liquidity_add_on
from crossmargin.margin.collateral import HaircutSchedule, HaircutTier
from crossmargin.risk.measures import expected_shortfall, tail_weights
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import Currency, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class HaircutRules:
    """How haircuts are set.

    Attributes
    ----------
    confidence
        Of the asset's own expected shortfall, and of the book's tail.
    conditional
        Level of the asset's shortfall within the book's tail; below `confidence`.
    scenario_days
        Days that one scenario spans.
    reaction_days
        From the default to the first sale.
    participation
        Share of the market's volume that the sale may be.
    floor, step
        Least haircut; haircuts round up to whole steps.
    """

    confidence: float = 0.99
    conditional: float = 0.75
    scenario_days: float = 1.0
    reaction_days: float = 0.25
    participation: float = 0.1
    floor: float = 0.005
    step: float = 0.005

    def __post_init__(self) -> None:
        if not 0.0 < self.conditional <= self.confidence < 1.0:
            raise InputError("0 < conditional <= confidence < 1 must hold for haircuts")
        if not (self.scenario_days > 0.0 and self.reaction_days >= 0.0 and 0.0 < self.participation <= 1.0):
            raise InputError("scenario_days > 0, reaction_days >= 0 and participation inside (0, 1] must hold")
        if not (0.0 <= self.floor < 1.0 and 0.0 < self.step < 1.0):
            raise InputError(f"floor and step must be inside [0, 1), were {self.floor} and {self.step}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Haircut:
    """The haircut on an amount of one asset, with its reasons; fractions.

    Attributes
    ----------
    days
        Effective days of risk while it is sold.
    wrong_way
        What the dependence with the book adds to `own`; 0 where it adds nothing.
    total
        Floored, rounded up and at most 1.
    """

    currency: Currency
    amount: float
    days: float
    own: float
    wrong_way: float
    depth: float
    total: float


def effective_days(amount: float, daily_volume: float, rules: HaircutRules) -> float:
    """Return ``reaction + T/3`` with ``T = amount / (participation * volume)`` days of even selling.

    A part sold at t has run the risk of t days; the variance of an even sale of a random walk is a third of that of
    holding to its end (``int (1 - s/T)^2 ds = T/3``; Almgren & Chriss 2001, J. Risk 3(2), 5-39).

    Examples
    --------
    >>> effective_days(3e6, 1e7, HaircutRules(reaction_days=0.5))
    1.5
    """
    return rules.reaction_days + abs(amount) / (rules.participation * daily_volume) / 3.0


def haircut(
    currency: Currency,
    amount: float,
    scenarios: ScenarioSet,
    liquidity: Liquidity,
    rules: HaircutRules,
    book_pnl: FloatArray | None = None,
) -> Haircut:
    """Return the haircut on `amount` USD of `currency`.

    Parameters
    ----------
    scenarios
        Joint moves over `rules.scenario_days`; log moves scale with the root of time to the asset's own horizon.
    book_pnl : array of shape (n_scenarios,) or None
        Profit of the book without this collateral, for wrong-way dependence.

    Raises
    ------
    InputError
        If the scenarios leave the currency still, or the amount is negative.
    """
    if currency not in scenarios.underlyings:
        raise InputError(f"a haircut needs scenarios that move the asset, {currency} stands still in {scenarios.name}")
    if not (math.isfinite(amount) and amount >= 0.0):
        raise InputError(f"collateral must not be negative, was {amount} of {currency}")
    days = effective_days(amount, liquidity.daily_volume, rules)
    moves = np.log(scenarios.price_factors(currency)) * math.sqrt(days / rules.scenario_days)
    profit = np.expm1(moves)  # of one USD
    own = max(float(expected_shortfall(profit, rules.confidence, scenarios.weights)), 0.0)
    together = own
    if book_pnl is not None:
        within = tail_weights(book_pnl, rules.confidence, scenarios.weights)
        together = float(expected_shortfall(profit, rules.conditional, within / within.sum()))
    depth = liquidity_add_on(amount, liquidity) / amount if amount else liquidity.half_spread
    wrong_way = max(together - own, 0.0)
    needed = max(own + wrong_way + depth, rules.floor)
    return Haircut(
        currency=currency,
        amount=amount,
        days=days,
        own=own,
        wrong_way=wrong_way,
        depth=depth,
        total=min(_rounded_up(needed, rules.step), 1.0),
    )


def haircut_schedule(
    sizes: Mapping[Currency, Sequence[float]],
    scenarios: ScenarioSet,
    liquidity: Mapping[str, Liquidity],
    rules: HaircutRules,
    book_pnl: FloatArray | None = None,
) -> HaircutSchedule:
    """Return tiers of marginal haircuts that end at `sizes` (USD, increasing); beyond the last a unit counts for nothing.

    A tier's haircut is the growth of the loss ``amount * haircut(amount)`` over its width, so that the whole balance is
    haircut by what selling the whole needs.

    Raises
    ------
    InputError
        If a currency has no liquidity or no scenarios.
    """
    tiers: dict[str, tuple[HaircutTier, ...]] = {}
    for currency, ends in sizes.items():
        if currency not in liquidity:
            raise InputError(f"a haircut needs a market's volume, {currency} has none")
        found: list[HaircutTier] = []
        lost = width_start = 0.0
        for end in ends:
            if end <= width_start:
                raise InputError(f"sizes of tiers must increase from 0, did not for {currency}")
            answer = haircut(currency, end, scenarios, liquidity[currency], rules, book_pnl)
            total = max(answer.own + answer.wrong_way + answer.depth, rules.floor) * end
            marginal = min(_rounded_up((total - lost) / (end - width_start), rules.step), 1.0)
            found.append(HaircutTier(haircut=max(marginal, found[-1].haircut if found else 0.0), up_to=end))
            lost, width_start = total, end
        tiers[currency] = tuple(found)
    return HaircutSchedule(tiers=tiers)


def _rounded_up(fraction: float, step: float) -> float:
    # a hair's breadth above a whole step is rounding, not risk
    return round(math.ceil(fraction / step - 1e-9) * step, 12)
