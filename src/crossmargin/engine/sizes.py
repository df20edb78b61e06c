"""How large what a command holds may be: whatever passes can be computed with, kept in a database, and told as a time.

Python's integers and decimals have no end, floats and databases have one: a quantity of 1e400 would raise in the midst of
a calculation, and a time beyond 64 bits would stop the tables.
"""

from decimal import Decimal

import msgspec

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
    if isinstance(value, str):
        return f"a text must be without NUL, {name} had one" if "\0" in value else None
    if isinstance(value, Decimal):
        if _fits(value):
            return None
        bounds = f"[1e-{LARGEST_EXPONENT - 1}, 1e{LARGEST_EXPONENT})"
        return f"a decimal must be 0 or inside {bounds} and of {MOST_DIGITS} digits at most, {name} was not"
    if isinstance(value, int):
        fits = -LARGEST_WHOLE <= value <= LARGEST_WHOLE
        return None if fits else f"a whole number must be of 64 bits, {name} was not"
    if isinstance(value, float):
        return f"a number must be below 1e{LARGEST_EXPONENT}, {name} was not" if abs(value) >= LARGEST else None
    return _within(value, name)


def _fits(value: Decimal) -> bool:
    # of NaN and infinity the exponent is 0: who computes with them refuses them
    return -LARGEST_EXPONENT < value.adjusted() < LARGEST_EXPONENT and len(str(value)) <= MOST_DIGITS


def _plain(value: object) -> bool:
    # most of what a command holds is told apart here, thousands of times a second
    kind = type(value)
    return value is None or kind is bool or (kind is str and "\0" not in value)  # type: ignore[operator]


def _within(value: object, name: str) -> str | None:
    """Return the first misfit of a struct's fields, or of a collection."""
    if isinstance(value, msgspec.Struct):
        inside = [(each, found) for each in value.__struct_fields__ if not _plain(found := getattr(value, each))]
    elif isinstance(value, dict):
        # an update of the market has hundreds of marks
        inside = [(str(key), each) for key, each in value.items() if type(each) is not Decimal or not _fits(each)]
    elif isinstance(value, tuple | list):
        # and vols by the thousand
        inside = [(name, each) for each in value if type(each) is not float or abs(each) >= LARGEST]
    else:
        return None
    return next((found for label, each in inside if (found := misfit(each, label)) is not None), None)
