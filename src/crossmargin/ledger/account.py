"""The accounts of the ledger: users', and those of the house, whose names begin with ``@``.

Money enters and leaves through `EXTERNAL` alone, so that all balances of an asset always sum to zero.
"""

from crossmargin.errors import InputError
from crossmargin.units import AccountId

EXTERNAL = AccountId("@external")
"""The world outside; the negative of everything that we hold for others and ourselves."""
HOUSE = AccountId("@house")
"""The house's own capital."""
INSURANCE = AccountId("@insurance")
FEES = AccountId("@fees")
ROUNDING = AccountId("@rounding")
"""Fractions of a quantum that rounding took from somebody."""
LENDING = AccountId("@lending")
"""Interest collected from borrowers and not yet paid out."""
CONVERSION = AccountId("@conversion")
"""Where one asset becomes another at the index price; what it owes in one it holds in the other."""


def clearing_account(instrument_id: str) -> AccountId:
    """Return the account that stands between both sides of a contract.

    What one side has realised and the other not yet is its balance.
    """
    return AccountId(f"@clearing {instrument_id}")


def default_fund_account(member: str) -> AccountId:
    """Return the account of `member`'s contribution to the default fund."""
    return AccountId(f"@default-fund {member}")


def is_house(account: str) -> bool:
    """Whether an account is the house's rather than a user's."""
    return account.startswith("@")


def check_user_name(account: str) -> None:
    """Raise unless `account` may name a user's account.

    Raises
    ------
    InputError
        If it is empty, too long, not printable or reserved for the house.
    """
    if not account or len(account) > 64 or not account.isprintable() or is_house(account) or " " in account:
        raise InputError(
            f"an account is named by 1 to 64 printable characters without spaces, not beginning with @, was {account!r}"
        )
