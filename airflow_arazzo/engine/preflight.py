"""Building the requests of a run before the first of them is sent, as far as its inputs determine them.

A run that will fail at its third step for want of an input must not leave the effects of the first two.
That can be said only where the way is certain, which it is in workflows without actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from airflow_arazzo.engine.inputs import InvalidInputs, prepare_inputs
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.engine.request import build_request
from airflow_arazzo.engine.scope import RunScope
from airflow_arazzo.engine.state import Frame
from airflow_arazzo.expression.evaluate import AbsentInText, evaluate
from airflow_arazzo.expression.model import ABSENT, ArrayTemplate, Constant, ObjectTemplate, Template, Text
from airflow_arazzo.plan.flow import is_linear
from airflow_arazzo.plan.model import Body, OperationCall, Plan, WorkflowCall
from airflow_arazzo.plan.reads import expressions

_KNOWN = frozenset({"inputs", "self", "sourceDescriptions"})
"""Roots of expressions that have their value before anything is sent."""

_LATER = "later"
"""Stands for a value that is not known yet; every place of a request can carry it."""


class CannotRun(Exception):
    """A step of a run could not be carried out; nothing was sent.

    :param failure: what is wrong, and with which step.
    """

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(str(failure))


def check_requests(
    plan: Plan,
    inputs: Mapping[str, Any],
    secrets: Mapping[tuple[str, str], str],
    *,
    absent_text: Literal["fail", "empty"] = "fail",
) -> None:
    """Make sure that the requests of a run can be built, where its way is certain.

    What depends on results of steps is taken to be there.

    :param inputs: prepared inputs of the plan's workflow.
    :param secrets: values of secret inputs, by workflow key and input name.
    :raises CannotRun: for the first step that cannot be carried out.
    """
    _Check(plan, secrets, absent_text).workflow(plan.workflow, dict(inputs))


class _Check:
    """The checks of one run."""

    def __init__(
        self,
        plan: Plan,
        secrets: Mapping[tuple[str, str], str],
        absent_text: Literal["fail", "empty"],
    ) -> None:
        self.plan = plan
        self.secrets = secrets
        self.absent_text = absent_text

    def workflow(self, key: str, inputs: dict[str, Any]) -> None:
        """Check the steps of a workflow and of those that it calls."""
        workflow = self.plan.workflows[key]
        if not is_linear(workflow):
            return
        for needed in workflow.depends_on:
            names = self.plan.workflows[needed].inputs.get("properties") or {}
            self.begun(needed, {name: value for name, value in inputs.items() if name in names}, "")
        scope = RunScope(self.plan, Frame(key, inputs), {}, self.secrets)
        for step in workflow.steps:
            if isinstance(step.call, WorkflowCall):
                self.call(step.id, step.call, scope)
                continue
            try:
                build_request(_known_part(step.call), scope, absent_text=self.absent_text)
            except RequestError as error:
                failure = Failure(error.code, error.message, step.id, error.hint, fate="not-sent")
                raise CannotRun(failure) from None

    def call(self, step_id: str, call: WorkflowCall, scope: RunScope) -> None:
        """Check a workflow that a step calls, where all inputs that it is given are known."""
        if not all(_is_known(template) for _, template in call.inputs):
            return
        try:
            values = {
                name: value
                for name, template in call.inputs
                if (value := evaluate(template, scope, absent_text=self.absent_text)) is not ABSENT
            }
        except (AbsentInText, ValueError) as error:
            raise CannotRun(Failure("inputs", str(error), step_id, fate="not-sent")) from None
        self.begun(call.workflow, values, step_id)

    def begun(self, key: str, values: dict[str, Any], step_id: str) -> None:
        """Check a workflow that begins inside another."""
        try:
            prepared = prepare_inputs(self.plan.workflows[key], values, handed_over=True)
        except InvalidInputs as error:
            message = f"workflow {key!r} does not accept its inputs: {error}"
            raise CannotRun(Failure("inputs", message, step_id, fate="not-sent")) from None
        self.workflow(key, prepared)


def _is_known(template: Template) -> bool:
    return all(expression.root in _KNOWN for expression in expressions(template))


def _known_part(call: OperationCall) -> OperationCall:
    """The call without what depends on results: left out where it may be, else with a value to stand in."""
    parameters = tuple(
        msgspec.structs.replace(parameter, value=_with_stand_ins(parameter.value))
        for parameter in call.parameters
        if _is_known(parameter.value) or parameter.place == "path" or isinstance(parameter.value, Text)
    )
    return msgspec.structs.replace(call, parameters=parameters, body=_known_body(call.body))


def _known_body(body: Body | None) -> Body | None:
    """The body with values to stand in for unknown members; none where nothing can be said about it."""
    if body is None or not all(_is_known(replacement.value) for replacement in body.replacements):
        return None
    known = _is_known(body.payload)
    if not known and (body.replacements or not isinstance(body.payload, ObjectTemplate | ArrayTemplate)):
        return None
    encoding = {
        name: msgspec.structs.replace(
            each, headers={header: value for header, value in each.headers.items() if _is_known(value)}
        )
        for name, each in body.encoding.items()
    }
    return msgspec.structs.replace(body, payload=_with_stand_ins(body.payload), encoding=encoding)


def _with_stand_ins(template: Template) -> Template:
    """The template with texts in the place of what is not known yet."""
    if _is_known(template):
        return template
    if isinstance(template, ObjectTemplate):
        return ObjectTemplate(tuple((name, _with_stand_ins(member)) for name, member in template.members))
    if isinstance(template, ArrayTemplate):
        return ArrayTemplate(tuple(_with_stand_ins(item) for item in template.items))
    if isinstance(template, Text):
        parts = (part if isinstance(part, str) or _is_known(part) else _LATER for part in template.parts)
        return Text(tuple(parts))
    return Constant(_LATER)
