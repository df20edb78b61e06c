"""The risk array: profit in USD of one long unit of each instrument in each scenario.

It is computed once per snapshot; an account's profits are then ``quantities @ pnl``. Coin payoffs are converted at the
scenario's own index: ``V_coin(s) S(s) - V_coin(0) S(0)``. Currencies are instruments with rows of their own.

Options go through `pricing.kernels` together, expiry by expiry; the rest is a line of arithmetic each. No step uses a
library's exponential or a sum whose order may vary, so the bits are the same on every machine.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from crossmargin.elementary import exponentials, power
from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Asset, Future, Instrument, Option, Payoff, Perpetual, Spot
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.pricing.kernels import ExpiryScenarios, OptionTerms, aligned_rows, option_profits
from crossmargin.pricing.settlement import Delivery, delivery
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import BoolArray, Currency, FloatArray, InstrumentId, IntArray, years_between


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

    def row_numbers(self, instrument_ids: Iterable[InstrumentId]) -> IntArray:
        """Return the rows of `instrument_ids`, in their order."""
        rows = self.rows
        try:
            return np.array([rows[name] for name in instrument_ids], dtype=np.int64)
        except KeyError as error:
            raise InputError(f"the risk array must hold every instrument of the book, lacks {error.args[0]}") from None

    def row_number(self, instrument_id: str) -> int:
        """Return the row of `instrument_id`."""
        try:
            return self.rows[InstrumentId(instrument_id)]
        except KeyError:
            raise InputError(f"the risk array must hold every instrument of the book, lacks {instrument_id}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """Options side by side, those of one underlying, pair of currencies and expiry together; no price changes them.

    Attributes
    ----------
    expiries
        Options of each expiry; the first of them stands for what they have in common.
    expiry, rows : integers of shape (n_options,)
        Number of the expiry, and row in the risk array.
    strikes, sizes : arrays of shape (n_options,)
        Quote currency, and coins per contract.
    is_call : booleans of shape (n_options,)
    """

    expiries: tuple[tuple[Option, ...], ...]
    expiry: IntArray
    rows: IntArray
    strikes: FloatArray
    sizes: FloatArray
    is_call: BoolArray

    @property
    def firsts(self) -> list[Option]:
        """One option of each expiry."""
        return [options[0] for options in self.expiries]


class Listed:
    """Instruments in the order of ids, and what of them stays from one snapshot to the next.

    Vols of options are looked up again only where the surface or the forward is another one.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self.items = tuple(sorted({item.id: item for item in instruments}.values(), key=lambda item: item.id))
        self.rows = {item.id: row for row, item in enumerate(self.items)}
        self.others = [(row, item) for row, item in enumerate(self.items) if not isinstance(item, Option)]
        self.options = _side_by_side([(row, item) for row, item in enumerate(self.items) if isinstance(item, Option)])
        self._vols: dict[int, tuple[object, FloatArray]] = {}

    def vols(self, number: int, market: MarketSnapshot) -> FloatArray:
        """Return the vols of the options of an expiry."""
        options = self.options.expiries[number]
        first = options[0]
        surface = market.surfaces.get(first.underlying)
        # a surface holds the time from which its smiles are interpolated
        seen = surface, market.forward(first.underlying, first.expiry_ns)
        known = self._vols.get(number)
        if known is None or surface is None or known[0] != seen:
            known = self._vols[number] = seen, np.array([market.vol(option) for option in options])
        return known[1]


def _side_by_side(listed: Sequence[tuple[int, Option]]) -> _Options:
    found: dict[tuple[Currency, Currency, Currency, int], list[tuple[int, Option]]] = {}
    for row, item in listed:
        found.setdefault((item.underlying, item.quote, item.settle, item.expiry_ns), []).append((row, item))
    ordered = [each for group in found.values() for each in group]
    return _Options(
        expiries=tuple(tuple(option for _, option in group) for group in found.values()),
        expiry=np.repeat(np.arange(len(found)), [len(group) for group in found.values()]),
        rows=np.array([row for row, _ in ordered], dtype=np.int64),
        strikes=np.array([option.strike_float for _, option in ordered]),
        sizes=np.array([option.contract_size_float for _, option in ordered]),
        is_call=np.array([option.is_call for _, option in ordered], dtype=np.bool_),
    )


def risk_array(
    instruments: Iterable[Instrument] | Listed, market: MarketSnapshot, scenarios: ScenarioSet, threads: int = 1
) -> RiskArray:
    """Revalue every instrument in every scenario.

    Rows stand in the order of ids, so that sums over a book have one order on every machine; any number of `threads`
    gives the same bits. Who revalues the same instruments again and again hands over a `Listed`.

    Raises
    ------
    MarketDataError
        If a price or vol that an instrument needs is missing or not good.
    """
    listed = instruments if isinstance(instruments, Listed) else Listed(instruments)
    pnl = aligned_rows(len(listed.items), scenarios.size)
    bumped = aligned_rows(len(listed.items), 2)
    for row, item in listed.others:
        pnl[row] = _profit(item, market, scenarios) * scenarios.damping
        bumped[row] = _profit(item, market, _one_basis_point(item.underlying))
    if listed.options.expiries:
        rows, firsts = listed.options.rows, listed.options.firsts
        terms, certain = _terms(listed, market)
        moved = _expiry_scenarios(firsts, market, [scenarios] * len(firsts))
        option_profits(terms, moved, out=pnl, rows=rows, threads=threads)
        _add_certain(certain, terms.expiry, moved, rows, pnl)
        still = _expiry_scenarios(firsts, market, [_one_basis_point(option.underlying) for option in firsts])
        option_profits(terms, still, out=bumped, rows=rows)
        _add_certain(certain, terms.expiry, still, rows, bumped)
    delta = (bumped[:, 1] - bumped[:, 0]) / (2.0 * _BUMP)
    return RiskArray(instruments=listed.items, scenarios=scenarios, pnl=pnl, delta=delta, rows=listed.rows)


_BUMP = 1e-4


@functools.lru_cache
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
    if isinstance(contract, Future) and (share := _delivery(contract, market).still_to_come) < 1.0:
        # the fixed part of a delivery price moves no more
        moves = 1.0 + share * (moves - 1.0)
    if contract.payoff is Payoff.INVERSE:
        return np.asarray(contract.contract_size_float / mark * (1.0 - 1.0 / moves))
    return np.asarray(contract.contract_size_float * mark * (moves - 1.0))


def _terms(listed: Listed, market: MarketSnapshot) -> tuple[OptionTerms, FloatArray]:
    """Terms of options listed by underlying, currencies and expiry; `scale` turns a price into USD per contract.

    The second array, of shape (n_options,), is what an option is worth for certain, in USD: the fixed part of a delivery
    price may be past its strike. What is left of a call then is the underlying, a call whose strike is next to nothing.
    """
    options, each = listed.options, np.empty((4, len(listed.options.expiries)))
    for number, first in enumerate(options.firsts):
        forward = market.forward(first.underlying, first.expiry_ns)
        fixed = _delivery(first, market)
        unit = market.index_price(first.settle)
        # an inverse price is in coin: the dollar price over the delivery price; a linear one in quote currency
        unit /= fixed.expected(forward) if first.payoff is Payoff.INVERSE else market.index_price(first.quote)
        each[:, number] = forward, fixed.still_to_come, (1.0 - fixed.still_to_come) * fixed.average, unit
    forwards, still_to_come, known, units = each[:, options.expiry]
    open_share = np.where(still_to_come > 0.0, still_to_come, 1.0)  # at expiry everything is fixed: no strike is left
    strike = np.where(still_to_come > 0.0, (options.strikes - known) / open_share, 0.0)
    size, beyond = options.sizes * units, known - options.strikes
    is_open = strike > 0.0
    terms = OptionTerms(
        expiry=options.expiry,
        forward=forwards,
        strike=np.where(is_open, strike, _NEXT_TO_NOTHING * forwards),
        vol=np.concatenate([listed.vols(number, market) for number in range(len(options.expiries))]),
        is_call=options.is_call,
        scale=np.where(is_open | options.is_call, size * still_to_come, 0.0),
    )
    sure = np.maximum(np.where(options.is_call, beyond, -beyond), 0.0)
    return terms, np.where(is_open, 0.0, size * sure)


_NEXT_TO_NOTHING = 1e-9


def _add_certain(
    certain: FloatArray, expiry: IntArray, scenarios: ExpiryScenarios, rows: IntArray, pnl: FloatArray
) -> None:
    """Add what the conversion of a certain value gains: one in coin moves with the coin."""
    for place in np.flatnonzero(certain):
        e = expiry[place]
        pnl[rows[place]] += certain[place] * (scenarios.conversion[e] - 1.0) * scenarios.damping[e]


def _delivery(contract: Future | Option, market: MarketSnapshot) -> Delivery:
    years = years_between(market.time_ns, contract.expiry_ns)
    return delivery(years, market.delivery_average(contract.underlying))


def _expiry_scenarios(
    options: Sequence[Option], market: MarketSnapshot, scenarios: Sequence[ScenarioSet]
) -> ExpiryScenarios:
    """Say what each of `scenarios` does to every option of the underlying and expiry of its option."""
    years = np.array([years_between(market.time_ns, option.expiry_ns) for option in options])
    pairs = list(zip(options, scenarios, strict=True))
    moves = _each_once(ScenarioSet.price_factors, [(each, option.underlying) for option, each in pairs])
    if any(each.basis is not None for each in scenarios):
        moves *= np.array([np.broadcast_to(_basis_factor(option, market, each), each.size) for option, each in pairs])
    shocks = _each_once(ScenarioSet.vol_shocks, [(each, option.underlying) for option, each in pairs])
    tenors = np.array(
        [_tenor_multiplier(time, each.vol_tenor) for time, each in zip(years.tolist(), scenarios, strict=True)]
    )
    floors = np.array([each.min_vol_up for each in scenarios])
    settle = _each_once(ScenarioSet.price_factors, [(each, option.settle) for option, each in pairs])
    conversion = settle
    is_inverse = np.array([option.payoff is Payoff.INVERSE for option in options])
    if is_inverse.any():
        # a coin price is the dollar price over the delivery price, of which the fixed part does not move
        share = np.array([_moving_share(option, market) for option in options])[:, np.newaxis]
        delivered = np.where(share == 1.0, moves, 1.0 + share * (moves - 1.0))
        conversion = np.where(is_inverse[:, np.newaxis], settle / delivered, settle)
    return ExpiryScenarios(
        years_now=years,
        years_later=years - np.array([each.horizon_years for each in scenarios]),
        moves=moves,
        vol_factors=np.maximum(1.0 + shocks * tenors[:, np.newaxis], 0.0),
        vol_floors=np.where(shocks > 0.0, floors[:, np.newaxis], 0.0),
        conversion=conversion,
        damping=np.array([each.damping for each in scenarios]),
    )


def _each_once(
    look_up: Callable[[ScenarioSet, Currency], FloatArray], wanted: list[tuple[ScenarioSet, Currency]]
) -> FloatArray:
    """Return a row of scenarios for each set and currency that is wanted; expiries share them."""
    found = {(id(each), name): (each, name) for each, name in wanted}
    rows = {key: look_up(*asked) for key, asked in found.items()}
    return np.array([rows[id(each), name] for each, name in wanted])


def _moving_share(option: Option, market: MarketSnapshot) -> float:
    """Return the share of the expected delivery price that still moves with the forward."""
    forward, fixed = market.forward(option.underlying, option.expiry_ns), _delivery(option, market)
    return fixed.still_to_come * forward / fixed.expected(forward)


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
