"""An account's summary in Deribit's form, one per currency.

Every account here is cross-margined: one equity and one requirement, in US dollars, over all currencies. Deribit shows
such an account by stating the whole in each currency: margins and margin balance are the totals at that currency's
index price, while balance, equity and profits are that currency's own.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.engine.engine import Engine
from crossmargin.errors import MarketDataError
from crossmargin.instruments.contracts import Option
from crossmargin.service.deribit.call import Call
from crossmargin.service.deribit.errors import Record
from crossmargin.service.deribit.instruments import index_name
from crossmargin.service.deribit.positions import Greeks, Held, Margined, greeks_of, held, margined

PORTFOLIO_WORDS = ("portfolio", "scenario", "span", "pmrm", "tims", "tail")
"""Methods whose names hold one of these margin a book as a whole; Deribit calls that portfolio margin."""
FEE_KINDS = ("perpetual", "future", "option")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """An account's margin figures in US dollars."""

    equity: float
    initial: float
    maintenance: float
    worth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a summary says, before it is said in a currency.

    `cash` is what the ledger owes the account in each currency; `prices` US dollars per coin.
    """

    account: str
    owner: str
    method: str
    figures: Figures
    cash: dict[str, float]
    prices: dict[str, float]
    rows: Sequence[Held]
    greeks: tuple[Greeks | None, ...]
    fee: float

    @property
    def currencies(self) -> list[str]:
        """The currencies that have a price."""
        return sorted(self.prices)


def standing(engine: Engine, settled: dict[str, float], account: str) -> Standing:
    """Return where an account stands, on the figures on which the engine acts."""
    state, health = engine.state, engine.health(account)
    rows = held(engine, settled, account)
    balances = state.ledger.balances.get(account, {})
    prices = {name: float(seen.price) for name, seen in state.market.index.items() if name in state.assets}
    return Standing(
        account=account,
        owner=state.accounts[account].owner,
        method=state.accounts[account].method,
        figures=Figures(
            equity=health.equity, initial=health.initial, maintenance=health.maintenance, worth=health.worth
        ),
        cash={name: float(balances.get(name, 0) * state.assets[name].quantum) for name in prices},
        prices=prices,
        rows=rows,
        greeks=greeks_of_rows(rows, margined(engine, account)),
        fee=float(state.parameters.taker_fee),
    )


def greeks_of_rows(rows: Sequence[Held], seen: Margined | None) -> tuple[Greeks | None, ...]:
    """Return the greeks of each position; None where the market does not give them."""
    if seen is None:
        return (None,) * len(rows)
    found: list[Greeks | None] = []
    for row in rows:
        try:
            found.append(greeks_of(row.contract, row.coins, seen.market))
        except MarketDataError:
            found.append(None)
    return tuple(found)


def get_account_summary(call: Call) -> Record:
    """Return the caller's summary in one currency."""

    def look(engine: Engine) -> tuple[str, Standing]:
        account = call.caller(engine)
        return call.currency(engine), standing(engine, call.history.settled, account)

    currency, seen = call.look(look)
    found = summary(seen, currency)
    return {**_person(seen.account, seen.owner), **found} if call.params.flag("extended") else found


def get_account_summaries(call: Call) -> Record:
    """Return the caller's summary in every currency that has a price."""
    seen = call.look(lambda engine: standing(engine, call.history.settled, call.caller(engine)))
    return {
        **_person(seen.account, seen.owner),
        "summaries": [summary(seen, currency) for currency in seen.currencies],
    }


def get_subaccounts(call: Call) -> list[Record]:
    """Return the accounts of the caller's owner."""

    def look(engine: Engine) -> list[Record]:
        owner = engine.state.accounts[call.caller(engine)].owner
        return [
            _person(name, owner) for name, account in sorted(engine.state.accounts.items()) if account.owner == owner
        ]

    return call.look(look)


def account_number(account: str) -> int:
    """Return the number by which Deribit's answers name an account; it is made from the name."""
    return zlib.crc32(account.encode())


def _person(account: str, owner: str) -> Record:
    return {
        "id": account_number(account),
        "username": account,
        "system_name": account,
        "type": "main" if account == owner else "subaccount",
        "email": "",
        "creation_timestamp": 0,
        "login_enabled": False,
        "security_keys_enabled": False,
        "interuser_transfers_enabled": False,
        "mmp_enabled": False,
        "referrer_id": None,
    }


def summary(seen: Standing, currency: str) -> Record:
    """Return the summary of an account in one currency.

    Raises
    ------
    MarketDataError
        If the currency has no index price.
    """
    if currency not in seen.prices:
        raise MarketDataError(f"a currency must have an index price, {currency} has none")
    price, figures = seen.prices[currency], seen.figures
    options, futures = _of(seen, currency, options=True), _of(seen, currency, options=False)
    option_value = math.fsum(row.value for row, _ in options)
    futures_upl, options_upl = (math.fsum(row.floating for row, _ in rows) for rows in (futures, options))
    futures_pl, options_pl = (math.fsum(row.total for row, _ in rows) for rows in (futures, options))
    balance, excess = seen.cash[currency], figures.equity - figures.initial
    margin_balance, initial = figures.equity / price, figures.initial / price
    maintenance = figures.maintenance / price
    portfolio = any(word in seen.method for word in PORTFOLIO_WORDS)
    return {
        "currency": currency,
        "balance": balance,
        "equity": balance + futures_upl + option_value,
        "margin_balance": margin_balance,
        "initial_margin": initial,
        "maintenance_margin": maintenance,
        "projected_initial_margin": initial,
        "projected_maintenance_margin": maintenance,
        "available_funds": margin_balance - initial,
        "available_withdrawal_funds": max(min(balance, excess / price), 0.0),
        "total_equity_usd": figures.worth,
        "total_margin_balance_usd": figures.equity,
        "total_initial_margin_usd": figures.initial,
        "total_maintenance_margin_usd": figures.maintenance,
        "cross_collateral_enabled": True,
        "portfolio_margining_enabled": portfolio,
        "margin_model": "cross_pm" if portfolio else "cross_sm",
        "futures_pl": futures_pl,
        "options_pl": options_pl,
        "total_pl": futures_pl + options_pl,
        "futures_session_upl": futures_upl,
        "options_session_upl": options_upl,
        "session_upl": futures_upl + options_upl,
        "options_value": option_value,
        **_no_pots(),
        **_deltas(futures, options),
        "fees": _fees(seen),
    }


def _of(seen: Standing, currency: str, *, options: bool) -> list[tuple[Held, Greeks | None]]:
    """Positions that settle in a currency, with their greeks."""
    return [
        (row, greeks)
        for row, greeks in zip(seen.rows, seen.greeks, strict=True)
        if row.contract.settle == currency and isinstance(row.contract, Option) is options
    ]


def _no_pots() -> Record:
    """Name the pots that the ledger does not have, all of them empty: realised profit is in the balance at once."""
    names = (
        "session_rpl", "futures_session_rpl", "options_session_rpl", "session_funding", "fee_balance", "spot_reserve",
        "additional_reserve", "locked_balance",
    )  # fmt: skip
    return dict.fromkeys(names, 0.0)


def _deltas(futures: list[tuple[Held, Greeks | None]], options: list[tuple[Held, Greeks | None]]) -> Record:
    """Sum the greeks, in all and by index; where one is not known the sums are not either."""
    known = [greeks for _, greeks in options if greeks is not None]
    complete = len(known) == len(options)
    future_delta = math.fsum(row.coins for row, _ in futures)
    sums = {
        f"options_{name}": math.fsum(getattr(greeks, name) for greeks in known) if complete else None
        for name in ("delta", "gamma", "vega", "theta")
    }
    option_delta = sums["options_delta"]
    maps: dict[str, dict[str, float]] = {"delta_total_map": {}}
    if complete:
        for name in ("gamma", "vega", "theta"):
            maps[f"options_{name}_map"] = {}
            for row, greeks in options:
                _add(maps[f"options_{name}_map"], row, getattr(greeks, name))
        for row, greeks in (*futures, *options):
            _add(maps["delta_total_map"], row, row.coins if greeks is None else greeks.delta)
    total = None if option_delta is None else future_delta + option_delta
    return {**sums, **maps, "delta_total": total, "projected_delta_total": total}


def _add(into: dict[str, float], row: Held, amount: float) -> None:
    name = index_name(row.contract)
    into[name] = into.get(name, 0.0) + amount


def _fees(seen: Standing) -> list[Record]:
    indices = sorted({index_name(row.contract) for row in seen.rows})
    value = {"default": {"type": "relative", "taker": seen.fee, "maker": 0.0}}
    return [{"kind": kind, "index_name": index, "value": value} for index in indices for kind in FEE_KINDS]
