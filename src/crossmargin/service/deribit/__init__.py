"""Deribit's JSON-RPC on the service's own engine, so that an unmodified Deribit client can trade on it."""
