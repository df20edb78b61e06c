"""`demo --serve`: the demo, then the dashboard on the sample book, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from crossmargin.client import Client

from .conftest import Run


def test_the_dashboard_follows_the_demo_until_ctrl_c(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "crossmargin", "demo", "--report", str(tmp_path / "r.html"), "--serve"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 240
            with Client(f"http://127.0.0.1:{port}", attempts=1) as client:
                while True:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    try:
                        if client.health().status == "ok":
                            break
                    except httpx.TransportError:
                        pass
                    time.sleep(0.1)
                assert client.overview().equity > 0
                assert "straddle-seller" in {each.account for each in client.all_accounts()}
            page = httpx.get(f"http://127.0.0.1:{port}/")
            assert page.headers["content-type"].startswith("text/html")
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""  # the address, and what goes wrong; how a server does is for those who run one
    assert f"http://127.0.0.1:{port}/ is the dashboard" in out
    assert (tmp_path / "r.html").stat().st_size > 10_000
    assert [each.name for each in tmp_path.iterdir()] == ["r.html"]  # nothing else is left


@pytest.mark.parametrize("flag", ["--clearing", "--json"])
def test_it_does_not_go_with_other_answers(run: Run, flag):
    code, _, err = run("demo", "--serve", flag)
    assert code == 2
    assert "does not go with" in err
