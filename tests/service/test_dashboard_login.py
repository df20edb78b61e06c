"""Who is there, in a real Chromium on the real service: logging in and out, what a role may see, CSRF, four eyes."""

import pytest
from argon2 import PasswordHasher
from serving import serving

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
PASSWORD = "correct horse battery"  # noqa: S105
OWN, OTHER = "hedger", "levered-long"


class Clock:
    """Seconds that pass when a test says so."""

    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def clock():
    return Clock()


@pytest.fixture(scope="module")
def site(tmp_path_factory, clock):
    folder = tmp_path_factory.mktemp("login")
    master_key(folder, create=True)
    access = Access(folder, monotonic=clock)
    access.users._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    for name, role, accounts in (("ann", "admin", None), ("bob", "admin", None), ("tom", "trader", frozenset({OWN}))):
        access.users.set(name, password=PASSWORD, role=role, accounts=accounts)
    held = [each for each in sample_book() if each.account in {OWN, OTHER, "cash-only"}]
    writer = Writer(folder, opening=lambda: tuple(opening_commands(held, sample_market())))
    with serving(application(writer, access=access)) as url:
        yield f"{url}/"
    writer.close()
    access.close()


@pytest.fixture
def visit(browser, site, console):
    """Open the site as a stranger, or log in as somebody."""
    contexts = []

    def visit(user=None, address=""):
        contexts.append(browser.new_context(reduced_motion="reduce"))
        page = contexts[-1].new_page()
        page.on("console", lambda said: console.append(said.text) if said.type in {"error", "warning"} else None)
        page.goto(site + address)
        page.wait_for_selector(".login")
        if user is not None:
            log_in(page, user)
            page.wait_for_selector(f"button[aria-label='Log out {user}']")
        return page

    yield visit
    for context in contexts:
        context.close()


def log_in(page, user, password=PASSWORD):
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def post(page, path, body, *, with_token=True):
    """Ask from within the page, as a script of its own site could; give the status and the answer."""
    return page.evaluate(
        """async ([path, body, withToken]) => {
            const token = document.cookie.match(/csrftoken=([^;]*)/)?.[1];
            const headers = {"content-type": "application/json", "idempotency-key": "k" + Math.random()};
            if (withToken) headers["x-csrftoken"] = decodeURIComponent(token);
            const answer = await fetch("api/v1/" + path, {method: "POST", headers, body: JSON.stringify(body)});
            return [answer.status, await answer.json()];
        }""",
        [path, body, with_token],
    )


def test_a_stranger_is_asked_who_he_is_and_nothing_is_refused_meanwhile(visit, console):
    page = visit()
    assert page.title() == "Log in · crossmargin"
    assert page.locator("nav").count() == 0
    assert console == []


def test_a_wrong_password_is_said_to_be_wrong_and_the_right_one_opens(visit):
    page = visit()
    log_in(page, "ann", "wrong horse battery")
    page.wait_for_selector("[role=alert]")
    assert "do not belong together" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("User").input_value() == "ann"
    log_in(page, "ann")
    page.wait_for_selector(".figure b")
    page.wait_for_selector(".link.live")


def test_logging_out_ends_the_session_for_the_page_and_its_cookie(visit):
    page = visit("ann")
    cookies = page.context.cookies()
    page.get_by_role("button", name="Log out ann").click()
    page.wait_for_selector(".login")
    page.context.add_cookies(cookies)  # who kept the cookie is known no longer
    page.reload()
    page.wait_for_selector(".login")


def test_a_session_that_has_ended_leads_to_where_one_logs_in(visit, clock):
    page = visit("ann")
    page.wait_for_selector(".link.live")
    clock.now += 13 * 3_600
    page.evaluate("location.hash = '#/insurance'")
    page.wait_for_selector(".login")
    assert page.locator(".figure").count() == 0


def test_a_trader_sees_his_accounts_and_no_others(visit, console):
    page = visit("tom")
    page.wait_for_selector("[role=rowheader] a")
    assert page.url.endswith("#/accounts")
    assert page.locator("[role=rowheader]").all_inner_texts() == [OWN]
    assert page.locator(".rail a").all_inner_texts() == ["Accounts", "Parameters"]
    page.click(f"text={OWN}")
    page.wait_for_selector("#what-if")
    page.wait_for_load_state("networkidle")
    assert page.locator(".problem").count() == 0
    page.goto(page.url.partition("#")[0] + "#/liquidations")
    page.wait_for_selector("h1:text('Not for this login')")
    assert console == []
    page.evaluate(f"location.hash = '#/account/{OTHER}'")
    page.wait_for_selector(".problem")
    assert "levered" not in page.locator(".problem").first.inner_text()
    assert page.locator(".figure").count() == 0


def test_a_change_needs_the_token_that_another_sites_page_cannot_read(visit):
    page = visit("ann")
    assert post(page, "stress", {"moves": {"BTC": -0.1}}, with_token=False)[0] == 403
    assert post(page, "stress", {"moves": {"BTC": -0.1}})[0] == 200


def test_four_eyes_decide_on_parameters_in_the_page(visit, site):
    ann, bob = visit("ann"), visit("bob")
    asked = """async () => {
        const items = (await (await fetch("api/v1/parameters")).json()).items;
        return items.find(each => each.name === "engine").values;
    }"""
    values = ann.evaluate(asked)
    changed = {**values, "order_band": 0.5}
    status, waiting = post(ann, "parameters", {"parameters": changed})
    assert (status, waiting["state"]) == (202, "pending")
    for page in (ann, bob):
        page.click(".rail a[href='#/approvals']")
        page.wait_for_selector("h2:text('SetParameters')")
    bob.wait_for_selector("tr.own")  # what would change, beside what is in force, and nothing else
    assert bob.locator("main tbody tr").all_inner_texts() == ["order band\t1\t0.5\t≠ changed"]
    assert ann.get_by_role("button", name="Approve").count() == 0
    assert "another owner has to decide" in ann.locator("main").inner_text()
    assert post(ann, f"approvals/{waiting['id']}", {"decision": "approve"})[0] == 403
    assert bob.evaluate(asked) == values
    bob.get_by_role("button", name="Approve").click()
    bob.wait_for_selector("td:text('approved')")
    assert bob.evaluate(asked) == changed
    ann.wait_for_selector("td:text('approved')")  # it asks again by itself
