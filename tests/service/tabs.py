"""Tabs of a browser that are used for one test after another.

A new tab with a profile of its own is a new process that has to read and translate the page's program first: on a busy
machine a second, which is most of what a short test takes. A tab that was emptied keeps its process and its copies of files
and nothing else: no cookie, nothing stored, no route, no size, no place of the mouse.
"""

import asyncio
import contextlib
import time
from urllib.parse import urlsplit

from serving import LONGEST_S

SIZE = (1280, 720)
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


class Tabs:
    """Tabs of one browser, each in a context of its own, so that nobody's cookies are another's.

    Playwright lets its loop stand as the one that runs in this thread. It may only do so while a test has tabs: others
    run loops of their own.
    """

    def __init__(self, browser):
        self.browser, self.idle, self.used = browser, [], []
        self.loop = asyncio.get_running_loop()

    @contextlib.contextmanager
    def left_alone(self):
        """Let other tests run loops."""
        asyncio._set_running_loop(None)
        try:
            yield
        finally:
            asyncio._set_running_loop(self.loop)

    @contextlib.contextmanager
    def lent(self):
        """Let a test open tabs; they are taken back after it."""
        asyncio._set_running_loop(self.loop)
        try:
            yield
            self.empty()
        finally:
            asyncio._set_running_loop(None)

    def open(self, console, size=SIZE, scheme="light"):
        """Return an empty tab; `page.console` gets its warnings and errors, `page.asked` what it asked for."""
        page = self.idle.pop() if self.idle else self._new()
        self.used.append(page)
        page.console, page.asked = console, []
        across, down = size
        page.set_viewport_size({"width": across, "height": down})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        return page

    def _new(self):
        page = self.browser.new_context().new_page()
        page.set_default_timeout(1_000 * LONGEST_S)
        page.under_way, page.at_own_pace = set(), False
        page.on("console", lambda said: page.console.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: page.console.append(str(error)))
        page.on("request", lambda request: (page.asked.append(request.url), page.under_way.add(request)))
        page.on("websocket", lambda socket: page.asked.append(socket.url.replace("ws:", "http:")))
        for ended in ("requestfinished", "requestfailed"):
            page.on(ended, lambda request: page.under_way.discard(request))
        return page

    def empty(self):
        """Take every tab back from the test that is over."""
        while self.used:
            page = self.used.pop()
            if page.at_own_pace:
                page.context.close()
                continue
            page.unroute_all()
            page.mouse.move(-1, -1)
            page.goto("about:blank")
            _forget(page)
            page.under_way.clear()
            self.idle.append(page)


def _forget(page):
    devtools = page.context.new_cdp_session(page)
    for origin in {f"{each.scheme}://{each.netloc}" for each in map(urlsplit, page.asked)}:
        devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    devtools.detach()


def own_pace(page):
    """Let the page's timers go by a clock that a test can put forward, rather than wait; such a tab is not used again."""
    page.at_own_pace = True
    page.clock.install()


def settled(page):
    """Wait until all that the page has asked for is here, and drawn: an answer's own questions follow within two frames."""
    deadline = time.monotonic() + LONGEST_S
    quiet = False
    while not quiet:
        assert time.monotonic() < deadline, [each.url for each in page.under_way]
        asked = len(page.asked)
        page.evaluate(TWO_FRAMES)
        quiet = not page.under_way and asked == len(page.asked) and page.locator(".loading").count() == 0
