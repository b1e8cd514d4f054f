"""How much at once."""

CONCURRENCY = 32
"""Requests of a batch that are under way at once, where nobody says otherwise."""
