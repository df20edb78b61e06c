"""The service as several processes: one engine, workers that answer without it, and a fan-out of streams."""
