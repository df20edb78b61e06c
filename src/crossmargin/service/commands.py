"""A command on its way to the writer, and the answer when it is done."""

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


async def outcome(writer: Writer, command: Command) -> tuple[int, dict[str, Any]]:
    """Return the status and the events of a command once it is on disk and applied, or why it was refused."""
    events = await writer.ask(command)
    refusal = next((event for event in events if isinstance(event, Refused)), None)
    if refusal is not None:
        return 422, {"error": {"rule": refusal.reason, "finding": refusal.detail}}
    return 200, {"command": command.id, "events": msgspec.to_builtins(events)}


async def answered(writer: Writer, command: Command) -> Response[dict[str, Any]]:
    """Return the outcome of a command as an answer."""
    status, found = await outcome(writer, command)
    return Response(found, status_code=status)
