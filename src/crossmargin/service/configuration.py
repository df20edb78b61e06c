"""Settings of the service: a flag goes before the environment, the environment before the file, the file before defaults.

The file is TOML with one table, ``[service]``, whose keys are the names of `Settings`; the variable of a setting is its
name in capitals after ``CROSSMARGIN_``. A key that no setting has is refused, so that a typing mistake is found.
"""

import ipaddress
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from crossmargin.errors import InputError

PREFIX = "CROSSMARGIN_"
LISTS = {"names": ",", "withdrawal_limits": ",", "feeds": None}
"""Settings of several values, and what stands between them in a variable; white space between feeds, which hold commas."""

MOST_WORKERS = 64


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the service runs with."""

    host: str = "127.0.0.1"
    """Address to listen on; other machines reach it only with a certificate, or through a proxy that has one."""
    port: int = 8000
    folder: str = "crossmargin-data"
    """Folder of the journal and its snapshots."""
    database: str | None = None
    """URL of the projection; a file in the folder where there is none."""
    tick_s: float = 1.0
    """Pace of the clock, which moves the engine's time; 0 leaves time to the commands."""
    longest_jump_s: float = 30.0
    """A step of the system's clock that is longer is not passed on to the engine."""
    open: bool = False
    """Ask nobody for a key or a session; on a loopback address only."""
    names: tuple[str, ...] = ()
    """Names that requests may ask for the service by, beside those of this machine."""
    certificate: str | None = None
    """File of the certificate for TLS."""
    private_key: str | None = None
    """File of the certificate's private key."""
    proxy: str | None = None
    """Address or network of the proxy that ends TLS in front, or several with commas; what it says of where requests come
    from is believed, what others say is not."""
    withdrawal_limits: tuple[str, ...] = ()
    """``ASSET=AMOUNT`` that an account may withdraw in 24 hours on one pair of eyes; of other assets, nothing."""

    workers: int = 0
    """Processes that margin books of nobody's, beside the engine's and one for streams; 0 leaves all to the engine's."""
    opening: str | None = None
    """File of the commands that a new folder begins with, as JSON lines; the sample if not given."""
    feeds: tuple[str, ...] = ()
    """Where prices come from, as `crossmargin.service.feeding.parse_feed` reads it; time is then theirs."""
    metrics_port: int | None = None
    """Port of this machine on which Prometheus reads the metrics without a key; none if not given."""
    alerts: str | None = None
    """TOML file with rules of alerts; no metric is watched if not given."""
    trace_endpoint: str | None = None
    """URL of an OpenTelemetry collector's traces; none are made if not given."""

    def __post_init__(self) -> None:
        if not self.is_loopback and self.open:
            raise InputError(f"a host must be a loopback address where the service is open, was {self.host}")
        if not self.is_loopback and self.certificate is None and self.proxy is None:
            raise InputError(f"a host must be a loopback address without a certificate or a proxy, was {self.host}")
        if (self.certificate is None) != (self.private_key is None):
            raise InputError("a certificate and its private key must come together, one of them was missing")
        _require_addresses(self.proxy)
        if not 0 <= self.workers <= MOST_WORKERS:
            raise InputError(f"workers must be 0 to {MOST_WORKERS}, were {self.workers}")
        if self.workers and self.certificate is not None:
            raise InputError("TLS must end in a proxy where there are workers, a certificate was given")
        limits(self.withdrawal_limits)
        for port in (self.port, self.metrics_port or 0):
            if not 0 <= port < 1 << 16:
                raise InputError(f"a port must be between 0 and 65535, was {port}")
        if not 0 <= self.tick_s < self.longest_jump_s:
            raise InputError(f"a tick must be 0 or more and shorter than the longest jump, was {self.tick_s} s")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or _is_loopback(self.host)

    @property
    def hosts(self) -> list[str]:
        """Values of the Host header that are answered: names with the port, which the usual one is left out of."""
        names = ["127.0.0.1", "localhost", "[::1]", self.host, *self.names]
        return [*names, *(f"{name}:{self.port}" for name in names)]

    @property
    def database_url(self) -> str:
        """Where the projection is."""
        return self.database or f"sqlite:///{Path(self.folder).absolute() / 'projection.sqlite'}"


def settings(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Return the settings that flags, environment and file amount to; a flag of None was not given.

    Raises
    ------
    InputError
        If a key is unknown, or a value is not what its setting takes.

    Examples
    --------
    >>> settings({"port": None, "host": "::1"}, {"CROSSMARGIN_PORT": "8080", "CROSSMARGIN_HOST": "127.0.0.2"})
    ...     # doctest: +ELLIPSIS
    Settings(host='::1', port=8080, folder='crossmargin-data', ...)
    """
    names = {field.name for field in msgspec.structs.fields(Settings)}
    found = {} if file is None else _in_file(file)
    found |= {name: environment[PREFIX + name.upper()] for name in names if PREFIX + name.upper() in environment}
    found |= {name: value for name, value in flags.items() if value is not None}
    found |= {name: found[name].split(mark) for name, mark in LISTS.items() if isinstance(found.get(name), str)}
    try:
        # variables are text; a number in quotes is taken in the file too
        return msgspec.convert(found, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"a setting must be known and of its type, {error}") from error


def limits(texts: Iterable[str]) -> dict[str, Decimal]:
    """Return the amounts of ``ASSET=AMOUNT``.

    Examples
    --------
    >>> limits(["USDC=10000"])
    {'USDC': Decimal('10000')}
    """
    found = {}
    for text in texts:
        asset, _, amount = text.partition("=")
        try:
            found[asset] = Decimal(amount)
        except InvalidOperation:
            found[asset] = Decimal("NaN")
        if not asset or not found[asset].is_finite() or found[asset] < 0:
            raise InputError(f"a limit must be ASSET=AMOUNT, was {text}")
    return found


def _require_addresses(proxy: str | None) -> None:
    """A name would be believed of nobody, and ``*`` of everybody: anyone could then claim to come from anywhere."""
    for each in () if proxy is None else proxy.split(","):
        try:
            network = ipaddress.ip_network(each.strip())
        except ValueError as error:
            raise InputError(f"a proxy must be an address or a network, was {each!r}") from error
        if network.prefixlen == 0:
            raise InputError(f"a proxy must be an address or a network that is not everybody, was {each!r}")


def _in_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"a configuration must be a file, found none at {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"a configuration must be TOML, {path}: {error}") from error
    if set(content) - {"service"} or not isinstance(content.get("service", {}), dict):
        raise InputError(f"a configuration has one table, [service], {path} has {', '.join(content)}")
    return dict(content.get("service", {}))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
