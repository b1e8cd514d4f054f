"""Tolerances: which test shows a warning, and what the source says about its codes."""
from __future__ import annotations
from typing import NamedTuple
class Tolerance(NamedTuple):
    code: str
    written: str
    meaning: str
    correct: str
    test: str = ""
def collected() -> list[Tolerance]:
    return []
