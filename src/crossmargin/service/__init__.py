"""The engine as a service: one writer, a public API, and the dashboard's files."""
