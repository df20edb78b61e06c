"""Keys of venues, read from the environment and nowhere else, and never shown."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from urllib.parse import quote

from crossmargin.errors import InputError

HIDDEN = "***"
_QUERY = re.compile(r"\?\S+")
"""What stands behind the path of an address: signatures and keys travel there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a venue knows a reader by; an empty field is one that it does not ask for."""

    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    wallet: str = field(default="", repr=False)

    def without(self, text: str) -> str:
        """Return `text` with every secret in it, and every query of an address, hidden."""
        shown = _QUERY.sub(f"?{HIDDEN}", text)
        for secret in (self.secret, self.passphrase, self.key):
            for form in (secret, quote(secret, safe="")):
                shown = shown.replace(form, HIDDEN) if form else shown
        return shown


def credentials_of(venue: str, wanted: tuple[str, ...], environment: Mapping[str, str]) -> Credentials:
    """Return the `wanted` fields from variables such as ``CROSSMARGIN_OKX_KEY``.

    Raises
    ------
    InputError
        If one is not set; the message names the variables, never a value.

    Examples
    --------
    >>> credentials_of("okx", ("key",), {"CROSSMARGIN_OKX_KEY": "k-123"})
    Credentials()
    """
    strangers = set(wanted) - {each.name for each in fields(Credentials)}
    if strangers:
        raise InputError(f"credentials have no field {', '.join(sorted(strangers))}")
    names = {each: f"CROSSMARGIN_{venue.upper()}_{each.upper()}" for each in wanted}
    missing = [name for name in names.values() if not environment.get(name, "").strip()]
    if missing:
        raise InputError(f"a live import of {venue} reads {', '.join(names.values())}; not set: {', '.join(missing)}")
    return Credentials(**{each: environment[name].strip() for each, name in names.items()})
