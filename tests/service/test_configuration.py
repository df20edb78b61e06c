"""Settings: precedence, and refusals in one clear line."""

import pytest
from tests.cli.conftest import run as run

from crossmargin.errors import InputError
from crossmargin.service.configuration import Settings, settings
from crossmargin.service.silence import Server


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "crossmargin.toml"
    path.write_text('[service]\nport = 1111\nfolder = "from-file"\ntick_s = 0.5\n')
    return path


def test_a_flag_goes_before_the_environment_and_that_before_the_file(file):
    environment = {"CROSSMARGIN_PORT": "2222", "CROSSMARGIN_FOLDER": "from-environment", "HOME": "/"}
    found = settings({"port": 3333, "folder": None}, environment, file)
    assert (found.port, found.folder, found.tick_s, found.host) == (3333, "from-environment", 0.5, "127.0.0.1")
    assert settings({}, {}, file).port == 1111
    assert settings({}, {}) == Settings()


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("[service]\nprot = 1\n", "prot"),
        ("[service]\nport = 'many'\n", "port"),
        ("[service]\nport = 70000\n", "between 0 and 65535"),
        ("[service]\nhost = '0.0.0.0'\n", "loopback"),
        ("[service]\nhost = '0.0.0.0'\nopen = true\nproxy = '192.0.2.1'\n", "where the service is open"),
        ("[service]\ncertificate = 'a.pem'\n", "must come together"),
        ("[service]\nwithdrawal_limits = ['USDC']\n", "ASSET=AMOUNT"),
        ("[service]\nwithdrawal_limits = ['USDC=-1']\n", "ASSET=AMOUNT"),
        ("[service]\ntick_s = 40\n", "shorter than the longest jump"),
        ("[service]\nworkers = -1\n", "workers must be 0 to 64, were -1"),
        ("[service]\nworkers = 2\ncertificate = 'a.pem'\nprivate_key = 'b.pem'\n", "TLS must end in a proxy"),
        ("[service\n", "must be TOML"),
        ("[servise]\n", "one table"),
    ],
)
def test_nonsense_is_refused(tmp_path, text, finding):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=finding):
        settings({}, {}, path)


REFUSED = {"file": ["--config", "none.toml"], "tables": ["--database", "mysql://x/y"], "host": ["--host", "192.0.2.1"]}


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED)
def test_the_command_says_it_in_one_line(tmp_path, run, monkeypatch, asked):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Server, "run", lambda _: None)  # where it is not refused, nothing is served for ever
    code, _, err = run("serve", "--open", "--folder", "f", *asked)
    assert code == 2
    assert err.startswith("error: a ")
    assert len(err.splitlines()) == 1


def test_feeds_are_set_like_everything_else(tmp_path):
    path = tmp_path / "service.toml"
    path.write_text('[service]\nfeeds = ["ccxt:deribit,kraken", "replay:day.csv"]\n')
    held = ("ccxt:deribit,kraken", "replay:day.csv")
    assert settings({}, {}, path).feeds == held
    assert settings({}, {"CROSSMARGIN_FEEDS": "ccxt:okx,bybit  replay:other.csv@max"}, path).feeds == (
        "ccxt:okx,bybit",
        "replay:other.csv@max",
    )
    assert settings({"feeds": ["ccxt:okx"]}, {"CROSSMARGIN_FEEDS": "ccxt:bybit"}, path).feeds == ("ccxt:okx",)
