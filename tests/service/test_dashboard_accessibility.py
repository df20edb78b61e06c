"""What Lighthouse looks for, by script: every page of the router, at desktop and phone width, dark and light.

Each check is tried once on a page that was spoilt on purpose, so that a check that sees nothing is seen.
"""

from pathlib import Path

import pytest
from dashboard_pages import ROUTED, pages, small_stand_in
from tabs import settled

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHECKS = (Path(__file__).parent / "page_checks.js").read_text(encoding="utf-8")
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
SCHEMES = ("light", "dark")
PAGES = pages("desk-00005")
NAMED = {"button", "link", "textbox", "searchbox", "combobox", "slider", "checkbox", "grid", "image", "img", "dialog"}


@pytest.fixture(scope="module")
def still_site():
    with small_stand_in(24, still=True) as address:
        yield address


@pytest.fixture
def visit(tabs, console, still_site):
    """Open an address of the stand-in; what was asked of whom is in `page.asked`."""

    def visit(address, sign, at=still_site, health=None):
        page = tabs.open(console)
        if health is not None:
            page.route("**/health", lambda route: route.fulfill(json=health))
        page.goto(at + address)
        page.wait_for_selector(sign)
        if health is None:
            page.wait_for_selector(".link.live")
        settled(page)
        return page

    return visit


TIME = {"iso": "2026-01-15T09:21:30.000Z", "epoch_ms": 1768468890000}
CHANGE = {
    "asked_by": "bob",
    "asked": TIME,
    "command": {"type": "SetParameters", "id": "c", "parameters": {"order_band": 0.5}},
}
DECIDED = {**CHANGE, "id": "a", "state": "approved", "decided_by": "ann", "decided": TIME}
PENDING = {**CHANGE, "id": "b", "state": "pending", "decided_by": None}

ASKED = [
    {"sequence": 9, "time": TIME, "who": "ann", "via": "session", "address": "10.0.0.7", "decision": "allowed", "detail": "",
     "action": "POST /api/v1/parameters {}"},
    {"sequence": 8, "time": TIME, "who": "unknown", "via": "unknown", "address": "10.0.0.9", "detail": "",
     "action": "POST /api/v1/session", "decision": "refused: login"},
]  # fmt: skip


def known(page, site):
    """Let the stand-in know who is there: an owner who may decide."""
    ann = {"user": "ann", "scopes": ["admin", "read", "risk"], "accounts": None, "open": False}
    page.context.add_cookies([{"name": "csrftoken", "value": "t", "url": site}])
    page.route("**/health", lambda route: route.fulfill(json={"status": "ok", "open": False}))
    page.route("**/api/v1/session", lambda route: route.fulfill(json=ann))
    page.route("**/api/v1/approvals", lambda route: route.fulfill(json={"items": [PENDING, DECIDED], "next": "4"}))
    older = {**DECIDED, "id": "o", "asked_by": "cleo", "state": "rejected"}
    page.route("**/api/v1/approvals?cursor=4", lambda route: route.fulfill(json={"items": [older], "next": None}))
    page.route(
        "**/api/v1/approvals?state=pending*", lambda route: route.fulfill(json={"items": [PENDING], "next": None})
    )
    page.route("**/api/v1/access-log*", lambda route: route.fulfill(json={"items": ASKED, "next": "7"}))


def test_the_page_of_approvals_can_be_read_named_and_walked_by_anybody(visit, console, still_site):
    page = visit(*PAGES["overview"])
    known(page, still_site)
    page.goto(f"{still_site}#/approvals")
    page.reload()
    page.wait_for_selector("td:text('approved')")
    assert page.get_by_role("button", name="Approve").count() == 1
    page.get_by_role("button", name="More").click()
    page.wait_for_selector("td:text('cleo')")
    assert page.locator("tbody tr", has_text="ann").count() >= 1, "the newer ones stay"
    assert page.get_by_role("button", name="More").count() == 0
    assert amiss(page) == {}
    assert console == []


def test_the_audit_that_an_owner_sees_is_for_anybody_too(visit, console, still_site):
    page = visit(*PAGES["overview"])
    known(page, still_site)
    page.goto(f"{still_site}#/audit")
    page.reload()
    page.wait_for_selector("td:text('asked for other parameters')")
    assert amiss(page) == {}
    assert console == []


def test_a_proposal_is_for_anybody_too_where_it_is_typed_where_it_is_wrong_and_where_it_is_looked_at(visit, console):
    page = visit("#/parameters?propose=1", "form.propose")
    page.click("summary")  # all values as JSON
    assert amiss(page) == {}
    page.get_by_label("order band").fill("wide")
    page.keyboard.press("Enter")
    page.wait_for_selector("form.propose [role=alert]")
    assert amiss(page) == {}
    page.get_by_label("order band").fill("0.3")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2:text('1 change of engine')")
    assert amiss(page) == {}
    assert console == []


def drawn(page):
    """Yield every size and scheme, with the page drawn so."""
    for size, (across, down) in SIZES.items():
        page.set_viewport_size({"width": across, "height": down})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
            yield size, scheme


def unnamed(page):
    """Controls and pictures without a name, which Chromium computes as a screen reader gets it."""
    devtools = page.context.new_cdp_session(page)
    tree = devtools.send("Accessibility.getFullAXTree")["nodes"]
    devtools.detach()  # the browser keeps no tree for what comes next
    told = [node for node in tree if not node.get("ignored") and node.get("role", {}).get("value") in NAMED]
    assert told
    return [node for node in told if not node.get("name", {}).get("value", "").strip()]


# what is to be walked gets its place in the order, and whatever has the focus once a key is up is looked at
MARK = """() => {
    const wanted = "a[href], button, input, select, textarea, summary, [tabindex]";
    const found = [...document.querySelectorAll(wanted)].filter(each =>
        !each.disabled && each.tabIndex >= 0 && each.checkVisibility({visibilityProperty: true}));
    found.forEach((each, at) => each.dataset.tab = at);
    const uncovered = each => {
        const box = each.getBoundingClientRect();
        const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2;
        const y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
        const top = document.elementFromPoint(x, y);
        return top !== null && (each.contains(top) || top.contains(each));
    };
    const look = () => {
        const each = document.activeElement, style = getComputedStyle(each);
        return {
            at: each.dataset.tab === undefined ? null : Number(each.dataset.tab),
            told: each.outerHTML.slice(0, 120),
            ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
            free: uncovered(each),
        };
    };
    removeEventListener("keyup", window.walk?.step, true);
    window.walk = {found, look, seen: [], step: () => walk.seen.push(look())};
    addEventListener("keyup", walk.step, true);
    return found.length;
}"""
# the next Tab is to lead to this place
BEFORE = """place => {
    if (place) return walk.found[place - 1].focus();
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
}"""
# the page may still be scrolling there
AWAITED = """async () => {
    for (let frame = 0; frame < 30 && !walk.look().free; frame++) await new Promise(requestAnimationFrame);
    return walk.look();
}"""


def tabbed(page):
    """Yield what is amiss with a walk by Tab: all that can be focused is reached in order, is seen, and shows it."""
    count = page.evaluate(MARK)
    assert count
    page.evaluate(BEFORE, 0)
    for _ in range(count):
        page.keyboard.press("Tab")
    seen = page.evaluate("walk.seen")
    assert len(seen) == count
    for place, focused in enumerate(seen):
        if focused["at"] != place:
            yield f"place {place} of {count} went to {focused['at']}, {focused['told']}"
            return
        if not focused["ring"]:
            yield f"ring: {focused['told']}"
        if not focused["free"] and not _free_in_time(page, place):
            yield f"free: {focused['told']}"


def _free_in_time(page, place):
    page.evaluate(BEFORE, place)
    page.keyboard.press("Tab")
    focused = page.evaluate(AWAITED)
    return focused["at"] == place and focused["free"]


def amiss(page, *, walk=True):
    """Everything that the checks found, by size and scheme."""
    found = {}
    for size, scheme in drawn(page):
        for name, what in page.evaluate(CHECKS).items():
            if what:
                found[name, size, scheme] = what
        if scheme == "light":
            if names := unnamed(page):
                found["names", size] = names
            if walk and (order := list(tabbed(page))):
                found["tab", size] = order
    return found


@pytest.mark.parametrize("name", ROUTED)
def test_a_page_can_be_read_named_and_walked_by_anybody(visit, console, still_site, name):
    page = visit(*PAGES[name])
    assert amiss(page) == {}
    assert [each for each in page.asked if not each.startswith((still_site, "data:", "blob:"))] == []
    assert len(page.asked) > 5
    assert console == []


def test_the_rail_leads_to_every_page_of_the_router_and_each_has_its_title(visit):
    page = visit(*PAGES["overview"])
    # approvals are of a service that knows who is there, an account is reached from accounts
    links = page.locator(".rail a").evaluate_all("links => links.map(each => each.getAttribute('href'))")
    assert [f"#/{name}" for name in ROUTED if name not in {"account", "approvals"}] == links
    titles: list[str] = []
    for link in links:
        page.click(f".rail a[href='{link}']")
        page.wait_for_selector(f".rail a[href='{link}'][aria-current=page]")
        # it is set after the page was drawn
        page.wait_for_function("seen => !seen.includes(document.title)", arg=titles)
        titles.append(page.title())
    assert len(titles) == len(links)


STARTING = {"status": "starting", "sequence": 0, "time": None, "open": True}
OUTSIDE = {
    "opening": {**STARTING, "progress": {"done": 300, "of": 763}},
    "opening without progress": {**STARTING, "progress": None},
    "compiling": {**STARTING, "progress": {"done": 20, "of": 169, "what": "kernels"}},
    "failed": {"status": "failed", "finding": "[Errno 5] Input/output error"},
    "log in": {"status": "ok", "sequence": 0, "time": None, "open": False},
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_stands_in_every_pages_place_is_for_anybody_too(visit, console, name):
    page = visit("", "main h1", health=OUTSIDE[name])
    assert amiss(page) == {}
    assert [each for each in page.asked if "/api/" in each] == []
    assert console == []


def test_an_address_that_is_no_page_leads_back(visit, console):
    page = visit("#/nowhere", "h1:text('No such page')")
    assert amiss(page) == {}
    assert console == []


@pytest.mark.parametrize("opens", ["Why: Equity", "?"])
def test_dialogs_are_for_anybody_too(visit, opens):
    page = visit(*PAGES["overview"])
    if opens == "?":
        page.keyboard.press("?")
    else:
        page.get_by_role("button", name=opens, exact=True).click()
    page.wait_for_selector("dialog[open]")
    assert amiss(page, walk=False) == {}
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")


# the element that stands in the place of a copy of itself, and what is done to the copy
SPOILT = {
    "titles": ("title", "copy.textContent = ''"),
    "headings": ("h2", "copy.outerHTML = '<h4>deep</h4>'"),
    "landmarks": ("nav", "copy.ariaLabel = ''"),
    "labels": ("#search", "copy.ariaLabel = ''"),
    "roles": ("[role=status]", "copy.setAttribute('role', 'gridcell')"),
    "ids": ("h1", "copy.id = 'main'"),
    "tables": ("main th", "copy.textContent = ''"),
    "targets": (".why", "copy.style.width = '12px'"),
    "scrolling": ("h1", "copy.style.width = '5000px'"),
    "contrast": ("h1", "copy.style.cssText = 'color: #888; background: #888'"),
    "graphics": ("h1", "copy.innerHTML += '<style>:root { --line-1: #808080; --bg: #777 !important }</style>'"),
}
# by what of the walk is seen
SPOILT_WALKS = {
    "order": ("place", "copy.children[3].tabIndex = 1"),
    "no ring": ("ring", "copy.children[0].style.outline = 'none'"),
    "covered": ("free", "copy.insertAdjacentHTML('beforeend', '<i style=\"position: fixed; inset: 0; z-index: 9\">')"),
    "out of reach": ("place", "copy.addEventListener('focusin', event => event.target.blur())"),
}
SPOIL = """([selector, spoil]) => {
    const own = document.querySelector(selector), copy = own.cloneNode(true);
    own.replaceWith(copy);
    const parent = copy.parentNode, next = copy.nextSibling;
    new Function("copy", spoil)(copy);
    window.restore = () => {
        const now = next ? next.previousSibling : parent.lastChild;
        now.replaceWith(own);
    };
}"""


def test_every_check_sees_a_page_that_was_spoilt(visit, console):
    page = visit(*PAGES["overview"])
    sound = {name: [] for name in SPOILT}
    assert page.evaluate(CHECKS) == sound
    for name, spoil in SPOILT.items():
        page.evaluate(SPOIL, spoil)
        assert page.evaluate(CHECKS)[name], name
        page.evaluate("restore()")
        assert page.evaluate(CHECKS) == sound
    assert list(tabbed(page)) == []
    for name, (told, spoil) in SPOILT_WALKS.items():
        page.evaluate(SPOIL, [".rail", spoil])
        # the first: what is covered is waited for at each place
        assert next(tabbed(page), "nothing").startswith(told), name
        page.evaluate("restore()")
    page.evaluate(SPOIL, [".brand", "copy.innerHTML = ''"])
    assert unnamed(page)
    assert console == []
    elsewhere = "http://127.0.0.1:9/x.png"
    fetched = "address => new Promise(done => { const i = new Image(); i.onerror = done; i.src = address })"
    page.evaluate(fetched, elsewhere)
    assert elsewhere in page.asked
    page.evaluate("console.error('spoilt')")
    assert "spoilt" in console
