"""The metrics: they parse, count what happened, and have every name that dashboard and rules ask for."""

import json
import math
import re
import threading
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from crossmargin.engine.commands import Deposit, UpdateMarket, Withdraw
from crossmargin.feeds.pump import Pump
from crossmargin.feeds.ticks import Said
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.application import application
from crossmargin.service.feeding import Feeding
from crossmargin.service.metrics import metrics_server
from crossmargin.service.opening import opening_commands
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    book = [each for each in sample_book() if each.account in {"cash-only", "levered-long"}]
    folder = tmp_path_factory.mktemp("m")
    projector = Projector(f"sqlite:///{folder / 'tables.sqlite'}", folder)
    writer = Writer(folder, opening=lambda: tuple(opening_commands(book, sample_market())), projector=projector)
    yield writer
    writer.close()


@pytest.fixture(scope="module")
def client(writer):
    with TestClient(application(writer)) as client:
        yield client


def read(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_commands_count_as_applied_refused_or_repeated(client, writer):
    before = read(client)
    deposit = Deposit(id="m-1", account="cash-only", asset="USDC", amount=Decimal(5))
    for command in (deposit, deposit, Withdraw(id="m-2", account="cash-only", asset="USDC", amount=Decimal(10) ** 9)):
        writer.submit(command).result(timeout=60)
    writer.submit(UpdateMarket(id="m-3", index={}, marks={})).result(timeout=60)
    writer.submit(deposit).result(timeout=60)  # the writer counts after it answers: this one waits for the others
    after = read(client)

    def rise(*key):
        return after.get(key, 0) - before.get(key, 0)

    refusals = {key[1]: rise(*key) for key in after if key[0] == "crossmargin_commands_refused_total"}
    assert sum(refusals.values()) == 1
    assert rise("crossmargin_commands_applied_total", "Deposit") == 1
    assert rise("crossmargin_commands_repeated_total") >= 1
    assert rise("crossmargin_events_total", "BalanceChanged") == 1
    assert rise("crossmargin_tick_seconds_count") == 1
    assert 3 <= rise("crossmargin_journal_sync_seconds_count") <= 5
    assert rise("crossmargin_journal_record") == 5


def test_prices_of_a_source_are_counted_as_taken_and_turned_away(writer):
    """With a single source all figures were an error: what was turned away is counted by reason."""
    fed, now = Feeding(writer), writer.engine.state.time_ns
    fed.pumps.append(Pump(writer.submit, fed.is_listed, clock=lambda: now))
    for number, price in enumerate((90_000.0, math.nan, -1.0)):
        said = Said(source="kraken", kind="index", subject="BTC", values={"price": price}, time_ns=now + number)
        fed.pumps[0].offer(said)
    with TestClient(application(writer, feeds=fed.status)) as client:
        seen = read(client)
    assert seen["crossmargin_feed_accepted_total", "kraken"] == 1
    assert seen["crossmargin_feed_rejected_total", "kraken"] == 2


def test_figures_are_those_of_the_overview(client):
    seen, overview = read(client), client.get("/api/v1/overview").json()
    assert seen["crossmargin_up",] == 1
    assert seen["crossmargin_equity_usd",] == pytest.approx(float(overview["equity"]), abs=0.02)
    assert seen["crossmargin_insurance_fund_usd",] == float(overview["insurance_fund"])
    for state, count in overview["accounts_by_state"].items():
        assert seen["crossmargin_accounts", state] == count
    ages = {feed["source"].removeprefix("index "): feed["age_ms"] / 1e3 for feed in overview["feeds"]}
    assert {key[1]: value for key, value in seen.items() if key[0] == "crossmargin_index_age_seconds"} == ages


def test_requests_count_by_route_and_status_never_by_path(client):
    for name in ("cash-only", "nobody", "nobody-else"):
        client.get(f"/api/v1/accounts/{name}")
    client.get("/no/such/path")
    seen = read(client)
    route = "/api/v1/accounts/{name}"
    assert seen["crossmargin_requests_total", *sorted((route, "GET", "200"))] == 1
    assert seen["crossmargin_requests_total", *sorted((route, "GET", "404"))] == 2
    assert not any("nobody" in part or "such" in part for key in seen for part in key)


def test_prometheus_reads_the_same_on_a_port_of_its_own(client, writer):
    with metrics_server("127.0.0.1", 0, writer.measures.registry, client.app.state.figures) as port:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    apart = {family.name for family in text_string_to_metric_families(text)}
    assert apart == {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_a_service_that_is_opening_is_measured(tmp_path):
    opened = threading.Event()
    writer = Writer(tmp_path, opening=lambda: (opened.wait(60), ())[1], background=True)
    try:
        with TestClient(application(writer)) as client:
            assert read(client)["crossmargin_up",] == 0
    finally:
        opened.set()
        writer.close()


DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = re.compile(r"\bcrossmargin_\w+")


def asked_by_grafana():
    dashboard = json.loads((DEPLOY / "grafana" / "crossmargin.json").read_text())
    return {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in dashboard["panels"]}


def asked_by_rules():
    yaml = pytest.importorskip("yaml")
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    return {rule["alert"]: [rule["expr"]] for group in groups for rule in group["rules"]}


@pytest.mark.parametrize("asked", [asked_by_grafana, asked_by_rules])
def test_every_metric_that_is_asked_for_exists(client, asked):
    client.get("/health")
    text = client.get("/metrics").text
    families = list(text_string_to_metric_families(text))
    there = {sample.name for family in families for sample in family.samples}
    # what has a label has no sample until there is something to tell
    there |= {family.name + ("_total" if family.type == "counter" else "") for family in families}
    wanted = {title: NAME.findall(" ".join(queries)) for title, queries in asked().items()}
    assert all(wanted.values())
    assert {name for names in wanted.values() for name in names} <= there
