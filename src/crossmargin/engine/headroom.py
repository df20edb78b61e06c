"""How much further orders can raise what an account may come to need, without another pass over its book.

The bound over subsets of fills (`margin.order_kernels.deficit_bound`) grows by no more than what an order brings by
itself: its worst scenario, what it pays at once, its share of the add-ons. So the bound after some order, kept, with
the growth of every order since, is a bound too. While that suffices to accept, the answer is the one that the whole
computation would give; where it does not, the whole computation decides. Orders that have gone since only lower it.
"""

import math
from dataclasses import dataclass

from crossmargin.engine.grid_market import GridMarket
from crossmargin.margin.grid_columns import INVERSE, OPTION, SPOT
from crossmargin.units import FloatArray

SLACK = 1e-9
"""Share of all amounts that is added, more than rounding can take away."""


@dataclass(slots=True)
class Headroom:
    """A bound on initial margin less equity over all subsets of fills of an account's open orders, in USD.

    Attributes
    ----------
    deficit
        The bound.
    exposures
        Gross delta in USD by number of coin, of which no subset has more.
    """

    deficit: float
    exposures: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRisk:
    """What one contract of an instrument that settles in dollars brings, at the prices of one market.

    Attributes
    ----------
    coin
        Number of the coin that moves it.
    is_option
        Whether it is paid for when bought.
    contract_size, mark, settle_price, value, delta
        Coins per contract, quote currency per coin, USD per settlement coin, and USD per contract twice.
    long_cost, short_cost
        What a contract adds whatever its price: its largest loss in any scenario (of a short option at least the minimum
        for it) and the add-ons that grow in proportion, USD.
    impact
        USD of add-on per USD of gross delta to the power of 3/2.
    free, concentration
        Gross delta above which the add-on for concentration begins, and its rate.
    """

    coin: int
    is_option: bool
    contract_size: float
    mark: float
    settle_price: float
    value: float
    delta: float
    long_cost: float
    short_cost: float
    impact: float
    free: float
    concentration: float

    def growth(self, exposure: float, size: float, price: float) -> tuple[float, float]:
        """Return by how much an order raises the bound at most, where gross delta is `exposure`, and raises that."""
        coins = self.contract_size * size * (-price if self.is_option else self.mark - price)
        at_once = coins * self.settle_price + size * self.value
        added = abs(size) * self.delta
        after = exposure + added
        growth = size * self.long_cost if size > 0.0 else -size * self.short_cost
        growth += abs(coins) * self.settle_price
        growth += self.impact * (after * math.sqrt(after) - exposure * math.sqrt(exposure))
        if at_once < 0.0:
            growth -= at_once
        if after > self.free:
            growth += self.concentration * min(after - self.free, added)
        return growth * (1.0 + 2.0 * SLACK), added


def unit_risk(market: GridMarket, row: int) -> UnitRisk | None:
    """Return what one contract brings, or None for what settles in a coin that moves, or moves coins itself."""
    grid = market.columns
    kind, coin, settle = int(grid.kind[row]), int(grid.coin[row]), int(grid.settle[row])
    if kind in (SPOT, INVERSE) or not grid.is_dollar[settle]:
        return None
    profits, size, delta = grid.pnl[row], float(grid.contract_size[row]), abs(float(grid.delta[row]))
    _, short_minimum, basis, free_share, concentration = grid.rates.tolist()
    least = short_minimum * float(grid.index_price[coin]) * size if kind == OPTION else 0.0
    volume, vol, half_spread, impact = grid.liquidity[coin].tolist()
    has_rule = volume > 0.0
    add_ons = float(grid.add_on[row]) + (basis + (half_spread if has_rule else 0.0)) * delta
    return UnitRisk(
        coin=coin,
        is_option=kind == OPTION,
        contract_size=size,
        mark=float(grid.mark[row]),
        settle_price=float(grid.index_price[settle]),
        value=float(grid.unit_value[row]),
        delta=delta,
        long_cost=add_ons + max(0.0, -float(profits.min())),
        short_cost=add_ons + max(0.0, float(profits.max()), least),
        impact=impact * vol / math.sqrt(volume) if has_rule else 0.0,
        free=free_share * volume if has_rule else math.inf,
        concentration=concentration,
    )


Order = tuple[str, float, float]
"""Instrument, signed contracts and price."""


class Headrooms:
    """The bounds of accounts whose books, and the market, are what they were when the bound was computed."""

    def __init__(self) -> None:
        self._market: GridMarket | None = None
        self._units: dict[str, UnitRisk | None] = {}
        self._kept: dict[str, Headroom] = {}
        self._offered: tuple[Order, float, int, float] | None = None
        """The order asked about; if it is placed, the bound then, and by how much gross delta in which coin grows."""

    def forget_all(self) -> None:
        """Forget every bound: prices, or what may back new risk, changed."""
        self._market, self._offered = None, None
        self._units.clear()
        self._kept.clear()

    def forget(self, account: str) -> None:
        """Forget an account's bound: what it holds changed."""
        self._offered = None
        self._kept.pop(account, None)

    def suffices(self, market: GridMarket, account: str, order: Order, enough: float) -> float | None:
        """Return a bound with one more order if that is at most `enough`; None if it takes the whole computation."""
        kept = self._kept.get(account)
        if kept is None or market is not self._market:
            return None
        instrument_id, size, price = order
        unit = self._units.get(instrument_id) or self._unit(market, instrument_id)
        if unit is None:
            return None
        growth, exposure = unit.growth(kept.exposures[unit.coin], size, price)
        deficit = kept.deficit + growth
        if deficit > enough:
            return None
        self._offered = order, deficit, unit.coin, exposure
        return deficit

    def computed(self, market: GridMarket, account: str, order: Order, exposures: FloatArray) -> None:
        """Note what the whole computation said of an account's open orders and one more, if that is placed."""
        if market is not self._market:
            self.forget_all()
            self._market = market
        *found, scale, deficit = exposures.tolist()
        self._kept[account] = Headroom(math.inf, found)
        self._offered = order, deficit + SLACK * scale, 0, 0.0

    def placed(self, account: str, order: Order) -> None:
        """Note that an order was placed, whether it was asked about before or not."""
        kept = self._kept.get(account)
        if kept is None or self._market is None:
            return
        offered, self._offered = self._offered, None
        if offered is not None and offered[0] is order:
            _, kept.deficit, coin, exposure = offered
            kept.exposures[coin] += exposure
            return
        unit = self._unit(self._market, order[0])
        if unit is None:
            del self._kept[account]
            return
        growth, exposure = unit.growth(kept.exposures[unit.coin], order[1], order[2])
        kept.deficit += growth
        kept.exposures[unit.coin] += exposure

    def _unit(self, market: GridMarket, instrument_id: str) -> UnitRisk | None:
        if instrument_id not in self._units:
            self._units[instrument_id] = unit_risk(market, market.rows[instrument_id])
        return self._units[instrument_id]
