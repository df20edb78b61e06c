"""Haircuts and offsets that the history asks for, as they stand at the end of a record."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.add_ons import Liquidity
from crossmargin.margin.collateral import HaircutTier
from crossmargin.margin.haircuts import Haircut, HaircutRules, haircut, haircut_schedule
from crossmargin.margin.offsets import Offset, offset_on, stressed_offsets
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Portfolio, Position
from crossmargin.scenarios.correlation import (
    Dcc,
    correlation_of,
    eigenvalue_clipped,
    ewma_correlation,
    fit_dcc,
    ledoit_wolf,
)
from crossmargin.scenarios.filtered import filtered_scenarios
from crossmargin.scenarios.grouped_t import GroupedT, TailFit, grouped_t_scenarios
from crossmargin.scenarios.range_forecast import range_variance_paths
from crossmargin.units import AccountId, Currency, FloatArray
from crossmargin.validation.books import PAIRS
from crossmargin.validation.daily_bars import DailyBars

SIZES = (1e6, 1e7, 1e8)
"""USD of collateral to state haircuts for."""
CORRELATION_DAYS = 250
CORRELATION_DECAY = 0.97
"""Of RiskMetrics for correlations of a month (Zangari 1996, technical document, 5.3): half a weight is 23 days old."""
_BTC, _USDT = Currency("BTC"), Currency("USDT")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinHaircuts:
    """Haircuts of a coin by size, for a book that is long BTC, and the tiers that charge as much."""

    currency: Currency
    by_size: tuple[Haircut, ...]
    tiers: tuple[HaircutTier, ...]


def coin_haircuts(
    bars: DailyBars,
    liquidity: Mapping[str, Liquidity],
    sizes: Sequence[float] = SIZES,
    rules: HaircutRules | None = None,
) -> tuple[CoinHaircuts, ...]:
    """Return the haircuts of every coin of `liquidity` that has 250 dates to scale and trades at the end.

    Scenarios are whole dates of the coin and BTC at today's volatility. The book that the collateral secures is long BTC: a
    coin that falls when BTC does is charged for it.

    Raises
    ------
    InputError
        If the bars lack BTC.
    """
    if _BTC not in bars.currencies:
        raise InputError(f"haircuts need BTC in the daily bars, found {', '.join(bars.currencies)}")
    returns = bars.returns
    paths = range_variance_paths(returns, bars.variances)
    found = []
    for currency, row in zip(bars.currencies, range(len(bars.currencies)), strict=True):
        known = np.isfinite(returns[row] / np.sqrt(paths[row, :-1])).sum() >= CORRELATION_DAYS
        if currency not in liquidity or not known or not np.isfinite(returns[row, -1]):
            continue
        pair = [row] if currency == _BTC else [row, bars.currencies.index(_BTC)]
        coins = tuple(bars.currencies[at] for at in pair)
        days = tuple(map(str, range(returns.shape[1])))
        scenarios = filtered_scenarios(coins, returns[pair], paths[pair], dates=days)
        book = scenarios.price_factors(_BTC) - 1.0
        market, chosen = liquidity[currency], rules or HaircutRules()
        by_size = tuple(haircut(currency, size, scenarios, market, chosen, book) for size in sizes)
        schedule = haircut_schedule({currency: sizes}, scenarios, liquidity, chosen, book)
        found.append(CoinHaircuts(currency=currency, by_size=by_size, tiers=schedule.tiers[currency]))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependence:
    """How coins that trade at the end move together: correlations of shape (n_coins, n_coins), and daily vols.

    `correlation` is that of the last months, shrunk; `clipped` the same with its noise eigenvalues made one, and
    `weighted` with newer days weighing more; `dynamic` what a DCC expects of the next day, which follows the last weeks;
    `dcc` its fit.
    """

    currencies: tuple[Currency, ...]
    correlation: FloatArray
    clipped: FloatArray
    weighted: FloatArray
    dynamic: FloatArray
    dcc: Dcc
    vols: FloatArray


def dependence(bars: DailyBars) -> Dependence:
    """Return the Ledoit-Wolf correlation of the last 250 standardised moves of every coin that has them all.

    Raises
    ------
    InputError
        If fewer than two coins do.
    """
    returns = bars.returns
    paths = range_variance_paths(returns, bars.variances)
    shapes = (returns / np.sqrt(paths[:, :-1]))[:, -CORRELATION_DAYS:]
    rows = np.flatnonzero(np.isfinite(shapes).all(axis=1))
    if rows.size < 2 or shapes.shape[1] < CORRELATION_DAYS:
        raise InputError(f"a correlation needs two coins with {CORRELATION_DAYS} days of moves, found {rows.size}")
    dcc = fit_dcc(shapes[rows])
    plain = correlation_of(np.cov(shapes[rows], bias=True))
    return Dependence(
        currencies=tuple(bars.currencies[row] for row in rows),
        dynamic=dcc.correlation_path(shapes[rows])[-1],
        dcc=dcc,
        correlation=correlation_of(ledoit_wolf(shapes[rows]).covariance),
        clipped=eigenvalue_clipped(plain, CORRELATION_DAYS),
        weighted=ewma_correlation(shapes[rows], CORRELATION_DECAY),
        vols=np.sqrt(paths[rows, -1]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOffsets:
    """What netting saves a dollar of one coin against a dollar of another, as it is and with correlations broken."""

    pair: str
    laws: tuple[Offset, ...]


def pair_offsets(
    bars: DailyBars, found: Dependence, tails: Mapping[Currency, TailFit], weight: float = 0.5
) -> tuple[PairOffsets, ...]:
    """Return the offsets of the pairs of the backtest's books, in perpetuals revalued in full over a day.

    Correlations move by `weight` towards one, zero and minus one. Where `tails` know both coins, the last law is today's
    correlation with the tail, and the skew, that each coin has of its own: a grouped t copula.
    """
    places = {coin: place for place, coin in enumerate(found.currencies)}
    closes = {coin: float(bars.closes[bars.currencies.index(coin), -1]) for coin in found.currencies}
    index = {_USDT: Price(1.0)} | {coin: Price(close) for coin, close in closes.items()}
    market = MarketSnapshot(time_ns=int(bars.days_ns[-1]), index=index)
    answers = []
    for long, short in ((Currency(first), Currency(second)) for first, second in PAIRS):
        if long not in places or short not in places:
            continue
        at = [places[long], places[short]]
        portfolio = Portfolio(
            account=AccountId(f"{long}-{short}"),
            balances=(),
            positions=(_position(long, 1.0 / closes[long]), _position(short, -1.0 / closes[short])),
        )
        laws = stressed_offsets(
            portfolio, market, (long, short), found.vols[at], found.correlation[np.ix_(at, at)], weight=weight
        )
        own = [tails[coin] for coin in (long, short) if coin in tails]
        if len(own) == 2:
            law = _own_tails(own, found.correlation[np.ix_(at, at)])
            scenarios = grouped_t_scenarios((long, short), found.vols[at], law, count=8_192)
            laws += (dataclasses.replace(offset_on(portfolio, market, scenarios), law="own tails"),)
        answers.append(PairOffsets(pair=f"{long}-{short}", laws=laws))
    return tuple(answers)


def _own_tails(tails: Sequence[TailFit], correlation: FloatArray) -> GroupedT:
    """Return the law of coins with these tails; without skew where no correlation of normals would reach theirs."""
    degrees = np.array([each.degrees for each in tails])
    law = GroupedT(correlation=correlation, degrees=degrees, skew=np.array([each.skew for each in tails]))
    try:
        law.normal_correlation()
    except InputError:
        return dataclasses.replace(law, skew=np.zeros(degrees.size))
    return law


def _position(coin: Currency, coins: float) -> Position:
    contract = parse_contract(f"binance:{coin}/USDT:USDT")
    return Position(instrument=contract, quantity=1e6 * coins / contract.contract_size_float)
