"""Chaos: months of billing under every fault at once, and an account of what became of each effect."""
