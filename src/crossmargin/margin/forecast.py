"""Tomorrow's requirement as a distribution, and the chance of a margin call and of liquidation within a horizon.

Profit is revalued in full at every draw. The requirement and the equity that a method counts are asked of the method
itself at some of the draws, and read off a regression on the moves everywhere else; what the regression misses is drawn
along with it, and stated. A dated move joins the market's history, so that methods recalibrate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.comparison import Refusal, answers
from crossmargin.margin.exhaustion import losses_of
from crossmargin.margin.method import Method, P, Requirement
from crossmargin.margin.requirements import held_instruments
from crossmargin.margin.what_if import Change, moved
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import entered
from crossmargin.scenarios.factor_paths import FactorPaths
from crossmargin.scenarios.factors import MarketFactors
from crossmargin.units import AccountId, FloatArray

_RIDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """How one account may stand; USD.

    Attributes
    ----------
    now
        The method's answer today.
    initial : array of shape (n_paths,)
        Initial requirement after one period.
    excess, cushion : arrays of shape (n_periods, n_paths)
        Equity less initial, and less maintenance, at the end of each period.
    error
        Root mean square of what the regression of the requirement misses, over today's; out of sample.
    call, liquidation
        Chance that excess, or cushion, falls below 0 within the horizon at any time: between two ends a Brownian bridge.
    call_at_close, liquidation_at_close
        The same, looking at the ends of periods only.
    """

    account: AccountId
    now: Requirement
    initial: FloatArray
    excess: FloatArray
    cushion: FloatArray
    error: float
    call: float
    liquidation: float
    call_at_close: float
    liquidation_at_close: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequirementSurface:
    """A method's answers for one account, as functions of the factors' moves and the account's profit.

    `coefficients` are of the initial requirement, the maintenance requirement, and the method's equity beyond profit;
    `misses`, shape (3, n_asked), are errors of each when it was left out of the fit.
    """

    now: Requirement
    scale: FloatArray
    coefficients: FloatArray
    misses: FloatArray

    def read(self, moves: FloatArray, pnl: FloatArray) -> FloatArray:
        """Return initial, maintenance and equity at moves (n_factors, n_points), shape (3, n_points)."""
        found = self.coefficients @ _features(moves, pnl, self.scale)
        found[2] += pnl
        return np.asarray(found)


def requirement_surfaces(
    portfolios: Sequence[Portfolio],
    market: MarketSnapshot,
    method: Method[P],
    parameters: P,
    factors: MarketFactors,
    moves: FloatArray,
) -> Iterator[RequirementSurface | Refusal]:
    """Yield, per portfolio, the surface through the method's answers at `moves` (n_factors, n_asked)."""
    # only what is held is repriced: a chain of thousands of marks would take most of the time
    names = {instrument.id for instrument in held_instruments(portfolios)}
    market = replace(market, marks={name: price for name, price in market.marks.items() if name in names})
    asked = [answers(portfolios, market, method, parameters)]
    carried = [entered(portfolio, market) for portfolio in portfolios]
    asked += [answers(carried, later(market, factors, point), method, parameters) for point in moves.T]
    pnl = -losses_of(portfolios, market, factors)(moves)
    for row, column in enumerate(zip(*asked, strict=True)):
        refused = next((answer for answer in column if isinstance(answer, Refusal)), None)
        if refused is not None:
            yield refused
        else:
            yield _surface([each for each in column if isinstance(each, Requirement)], moves, pnl[row])


def forecasts(
    portfolios: Sequence[Portfolio],
    market: MarketSnapshot,
    method: Method[P],
    parameters: P,
    paths: FactorPaths,
    *,
    asked: int = 96,
    seed: int = 0,
) -> Iterator[Forecast | Refusal]:
    """Yield the forecast of every portfolio, in the order given.

    Parameters
    ----------
    asked
        Draws at which the method is asked.
    seed
        Of the errors that are drawn along.

    Raises
    ------
    InputError
        If an account holds a coin that no factor moves, or `asked` is below 32 or above the number of draws.
    """
    periods, _, count = paths.moves.shape
    if not 32 <= asked <= periods * count:
        raise InputError(f"a method must be asked at 32 draws or more and at most {periods * count}, was at {asked}")
    everywhere = flattened(paths.moves)
    # evenly over periods and draws: the surface is read at the first end and at the last
    chosen = np.linspace(0, everywhere.shape[1] - 1, asked).round().astype(int)
    surfaces = requirement_surfaces(portfolios, market, method, parameters, paths.factors, everywhere[:, chosen])
    pnl = -losses_of(portfolios, market, paths.factors)(everywhere)
    rng = np.random.default_rng(seed)
    for portfolio, surface, profit in zip(portfolios, surfaces, pnl, strict=True):
        if isinstance(surface, Refusal):
            yield surface
        else:
            yield forecast_on(surface, portfolio.account, paths.moves, profit, rng)


def flattened(moves: FloatArray) -> FloatArray:
    """Return moves (n_periods, n_factors, n_paths) as (n_factors, n_periods * n_paths), period by period."""
    return np.asarray(moves.transpose(1, 0, 2).reshape(moves.shape[1], -1))


def forecast_on(
    surface: RequirementSurface, account: AccountId, moves: FloatArray, pnl: FloatArray, rng: np.random.Generator
) -> Forecast:
    """Return the forecast of one account along `moves` (n_periods, n_factors, n_paths) with its profit at each.

    Parameters
    ----------
    pnl : array of shape (n_periods * n_paths,)
        In the order of `flattened`.
    rng
        Draws the errors of the surface.
    """
    periods, _, count = moves.shape
    missed = surface.misses[:, rng.integers(surface.misses.shape[1], size=pnl.size)]
    initial, maintenance, equity = (surface.read(flattened(moves), pnl) + missed).reshape(3, periods, count)
    initial, maintenance = np.maximum(initial, 0.0), np.maximum(maintenance, 0.0)
    excess, cushion, now = equity - initial, equity - maintenance, surface.now
    return Forecast(
        account=account,
        now=now,
        initial=initial[0],
        excess=excess,
        cushion=cushion,
        error=float(np.sqrt(np.mean(surface.misses[0] ** 2))) / max(abs(now.initial), 1.0),
        call=touch_probability(now.excess, excess),
        liquidation=touch_probability(now.equity - now.maintenance, cushion),
        call_at_close=float((excess < 0.0).any(axis=0).mean()) if now.excess >= 0.0 else 1.0,
        liquidation_at_close=float((cushion < 0.0).any(axis=0).mean()) if now.equity >= now.maintenance else 1.0,
    )


def touch_probability(now: float, later: FloatArray) -> float:
    """Return the chance that a quantity at `now` falls below 0 by the end of paths (n_periods, n_paths).

    Between two ends a, b > 0 it is a Brownian bridge, which touches 0 with probability ``exp(-2 a b / v)``, where v is
    the variance of the period's change over the paths (Karatzas & Shreve 1991, 4.3.40).

    Examples
    --------
    >>> touch_probability(1.0, np.array([[-1.0, -2.0, -3.0, -4.0]]))
    1.0
    """
    if now < 0.0:
        return 1.0
    before = np.full(later.shape[1], now)
    survives = np.ones(later.shape[1])
    for after in later:
        variance = float(np.var(after - before))
        if variance > 0.0:
            survives *= -np.expm1(-2.0 * np.maximum(before, 0.0) * np.maximum(after, 0.0) / variance)
        survives[after < 0.0] = 0.0
        before = after
    return float(1.0 - survives.mean())


def later(market: MarketSnapshot, factors: MarketFactors, move: FloatArray) -> MarketSnapshot:
    """Return `market` after one move of `factors`, which joins its history as its newest step.

    The clock stays, and so does the time of the newest price: options keep their time to expiry. Coins without a factor
    stand still.
    """
    relative = factors.relative(move).tolist()
    split = len(factors.coins)
    prices = dict(zip(factors.coins, relative[:split], strict=True))
    after = moved(market, Change(prices=prices, vols=dict(zip(factors.vol_coins, relative[split:], strict=True))))
    if market.history is None or market.history.times_ns.size < 2:
        return after
    past = market.history
    step = int(np.median(np.diff(past.times_ns)))
    newest = past.prices[:, -1] * np.array([1.0 + prices.get(coin, 0.0) for coin in past.currencies])
    longer = PriceHistory(
        times_ns=np.append(past.times_ns - step, past.times_ns[-1]),
        currencies=past.currencies,
        prices=np.concatenate([past.prices, newest[:, None]], axis=1),
    )
    return replace(after, history=longer)


def _surface(asked: Sequence[Requirement], moves: FloatArray, pnl: FloatArray) -> RequirementSurface:
    now, rest = asked[0], asked[1:]
    scale = np.append(np.maximum(moves.std(axis=1), 1e-12), max(float(pnl.std()), 1e-9))
    x = _features(moves, pnl, scale)
    y = np.array(
        [
            [each.initial for each in rest],
            [each.maintenance for each in rest],
            [each.equity - profit for each, profit in zip(rest, pnl.tolist(), strict=True)],
        ]
    )
    gram = x @ x.T + _RIDGE * len(rest) * np.eye(x.shape[0])
    coefficients = np.linalg.solve(gram, x @ y.T).T
    # the error of leaving one out is its residual over one less its leverage
    leverage = np.minimum(np.einsum("is,is->s", x, np.linalg.solve(gram, x)), 0.99)
    return RequirementSurface(
        now=now, scale=scale, coefficients=coefficients, misses=(y - coefficients @ x) / (1.0 - leverage)
    )


def _features(moves: FloatArray, pnl: FloatArray, scale: FloatArray) -> FloatArray:
    """One, every move, its size and its square, and the profit and its square, in standard deviations."""
    z = np.vstack([moves, pnl[None, :]]) / scale[:, None]
    return np.vstack([np.ones((1, z.shape[1])), z, np.abs(z[:-1]), z**2])
