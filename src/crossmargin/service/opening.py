"""The commands that bring a book and a market into an empty engine.

Positions come from trades with one account of the house's, `COUNTERPARTY`. A stand-in of money lets each trade pass the
checks that hold for new risk, and is taken back afterwards, so that the book ends with the balances it states and is
judged as it is: an account that is under water starts under water. The counterparty keeps as much money as the book holds:
it stands for the rest of a market, and sums over all accounts stay of the book's size.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from crossmargin.engine import commands as ask
from crossmargin.engine.parameters import EngineParameters
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Contract, Option
from crossmargin.margin.methods import method_named
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.market.vol_surface import Smile
from crossmargin.portfolio import Portfolio, Position
from crossmargin.units import USD, Currency

COUNTERPARTY = "opening"
QUANTUM = Decimal("0.00000001")
MONEY = "USDC"
STAND_IN_USD = Decimal(10) ** 9
"""Money that an account is lent while its positions are opened; more than any of them needs."""
_SMALLEST_LOT = Decimal("0.000001")


def opening_commands(book: Iterable[Portfolio], market: MarketSnapshot) -> Iterator[ask.Command]:
    """Yield the commands after which an empty engine holds `book` in `market`.

    Isolated groups become sub-accounts ``<account>/<group>``. Prices keep their quality however old they get: nothing
    refreshes them here.
    """
    portfolios = tuple(book)
    numbered = (f"opening-{number}" for number in range(1, 10**9))
    yield from _setup(portfolios, market, numbered)
    for portfolio in portfolios:
        yield from _account(portfolio, market, numbered)
    yield from _counterparty_as_it_stays(portfolios, market, numbered)


def market_update(market: MarketSnapshot, book: Iterable[Portfolio], command_id: str) -> ask.UpdateMarket:
    """Return the command that tells an engine which holds `book` of another market."""
    return _observed(market, _contracts(tuple(book)), command_id)


def _setup(portfolios: tuple[Portfolio, ...], market: MarketSnapshot, ids: Iterator[str]) -> Iterator[ask.Command]:
    yield ask.AdvanceTime(id=next(ids), time_ns=market.time_ns)
    settings = EngineParameters(index_max_age_ns=10**18, mark_band=None, order_band=1.0)
    yield ask.SetParameters(id=next(ids), parameters=settings)
    parameters = msgspec.to_builtins(read_parameters(method_named("scenario_grid")))
    yield ask.SetMarginParameters(id=next(ids), method="scenario_grid", parameters=parameters)
    contracts = _contracts(portfolios)
    legs = {coin for each in contracts.values() for coin in (each.base, each.quote, each.settle)}
    for asset in sorted({*market.index, *legs, MONEY} - {USD}):
        yield ask.ListAsset(id=next(ids), asset=asset, quantum=QUANTUM, borrow_limit=Decimal(10) ** 9)
    for contract in contracts.values():
        lot = contract.lot_size or _SMALLEST_LOT
        yield ask.ListInstrument(id=next(ids), instrument=contract.id, lot_size=lot)
    yield _observed(market, contracts, next(ids))
    yield ask.OpenAccount(id=next(ids), account=COUNTERPARTY)
    for coin in sorted(market.index):
        yield ask.Deposit(id=next(ids), account=COUNTERPARTY, asset=coin, amount=_stand_in(coin, market))
    yield ask.FundLayer(id=next(ids), layer="insurance", amount=Decimal(2_000_000))


def _stand_in(coin: Currency, market: MarketSnapshot) -> Decimal:
    return (STAND_IN_USD / Decimal(str(market.index_price(coin)))).quantize(QUANTUM)


def _counterparty_as_it_stays(
    portfolios: tuple[Portfolio, ...], market: MarketSnapshot, ids: Iterator[str]
) -> Iterator[ask.Command]:
    """Leave the counterparty the worth of what the book holds, in `MONEY`, and what it paid for options."""
    held = Decimal(0)
    paid = {str(coin): Decimal(0) for coin in market.index}
    for portfolio in portfolios:
        for balance in portfolio.balances:
            price = 1.0 if balance.currency == USD else market.index_price(balance.currency)
            held += max(Decimal(0), Decimal(repr(balance.amount)) * Decimal(repr(price)))
        for position in portfolio.positions:
            if isinstance(position.instrument, Option):
                coin, premium = _premium(position, market)
                paid[coin] = paid.get(coin, Decimal(0)) - premium  # what it took from the account is the other's
    yield ask.Deposit(id=next(ids), account=COUNTERPARTY, asset=MONEY, amount=held.quantize(QUANTUM) + QUANTUM)
    for coin in sorted(market.index):
        amount = _stand_in(coin, market) - max(Decimal(0), paid[str(coin)])
        yield ask.ReverseDeposit(id=next(ids), account=COUNTERPARTY, asset=coin, amount=amount)


def _contracts(portfolios: tuple[Portfolio, ...]) -> dict[str, Contract]:
    found: dict[str, Contract] = {}
    for portfolio in portfolios:
        found |= {item.instrument.id: item.instrument for item in portfolio.positions}
        found |= {item.instrument.id: item.instrument for item in portfolio.orders}
    return dict(sorted(found.items()))


def _observed(market: MarketSnapshot, contracts: dict[str, Contract], command_id: str) -> ask.UpdateMarket:
    surfaces = {
        str(coin): tuple(
            ask.SmileQuote(expiry_ns=each.expiry_ns, forward=each.forward, strikes=each.strikes, vols=each.vols)
            for each in surface.smiles
            if isinstance(each, Smile)
        )
        for coin, surface in market.surfaces.items()
    }
    return ask.UpdateMarket(
        id=command_id,
        index={
            str(coin): (ask.Quote(source="opening", price=Decimal(repr(market.index_price(coin)))),)
            for coin in market.index
        },
        marks={name: Decimal(repr(market.mark_price(contract))) for name, contract in contracts.items()},
        smiles=surfaces,
    )


def _account(portfolio: Portfolio, market: MarketSnapshot, ids: Iterator[str]) -> Iterator[ask.Command]:
    name = str(portfolio.account)
    yield ask.OpenAccount(id=next(ids), account=name)
    groups = {each.isolated_group for each in portfolio.positions if each.isolated_group is not None}
    for group in sorted(groups):
        yield ask.OpenAccount(id=next(ids), account=f"{name}/{group}", parent=name)
    stand_in = STAND_IN_USD
    for each in (name, *(f"{name}/{group}" for group in sorted(groups))):
        yield ask.Deposit(id=next(ids), account=each, asset=MONEY, amount=stand_in)
    changes: dict[str, Decimal] = {}
    for balance in portfolio.balances:
        coin = str(balance.currency)
        changes[coin] = changes.get(coin, Decimal(0)) + Decimal(repr(balance.amount))
    for position in portfolio.positions:
        holder = name if position.isolated_group is None else f"{name}/{position.isolated_group}"
        yield _trade(holder, position, market, next(ids))
        if isinstance(position.instrument, Option):
            coin, premium = _premium(position, market)
            changes[coin] = changes.get(coin, Decimal(0)) + premium
    yield from _cash(name, changes, ids)
    for group in sorted(groups):
        yield from _ring_fence(name, group, portfolio, ids)
    for order in portfolio.orders:
        yield ask.PlaceOrder(
            id=next(ids),
            account=name,
            order=f"{name}-{next(ids)}",
            instrument=order.instrument.id,
            side="buy" if order.side.sign > 0 else "sell",
            quantity=Decimal(repr(order.quantity)),
            price=Decimal(repr(order.price)),
            reduce_only=order.reduce_only,
        )
    for each in (name, *(f"{name}/{group}" for group in sorted(groups))):
        yield ask.ReverseDeposit(id=next(ids), account=each, asset=MONEY, amount=stand_in)


def _trade(account: str, position: Position, market: MarketSnapshot, command_id: str) -> ask.RecordTrade:
    buyer, seller = (account, COUNTERPARTY) if position.quantity > 0 else (COUNTERPARTY, account)
    return ask.RecordTrade(
        id=command_id,
        buyer=buyer,
        seller=seller,
        instrument=position.instrument.id,
        quantity=Decimal(repr(abs(position.quantity))),
        price=_entry(position, market),
    )


def _entry(position: Position, market: MarketSnapshot) -> Decimal:
    price = position.entry_price
    return Decimal(repr(market.mark_price(position.instrument) if price is None else price))


def _premium(position: Position, market: MarketSnapshot) -> tuple[str, Decimal]:
    """Coin and amount that the trade took from the account; its stated balance is what was left."""
    contract = position.instrument
    size = Decimal(repr(position.quantity)) * contract.contract_size
    return str(contract.settle), (size * _entry(position, market)).quantize(QUANTUM)


def _cash(account: str, changes: dict[str, Decimal], ids: Iterator[str]) -> Iterator[ask.Command]:
    for coin, amount in sorted(changes.items()):
        if amount > 0:
            yield ask.Deposit(id=next(ids), account=account, asset=coin, amount=amount)
        elif amount < 0:
            yield ask.ReverseDeposit(id=next(ids), account=account, asset=coin, amount=-amount)


def _ring_fence(name: str, group: str, portfolio: Portfolio, ids: Iterator[str]) -> Iterator[ask.Command]:
    """Give a group an equal share, with the free rest, of what the account has of the group's settlement coin."""
    held = [each for each in portfolio.positions if each.isolated_group == group]
    groups = {each.isolated_group for each in portfolio.positions}
    for coin in sorted({str(each.instrument.settle) for each in held}):
        amounts = (Decimal(repr(each.amount)) for each in portfolio.balances if each.currency == coin)
        owned = sum(amounts, Decimal(0))
        share = (owned / (len(groups | {None}))).quantize(QUANTUM)
        if share > 0:
            yield ask.TransferFunds(id=next(ids), debit=name, credit=f"{name}/{group}", asset=coin, amount=share)
