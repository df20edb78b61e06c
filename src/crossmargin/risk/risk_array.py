"""The risk array: profit in USD of one long unit of each instrument in each scenario.

It is computed once per snapshot; an account's profits are then ``quantities @ pnl``. Coin payoffs are converted at the
scenario's own index: ``V_coin(s) S(s) - V_coin(0) S(0)``. Currencies are instruments with rows of their own.

Options go through `pricing.kernels` one expiry at a time; the rest is a line of arithmetic each. No step uses a
library's exponential or a sum whose order may vary, so the bits are the same on every machine.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Asset, Future, Instrument, Option, Payoff, Perpetual, Spot
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.pricing.elementary import exponentials, power
from crossmargin.pricing.kernels import ExpiryScenarios, OptionTerms, aligned_rows, option_profits
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import Currency, FloatArray, InstrumentId, years_between


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


def risk_array(
    instruments: Iterable[Instrument], market: MarketSnapshot, scenarios: ScenarioSet, threads: int = 1
) -> RiskArray:
    """Revalue every instrument in every scenario.

    Rows stand in the order of ids, so that sums over a book have one order on every machine; any number of `threads`
    gives the same bits.

    Raises
    ------
    MarketDataError
        If a price or vol that an instrument needs is missing or not good.
    """
    items = tuple(sorted({item.id: item for item in instruments}.values(), key=lambda item: item.id))
    pnl = aligned_rows(len(items), scenarios.size)
    bumped = aligned_rows(len(items), 2)
    expiries: dict[tuple[Currency, Currency, Currency, int], list[tuple[int, Option]]] = {}
    for row, item in enumerate(items):
        if isinstance(item, Option):
            expiry = (item.underlying, item.quote, item.settle, item.expiry_ns)
            expiries.setdefault(expiry, []).append((row, item))
        else:
            pnl[row] = _profit(item, market, scenarios) * scenarios.damping
            bumped[row] = _profit(item, market, _one_basis_point(item.underlying))
    for listed in expiries.values():
        rows = np.array([row for row, _ in listed])
        options = [option for _, option in listed]
        terms = _terms(options, market)
        moved = _expiry_scenarios(options[0], market, scenarios)
        still = _expiry_scenarios(options[0], market, _one_basis_point(options[0].underlying))
        option_profits(terms, moved, out=pnl, rows=rows, threads=threads)
        option_profits(terms, still, out=bumped, rows=rows)
    delta = (bumped[:, 1] - bumped[:, 0]) / (2.0 * _BUMP)
    return RiskArray(instruments=items, scenarios=scenarios, pnl=pnl, delta=delta)


_BUMP = 1e-4


def _one_basis_point(underlying: Currency) -> ScenarioSet:
    """Return a basis point down and one up for `underlying` alone."""
    return ScenarioSet(
        name="delta",
        underlyings=(underlying,),
        price_factor=np.array([[1.0 - _BUMP, 1.0 + _BUMP]]),
        vol_shock=np.zeros((1, 2)),
        labels=("down", "up"),
    )


def _profit(
    instrument: Asset | Spot | Perpetual | Future, market: MarketSnapshot, scenarios: ScenarioSet
) -> FloatArray:
    """Profit of one long unit in USD, before damping."""
    index = market.index_price(instrument.settle)
    factors = scenarios.price_factors(instrument.underlying)
    match instrument:
        case Asset():
            return np.asarray(index * (factors - 1.0))
        case Spot():
            return np.asarray(instrument.contract_size_float * market.index_price(instrument.base) * (factors - 1.0))
        case Perpetual() | Future():
            settle = scenarios.price_factors(instrument.settle)
            return np.asarray(_marked_to_market(instrument, market, scenarios, factors) * index * settle)
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


def _terms(options: Sequence[Option], market: MarketSnapshot) -> OptionTerms:
    """Terms of options that differ in strike and type only; `scale` turns a price into USD per contract."""
    first = options[0]
    forward = market.forward(first.underlying, first.expiry_ns)
    unit = market.index_price(first.settle)
    # an inverse price is in coin: the dollar price over the forward; a linear one in quote currency
    unit /= forward if first.payoff is Payoff.INVERSE else market.index_price(first.quote)
    return OptionTerms(
        forward=np.full(len(options), forward),
        strike=np.array([option.strike_float for option in options]),
        vol=np.array([market.vol(option) for option in options]),
        is_call=np.array([option.is_call for option in options]),
        scale=np.array([option.contract_size_float * unit for option in options]),
    )


def _expiry_scenarios(option: Option, market: MarketSnapshot, scenarios: ScenarioSet) -> ExpiryScenarios:
    """Say what `scenarios` do to every option of the underlying and expiry of `option`."""
    years = years_between(market.time_ns, option.expiry_ns)
    moves = scenarios.price_factors(option.underlying) * _basis_factor(option, market, scenarios)
    shocks = scenarios.vol_shocks(option.underlying)
    settle = scenarios.price_factors(option.settle)
    return ExpiryScenarios(
        years_now=years,
        years_later=years - scenarios.horizon_years,
        moves=moves,
        vol_factors=np.maximum(1.0 + shocks * _tenor_multiplier(years, scenarios.vol_tenor), 0.0),
        vol_floors=np.where(shocks > 0.0, scenarios.min_vol_up, 0.0),
        conversion=settle / moves if option.payoff is Payoff.INVERSE else settle,
        damping=scenarios.damping,
    )


def _tenor_multiplier(years: float, tenor: VolTenor) -> float:
    """`VolTenor.multiplier` by the power that is the same on every machine."""
    days = max(years * 365.0, tenor.floor_days)
    exponent = tenor.short_power if days <= tenor.reference_days else tenor.long_power
    return power(tenor.reference_days / days, exponent)


def _basis_factor(contract: Perpetual | Future | Option, market: MarketSnapshot, scenarios: ScenarioSet) -> FloatArray:
    if isinstance(contract, Perpetual) or scenarios.basis is None:
        return np.ones(1)
    years = max(years_between(market.time_ns, contract.expiry_ns), 0.0)
    return exponentials(scenarios.basis_shifts(contract.underlying) * years)
