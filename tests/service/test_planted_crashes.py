"""A secret in what cannot be served, in what fails while it is answered, and in what libraries log of their work."""

import asyncio
import json
import logging
import sys
import traceback

import msgspec
import pytest
from litestar.testing import TestClient
from prometheus_client import generate_latest

from crossmargin import cli
from crossmargin.cli import access
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service import alert_channels, error_answers, views
from crossmargin.service.access.keys import master_key
from crossmargin.service.access.users import UserStore
from crossmargin.service.alert_channels import Delivery
from crossmargin.service.application import application
from crossmargin.service.logs import channel_secrets, open_logs
from crossmargin.service.measures import Measures
from crossmargin.service.metrics import CountRequests
from crossmargin.service.opening import opening_commands
from crossmargin.service.tracing import TraceRequests
from crossmargin.service.writer import Writer

PLANTED = "planted-4x7Kq2"
PEM = f"-----BEGIN PRIVATE KEY-----\n{PLANTED}\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def logs():
    """Give back the root logger's handlers, which the command line replaces."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def told(capsys, monkeypatch, tmp_path, logs):
    """Run a command in this process; return all that it printed, and the traceback where it ended in one."""

    def run(config, rules="", command=("serve",), **environment):
        for name, text in (("crossmargin.toml", config), ("alerts.toml", rules), ("bad.pem", PEM)):
            (tmp_path / name).write_text(text)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "access.sqlite").touch(mode=0o600)  # keys are looked for there
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["crossmargin", *command, "--config", "crossmargin.toml", "--folder", "data"])
        capsys.readouterr()
        raised = ""
        with pytest.raises(BaseException) as stopped:  # noqa: PT011  (whatever it is, it is looked at)
            cli.main()
        if not isinstance(stopped.value, SystemExit):
            raised = "".join(traceback.format_exception(stopped.value))
        out, err = capsys.readouterr()
        return out + err + raised

    return run


OPEN = "[service]\nopen = true\n"
WITH_RULES = f'{OPEN}alerts = "alerts.toml"\n'


@pytest.mark.parametrize(
    ("config", "rules", "environment", "said"),
    [
        (f'{OPEN}database = "postgresql://me:{PLANTED}@db:port/x"', "", {}, "a database must be a URL"),
        (f'{OPEN}database = "mysql://me:{PLANTED}@db/x"', "", {}, "must be SQLite or PostgreSQL"),
        (f'{OPEN}database = "{PLANTED}"', "", {}, "a database must be a URL"),
        (f'{OPEN}databse = "postgresql://me:{PLANTED}@db/x"', "", {}, "databse"),
        (f'{OPEN}database = "postgresql://me:{PLANTED}@db/x', "", {}, "must be TOML"),
        (f'{OPEN}database = ["postgresql://me:{PLANTED}@db/x"]', "", {}, "database"),
        (f'{OPEN}port = "{PLANTED}"', "", {}, "port"),
        (f'[service]\n[secrets]\ndatabase = "{PLANTED}"', "", {}, "has service, secrets"),
        (OPEN, "", {"CROSSMARGIN_DATABASE": f"postgresql://me:{PLANTED}@db:port/x"}, "a database must be a URL"),
        (OPEN, "", {"CROSSMARGIN_TICK_S": PLANTED}, "tick_s"),
        ("[service]\n", "", {"CROSSMARGIN_MASTER_KEY": PLANTED}, "32 bytes in hexadecimal"),
        (f'{OPEN}certificate = "bad.pem"\nprivate_key = "bad.pem"', "", {}, "must be PEM"),
        (WITH_RULES, f'[channels]\ndesk = ["json://ops:{PLANTED}@h"]', {}, "must fit their schema"),
        (WITH_RULES, f'[channels]\ndesk = "json://ops:{PLANTED}@h', {}, "must be TOML"),
        (
            WITH_RULES,
            '[channels]\ndesk = "env:CROSSMARGIN_NONE"',
            {"CROSSMARGIN_SOME": PLANTED},
            "variable must be set",
        ),
    ],
)
def test_a_service_that_cannot_start_says_so_in_one_line_without_the_secret(told, config, rules, environment, said):
    text = told(config, rules, **environment)
    assert said in text
    assert PLANTED not in text
    assert len(text.strip().splitlines()) == 1, text


@pytest.mark.parametrize("own", [{"CROSSMARGIN_SECRET": PLANTED}, {"CROSSMARGIN_KEY_FILE": "bad.pem"}])
@pytest.mark.parametrize("shown", [(), ("--json",)])
def test_the_doctor_tells_what_is_wrong_without_the_secret(told, shown, own):
    text = told(
        f"""{OPEN}database = "postgresql://me:{PLANTED}@127.0.0.1:1/x"
certificate = "bad.pem"
private_key = "bad.pem"
alerts = "alerts.toml"
trace_endpoint = "http://127.0.0.1:1/?token={PLANTED}"
""",
        f'[channels]\ndesk = "json://ops:{PLANTED}@h"\n',
        ("doctor", "--service", *shown),
        CROSSMARGIN_KEY="0123456789abcdef",
        CROSSMARGIN_MASTER_KEY=PLANTED,
        **own,
    )
    assert "must be PEM" in text
    assert "own key" in text
    assert PLANTED not in text
    assert "Traceback" not in text


def test_the_search_finds_what_a_refusal_would_tell(told, monkeypatch):
    """With a refusal that repeats what it was given, the secret is found."""
    from crossmargin.errors import InputError
    from crossmargin.service import configuration

    def repeating(*_):
        raise InputError(f"a setting must be known, {(configuration.Path('crossmargin.toml')).read_text()}")

    monkeypatch.setattr(configuration, "settings", repeating)
    assert PLANTED in told(f'{OPEN}databse = "postgresql://me:{PLANTED}@db/x"')


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """A service that fails over a connection whose URL has a password, which the failure's text repeats."""
    writer = Writer(
        tmp_path,
        opening=lambda: tuple(
            opening_commands([each for each in sample_book() if each.account == "cash-only"], sample_market())
        ),
    )

    def fail(*_):
        raise RuntimeError(f"cannot connect to postgresql://me:{PLANTED}@db/x as {PLANTED} said")

    monkeypatch.setattr(views, "overview", fail)
    monkeypatch.setattr("crossmargin.service.house_routes.views.overview", fail)
    with TestClient(application(writer), raise_server_exceptions=False) as client:
        yield client
    writer.close()


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
def test_what_fails_in_a_handler_tells_the_secret_to_nobody(failing, logs, capsys, is_on):
    open_logs(sys.stderr, known=[PLANTED] if is_on else [], level=logging.DEBUG)
    answer = failing.get("/api/v1/overview")
    told = capsys.readouterr().err
    assert answer.status_code == 500
    assert PLANTED not in answer.text
    assert "RuntimeError" in told
    assert "Traceback" in told
    assert (PLANTED in told) != is_on
    assert all(json.loads(line) for line in told.splitlines())


def test_an_answer_that_repeated_the_failure_would_tell_it(failing, logs, monkeypatch):
    def repeated():
        return 500, {"error": {"rule": "r", "finding": f"{PLANTED}"}}

    monkeypatch.setattr(error_answers, "failed_record", repeated)
    assert PLANTED in failing.get("/api/v1/overview").text


CHANNELS = [
    f"json://ops:{PLANTED}@127.0.0.1:1/x",
    f"json://127.0.0.1:1/{PLANTED}",
    f"json://127.0.0.1:1/x/?+X-Token={PLANTED}",
    f"form://127.0.0.1:1/{PLANTED}/y",
    f"mailtos://ops:{PLANTED}@localhost:1?to=a@example.com&from=b@example.com",
]


# apprise looks on this Python for a module that it brings itself where there is none
IMGHDR = "ignore:'imghdr' is deprecated:DeprecationWarning"


@pytest.mark.filterwarnings(IMGHDR)
@pytest.mark.parametrize("url", CHANNELS)
def test_no_level_of_the_log_tells_a_channels_secret(url, logs, capsys):
    delivery = Delivery(channel="desk", title="t", body="b", kind="warning")
    open_logs(sys.stderr, known=channel_secrets(url), level=logging.DEBUG)
    assert not alert_channels.deliver(delivery, url)
    told = capsys.readouterr().err
    assert "apprise" in told
    assert PLANTED not in told


@pytest.mark.filterwarnings(IMGHDR)
def test_with_the_whole_url_known_alone_a_part_of_it_is_told(logs, capsys):
    url = f"json://127.0.0.1:1/{PLANTED}"
    open_logs(sys.stderr, known=[url], level=logging.DEBUG)
    assert not alert_channels.deliver(Delivery(channel="desk", title="t", body="b", kind="warning"), url)
    assert PLANTED in capsys.readouterr().err


def test_an_answer_about_what_does_not_fit_repeats_nothing_of_it(failing):
    for path in ("accounts?limit", "accounts/cash-only/history?since", "margin-calls?cursor"):
        answer = failing.get(f"/api/v1/{path}={PLANTED}")
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["rule"] == "a request must fit its description"
        assert error["finding"].startswith(f"{path.rpartition('?')[2]}: Expected `int")
        assert PLANTED not in answer.text
    answer = failing.post("/api/v1/session", json={"user": PLANTED, "password": 1})
    assert answer.json()["error"]["finding"] == "password: Expected `str`, got `int`"


def test_the_frameworks_own_answer_would_repeat_it(failing, monkeypatch):
    monkeypatch.setattr(error_answers, "_misfits", lambda error: error.detail)
    assert PLANTED in failing.get(f"/api/v1/accounts?limit={PLANTED}").text


PATH = f"/api/v1/accounts/{PLANTED}"


def answered_through(layer, route):
    """Ask for a path with the secret in it through a layer that knows only the route."""

    async def answer(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(_message):
        pass

    headers = [(b"authorization", PLANTED.encode()), (b"cookie", PLANTED.encode())]
    scope = {"type": "http", "method": "GET", "path": PATH, "query_string": PLANTED.encode(), "headers": headers}
    asyncio.run(layer.handle(scope | {"path_template": route, "state": {}}, None, send, answer))


@pytest.mark.parametrize(("route", "is_told"), [("/api/v1/accounts/{name}", False), (PATH, True)], ids=["on", "off"])
def test_metrics_and_traces_tell_the_route_and_not_the_path(route, is_told):
    """Were the path told in the route's place, as with the second, the secret in it would be."""
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    provider, measures = sdk.TracerProvider(), Measures()
    provider.add_span_processor(sdk.export.SimpleSpanProcessor(memory))
    answered_through(CountRequests(measures), route)
    answered_through(TraceRequests(provider.get_tracer("crossmargin")), route)
    spans = "".join(each.to_json() for each in memory.get_finished_spans())
    metrics = generate_latest(measures.registry).decode()
    assert route in spans
    assert route in metrics
    assert (PLANTED in spans, PLANTED in metrics) == (is_told, is_told)


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
def test_lists_of_users_leave_out_what_is_kept_of_a_password(tmp_path, capsys, monkeypatch, is_on):
    users = UserStore(tmp_path / "access.sqlite")
    users.set("ada", password=PLANTED, role="admin", accounts=None)
    users.close()
    master_key(tmp_path, create=True)
    if not is_on:
        monkeypatch.setattr(access, "_record", msgspec.to_builtins)
    monkeypatch.setattr(sys, "argv", ["crossmargin", "users", "list", "--folder", str(tmp_path), "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    told = capsys.readouterr().out
    assert '"ada"' in told
    assert ("argon2" in told) != is_on
    assert PLANTED not in told
