"""The dashboard in a real Chromium on the real service: every page shows its own figures, and the console stays silent."""

import threading

import pytest
from dashboard_pages import pages
from serving import serving
from tabs import settled

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}

HELD = ("cash-only", "hedger", "levered-long", "straddle-seller")
PAGES = pages("straddle-seller")


def opening():
    return tuple(opening_commands([each for each in sample_book() if each.account in HELD], sample_market()))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    writer = Writer(tmp_path_factory.mktemp("dashboard"), opening=opening)
    with serving(application(writer)) as url:
        yield f"{url}/"
    writer.close()


@pytest.fixture
def visit(tabs, site, console):
    def visit(name, width="desktop", at=site, sign=None):
        address, usual = PAGES[name]
        page = tabs.open(console, WIDTHS[width])
        page.goto(at + address)
        page.wait_for_selector(sign or usual)
        return page

    yield visit
    tabs.empty()
    assert console == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_figures_and_fits(visit, name, width) -> None:
    page = visit(name, width)
    page.wait_for_selector(".link.live")
    if name == "account":
        page.wait_for_selector("canvas")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    said = page.locator("main").inner_text()
    assert "NaN" not in said
    assert "undefined" not in said
    assert page.locator(".problem").count() == 0


def test_the_stream_brings_the_rows_and_the_first_figures_come_within_a_second(visit, record_property) -> None:
    page = visit("accounts")
    page.wait_for_function(f"document.querySelector('[role=grid]').ariaRowCount === '{len(HELD) + 2}'")
    ms = visit("overview").evaluate("performance.getEntriesByName('first-figures')[0].startTime")
    record_property("first_figures_ms", ms)
    print("first figures, ms", ms)


def test_a_what_if_in_the_page_is_the_services_own(visit, site, record_property) -> None:
    page = visit("account")
    ask = """async () => {
        const waits = [];
        for (let n = 0; n < 10; n++) {
            const begun = performance.now();
            const answer = await fetch("api/v1/accounts/straddle-seller/what-if", {method: "POST",
                headers: {"content-type": "application/json"}, body: JSON.stringify({price_moves: {BTC: -0.1 - n / 100}})});
            await answer.json();
            waits.push(performance.now() - begun);
        }
        return waits.sort((a, b) => a - b);
    }"""
    waits = page.evaluate(ask)
    record_property("what_if_ms_median", waits[5])
    print("what-if, ms: median", waits[5], "worst", waits[-1])
    page.get_by_role("slider", name="BTC price").fill("-0.2")
    page.wait_for_selector("#what-if tbody tr")
    assert "excess" in page.locator("#what-if tbody").inner_text()


def test_a_map_is_walked_by_keys_and_asks_what_if_at_its_cell(visit) -> None:
    page = visit("account", sign="canvas")
    said = page.locator("figure", has_text="Excess, USD").get_by_role("status")
    page.get_by_role("group", name="Excess, cell by cell with the arrow keys").focus()
    page.keyboard.press("ArrowLeft")  # the first shows where the present stands
    now = said.inner_text()
    assert "vols 0%" in now
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.wait_for_function(
        "before => !document.querySelector('figure .scale [role=status]').innerText.includes(before)", arg=now
    )
    assert "vols +" in said.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_function("decodeURIComponent(location.hash).includes('vol_moves')")
    asked = (
        page.get_by_role("slider", name="BTC price").input_value(),
        page.get_by_role("slider", name="BTC vols").input_value(),
    )
    assert float(asked[0]) < 0 < float(asked[1])
    page.wait_for_selector("#what-if tbody tr")


def test_a_page_asks_nothing_of_a_service_that_opens_and_goes_on_once_it_is_open(visit, tmp_path) -> None:
    go = threading.Event()

    class HalfOpen(Writer):
        def _tell_progress(self, done, of):
            super()._tell_progress(done, of)
            if done == of // 2:
                assert go.wait(60)

    writer = HalfOpen(tmp_path, opening=opening, background=True)
    with serving(application(writer)) as url:
        try:
            page = visit("accounts", at=f"{url}/", sign="progress[value]")
            commands = len(opening())
            assert page.get_by_role("heading").inner_text() == "The service is opening"
            assert f"{commands // 2} of {commands} commands" in page.locator("main").inner_text()
            page.wait_for_function("""performance.getEntriesByType('resource')
                .filter(each => each.name.endsWith('/health')).length > 2""")
            asked = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
            assert [each for each in asked if "/api/" in each] == []
            go.set()
            page.wait_for_selector("[role=rowheader] a")
            page.wait_for_selector(".link.live")
        finally:
            go.set()
            writer.close()
