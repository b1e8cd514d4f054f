"""What a person can do about a run of the command line that failed: without a ledger, and tasks to clear."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import msgspec

from airflow_arazzo.engine.journal import Failure, StepRecord
from airflow_arazzo.engine.outcomes import OUTCOME_UNKNOWN
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.plan.explanation import calls_of
from airflow_arazzo.plan.model import SAFE_METHODS, Plan
from airflow_arazzo.plan.outline import server_url

_REFUSED = (
    "put right what the service refused, then run it again. With 'log_bodies' in the connection's extra, "
    "requests and responses are shown."
)
_UNKNOWN = "find out at the service whether it happened, before you run it again."
_EFFECT = "put right what is wrong at the service or in the document."
_UNREACHABLE = "check the host in the connection, and whether the service can be reached from here."
_DONE_BEFORE = " There is no ledger here: running it again sends again what took effect."


def what_to_do(failure: Failure, steps: Sequence[StepRecord]) -> str:
    """The next step of a person who sees a run fail, a sentence or two; empty where the message says it all.

    :param steps: what was done until then.
    """
    advice = _advice(failure)
    changed = any(step.method and step.method not in SAFE_METHODS and _took_effect(step) for step in steps)
    return advice + _DONE_BEFORE if advice and changed else advice


def _advice(failure: Failure) -> str:
    if failure.code == OUTCOME_UNKNOWN:
        return _UNKNOWN
    if failure.status in (401, 403):
        return "check the credentials in the connection and what they may do, then run it again."
    if failure.status == 429:
        return "wait, then run it again."
    if failure.fate == "refused":
        return _REFUSED
    if failure.fate == "effect":
        return _EFFECT
    if failure.code == "not-sent":
        return _UNREACHABLE
    return ""


def _took_effect(step: StepRecord) -> bool:
    return step.status == "succeeded" or (step.error is not None and step.error.fate in ("effect", "unknown"))


def without_connection(failure: Failure, plan: Plan, texts: Mapping[str, str]) -> Failure:
    """The failure with what to set, where it is that of a source for which there is no connection at all.

    :param texts: connections as they are written, by source name.
    """
    asked = (name for name, text in texts.items() if not text and f"connection {name!r}" in failure.message)
    name = next(asked, "")
    if not name:
        return failure
    host = next((url for call in calls_of(plan, name) if (url := server_url(call))), "https://HOST")
    example = encode_json({"conn_type": "arazzo", "host": host, "password": "KEY"}).decode()
    here = f"--connection {shlex.quote(f'{name}={example}')}"
    # A shell takes no other characters in names of variables.
    variable = f"set AIRFLOW_CONN_{name.upper()}={shlex.quote(example)}, or " if name.isidentifier() else ""
    return msgspec.structs.replace(
        failure, hint=f"there is no such connection: {variable}give it with {here}"
    )
