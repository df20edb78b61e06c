"""Measure the dashboard in a real Chromium: ``python scripts/measure_dashboard.py [--seconds 12] [--json]``.

What a user waits for, from his hand to what is painted: the first page's figures; the answer to a what-if after a slider has
moved, on an account of a few options and on one of sixty positions (the sample's, on the real service); and the frames of
ten thousand live accounts, of which 800 change each second (the stand-in of the tests), while the table is scrolled.
Of 60 frames a second every one that is missing counts as dropped, so that a page which is slow throughout looks so.
The load of the machine is stated, because a busy one drops frames of any page.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from crossmargin.files.sample import sample_market, solvent_sample_book
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "service"))
import dashboard_pages
import serving

ACCOUNTS = {"straddle-seller": 2, "market-maker": 60}
LIVE = 10_000
PAGES, MOVES = 10, 40
FRAME_MS = 1_000 / 60
FIRST_FIGURES = "performance.getEntriesByName('first-figures')[0].startTime"
WHAT_IF = """async moves => {
    const slider = document.querySelector("#what-if input[type=range]");
    const painted = () => new Promise(done => requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => done(performance.now());  // its turn comes after the frame was drawn
        port2.postMessage(null);
    }));
    const move = value => new Promise(done => {
        const begun = performance.now();
        const watch = new MutationObserver(async () => {
            watch.disconnect();
            done(await painted() - begun);
        });
        const box = document.querySelector("#what-if [aria-live]");
        watch.observe(box, {childList: true, subtree: true, characterData: true});
        slider.value = value;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
    });
    const waits = [];
    for (let n = 0; n < moves + 5; n++) {
        waits.push(await move((-0.05 - (n % 40) / 100).toFixed(2)));
        await new Promise(done => setTimeout(done, 50));
    }
    return waits.slice(5);
}"""
FRAMES = """seconds => new Promise(done => {
    const gaps = [], begun = performance.now(); let last = begun, by = 37;
    requestAnimationFrame(function frame(now) {
        gaps.push(now - last); last = now;
        const box = document.querySelector("[role=grid] .viewport");
        if (box.scrollTop + box.clientHeight >= box.scrollHeight - 40) by = -37;
        if (box.scrollTop <= 0) by = 37;
        box.scrollTop += by;
        now - begun < 1000 * seconds ? requestAnimationFrame(frame) : done(gaps.slice(2));
    });
})"""


def load() -> str:
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "worst_ms": round(ordered[-1], 1),
    }


def first_pages(browser: Browser, site: str) -> dict[str, Any]:
    """Open the overview as somebody who was never here, several times; until its four figures are there."""
    waits = []
    for _ in range(PAGES):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(f"{site}#/overview")
        page.wait_for_selector(".figure b")
        waits.append(page.evaluate(FIRST_FIGURES))
        context.close()
    return summary(waits)


def what_ifs(browser: Browser, site: str, account: str) -> dict[str, Any]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1_000 * serving.LONGEST_S)
    page.goto(f"{site}#/account/{account}")
    page.wait_for_selector("canvas")
    page.wait_for_load_state("networkidle")
    found = summary(page.evaluate(WHAT_IF, MOVES))
    context.close()
    return found


def frames(browser: Browser, site: str, seconds: float) -> dict[str, Any]:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(1_000 * serving.LONGEST_S)
    page.goto(f"{site}#/accounts")
    page.wait_for_function(f"document.querySelector('[role=grid]')?.ariaRowCount === '{LIVE + 1}'")
    page.wait_for_selector(".link.live")
    gaps = page.evaluate(FRAMES, seconds)
    dropped = sum(max(0, round(gap / FRAME_MS) - 1) for gap in gaps)
    return {"seconds": seconds, "frames": len(gaps), "dropped": dropped, "usual_gap_ms": round(statistics.median(gaps), 1),
            "longest_gap_ms": round(max(gaps), 1)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0, help="how long frames are counted")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found: dict[str, Any] = {}

    def tell(name: str, figures: dict[str, Any]) -> None:
        found[name] = {**figures, "load": load()}
        if not chosen.json:
            print(f"{name}: {', '.join(f'{key} {value}' for key, value in found[name].items())}", flush=True)

    with sync_playwright() as started:
        executable = None if Path(started.chromium.executable_path).exists() else shutil.which("chromium")
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        with tempfile.TemporaryDirectory() as folder:
            commands = tuple(opening_commands(solvent_sample_book(), sample_market()))
            writer = Writer(Path(folder), opening=lambda: commands)
            with serving.serving(application(writer)) as url:
                tell("first page", first_pages(browser, f"{url}/"))
                for account, positions in ACCOUNTS.items():
                    tell(f"what-if to paint, {positions} positions", what_ifs(browser, f"{url}/", account))
            writer.close()
        with dashboard_pages.stand_in(LIVE) as site:
            tell(f"{LIVE} accounts live", frames(browser, site, chosen.seconds))
        browser.close()
    if chosen.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
