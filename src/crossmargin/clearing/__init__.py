"""Who pays what: the pure arithmetic of liquidation and default."""
