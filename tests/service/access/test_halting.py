"""Halt and resume on the command line, against a service that runs: done, waiting for a second owner, or refused."""

import contextlib
import json
import socket
import subprocess
import sys
import threading

import pytest
from serving import reserved_port, serving

from crossmargin.cli import app
from crossmargin.client import clients
from crossmargin.errors import InputError
from crossmargin.service import operator_routes
from crossmargin.service.access.roles import Scope
from crossmargin.service.access.signatures import ed25519_public
from crossmargin.service.application import application

REASON = "the index of BTC is in doubt"


@pytest.fixture
def url(writer, access):
    with serving(application(writer, access=access)) as url:
        yield url
    with writer.lock:
        assert writer.engine.state.halt is None, "a test left the house halted for the others"


@pytest.fixture
def holds(access, monkeypatch, tmp_path):
    """Let the environment name a new key with such scopes."""

    def make(*scopes, accounts=None, private=None):
        public = None if private is None else ed25519_public(private).hex()
        key, secret = access.keys.create(
            owner="night-desk", scopes=frozenset(scopes), accounts=accounts, created_ns=1, public=public
        )
        monkeypatch.setenv("CROSSMARGIN_KEY", key.id)
        monkeypatch.delenv("CROSSMARGIN_SECRET", raising=False)
        if private is None:
            monkeypatch.setenv("CROSSMARGIN_SECRET", secret)
        return key

    return make


def run(capsys, command, url, *more, reason=REASON):
    """Return exit code and what was printed."""
    code = 0
    try:
        app([command, "--service", url, "--reason", reason, *more], result_action="return_value")
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr().out


def halted(writer):
    with writer.lock:
        held = writer.engine.state.halt
        return None if held is None else (held.breaker, held.finding)


@pytest.mark.parametrize("private", [None, bytes(range(1, 33))], ids=["HMAC", "Ed25519"])
def test_an_operator_halts_and_reopens(url, writer, access, holds, capsys, tmp_path, private):
    key = holds(Scope.READ, Scope.ADMIN, private=private)
    more = []
    if private is not None:
        (tmp_path / "half").write_text(private.hex() + "\n")
        more = ["--private-key", str(tmp_path / "half")]
    code, told = run(capsys, "halt", url, *more)
    assert (code, told) == (0, f"done: {url} is halted, {REASON}\n")
    assert halted(writer) == ("OPERATOR", REASON)
    with pytest.raises(InputError, match=r"must be open to be halted, .* is halted already: OPERATOR$"):
        run(capsys, "halt", url, *more)
    code, told = run(capsys, "resume", url, "--json", *more, reason="confirmed with two venues")
    record = json.loads(told)
    assert (code, record["state"], record["asked"], record["approval"]) == (0, "done", "Resume", None)
    assert record["command"].startswith(f"api-{key.owner}:")
    assert halted(writer) is None
    with pytest.raises(InputError, match=r"must be halted to be reopened, .* is open$"):
        run(capsys, "resume", url, *more)
    assert [each.decision for each in access.log.newest(12) if each.decision.startswith("asked")][:2] == [
        "asked for Resume",
        "asked for Resume",
    ]


@pytest.mark.parametrize("command", ["halt", "resume"])
def test_without_the_right_nothing_is_done(url, writer, access, holds, capsys, monkeypatch, command):
    before = writer.sequence
    for scopes, accounts in (((Scope.READ, Scope.TRADE, Scope.RISK), None), ((Scope.ADMIN,), frozenset({"hedger"}))):
        key = holds(*scopes, accounts=accounts)
        with pytest.raises(InputError, match=rf"must let a key ask for {command.title()}, it refuses {key.id}: "):
            run(capsys, command, url)
    access.keys.revoke(key.id, 2)
    with pytest.raises(InputError, match=f"must know the key, it refuses {key.id}$"):
        run(capsys, command, url)
    for name in ("KEY", "SECRET"):
        monkeypatch.delenv(f"CROSSMARGIN_{name}")
    with pytest.raises(InputError, match=r"must know the key, it refuses who has no key$"):
        run(capsys, command, url)
    assert writer.sequence == before


def test_what_waits_for_a_second_owner_is_not_done(url, writer, holds, capsys, monkeypatch):
    """No service asks two owners for a halt today; one that does is understood."""
    monkeypatch.setattr(operator_routes, "FourEyes", operator_routes.ask.Halt)
    monkeypatch.setattr(operator_routes, "waits", waits)
    holds(Scope.READ, Scope.ADMIN)
    code, told = run(capsys, "halt", url)
    assert (code, told) == (1, f"waiting: Halt at {url} is not done, a second owner must approve 5f2b9c0d7e614a38\n")
    code, told = run(capsys, "halt", url, "--json")
    record = json.loads(told)
    assert (code, record["state"], record["approval"], record["command"]) == (1, "waiting", "5f2b9c0d7e614a38", None)
    assert halted(writer) is None


def waits(_, who, command):
    record = {"id": "5f2b9c0d7e614a38", "asked_by": who.owner, "state": "pending", "command": {"type": "Halt"}}
    return operator_routes.Response(record, status_code=202)


@pytest.mark.parametrize("more", [["--reason", " "], ["--certificate", "nowhere.pem", "--reason", "x"]])
def test_bad_input_is_one_line_and_exit_code_2(more):
    with reserved_port() as port:
        arguments = ["halt", "--service", f"http://127.0.0.1:{port}", *more]
        done = subprocess.run(
            [sys.executable, "-m", "crossmargin", *arguments], capture_output=True, text=True, timeout=300
        )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith("error: a ")


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(clients, "LONGEST_PAUSE_S", 0.0)


@contextlib.contextmanager
def silent(asked, first=b""):
    """Listen for so many connections, read of each, answer the first so, and hang up; then nobody is there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hear():
            for number in range(asked):
                connection, _ = listening.accept()
                if number == asked - 1:
                    listening.close()  # before the answer, upon which the next attempt comes
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(b"" if number else first)

        hearing = threading.Thread(target=hear, daemon=True)
        hearing.start()
        yield listening.getsockname()[1]
        hearing.join(timeout=60)
        assert not hearing.is_alive()


@pytest.mark.usefixtures("hasty")
def test_where_nothing_was_sent_that_is_said(capsys):
    with reserved_port() as port, pytest.raises(InputError, match=r"a service must answer at .*; Halt was not sent$"):
        run(capsys, "halt", f"http://127.0.0.1:{port}")
    with silent(clients.ATTEMPTS) as port, pytest.raises(InputError, match=r"; Resume was not sent$"):
        run(capsys, "resume", f"https://127.0.0.1:{port}")  # who does not speak TLS hears no request
    for url in ("ftp://127.0.0.1", "http://[::1"):
        with pytest.raises(InputError, match=r"; Halt was not sent$"):
            run(capsys, "halt", url)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("asked", [1, clients.ATTEMPTS])
def test_where_one_attempt_may_have_arrived_nothing_is_promised(capsys, asked):
    """Of five attempts the first was heard, and then nobody was there any more."""
    with silent(asked) as port, pytest.raises(InputError, match=r"; whether it took Halt is not known$"):
        run(capsys, "halt", f"http://127.0.0.1:{port}")


@pytest.mark.usefixtures("hasty")
def test_a_no_that_was_heard_before_the_service_went_is_told(capsys):
    no = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with silent(1, no) as port, pytest.raises(InputError, match=r"must take Halt, it refuses: the service must answer"):
        run(capsys, "halt", f"http://127.0.0.1:{port}")
