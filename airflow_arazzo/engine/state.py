"""Where a run stands: plain data that survives as JSON between two commands of the machine."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.expression.jsonvalue import decode_json, encode_json
from airflow_arazzo.plan.model import Plan

Purpose = Literal["run", "call", "retry", "dependency"]
"""Why a workflow runs: as the run itself, for a step that calls it, before a retry, or because another
workflow depends on it."""

_BYTES, _OBJECT = "$bytes", "$object"
_NAMES = (_BYTES.encode(), _OBJECT.encode())
"""As they stand in JSON: nothing in them is ever escaped."""

_SCALARS = (str, int, Decimal, type(None))


class Finished(msgspec.Struct):
    """A workflow that has ended in this run: what ``$workflows.x`` names."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a run.

    :param status: ``left`` when what comes next is not among the steps that the machine was to run.
    :param outputs: outputs of the workflow; none where it was run in part only.
    :param next_step: the step to go on with, for ``left``, with the steps that call its workflow before it:
        ``call/step``.
    :param ended_by: name of the action that ended the workflow, or an empty text.
    """

    status: Literal["succeeded", "failed", "left"]
    outputs: dict[str, Any] = {}
    failure: Failure | None = None
    next_step: str = ""
    ended_by: str = ""


class Origin(msgspec.Struct):
    """The workflow that an activation began as, before ``goto`` actions led to others.

    :param entered: how often each workflow on the way was begun, by key.
    """

    workflow: str
    inputs: dict[str, Any]
    entered: dict[str, int]


class Helper(msgspec.Struct, omit_defaults=True):
    """What a retry action names: a step or a workflow that is to run before the retry.

    :param step: id of the step; empty for a workflow.
    :param workflow: key of the workflow; empty for a step.
    :param inputs: of the workflow.
    :param handed: as in :class:`Frame`.
    """

    step: str = ""
    workflow: str = ""
    inputs: dict[str, Any] = {}
    handed: dict[str, tuple[str, str]] = {}


class Retry(msgspec.Struct, omit_defaults=True):
    """A step that is tried again; forgotten once it succeeds or another action takes over.

    :param step: its id.
    :param used: retries used, by the index of the action among the step's failure actions.
    :param action: index of the action that retries it now.
    :param helper: what is to run first; None once that has begun.
    :param failure: why the step failed, kept while a helper runs.
    :param outputs: outputs of the failed attempt, kept while a helper runs.
    :param response: the response of the failed attempt, kept while a helper runs, for the actions that
        take over if the helper fails. Without its body unless one of those looks at it.
    """

    step: str
    used: dict[str, int] = {}
    action: int = 0
    helper: Helper | None = None
    failure: Failure | None = None
    outputs: dict[str, Any] = {}
    response: Response | None = None


class Frame(msgspec.Struct, omit_defaults=True):
    """One activation of a workflow.

    :param workflow: its key in the plan.
    :param inputs: its inputs, without secret ones.
    :param handed: secret inputs that another workflow handed over, by name: the workflow key and input
        name under which the machine holds the value.
    :param step: the step that is next or under way; empty before the first.
    :param outputs: outputs of steps that ran, by step id.
    :param visits: how often each step was begun; retries do not count, nor does what runs before them.
    :param retry: the step that is being retried.
    :param origin: set once a ``goto`` led from another workflow, or from the beginning, to this one.
    :param effect: whether a request that must not be repeated was sent in it and not refused.
    :param deadline: when its time is over, in seconds since the epoch; 0 for never.
    """

    workflow: str
    inputs: dict[str, Any]
    handed: dict[str, tuple[str, str]] = {}
    step: str = ""
    outputs: dict[str, dict[str, Any]] = {}
    purpose: Purpose = "run"
    visits: dict[str, int] = {}
    retry: Retry | None = None
    origin: Origin | None = None
    effect: bool = False
    deadline: float = 0.0


class State(msgspec.Struct, omit_defaults=True):
    """Where a run stands. JSON through :func:`encode_state` and :func:`decode_state`.

    It holds outputs of steps, tokens that they produced included: whoever stores it encrypts it. Values
    of secret inputs are not in it.

    :param frames: activations, the innermost last.
    :param finished: workflows that have ended, by key.
    :param started: when the run began, in seconds since the epoch.
    :param wake_at: not before this time does the run go on, in seconds since the epoch.
    :param reason: why it waits.
    :param in_flight: whether the innermost step's request was handed out and its outcome is still owed.
    :param done: how the run ended.
    """

    frames: list[Frame]
    finished: dict[str, Finished] = {}
    started: float = 0.0
    wake_at: float = 0.0
    reason: str = ""
    in_flight: bool = False
    done: Done | None = None


def begin(plan: Plan, inputs: Mapping[str, Any], *, now: float) -> State:
    """The state of a run that has not begun. The inputs must have been prepared."""
    return State([Frame(plan.workflow, dict(inputs))], started=now)


def encode_state(state: State) -> str:
    """The state as JSON text, numbers with all their digits, bytes as base64."""
    plain = msgspec.to_builtins(state, builtin_types=(Decimal, bytes))
    return encode_json(plain if _is_plain(plain) else _without_bytes(plain)).decode()


def decode_state(text: str | bytes) -> State:
    """The state of a JSON text.

    :raises ValueError: when it is none.
    """
    data = text.encode() if isinstance(text, str) else text
    plain = decode_json(data)
    if any(name in data for name in _NAMES):
        plain = _with_bytes(plain)
    return msgspec.convert(plain, State, builtin_types=(Decimal, bytes))


def _is_plain(value: Any) -> bool:
    """Whether :func:`_without_bytes` would change nothing: quicker to see than to make a copy."""
    if isinstance(value, dict):
        if len(value) == 1 and (_BYTES in value or _OBJECT in value):
            return False
        value = value.values()
    elif not isinstance(value, list | tuple):
        return not isinstance(value, bytes)
    for item in value:  # noqa: SIM110 - a generator takes longer than to look
        if not isinstance(item, _SCALARS) and not _is_plain(item):
            return False
    return True


def _without_bytes(value: Any) -> Any:
    """The value with bytes as objects that name them; objects that only look like these are wrapped."""
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, dict):
        plain = {name: _without_bytes(member) for name, member in value.items()}
        return {_OBJECT: plain} if plain.keys() in ({_BYTES}, {_OBJECT}) else plain
    if isinstance(value, list | tuple):
        return [_without_bytes(item) for item in value]
    return value


def _with_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_BYTES}:
            return base64.b64decode(value[_BYTES])
        members = value[_OBJECT] if value.keys() == {_OBJECT} else value
        return {name: _with_bytes(member) for name, member in members.items()}
    if isinstance(value, list):
        return [_with_bytes(item) for item in value]
    return value
