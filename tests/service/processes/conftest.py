"""One engine for all tests of several processes, behind an open service and one with keys."""

import pytest
from several import HELD, Several

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import KeyStore, master_key
from crossmargin.service.access.rate_limits import Rate
from crossmargin.service.access.roles import Scope
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer


@pytest.fixture(scope="package")
def writer(tmp_path_factory):
    book = [each for each in sample_book() if each.account in HELD]
    found = Writer(tmp_path_factory.mktemp("several"), opening=lambda: tuple(opening_commands(book, sample_market())))
    yield found
    found.close()


@pytest.fixture(scope="package")
def opened(writer, forked):
    found = Several(writer, forked)
    yield found
    found.stop()


@pytest.fixture
def service(opened):
    """Return the open service, ready."""
    opened.until(opened.is_ready)
    yield opened
    opened.hang_up()


@pytest.fixture(scope="package")
def spans():
    """Return what the service with keys makes spans with, and those that have ended; None where the extra is missing."""
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    except ImportError:
        return None
    provider, ended = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(ended))
    return provider.get_tracer("tests"), ended


@pytest.fixture(scope="package")
def locked(writer, forked, spans):
    """Return the service with keys, and the keys by name."""
    folder = writer.folder
    store = KeyStore(folder / "access.sqlite", master_key(folder, create=True))
    networks = {
        "anywhere": (),
        "elsewhere": ("127.0.0.2/32",),
        "leaving": (),
        "busy": (),
        "watching": (),
        "house": (),
        "traced": (),
    }
    bound = {"desk": frozenset({"hedger", "cash-only"}), "nobody": frozenset({"not-open"})}
    keys = {
        name: store.create(
            owner=name,
            scopes=frozenset({Scope.READ}),
            accounts=bound.get(name),
            created_ns=1,
            networks=networks.get(name, ()),
        )
        for name in (*networks, *bound)
    }
    store.close()
    # a clock that stands still fills no bucket again
    access = Access(folder, caller=Rate(per_second=1, burst=50), monotonic=lambda: 0.0)
    found = Several(writer, forked, access, tracer=None if spans is None else spans[0])
    yield found, {name: (key.id, secret) for name, (key, secret) in keys.items()}
    found.stop()
    access.close()


@pytest.fixture
def keyed(locked):
    """Return the service with keys, ready, and its keys."""
    locked[0].until(locked[0].is_ready)
    yield locked
    locked[0].hang_up()
