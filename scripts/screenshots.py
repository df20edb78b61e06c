"""Screenshots of docs/, by a real Chromium on the real service: ``python scripts/screenshots.py [FOLDER [PAGE ...]]``.

The service opens with the sample book; a market that falls by a twentieth and comes part of the way back liquidates some.
Every page is taken at desktop width, light, and at phone width, dark, and login of a service that asks who is there.
"""

import dataclasses
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import uvicorn
from litestar import Litestar
from playwright.sync_api import Browser, sync_playwright

from crossmargin.engine.commands import AdvanceTime
from crossmargin.files.sample import sample_market, solvent_sample_book
from crossmargin.margin.what_if import Change, moved
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.access.users import UserStore
from crossmargin.service.application import application
from crossmargin.service.opening import market_update, opening_commands
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer

IMAGES = Path(__file__).parent.parent / "docs" / "images"
WHAT_IF = quote('{"price_moves":{"BTC":-0.1},"trades":[{"instrument":"deribit:BTC/USD:BTC","quantity":"-2000"}]}')
DRAFT = quote('{"order_band":"0.25"}')
PAGES = {
    "overview": ("#/overview", ".figure b"),
    "accounts": ("#/accounts", "[role=rowheader] a"),
    "account": (f"#/account/straddle-seller?if={WHAT_IF}", "#what-if tbody tr"),
    "stress": ("#/stress?moves=BTC:-0.4,ETH:-0.45,others:-0.5&vol=1", ".figure b"),
    "liquidations": ("#/liquidations", ".waterfall tbody tr"),
    "insurance": ("#/insurance", ".figure b"),
    "replay": ("#/replay", ".replay"),
    "parameters": ("#/parameters", "main table tbody tr"),
}
KNOWN = {
    "approvals": ("#/approvals", ".card h2"),
    "propose": (f"#/parameters?of=engine&propose=1&set={DRAFT}", "tr.own"),
    "audit": ("#/audit", "main tbody tr"),
}
"""Those of a service that asks who is there, as a second owner sees them."""
OWNERS = ("ann", "bob")
PASSWORD = "for the pictures only"
WHOLE = ("overview", "account", "liquidations", "insurance")
SIZES = {"desktop": (1280, 800, "light"), "phone": (390, 844, "dark")}
FALL = (-0.02, -0.05, -0.03)
STEP_S = 60


def story(writer: Writer) -> None:
    """Let the market of coins fall and recover, a minute a step."""
    market = sample_market()
    coins = [coin for coin in ("BTC", "ETH", "SOL") if coin in market.index]
    for number, fall in enumerate(FALL):
        time_ns = market.time_ns + (number + 1) * STEP_S * 10**9
        change = Change(prices=dict.fromkeys(coins, fall), vols=dict.fromkeys(coins, -fall))
        there = dataclasses.replace(moved(market, change), time_ns=time_ns)
        asked = [
            AdvanceTime(id=f"t{number}", time_ns=time_ns),
            market_update(there, solvent_sample_book(), f"m{number}"),
        ]
        for command in asked:
            writer.submit(command).result()


@contextmanager
def served(app: Litestar) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


def ask_for_a_change(site: str, users: UserStore) -> None:
    """Let one of two owners ask for other parameters, which the other has to approve."""
    for name in OWNERS:
        users.set(name, password=PASSWORD, role="admin", accounts=None)
    with httpx.Client(base_url=f"{site}api/v1/") as asks:
        asks.post("session", json={"user": OWNERS[0], "password": PASSWORD}).raise_for_status()
        held = {each.name: str(each.value) for each in asks.cookies.jar}
        cookie = "; ".join(f"{name}={value}" for name, value in held.items())
        headers = {"x-csrftoken": held["csrftoken"], "idempotency-key": "band", "cookie": cookie}
        found = asks.get("parameters", headers=headers).json()["items"]
        values = next(each["values"] for each in found if each["name"] == "engine")
        asked = asks.post("parameters", json={"parameters": {**values, "order_band": 0.5}}, headers=headers)
        asked.raise_for_status()


def take(
    browser: Browser, site: str, name: str, address: str, sign: str, folder: Path, user: str | None = None
) -> None:
    for size, (across, down, scheme) in SIZES.items():
        context = browser.new_context(
            viewport={"width": across, "height": down}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        page.goto(site + address)
        if user is not None:
            page.get_by_label("User").fill(user)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
        page.wait_for_selector(sign, timeout=120_000)
        page.wait_for_load_state("networkidle", timeout=120_000)
        page.wait_for_timeout(500)
        page.screenshot(path=folder / f"dashboard-{name}-{size}.png", full_page=name in WHOLE)
        context.close()
        print(name, size, flush=True)


def main() -> None:
    images = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    wanted = sys.argv[2:] or [*PAGES, "login", *KNOWN]
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        commands = tuple(opening_commands(solvent_sample_book(), sample_market()))
        writer = Writer(
            Path(folder), opening=lambda: commands, projector=Projector(f"sqlite:///{folder}/p.sqlite", Path(folder))
        )
        story(writer)
        executable = None if Path(started.chromium.executable_path).exists() else shutil.which("chromium")
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        with served(application(writer)) as site:
            for name, (address, sign) in PAGES.items():
                if name in wanted:
                    take(browser, site, name, address, sign, images)
        master_key(Path(folder), create=True)
        access = Access(Path(folder))
        with served(application(writer, access=access)) as site:
            if "login" in wanted:
                take(browser, site, "login", "", ".login", images)
            if set(wanted) & set(KNOWN):
                ask_for_a_change(site, access.users)
            for name, (address, sign) in KNOWN.items():
                if name in wanted:
                    take(browser, site, name, address, sign, images, OWNERS[1])
        access.close()
        browser.close()
        writer.close()


if __name__ == "__main__":
    main()
