"""A typed client of the service: ``Client`` waits, ``AsyncClient`` is for asyncio; needs the extra crossmargin[service]."""

from crossmargin.client.calls import Call, ServiceError
from crossmargin.client.clients import AsyncClient, Client
from crossmargin.client.signing import Key, key_in
from crossmargin.client.streaming import GapError, follow, follow_async

__all__ = ["AsyncClient", "Call", "Client", "GapError", "Key", "ServiceError", "follow", "follow_async", "key_in"]
