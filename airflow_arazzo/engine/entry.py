"""Beginning in the middle of a run: at a step of a workflow that steps of others call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow_arazzo.engine.inputs import InvalidInputs
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.preflight import CannotRun
from airflow_arazzo.engine.stack import Stack
from airflow_arazzo.engine.state import State
from airflow_arazzo.expression.evaluate import AbsentInText
from airflow_arazzo.plan.model import Plan, WorkflowCall


def enter(
    plan: Plan,
    state: State,
    position: Sequence[str],
    outputs: Sequence[Mapping[str, dict[str, Any]]],
    secrets: Mapping[tuple[str, str], str],
    absent_text: Literal["fail", "empty"],
) -> None:
    """Put a run that has not begun where it would have come to by itself.

    The inputs of called workflows are worked out anew, from the same values as when they were called.

    :param state: with the inputs of the outermost workflow and the workflows that have finished.
    :param position: ids of the steps under way that call a workflow, outermost first, and of the step to
        begin with.
    :param outputs: of steps that ran before, by id, for each of the workflows.
    :param secrets: values of secret inputs, by workflow key and input name.
    :raises CannotRun: when a workflow cannot be called again.
    """
    stack = Stack(plan, state, secrets, absent_text)
    for level, step_id in enumerate(position[:-1]):
        frame = stack.frame
        frame.outputs.update(outputs[level])
        frame.step, frame.visits = step_id, {step_id: 1}
        call = stack.step().call
        if not isinstance(call, WorkflowCall):
            raise ValueError(f"step {step_id!r} calls no workflow")
        try:
            stack.push(call.workflow, *stack.inputs(call.inputs, stack.scope()), "call")
        except (AbsentInText, ValueError, InvalidInputs) as error:
            message = f"the inputs of workflow {call.workflow!r} cannot be had again: {error}"
            raise CannotRun(Failure("inputs", message, step_id, fate="not-sent")) from None
    stack.frame.outputs.update(outputs[len(position) - 1])
    stack.frame.step = position[-1]
