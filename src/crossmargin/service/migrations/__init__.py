"""Migrations of the projection's tables; `crossmargin serve` applies them at its start."""
