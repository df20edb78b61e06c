"""Takeover, close-out and the default waterfall.

A bankrupt account's positions are closed at the mark: against winners where their profit must pay, else to backstop
providers, else against whoever stands opposite. What the account then owes is drawn from the layers in their order, to
the last quantum; the funds are read afresh for each default, so that two defaults never draw the same money.
"""

from decimal import Decimal

from crossmargin.clearing.deleveraging import Cut, Winner, deleverage
from crossmargin.clearing.waterfall import Draw, Layer, Payer, draws
from crossmargin.engine import events as happened
from crossmargin.engine.breakers import watch_flows
from crossmargin.engine.house import House
from crossmargin.engine.orders import apply_fill, can_carry
from crossmargin.engine.state import BANKRUPT, CLOSED, HEALTHY
from crossmargin.errors import invariant, known
from crossmargin.ledger.account import CONVERSION, HOUSE, INSURANCE, default_fund_account
from crossmargin.ledger.rounding import divide_up, share_out
from crossmargin.ledger.settlement import profit_since_entry, unrealised


def take_over(house: House, name: str, taker: str, share: Decimal) -> None:
    """Move all positions to `taker` at the mark and pay it `share` of what the account is then worth."""
    backstop = house.state.accounts[taker].backstop
    notional = _notional(house, name)
    for instrument_id, lots in house.positions(name).items():
        _hand(house, name, taker, instrument_id, lots, "takeover")
        if backstop is not None:
            _remember(house, taker, instrument_id, lots)
    if backstop is not None:
        backstop.used += notional
    money = house.parameters.money
    _gather_debt(house, name)  # equity is what is left after all debts, in whatever asset
    _sell_collateral(house, name, None)
    paid = max(house.balance(name, money), 0) * share.as_integer_ratio()[0] // share.as_integer_ratio()[1]
    house.pay("takeover", money, name, taker, paid)
    if backstop is not None:
        backstop.paid += house.usd(money, paid)
    house.emit(happened.TakenOver(account=name, taker=taker, paid=house.amount(money, paid)))
    _settle_debt(house, name, "takeover", {}, {}, "taken over")


def close_out(house: House, name: str) -> None:
    """Close every position at the mark, sell what collateral is needed, and let the waterfall pay the rest."""
    market = _largest_market(house, name)
    to_raise = max(_owed_at_mark(house, name) - _paid_before_adl(house, name, market), 0)
    planned = _plan_adl(house, name, to_raise) if "adl" in house.parameters.layers else {}
    profits: dict[str, int] = {}
    for instrument_id, lots in house.positions(name).items():
        for cut, winner in planned.get(instrument_id, []):
            _hand(house, name, cut.name, instrument_id, cut.lots if lots > 0 else -cut.lots, "adl")
            profits[cut.name] = profits.get(cut.name, 0) + winner.profit
        _to_backstops(house, name, instrument_id)
        left = abs(house.lots(name, instrument_id))
        if left:
            close_against_others(house, name, instrument_id, left)
    weights: dict[str, int] = {}
    for cuts in planned.values():
        for cut, _ in cuts:
            weights[cut.name] = weights.get(cut.name, 0) + cut.haircut
    drawn = _settle_debt(house, name, market, weights, profits, "closed out")
    _tell_deleveraged(house, name, planned, drawn)


def providers(house: House, name: str) -> list[str]:
    """Return the backstop providers with room for all of an account's positions, in alphabetical order."""
    needed, owner = _notional(house, name), house.state.accounts[name].owner
    return [
        other
        for other, account in sorted(house.state.accounts.items())
        if account.backstop is not None
        and account.state == HEALTHY
        and account.owner != owner
        and account.backstop.capacity - account.backstop.used >= needed
    ]


def close_against_others(house: House, name: str, instrument_id: str, lots: int) -> None:
    """Close `lots` of a position at the mark against those who stand opposite, winners first, hedged accounts last."""
    long = house.lots(name, instrument_id) > 0
    winners = _opposite(house, name, instrument_id, bounded=False)
    order = sorted(winners, key=lambda item: (item.hedged, -item.profit * item.leverage, item.name))
    left = lots
    for winner in order:
        taken = min(left, winner.lots)
        if taken:
            _hand(house, name, winner.name, instrument_id, taken if long else -taken, "tear-up")
            _tell(house, name, winner.name, instrument_id, taken, 0)
            left -= taken
    invariant(left == 0, f"others must hold the opposite of {instrument_id}, {left} lots are missing")


def _hand(house: House, name: str, other: str, instrument_id: str, lots: int, reason: str) -> None:
    """Let `lots` (signed, as held) go from `name` to `other` at the mark."""
    buyer, seller = (other, name) if lots > 0 else (name, other)
    house.trade(buyer, seller, instrument_id, abs(lots), house.mark(instrument_id), reason)


def _remember(house: House, taker: str, instrument_id: str, lots: int) -> None:
    backstop = known(house.state.accounts[taker].backstop, "commitment of", taker)
    value = house.view.terms(instrument_id).value(lots, house.mark(instrument_id))
    held, cost = backstop.taken.get(instrument_id, (0, 0))
    backstop.taken[instrument_id] = (held + lots, cost + value)


def _to_backstops(house: House, name: str, instrument_id: str) -> None:
    """Give what is left of a position at the mark to the first provider that has room and margin for it."""
    lots = house.lots(name, instrument_id)
    if lots == 0:
        return
    notional, owner = house.notional(instrument_id, lots), house.state.accounts[name].owner
    for other, account in sorted(house.state.accounts.items()):
        backstop = account.backstop
        if backstop is None or account.state != HEALTHY or account.owner == owner:
            continue
        has_room = backstop.capacity - backstop.used >= notional
        # a provider whose method does not know the contract is passed over
        if has_room and can_carry(house, other, None, [(instrument_id, lots, house.mark(instrument_id))]) is None:
            _hand(house, name, other, instrument_id, lots, "takeover")
            _remember(house, other, instrument_id, lots)
            backstop.used += notional
            return


def _plan_adl(house: House, name: str, to_raise: int) -> dict[str, list[tuple[Cut, Winner]]]:
    """Return per contract whose winning positions close the account's, and what each gives of what must be raised."""
    if to_raise == 0:
        return {}
    held = house.positions(name)
    winners = {key: _opposite(house, name, key, bounded=True) for key in held}
    weights = [sum(winner.profit for winner in winners[key]) for key in held]
    planned = {}
    for (instrument_id, lots), budget in zip(held.items(), share_out(to_raise, weights), strict=True):
        found = {winner.name: winner for winner in winners[instrument_id] if winner.profit > 0}
        policy = house.parameters.adl_policy
        # beyond their profit winners pay nothing: what they cannot pay is for the next layer
        budget = min(budget, sum(winner.profit for winner in found.values()))
        cuts = deleverage(policy, list(found.values()), abs(lots), budget)
        planned[instrument_id] = [(cut, found[cut.name]) for cut in cuts]
    return planned


def _opposite(house: House, name: str, instrument_id: str, *, bounded: bool) -> list[Winner]:
    """Return who holds the other side: lots, profit in money; `bounded` keeps each above maintenance."""
    terms, mark, long = house.view.terms(instrument_id), house.mark(instrument_id), house.lots(name, instrument_id)
    result = []
    for other in house.state.ledger.holders(instrument_id):
        lots = house.lots(other, instrument_id)
        if lots * long >= 0 or house.state.accounts[other].state in (BANKRUPT, CLOSED):
            continue
        profit = profit_since_entry(terms, house.state.ledger.holding(other, instrument_id), mark)
        before = house.health(other)
        after = _after_closing(house, other, instrument_id, lots)
        hedged = after[1] > before.maintenance
        money = _in_money(house, terms.settle, max(profit, 0), up=False)
        spare = before.equity - max(before.maintenance, after[1])
        if bounded:
            # nothing of whom closing the leg would put below maintenance
            money = min(money, max(_usd_in_money(house, spare), 0))
        leverage = float(house.notional(instrument_id, lots)) / max(before.worth, 1.0)
        result.append(Winner(name=other, lots=abs(lots), profit=money, leverage=leverage, hedged=hedged))
    return result


def _after_closing(house: House, other: str, instrument_id: str, lots: int) -> tuple[float, float]:
    book = house.definition.book(other)
    apply_fill(house, book, (instrument_id, -lots, house.mark(instrument_id)))
    after = house.exposures.examine(other, book)
    return after.equity, after.maintenance


def _settle_debt(
    house: House, name: str, market: str, weights: dict[str, int], profits: dict[str, int], outcome: str
) -> dict[str, int]:
    """Turn what the account owes into money, pay it from the layers, and end the liquidation; return ADL haircuts."""
    money = house.parameters.money
    _gather_debt(house, name)
    owed = max(-house.balance(name, money), 0)
    collateral = sum(_collateral(house, name).values())
    house.state.liquidations.pop(name, None)
    if owed <= collateral:
        _sell_collateral(house, name, owed)
        house.change_state(name, HEALTHY)
        house.emit(happened.LiquidationEnded(account=name, outcome=outcome))
        return {}
    house.change_state(name, BANKRUPT)
    house.emit(happened.Defaulted(account=name, asset=money, shortfall=house.amount(money, owed), market=market))
    sold = _sell_collateral(house, name, owed)
    if sold:
        house.emit(happened.Drawn(account=name, layer="collateral", payer=name, amount=house.amount(money, sold)))
    paid = _draw(house, name, market, -house.balance(name, money), weights, profits)
    house.emit(happened.LiquidationEnded(account=name, outcome="default"))
    watch_flows(house)
    return {draw.payer: draw.amount for draw in paid if draw.layer == "adl"}


def _draw(
    house: House, name: str, market: str, owed: int, weights: dict[str, int], profits: dict[str, int]
) -> tuple[Draw, ...]:
    money = house.parameters.money
    layers = [_layer(house, name, market, layer, weights, profits) for layer in house.parameters.layers]
    paid, left = draws(owed, layers)
    if left:
        # nobody is left: the house owes it, in the open
        paid = (*paid, Draw("house beyond its capital", HOUSE, left))
    for draw in paid:
        house.pay(f"waterfall: {draw.layer}", money, draw.payer, name, draw.amount)
        amount = house.amount(money, draw.amount)
        house.emit(happened.Drawn(account=name, layer=draw.layer, payer=draw.payer, amount=amount))
        if draw.layer == "insurance":
            house.state.insured.append((house.state.time_ns, amount))
            before = house.state.insured_by_market.get(market, Decimal(0))
            house.state.insured_by_market[market] = before + amount
    invariant(house.balance(name, money) == 0, f"the waterfall must pay exactly the shortfall of {name}")
    return paid


def _layer(house: House, name: str, market: str, layer: str, weights: dict[str, int], profits: dict[str, int]) -> Layer:
    """Return a layer's payers as they are now."""
    money, parameters = house.parameters.money, house.parameters
    members = [member for member in house.state.members if member != name]
    match layer:
        case "contribution":
            own = default_fund_account(name)
            return Layer(layer, (Payer(own, max(house.balance(own, money), 0)),))
        case "house":
            cap = None if parameters.house_cap is None else house.quanta(money, parameters.house_cap)
            return Layer(layer, (Payer(HOUSE, max(house.balance(HOUSE, money), 0)),), cap)
        case "insurance":
            return Layer(
                layer, (Payer(INSURANCE, max(house.balance(INSURANCE, money), 0)),), _insurance_cap(house, market)
            )
        case "default fund":
            funds = [default_fund_account(member) for member in members]
            return Layer(layer, tuple(Payer(fund, max(house.balance(fund, money), 0)) for fund in funds))
        case "assessment":
            return Layer(layer, tuple(_assessed(house, member) for member in members))
        case "adl":
            return Layer(layer, tuple(Payer(key, profits[key], weight) for key, weight in sorted(weights.items())))
        case "socialised":
            others = [key for key, item in sorted(house.state.accounts.items()) if key != name and item.state != CLOSED]
            return Layer(layer, tuple(Payer(key, max(house.balance(key, money), 0)) for key in others))
        case _:
            return Layer(layer, ())  # collateral was sold before


def _insurance_cap(house: House, market: str) -> int | None:
    cap = house.parameters.insurance_cap_per_market
    if cap is None:
        return None
    used = house.state.insured_by_market.get(market, Decimal(0))
    return house.quanta(house.parameters.money, max(cap - used, Decimal(0)))


def _assessed(house: House, member: str) -> Payer:
    """Return what a member may be asked for beyond its contribution: a multiple of it, out of its own balance."""
    money = house.parameters.money
    numerator, denominator = house.parameters.assessment_multiple.as_integer_ratio()
    most = max(house.balance(default_fund_account(member), money), 0) * numerator // denominator
    return Payer(member, min(most, max(house.balance(member, money), 0)))


def _gather_debt(house: House, name: str) -> None:
    """Turn what the account owes in other assets into a debt in money, at index prices, rounded against it."""
    money = house.parameters.money
    for asset, quanta in sorted(house.state.ledger.balances.get(name, {}).items()):
        if quanta < 0 and asset != money:
            house.pay("conversion", money, name, CONVERSION, _in_money(house, asset, -quanta, up=True))
            house.pay("conversion", asset, CONVERSION, name, -quanta)


def _collateral(house: House, name: str) -> dict[str, int]:
    """Return what each other asset of the account would fetch in money."""
    balances = sorted(house.state.ledger.balances.get(name, {}).items())
    return {
        asset: _in_money(house, asset, quanta, up=False)
        for asset, quanta in balances
        if quanta > 0 and asset != house.parameters.money and house.view.index(asset) is not None
    }


def _sell_collateral(house: House, name: str, needed: int | None) -> int:
    """Sell other assets at index prices until `needed` money is raised (None: all); return what was raised."""
    raised = 0
    money = house.parameters.money
    for asset, fetches in _collateral(house, name).items():
        balance = house.balance(name, asset)
        left = fetches if needed is None else min(fetches, needed - raised)
        if left <= 0:
            continue
        quanta = balance if left == fetches else min(divide_up(balance * left, fetches), balance)
        house.pay("conversion", asset, name, CONVERSION, quanta)
        house.pay("conversion", money, CONVERSION, name, left)
        raised += left
    return raised


def _in_money(house: House, asset: str, quanta: int, *, up: bool) -> int:
    """Return quanta of an asset in quanta of money, at index prices, rounded up or down."""
    money = house.parameters.money
    if asset == money:
        return quanta
    # what is held as margin has a price
    price, unit = (known(house.view.index(each), "price of", each) for each in (asset, money))
    numerator, denominator = quanta, 1
    for factor in (price, house.state.assets[asset].quantum):
        a, b = factor.as_integer_ratio()
        numerator, denominator = numerator * a, denominator * b
    for divisor in (unit, house.state.assets[money].quantum):
        a, b = divisor.as_integer_ratio()
        numerator, denominator = numerator * b, denominator * a
    return divide_up(numerator, denominator) if up else numerator // denominator


def _usd_in_money(house: House, amount: float) -> int:
    money = house.parameters.money
    unit = known(house.view.index(money), "price of", money)
    return int(Decimal(repr(amount)) / unit / house.state.assets[money].quantum)


def _owed_at_mark(house: House, name: str) -> int:
    """Return what the account would owe in money if everything were closed at the mark; negative is left over."""
    totals = dict(house.state.ledger.balances.get(name, {}))
    for instrument_id in house.positions(name):
        terms, holding = house.view.terms(instrument_id), house.state.ledger.holding(name, instrument_id)
        mark = house.mark(instrument_id)
        worth = terms.value(holding.lots, mark) if terms.is_paid_up else unrealised(terms, holding, mark)
        totals[terms.settle] = totals.get(terms.settle, 0) + worth
    owed = 0
    for asset, quanta in sorted(totals.items()):
        if house.view.index(asset) is not None:
            owed += (
                _in_money(house, asset, -quanta, up=True) if quanta < 0 else -_in_money(house, asset, quanta, up=False)
            )
    return owed


def _paid_before_adl(house: House, name: str, market: str) -> int:
    """Return what the layers before ADL could pay now."""
    layers = house.parameters.layers
    before = layers[: layers.index("adl")] if "adl" in layers else layers
    total = 0
    for layer in before:
        found = _layer(house, name, market, layer, {}, {})
        most = sum(payer.available for payer in found.payers)
        total += most if found.cap is None else min(most, found.cap)
    return total


def _notional(house: House, name: str) -> Decimal:
    return sum((house.notional(key, lots) for key, lots in house.positions(name).items()), Decimal(0))


def _largest_market(house: House, name: str) -> str:
    """Return the underlying with most notional: the market that a shortfall is put down to."""
    sizes: dict[str, Decimal] = {}
    for instrument_id, lots in house.positions(name).items():
        base = house.view.contract(instrument_id).base
        sizes[base] = sizes.get(base, Decimal(0)) + house.notional(instrument_id, lots)
    return max(sorted(sizes), key=lambda key: sizes[key], default="cash")


def _tell_deleveraged(
    house: House, name: str, planned: dict[str, list[tuple[Cut, Winner]]], drawn: dict[str, int]
) -> None:
    """Say what each winner gave, its haircut shared over the contracts in which it gave lots."""
    for winner, total in sorted(drawn.items()):
        mine = [(key, cut) for key, cuts in planned.items() for cut, _ in cuts if cut.name == winner]
        parts = share_out(total, [cut.haircut for _, cut in mine])
        for (instrument_id, cut), haircut in zip(mine, parts, strict=True):
            _tell(house, name, winner, instrument_id, cut.lots, haircut)


def _tell(house: House, name: str, winner: str, instrument_id: str, lots: int, haircut: int) -> None:
    money = house.parameters.money
    house.emit(
        happened.Deleveraged(
            account=name,
            winner=winner,
            instrument=instrument_id,
            quantity=lots * house.view.terms(instrument_id).lot_size,
            price=house.mark(instrument_id),
            haircut=house.amount(money, haircut),
        )
    )
