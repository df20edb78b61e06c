"""What deploy/ names exists: commands, flags, variables, ports, paths, users; the tools' own linters agree where they are."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from litestar.testing import TestClient

from crossmargin.cli import app
from crossmargin.service.application import application
from crossmargin.service.configuration import PREFIX, Settings, settings
from crossmargin.service.metrics import metrics_server
from crossmargin.service.writer import Writer

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
OTHERS = {"NUMBA_CACHE_DIR", "PATH", "CROSSMARGIN_MASTER_KEY"}
"""Variables that are no settings of ours."""


def unit():
    found = {}
    for line in (DEPLOY / "crossmargin.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def dockerfile():
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def of(instruction):
    return [rest for name, rest in dockerfile() if name == instruction]


def test_the_image_holds_bytecode_as_its_user_can_write_none():
    """A start compiled 1,500 modules, three quarters of its processor time; pip compiles what it installs, uv does not."""
    installs = [step for run in of("RUN") for step in run.split("&&") if "uv pip install" in step]
    assert len(installs) == 2
    assert all("--compile-bytecode" in each for each in installs)


@pytest.fixture(scope="module")
def compose():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def accepted(environment):
    """Return the settings of an environment in which every variable of ours is one."""
    names = {PREFIX + name.upper() for name in Settings.__struct_fields__} | OTHERS
    assert set(environment) <= names
    return settings({}, environment)


def test_the_unit_starts_the_command_as_a_user_that_may_write_its_folder():
    found = unit()
    (start,) = found["ExecStart"]
    program, command, *flags = start.split()
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert Path(program).name in scripts
    parsed, bound, _ = app.parse_args([command, *flags], exit_on_error=False, print_error=False)
    assert (parsed.__name__, bound.arguments["config"]) == ("serve", Path("/etc/crossmargin.toml"))
    environment = dict(each.split("=", 1) for each in found["Environment"][0].split())
    (state,) = found["StateDirectory"]
    assert found["ProtectSystem"] == ["strict"]
    for written in (accepted(environment).folder, environment["NUMBA_CACHE_DIR"], found["WorkingDirectory"][0]):
        assert Path(written).is_relative_to(f"/var/lib/{state}")
    made = (DEPLOY / "crossmargin.sysusers").read_text().splitlines()[-1].split()
    assert made[:2] == ["u", found["User"][0]]
    assert found["KillSignal"] == ["SIGTERM"]


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    if (found := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "crossmargin.service").read_text()

    def verified(text):
        # the program is not installed where the tests run
        (tmp_path / "crossmargin.service").write_text(text.replace("/opt/crossmargin/bin/crossmargin", sys.executable))
        ran = subprocess.run([found, "verify", str(tmp_path / "crossmargin.service")],
                             capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        return ran.returncode, [line for line in ran.stderr.splitlines() if "crossmargin.service" in line]

    assert verified(text) == (0, [])
    assert verified(text.replace("ProtectSystem=strict", "ProtectSystem=stricter"))[1]
    assert verified(text.replace("@system-service", "@system-servise"))[1]


def test_the_image_copies_what_is_there_and_starts_the_command():
    for copied in of("COPY"):
        sources = [each for each in copied.split()[:-1] if not each.startswith("--")]
        assert "--from=build" in copied or all((ROOT / each).exists() for each in sources), copied
    (entry,), (arguments,) = of("ENTRYPOINT"), of("CMD")
    parsed, _, _ = app.parse_args(json.loads(arguments), exit_on_error=False, print_error=False)
    assert (json.loads(entry), parsed.__name__) == (["crossmargin"], "serve")
    (volume,) = of("VOLUME")
    environment = dict(each.split("=", 1) for line in of("ENV") for each in line.split())
    for written in (accepted(environment).folder, environment["NUMBA_CACHE_DIR"]):
        assert Path(written).is_relative_to(volume)
    assert of("USER") == ["10001"]
    assert "--uid 10001" in " ".join(of("RUN"))


def test_the_image_holds_what_settings_may_ask_for():
    """Feeds from venues and traces are extras of their own: an image of the service's alone refused both."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (copied,) = [rest for rest in of("COPY") if ".lock" in rest]
    lock = next(name for name in copied.split() if name.endswith("image.lock"))
    locked = {line.partition("==")[0] for line in (ROOT / lock).read_text().splitlines() if "==" in line}
    wanted = {re.split(r"[\[>=;]", each)[0] for name in ("service", "live", "tracing") for each in extras[name]}
    assert wanted <= locked


def test_the_images_health_check_is_of_a_guarded_service_too(tmp_path):
    """Run as it stands, against a service with keys, and against one that has failed."""
    import contextlib
    import socket
    import threading

    import uvicorn

    from crossmargin.service.access.guard import Access
    from crossmargin.service.access.keys import master_key

    (check,) = of("HEALTHCHECK")
    program, *arguments = json.loads(check.partition("CMD ")[2])
    assert program == "python"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def healthy():
        environment = {**os.environ, "CROSSMARGIN_PORT": str(port)}
        return subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, check=False
        ).returncode

    @contextlib.contextmanager
    def serving(answering):
        server = uvicorn.Server(uvicorn.Config(answering, port=port, log_config=None))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
            yield
        finally:
            server.should_exit = True
            thread.join()

    assert healthy() != 0
    master_key(tmp_path, create=True)
    writer, access = Writer(tmp_path), Access(tmp_path)
    with serving(application(writer, access=access)):
        assert healthy() == 0
    access.close()
    writer.close()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "journal").write_text("not a folder")
    writer = Writer(broken, background=True)
    with serving(application(writer)):
        writer._thread.join()
        assert healthy() != 0
    writer.close()


def test_the_compose_files_services_find_one_another(compose):
    from sqlalchemy.engine import make_url

    yaml = pytest.importorskip("yaml")
    service, postgres, prometheus = (compose["services"][name] for name in ("service", "postgres", "prometheus"))
    context = DEPLOY / service["build"]["context"]
    assert (context / service["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    chosen = accepted({name: str(value) for name, value in service["environment"].items()})
    password = "${CROSSMARGIN_POSTGRES_PASSWORD:?}"  # noqa: S105  (a variable's name)
    url = make_url(chosen.database_url.replace(password, "p"))
    made = postgres["environment"]
    assert (url.username, url.database) == (made["POSTGRES_USER"], made.get("POSTGRES_DB", made["POSTGRES_USER"]))
    assert made["POSTGRES_PASSWORD"] == password
    assert postgres["ports"] == [f"{url.host}:{url.port}:5432"]
    volumes = {name: each["volumes"] for name, each in compose["services"].items()}
    assert dict(each.split(":") for each in volumes["service"]) == {"journal": of("VOLUME")[0]}
    for mounted in (each for found in volumes.values() for each in found):
        source = mounted.split(":")[0]
        assert source in compose["volumes"] or (DEPLOY / source).exists(), mounted
    # both on the machine's own network, where the service's metrics are on loopback
    assert service["network_mode"] == prometheus["network_mode"] == "host"
    asked = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert asked[0]["static_configs"] == [{"targets": [f"127.0.0.1:{chosen.metrics_port}"]}]


def test_what_prometheus_asks_for_is_served_without_a_key(tmp_path):
    import httpx

    yaml = pytest.importorskip("yaml")
    (asked,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    writer = Writer(tmp_path)
    answering = application(writer)
    with TestClient(answering), metrics_server("127.0.0.1", 0, writer.measures.registry, answering.state.figures) as at:
        found = httpx.get(f"http://127.0.0.1:{at}{asked['metrics_path']}", trust_env=False)
    writer.close()
    assert found.status_code == 200
    assert "crossmargin_up 1.0" in found.text


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("hadolint", ["deploy/Dockerfile"]), ("promtool", ["check", "config", "deploy/prometheus/prometheus.yml"])],
)
def test_the_tools_own_linters_find_nothing(tool, arguments):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    ran = subprocess.run([tool, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
