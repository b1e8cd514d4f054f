"""Secrets across workflows: inputs that come from connections, outputs that are sent as credentials.

Both flow through calls: an input handed to a credential input of another workflow is a credential, and an
output that another workflow's output copies is as secret as that one. So they are found for all workflows
of a plan together, in rounds, until nothing is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from airflow_arazzo.description.documents import Report
from airflow_arazzo.expression.model import ArrayTemplate, Constant, Expression, ObjectTemplate, Template
from airflow_arazzo.plan.inputs import InputSchema
from airflow_arazzo.plan.model import Action, CredentialInput, OperationCall, Step, WorkflowCall
from airflow_arazzo.plan.reads import (
    call_inputs,
    criteria_expressions,
    expressions,
    jump_targets,
    operation_calls,
    request_expressions,
)
from airflow_arazzo.plan.workflow import Flows

Credentials = Mapping[str, Mapping[str, CredentialInput]]
"""Credential inputs by workflow key and input name."""


@dataclass
class Draft:
    """A compiled workflow of which is not known yet what is secret in it."""

    id: str
    steps: tuple[Step, ...]
    outputs: dict[str, Template]
    schema: InputSchema
    flows: Flows
    depends_on: tuple[str, ...] = ()


def all_credentials(drafts: Mapping[str, Draft]) -> dict[str, dict[str, CredentialInput]]:
    """Inputs of every workflow whose value comes from a connection."""
    known: dict[str, dict[str, CredentialInput]] = {key: {} for key in drafts}
    for _ in range(len(drafts) + 2):
        found = {key: _credentials(draft, known) for key, draft in drafts.items()}
        if found == known:
            break
        known = found
    return known


def _credentials(draft: Draft, known: Credentials) -> dict[str, CredentialInput]:
    """Inputs that feed credentials here or in a called workflow, or that the schema calls secret."""
    found = dict(_handed_on(draft, known))
    found |= {name: CredentialInput(source, scheme) for name, (source, scheme) in draft.flows.sites.items()}
    for expression in _ordinary_uses(draft, known):
        if expression.root == "inputs" and expression.name in found:
            found[expression.name] = msgspec.structs.replace(found[expression.name], scheme="")
    for name in sorted((draft.schema.secrets | draft.flows.passwords) - set(found)):
        found[name] = CredentialInput(_first_source(draft.steps, name))
    required = draft.schema.required
    return {name: msgspec.structs.replace(each, required=name in required) for name, each in found.items()}


def _handed_on(draft: Draft, known: Credentials) -> Iterator[tuple[str, CredentialInput]]:
    """Inputs that become credential inputs of another workflow, by name where nothing is said."""
    for step in draft.steps:
        for key, inputs in call_inputs(step):
            theirs = known.get(key, {})
            for name, template in inputs:
                if name in theirs and isinstance(template, Expression) and template.root == "inputs":
                    yield template.name, theirs[name]
    for key in (*draft.depends_on, *jump_targets(draft.steps)):
        for name in draft.schema.names & known.get(key, {}).keys():
            yield name, known[key][name]


def _ordinary_uses(draft: Draft, known: Credentials) -> Iterator[Expression]:
    """Expressions that are neither a credential parameter nor handed on as a credential."""
    for step in draft.steps:
        for call in operation_calls(step):
            for parameter in call.parameters:
                if not parameter.credential:
                    yield from expressions(parameter.value)
            if call.body:
                yield from expressions(call.body.payload)
                for replacement in call.body.replacements:
                    yield from expressions(replacement.value)
        yield from criteria_expressions(step)
        for template in step.outputs.values():
            yield from expressions(template)
        for key, inputs in call_inputs(step):
            for name, template in inputs:
                if name not in known.get(key, {}):
                    yield from expressions(template)
    for template in draft.outputs.values():
        yield from expressions(template)


def _first_source(steps: Sequence[Step], name: str) -> str:
    """The source of the first operation that uses an input; else of the first operation."""
    sources = [step.call.source for step in steps if isinstance(step.call, OperationCall)]
    for step in steps:
        if isinstance(step.call, OperationCall):
            uses = (e.name for e in request_expressions(step) if e.root == "inputs")
            if name in uses:
                return step.call.source
    return sources[0] if sources else ""


def without_literals(draft: Draft, known: Credentials, report: Report) -> tuple[Step, ...]:
    """Steps that hand no literal to a credential input of another workflow; such are warned of."""
    for key, name, at in draft.flows.handed:
        if name in known.get(key, {}):
            message = f"{name} is a credential written into the document; it is not handed on"
            report.warning("literal-credential", message, at, "the connection's is sent instead")

    def kept(key: str, inputs: tuple[tuple[str, Template], ...]) -> tuple[tuple[str, Template], ...]:
        theirs = known.get(key, {})
        return tuple(
            (name, value) for name, value in inputs if name not in theirs or not isinstance(value, Constant)
        )

    def action(each: Action) -> Action:
        return msgspec.structs.replace(each, inputs=kept(each.workflow, each.inputs)) if each.inputs else each

    def call(step: Step) -> Step:
        inner = step.call
        if isinstance(inner, WorkflowCall):
            inner = msgspec.structs.replace(inner, inputs=kept(inner.workflow, inner.inputs))
        return msgspec.structs.replace(
            step,
            call=inner,
            on_success=tuple(action(each) for each in step.on_success),
            on_failure=tuple(action(each) for each in step.on_failure),
        )

    return tuple(call(step) for step in draft.steps)


Place = tuple[str, ...]
"""The way to a credential inside a value; empty where the value is one."""

Places = dict[str, dict[Place, None]]
"""Places of credentials by output."""

_DEEPEST = 16
"""Steps of a way. Loops of outputs that read each other would make it longer without end."""


@dataclass
class SecretOutputs:
    """Outputs of steps that are credentials, followed to where they come from and to where they are copied.

    :param steps: by workflow key and step id.
    :param workflows: by workflow key.
    """

    drafts: Mapping[str, Draft]
    known: Credentials
    steps: dict[tuple[str, str], Places] = field(default_factory=dict)
    workflows: dict[str, Places] = field(default_factory=dict)

    def find(self) -> SecretOutputs:
        """Fill in both maps."""
        for key, draft in self.drafts.items():
            for token in draft.flows.tokens:
                self._source(key, token)
            for step in draft.steps:
                for called, inputs in call_inputs(step):
                    for name, template in inputs:
                        if name in self.known.get(called, {}):
                            for expression in expressions(template):
                                self._source(key, expression)
        size = -1
        while size != (size := self._size()):
            for key, draft in self.drafts.items():
                self._copies(key, draft)
        return self

    def _size(self) -> int:
        return sum(
            len(each)
            for by in (self.steps, self.workflows)
            for places in by.values()
            for each in places.values()
        )

    def _source(self, key: str, expression: Expression, rest: Place = ()) -> None:
        """Mark what an expression of a workflow reads, if that is an output.

        :param rest: where in its value the credential is.
        """
        place = (*expression.path, *rest)
        if expression.root == "workflows" and expression.part != "inputs":
            self._workflow_output(self._beside(key, expression.scope), expression.name, place)
        if expression.root == "steps":
            self._step_output(key, expression.scope, expression.name, place)

    def _beside(self, key: str, workflow_id: str) -> str:
        return key.removesuffix(self.drafts[key].id) + workflow_id if key in self.drafts else workflow_id

    def _step_output(self, key: str, step_id: str, name: str, place: Place) -> None:
        step = next((s for s in self.drafts[key].steps if s.id == step_id), None)
        if step is None or not _mark(self.steps.setdefault((key, step_id), {}), name, place):
            return
        if isinstance(step.call, WorkflowCall) and name not in step.outputs:
            self._workflow_output(step.call.workflow, name, place)
        for part in _parts(step.outputs.get(name)):
            rest = part.seen_from_outside(place)
            if rest is None:
                continue
            if part.expression.root == "outputs" and isinstance(step.call, WorkflowCall):
                inner = (*part.expression.path, *rest)
                self._workflow_output(step.call.workflow, part.expression.name, inner)
            self._source(key, part.expression, rest)

    def _workflow_output(self, key: str, name: str, place: Place) -> None:
        if key not in self.drafts or not _mark(self.workflows.setdefault(key, {}), name, place):
            return
        for part in _parts(self.drafts[key].outputs.get(name)):
            rest = part.seen_from_outside(place)
            if rest is not None:
                self._source(key, part.expression, rest)

    def _copies(self, key: str, draft: Draft) -> None:
        """Mark outputs that hold what is marked already."""
        for step in draft.steps:
            called = self.workflows.get(step.call.workflow, {}) if isinstance(step.call, WorkflowCall) else {}
            for name, places in list(called.items()):
                for place in list(places) if name not in step.outputs else ():
                    self._step_output(key, step.id, name, place)
            received = list(_received(step, self.steps.get((key, step.id), {})))
            for name, template in step.outputs.items():
                for part in _parts(template):
                    held = self._held(key, part.expression, called)
                    for place in (*held, *_held_with(part.expression, received)):
                        self._step_output(key, step.id, name, part.place_of(place))
        for name, template in draft.outputs.items():
            for part in _parts(template):
                for place in self._held(key, part.expression, {}):
                    self._workflow_output(key, name, part.place_of(place))

    def _held(self, key: str, expression: Expression, called: Places) -> list[Place]:
        """Where in the value of an expression there are credentials of outputs.

        :param called: outputs of the workflow that the step calls.
        """
        if expression.root == "workflows":
            marked = self.workflows.get(self._beside(key, expression.scope), {})
        elif expression.root == "steps":
            marked = self.steps.get((key, expression.scope), {})
        else:
            marked = called if expression.root == "outputs" else {}
        found = (_seen_from(expression.path, place) for place in marked.get(expression.name, ()))
        return [place for place in found if place is not None]


@dataclass(frozen=True)
class _Part:
    """An expression in a template.

    :param place: where in the template's value its own is.
    :param whole: whether its own value is there as it is, and not part of a text or the result of a query.
    """

    expression: Expression
    place: Place
    whole: bool

    def seen_from_outside(self, place: Place) -> Place | None:
        """Where in the expression's value what is at a place of the template's is; None for elsewhere."""
        found = _seen_from(self.place, place)
        return found if self.whole or found is None else ()

    def place_of(self, inner: Place) -> Place:
        """Where in the template's value what is at a place of the expression's is."""
        return (*self.place, *inner) if self.whole else self.place


def _parts(template: Template | None, place: Place = ()) -> Iterator[_Part]:
    """Every expression of a template."""
    match template:
        case Expression():
            yield _Part(template, place, whole=True)
        case ObjectTemplate(members):
            for name, member in members:
                yield from _parts(member, (*place, name))
        case ArrayTemplate(items):
            for index, item in enumerate(items):
                yield from _parts(item, (*place, str(index)))
        case _:
            for expression in expressions(template):
                yield _Part(expression, place, whole=False)


def _seen_from(outer: Place, inner: Place) -> Place | None:
    """The way to one place from another that it is in; empty from within it, None from elsewhere."""
    if inner[: len(outer)] == outer:
        return inner[len(outer) :]
    return () if outer[: len(inner)] == inner else None


def _mark(marked: Places, name: str, place: Place) -> bool:
    """Mark a place of an output; whether it was not marked yet, nor what it is in."""
    places, place = marked.setdefault(name, {}), place[:_DEEPEST]
    if any(place[:length] in places for length in range(len(place) + 1)):
        return False
    places[place] = None
    return True


def _received(step: Step, marked: Places) -> Iterator[Expression]:
    """Where in the response a step's credentials are.

    What a query finds or a text holds is somewhere in what it is applied to.
    """
    for name, places in marked.items():
        for part in _parts(step.outputs.get(name)):
            for place in places if part.expression.root == "response" else ():
                rest = part.seen_from_outside(place)
                if rest is not None:
                    yield msgspec.structs.replace(part.expression, path=(*part.expression.path, *rest))


def _held_with(expression: Expression, received: Sequence[Expression]) -> Iterator[Place]:
    """Where in the value of an expression of a response there are credentials that were received with it."""
    for each in received:
        same = all(getattr(expression, name) == getattr(each, name) for name in ("root", "part", "name"))
        if same and each.path[: len(expression.path)] == expression.path:
            yield each.path[len(expression.path) :]


def with_secret_outputs(steps: Sequence[Step], key: str, secret: SecretOutputs) -> tuple[Step, ...]:
    """Steps that mark those of their outputs which are credentials, or hold one."""

    def marked(step: Step) -> Step:
        found = secret.steps.get((key, step.id))
        if not found:
            return step
        inner = {name: tuple(places) for name, places in found.items() if () not in places}
        return msgspec.structs.replace(step, secret_outputs=tuple(found), secret_places=inner)

    return tuple(map(marked, steps))


def public_schema(schema: InputSchema, credentials: Mapping[str, CredentialInput]) -> dict[str, object]:
    """The schema of the inputs that a run is asked for: without credentials."""
    if not schema.schema:
        return {}
    shown = _without(schema.schema, credentials)
    parts = shown.get("allOf")
    if isinstance(parts, list):
        shown["allOf"] = [_without(part, credentials) if isinstance(part, dict) else part for part in parts]
    return shown


def _without(schema: dict[str, object], credentials: Mapping[str, CredentialInput]) -> dict[str, object]:
    result = dict(schema)
    properties, required = result.get("properties"), result.get("required")
    if isinstance(properties, dict):
        result["properties"] = {name: each for name, each in properties.items() if name not in credentials}
    if isinstance(required, list):
        result["required"] = [
            name for name in required if not (isinstance(name, str) and name in credentials)
        ]
        if not result["required"]:
            del result["required"]
    return result
