"""`crossmargin schema` prints what the readers accept."""

import msgspec
import pytest

from crossmargin.cli.schema import schema


@pytest.mark.parametrize(
    ("what", "name", "field"), [("book", "PositionRow", "unit"), ("market", "MarketTables", "time")]
)
def test_the_json_schema_names_the_fields_of_a_file(
    what: str, name: str, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schema(what, json=True)  # type: ignore[arg-type]
    found = msgspec.json.decode(capsys.readouterr().out)
    assert field in found["$defs"][name]["properties"]
