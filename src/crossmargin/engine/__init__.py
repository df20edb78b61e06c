"""What happens next: a deterministic engine that turns commands into events, with the ledger as its record."""
