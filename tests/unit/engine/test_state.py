from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.state import (
    Done,
    Finished,
    Frame,
    Helper,
    Origin,
    Retry,
    State,
    decode_state,
    encode_state,
)

decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=3)
names = st.one_of(st.text(max_size=5), st.sampled_from(["$bytes", "$object", "id"]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), decimals, st.text(), st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=3)


@given(objects, objects, st.one_of(st.none(), st.binary(max_size=20)))
def test_a_state_survives_as_json(
    inputs: dict[str, Any], outputs: dict[str, Any], body: bytes | None
) -> None:
    retry = Retry(
        "s",
        {"0": 2},
        1,
        Helper(workflow="h", inputs=inputs, handed={"a": ("w", "b")}),
        Failure("criteria", "no", "s", fate="refused", status=404),
        outputs,
        None if body is None else Response(404, (("A", "b"),), body, "https://x.example/", 0.25),
    )
    inner = Frame(
        "x.w",
        inputs,
        {"pin": ("w", "pin")},
        "s",
        {"a": outputs},
        "call",
        {"s": 3},
        retry,
        Origin("o", inputs, {"o": 1, "x.w": 2}),
        True,
    )
    state = State(
        [Frame("w", inputs), inner], {"f": Finished(inputs, outputs)}, 1.5, 2.25, "why", True,
        Done("failed", outputs, Failure("c", "m"), "n", "e"),
    )  # fmt: skip
    text = encode_state(state)
    json.loads(text)
    assert decode_state(text) == state
    assert encode_state(decode_state(text)) == text


def test_numbers_keep_their_digits() -> None:
    state = State([Frame("w", {"a": Decimal("10.10"), "b": 2**80, "c": Decimal("1E+22")})])
    restored = decode_state(encode_state(state)).frames[0].inputs
    assert str(restored["a"]) == "10.10"
    assert restored == {"a": Decimal("10.10"), "b": 2**80, "c": 10**22}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"frames": [{}]}', '{"frames": 1}'])
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_state(text)
