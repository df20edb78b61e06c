"""The board: what a reader sees is a page that was written, whole, also where the writer is killed while it writes."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.errors import InputError, InvariantError
from crossmargin.service.processes import board as boards
from crossmargin.service.processes.board import Board, Page

ROUNDS = """
import os, signal, sys, time
from crossmargin.service.processes.board import Board

def content(number):
    # says of itself whether it is whole: one byte value, in a length of its own
    return bytes([number % 251]) * (1 + number * 7919 % board.capacity)

def write():
    while True:
        board.write(content(board.number + 1))

def read(pipe):
    reader, last = Board(board.descriptor), 0
    while os.getppid() == parent:
        page = reader.read()
        if page.number < last or (page.number and page.content != content(page.number)):
            os.write(pipe, b"torn")
            os._exit(1)
        if page.number != last:
            os.write(pipe, b".")
        last = page.number

def child(work, *arguments):
    pid = os.fork()
    if pid == 0:
        work(*arguments)
    return pid

board, parent = Board.new(1 << 16), os.getpid()
pipes = [os.pipe() for _ in range(2)]
readers = [child(read, pipe[1]) for pipe in pipes]
for number in range(30):
    writer = child(write)
    # killed after both readers have seen pages of its, and then at any point of its work
    seen = [os.read(pipe[0], 1 << 16) for pipe in pipes]
    time.sleep(number * 0.0007)
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    page = board.read()
    assert page.content == content(page.number), "torn after a kill"
    assert not any(b"torn" in each for each in seen), "a reader saw a torn page"
for reader in readers:
    assert os.waitpid(reader, os.WNOHANG) == (0, 0), "a reader ended"
    os.kill(reader, signal.SIGKILL)
    os.waitpid(reader, 0)
print(board.number)
"""


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_readers_see_what_was_written_last(contents):
    board = Board.new(200)
    reader = Board(board.descriptor)
    assert reader.read() == Page(0, b"")
    for number, content in enumerate(contents, start=1):
        assert board.write(content) == number == reader.number
        assert reader.read() == Page(number, content)
    reader.close()
    board.close()
    os.close(board.descriptor)


def test_a_page_that_is_too_large_is_refused_and_the_one_before_stays():
    board = Board.new(100)
    board.write(b"kept")
    with pytest.raises(InputError, match=f"a page must fit the board's {board.capacity} bytes"):
        board.write(bytes(board.capacity + 1))
    assert board.read() == Page(1, b"kept")


def test_a_reader_cannot_write():
    board = Board.new(100)
    with pytest.raises(TypeError):
        Board(board.descriptor).write(b"x")


@settings(max_examples=60, deadline=None)
@given(before=st.binary(max_size=300), content=st.binary(min_size=1, max_size=300), done=st.floats(0, 1))
def test_a_writer_that_died_at_any_byte_leaves_the_page_before_it(before, content, done):
    """The bytes that a write had stored when it died, in the order in which it stores them, but for the head."""
    board = Board.new(300)
    board.write(before)
    begin = boards._HEAD + (2 % boards.SLOTS) * board._slot
    stored = content[: int(done * len(content))]
    board._memory[begin + boards._CONTENT : begin + boards._CONTENT + len(stored)] = stored
    if len(stored) == len(content):
        boards._SLOT.pack_into(board._memory, begin, 2, len(content), 0)
    assert Board(board.descriptor).read() == Page(1, before)


def test_damage_under_the_head_is_never_believed(monkeypatch):
    """With the checksum off the same damage is read as a page: the check is what finds it."""
    monkeypatch.setattr(boards, "MOST_TRIES", 10)
    board = Board.new(100)
    board.write(b"whole")
    begin = boards._HEAD + (1 % boards.SLOTS) * board._slot + boards._CONTENT
    board._memory[begin : begin + 1] = b"X"
    with pytest.raises(InvariantError, match="a page of the board must be whole"):
        board.read()
    boards._SLOT.pack_into(board._memory, begin - boards._CONTENT, 1, 5, boards._checksum(1, 5, b"Xhole"))
    assert board.read().content == b"Xhole"


def test_no_reader_sees_a_torn_page_while_writers_are_killed():
    """Readers in two processes, and a writer that is killed thirty times at any point of its work."""
    done = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


class Overtaken:
    """A reader's memory whose copy of content is interrupted half way by a writer that comes round to the same slot."""

    def __init__(self, memory, write):
        self.memory, self.write = memory, write

    def __getitem__(self, part):
        middle = (part.start + part.stop) // 2
        first = self.memory[part.start : middle]
        if self.write is not None:
            self.write(b"b" * 400)
            self.write(b"c" * 400)
            self.write = None
        return first + self.memory[middle : part.stop]


@pytest.mark.parametrize("checked", [True, False])
def test_a_reader_that_is_overtaken_while_it_copies_copies_again(monkeypatch, checked):
    """With the checksum off it would see half of one page and half of another."""
    board = Board.new(1 << 12)
    board.write(b"a" * 400)
    reader = Board(board.descriptor)
    whole, unpack = reader._memory, boards._SLOT.unpack_from
    reader._memory = Overtaken(whole, board.write)
    monkeypatch.setattr(
        boards,
        "_SLOT",
        type("Slot", (), {"pack_into": boards._SLOT.pack_into, "unpack_from": lambda _, at: unpack(whole, at)}),
    )
    if not checked:
        monkeypatch.setattr(boards, "_checksum", lambda *_: unpack(whole, boards._HEAD + reader._slot)[2])
    found = reader.read()
    assert found == (Page(3, b"c" * 400) if checked else Page(1, b"a" * 200 + b"c" * 200))
