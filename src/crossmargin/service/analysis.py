"""Questions about an account that change nothing: what-if, surface, comparison, stress, and margin without an account."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from crossmargin.engine.engine import Engine
from crossmargin.engine.state import HEALTHY, LIQUIDATING, MARGIN_CALL
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.native_names import parse_instrument_name
from crossmargin.margin.comparison import Refusal, answers
from crossmargin.margin.method import Parameters, Requirement
from crossmargin.margin.methods import METHODS, method_named
from crossmargin.margin.requirements import requirements
from crossmargin.margin.what_if import Change, moved, what_if
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import entered
from crossmargin.service.views import Record, credit, owed, requirement_row
from crossmargin.units import Currency

PRICE_MOVES = tuple(round(-0.5 + 0.05 * step, 2) for step in range(21))
VOL_MOVES = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)


class Trade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Contracts to trade at the mark; negative sells."""

    instrument: str
    quantity: str


class Amount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Coins to bring; negative takes away."""

    currency: str
    amount: str


class WhatIfQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; moves are relative."""

    trades: tuple[Trade, ...] = ()
    price_moves: dict[str, float] = {}
    vol_moves: dict[str, float] = {}
    collateral: tuple[Amount, ...] = ()


class StressQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Relative moves of prices per coin, and of all vols."""

    moves: dict[str, float] = {}
    vol: float = 0.0


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{what} must be a number, was {text!r}") from error


def _moves(market: MarketSnapshot, given: Mapping[str, float]) -> dict[Currency, float]:
    for coin in given:
        if Currency(coin) not in market.index:
            raise InputError(f"a coin must be one of {', '.join(market.index)}, was {coin}")
    return {Currency(coin): move for coin, move in given.items()}


def what_if_answer(
    portfolio: Portfolio,
    market: MarketSnapshot,
    question: WhatIfQuestion,
    method: str,
    parameters: Parameters,
    state: str,
) -> Record:
    """Return the rows of an account before and after, and the components of its initial margin side by side."""
    change = Change(
        trades=tuple(
            (parse_instrument_name(each.instrument), _number(each.quantity, "a quantity")) for each in question.trades
        ),
        deposits={Currency(each.currency): _number(each.amount, "an amount") for each in question.collateral},
        prices=_moves(market, question.price_moves),
        vols=_moves(market, question.vol_moves),
    )
    result = what_if(portfolio, market, change, method_named(method), parameters)
    before = {part.name: part.amount for part in result.before.initial_components}
    after = {part.name: part.amount for part in result.after.initial_components}
    return {
        "before": requirement_row(result.before, state),
        "after": requirement_row(result.after, _state_then(result.after, state)),
        "components": [
            {
                "label": label,
                "before": f"{before[label]:.2f}" if label in before else None,
                "after": f"{after[label]:.2f}" if label in after else None,
            }
            for label in dict.fromkeys([*before, *after])
        ],
    }


def _state_then(after: Requirement, state: str) -> str:
    """Return the state that the figures would bring; one that only time or an operator ends stays."""
    if state not in (HEALTHY, MARGIN_CALL):
        return state
    if after.equity < after.maintenance:
        return LIQUIDATING
    return MARGIN_CALL if after.equity < after.initial else HEALTHY


def surface_answer(
    portfolio: Portfolio, market: MarketSnapshot, underlying: str, method: str, parameters: Parameters
) -> Record:
    """Return profit, and equity less maintenance, over relative vol moves (rows) and prices (columns) of one coin."""
    coin = Currency(underlying)
    _moves(market, {underlying: 0.0})
    chosen = method_named(method)
    held = {item.instrument.id for item in portfolio.positions}
    market = replace(market, marks={name: price for name, price in market.marks.items() if name in held})
    equity = requirements([portfolio], market, chosen, parameters)[0].equity
    portfolio = entered(portfolio, market)
    pnl: list[list[float]] = []
    excess: list[list[float]] = []
    for vol in VOL_MOVES:
        results = [
            requirements(
                [portfolio], moved(market, Change(prices={coin: price}, vols={coin: vol})), chosen, parameters
            )[0]
            for price in PRICE_MOVES
        ]
        pnl.append([each.equity - equity for each in results])
        excess.append([each.equity - each.maintenance for each in results])
    spot = market.index_price(coin)
    prices = [spot * (1.0 + move) for move in PRICE_MOVES]
    return {
        "underlying": underlying,
        "prices": prices,
        "vols": list(VOL_MOVES),
        "pnl": pnl,
        "excess": excess,
        "boundary": _boundary(prices, excess),
        "price_now": spot,
        "vol_now": 0.0,
    }


def _boundary(prices: list[float], excess: list[list[float]]) -> list[list[float]]:
    """Points at which the excess changes sign along the prices, linear between two of them."""
    points = []
    for vol, line in zip(VOL_MOVES, excess, strict=True):
        for place in range(len(prices) - 1):
            low, high = line[place], line[place + 1]
            if (low < 0.0) != (high < 0.0):
                points.append([prices[place] + low / (low - high) * (prices[place + 1] - prices[place]), vol])
    return points


def comparison_answer(portfolio: Portfolio, market: MarketSnapshot) -> Record:
    """Return the account under every method, with the reason where a method cannot hold it."""
    rows: list[Record] = []
    for method in METHODS.values():
        answer = answers([portfolio], market, method, read_parameters(method))[0]
        if isinstance(answer, Refusal):
            figures: Record = dict.fromkeys(("initial", "maintenance", "excess"))
            rows.append({"method": method.name, **figures, "largest_difference": None, "refused": answer.reason})
            continue
        rows.append(
            {
                "method": method.name,
                "initial": owed(answer.initial),
                "maintenance": owed(answer.maintenance),
                "excess": credit(answer.excess),
                "largest_difference": None,
                "refused": None,
            }
        )
    return {"rows": rows}


def stress_answer(engine: Engine, question: StressQuestion) -> Record:
    """Return every account's profit and equity after the moves, and what accounts would owe beyond their equity."""
    market = engine.market()
    vols = {str(coin): question.vol for coin in market.surfaces} if question.vol else {}
    change = Change(prices=_moves(market, question.moves), vols=_moves(market, vols))
    later = moved(market, change)
    rows: list[Record] = []
    shortfall = 0.0
    for name, account in engine.state.accounts.items():
        chosen, parameters = method_named(account.method), engine.margin_parameters(account.method)
        portfolio = engine.portfolio(name)
        before = requirements([portfolio], market, chosen, parameters)[0]
        after = requirements([entered(portfolio, market)], later, chosen, parameters)[0]
        shortfall += max(-after.equity, 0.0)
        rows.append(
            {
                "account": name,
                "pnl": after.equity - before.equity,
                "equity_after": credit(after.equity),
                "breach": after.equity < after.maintenance,
            }
        )
    return {"accounts": rows, "shortfall": owed(shortfall)}
