"""Deribit's questions about a portfolio that is not held: simulate one, or ask what margin an order would need.

Simulated sizes are coins of the underlying, as Deribit documents them; a trade is done at the mark. Nothing here
changes the engine, and all of it is computed away from the writer.
"""

from dataclasses import replace
from decimal import Decimal

from crossmargin.engine.engine import Engine
from crossmargin.errors import MarketDataError
from crossmargin.instruments.contracts import Contract, Option, Spot
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import method_named
from crossmargin.margin.open_orders import with_fills
from crossmargin.margin.requirements import requirements
from crossmargin.margin.what_if import traded
from crossmargin.portfolio import Order, Portfolio, Side
from crossmargin.pricing.valuation import position_value, usd_value
from crossmargin.service.deribit.account import Figures, Standing, greeks_of_rows, standing, summary
from crossmargin.service.deribit.call import Call
from crossmargin.service.deribit.errors import DeribitError, Record, invalid_params
from crossmargin.service.deribit.instruments import contract_named, price_limits, quantity_of
from crossmargin.service.deribit.positions import Held, Margined, counts_dollars, margined
from crossmargin.units import Currency

Trades = tuple[tuple[Contract, float], ...]
MOST_TRADES = 1000


def simulate_portfolio(call: Call) -> Record:
    """Return the summary that the account would have with simulated positions, under its own method."""

    def look(engine: Engine) -> tuple[str, Standing, Margined, Trades]:
        seen = good_market(call, engine)
        account = call.caller(engine)
        now = standing(engine, call.history.settled, account)
        return call.currency(engine), now, seen, simulated_trades(call, engine, seen)

    currency, now, seen, trades = call.look(look)
    later = simulated(seen, trades, keep=call.params.flag("add_positions", default=True))
    answer = requirements([later], seen.market, method_named(seen.method), seen.parameters)[0]
    return summary(_standing_of(now, seen, later, answer), currency)


def get_margins(call: Call) -> Record:
    """Return by how much an order would raise the account's initial margin, if it filled, to either side."""

    def look(engine: Engine) -> tuple[Margined, Contract, Decimal, Decimal, float, float]:
        contract, price = call.contract(engine), call.params.decimal("price")
        amount = call.params.decimal("amount")
        if price is None or price <= 0 or amount is None:
            raise invalid_params("price" if amount is not None else "amount", "must be a positive number")
        mark = engine.mark(contract.id)
        if mark is None:
            raise MarketDataError(f"a margin needs a mark, {contract.id} has none")
        quantity = quantity_of(engine, contract, amount)
        band = engine.state.parameters.order_band
        return good_market(call, engine), contract, quantity, price, float(mark), band

    seen, contract, quantity, price, mark, band = call.look(look)
    sides = [
        with_fills(
            seen.portfolio, (Order(instrument=contract, side=side, quantity=float(quantity), price=float(price)),)
        )
        for side in (Side.BUY, Side.SELL)
    ]
    now, bought, sold = requirements([seen.portfolio, *sides], seen.market, method_named(seen.method), seen.parameters)
    unit, (lowest, highest) = seen.market.index_price(contract.settle), price_limits(contract, mark, band)
    return {
        "buy": max(bought.initial - now.initial, 0.0) / unit,
        "sell": max(sold.initial - now.initial, 0.0) / unit,
        "min_price": lowest,
        "max_price": highest,
    }


def good_market(call: Call, engine: Engine) -> Margined:
    """Return what margining the caller's account needs.

    Raises
    ------
    MarketDataError
        If a price is stale or missing.
    """
    found = margined(engine, call.caller(engine))
    if found is None:
        raise MarketDataError("a margin needs good prices, the market has stale or missing ones")
    return found


def simulated_trades(call: Call, engine: Engine, seen: Margined) -> Trades:
    """Return the trades that a call names in coins, as contracts; a fraction of a contract may be simulated."""
    coins = call.params.amounts("simulated_positions")
    if len(coins) > MOST_TRADES:
        raise invalid_params("simulated_positions", f"must be at most {MOST_TRADES}, were {len(coins)}")
    trades = []
    for name, size in coins.items():
        contract = contract_named(engine, name)
        if isinstance(contract, Spot):
            raise DeribitError(-32602, "Invalid params", {"param": name, "reason": "must be a future or an option"})
        index = seen.market.index_price(contract.base)
        amount = float(size) * (index if counts_dollars(contract) else 1.0)
        trades.append((contract, amount / contract.contract_size_float))
    return tuple(trades)


def simulated(seen: Margined, trades: Trades, *, keep: bool) -> Portfolio:
    """Return the account's portfolio with trades at the mark; without its own positions unless they are to `keep`."""
    later = seen.portfolio if keep else replace(seen.portfolio, positions=())
    for contract, quantity in trades:
        later = traded(later, contract, quantity, seen.market)
    return later


def _standing_of(now: Standing, seen: Margined, later: Portfolio, answer: Requirement) -> Standing:
    """State a simulated portfolio as an account is stated; what is traded at the mark has no profit yet."""
    before, after = _coins(seen.portfolio), _coins(later)
    held_now = {row.contract.id: row for row in now.rows}
    contracts = {position.instrument.id: position.instrument for position in later.positions}
    rows = tuple(
        _row(contracts[name], quantity, held_now.get(name), seen)
        for name, quantity in net_quantities(later.positions).items()
        if quantity
    )
    cash = {name: amount + after.get(name, 0.0) - before.get(name, 0.0) for name, amount in now.cash.items()}
    worth = usd_value({Currency(name): amount for name, amount in after.items()}, seen.market)
    return replace(
        now,
        figures=Figures(
            equity=answer.equity,
            initial=answer.initial,
            maintenance=answer.maintenance,
            worth=worth + position_value(later.positions, seen.market),
        ),
        cash=cash,
        rows=rows,
        greeks=greeks_of_rows(rows, replace(seen, portfolio=later)),
    )


def _coins(portfolio: Portfolio) -> dict[str, float]:
    found: dict[str, float] = {}
    for balance in portfolio.balances:
        found[str(balance.currency)] = found.get(str(balance.currency), 0.0) + balance.amount
    return found


def _row(contract: Contract, quantity: float, before: Held | None, seen: Margined) -> Held:
    mark = seen.market.mark_price(contract)
    option = isinstance(contract, Option)
    return Held(
        contract=contract,
        quantity=Decimal(repr(quantity)),
        mark=mark,
        index=seen.market.index_price(contract.base),
        entry_price=mark if before is None else before.entry_price,
        settled_price=None if before is None else before.settled_price,
        floating=0.0 if before is None else before.floating,
        total=0.0 if before is None else before.total,
        value=quantity * contract.contract_size_float * mark if option else 0.0,
    )
