"""What the programs of child processes have in common: how they start, log, and leave signals to their parent."""

import asyncio
import contextlib
import resource
import signal
import sys
from collections.abc import Awaitable, Callable

from crossmargin.service.logs import open_logs


def run_program(work: Callable[[], Awaitable[None]]) -> None:
    """Work until that ends."""
    # the engine's process says when to end, by ending; a signal to all of them is for it alone
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    open_logs(sys.stderr, known=[])
    # every client takes a descriptor, and the usual limit is a thousand
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def worked() -> None:
        await work()

    with asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(worked())


def event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes event loops here: uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
