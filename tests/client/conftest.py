"""A service on some of the sample book, on a port of loopback."""

import pytest
from serving import serving

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer


@pytest.fixture(scope="package")
def writer(tmp_path_factory):
    book = [each for each in sample_book() if each.account in {"cash-only", "hedger", "levered-long", "isolated-pair"}]
    commands = tuple(opening_commands(book, sample_market()))
    writer = Writer(tmp_path_factory.mktemp("client"), opening=lambda: commands)
    yield writer
    writer.close()


@pytest.fixture(scope="package")
def url(writer):
    with serving(application(writer)) as url:
        yield url
