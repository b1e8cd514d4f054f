"""What tasks of a workflow hand to each other: outputs through XCom, state through the task state store.

XCom is JSON to which Airflow gives a meaning of its own. Outputs are ordinary JSON for everyone who pulls
them, with three exceptions, each an object with one key: ``$decimal`` for a number that a float would
change, ``$secret`` for an encrypted credential, ``$object`` for an object with a key that Airflow or this
module reserves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from airflow.sdk.crypto import get_fernet
from airflow.sdk.log import mask_secret

from airflow_arazzo.expression.jsonvalue import decode_json, encode_json

DECIMAL, SECRET, OBJECT = "$decimal", "$secret", "$object"
WORKFLOW_OUTPUTS = "workflow_outputs"
"""XCom key of the workflow's outputs, pushed by the task in which the workflow ends."""

NEXT_STEP = "next_step"
"""XCom key of the step that follows, pushed by tasks that can be followed by several; empty at the end."""


class NoEncryption(Exception):
    """A credential would have to be stored, and Airflow has no Fernet key to encrypt it with."""


def to_xcom(value: Any) -> Any:
    """A value of the engine as JSON for XCom."""
    if isinstance(value, Decimal):
        as_float = float(value)
        return as_float if repr(as_float) == str(value) else {DECIMAL: str(value)}
    if isinstance(value, dict):
        members = {name: to_xcom(member) for name, member in value.items()}
        if any(name.startswith(("__", "$")) for name in members):
            return {OBJECT: [[name, member] for name, member in members.items()]}
        return members
    if isinstance(value, list):
        return [to_xcom(item) for item in value]
    return value


def from_xcom(value: Any) -> Any:
    """A value of the engine out of XCom's JSON."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        if value.keys() == {DECIMAL}:
            return Decimal(value[DECIMAL])
        if value.keys() == {SECRET}:
            return reveal(value[SECRET])
        if value.keys() == {OBJECT}:
            return {name: from_xcom(member) for name, member in value[OBJECT]}
        return {name: from_xcom(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [from_xcom(item) for item in value]
    return value


def outputs_to_xcom(outputs: Mapping[str, Any], secret: Iterable[str]) -> dict[str, Any]:
    """Outputs of a step for XCom, those named in ``secret`` encrypted.

    :raises NoEncryption: when there is something to encrypt and no key.
    """
    hidden = frozenset(secret)
    return {
        name: {SECRET: conceal(value)} if name in hidden and value is not None else to_xcom(value)
        for name, value in outputs.items()
    }


def conceal(value: Any) -> str:
    """A value encrypted with Airflow's Fernet key, as text.

    :raises NoEncryption: when Airflow has no key.
    """
    if isinstance(value, str):
        mask_secret(value)
    return seal(encode_json(value))


def reveal(text: str) -> Any:
    """The value of an encrypted text; masked in logs from here on."""
    value = decode_json(unseal(text))
    if isinstance(value, str):
        mask_secret(value)
    return value


def check_encryption() -> None:
    """Make sure that credentials can be encrypted.

    :raises NoEncryption: when Airflow has no key.
    """
    seal(b"")


def seal(data: bytes) -> str:
    """Bytes encrypted with Airflow's Fernet key.

    :raises NoEncryption: when Airflow has no key.
    """
    fernet = get_fernet()
    if not fernet.is_encrypted:
        raise NoEncryption("a credential has to be stored, and [core] fernet_key is not set")
    return fernet.encrypt(data).decode()


def unseal(text: str) -> bytes:
    """The bytes of a sealed text."""
    return bytes(get_fernet().decrypt(text.encode()))
