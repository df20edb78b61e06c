"""One process at a time: a lock that the system lets go of when its holder dies, however it dies."""

import fcntl
import os

from crossmargin.errors import InputError


def hold_alone(file: int, rule: str) -> int:
    """Return the open `file`, locked for this process alone until it is closed.

    Raises
    ------
    InputError
        With `rule`, which names who else holds it; `file` is closed then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as lease:
    ...     mine = hold_alone(os.open(lease.name, os.O_RDONLY), "one may hold it")
    ...     hold_alone(os.open(lease.name, os.O_RDONLY), "one may hold it, another process does")
    Traceback (most recent call last):
    crossmargin.errors.InputError: one may hold it, another process does
    >>> os.close(mine)
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise InputError(rule) from error
    return file
