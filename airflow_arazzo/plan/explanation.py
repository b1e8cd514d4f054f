"""A plan explained: what each step does, follows and takes, and where inputs and credentials come from."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, Literal

import msgspec

from airflow_arazzo.expression.model import ArrayTemplate, Expression, ObjectTemplate, Template
from airflow_arazzo.plan.flow import StepGraph
from airflow_arazzo.plan.model import Idempotency, OperationCall, Plan, Step, Workflow
from airflow_arazzo.plan.outline import Repetition, Way, repetition, scheme_text, server_url, ways_on
from airflow_arazzo.plan.reads import expressions

_TAKEN = frozenset({"inputs", "steps", "workflows"})


class InputFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input and where its value comes from.

    :param origin: ``required``, ``optional`` and ``default`` inputs are given by the run. ``credential`` and
        ``secret`` ones come from the connection of ``source``: as the credential of ``scheme``, or from its
        extra ``secrets`` by the input's name.
    :param type: as the schema names it; several joined by ``|``, empty where it names none.
    """

    name: str
    origin: Literal["required", "default", "optional", "credential", "secret"]
    type: str = ""
    default: Any = None
    source: str = ""
    scheme: str = ""
    description: str = ""


class Taken(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value that a step takes from elsewhere.

    :param into: where it goes, such as ``path invoice``, ``body.customer``, ``input amount``.
    :param expression: the runtime expression.
    :param input: the input that it is, or empty.
    :param step: the step whose output it is, or empty.
    :param workflow: the workflow whose input or output it is, or empty.
    :param secret: whether it is a credential that a step has produced, or an input from a connection.
    """

    into: str
    expression: str
    input: str = ""
    step: str = ""
    workflow: str = ""
    secret: bool = False


class StepFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step.

    :param workflow: key of the workflow that it calls; empty where it calls an operation.
    :param source: of the operation; also the name of the connection, where none is mapped to it.
    :param after: steps that lead to it, and those of its ``dependsOn``.
    :param reached: whether any way leads to it.
    :param credentials: alternatives, each of names of security schemes that apply together.
    :param idempotency: how a repeated request is recognised.
    """

    step: str
    line: int = 0
    description: str = ""
    method: str = ""
    path: str = ""
    source: str = ""
    operation: str = ""
    workflow: str = ""
    after: tuple[str, ...] = ()
    reached: bool = True
    ways: tuple[Way, ...] = ()
    credentials: tuple[tuple[str, ...], ...] = ()
    repetition: Repetition | None = None
    idempotency: Idempotency | None = None
    takes: tuple[Taken, ...] = ()
    outputs: tuple[str, ...] = ()


class WorkflowFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A workflow.

    :param depends_on: keys of workflows that run before.
    :param outputs: expressions that each output takes values from.
    """

    workflow: str
    summary: str
    inputs: tuple[InputFact, ...]
    steps: tuple[StepFact, ...]
    depends_on: tuple[str, ...] = ()
    outputs: dict[str, tuple[str, ...]] = {}


class SourceFact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A source and the connection that it needs.

    :param servers: URLs that its operations have where the connection names no host.
    :param schemes: what kind of credential each security scheme asks for.
    """

    source: str
    title: str = ""
    servers: tuple[str, ...] = ()
    schemes: dict[str, str] = {}


class Explanation(msgspec.Struct, frozen=True):
    """A plan explained. The first workflow is the one that runs, the others are those that it reaches."""

    document: str
    workflows: tuple[WorkflowFact, ...]
    sources: tuple[SourceFact, ...]


def explain(plan: Plan) -> Explanation:
    """Explain a plan."""
    workflows = {plan.workflow: plan.root, **plan.workflows}
    return Explanation(
        document=plan.root.file,
        workflows=tuple(_workflow(key, workflow) for key, workflow in workflows.items()),
        sources=tuple(_source(plan, name) for name in plan.sources),
    )


def _source(plan: Plan, name: str) -> SourceFact:
    urls = (server_url(call) for call in calls_of(plan, name))
    source = plan.sources[name]
    return SourceFact(
        source=name,
        title=source.title,
        servers=tuple(dict.fromkeys(url for url in urls if url)),
        schemes={scheme: scheme_text(each) for scheme, each in source.schemes.items()},
    )


def calls_of(plan: Plan, source: str) -> list[OperationCall]:
    """Calls of a source's operations, in the order of the plan."""
    steps = (step for workflow in plan.workflows.values() for step in workflow.steps)
    calls = (step.call for step in steps)
    return [call for call in calls if isinstance(call, OperationCall) and call.source == source]


def alternatives(call: OperationCall) -> tuple[tuple[str, ...], ...]:
    """Which security schemes a request may be sent with: alternatives of schemes that apply together."""
    own = [p.credential for p in call.parameters if p.credential] + list(call.credentials)
    asked = [tuple(use.name for use in uses) for uses in call.security] or [()]
    found = (tuple(dict.fromkeys([*own, *names])) for names in asked)
    return tuple(dict.fromkeys(found)) if own or call.security else ()


def _workflow(key: str, workflow: Workflow) -> WorkflowFact:
    secret = {("steps", step.id, name) for step in workflow.steps for name in step.secret_outputs}
    secret |= {("inputs", "", name) for name in workflow.credentials}
    return WorkflowFact(
        workflow=key,
        summary=workflow.summary,
        inputs=tuple(_inputs(workflow)),
        steps=tuple(_step(workflow, step, secret) for step in workflow.steps),
        depends_on=workflow.depends_on,
        outputs={
            name: tuple(dict.fromkeys(written(each) for each in expressions(template)))
            for name, template in workflow.outputs.items()
        },
    )


def _inputs(workflow: Workflow) -> Iterator[InputFact]:
    required = workflow.inputs.get("required") or ()
    for name, schema in (workflow.inputs.get("properties") or {}).items():
        said = schema if isinstance(schema, dict) else {}
        kind = said.get("type", "")
        origin: Literal["default", "required", "optional"] = (
            "default" if "default" in said else "required" if name in required else "optional"
        )
        yield InputFact(
            name=name,
            origin=origin,
            type=kind if isinstance(kind, str) else " | ".join(map(str, kind)),
            default=said.get("default"),
            description=str(said.get("description", "")).strip(),
        )
    for name, credential in workflow.credentials.items():
        yield InputFact(
            name=name,
            origin="credential" if credential.scheme else "secret",
            source=credential.source,
            scheme=credential.scheme,
        )


def _step(workflow: Workflow, step: Step, secret: Set[tuple[str, str, str]]) -> StepFact:
    running = StepGraph.of(workflow.steps).running
    ways = {each.id: tuple(ways_on(workflow, each)) for each in workflow.steps}
    led = [
        name
        for name, found in ways.items()
        if name in running and any(w.type != "retry" and w.step == step.id for w in found)
    ]
    fact = StepFact(
        step=step.id,
        line=step.line,
        description=step.description,
        after=tuple(dict.fromkeys([*led, *step.depends_on])),
        reached=step.id in running,
        ways=ways[step.id],
        takes=tuple(_taken(step, secret)),
        outputs=tuple(step.outputs),
    )
    call = step.call
    if not isinstance(call, OperationCall):
        return msgspec.structs.replace(fact, workflow=call.workflow)
    return msgspec.structs.replace(
        fact,
        method=call.method,
        path=call.path,
        source=call.source,
        operation=call.operation,
        credentials=alternatives(call),
        repetition=repetition(call),
        idempotency=call.idempotency,
    )


def written(expression: Expression) -> str:
    """A runtime expression as its author wrote it, or as it could be written."""
    if expression.text:
        return expression.text
    scope = f".{expression.scope}" if expression.scope else ""
    part = f".{expression.part or 'outputs'}" if expression.root in ("steps", "workflows") else ""
    return f"${expression.root}{scope}{part}" + (f".{expression.name}" if expression.name else "")


def _taken(step: Step, secret: Set[tuple[str, str, str]]) -> Iterator[Taken]:
    for into, expression in _uses(step):
        if expression.root in _TAKEN:
            yield Taken(
                into=into,
                expression=written(expression),
                input=expression.name if expression.root == "inputs" else "",
                step=expression.scope if expression.root == "steps" else "",
                workflow=expression.scope if expression.root == "workflows" else "",
                secret=(expression.root, expression.scope, expression.name) in secret,
            )


def _uses(step: Step) -> Iterator[tuple[str, Expression]]:
    """Expressions of a step with the place that each is for; without those that feed credentials alone."""
    call = step.call
    if isinstance(call, OperationCall):
        for parameter in call.parameters:
            if not parameter.credential:
                yield from _placed(f"{parameter.place} {parameter.name}", parameter.value)
        if call.body:
            yield from _placed("body", call.body.payload)
            for replacement in call.body.replacements:
                yield from _placed(f"body {replacement.target}", replacement.value)
    else:
        for name, template in call.inputs:
            yield from _placed(f"input {name}", template)
    for criterion in step.criteria:
        yield from (("successCriteria", each) for each in expressions(criterion))
    for kind, actions in (("onSuccess", step.on_success), ("onFailure", step.on_failure)):
        for action in actions:
            named = f"{kind} {action.name}".strip()
            for criterion in action.criteria:
                yield from ((named, each) for each in expressions(criterion))
            for name, template in action.inputs:
                yield from _placed(f"{named} input {name}", template)
    for name, template in step.outputs.items():
        yield from _placed(f"output {name}", template)


def _placed(place: str, template: Template) -> Iterator[tuple[str, Expression]]:
    """Expressions of a template with the place of each in it."""
    if isinstance(template, ObjectTemplate):
        for name, member in template.members:
            yield from _placed(f"{place}.{name}", member)
    elif isinstance(template, ArrayTemplate):
        for index, item in enumerate(template.items):
            yield from _placed(f"{place}[{index}]", item)
    else:
        yield from ((place, each) for each in expressions(template))
