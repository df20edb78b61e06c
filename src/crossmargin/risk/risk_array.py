"""The risk array: profit in USD of one long unit of each instrument in each scenario.

It is computed once per snapshot; an account's profits are then ``quantities @ pnl``. Coin payoffs are converted at the
scenario's own index: ``V_coin(s) S(s) - V_coin(0) S(0)``. Currencies are instruments with rows of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Asset, Future, Instrument, Option, Payoff, Perpetual, Spot
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.pricing.black76 import black76
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import FloatArray, InstrumentId, years_between


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskArray:
    """Profit of one long unit of `instruments` in every scenario of `scenarios`.

    Attributes
    ----------
    pnl : array of shape (n_instruments, n_scenarios)
        USD, damping applied; long > 0 is profit.
    delta : array of shape (n_instruments,)
        USD profit of one long unit per +100 % of its underlying, by a central difference of 1 basis point.
    """

    instruments: tuple[Instrument, ...]
    scenarios: ScenarioSet
    pnl: FloatArray
    delta: FloatArray
    rows: dict[InstrumentId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.rows:
            object.__setattr__(self, "rows", {item.id: row for row, item in enumerate(self.instruments)})
        if len(self.rows) != len(self.instruments):
            raise InputError("instruments of a risk array must be distinct")

    def row(self, instrument_id: str) -> FloatArray:
        """Return the profit of one long unit of `instrument_id` per scenario.

        Raises
        ------
        InputError
            If the array has no such instrument.
        """
        return np.asarray(self.pnl[self.row_number(instrument_id)])

    def row_number(self, instrument_id: str) -> int:
        """Return the row of `instrument_id`."""
        try:
            return self.rows[InstrumentId(instrument_id)]
        except KeyError:
            raise InputError(f"the risk array must hold every instrument of the book, lacks {instrument_id}") from None


def risk_array(instruments: Iterable[Instrument], market: MarketSnapshot, scenarios: ScenarioSet) -> RiskArray:
    """Revalue every instrument in every scenario.

    Rows stand in the order of ids, so that sums over a book have one order on every machine.

    Raises
    ------
    MarketDataError
        If a price or vol that an instrument needs is missing or not good.
    """
    items = tuple(sorted({item.id: item for item in instruments}.values(), key=lambda item: item.id))
    pnl = np.empty((len(items), scenarios.size))
    delta = np.empty(len(items))
    for row, instrument in enumerate(items):
        factors = scenarios.price_factors(instrument.underlying)
        settle = scenarios.price_factors(instrument.settle)
        pnl[row] = _profit(instrument, market, scenarios, factors, settle) * scenarios.damping
        delta[row] = _unit_delta(instrument, market)
    return RiskArray(instruments=items, scenarios=scenarios, pnl=pnl, delta=delta)


_BUMP = 1e-4


def _unit_delta(instrument: Instrument, market: MarketSnapshot) -> float:
    factors = np.array([1.0 - _BUMP, 1.0 + _BUMP])
    settle = factors if instrument.settle == instrument.underlying else np.ones(2)
    still = ScenarioSet(
        name="delta",
        underlyings=(instrument.underlying,),
        price_factor=factors[None, :],
        vol_shock=np.zeros((1, 2)),
        labels=("down", "up"),
    )
    down, up = _profit(instrument, market, still, factors, settle)
    return float(up - down) / (2.0 * _BUMP)


def _profit(
    instrument: Instrument, market: MarketSnapshot, scenarios: ScenarioSet, factors: FloatArray, settle: FloatArray
) -> FloatArray:
    """Profit of one long unit in USD; `factors` move its underlying, `settle` its settlement currency."""
    index = market.index_price(instrument.settle)
    match instrument:
        case Asset():
            return np.asarray(index * (factors - 1.0))
        case Spot():
            return np.asarray(instrument.contract_size_float * market.index_price(instrument.base) * (factors - 1.0))
        case Perpetual() | Future():
            return np.asarray(_marked_to_market(instrument, market, scenarios, factors) * index * settle)
        case Option():
            coin = _option_values(instrument, market, scenarios, factors)
            return np.asarray(instrument.contract_size_float * index * (coin[1:] * settle - coin[0]))
    assert_never(instrument)


def _marked_to_market(
    contract: Perpetual | Future, market: MarketSnapshot, scenarios: ScenarioSet, factors: FloatArray
) -> FloatArray:
    """Variation in settlement currency."""
    mark = market.mark_price(contract)
    moves = factors * _basis_factor(contract, market, scenarios)
    if contract.payoff is Payoff.INVERSE:
        return np.asarray(contract.contract_size_float / mark * (1.0 - 1.0 / moves))
    return np.asarray(contract.contract_size_float * mark * (moves - 1.0))


def _option_values(option: Option, market: MarketSnapshot, scenarios: ScenarioSet, factors: FloatArray) -> FloatArray:
    """Model value in settlement currency: now, then in each scenario."""
    expiry = years_between(market.time_ns, option.expiry_ns)
    later = expiry - scenarios.horizon_years
    now = market.forward(option.underlying, option.expiry_ns)
    vol = market.vol(option)
    shifts = scenarios.vol_shocks(option.underlying)
    moved = vol * np.maximum(1.0 + shifts * scenarios.vol_tenor.multiplier(np.asarray(expiry)), 0.0)
    moved = np.where(shifts > 0.0, np.maximum(moved, scenarios.min_vol_up), moved)
    forwards = np.concatenate([[now], now * factors * _basis_factor(option, market, scenarios)])
    years = np.concatenate([[expiry], np.full(scenarios.size, later)])
    dollars = black76(forwards, option.strike_float, years, np.concatenate([[vol], moved]), option.is_call)
    if option.payoff is Payoff.INVERSE:
        return np.asarray(dollars / forwards)
    return dollars / market.index_price(option.quote)


def _basis_factor(contract: Perpetual | Future | Option, market: MarketSnapshot, scenarios: ScenarioSet) -> FloatArray:
    if isinstance(contract, Perpetual) or scenarios.basis is None:
        return np.ones(1)
    years = max(years_between(market.time_ns, contract.expiry_ns), 0.0)
    return np.exp(scenarios.basis_shifts(contract.underlying) * years)
