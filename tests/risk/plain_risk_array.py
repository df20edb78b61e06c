"""The risk array in plain numpy, one instrument at a time: what the kernels are compared with."""

from typing import assert_never

import numpy as np

from crossmargin.instruments.contracts import Asset, Future, Instrument, Option, Payoff, Perpetual, Spot
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.pricing.black76 import black76
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import FloatArray, years_between


def plain_pnl(instrument: Instrument, market: MarketSnapshot, scenarios: ScenarioSet) -> FloatArray:
    factors = scenarios.price_factors(instrument.underlying)
    settle = scenarios.price_factors(instrument.settle)
    return plain_profit(instrument, market, scenarios, factors, settle) * scenarios.damping


def plain_profit(
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
            return np.asarray(marked_to_market(instrument, market, scenarios, factors) * index * settle)
        case Option():
            coin = option_values(instrument, market, scenarios, factors)
            return np.asarray(instrument.contract_size_float * index * (coin[1:] * settle - coin[0]))
    assert_never(instrument)


def marked_to_market(
    contract: Perpetual | Future, market: MarketSnapshot, scenarios: ScenarioSet, factors: FloatArray
) -> FloatArray:
    """Variation in settlement currency."""
    mark = market.mark_price(contract)
    moves = factors * basis_factor(contract, market, scenarios)
    if contract.payoff is Payoff.INVERSE:
        return np.asarray(contract.contract_size_float / mark * (1.0 - 1.0 / moves))
    return np.asarray(contract.contract_size_float * mark * (moves - 1.0))


def option_values(option: Option, market: MarketSnapshot, scenarios: ScenarioSet, factors: FloatArray) -> FloatArray:
    """Model value in settlement currency: now, then in each scenario."""
    expiry = years_between(market.time_ns, option.expiry_ns)
    later = expiry - scenarios.horizon_years
    now = market.forward(option.underlying, option.expiry_ns)
    vol = market.vol(option)
    shifts = scenarios.vol_shocks(option.underlying)
    moved = vol * np.maximum(1.0 + shifts * scenarios.vol_tenor.multiplier(np.asarray(expiry)), 0.0)
    moved = np.where(shifts > 0.0, np.maximum(moved, scenarios.min_vol_up), moved)
    forwards = np.concatenate([[now], now * factors * basis_factor(option, market, scenarios)])
    years = np.concatenate([[expiry], np.full(scenarios.size, later)])
    dollars = black76(forwards, option.strike_float, years, np.concatenate([[vol], moved]), option.is_call)
    if option.payoff is Payoff.INVERSE:
        return np.asarray(dollars / forwards)
    return dollars / market.index_price(option.quote)


def basis_factor(contract: Perpetual | Future | Option, market: MarketSnapshot, scenarios: ScenarioSet) -> FloatArray:
    if isinstance(contract, Perpetual) or scenarios.basis is None:
        return np.ones(1)
    years = max(years_between(market.time_ns, contract.expiry_ns), 0.0)
    return np.exp(scenarios.basis_shifts(contract.underlying) * years)
