"""Imports point down."""

from importlinter.cli import lint_imports


def test_imports_only_point_down() -> None:
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0
