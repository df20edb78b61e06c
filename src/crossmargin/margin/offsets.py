"""The offset granted between underlyings: stated, capped, and stress-tested.

The offset is how much less the book needs than its parts alone, underlying by underlying, under the same measure and
scenarios. It rests on dependence that may break: the book is measured again with correlations pushed towards one, zero
and minus one, and a cap says how much of the offset counts at most.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.requirements import held_instruments
from crossmargin.margin.tail_risk import holdings
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.measures import expected_shortfall
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.scenarios.correlation import stressed
from crossmargin.scenarios.monte_carlo import shock_scenarios, t_copula_shocks
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import Currency, FloatArray

TOWARDS = ((1.0, "all together"), (0.0, "independent"), (-1.0, "against one another"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """What the parts need alone, and what they need together; USD, shortfalls at least 0.

    Attributes
    ----------
    alone
        By underlying.
    """

    law: str
    alone: tuple[tuple[Currency, float], ...]
    together: float

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return math.fsum(amount for _, amount in self.alone)

    @property
    def share(self) -> float:
        """Share of the sum that netting saves; 0 where nothing is needed."""
        return 1.0 - self.together / self.total if self.total > 0.0 else 0.0

    def capped(self, cap: float) -> float:
        """Return the measure with at most `cap` of the sum saved: ``max(together, (1 - cap) * total)``.

        Examples
        --------
        >>> Offset(law="", alone=((Currency("BTC"), 60.0), (Currency("ETH"), 40.0)), together=20.0).capped(0.5)
        50.0
        """
        if not 0.0 <= cap <= 1.0:
            raise InputError(f"a cap on the offset must be inside [0, 1], was {cap}")
        return max(self.together, (1.0 - cap) * self.total)


def offset(pnl: Mapping[Currency, FloatArray], confidence: float, weights: FloatArray | None, law: str = "") -> Offset:
    """Return the offset between the profits of `pnl`, by underlying, shape (n_scenarios,) each, under expected shortfall.

    Raises
    ------
    InputError
        If there is none.
    """
    if not pnl:
        raise InputError("an offset needs at least one underlying, had none")

    def needed(profit: FloatArray) -> float:
        return max(float(expected_shortfall(profit, confidence, weights)), 0.0)

    alone = tuple((coin, needed(profit)) for coin, profit in sorted(pnl.items()))
    return Offset(law=law, alone=alone, together=needed(np.sum(list(pnl.values()), axis=0)))


def book_offset(portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, confidence: float) -> Offset:
    """Return the offset between the underlyings of `portfolio` on the scenarios of `risk`."""
    pnl: dict[Currency, FloatArray] = {}
    for name, quantity in holdings(portfolio, market).items():
        row = risk.row_number(name)
        coin = risk.instruments[row].underlying
        pnl[coin] = pnl.get(coin, np.zeros(risk.scenarios.size)) + quantity * risk.pnl[row]
    return offset(pnl, confidence, risk.scenarios.weights, risk.scenarios.name)


def stressed_offsets(
    portfolio: Portfolio,
    market: MarketSnapshot,
    currencies: Sequence[Currency],
    vols: FloatArray,
    correlation: FloatArray,
    *,
    confidence: float = 0.975,
    weight: float = 0.5,
    degrees: float = 4.0,
    count: int = 8_192,
    seed: int = 0,
) -> tuple[Offset, ...]:
    """Return the offset under today's correlation, and with it moved by `weight` towards one, zero and minus one.

    The book is revalued in full in scenarios of a t copula, on the same points each time. The worst `together` is what
    it needs if the dependence breaks.

    Parameters
    ----------
    vols : array of shape (n_coins,)
        Standard deviation of the log return over the horizon.
    correlation : array of shape (n_coins, n_coins)
        Positive definite.

    Raises
    ------
    InputError
        If a correlation, `weight` or `degrees` makes no sense.
    """
    laws = [("as it is", correlation)]
    laws += [(f"{name}, weight {weight:g}", stressed(correlation, towards, weight)) for towards, name in TOWARDS]
    found = []
    for name, matrix in laws:
        # a repaired matrix may be singular: a trace of independence gives it a root
        shocks = t_copula_shocks(0.999999 * matrix + 1e-6 * np.eye(len(currencies)), degrees, count, seed)
        scenarios = shock_scenarios(tuple(currencies), vols, shocks, name)
        found.append(offset_on(portfolio, market, scenarios, confidence))
    return tuple(found)


def offset_on(
    portfolio: Portfolio, market: MarketSnapshot, scenarios: ScenarioSet, confidence: float = 0.975
) -> Offset:
    """Return the offset between the underlyings of `portfolio`, revalued in full on `scenarios`."""
    return book_offset(portfolio, market, risk_array(held_instruments([portfolio]), market, scenarios), confidence)
