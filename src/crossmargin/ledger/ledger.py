"""The double-entry ledger: who owns how many quanta of which asset, and how many lots of which contract.

Every entry sums to zero in every asset before it is booked, so the whole always does. A trade moves lots between two
accounts, so the lots of a contract always sum to zero too.
"""

from collections.abc import Iterable, Sequence

import msgspec

from crossmargin.errors import InputError, invariant
from crossmargin.ledger.account import ROUNDING
from crossmargin.ledger.rounding import Rounding


class Posting(msgspec.Struct, frozen=True, gc=False):
    """A change of one balance, in quanta; negative is a debit."""

    account: str
    asset: str
    amount: int


class Entry(msgspec.Struct, frozen=True):
    """Postings that belong together, why, and how their fractions were rounded; zero in sum per asset."""

    reason: str
    rounding: Rounding
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        sums: dict[str, int] = {}
        for posting in self.postings:
            sums[posting.asset] = sums.get(posting.asset, 0) + posting.amount
        for asset, total in sums.items():
            if total != 0:
                raise InputError(f"an entry must sum to zero per asset, {self.reason!r} sums to {total} {asset}")


class Holding(msgspec.Struct, gc=False):
    """Lots of one contract, and what they were entered for.

    Attributes
    ----------
    lots
        Long > 0, short < 0.
    cost
        Quanta of the settlement asset: the value of the lots at the prices of their entry.
    entry
        Quanta too, but never moved to a mark by a settlement of variation: what the profit of the position is measured
        from.
    unsettled
        Profit (> 0) realised since the contract's last settlement of variation, in quanta: paid, but its payers have
        not all been charged yet.
    """

    lots: int = 0
    cost: int = 0
    entry: int = 0
    unsettled: int = 0


class Ledger(msgspec.Struct):
    """All balances in quanta, all holdings in lots. Change it through `book` and `trade` only."""

    balances: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    holdings: dict[str, dict[str, Holding]] = msgspec.field(default_factory=dict)

    def balance(self, account: str, asset: str) -> int:
        """Return the quanta of `asset` that `account` has; negative is owed."""
        return self.balances.get(account, {}).get(asset, 0)

    def holding(self, account: str, instrument_id: str) -> Holding:
        """Return a copy of what `account` holds of a contract."""
        found = self.holdings.get(account, {}).get(instrument_id)
        return Holding() if found is None else Holding(found.lots, found.cost, found.entry, found.unsettled)

    def lots(self, account: str, instrument_id: str) -> int:
        """Return the signed lots that `account` holds of a contract."""
        held = self.holdings.get(account)
        found = None if held is None else held.get(instrument_id)
        return 0 if found is None else found.lots

    def holders(self, instrument_id: str) -> list[str]:
        """Return the accounts with lots of a contract, in alphabetical order."""
        return sorted(
            account for account, held in self.holdings.items() if instrument_id in held and held[instrument_id].lots
        )

    def book(self, entry: Entry) -> None:
        """Apply an entry."""
        for posting in entry.postings:
            owned = self.balances.setdefault(posting.account, {})
            amount = owned.get(posting.asset, 0) + posting.amount
            if amount:
                owned[posting.asset] = amount
            else:
                owned.pop(posting.asset, None)

    def change_holding(self, account: str, instrument_id: str, after: Holding) -> None:
        """Replace what `account` holds of a contract; an empty holding is forgotten."""
        held = self.holdings.setdefault(account, {})
        if after.lots == 0:
            invariant(after.cost == 0, f"a flat holding must have no cost, had {after.cost} in {instrument_id}")
        if after.lots or after.unsettled:
            held[instrument_id] = after
        else:
            held.pop(instrument_id, None)

    def sums(self) -> dict[str, int]:
        """Return the sum of all balances per asset; each must be zero."""
        sums: dict[str, int] = {}
        for owned in self.balances.values():
            for asset, amount in owned.items():
                sums[asset] = sums.get(asset, 0) + amount
        return sums

    def lot_sums(self) -> dict[str, int]:
        """Return the sum of all lots per contract; each must be zero."""
        return self.holding_sums()[0]

    def cost_sums(self) -> dict[str, int]:
        """Return the sum of all costs per contract; each is the negative of its clearing account's balance."""
        return self.holding_sums()[1]

    def holding_sums(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the sums of lots and of costs per contract, in one pass."""
        lots: dict[str, int] = {}
        costs: dict[str, int] = {}
        for held in self.holdings.values():
            for instrument_id, holding in held.items():
                if instrument_id in lots:
                    lots[instrument_id] += holding.lots
                    costs[instrument_id] += holding.cost
                else:
                    lots[instrument_id], costs[instrument_id] = holding.lots, holding.cost
        return lots, costs


def payment(reason: str, asset: str, debit: str, credit: str, amount: int) -> Entry:
    """Return the entry that moves `amount` quanta from `debit` to `credit`.

    Raises
    ------
    InputError
        If the amount is not positive.

    Examples
    --------
    >>> payment("transfer", "USDC", "alice", "bob", 5).postings[1]
    Posting(account='bob', asset='USDC', amount=5)
    """
    if amount <= 0:
        raise InputError(f"a transfer's amount must be positive, was {amount} {asset}")
    return Entry(reason, Rounding.EXACT, (Posting(debit, asset, -amount), Posting(credit, asset, amount)))


def rounded_entry(
    reason: str,
    asset: str,
    exact: Iterable[tuple[str, int]],
    denominator: int,
    rounding: Rounding = Rounding.TO_THE_HOUSE,
) -> Entry:
    """Return the entry of amounts given as ``numerator / denominator`` quanta, the remainder on the rounding account.

    Under `TO_THE_HOUSE` every amount is rounded toward minus infinity, so that the remainder is never negative where
    the exact amounts sum to zero.

    Examples
    --------
    >>> [posting.amount for posting in rounded_entry("funding", "USDC", [("alice", -7), ("bob", 7)], 2).postings]
    [-4, 3, 1]
    """
    invariant(rounding is Rounding.TO_THE_HOUSE, f"only {Rounding.TO_THE_HOUSE.value!r} rounds an entry")
    postings = [Posting(account, asset, numerator // denominator) for account, numerator in exact]
    return with_remainder(reason, asset, postings, rounding)


def with_remainder(reason: str, asset: str, postings: Sequence[Posting], rounding: Rounding) -> Entry:
    """Return the entry of `postings` in one asset, what is missing to zero on the rounding account."""
    missing = -sum(posting.amount for posting in postings)
    whole = tuple(posting for posting in postings if posting.amount)
    return Entry(reason, rounding, (*whole, Posting(ROUNDING, asset, missing)) if missing else whole)
