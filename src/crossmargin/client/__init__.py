"""A typed client of the service: ``Client`` waits, ``AsyncClient`` is for asyncio; needs the extra crossmargin[service].

Names are read from their modules when they are first asked for: the service describes its answers by the client's records,
and needs nothing of what connects to one.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossmargin.client.calls import Call, ServiceError
    from crossmargin.client.clients import AsyncClient, Client
    from crossmargin.client.signing import Key, key_in
    from crossmargin.client.streaming import GapError, follow, follow_async

__all__ = ["AsyncClient", "Call", "Client", "GapError", "Key", "ServiceError", "follow", "follow_async", "key_in"]

_MODULES = {
    "crossmargin.client.calls": ("Call", "ServiceError"),
    "crossmargin.client.clients": ("AsyncClient", "Client"),
    "crossmargin.client.signing": ("Key", "key_in"),
    "crossmargin.client.streaming": ("GapError", "follow", "follow_async"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    for module, names in _MODULES.items():
        if name in names:
            found = globals()[name] = getattr(importlib.import_module(module), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
