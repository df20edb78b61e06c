"""Where outside cases are, and the count of those that ran."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Where Python is told to keep no bytecode, each process that a test starts compiles the 1,500 modules of a service anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile("default", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", deadline=None, max_examples=10_000, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

ROOT = Path(__file__).parents[1]


def shared_folder() -> Path | None:
    """Return the folder of outside cases, or None."""
    named = (
        os.environ.get("CROSSMARGIN_SHARED")
        or subprocess.run(
            [ROOT / "scripts" / "shared-folder"], capture_output=True, text=True, check=False
        ).stdout.strip()
    )
    folder = Path(named) if named else None
    return folder.resolve() if folder is not None and folder.is_dir() else None


SHARED = shared_folder()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of outside cases, or skip the test that asks for it."""
    if SHARED is None:
        pytest.skip("outside cases are absent: CROSSMARGIN_SHARED names no folder")
    return SHARED


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "outside: reads the folder of outside cases")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    soak = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("outside")
        if item.get_closest_marker("soak") and not soak:
            item.add_marker(pytest.mark.skip(reason="slow suite: make soak"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many outside cases ran: a test may report several with `record_property("outside_cases", n)`."""
    ran = skipped = 0
    for status in ("passed", "failed", "skipped"):
        for report in terminalreporter.getreports(status):
            # A report of a failed collection has no keywords.
            if "outside" not in getattr(report, "keywords", ()):
                continue
            count = sum(int(value) for key, value in report.user_properties if key == "outside_cases") or 1
            if status == "skipped":
                skipped += count
            elif report.when == "call":
                ran += count
    terminalreporter.write_line(f"outside cases: {ran} run, {skipped} skipped")
