"""What a person can do about a task that failed."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_arazzo.engine.inputs import InvalidInputs
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.outcomes import OUTCOME_UNKNOWN
from airflow_arazzo.ledger.model import LedgerUnavailable, OtherRequest

_UNKNOWN = (
    "find out at the service whether it happened; tell the ledger with 'airflow arazzo ledger resolve {key} "
    "--happened --reason …', or with --not-happened; then clear this task."
)
_UNKNOWN_KEYLESS = (
    "find out at the service whether it happened. 'airflow arazzo ledger list --outcome unknown' shows "
    "whether the ledger has it, and under which key: tell it with 'airflow arazzo ledger resolve'. Then "
    "clear this task; what the ledger does not have is sent again."
)
_UNKNOWN_ALONE = (
    "find out at the service whether it happened. Without a ledger, clearing this task sends its requests "
    "again."
)
_EFFECT = (
    "put right what is wrong at the service or in the document, then clear this task: nothing is sent again, "
    "the stored response is judged anew."
)
_EFFECT_ALONE = (
    "put right what is wrong at the service or in the document. Without a ledger, clearing this task sends "
    "its requests again."
)
_OTHER = (
    "'airflow arazzo ledger show {key}' has the request of that time. To have this one sent, too: 'airflow "
    "arazzo ledger reissue {key} --reason …', then clear this task."
)
_LEDGER = (
    "check that the ledger's database runs, that this machine reaches it, and that 'ARAZZO_LEDGER' or the "
    "connection 'arazzo_ledger' is right; of a SQLite file, that it can be written and the disk is not full. "
    "'airflow arazzo ledger list' tries it. Then clear this task."
)
_REFUSED = (
    "put right what the service refused, then clear this task: the request is sent anew. With 'log_bodies' "
    "in the connection's extra, the log shows all that the service says."
)
KEY_SHOWN = 12
"""Characters of an effect's key that messages show; the ledger's commands take the beginning of a key."""

_VALUE_MISSING = frozenset({"missing-path-parameter", "absent-in-text"})
_EARLIER = (
    "find out why there is no such value. Where it is an output of an earlier step, clear that one: its "
    "stored response is read again."
)


def what_to_do(failure: Failure, *, ledger: bool, only_safe: bool, again: bool) -> str:
    """The next step of a person who sees a task fail, a sentence.

    :param ledger: whether requests that change something go through the ledger.
    :param only_safe: whether the task's requests change nothing.
    :param again: whether Airflow runs the task again by itself.
    """
    if again:
        return "Airflow runs this task again by itself; nothing needs to be done."
    if failure.code == OUTCOME_UNKNOWN:
        if not ledger:
            return _UNKNOWN_ALONE
        return _UNKNOWN.format(key=failure.key[:KEY_SHOWN]) if failure.key else _UNKNOWN_KEYLESS
    if failure.code == OtherRequest.code:
        return _OTHER.format(key=failure.key[:KEY_SHOWN] or "KEY")
    if failure.code == LedgerUnavailable.code:
        return _LEDGER
    if failure.status in (401, 403):
        return "check the credentials in the connection and what they may do, then clear this task."
    if only_safe:
        return "put right what is wrong, then clear this task; its requests change nothing."
    if failure.fate == "effect":
        return _EFFECT if ledger else _EFFECT_ALONE
    if failure.fate == "refused":
        return _REFUSED
    if failure.code in _VALUE_MISSING:
        return _EARLIER
    return "put right what is wrong, then clear this task."


def begun(text: str) -> str:
    """A message as a sentence of its own: it begins with a capital letter."""
    return text[:1].upper() + text[1:]


def explained(error: Exception) -> str:
    """Why nothing was sent."""
    if isinstance(error, InvalidInputs):
        return begun(error.reasons)
    if isinstance(error, AirflowNotFoundException):
        return f"{error}: add a connection of type 'arazzo', or name another one with connections=."
    return begun(str(error))
