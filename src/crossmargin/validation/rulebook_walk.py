"""Any margin method or venue rulebook on linear books through daily history, in the contracts that it margins."""

from collections.abc import Iterator

import numpy as np

from crossmargin.errors import CrossMarginError, InputError
from crossmargin.instruments.contracts import Perpetual
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.method import Method, Parameters
from crossmargin.margin.requirements import risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, BoolArray, Currency, FloatArray
from crossmargin.validation.books import LinearBooks
from crossmargin.validation.daily_bars import DailyBars

BOOK_SIZE = 100_000.0
"""USD of a book that a rulebook margins: small, so that add-ons for size stay out of a comparison of risk."""
_DOLLARS = tuple(Currency(name) for name in ("USD", "USDC", "USDT"))
_USDC_VENUES = {"deribit": "deribit", "derive": "derive", "hyperliquid": "hyperliquid", "dydx": "dydx"}
"""First word of a method's name, and the venue whose USDC perpetuals it margins."""
_USDT_VENUES = {"okx": "okx", "bybit": "bybit"}


def contract_form(method: str) -> tuple[str, Currency]:
    """Return the symbol, with ``{coin}`` in it, of the perpetuals that `method` margins, and their dollar.

    Examples
    --------
    >>> contract_form("okx_portfolio"), contract_form("scenario_grid")
    (('okx:{coin}/USDT:USDT', 'USDT'), ('binance:{coin}/USDT:USDT', 'USDT'))
    """
    venue = method.split("_")[0]
    if venue in _USDC_VENUES:
        return f"{_USDC_VENUES[venue]}:{{coin}}/USDC:USDC", Currency("USDC")
    return f"{_USDT_VENUES.get(venue, 'binance')}:{{coin}}/USDT:USDT", Currency("USDT")


def rulebook_days(
    method: Method[Parameters], parameters: Parameters, books: LinearBooks, bars: DailyBars, days: Iterator[int] | range
) -> Iterator[tuple[int, FloatArray]]:
    """Yield the initial requirement per USD of size of every book for each of `days`, margined on the close before.

    Books hold perpetuals of `BOOK_SIZE` dollars; a book that the method cannot hold that day gets NaN. Parameters are
    the same on every day: a rulebook as it stands now, asked about a past that its authors knew.
    """
    contracts = {coin: _contract(method.name, coin) for coin in bars.currencies}
    for day in days:
        closes = bars.closes[:, day - 1]
        market = _market(bars, day)
        traded = np.array([contract is not None for contract in contracts.values()]) & np.isfinite(closes)
        listed = [
            bool(known) and _margins(contracts[coin], close, market, method, parameters)
            for coin, close, known in zip(bars.currencies, closes, traded, strict=True)
        ]
        yield day, _asked(books, np.array(listed), tuple(contracts.values()), closes, market, method, parameters)


def _market(bars: DailyBars, day: int) -> MarketSnapshot:
    closes = bars.closes[:, day - 1]
    known = tuple(coin for coin, close in zip(bars.currencies, closes, strict=True) if close > 0.0)
    history = PriceHistory(times_ns=bars.days_ns[:day], currencies=bars.currencies, prices=bars.closes[:, :day])
    index = {coin: Price(float(close)) for coin, close in zip(bars.currencies, closes, strict=True) if close > 0.0}
    return MarketSnapshot(
        time_ns=int(bars.days_ns[day - 1]),
        index={dollar: Price(1.0) for dollar in _DOLLARS} | index,
        history=history.of(known),
    )


def _contract(method: str, coin: Currency) -> Perpetual | None:
    """The venue's perpetual on `coin`; None where it lists none whose size is on record."""
    try:
        found = parse_contract(contract_form(method)[0].format(coin=coin))
    except InputError:
        return None
    return found if isinstance(found, Perpetual) else None


def _margins(
    contract: Perpetual | None,
    close: float,
    market: MarketSnapshot,
    method: Method[Parameters],
    parameters: Parameters,
) -> bool:
    """Whether the method answers for one coin alone."""
    if contract is None:
        return False
    portfolio = _portfolio("trial", (_position(contract, 1.0 / close),), contract.settle)
    try:
        account_requirement(portfolio, market, risk_for([portfolio], market, method, parameters), method, parameters)
    except CrossMarginError:
        return False
    return True


def _asked(
    books: LinearBooks,
    listed: BoolArray,
    contracts: tuple[Perpetual | None, ...],
    closes: FloatArray,
    market: MarketSnapshot,
    method: Method[Parameters],
    parameters: Parameters,
) -> FloatArray:
    asked = np.full(len(books.names), np.nan)
    rows = np.flatnonzero(~(books.held & ~listed).any(axis=1))
    cash = contract_form(method.name)[1]
    portfolios = []
    for row in rows:
        held = [(contracts[at], books.weights[row, at] / closes[at]) for at in np.flatnonzero(books.weights[row])]
        positions = tuple(_position(contract, coins) for contract, coins in held if contract is not None)
        portfolios.append(_portfolio(books.names[row], positions, cash))
    if portfolios:
        risk = risk_for(portfolios, market, method, parameters)
        for row, portfolio in zip(rows, portfolios, strict=True):
            try:
                answer = account_requirement(portfolio, market, risk, method, parameters)
            except CrossMarginError:  # one underlying per account, say
                continue
            asked[row] = answer.initial / BOOK_SIZE
    return asked


def _position(contract: Perpetual, coins: float) -> Position:
    return Position(instrument=contract, quantity=BOOK_SIZE * coins / contract.contract_size_float)


def _portfolio(name: str, positions: tuple[Position, ...], cash: Currency) -> Portfolio:
    balance = Balance(currency=cash, amount=10.0 * BOOK_SIZE)
    return Portfolio(account=AccountId(name), balances=(balance,), positions=positions)
