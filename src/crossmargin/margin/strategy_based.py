"""`strategy_based`: US strategy-based option margin, applied to coins: naked options, covered calls, spreads, straddles.

A naked short option needs ``max(20 % of the index less what it is out of the money, 10 % of the index or of a put's strike)``
beside its value; recognised strategies need less. Positions are paired so that the sum is least, by a linear program.
docs/methods/strategy_based.md gives the sources.
"""

import math
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError, invariant
from crossmargin.instruments.contracts import DOLLAR_COINS, Option, Payoff, Spot
from crossmargin.margin.equity import equity_components
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.open_orders import subset_charge
from crossmargin.margin.perpetual_units import held_contracts
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency, unit_value
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


class StrategyBasedParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates of naked options and of coins; fractions."""

    option_rate: float
    option_minimum_rate: float
    coin_initial: float
    coin_maintenance: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.option_minimum_rate <= self.option_rate < 1.0:
            raise InputError("0 <= option_minimum_rate <= option_rate < 1 must hold")
        if not 0.0 <= self.coin_maintenance <= self.coin_initial <= 1.0:
            raise InputError("0 <= coin_maintenance <= coin_initial <= 1 must hold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Options of one contract: coins without a sign, USD per coin."""

    is_call: bool
    strike: float
    expiry_ns: int
    coins: float
    mark: float


def naked(leg: Leg, index: float, parameters: StrategyBasedParameters) -> float:
    """Return what a short option needs per coin beside its value.

    Examples
    --------
    >>> rates = StrategyBasedParameters(
    ...     effective="",
    ...     sources=(),
    ...     option_rate=0.2,
    ...     option_minimum_rate=0.1,
    ...     coin_initial=0.5,
    ...     coin_maintenance=0.25,
    ... )
    >>> naked(Leg(is_call=True, strike=47.0, expiry_ns=0, coins=100.0, mark=2.1), 45.0, rates)
    7.0
    """
    out = max(leg.strike - index if leg.is_call else index - leg.strike, 0.0)
    least = parameters.option_minimum_rate * (index if leg.is_call else leg.strike)
    return max(parameters.option_rate * index - out, least)


def spread(short: Leg, long: Leg) -> float:
    """Return what a spread needs per coin: the most it can still lose from its value now.

    The payoff loses at most the width of the strikes where the long one is worse, and the pair's value is lost besides.
    """
    width = max((long.strike - short.strike) * (1.0 if short.is_call else -1.0), 0.0)
    return max(width + long.mark - short.mark, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """A way to hold some coins of legs: which rows it fills, and what it needs per coin."""

    strategy: str
    rows: tuple[int, ...]
    needs: float


def strategies(
    shorts: list[Leg], longs: list[Leg], cover: float, index: float, parameters: StrategyBasedParameters
) -> dict[str, float]:
    """Return USD by strategy, for the pairing that needs least.

    Parameters
    ----------
    shorts, longs
        Options of one underlying.
    cover
        Coins that may cover short calls.
    """
    count = len(shorts) + len(longs)
    if count == 0:
        return {}
    uses = _uses(shorts, longs, index, parameters)
    capacity = np.array([leg.coins for leg in [*shorts, *longs]] + [cover])
    filled = np.zeros((count + 1, len(uses)))
    for column, use in enumerate(uses):
        filled[list(use.rows), column] = 1.0
    from scipy.optimize import linprog  # slow to load, and seldom needed

    # in shares of the largest holding and of the index, so that the solver's tolerance means the same for every coin
    scale = float(capacity.max())
    answer = linprog(
        [use.needs / index for use in uses],
        A_eq=filled[:-1],
        b_eq=capacity[:-1] / scale,
        A_ub=filled[-1:],
        b_ub=capacity[-1:] / scale,
        method="highs",
    )
    invariant(answer.x is not None, f"a pairing of options must exist, found {answer.message}")
    totals: dict[str, float] = {}
    for use, coins in zip(uses, np.asarray(answer.x).tolist(), strict=True):
        totals[use.strategy] = totals.get(use.strategy, 0.0) + coins * scale * use.needs
    return {name: amount for name, amount in sorted(totals.items()) if amount}


def _uses(shorts: list[Leg], longs: list[Leg], index: float, parameters: StrategyBasedParameters) -> list[_Use]:
    """Every way in which a leg may be held; rows are shorts, then longs, then the coins that cover."""
    alone = [naked(leg, index, parameters) for leg in shorts]
    cover_row = len(shorts) + len(longs)
    uses = [_Use(strategy="naked options", rows=(i,), needs=needs) for i, needs in enumerate(alone)]
    uses += [
        _Use(strategy="long options", rows=(len(shorts) + j,), needs=leg.mark)  # no loan value
        for j, leg in enumerate(longs)
    ]
    for i, short in enumerate(shorts):
        if short.is_call:
            uses.append(_Use(strategy="covered calls", rows=(i, cover_row), needs=0.0))
            uses += [
                _Use(strategy="straddles", rows=(i, other), needs=max(alone[i], alone[other]))
                for other, put in enumerate(shorts)
                if not put.is_call
            ]
        uses += [
            _Use(strategy="spreads", rows=(i, len(shorts) + j), needs=spread(short, long))
            for j, long in enumerate(longs)
            if long.is_call == short.is_call and long.expiry_ns >= short.expiry_ns
        ]
    return uses


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: StrategyBasedParameters
) -> Requirement:
    """Return what coins and option strategies need, underlying by underlying; orders at their worst subset.

    Raises
    ------
    InputError
        Naming the first contract that has no strategy, or a coin that is owed.
    """
    _check(portfolio, market)
    options = _options(portfolio, market, parameters)
    initial = [*_coin_margin(portfolio, market, parameters.coin_initial), *options]
    maintenance = [*_coin_margin(portfolio, market, parameters.coin_maintenance), *options]
    equity = equity_components(portfolio, market)

    def deficit(book: Portfolio) -> float:
        coins = _coin_margin(book, market, parameters.coin_initial)
        needed = math.fsum(part.amount for part in (*coins, *_options(book, market, parameters)))
        return needed - math.fsum(part.amount for part in equity_components(book, market))

    initial.append(subset_charge(portfolio, deficit, "strategy_based"))
    return Requirement.from_components(
        account=portfolio.account,
        method="strategy_based",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
    )


def _coin_margin(portfolio: Portfolio, market: MarketSnapshot, rate: float) -> list[Component]:
    """Margin of the coins held, at `rate` of their value."""
    return [
        Component(name=f"{coin} coins", amount=held * market.index_price(coin) * rate)
        for coin, held in sorted(_coins(portfolio, market).items())
        if held
    ]


def _options(portfolio: Portfolio, market: MarketSnapshot, parameters: StrategyBasedParameters) -> list[Component]:
    """Margin of the options of each underlying, strategy by strategy; the same for initial and maintenance."""
    shorts: dict[Currency, list[Leg]] = {}
    longs: dict[Currency, list[Leg]] = {}
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    for name, quantity in net_quantities(portfolio.positions).items():
        contract = contracts[name]
        if not isinstance(contract, Option) or quantity == 0.0:
            continue
        size = contract.contract_size_float
        leg = Leg(
            is_call=contract.is_call,
            strike=contract.strike_float * market.index_price(contract.quote),
            expiry_ns=contract.expiry_ns,
            coins=abs(quantity) * size,
            mark=unit_value(contract, market) / size,
        )
        (shorts if quantity < 0.0 else longs).setdefault(contract.base, []).append(leg)
    coins = _coins(portfolio, market)
    parts = []
    for coin in sorted({*shorts, *longs}):
        cover = max(coins.get(coin, 0.0), 0.0)
        found = strategies(shorts.get(coin, []), longs.get(coin, []), cover, market.index_price(coin), parameters)
        parts += [Component(name=f"{coin} {name}", amount=amount) for name, amount in found.items()]
    return parts


def _coins(portfolio: Portfolio, market: MarketSnapshot) -> dict[Currency, float]:
    """Balances and spot positions of everything but dollars."""
    held = {coin: amount for coin, amount in cash_by_currency(portfolio, market).items() if coin not in DOLLAR_COINS}
    for position in portfolio.positions:
        contract = position.instrument
        if isinstance(contract, Spot) and contract.base not in DOLLAR_COINS:
            size = position.quantity * contract.contract_size_float
            held[contract.base] = held.get(contract.base, 0.0) + size
    return held


def _check(portfolio: Portfolio, market: MarketSnapshot) -> None:
    for contract in held_contracts(portfolio):
        if not isinstance(contract, Option | Spot):
            raise InputError(f"strategy_based margins options and coins only, was given {contract.id}")
        if isinstance(contract, Option) and contract.payoff is Payoff.QUANTO:
            raise InputError(f"strategy_based margins options on one coin, was given the quanto {contract.id}")
    for coin, amount in sorted(_coins(portfolio, market).items()):
        if amount < 0.0:
            raise InputError(f"strategy_based has no rate for coins owed here, was given {amount:g} {coin}")


METHOD = Method(
    name="strategy_based",
    title="US strategy-based margin of options",
    parameters=StrategyBasedParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
