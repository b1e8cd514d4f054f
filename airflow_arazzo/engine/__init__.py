"""Executing a plan: a pure machine, and the transport that carries its requests."""
