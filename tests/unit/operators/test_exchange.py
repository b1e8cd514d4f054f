"""Values on their way through XCom."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

NAMES = st.text() | st.sampled_from(["$decimal", "$secret", "$object", "__classname__", "__type", "$", "a"])
NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.text() | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The module under test. Airflow reads its settings when it is imported, and must not make a home of
    the user's."""
    os.environ.setdefault("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
    os.environ.setdefault("AIRFLOW__CORE__FERNET_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    from airflow_arazzo.operators import exchange as module

    return module


def exact(value: Any) -> Any:
    """A value in which 10.1 and 10.10 differ, and 1 and True."""
    if isinstance(value, dict):
        return {name: exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return type(value).__name__, str(value)


@given(value=VALUES)
@example(value={"$decimal": "1"})
@example(value={"__classname__": "os.system", "__data__": "true", "__version__": 1})
@example(value=[Decimal("10.10"), Decimal("1E+2"), Decimal("0.1"), 2**70, Decimal("-0")])
def test_round_trip(exchange: Any, value: Any) -> None:
    """Through JSON and back: nothing is lost, digits included; nothing means anything to Airflow."""
    stored = exchange.to_xcom(value)
    assert exact(exchange.from_xcom(json.loads(json.dumps(stored)))) == exact(value)
    assert not any(name.startswith("__") for name in names(stored))


def names(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(name for member in value.values() for name in names(member))]
    if isinstance(value, list):
        return [name for item in value for name in names(item)]
    return []


def test_ordinary_values_are_ordinary_json(exchange: Any) -> None:
    value = {"n": Decimal("10.1"), "i": 1, "t": ["a", None, True]}
    assert exchange.to_xcom(value) == {"n": 10.1, "i": 1, "t": ["a", None, True]}


def test_secrets_are_masked_or_encrypted(exchange: Any) -> None:
    outputs = {
        "token": {"t": "tok-1234567890"},
        "text": "it is key-1234567890",
        "gone": None,
        "n": Decimal(1),
    }
    stored = exchange.outputs_to_xcom(outputs, ["token", "gone"], ["key-1234567890"])
    assert set(stored["token"]) == {"$secret"}
    assert "tok-1234567890" not in json.dumps(stored)
    assert stored["text"] == "it is ***"
    assert stored["gone"] is None
    assert exchange.from_xcom(stored)["token"] == {"t": "tok-1234567890"}


def test_a_key_that_has_changed(exchange: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.fernet import Fernet

    stored = exchange.outputs_to_xcom({"token": "tok-1234567890"}, ["token"])
    monkeypatch.setattr(exchange, "get_fernet", lambda: Fernet(Fernet.generate_key()))
    with pytest.raises(exchange.NoEncryption, match="present"):
        exchange.from_xcom(stored)
