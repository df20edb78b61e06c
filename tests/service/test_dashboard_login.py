"""Who is there, in a real Chromium on the real service: logging in and out, what a role may see, CSRF, four eyes."""

import pytest
from argon2 import PasswordHasher
from serving import serving
from tabs import own_pace, settled

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
    for name, role, accounts in (("ann", "admin", None), ("bob", "admin", None), ("tom", "trader", frozenset({OWN})),
                                 ("vic", "viewer", None)):  # fmt: skip
        access.users.set(name, password=PASSWORD, role=role, accounts=accounts)
    held = [each for each in sample_book() if each.account in {OWN, OTHER, "cash-only"}]
    writer = Writer(folder, opening=lambda: tuple(opening_commands(held, sample_market())))
    with serving(application(writer, access=access)) as url:
        yield f"{url}/"
    writer.close()
    access.close()


@pytest.fixture
def visit(tabs, site, console):
    """Open the site as a stranger, or log in as somebody."""

    def visit(user=None, address=""):
        page = tabs.open(console)
        page.goto(site + address)
        page.wait_for_selector(".login")
        if user is not None:
            log_in(page, user)
            page.wait_for_selector(f"button[aria-label='Log out {user}']")
        return page

    return visit


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


def test_a_tab_that_is_used_again_knows_nothing_of_who_used_it_before(visit, tabs, site, console):
    page = visit("ann")
    page.get_by_role("button", name="Use dark colours").click()
    page.route("**/*", lambda route: route.abort())
    page.set_viewport_size({"width": 400, "height": 300})
    kept = page.context.storage_state()
    assert (len(kept["cookies"]) > 0, len(kept["origins"]), page.evaluate("innerWidth")) == (True, 1, 400)
    tabs.empty()
    again = visit()  # who is not known is asked to log in, and no route is in the way
    assert again is page
    assert (again.context.storage_state()["origins"], again.evaluate("innerWidth")) == ([], 1280)
    assert again.evaluate("document.documentElement.dataset.theme") == "light"


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
    settled(page)
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


def approved(page):
    """Return the changes that the page of approvals says are approved; others of this file may have been."""
    settled(page)
    return page.locator("td:text('approved')")


def test_four_eyes_decide_on_parameters_in_the_page(visit, site):
    ann, bob = visit("ann"), visit("bob")
    own_pace(ann)
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
        page.wait_for_selector("h2:text('Parameters of the engine')")
    bob.wait_for_selector("tr.own")  # what would change, beside what is in force, and nothing else
    assert bob.locator("article tbody tr").all_inner_texts() == ["order band\t1\t0.5\t≠ changed"]
    assert ann.get_by_role("button", name="Approve").count() == 0
    assert "another owner has to decide" in ann.locator("main").inner_text()
    assert post(ann, f"approvals/{waiting['id']}", {"decision": "approve"})[0] == 403
    assert bob.evaluate(asked) == values
    before = approved(ann).count()
    assert approved(bob).count() == before
    bob.get_by_role("button", name="Approve").click()
    approved(bob).nth(before).wait_for()
    assert bob.evaluate(asked) == changed
    ann.clock.fast_forward("00:05")
    approved(ann).nth(before).wait_for()  # it asks again by itself


def open_form(page, name):
    """Go to the form that proposes parameters of one kind, as a user does."""
    page.click(".rail a[href='#/parameters']")
    page.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("button", name="Propose a change").click()
    page.wait_for_selector("form.propose")


def test_a_change_is_typed_looked_at_and_asked_for_by_keys_alone(visit, site):
    ann, bob = visit("ann"), visit("bob")
    open_form(ann, "engine")
    review = ann.get_by_role("button", name="Nothing changed yet")
    assert review.is_disabled()
    ann.get_by_label("slice share").focus()
    ann.keyboard.press("ControlOrMeta+A")
    ann.keyboard.type("0.2")
    ann.get_by_label("call period, s").focus()
    ann.keyboard.press("ControlOrMeta+A")
    ann.keyboard.type("1800")
    assert "set=" in ann.url  # its address holds what was typed
    ann.keyboard.press("Enter")
    ann.wait_for_selector("h2:text('2 changes of engine')")
    assert ann.evaluate("document.activeElement.tagName") == "H2"
    changes = ["call period\t1 h\t30 min\t≠ changed", "slice share\t0.25\t0.2\t≠ changed"]
    assert sorted(ann.locator("main tbody tr").all_inner_texts()) == changes
    ann.keyboard.press("Tab")
    assert ann.evaluate("document.activeElement.textContent") == "Ask for it"
    ann.keyboard.press("Enter")
    ann.wait_for_selector("text=waits for a second owner")
    bob.click(".rail a[href='#/approvals']")
    waiting = bob.locator("article", has_text="call period")
    waiting.wait_for()
    assert sorted(waiting.locator("tbody tr").all_inner_texts()) == changes
    before = approved(bob).count()
    waiting.get_by_role("button", name="Approve").click()
    approved(bob).nth(before).wait_for()
    values = bob.evaluate("async () => (await (await fetch('api/v1/parameters')).json()).items[0].values")
    assert (values["slice_share"], values["call_period_ns"]) == (0.2, 1_800 * 10**9)


def test_what_is_refused_says_rule_and_finding_beside_its_field(visit, console):
    page = visit("ann")
    open_form(page, "engine")
    band = page.get_by_label("order band")
    band.fill("wide")
    band.press("Enter")
    fault = page.locator("tr", has=band).get_by_role("alert")
    assert fault.inner_text() == "must be a number, was “wide”"
    assert page.evaluate("document.activeElement.id") == band.get_attribute("id")
    band.fill("7")
    page.get_by_role("button", name="Look at 1 change").click()
    page.get_by_role("button", name="Ask for it").click()
    fault.wait_for()
    assert "order_band must be inside (0, 1]" in fault.inner_text()
    assert band.get_attribute("aria-invalid") == "true"
    assert band.input_value() == "7"
    assert fault.get_attribute("id") == band.get_attribute("aria-describedby")
    assert all("400" in line for line in console)
    console.clear()


def test_a_methods_parameters_are_compared_with_the_shipped_ones_and_refused_beside_their_field(visit, console):
    page = visit("bob")
    page.click(".rail a[href='#/parameters']")
    page.get_by_role("button", name="scenario_grid", exact=True).click()
    page.wait_for_selector("caption:text('Alike in all')")
    assert page.get_by_label("with").input_value() == "shipped"
    assert page.locator("main tbody tr").count() > 50
    page.get_by_role("button", name="Propose a change").click()
    tier = page.get_by_label("haircuts · tiers · BTC · #1 · haircut")
    tier.fill("3")
    page.get_by_role("button", name="Look at 1 change").click()
    assert page.locator("main tbody tr").all_inner_texts() == [
        "haircuts · tiers · BTC · #1 · haircut\t0.12\t3\t≠ changed"
    ]
    page.get_by_role("button", name="Ask for it").click()
    page.wait_for_selector("form.propose [role=alert]")
    assert page.get_by_role("alert").inner_text() == "a haircut must be inside [0, 1]: was 3.0 for BTC"
    assert page.locator("tr", has=page.get_by_role("alert")).get_by_role("textbox").input_value() == "3"
    assert all("400" in line for line in console)
    console.clear()


def test_who_may_not_administer_is_offered_no_change(visit):
    page = visit("tom", "#/parameters?propose=1")
    page.wait_for_selector("main table")
    assert page.get_by_role("button", name="Propose a change").count() == 0
    assert page.locator("form.propose").count() == 0


def test_the_audit_says_who_did_what_from_where_and_finds_one_of_them(visit, site):
    page = visit("ann")
    stress = post(page, "stress", {"moves": {"BTC": -0.1}})
    assert stress[0] == 200
    page.click(".rail a[href='#/audit']")
    row = page.locator("tbody tr", has_text="ran a stress").first
    row.wait_for()
    assert [cell.strip() for cell in row.locator("th, td").all_inner_texts()][1:] == [
        "ann", "ran a stress", "127.0.0.1", "the dashboard's log-in", "allowed"]  # fmt: skip
    page.get_by_label("what").select_option("log-ins and log-outs")
    page.wait_for_function(
        "![...document.querySelectorAll('tbody tr')].some(row => row.textContent.includes('stress'))"
    )
    assert page.locator("tbody tr", has_text="logged in").count() > 0
    page.get_by_label("what").select_option("everything")
    who = page.get_by_label("who")
    who.fill("nobody of this name")
    who.press("Enter")
    page.wait_for_selector("text=Nobody did this.")
    who.fill("ann")
    who.press("Enter")
    page.wait_for_selector("tbody tr")
    assert set(page.locator("main tbody th").all_inner_texts()) == {"ann"}
    assert "who=ann" in page.url
    page.get_by_role("button", name="What the engine noted").click()
    page.wait_for_selector("main >> text=Parameters changed")


def test_the_audit_of_who_may_not_administer_has_nobodys_name(visit):
    page = visit("vic")
    page.click(".rail a[href='#/audit']")
    page.wait_for_selector("text=owners with the scope admin")
    assert page.get_by_role("button", name="Who did what").count() == 0
