"""Rules of alerts, read from TOML: which metric, from where on, how loud, and whom to tell.

.. code-block:: toml

    [channels]
    desk = "env:CROSSMARGIN_ALERT_DESK"    # one of apprise's URLs, best kept out of the file
    pager = "env:CROSSMARGIN_ALERT_PAGER"

    [[rules]]
    name = "insurance fund is low"
    metric = "crossmargin_insurance_fund_usd"
    when = "below"
    levels = [
      { level = "warning", at = 1500000.0, clear = 1600000.0, tell = ["desk"] },
      { level = "critical", at = 500000.0, clear = 700000.0, tell = ["desk", "pager"] },
    ]
    escalate_s = 900.0
    escalate_to = ["pager"]
"""

import itertools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from crossmargin.errors import InputError

LEVELS = ("info", "warning", "critical")
ENVIRONMENT = "env:"


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From which value on a rule is this loud, and beyond which it no longer is."""

    level: Literal["info", "warning", "critical"]
    at: float
    clear: float | None = None
    """Back past this value the level ends; `at` if not given."""
    tell: tuple[str, ...]
    """Names of channels."""


class AlertRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is watched, one alert for every series of the metric."""

    name: str
    metric: str
    levels: tuple[Level, ...]
    when: Literal["above", "below"] = "above"
    """A value at a level's edge counts."""
    labels: dict[str, str] = {}
    """Only series with these labels."""
    rise_over_s: float | None = None
    """Watch by how much the metric rose within this time, as for a counter; the value itself if not given."""
    for_s: float = 0.0
    """How long a value has to be there before it counts."""
    repeat_s: float | None = None
    """After which an alert that nobody acknowledged is told again; once only if not given."""
    escalate_s: float | None = None
    """After which it is told to `escalate_to`, if nobody acknowledged it."""
    escalate_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or not self.levels:
            raise InputError(f"a rule must have a name and levels, {self.name or self.metric} lacks one")
        ranks = [LEVELS.index(each.level) for each in self.levels]
        edges = [self.sign * each.at for each in self.levels]
        if any(low >= high for low, high in itertools.pairwise(ranks)) or edges != sorted(edges):
            raise InputError(f"levels must get louder one after the other, those of {self.name} do not")
        for each in self.levels:
            if each.clear is not None and self.sign * each.clear > self.sign * each.at:
                raise InputError(
                    f"a level must clear on the quiet side of its edge, {each.level} of {self.name} does not"
                )
        if (self.escalate_s is None) != (not self.escalate_to):
            raise InputError(f"an escalation must have a time and channels, that of {self.name} lacks one")
        for what in ("rise_over_s", "for_s", "repeat_s", "escalate_s"):
            seconds = getattr(self, what)
            if seconds is not None and not 0.0 <= seconds < 1e9:
                raise InputError(f"{what} must be a time in seconds, that of {self.name} was {seconds}")

    @property
    def sign(self) -> float:
        """What makes a louder value the greater one."""
        return 1.0 if self.when == "above" else -1.0


class AlertRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rules and the channels that they tell."""

    channels: dict[str, str] = {}
    """Name to one of apprise's URLs, or ``env:NAME`` of a variable that holds it."""
    rules: tuple[AlertRule, ...] = ()
    every_s: float = 5.0
    """Pace at which metrics are looked at."""

    def __post_init__(self) -> None:
        names = [each.name for each in self.rules]
        if len(set(names)) < len(names):
            raise InputError("rules must have different names, two have one")
        if not 0.05 <= self.every_s <= 3600:
            raise InputError(f"every_s must be from 0.05 to 3600, was {self.every_s}")
        for rule in self.rules:
            for channel in [*itertools.chain(*(each.tell for each in rule.levels)), *rule.escalate_to]:
                if channel not in self.channels:
                    raise InputError(f"a rule must tell channels that there are, {rule.name} tells {channel}")


def read_rules(path: Path, environment: Mapping[str, str]) -> AlertRules:
    """Return the rules in a file, with the URLs of channels that stand in variables.

    Raises
    ------
    InputError
        If there is no such file, it is not as said above, or a variable is not set; no message holds a URL.
    """
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), AlertRules)
    except FileNotFoundError as error:
        raise InputError(f"rules of alerts must be a file, found none at {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"rules of alerts must be TOML, {path}: {error}") from error
    except msgspec.ValidationError as error:
        raise InputError(f"rules of alerts must fit their schema, {path}: {error}") from error
    channels = {name: _url(name, text, environment) for name, text in found.channels.items()}
    return msgspec.structs.replace(found, channels=channels)


def _url(name: str, text: str, environment: Mapping[str, str]) -> str:
    if not text.startswith(ENVIRONMENT):
        return text
    variable = text.removeprefix(ENVIRONMENT)
    if not environment.get(variable):
        raise InputError(f"a channel's variable must be set, {variable} of {name} is not")
    return environment[variable]
