"""How far a first start has come: kernels that are compiled while an engine opens, counted one by one.

On a machine that has none in numba's cache that takes a minute or two, in which nothing else could be told. Commands say
little of it: one of the rehearsal's takes half of the time.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator

from numba.core import event

_LOG = logging.getLogger(__name__)
KERNELS = 169
"""As many as a first start compiled (numba 0.68, Python 3.11); another version may need some more or fewer."""
TOLD_EVERY = 20
COMPILE = "numba:compile"


class _Counting(event.Listener):
    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell, self._count = tell, 0

    def on_start(self, _: event.Event) -> None:
        pass

    def on_end(self, _: event.Event) -> None:
        self._count += 1
        self._tell(self._count)


@contextlib.contextmanager
def compiling(tell: Callable[[int, int], None]) -> Iterator[None]:
    """Tell how many kernels are compiled, of about how many; of those that come from the cache nothing is told."""

    def told(count: int) -> None:
        done, of = how_far(count)
        tell(done, of)
        if count % TOLD_EVERY == 1:
            _LOG.info("compiles what it computes with, as a first start must: %d of about %d kernels", done, of)

    with event.install_listener(COMPILE, _Counting(told)):
        yield


def how_far(count: int) -> tuple[int, int]:
    """Return how many kernels are compiled, of how many; never all of them, for who asks is still waiting.

    Examples
    --------
    >>> how_far(20), how_far(500)
    ((20, 169), (500, 501))
    """
    return count, max(KERNELS, count + 1)
