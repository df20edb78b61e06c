"""A naive ledger of `Fraction` that rounds at the same points agrees to the last digit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.instruments.symbols import parse_contract
from crossmargin.ledger.account import ROUNDING, clearing_account
from crossmargin.ledger.ledger import Ledger
from crossmargin.ledger.settlement import ContractTerms, funding_entry, settle_variation, trade

LINEAR = ContractTerms(
    contract=parse_contract("binance:BTC/USDT:USDT"), lot_size=Decimal("0.003"), settle_quantum=Decimal("0.01")
)
INVERSE = ContractTerms(
    contract=parse_contract("deribit:BTC/USD:BTC"), lot_size=Decimal(1), settle_quantum=Decimal("0.000001")
)
ACCOUNTS = ("alice", "bob", "carol")


class Naive:
    """Cash and positions as fractions of a coin; `round` on a Fraction is half to even."""

    def __init__(self, quantum: str, unit_value) -> None:
        self.quantum = Fraction(quantum)
        self.unit_value = unit_value
        self.cash: dict[str, Fraction] = {}
        self.position = {account: (Fraction(0), Fraction(0)) for account in ACCOUNTS}  # lots, cost

    def nearest(self, amount: Fraction) -> Fraction:
        return round(amount / self.quantum) * self.quantum

    def pay(self, account: str, amount: Fraction) -> None:
        self.cash[account] = self.cash.get(account, Fraction(0)) + amount

    def trade(self, buyer: str, seller: str, lots: int, price: Fraction) -> None:
        value = self.nearest(lots * self.unit_value(price))
        for account, change, worth in ((buyer, lots, value), (seller, -lots, -value)):
            held, cost = self.position[account]
            realised = Fraction(0)
            if held * change < 0:
                closed = min(abs(held), abs(Fraction(change)))
                part_of_cost = self.nearest(cost * closed / abs(held))
                part_of_worth = self.nearest(worth * closed / abs(change))
                realised = -part_of_cost - part_of_worth
                self.pay(account, realised)
                self.pay("middle", -realised)
            self.position[account] = (held + change, cost + worth + realised)

    def settle(self, mark: Fraction) -> None:
        for account, (lots, cost) in self.position.items():
            value = self.nearest(lots * self.unit_value(mark))
            self.pay(account, value - cost)
            self.pay("middle", cost - value)
            self.position[account] = (lots, value)

    def fund(self, mark: Fraction, rate: Fraction) -> None:
        for account, (lots, _) in self.position.items():
            notional = abs(self.nearest(abs(lots) * self.unit_value(mark))) * (1 if lots > 0 else -1 if lots else 0)
            amount = (-notional * rate / self.quantum).__floor__() * self.quantum
            self.pay(account, amount)
            self.pay("rounding", -amount)


prices = st.decimals(min_value=1, max_value=200_000, places=2)
step = st.one_of(
    st.tuples(st.just("trade"), st.permutations(ACCOUNTS), st.integers(1, 1000), prices),
    st.tuples(st.just("settle"), prices),
    st.tuples(st.just("fund"), prices, st.decimals(min_value=-1, max_value=1, places=6)),
)
MODELS = pytest.mark.parametrize(
    ("terms", "naive"),
    [
        pytest.param(LINEAR, lambda: Naive("0.01", lambda p: Fraction("0.003") * p), id="linear"),
        pytest.param(INVERSE, lambda: Naive("0.000001", lambda p: -Fraction(10) / p), id="inverse"),
    ],
)


def compare(terms: ContractTerms, naive: Naive, history: list) -> None:
    ledger = Ledger()
    symbol = terms.contract.id
    for kind, *rest in history:
        if kind == "trade":
            (buyer, seller, _), lots, price = rest
            trade(ledger, terms, buyer, seller, lots, price)
            naive.trade(buyer, seller, lots, Fraction(price))
        elif kind == "settle":
            settle_variation(ledger, terms, rest[0])
            naive.settle(Fraction(rest[0]))
        else:
            ledger.book(funding_entry(ledger, terms, rest[0], rest[1]))
            naive.fund(Fraction(rest[0]), Fraction(rest[1]))
        assert not any(ledger.sums().values())
        assert not any(ledger.lot_sums().values())
    names = {**dict(zip(ACCOUNTS, ACCOUNTS, strict=True)), "middle": clearing_account(symbol), "rounding": ROUNDING}
    for theirs, ours in names.items():
        assert ledger.balance(ours, terms.settle) * naive.quantum == naive.cash.get(theirs, 0)
    for account, (lots, cost) in naive.position.items():
        held = ledger.holding(account, symbol)
        assert (held.lots, held.cost * naive.quantum) == (lots, cost)
    assert sum(ledger.cost_sums().values()) == -ledger.balance(clearing_account(symbol), terms.settle)


@MODELS
@settings(max_examples=200)
@given(history=st.lists(step, max_size=30))
def test_the_ledger_equals_a_ledger_of_fractions(terms: ContractTerms, naive, history: list) -> None:
    compare(terms, naive(), history)


@pytest.mark.soak
@MODELS
@settings(max_examples=50_000)
@given(history=st.lists(step, max_size=30))
def test_the_ledger_equals_a_ledger_of_fractions_over_many_histories(terms: ContractTerms, naive, history) -> None:
    compare(terms, naive(), history)
