"""The terminal's view on the real service, by keys as they are typed."""

import asyncio
import json
import time
from decimal import Decimal

import pytest
from serving import reserved_port, serving
from textual.widgets import DataTable, Input, Static

from crossmargin.cli import app
from crossmargin.client import Client
from crossmargin.client.records import AccountRow
from crossmargin.engine.commands import Deposit
from crossmargin.service.alert_rules import AlertRule, AlertRules, Level
from crossmargin.service.application import application
from crossmargin.watching import Watch
from crossmargin.watching.sight import cells, ordered

COUNT = iter(range(10**6))


def deposit(writer, amount):
    command = Deposit(id=f"watch-{next(COUNT)}", account="cash-only", asset="USDC", amount=Decimal(amount))
    writer.submit(command).result(timeout=60)


def row(account, state="HEALTHY", equity=1, usage=0.1):
    figures = dict.fromkeys(("initial", "maintenance", "excess"), Decimal(1))
    return AccountRow(account=account, state=state, method="m", equity=Decimal(equity), margin_usage=usage, **figures)


def test_orders():
    rows = [
        row("b", "HEALTHY", 5, 0.5),
        row("A1", "LIQUIDATING", -3, None),
        row("c", "MARGIN_CALL", 7, 0.9),
        row("a", equity=5),
    ]

    def names(column, **more):
        return [each.account for each in ordered(rows, column, turned=more.pop("turned", False), **more)]

    assert names("state") == ["A1", "c", "a", "b"]
    assert names("usage") == ["A1", "c", "b", "a"]
    assert names("equity") == ["A1", "a", "b", "c"]
    assert names("equity", turned=True) == ["c", "a", "b", "A1"]
    assert names("account", part="a") == ["A1", "a"]
    assert cells(rows[1]) == ("A1", "LIQUIDATING", "-3", "1", "1", "1", "inf")


async def until(pilot, condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        await pilot.pause(0.05)


def text(watch, name):
    return str(watch.query_one(name, Static).render())


def shown(watch):
    table = watch.query_one("#accounts", DataTable)
    return [[str(cell) for cell in table.get_row_at(number)] for number in range(table.row_count)]


def test_the_screen_shows_what_the_service_says_and_follows_it(writer, url):
    with Client(url) as client:
        before, overview = client.account("cash-only"), client.overview()

    async def run():
        watch = Watch(url, every_s=0.1)
        async with watch.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(shown(watch)) == sum(overview.accounts_by_state.values()))
            assert f"insurance fund {overview.insurance_fund:,.0f}" in text(watch, "#heading")
            assert "no breaker active" in text(watch, "#heading")
            assert "index BTC" in text(watch, "#prices")
            usages = [float(each[6].removesuffix(" %")) for each in shown(watch)]
            assert usages == sorted(usages, reverse=True)
            await pilot.press("s")
            assert "by account" in text(watch, "#status")
            names = [each[0] for each in shown(watch)]
            assert names == sorted(names)
            await pilot.press("r")
            assert [each[0] for each in shown(watch)] == names[::-1]
            await pilot.press("slash", *"cash")
            assert [each[0] for each in shown(watch)] == ["cash-only"]
            assert watch.query_one("#filter", Input).value == "cash"
            deposit(writer, 1_000_000)
            await until(pilot, lambda: float(shown(watch)[0][2].replace(",", "")) > float(before.equity) + 900_000)
            await pilot.press("escape")
            assert len(shown(watch)) == len(names)
            await pilot.press("q")

    asyncio.run(run())


def test_a_service_that_is_away_is_said_to_be_and_comes_back(writer, monkeypatch):
    monkeypatch.setattr("crossmargin.watching.screen.OLD_S", 0.3)

    async def run(port):
        watch = Watch(f"http://127.0.0.1:{port}", every_s=0.1)
        async with watch.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "Connect call failed" in text(watch, "#status"))
            with serving(application(writer), port):
                await until(pilot, lambda: len(shown(watch)) > 0)
            await until(pilot, lambda: text(watch, "#status").startswith("OLD: nothing heard for"))
            with serving(application(writer), port):
                deposit(writer, 1)
                await until(pilot, lambda: not text(watch, "#status").startswith("OLD"))

    with reserved_port() as port:
        asyncio.run(run(port))


def test_open_alerts_stand_above(writer):
    level = Level(level="warning", at=0.5, tell=())
    rule = AlertRule(name="it runs", metric="crossmargin_up", levels=(level,))

    async def run(url):
        watch = Watch(url, every_s=0.1)
        async with watch.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "warning: it runs" in text(watch, "#heading"))

    with serving(application(writer, alerts=AlertRules(rules=(rule,), every_s=0.05))) as url:
        with Client(url) as client:
            deadline = time.monotonic() + 120
            while not client.alerts().open:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        asyncio.run(run(url))


def test_a_tick_on_the_way_out_draws_nothing(url):
    watch = Watch(url, every_s=60)

    async def run():
        async with watch.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: watch.query("#status"))
        assert not watch.screen_stack
        watch.draw()

    asyncio.run(run())


def test_once_as_a_record(url, capsys):
    app(["watch", url, "--json"], result_action="return_value")
    found = json.loads(capsys.readouterr().out)
    assert {each["account"] for each in found["accounts"]} >= {"cash-only", "hedger"}
    assert Decimal(found["overview"]["insurance_fund"]) == 2_000_000


@pytest.mark.parametrize(
    ("arguments", "finding"), [(["--every", "0"], "every must be"), ([], "a service must answer at")]
)
def test_noes_in_a_line(arguments, finding):
    with reserved_port() as port, pytest.raises(Exception, match=finding):
        app(["watch", f"http://127.0.0.1:{port}", "--json", *arguments], result_action="return_value")
