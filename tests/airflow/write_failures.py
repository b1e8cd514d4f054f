"""Writes the page on failures from real runs: ``python -m tests.airflow.write_failures``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

WRITE = "ARAZZO_WRITE_FAILURES"
"""Environment variable: the test writes the page in place of comparing it."""


def main() -> int:
    """Write the page; the exit status."""
    import pytest

    os.environ[WRITE] = "1"
    return int(pytest.main(["-q", str(Path(__file__).with_name("test_failures_page.py"))]))


if __name__ == "__main__":
    sys.exit(main())
