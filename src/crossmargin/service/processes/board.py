"""The board: what the engine's process tells its workers, in shared memory; no reader ever sees half of a page.

Two slots take turns. A page is written into the slot that nobody is sent to, with its number, length and checksum, and
only then does the board's head point there: a writer that dies in between leaves the page before it whole. A reader
copies a page and believes it if the checksum holds, which also covers that it was overtaken while it copied.

Beside the pages stands one number that goes ahead of them: how far a page must be that may be answered from.

The memory has no name, only descriptors that are handed to children: it is gone with the last process that holds it,
however that ended, so nothing is ever left to clean up. Readers map it read-only.
"""

import mmap
import os
import struct
import tempfile
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.errors import InputError, InvariantError

SLOTS: Final = 2
_HEAD: Final = 4096
"""Bytes before the slots: one page of memory; it starts with the number of the current page, and the record that is due."""
_SLOT: Final = struct.Struct("=QQI")
"""Number of the page, its length in bytes, and the checksum of both and of the content."""
_CONTENT: Final = 64
"""Where in its slot the content begins."""
MOST_TRIES: Final = 10_000
"""Copies of which none was whole; a writer would have to overtake every one."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the board says, and its number: later pages have higher ones, 0 says nothing."""

    number: int
    content: bytes


class Board:
    """Shared memory with one writer and any number of readers.

    Parameters
    ----------
    descriptor
        Of the memory, from `Board.new` or from the process that made it; stays the caller's to close.
    writes
        Whether this process is the one that writes.

    Examples
    --------
    >>> board = Board.new(1 << 16)
    >>> board.write(b"first")
    1
    >>> reader = Board(board.descriptor)
    >>> reader.number, reader.read()
    (1, Page(number=1, content=b'first'))
    >>> board.due = 7
    >>> reader.due
    7
    """

    def __init__(self, descriptor: int, *, writes: bool = False) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, 0, access=mmap.ACCESS_WRITE if writes else mmap.ACCESS_READ)
        self._slot = (len(self._memory) - _HEAD) // SLOTS
        self.capacity = self._slot - _CONTENT
        # one load or store of 8 aligned bytes, which no processor tears
        self._head = np.frombuffer(self._memory, dtype=np.uint64, count=2)

    @classmethod
    def new(cls, capacity: int) -> "Board":
        """Return a board of nobody yet, for content of up to `capacity` bytes; memory is taken as it is written."""
        slot = -(-(capacity + _CONTENT) // mmap.PAGESIZE) * mmap.PAGESIZE
        descriptor = _memory_without_name()
        os.ftruncate(descriptor, _HEAD + SLOTS * slot)
        return cls(descriptor, writes=True)

    @property
    def number(self) -> int:
        """Number of the current page; costs next to nothing."""
        return int(self._head[0])

    @property
    def due(self) -> int:
        """How far a page must be that may be answered from now on."""
        return int(self._head[1])

    @due.setter
    def due(self, record: int) -> None:
        self._head[1] = record

    def write(self, content: bytes | bytearray | memoryview) -> int:
        """Put `content` up as the current page and return its number.

        Raises
        ------
        InputError
            If it is larger than the board; the page before it stays.
        """
        length = len(content)
        if length > self.capacity:
            raise InputError(f"a page must fit the board's {self.capacity} bytes, had {length}")
        number = self.number + 1
        begin = _HEAD + (number % SLOTS) * self._slot
        # until the head points here nobody is sent here, and who still reads here finds that the checksum fails
        self._memory[begin + _CONTENT : begin + _CONTENT + length] = content
        _SLOT.pack_into(self._memory, begin, number, length, _checksum(number, length, content))
        self._head[0] = number
        return number

    def read(self) -> Page:
        """Return the current page, whole; an empty one of number 0 before the first.

        Raises
        ------
        InvariantError
            If what the head points to is not whole, however often it is looked at.
        """
        for _ in range(MOST_TRIES):
            number = self.number
            if number == 0:
                return Page(0, b"")
            begin = _HEAD + (number % SLOTS) * self._slot
            found, length, checksum = _SLOT.unpack_from(self._memory, begin)
            if found != number or length > self.capacity:
                continue  # a writer overtook us
            content = self._memory[begin + _CONTENT : begin + _CONTENT + length]
            if _checksum(number, length, content) == checksum:
                return Page(number, content)
        raise InvariantError(f"a page of the board must be whole, none was in {MOST_TRIES} copies")

    def close(self) -> None:
        """Let go of the mapping."""
        del self._head
        self._memory.close()


def _checksum(number: int, length: int, content: bytes | bytearray | memoryview) -> int:
    return zlib.crc32(content, zlib.crc32(struct.pack("=QQ", number, length)))


def _memory_without_name() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("crossmargin-board")
    with tempfile.TemporaryFile() as file:  # elsewhere, a file that no folder lists
        return os.dup(file.fileno())
