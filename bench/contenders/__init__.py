"""Contenders, each started in a process of its own: see :mod:`bench.contender`."""
