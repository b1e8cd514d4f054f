"""Whatever a service answers, a recording gives it back."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.response import read_body
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.testing.bodies import declared_body, difference, written_body
from airflow_arazzo.testing.exchanges import read_recording
from airflow_arazzo.testing.recording import _json, _yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "007",
        "1e5",
        "null",
        "~",
        "yes",
        "2024-01-01",
        ".5",
        "- a",
        "a: b",
        "#",
        " x ",
        "***",
        "%",
        "=",
        "<<",
        "1_0",
    ]
)
NUMBERS = st.integers() | st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
WRITERS = {"json": _json, "yaml": _yaml}


@pytest.mark.parametrize("suffix", WRITERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
def test_values_come_back_as_they_were(value: Any, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"r.{suffix}"
    file.write_bytes(WRITERS[suffix]({"recording": 1, "inputs": {"value": value}, "exchanges": []}))
    found = read_recording(file).inputs["value"]
    assert encode_json(found) == encode_json(value)


@given(
    data=st.binary() | TEXTS.map(str.encode) | VALUES.map(encode_json),
    kind=st.sampled_from(
        ["application/json", "text/plain", "", "application/xml", "text/plain; charset=latin-1"]
    ),
)
def test_bodies_come_back_as_they_were(data: bytes, kind: str) -> None:
    headers = (("Content-Type", kind),) if kind else ()
    if not data:
        return
    again = declared_body(written_body(kind, data))[0]
    (found, warning), (value, warned) = (read_body(Response(200, headers, each)) for each in (again, data))
    assert (type(found) is bytes, warning) == (type(value) is bytes, warned)
    # 1e3 and 1000 are the same number, and are sent alike.
    assert (
        found == value
        if isinstance(value, bytes) or value is ABSENT
        else encode_json(found) == encode_json(value)
    )


@given(value=VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert difference(value, value) == ""


def test_differences() -> None:
    assert difference({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}) == '/a/1/b: expected "x", found "y"'
    assert difference({"a": 1}, {"a": True}) == "/a: expected 1, found true"
    assert difference({"a": 1.5}, {"a": Decimal("1.50")}) == ""
    assert difference([1], [1, 2]) == "the body: expected [1], found [1,2]"
    assert difference("key ***!", "key abc!") == ""
    assert difference("***", 12345) == ""
    assert difference("key ***!", "abc!") != ""
