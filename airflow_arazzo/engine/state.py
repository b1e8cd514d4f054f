"""Where a run stands: plain data that survives as JSON between two commands of the machine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from airflow_arazzo.engine.messages import Response
from airflow_arazzo.expression.jsonvalue import encode_json


class Finished(msgspec.Struct):
    """A workflow that has ended in this run: what ``$workflows.x`` names."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Frame(msgspec.Struct, omit_defaults=True):
    """One activation of a workflow.

    :param workflow: its key in the plan.
    :param step: the step that is next or under way; empty before the first.
    :param outputs: outputs of steps that ran, by step id.
    :param purpose: why it runs: as the run itself, for a step that calls it, before a retry, or because
        another workflow depends on it.
    :param retries: retries used, by ``STEP/INDEX`` of the action.
    :param visits: how often each step was begun.
    :param retrying: the step that is retried once the helper under way (a step or workflow that a retry
        action names) is through.
    :param retried_by: key in :attr:`retries` of the action that is under way.
    :param helper: what is to run before the retry: ``step:ID`` or ``workflow:KEY``; empty once begun.
    :param failed: the response that made the step under way fail, while a retry is under way.
    """

    workflow: str
    inputs: dict[str, Any]
    step: str = ""
    outputs: dict[str, dict[str, Any]] = {}
    purpose: Literal["run", "call", "retry", "dependency"] = "run"
    retries: dict[str, int] = {}
    visits: dict[str, int] = {}
    retrying: str = ""
    retried_by: str = ""
    helper: str = ""
    failed: Response | None = None


class State(msgspec.Struct, omit_defaults=True):
    """Where a run stands. JSON through :func:`encode_state` and :func:`decode_state`.

    :param frames: activations, the innermost last.
    :param finished: workflows that have ended, by key.
    :param started: when the run began, in seconds since the epoch.
    :param wake_at: not before this time does the run go on, in seconds since the epoch.
    :param reason: why it waits.
    """

    frames: list[Frame]
    finished: dict[str, Finished] = {}
    started: float = 0.0
    wake_at: float = 0.0
    reason: str = ""


_DECODER = msgspec.json.Decoder(State, float_hook=Decimal)


def encode_state(state: State) -> str:
    """The state as JSON text, numbers with all their digits."""
    return encode_json(msgspec.to_builtins(state, builtin_types=(Decimal,))).decode()


def decode_state(text: str | bytes) -> State:
    """The state of a JSON text.

    :raises ValueError: when it is none.
    """
    return _DECODER.decode(text)
