"""Logs: one JSON object a line, and a planted secret in none of them."""

import io
import json
import logging
import subprocess
import sys
import traceback

import pytest
import structlog

from crossmargin.errors import InputError
from crossmargin.service.logs import Redaction, open_logs, secrets_in
from crossmargin.service.projection import open_database

PLANTED = "s3cr3t-Zk9/planted"


@pytest.fixture
def lines():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    yield written
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_every_line_is_an_object_with_time_level_logger_and_fields(lines):
    open_logs(lines)
    logging.getLogger("some.library").warning("%d of %s", 3, "three")
    structlog.get_logger("crossmargin.x").info("snapshot written", record=7, route="/a")
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert (first["event"], first["level"], first["logger"]) == ("3 of three", "warning", "some.library")
    assert (second["event"], second["record"], second["route"]) == ("snapshot written", 7, "/a")
    assert second["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "log",
    [
        lambda to: to.warning("could not connect to postgresql://me:%s@db/x", PLANTED),
        lambda to: to.warning("headers {'x-crossmargin-signature': '%s'}", PLANTED),
        lambda to: to.warning("Authorization: Bearer %s", PLANTED),
        lambda to: to.warning("GET /public/auth?client_secret=%s&x=1", PLANTED),
        lambda to: to.warning('{"password":"%s"}', PLANTED),
        lambda to: to.warning("asked", extra={"api_key": PLANTED}),
        lambda to: to.warning("asked", extra={"body": {"deep": [{"secret": PLANTED}]}}),
        lambda to: to.warning("asked", extra={"url": f"https://u:{PLANTED}@h"}),
    ],
)
def test_a_planted_secret_is_hidden_by_its_place(lines, log):
    open_logs(lines)
    log(logging.getLogger("x"))
    assert PLANTED not in lines.getvalue()
    assert "[hidden]" in lines.getvalue()


def test_a_known_secret_is_hidden_wherever_it_stands(lines):
    open_logs(lines, known=[PLANTED])
    try:
        int(PLANTED)
    except ValueError:
        logging.getLogger("x").exception("it said %s", PLANTED)
    line = json.loads(lines.getvalue())
    assert PLANTED not in json.dumps(line)
    assert "ValueError" in line["exception"]
    # without the hiding it would be there
    assert PLANTED in Redaction().text(f"it said {PLANTED}")


def test_a_urls_password_is_known_in_both_forms():
    assert secrets_in("postgresql://me@db/x") == []
    assert secrets_in("sqlite:///x") == []
    assert secrets_in("postgresql://me:a%2Fb@db/x") == ["a%2Fb", "a/b"]


@pytest.mark.parametrize("sign", ["/", "#", "?", "[", ":", "@", "%"])
def test_a_password_that_is_not_escaped_is_known(sign):
    """What SQLAlchemy or a library may make of such a URL, all of the password is hidden, and so is what it begins with."""
    url = f"postgresql://me:first{sign}second@db/x"
    assert f"first{sign}second" in secrets_in(url)
    told = Redaction(secrets_in(url)).text(f"no {url}, no first{sign}second")
    assert "second" not in told
    assert "first" not in told


@pytest.mark.parametrize("url", ["postgresql://me:planted-1@db:port/x", "planted-1"])
def test_a_databases_url_that_cannot_be_read_is_not_told(url):
    with pytest.raises(InputError, match="it cannot be read") as found:
        open_database(url)
    assert "planted" not in "".join(traceback.format_exception(found.value))


MIGRATION = """
import logging, sys
from crossmargin.service.logs import open_logs
from crossmargin.service.projection import migrate, open_database
open_logs(sys.stdout)
if sys.argv[2] == "told":
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.INFO)
migrate(open_database(sys.argv[1]))
"""


@pytest.mark.parametrize("parts", ["silent", "told"])
def test_a_start_tells_that_tables_change_and_not_which_parts_the_library_has(tmp_path, parts):
    done = subprocess.run(
        [sys.executable, "-c", MIGRATION, f"sqlite:///{tmp_path}/p.sqlite", parts],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert any(each.startswith("Running upgrade") for each in events)
    assert any(each.startswith("setup plugin") for each in events) == (parts == "told")
    assert done.stderr == ""
