"""Who owns what: an exact double-entry ledger of money and positions, and the entries that settle contracts."""
