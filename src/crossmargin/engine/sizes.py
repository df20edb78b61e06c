"""How large what a command holds may be: whatever passes can be computed with, kept in a database, and told as a time.

Python's integers and decimals have no end, floats and databases have one: a quantity of 1e400 would raise in the midst of
a calculation, and a time beyond 64 bits would stop the tables.
"""

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

Values: TypeAlias = Collection[object]
LARGEST_WHOLE = (1 << 63) - 1
LARGEST_EXPONENT = 40
"""Of ten. The product of five such numbers is still a float."""
LARGEST = 10.0**LARGEST_EXPONENT
MOST_DIGITS = 100
"""Signs of a decimal's text; the exact value of a float has some 60."""


def misfit(value: object, name: str = "it") -> str | None:
    """Return the rule that something in a command breaks and where it stands, None where all of it fits.

    What was found is not told: it may have thousands of digits.

    Examples
    --------
    >>> misfit({"price": Decimal("50000.5"), "time_ns": 1 << 62})
    >>> misfit({"price": Decimal("1e400")})
    'a decimal must be 0 or inside [1e-39, 1e40) and of 100 digits at most, price was not'
    """
    return _told(value, name) if _is_odd((value,)) else None


def _is_odd(values: Values) -> bool:
    """Return whether something among `values` may be a misfit: one loop, as it is asked of every command."""
    for value in values:
        if value is None:
            continue
        if isinstance(value, float):  # first, as an update of the market has thousands
            if not -LARGEST < value < LARGEST:
                return True
        elif isinstance(value, str):
            if "\0" in value:
                return True
        elif isinstance(value, Decimal):
            if not _fits(value):
                return True
        elif isinstance(value, int):
            if not -LARGEST_WHOLE <= value <= LARGEST_WHOLE:
                return True
        elif _is_odd(_inside(value)):
            return True
    return False


def _inside(value: object) -> Values:
    if isinstance(value, msgspec.Struct):
        return _fields(type(value))(value)
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, tuple | list) else ()


@cache
def _fields(kind: type[msgspec.Struct]) -> Callable[[Any], tuple[object, ...]]:
    """Return what reads all fields of a kind of struct at once."""
    names = kind.__struct_fields__
    # of a single name it would read the value itself, of none nothing
    return attrgetter(*names) if len(names) > 1 else lambda one: tuple(getattr(one, name) for name in names)


def _fits(value: Decimal) -> bool:
    # of NaN and infinity the exponent is 0: who computes with them refuses them
    return -LARGEST_EXPONENT < value.adjusted() < LARGEST_EXPONENT and len(str(value)) <= MOST_DIGITS


def _told(value: object, name: str) -> str | None:
    """Return the first rule that is broken, in the order of fields."""
    if isinstance(value, str):
        return f"a text must be without NUL, {name} had one" if "\0" in value else None
    if isinstance(value, Decimal):
        bounds = f"[1e-{LARGEST_EXPONENT - 1}, 1e{LARGEST_EXPONENT})"
        finding = f"a decimal must be 0 or inside {bounds} and of {MOST_DIGITS} digits at most, {name} was not"
        return None if _fits(value) else finding
    if isinstance(value, int):
        fits = -LARGEST_WHOLE <= value <= LARGEST_WHOLE
        return None if fits else f"a whole number must be of 64 bits, {name} was not"
    if isinstance(value, float):
        return f"a number must be below 1e{LARGEST_EXPONENT}, {name} was not" if abs(value) >= LARGEST else None
    return next((found for label, each in _named(value, name) if (found := _told(each, label)) is not None), None)


def _named(value: object, name: str) -> Iterable[tuple[str, object]]:
    """Return what is inside with how it is called: members of a list as the list is."""
    if isinstance(value, msgspec.Struct):
        return zip(value.__struct_fields__, _inside(value), strict=True)
    if isinstance(value, dict):
        return zip(map(str, value), value.values(), strict=True)
    return ((name, each) for each in _inside(value))
