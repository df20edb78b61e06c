"""The edge where files become values: books, market snapshots and parameters."""
