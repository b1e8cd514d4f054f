"""What tasks of a workflow hand to each other: outputs through XCom, state through the task state store.

XCom is JSON to which Airflow gives a meaning of its own. Outputs are ordinary JSON for everyone who pulls
them, with three exceptions, each an object with one key: ``$decimal`` for a number that a float would
change, ``$secret`` for an encrypted credential, ``$object`` for an object with a key that Airflow or this
module reserves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from airflow.sdk.crypto import get_fernet
from airflow.sdk.log import mask_secret
from cryptography.fernet import InvalidToken

from airflow_arazzo.engine.run import redact_value
from airflow_arazzo.engine.state import Finished
from airflow_arazzo.expression.jsonvalue import decode_json, encode_json

DECIMAL, SECRET, OBJECT = "$decimal", "$secret", "$object"
WORKFLOW_OUTPUTS = "workflow_outputs"
"""XCom key of the workflow's outputs, pushed by the task in which the workflow ends."""

NEXT_STEP = "next_step"
"""XCom key of the step that follows, pushed by tasks that can be followed by several; empty at the end."""

OUTPUTS = "return_value"
"""XCom key of a task's outputs: of its step by name, of a loop's steps by step id."""

OTHER_OUTPUTS = "step_outputs"
"""XCom key of outputs, by position, of steps that are not a task's own: steps that it ran again before a
retry, and steps whose called workflow has ended in it."""

FINISHED = "finished_workflows"
"""XCom key of workflows that finished inside a task, encrypted: inputs and outputs by workflow key."""

MANIFEST = "manifest"
"""XCom key of what rows a run has, and where they are frozen; pushed by the task that reads them."""

SET_ASIDE = "set_aside"
"""XCom key of rows that were set aside, as far as they are kept; pushed by the same task."""

RESERVED = frozenset({WORKFLOW_OUTPUTS, NEXT_STEP, OUTPUTS, OTHER_OUTPUTS, FINISHED})
"""XCom keys that mean something here, so that no output of a workflow is published under its own name."""


class NoEncryption(Exception):
    """Something secret has to be stored or read, and Airflow has no Fernet key, or another one."""


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


def outputs_to_xcom(
    outputs: Mapping[str, Any], secret: Iterable[str], hidden: Sequence[str] = ()
) -> dict[str, Any]:
    """Outputs of a step for XCom.

    :param secret: names of those that are credentials; they are encrypted.
    :param hidden: values of secrets, which are masked in all others: an API may have echoed one.
    :raises NoEncryption: when there is something to encrypt and no key.
    """
    sealed = frozenset(secret)
    return {
        name: {SECRET: conceal(value)}
        if name in sealed and value is not None
        else to_xcom(redact_value(value, list(hidden)))
        for name, value in outputs.items()
    }


def finished_to_xcom(finished: Mapping[str, Finished]) -> dict[str, Any]:
    """Workflows that have finished, for XCom. Encrypted as a whole: credentials may be among the values.

    :raises NoEncryption: when Airflow has no key.
    """
    return {SECRET: conceal({key: {"inputs": f.inputs, "outputs": f.outputs} for key, f in finished.items()})}


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
    _fernet()


def seal(data: bytes) -> str:
    """Bytes encrypted with Airflow's Fernet key.

    :raises NoEncryption: when Airflow has no key.
    """
    return str(_fernet().encrypt(data).decode())


def _fernet() -> Any:
    fernet = get_fernet()
    if not fernet.is_encrypted:
        raise NoEncryption("something has to be stored encrypted, and [core] fernet_key is not set")
    return fernet


def unseal(text: str) -> bytes:
    """The bytes of a sealed text.

    :raises NoEncryption: when it was not encrypted with Airflow's present key.
    """
    try:
        return bytes(get_fernet().decrypt(text.encode()))
    except InvalidToken:
        raise NoEncryption("it was not encrypted with the present [core] fernet_key") from None
