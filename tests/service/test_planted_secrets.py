"""Secrets of every kind in a service that runs as a process of its own: what it tells anybody holds none of them."""

import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from own_process import served, small_folder
from planted import MASTER, PASSWORD, leaks
from processes.several import free_port

from crossmargin import cli
from crossmargin.client import Key
from crossmargin.service.access.keys import KeyStore, master_key
from crossmargin.service.access.roles import Scope
from crossmargin.service.access.users import UserStore

DATABASE = "canary/database#9Zw"
CHANNEL, PATH, DEAD = "canary-channel-4Rt", "canary-path-8Uj", "canary-dead-3Ke"
TRACE = "canary-trace-2Lm"
OWN_VARIABLE = "canary-variable-6Vb"
ASKED = (
    "overview", "accounts", "accounts/cash-only", "accounts/cash-only/explain", "parameters", "audit", "approvals", "alerts",
    "margin-calls", "session", "feeds", "schema/openapi.json", "nothing-of-the-kind",
)  # fmt: skip


class Sink(BaseHTTPRequestHandler):
    """Takes traces and alerts, and keeps what was sent, but for the headers by which a channel lets us in."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((self.path.partition("?")[0].encode(), body))
        # a collector that takes nothing, and repeats in its answer what it was asked
        self.send_response(*((400, f"no such place: {self.path}") if "traces" in self.path else (200,)))
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def sink():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.taken = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def configured(tmp_path, sink, metrics_port):
    """Write a configuration and rules of alerts with a secret in each place that takes one."""
    rules, configuration = tmp_path / "alerts.toml", tmp_path / "crossmargin.toml"
    rules.write_text(f"""
[channels]
desk = "env:CROSSMARGIN_ALERT_DESK"
dead = "json://ops:{DEAD}@127.0.0.1:1/{DEAD}"
[[rules]]
name = "always"
metric = "crossmargin_insurance_fund_usd"
when = "above"
levels = [{{ level = "warning", at = -1e12, clear = -2e12, tell = ["desk", "dead"] }}]
""")
    # nobody answers there: the tables are down, and what that tells is looked at too
    configuration.write_text(f"""
[service]
database = "postgresql://me:{DATABASE}@127.0.0.1:1/none"
trace_endpoint = "http://127.0.0.1:{sink.server_port}/v1/traces?token={TRACE}"
alerts = "{rules}"
metrics_port = {metrics_port}
""")
    return configuration


def ask_all(service, key, secrets):
    """Ask with a key, with a session, and wrongly in ways that carry secrets; return every answer."""
    page, told = service.pages, {}

    def kept(name, answer):
        told[f"answer to {name}"] = answer.content + str(answer.headers).encode()
        return answer

    def signed(path):
        return key.headers("GET", path, "", b"", "")

    service.until(lambda: page.get("/api/v1/overview", headers=signed("/api/v1/overview")).status_code == 200)
    begun = page.post("/api/v1/session", json={"user": "ada", "password": PASSWORD})
    cookie = begun.headers["set-cookie"].partition(";")[0]
    secrets["cookie"], who = cookie.partition("=")[2], {"Cookie": cookie}
    found = {each: kept(each, page.get(f"/api/v1/{each}", headers=who)).status_code for each in ASKED}
    assert {found[each] for each in ("overview", "accounts", "parameters", "approvals", "alerts", "session")} == {200}
    assert b"the database must answer" in told["answer to margin-calls"]
    last = signed("/api/v1/accounts")
    secrets["signature"] = last["X-Crossmargin-Signature"]
    assert kept("a signature", page.get("/api/v1/accounts", headers=last)).status_code == 200
    assert kept("a replay", page.get("/api/v1/accounts", headers=last)).status_code == 401
    kept("a wrong password", page.post("/api/v1/session", json={"user": "ada", "password": f"{PASSWORD}!"}))
    kept("a password as a name", page.post("/api/v1/session", json={"user": PASSWORD, "password": 1}))
    kept("a body that is none", page.post("/api/v1/session", content=PASSWORD))
    kept("a cookie in a query", page.get(f"/api/v1/accounts?limit={secrets['cookie']}", headers=who))
    kept("a secret as a key", page.get("/api/v1/accounts", headers=last | {"X-Crossmargin-Key": secrets["key"]}))
    kept("a secret as an account", page.get(f"/api/v1/accounts/{secrets['key']}", headers=last))
    return told


def run(capsys, monkeypatch, *arguments):
    """Run a command in this process; return what it printed, and whatever it may have raised with its traceback."""
    monkeypatch.setattr(sys, "argv", ["crossmargin", *map(str, arguments)])
    capsys.readouterr()
    raised = ""
    try:
        cli.main()
    except SystemExit:
        pass
    except Exception:
        raised = traceback.format_exc()
    out, err = capsys.readouterr()
    return (out + err + raised).encode()


def test_a_service_that_is_full_of_secrets_tells_none(tmp_path, sink, capsys, monkeypatch):
    sinks, secrets, written = told_by_a_service(tmp_path, sink, capsys, monkeypatch)
    assert leaks(sinks, secrets) == []
    asked = {name: content for name, content in sinks.items() if name.startswith(("answer", "command"))}
    assert leaks(asked, {"what is kept of a password": "argon2"}) == []
    # the search would find them: each stands in the file or the variable that it was written to
    assert {name for _, name in leaks(written, secrets)} == set(secrets) - {"key", "password", "cookie", "signature"}


@pytest.mark.soak
def test_without_the_hiding_the_log_tells_a_secret(tmp_path, sink, capsys, monkeypatch):
    without = {"PYTHONPATH": str(Path(__file__).with_name("without_redaction"))}
    sinks, secrets, _ = told_by_a_service(tmp_path, sink, capsys, monkeypatch, **without)
    assert leaks(sinks, secrets) == [("log", "trace")]


def told_by_a_service(tmp_path, sink, capsys, monkeypatch, **more):
    """Return what each sink of a service holds, the secrets that were planted, and where they were."""
    folder, metrics_port, backup = tmp_path / "data", free_port(), tmp_path / "backup"
    small_folder(folder)
    environment = {
        "CROSSMARGIN_MASTER_KEY": MASTER,
        "CROSSMARGIN_ALERT_DESK": f"json://ops:{CHANNEL}@127.0.0.1:{sink.server_port}/{PATH}",
        "CROSSMARGIN_OF_ITS_OWN": OWN_VARIABLE,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    keys = KeyStore(folder / "access.sqlite", master_key(folder))
    made, secret = keys.create(owner="desk", scopes=frozenset(Scope), accounts=None, created_ns=1)
    keys.close()
    users = UserStore(folder / "access.sqlite")
    users.set("ada", password=PASSWORD, role="admin", accounts=None)
    users.close()
    secrets = {"master": MASTER, "key": secret, "password": PASSWORD, "database": DATABASE, "channel": CHANNEL,
               "path": PATH, "dead channel": DEAD, "trace": TRACE, "variable": OWN_VARIABLE}  # fmt: skip
    config = configured(tmp_path, sink, metrics_port)
    with served(folder, "--config", str(config), **environment, **more) as service:
        sinks = ask_all(service, Key(id=made.id, secret=secret), secrets)
        service.until(lambda: any(path == f"/{PATH}".encode() for path, _ in sink.taken))
        service.until(lambda: b"127.0.0.1" in service.log.read_bytes())
        sinks["metrics"] = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").content
        sinks["command lines"] = b"".join(Path(f"/proc/{each}/cmdline").read_bytes() for each in service.family())
        for name, arguments in {
            "keys": ("keys", "list", "--folder", folder, "--json"),
            "users": ("users", "list", "--folder", folder, "--json"),
            "audit log": ("audit-log", "--folder", folder, "--show", "--json"),
            "doctor": ("doctor", "--service", "--folder", folder, "--port", service.port, "--config", config, "--json"),
            "backup": ("backup", folder, backup, "--json"),
        }.items():
            sinks[f"command {name}"] = run(capsys, monkeypatch, *arguments)
            assert b"{" in sinks[f"command {name}"], sinks[f"command {name}"]
    sinks["log"] = service.log.read_bytes()
    sinks["traces and alerts"] = b"".join(body for _, body in sink.taken)
    for kept in (folder, backup):
        sinks |= {str(path): path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    assert b"crossmargin_" in sinks["metrics"]
    assert b"GET /api/v1/accounts/{name}" in sinks["traces and alerts"]
    assert b"cannot be written" in sinks["log"]
    assert b"sending JSON" in sinks["log"]
    assert b"Failed to export" in sinks["log"]
    where = {"configuration": config.read_bytes() + (tmp_path / "alerts.toml").read_bytes()}
    where["environment"] = "\0".join(environment.values()).encode()
    return sinks, secrets, where
