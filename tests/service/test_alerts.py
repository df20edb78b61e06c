"""Alerts of a running service: metrics are watched, channels told over HTTP, and nothing is forgotten by a restart."""

import json
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from litestar.testing import TestClient
from prometheus_client.samples import Sample

from crossmargin.engine.commands import AdvanceTime, FundLayer, ListAsset
from crossmargin.errors import InputError
from crossmargin.service.alert_rules import AlertRule, AlertRules, Level
from crossmargin.service.alert_watch import AlertWatch
from crossmargin.service.alerting import NS
from crossmargin.service.application import application
from crossmargin.service.writer import Writer


class Sink:
    """A webhook that says 503 until it is `up`."""

    def __init__(self):
        self.up, self.received, self.refused = True, [], 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if sink.up:
                    sink.received.append((self.path, body))
                sink.refused += not sink.up
                self.send_response(200 if sink.up else 503)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def titles(self, path):
        return [body["title"] for at, body in self.received if at == path]

    def wait_for(self, condition):
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.server.shutdown()
    sink.server.server_close()
    sink.thread.join()


def rules_of(sink):
    levels = (
        Level(level="warning", at=100.0, clear=150.0, tell=("desk",)),
        Level(level="critical", at=50.0, clear=60.0, tell=("desk", "pager")),
    )
    fund = AlertRule(name="fund is low", metric="crossmargin_insurance_fund_usd", when="below", levels=levels)
    return AlertRules(
        channels={"desk": f"{sink.url}/desk", "pager": f"{sink.url}/pager"}, rules=(fund,), every_s=0.05
    )  # fmt: skip


def fund(writer, name, amount):
    writer.submit(FundLayer(id=name, layer="insurance", amount=Decimal(amount))).result(timeout=60)


def opening():
    return (AdvanceTime(id="o-1", time_ns=NS), ListAsset(id="o-2", asset="USDC", quantum=Decimal("0.01")),
            FundLayer(id="o-3", layer="insurance", amount=Decimal(40)))  # fmt: skip


# apprise looks on this Python for a module that it brings itself where there is none
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_a_metric_raises_an_alert_that_survives_a_restart_and_ends(tmp_path, sink):
    writer = Writer(tmp_path, opening=opening)
    with TestClient(application(writer, alerts=rules_of(sink))) as client:
        sink.wait_for(lambda: sink.titles("/desk") and sink.titles("/pager"))
        (alert,) = client.get("/api/v1/alerts").json()["open"]
        assert (alert["rule"], alert["level"], alert["value"]) == ("fund is low", "critical", 40.0)
        assert client.post("/api/v1/alerts/none/acknowledge").status_code == 400
        taken = client.post(f"/api/v1/alerts/{alert['id']}/acknowledge").json()
        assert (taken["acknowledged_by"], taken["id"]) == ("open service", alert["id"])
    writer.close()
    assert sink.titles("/desk") == sink.titles("/pager") == ["critical: fund is low"]

    writer = Writer(tmp_path)
    with TestClient(application(writer, alerts=rules_of(sink))) as client:
        (again,) = client.get("/api/v1/alerts").json()["open"]
        assert {key: again[key] for key in again if key != "value"} == {
            key: taken[key] for key in taken if key != "value"
        }
        fund(writer, "f-1", 70)  # 110: past the edges of both, past where critical clears, not where warning does
        sink.wait_for(lambda: len(sink.titles("/pager")) == 2)
        fund(writer, "f-2", 70)
        sink.wait_for(lambda: len(sink.titles("/desk")) == 3)
        answer = client.get("/api/v1/alerts").json()
        assert (answer["open"], answer["ended"][0]["id"]) == ([], alert["id"])
    writer.close()
    assert sink.titles("/desk") == ["critical: fund is low", "lowered to warning: fund is low", "ended: fund is low"]
    assert sink.titles("/pager") == ["critical: fund is low", "lowered to warning: fund is low"]
    kept = (tmp_path / "alerts.json").read_text()
    assert "fund is low" in kept
    assert "json://" not in kept  # a channel's URL holds its secret


class Stage:
    """A watch whose metric, clock and channel are in hand."""

    def __init__(self, folder, **rule):
        self.value, self.now_ns, self.told, self.takes = 0.0, 0, [], True
        level = Level(level="warning", at=10.0, clear=5.0, tell=("desk",))
        rules = AlertRules(
            channels={"desk": "json://x"}, rules=(AlertRule(name="r", metric="m", levels=(level,), **rule),)
        )
        self.watch = AlertWatch(rules, folder, self.read, clock_ns=lambda: self.now_ns, send=self.send)

    def read(self):
        return [Sample("m", {"a": "1"}, self.value), Sample("m", {"a": "2"}, 0.0), Sample("other", {}, 99.0)]

    def send(self, delivery, url):
        assert url == "json://x"
        self.told += [delivery.title] if self.takes else []
        return self.takes

    def at(self, second, value):
        self.now_ns, self.value = int(second * NS), value
        self.watch.look()
        self.watch.tell()
        return self


def test_what_a_channel_did_not_take_is_told_later_even_after_a_restart(tmp_path):
    stage = Stage(tmp_path)
    stage.takes = False
    stage.at(0, 12).at(1, 12).at(2, 12)
    assert stage.told == []
    later = Stage(tmp_path)
    later.at(30, 12).at(31, 12)
    assert later.told == ["warning: r"]
    assert len(later.watch.alerts()[0]) == 1


def test_a_value_must_last(tmp_path):
    stage = Stage(tmp_path, for_s=3.0)
    stage.at(0, 12).at(2, 12).at(2.5, 3).at(3, 12).at(5.9, 12)
    assert stage.told == []
    assert stage.at(6, 12).told == ["warning: r"]


def test_a_counter_is_watched_by_its_rise(tmp_path):
    """1000 and 9 more in 10 s is no alert, 10 within 10 s is; a counter that begins anew rose from nothing."""
    stage = Stage(tmp_path, rise_over_s=10.0, labels={"a": "1"})
    stage.at(0, 1000).at(5, 1004).at(10, 1009).at(15, 1013)
    assert stage.told == []
    assert stage.at(18, 1016).told == ["warning: r"]  # from 1004 at 5 s on
    stage.at(40, 1016)
    assert stage.told == ["warning: r", "ended: r"]
    stage.at(41, 4)
    assert len(stage.told) == 2
    assert stage.at(42, 11).told[2:] == ["warning: r"]


def test_kept_alerts_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "alerts.json").write_text("{")
    with pytest.raises(InputError, match="kept alerts must be readable"):
        Stage(tmp_path)
