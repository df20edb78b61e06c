"""Entries that settle contracts: trades, variation, funding, premium, expiry.

Values of both sides of a contract are computed as one rounded size with two signs, so a trade loses nothing to
rounding. Profit is paid by the contract's clearing account: over all holders, costs and the clearing account's balance
sum to zero at any time.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from crossmargin.errors import InputError, InvariantError, invariant
from crossmargin.instruments.contracts import Contract, Option, OptionType, Payoff, Spot
from crossmargin.ledger.account import clearing_account
from crossmargin.ledger.ledger import Entry, Holding, Ledger, Posting, payment, rounded_entry, with_remainder
from crossmargin.ledger.rounding import Rounding, divide_nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTerms:
    """A contract in whole numbers: the size of a lot and the quantum of what it settles in."""

    contract: Contract
    lot_size: Decimal
    settle_quantum: Decimal
    settle: str = field(init=False)
    """The asset in which it settles."""
    is_paid_up: bool = field(init=False)
    """Whether it is paid for when bought (options) rather than marked to market."""
    _ratio: tuple[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settle", str(self.contract.settle))
        object.__setattr__(self, "is_paid_up", isinstance(self.contract, Option))
        size, a = (self.contract.contract_size * self.lot_size).as_integer_ratio()
        quantum, b = self.settle_quantum.as_integer_ratio()
        object.__setattr__(self, "_ratio", (size * b, a * quantum))

    def ratio(self) -> tuple[int, int]:
        """Return quanta of settlement asset per lot and unit of price, as a fraction."""
        return self._ratio

    def value(self, lots: int, price: Decimal) -> int:
        """Return the quanta that `lots` are worth at `price`, rounded to the nearest and signed like the lots.

        Linear and quanto: ``lots * lot_size * contract_size * price``. Inverse perpetuals and futures:
        ``-lots * lot_size * contract_size / price``, which rises with the price for a long. Options are quoted in the
        settlement asset: like linear ones.

        Raises
        ------
        InputError
            If the price is not finite, is negative, or is zero for anything but an option.

        Examples
        --------
        >>> from crossmargin.instruments.symbols import parse_contract
        >>> perpetual = parse_contract("binance:BTC/USDT:USDT")
        >>> ContractTerms(contract=perpetual, lot_size=Decimal("0.001"), settle_quantum=Decimal("0.01")).value(
        ...     -3, Decimal(50000)
        ... )
        -15000
        """
        if not price.is_finite() or price < 0 or (price == 0 and not self.is_paid_up):
            raise InputError(f"a price must be finite and positive, was {price} for {self.contract.id}")
        numerator, denominator = self.ratio()
        p, q = price.as_integer_ratio()
        if self.contract.payoff is Payoff.INVERSE and not self.is_paid_up:
            # `numerator` is in quanta per lot over price: size / price
            size = divide_nearest(abs(lots) * numerator * q, denominator * p)
            return -size if lots > 0 else size
        size = divide_nearest(abs(lots) * numerator * p, denominator * q)
        return size if lots > 0 else -size


def trade(ledger: Ledger, terms: ContractTerms, buyer: str, seller: str, lots: int, price: Decimal) -> int:
    """Move `lots` from `seller` to `buyer` at `price`; return the value of the trade in quanta.

    Paid-up contracts change hands for their premium. Marked-to-market ones change hands for nothing: whoever reduces
    a position is paid, or charged, the profit on what was closed.
    """
    invariant(lots > 0, f"a trade must move lots, was {lots} of {terms.contract.id}")
    invariant(not isinstance(terms.contract, Spot), "coins change hands as balances")
    value = terms.value(lots, price)
    if terms.is_paid_up:
        if value:
            ledger.book(payment("premium", terms.settle, buyer, seller, value))
        for account, change in ((buyer, lots), (seller, -lots)):
            held = ledger.holding(account, terms.contract.id)
            held.entry = _entered(held, change, value if change > 0 else -value)
            held.lots += change
            ledger.change_holding(account, terms.contract.id, held)
        return value
    for account, change, worth in ((buyer, lots, value), (seller, -lots, -value)):
        _enter(ledger, terms, account, change, worth)
    return value


def _enter(ledger: Ledger, terms: ContractTerms, account: str, change: int, worth: int) -> None:
    held = ledger.holding(account, terms.contract.id)
    held.entry = _entered(held, change, worth)
    realised = 0
    if held.lots * change >= 0:
        held.cost += worth
    else:
        closed = min(abs(change), abs(held.lots))
        released = divide_nearest(held.cost * closed, abs(held.lots))
        proceeds = divide_nearest(worth * closed, abs(change))
        realised = -(proceeds + released)
        held.cost += worth + realised
    held.lots += change
    if realised:
        held.unsettled += realised
        ledger.book(realised_profit(terms, account, realised))
    ledger.change_holding(account, terms.contract.id, held)


def _entered(held: Holding, change: int, worth: int) -> int:
    """Return what the position is entered for after `change` lots worth `worth`; a reduction takes its share."""
    if held.lots * change >= 0:
        return held.entry + worth
    closed = min(abs(change), abs(held.lots))
    return held.entry - divide_nearest(held.entry * closed, abs(held.lots)) + _opened(worth, closed, change)


def _opened(worth: int, closed: int, change: int) -> int:
    return worth - divide_nearest(worth * closed, abs(change))


def profit_since_entry(terms: ContractTerms, holding: Holding, mark: Decimal) -> int:
    """Return the profit (> 0) or loss of an open position since it was entered, settled or not, in quanta."""
    return terms.value(holding.lots, mark) - holding.entry if holding.lots else 0


def realised_profit(terms: ContractTerms, account: str, profit: int) -> Entry:
    """Return the entry that pays a profit (> 0) or charges a loss (< 0) through the contract's clearing account."""
    middle = clearing_account(terms.contract.id)
    debit, credit = (middle, account) if profit > 0 else (account, middle)
    return payment("realised profit", terms.settle, debit, credit, abs(profit))


def unrealised(terms: ContractTerms, holding: Holding, mark: Decimal) -> int:
    """Return the profit since entry in quanta; 0 for paid-up contracts."""
    if terms.is_paid_up or holding.lots == 0:
        return 0
    return terms.value(holding.lots, mark) - holding.cost


def settle_variation(ledger: Ledger, terms: ContractTerms, mark: Decimal) -> dict[str, int]:
    """Pay every holder the profit since entry at `mark` and enter the position anew there; return who got what.

    Whatever was realised before has then been paid by those who owed it; the clearing account keeps only what rounding
    left between the values of longs and shorts.
    """
    paid: dict[str, int] = {}
    if terms.is_paid_up:
        return paid
    middle = clearing_account(terms.contract.id)
    for account in sorted(ledger.holdings):
        held = ledger.holdings[account].get(terms.contract.id)
        if held is None:
            continue
        profit = unrealised(terms, held, mark)
        if profit:
            ledger.book(realised_profit(terms, account, profit))
            paid[account] = profit
        ledger.change_holding(
            account, terms.contract.id, Holding(lots=held.lots, cost=held.cost + profit, entry=held.entry)
        )
    left = ledger.balance(middle, terms.settle)
    open_cost = ledger.cost_sums().get(terms.contract.id, 0)
    invariant(
        left == -open_cost, f"costs of {terms.contract.id} must balance its clearing account, {open_cost} and {left}"
    )
    return paid


def funding_entry(ledger: Ledger, terms: ContractTerms, mark: Decimal, rate: Decimal) -> Entry:
    """Return the entry by which longs pay shorts ``value * rate``; a negative rate reverses it.

    Every amount is rounded toward the house.
    """
    numerator, denominator = rate.as_integer_ratio()
    exact = [
        (account, -_notional(terms, ledger.lots(account, terms.contract.id), mark) * numerator)
        for account in ledger.holders(terms.contract.id)
    ]
    return rounded_entry("funding", terms.settle, exact, denominator)


def _notional(terms: ContractTerms, lots: int, mark: Decimal) -> int:
    value = abs(terms.value(lots, mark))
    return value if lots > 0 else -value


def expiry_entry(ledger: Ledger, terms: ContractTerms, settlement: Decimal) -> Entry:
    """Return the entry that pays the options of all holders at the settlement price of the underlying.

    A call pays ``max(S - K, 0)``, a put ``max(K - S, 0)``; settled in coin, that is divided by S.
    """
    contract = terms.contract
    if not isinstance(contract, Option):
        raise InvariantError(f"only options are exercised, {contract.id} is none")
    if not settlement.is_finite() or settlement <= 0:
        raise InputError(f"a settlement price must be positive, was {settlement} for {contract.id}")
    s, t = settlement.as_integer_ratio()
    k, m = contract.strike.as_integer_ratio()
    difference = s * m - k * t if contract.option_type is OptionType.CALL else k * t - s * m
    payoff, over = max(difference, 0), t * m
    if contract.payoff is Payoff.INVERSE:
        payoff, over = payoff * t, over * s
    numerator, denominator = terms.ratio()
    exact = [
        (account, ledger.lots(account, contract.id) * numerator * payoff) for account in ledger.holders(contract.id)
    ]
    return rounded_entry(f"exercise of {contract.id}", terms.settle, exact, denominator * over)


def close_out(ledger: Ledger, terms: ContractTerms) -> None:
    """Forget all holdings of an expired contract; what its clearing account still holds was rounding."""
    for account in sorted(ledger.holdings):
        if terms.contract.id in ledger.holdings[account]:
            ledger.change_holding(account, terms.contract.id, Holding())
    middle = clearing_account(terms.contract.id)
    left = ledger.balance(middle, terms.settle)
    if left:
        entry = with_remainder(
            "rounding at expiry", terms.settle, [Posting(middle, terms.settle, -left)], Rounding.NEAREST
        )
        ledger.book(entry)


def average_price(samples: list[Decimal]) -> Decimal:
    """Return the mean of the samples of a settlement window, to 12 decimals, half to even.

    Raises
    ------
    InputError
        If there is no sample, or one is not positive.

    Examples
    --------
    >>> average_price([Decimal(100), Decimal(101)])
    Decimal('100.500000000000')
    """
    if not samples:
        raise InputError("a settlement price needs at least one sample, had none")
    for sample in samples:
        if not sample.is_finite() or sample <= 0:
            raise InputError(f"a settlement sample must be positive, was {sample}")
    numerator, denominator = 0, 1
    for sample in samples:
        a, b = sample.as_integer_ratio()
        numerator, denominator = numerator * b + a * denominator, denominator * b
    scaled = divide_nearest(numerator * 10**12, denominator * len(samples))
    return Decimal((0, tuple(map(int, str(scaled))), -12))
