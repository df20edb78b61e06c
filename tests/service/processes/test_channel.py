"""The way of connections between processes, on the plain socket calls of any event loop."""

import contextlib
import socket
import threading

import pytest

from crossmargin.service.processes.channel import hand_back, hand_over, taken_over

LONGEST_S = 60.0


@pytest.fixture
def way():
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ends
    for each in ends:
        each.close()


def in_time(work):
    """Run `work` in a thread that a call which waits for ever does not end."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(LONGEST_S)
    assert not thread.is_alive()
    return found[0]


@pytest.mark.parametrize("blocks", [False, True])
def test_looking_for_a_connection_never_waits_whatever_the_way_is_set_to(way, blocks):
    ours, theirs = way
    theirs.setblocking(blocks)
    assert in_time(lambda: taken_over(theirs)) is None
    client, connection = socket.socketpair()
    with client:
        hand_over(ours, connection, b"POST ")
        connection.close()
        found = in_time(lambda: taken_over(theirs))
        with found.connection:
            found.connection.send(b"here")
            assert (client.recv(9), found.begun) == (b"here", b"POST ")
    assert in_time(lambda: taken_over(theirs)) is None


def filled(way, connection):
    """Hand a connection over until there is no room, and return how often there was."""
    times = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            hand_over(way, connection)
            times += 1
    return times


@pytest.mark.parametrize("give", [hand_back, hand_over])
def test_a_connection_that_goes_back_waits_for_room_where_handing_over_fails(way, give):
    ours, theirs = way
    ours.setblocking(False)
    client, connection = socket.socketpair()
    with client, connection:
        waiting = filled(ours, connection)
        if give is hand_over:
            with pytest.raises(BlockingIOError):
                give(ours, connection, b"last")
            return
        giving = threading.Thread(target=give, args=(ours, connection, b"last"), daemon=True)
        giving.start()
        begun = []
        while len(begun) <= waiting:
            found = taken_over(theirs)
            if found is not None:
                found.connection.close()
                begun.append(found.begun)
        giving.join(LONGEST_S)
        assert begun == [b""] * waiting + [b"last"]
