"""What recordings mask."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_arazzo.testing.recording import Mask

KEY = "schlüssel-1"


@pytest.mark.parametrize("coding", ["utf-8", "utf-16", "utf-16-be", "latin-1"])
def test_keys_in_bytes(coding: str) -> None:
    data = b"\x00\xff" + f"<{KEY}>".encode(coding)
    assert KEY.encode(coding)[2:] not in Mask([KEY]).data(data)
    assert b"***" in Mask([KEY]).data(data)


def test_keys_in_values() -> None:
    mask = Mask(["24681", "ab", ""])
    assert mask.value({"24681": [24681, Decimal("124681.5"), 2468, True, None, "ab", "abc"]}) == {
        "***": ["***", "***", 2468, True, None, "***", "abc"]
    }
