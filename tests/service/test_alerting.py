"""How an alert lives, second by second, and what rules are refused."""

from pathlib import Path

import msgspec
import pytest

from crossmargin.errors import InputError
from crossmargin.service.alert_rules import AlertRule, AlertRules, Level, read_rules
from crossmargin.service.alerting import NS, acknowledged, gone, step

LEVELS = (
    Level(level="warning", at=10.0, clear=8.0, tell=("desk",)),
    Level(level="critical", at=20.0, clear=15.0, tell=("desk", "pager")),
)

RULE = '[[rules]]\nname="a"\nmetric="m"\n'


def lived(rule, values, alert=None, start_s=0):
    """Alert and what was told after one value a second."""
    told = []
    for second, value in enumerate(values, start=start_s):
        alert, notices = step(rule, alert, {}, value, second * NS)
        told += [(second, each.what, each.alert.level, each.tell) for each in notices]
    return alert, told


def test_an_alert_rises_and_falls_with_hysteresis_and_is_told_once_each():
    rule = AlertRule(name="r", metric="m", levels=LEVELS)
    alert, told = lived(rule, [9, 10, 9, 10, 8.1, 20, 16, 21, 15.1, 15, 9, 8, 9])
    assert told == [
        (1, "raised", "warning", ("desk",)),
        (5, "raised", "critical", ("desk", "pager")),
        (9, "lowered", "warning", ("desk", "pager")),
        (11, "ended", "warning", ("desk",)),
    ]
    assert alert is None


def test_without_hysteresis_the_same_values_would_flap():
    rule = AlertRule(name="r", metric="m", levels=(Level(level="warning", at=10.0, tell=("desk",)),))
    assert len(lived(rule, [10, 9, 10, 9, 10])[1]) == 5
    rule = AlertRule(name="r", metric="m", levels=LEVELS)
    assert len(lived(rule, [10, 9, 10, 9, 10])[1]) == 1


def test_below_is_the_mirror_of_above():
    mirrored = tuple(msgspec.structs.replace(each, at=-each.at, clear=-each.clear) for each in LEVELS)
    values = [9, 10, 9, 20, 14, 9, 7]
    above = lived(AlertRule(name="r", metric="m", levels=LEVELS), values)[1]
    below = lived(AlertRule(name="r", metric="m", levels=mirrored, when="below"), [-each for each in values])[1]
    assert above == below
    assert len(above) == 4


def test_what_nobody_acknowledges_is_repeated_and_escalated_once():
    rule = AlertRule(
        name="r", metric="m", levels=LEVELS, repeat_s=3.0, escalate_s=5.0, escalate_to=("boss",)
    )  # fmt: skip
    alert, told = lived(rule, [12] * 8)
    assert told == [
        (0, "raised", "warning", ("desk",)),
        (3, "repeated", "warning", ("desk",)),
        (5, "escalated", "warning", ("boss",)),
        (6, "repeated", "warning", ("desk",)),
    ]
    _, ended = lived(rule, [0], alert, start_s=8)
    assert ended == [(8, "ended", "warning", ("desk", "boss"))]


def test_an_acknowledged_alert_is_silent_until_it_is_louder():
    rule = AlertRule(name="r", metric="m", levels=LEVELS, repeat_s=1.0, escalate_s=2.0, escalate_to=("boss",))
    alert, _ = lived(rule, [12])
    alert = acknowledged(alert, "ada", 0)
    assert acknowledged(alert, "eve", 1).acknowledged_by == "ada"
    alert, told = lived(rule, [12] * 9, alert, start_s=1)
    assert told == []
    alert, told = lived(rule, [25], alert, start_s=10)
    assert [each[1] for each in told] == ["raised"]
    assert alert.acknowledged_by is None


def test_a_series_that_vanishes_keeps_its_alert_for_a_while():
    rule = AlertRule(name="r", metric="m", levels=LEVELS)
    alert, _ = lived(rule, [12])
    assert gone(rule, alert, 599 * NS) == (alert, ())
    after, (notice,) = gone(rule, alert, 600 * NS)
    assert after is None
    assert notice.what == "ended"
    with pytest.raises(InputError, match="must be open"):
        acknowledged(notice.alert, "ada", 700 * NS)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (RULE + 'levels=[{level="critical",at=1.0,tell=[]},{level="info",at=2.0,tell=[]}]', "louder"),
        (RULE + 'levels=[{level="info",at=2.0,tell=[]},{level="warning",at=1.0,tell=[]}]', "louder"),
        (RULE + 'levels=[{level="info",at=1.0,clear=2.0,tell=[]}]', "quiet side"),
        (RULE + 'levels=[{level="info",at=1.0,tell=["x"]}]', "tells x"),
        (RULE + 'levels=[]', "must have a name and levels"),
        (RULE + 'escalate_s=1.0\nlevels=[{level="info",at=1.0,tell=[]}]', "escalation"),
        ('[channels]\ndesk="env:NOT_SET"', "NOT_SET of desk"),
        ("rule = 1", "unknown field"),
        ("= 1", "must be TOML"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_meant_are_refused(tmp_path, text, finding):
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=finding):
        read_rules(path, {})


def test_a_channels_url_comes_from_a_variable(tmp_path):
    path = tmp_path / "alerts.toml"
    path.write_text('[channels]\ndesk="env:DESK"')
    assert read_rules(path, {"DESK": "json://x"}) == AlertRules(channels={"desk": "json://x"})
    with pytest.raises(InputError, match="found none"):
        read_rules(tmp_path / "none.toml", {})


def test_the_rules_of_the_operations_guide_can_be_read(tmp_path):
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    text = next(block for block in guide.split("```toml\n") if "[[rules]]" in block.split("```")[0]).split("```")[0]
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    rules = read_rules(path, {"CROSSMARGIN_ALERT_DESK": "json://a", "CROSSMARGIN_ALERT_PAGER": "json://b"})
    assert [each.name for each in rules.rules] == ["insurance fund is low", "commands are refused"]
