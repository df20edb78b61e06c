"""TLS, and the proxy in front, on a real socket: whom a client believes, and whose word the service takes for an address."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import os
import ssl
import time
import warnings

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from serving import running
from textual.widgets import DataTable, Static
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from crossmargin.cli import app
from crossmargin.client import Client, ServiceError, key_in
from crossmargin.errors import InputError
from crossmargin.service.access.roles import Scope
from crossmargin.service.access.signatures import ed25519_public
from crossmargin.service.configuration import Settings, settings
from crossmargin.service.listening import require_tls, server_configuration
from crossmargin.watching import Watch

from .conftest import Caller

ALL = frozenset(Scope)
PROXY, ELSEWHERE = "127.0.0.2", "127.0.0.3"
ALLOWED, OUTSIDE = "203.0.113.7", "198.51.100.9"
"""Of the networks that are kept for documents (RFC 5737)."""


@contextlib.contextmanager
def listening(client, **chosen):
    configuration = server_configuration(client.app, Settings(**chosen))
    configuration.lifespan = "off"  # the client of the tests has opened it
    with running(configuration) as port:
        yield port


def certificate(folder, host="127.0.0.1"):
    """Make a certificate that signs itself; return its file and that of its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)  # noqa: TID251
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    at = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    begin, end = now - dt.timedelta(days=1), now + dt.timedelta(days=9)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begin, end)
    made = made.add_extension(at, critical=False).sign(key, hashes.SHA256())
    folder.mkdir()
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    write_key(folder / "key.pem", key)
    return {"certificate": str(folder / "certificate.pem"), "private_key": str(folder / "key.pem")}


def write_key(path, key, passphrase=None):
    hidden = serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
    path.touch(0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden))


def trusting(pair):
    return ssl.create_default_context(cafile=pair["certificate"])


def test_a_client_that_knows_the_certificate_is_answered_and_another_goes_away(client, tmp_path):
    ours, theirs = certificate(tmp_path / "ours"), certificate(tmp_path / "theirs")
    with listening(client, **ours) as port:
        url = f"https://127.0.0.1:{port}"
        assert httpx.get(f"{url}/health", verify=trusting(ours)).json()["status"] == "ok"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{url}/health", verify=trusting(theirs))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{url}/health")
        # nothing is answered in the open
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/health")
        with connect(f"wss://127.0.0.1:{port}/ws/api/v2", ssl=trusting(ours)) as opened:
            opened.send('{"jsonrpc":"2.0","id":1,"method":"public/test"}')
            assert "version" in opened.recv()
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(f"wss://127.0.0.1:{port}/ws/api/v2", ssl=trusting(theirs))


def test_a_certificate_of_another_host_is_refused(client, tmp_path):
    other = certificate(tmp_path / "other", host=ALLOWED)
    with listening(client, **other) as port, pytest.raises(httpx.ConnectError, match="IP address mismatch"):
        httpx.get(f"https://127.0.0.1:{port}/health", verify=trusting(other))


def test_versions_of_tls_that_are_broken_are_not_spoken(client, tmp_path):
    pair = certificate(tmp_path / "ours")
    old = trusting(pair)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with listening(client, **pair) as port, pytest.raises(httpx.ConnectError):
        httpx.get(f"https://127.0.0.1:{port}/health", verify=old)


@pytest.fixture(params=["HMAC", "Ed25519"])
def in_environment(request, access, tmp_path, monkeypatch):
    """A key that the environment names, as an operator's terminal has it."""
    private = bytes(range(32))
    public = None if request.param == "HMAC" else ed25519_public(private).hex()
    key, secret = access.keys.create(owner="desk", scopes=ALL, accounts=None, created_ns=1, public=public)
    monkeypatch.setenv("CROSSMARGIN_KEY", key.id)
    if secret is None:
        (tmp_path / "half").write_text(private.hex() + "\n")
        monkeypatch.setenv("CROSSMARGIN_KEY_FILE", str(tmp_path / "half"))
    else:
        monkeypatch.setenv("CROSSMARGIN_SECRET", secret)
    return key


def said(capsys, *arguments):
    app(list(map(str, arguments)), result_action="return_value")
    return json.loads(capsys.readouterr().out)


def held(writer):
    """Return how many accounts the house has; other tests of the folder may have opened some."""
    with writer.lock:
        return len(writer.engine.state.accounts)


def test_watch_looks_with_a_key_over_tls(client, writer, access, in_environment, tmp_path, monkeypatch, capsys):
    pair = certificate(tmp_path / "ours")
    with listening(client, **pair) as port:
        look = ("watch", f"https://127.0.0.1:{port}", "--json")
        seen = said(capsys, *look, "--certificate", pair["certificate"])
        assert len(seen["accounts"]) == held(writer)
        with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
            said(capsys, *look)
        access.keys.revoke(in_environment.id, 2)
        with pytest.raises(InputError, match=f"must know the key, it refuses {in_environment.id}$"):
            said(capsys, *look, "--certificate", pair["certificate"])
        for name in ("KEY", "KEY_FILE", "SECRET"):
            monkeypatch.delenv(f"CROSSMARGIN_{name}", raising=False)
        with pytest.raises(InputError, match="must know the key, none was given"):
            said(capsys, *look, "--certificate", pair["certificate"])


def test_the_screen_watches_with_a_key_over_tls_and_says_when_it_is_refused(
    client, writer, access, in_environment, tmp_path
):
    pair = certificate(tmp_path / "ours")

    async def run(port, key, is_there):
        watch = Watch(f"https://127.0.0.1:{port}", key=key, every_s=0.1, tls=trusting(pair))
        async with watch.run_test(size=(120, 40)) as pilot:
            deadline = time.monotonic() + 120
            while not is_there(watch):
                assert time.monotonic() < deadline, status(watch)
                await pilot.pause(0.05)

    def status(watch):
        return str(watch.query_one("#status", Static).render())

    with listening(client, **pair) as port:
        key = key_in(os.environ)
        asyncio.run(run(port, key, lambda watch: watch.query_one("#accounts", DataTable).row_count == held(writer)))
        access.keys.revoke(key.id, 2)
        asyncio.run(run(port, key, lambda watch: f"the service refuses the key {key.id}" in status(watch)))
        asyncio.run(run(port, None, lambda watch: "the service asks for a key" in status(watch)))


def test_doctor_asks_a_running_service_with_a_key_over_tls(
    client, access, folder, in_environment, tmp_path, monkeypatch, capsys
):
    pair, other = certificate(tmp_path / "ours"), certificate(tmp_path / "other")
    monkeypatch.setenv("CROSSMARGIN_FOLDER", str(folder))

    def found(port, pair):
        for name in ("CERTIFICATE", "PRIVATE_KEY"):
            monkeypatch.setenv(f"CROSSMARGIN_{name}", pair[name.lower()])
        with contextlib.suppress(SystemExit):
            app(["doctor", "--service", "--json", "--port", str(port)], result_action="return_value")
        checks = json.loads(capsys.readouterr().out)["checks"]
        return {each["check"]: (each["ok"], each["finding"]) for each in checks}

    with listening(client, **pair) as port:
        seen = found(port, pair)
        assert seen["port"] == (True, f"127.0.0.1:{port} answers: ok")
        assert seen["own key"] == (True, f"{in_environment.id} is known")
        # the certificate was changed and the service was not started again
        seen = found(port, other)
        assert [name for name, (ok, _) in seen.items() if not ok] == ["port", "own key"]
        access.keys.revoke(in_environment.id, 2)
        seen = found(port, pair)
        assert not seen["own key"][0]
        assert seen["own key"][1].startswith(f"a key must be one that the service knows, {in_environment.id} is not")


@pytest.mark.parametrize(
    ("named", "finding"),
    [
        ({"CROSSMARGIN_SECRET": "s"}, "CROSSMARGIN_KEY is not set"),
        ({"CROSSMARGIN_KEY": "k"}, "k has none or both"),
        ({"CROSSMARGIN_KEY": "k", "CROSSMARGIN_KEY_FILE": "/nowhere/half"}, "a file that can be read"),
        ({"CROSSMARGIN_KEY": "k", "CROSSMARGIN_KEY_FILE": "short"}, "32 bytes in hexadecimal, that of k is not"),
        ({"CROSSMARGIN_KEY": "k", "CROSSMARGIN_KEY_FILE": "pem"}, "32 bytes in hexadecimal, that of k is not"),
        ({"CROSSMARGIN_KEY": "k", "CROSSMARGIN_KEY_FILE": "binary"}, "hexadecimal, binary is not"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_in_a_line(tmp_path, monkeypatch, named, finding):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("ab" * 31)
    (tmp_path / "pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "binary").write_bytes(bytes(range(128, 160)))
    with pytest.raises(InputError, match=finding):
        key_in(named)


def test_a_pair_that_cannot_serve_is_refused_in_a_line_before_anything_is_opened(tmp_path):
    ours, theirs = certificate(tmp_path / "ours"), certificate(tmp_path / "theirs")
    require_tls(Settings(**ours))
    require_tls(Settings())
    write_key(tmp_path / "hidden.pem", ec.generate_private_key(ec.SECP256R1()), passphrase=b"x")
    (tmp_path / "text.pem").write_text("no PEM")
    for certificate_file, key_file, finding in (
        (ours["certificate"], theirs["private_key"], "of one pair"),
        (ours["certificate"], tmp_path / "hidden.pem", "without a passphrase"),
        (ours["certificate"], tmp_path / "none.pem", "found none at"),
        (tmp_path, ours["private_key"], "found none at"),
        (tmp_path / "text.pem", ours["private_key"], "must be PEM"),
        (ours["private_key"], ours["private_key"], "must be PEM"),
    ):
        with pytest.raises(InputError, match=finding):
            require_tls(Settings(certificate=str(certificate_file), private_key=str(key_file)))


class Signer:
    """A key whose requests must come from one network, used from any."""

    def __init__(self, access):
        key, secret = access.keys.create(
            owner="listed", scopes=ALL, accounts=None, created_ns=1, networks=["203.0.113.0/24"]
        )
        self.caller = Caller(None, key.id, secret)

    def asks(self, port, source, *forwarded):
        """Ask from a source, with what a proxy says; return the status."""
        headers = [*self.caller.headers("GET", "/api/v1/overview").items()]
        headers += [("X-Forwarded-For", each) for each in forwarded]
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as asking:
            return asking.get(f"http://127.0.0.1:{port}/api/v1/overview", headers=headers).status_code

    def opens(self, port, source, forwarded):
        headers = {**self.caller.headers("WEBSOCKET", "/api/v1/stream"), "X-Forwarded-For": forwarded}
        at = f"ws://127.0.0.1:{port}/api/v1/stream"
        try:
            with connect(at, additional_headers=headers, source_address=(source, 0)):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code


@pytest.fixture(scope="module")
def signer(access):
    return Signer(access)


def test_an_allow_list_is_of_what_the_proxy_says_and_of_nobody_elses_word(client, signer, access):
    count, _ = access.log.verified()
    with listening(client, proxy=PROXY) as port:
        assert signer.asks(port, PROXY, ALLOWED) == 200
        assert signer.asks(port, PROXY, f"{OUTSIDE}, {ALLOWED}") == 200
        assert signer.asks(port, PROXY, OUTSIDE) == 401
        assert signer.asks(port, PROXY) == 401
        assert signer.asks(port, ELSEWHERE, ALLOWED) == 401
        # a client behind the proxy says where it comes from too: the proxy's word is the last
        assert signer.asks(port, PROXY, f"{ALLOWED}, {OUTSIDE}") == 401
        assert signer.asks(port, PROXY, ALLOWED, OUTSIDE) == 401
        assert signer.asks(port, PROXY, "nowhere") == 401
        assert signer.opens(port, PROXY, ALLOWED) == 101
        assert signer.opens(port, ELSEWHERE, ALLOWED) in {401, 403}
    written = [each.address for each in list(access.log.entries())[count:]]
    assert written == [OUTSIDE, PROXY, ELSEWHERE, OUTSIDE, OUTSIDE, "nowhere", ELSEWHERE]


def test_without_a_proxy_nobodys_word_is_taken(client, signer):
    with listening(client) as port:
        assert signer.asks(port, PROXY, ALLOWED) == signer.asks(port, "127.0.0.1", ALLOWED) == 401


def test_believing_everybody_would_let_a_forger_in(client, signer, monkeypatch):
    """What is refused as a setting, tried past the refusal."""
    monkeypatch.setattr("crossmargin.service.configuration._require_addresses", lambda _: None)
    with listening(client, proxy="*") as port:
        assert signer.asks(port, ELSEWHERE, ALLOWED) == 200


@pytest.mark.parametrize("proxy", ["*", "0.0.0.0/0", "::/0", "proxy.example", "", "192.0.2.1,", "192.0.2.1/24"])
def test_a_proxy_is_an_address_or_a_network(proxy):
    with pytest.raises(InputError, match="a proxy must be"):
        settings({"proxy": proxy}, {})
    assert settings({"proxy": "192.0.2.1, 2001:db8::/64"}, {}).proxy == "192.0.2.1, 2001:db8::/64"


def test_the_client_logs_in_and_decides_what_another_asked(client, access, in_environment, tmp_path):
    """By a session: its cookie and its token against forged requests go along, until it is ended."""
    pair = certificate(tmp_path / "ours")
    access.users.set("bea", password="correct horse battery", role="admin", accounts=None)  # noqa: S106
    with listening(client, **pair) as port:
        url, tls = f"https://127.0.0.1:{port}", trusting(pair)
        with Client(url, key=key_in(os.environ), tls=tls) as asking, Client(url, tls=tls) as deciding:
            (engine,) = (each for each in asking.parameters().items if each.name == "engine")
            waiting = asking.change_parameters({"parameters": engine.values}).approval
            assert deciding.log_in("bea", "correct horse battery").user == "bea"
            assert deciding.session().scopes == ("admin", "read", "risk")
            (item,) = (each for each in deciding.approvals().items if each.id == waiting)
            assert (item.state, item.command["type"]) == ("pending", "SetParameters")
            decided = deciding.decide(waiting, "approve")
            assert (decided.state, decided.decided_by) == ("approved", "bea")
            assert [each["type"] for each in decided.events] == ["ParametersChanged"]
            another = asking.change_parameters({"parameters": engine.values}).approval
            assert deciding.decide(another, "reject").events == ()
            assert deciding.log_out().user is None
            with pytest.raises(ServiceError) as caught:
                deciding.session()
            assert caught.value.status == 401
