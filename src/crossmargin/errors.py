"""What can go wrong, in three kinds, and how we contradict ourselves out loud."""

from typing import TypeVar

T = TypeVar("T")


class CrossMarginError(Exception):
    """Any error that crossmargin raises on purpose."""


class InputError(CrossMarginError):
    """The caller asked for something that cannot be."""


class MarketDataError(CrossMarginError):
    """The market told us too little, or something impossible."""


class InvariantError(CrossMarginError):
    """We contradicted ourselves: a bug. Whoever runs the engine must stop."""


def invariant(condition: bool, message: str) -> None:  # noqa: FBT001  (it is the one thing this takes)
    """Raise `InvariantError` with `message` unless `condition` holds.

    Examples
    --------
    >>> invariant(1 + 1 == 2, "addition works")
    """
    if not condition:
        raise InvariantError(message)


def known(value: T | None, what: str, of: object = "") -> T:
    """Return `value`, which is None only if we contradicted ourselves.

    Raises
    ------
    InvariantError
        That there is no `what`, named with what it would be `of`.

    Examples
    --------
    >>> known(50_000, "mark of", "BTC-PERP")
    50000
    """
    if value is None:
        raise InvariantError(f"there must be a {what} {of}".rstrip())
    return value
