"""A command on its way to the writer, and the answer when it is done."""

import asyncio
from typing import Any

import msgspec
from litestar import Response

from crossmargin.engine.commands import Command
from crossmargin.engine.events import Refused
from crossmargin.service.access.roles import Principal
from crossmargin.service.writer import Writer


def command_id(who: Principal | None, key: str) -> str:
    """Return a command's name: of the caller's key within what is the caller's, so that keys of two never meet.

    >>> command_id(None, "k")
    'api-k'
    """
    return f"api-{key}" if who is None else f"api-{who.owner}:{key}"


async def answered(writer: Writer, command: Command) -> Response[dict[str, Any]]:
    """Return the events of a command once it is on disk and applied, or why it was refused."""
    events = await asyncio.wrap_future(writer.submit(command))
    refusal = next((event for event in events if isinstance(event, Refused)), None)
    if refusal is not None:
        return Response({"error": {"rule": refusal.reason, "finding": refusal.detail}}, status_code=422)
    return Response({"command": command.id, "events": msgspec.to_builtins(events)})
