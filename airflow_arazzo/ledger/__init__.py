"""The ledger: what was asked of services that changes something, and what became of it."""
