"""Compiling one workflow: from its object in the document to its part of the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from airflow_arazzo.description.arazzo import (
    ActionObject,
    ParameterObject,
    SourceDescription,
    StepObject,
    WorkflowObject,
)
from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.description.documents import Location, Report, is_within
from airflow_arazzo.description.openapi import ApiOperation
from airflow_arazzo.expression.model import Constant, Criterion, Expression, Template
from airflow_arazzo.expression.names import Problem, failed
from airflow_arazzo.expression.parser import parse_selector
from airflow_arazzo.plan import credentials, idempotency
from airflow_arazzo.plan.credentials import SourceSchemes
from airflow_arazzo.plan.document import DocumentScope
from airflow_arazzo.plan.model import SAFE_METHODS, Action, OperationCall, Server, Step, WorkflowCall
from airflow_arazzo.plan.operations import Target
from airflow_arazzo.plan.requests import RequestReader
from airflow_arazzo.plan.templates import TemplateReader

WorkflowKey = Callable[[DocumentScope, WorkflowObject], str]


@dataclass(frozen=True)
class Surroundings:
    """What compiling a workflow needs of the plan around it.

    :param key_of: compiles another workflow, once, and gives its key in the plan.
    :param source_of: the key of a source in the plan, and its security schemes.
    """

    key_of: WorkflowKey
    source_of: Callable[[DocumentScope, Target], tuple[str, SourceSchemes]]


@dataclass
class Flows:
    """Where credentials flow in a workflow, gathered from its steps.

    :param sites: inputs that feed credential parameters: the source key and scheme that they feed.
    :param tokens: outputs, of steps or workflows, that are sent as credentials.
    :param passwords: inputs that feed members of bodies which the description calls passwords.
    :param handed: literals handed to other workflows: the workflow's key, the input, and where.
    """

    sites: dict[str, tuple[str, str]] = field(default_factory=dict)
    tokens: list[Expression] = field(default_factory=list)
    handed: list[tuple[str, str, Location]] = field(default_factory=list)
    passwords: set[str] = field(default_factory=set)


@dataclass
class StepCompiler:
    """Compiles the steps of one workflow."""

    scope: DocumentScope
    workflow: WorkflowObject
    around: Surroundings
    report: Report
    flows: Flows = field(default_factory=Flows)

    def __post_init__(self) -> None:
        selectors = self.scope.arazzo.version.startswith("1.1")
        self.names = self.scope.names(self.workflow)
        self.templates = TemplateReader(self.names, self.report, selectors)
        self.outer = self.templates

    def step(self, written: StepObject) -> Step | None:
        """One step; None when its target cannot be found (reported)."""
        # in a step, $outputs are its own, or those of the workflow that it calls
        names = replace(self.names, outputs=self.scope.outputs_of(written))
        self.templates = replace(self.outer, names=replace(names, asking=written.id))
        call = self._call(written)
        self.templates = replace(self.outer, names=names)
        criteria = self.criteria(written.success_criteria)
        on_success = self._actions(written.on_success, self.workflow.success_actions)
        on_failure = self._actions(written.on_failure, self.workflow.failure_actions)
        outputs = self._outputs(written.outputs)
        if call is None:
            return None
        self._warn_of_messages(written)
        self._warn_of_unsafe_retries(call, written, on_failure)
        return Step(
            id=written.id,
            call=call,
            description=written.description,
            criteria=criteria,
            on_success=on_success,
            on_failure=on_failure,
            outputs=outputs,
            timeout_ms=written.timeout,
            depends_on=self._dependencies(written),
            line=written.at.document.line(written.at.pointer),
        )

    def lookup(self, written: StepObject) -> tuple[OperationCall | None, tuple[Criterion, ...]]:
        """The call and the criteria of a lookup for the step that was compiled last."""
        call = self._call(written)
        criteria = self.criteria(written.success_criteria or ())
        return call if isinstance(call, OperationCall) else None, criteria

    def _call(self, written: StepObject) -> OperationCall | WorkflowCall | None:
        if written.workflow_id is not None:
            return self._workflow_call(written, written.workflow_id)
        if written.channel_path is not None:
            self._asyncapi(written.channel_path)
            return None
        reference = written.operation_id or written.operation_path
        if reference is None:
            return None
        if self.scope.means_messages(str(reference.value)):
            self._asyncapi(reference)
            return None
        finder = self.scope.finder(str(reference.value))
        if not finder.sources:
            self._explain_no_source(reference)
            return None
        target = finder.by_id(reference) if written.operation_id else finder.by_path(reference)
        if target is None:
            return None
        return self._operation_call(written, target, self._operation(target))

    def _operation(self, target: Target) -> ApiOperation:
        """The operation, with a warning for every reference in it that leads nowhere."""
        operation = target.api.operation(target.key)
        for broken in operation.unresolved:
            called = f"{operation.method} {operation.path}"
            hint = f"{called} is used without it"
            self.report.warning("unresolved-reference", broken.message, broken.at, hint)
        return operation

    def _explain_no_source(self, reference: Location) -> None:
        """Say why an operation has nowhere to be found, unless a source that failed to load was reported."""
        if not self.scope.incomplete:
            self.report.error("unknown-operation", "the document has no OpenAPI source", reference)

    def _asyncapi(self, at: Location) -> None:
        message = "this step sends or receives messages (AsyncAPI), which is not supported"
        self.report.error("asyncapi-unsupported", message, at, "only steps that call HTTP operations run")

    def _merged_parameters(self, written: StepObject) -> list[ParameterObject]:
        """The workflow's parameters, overridden by the step's, in the order of first appearance."""
        merged = {(p.name, p.place): p for p in self.workflow.parameters}
        for parameter in written.parameters:
            inherited = next(
                (k for k in merged if k[0] == parameter.name and "" in (k[1], parameter.place)), None
            )
            merged[inherited or (parameter.name, parameter.place)] = parameter
        return list(merged.values())

    def _operation_call(self, written: StepObject, target: Target, operation: ApiOperation) -> OperationCall:
        source_key, schemes = self.around.source_of(self.scope, target)
        reader = RequestReader(operation, self.templates, self.report)
        read = reader.parameters(self._merged_parameters(written), written.at)
        sites = credentials.split(read, schemes, self.report)
        for name, scheme in sites.inputs.items():
            self.flows.sites.setdefault(name, (source_key, scheme))
        self.flows.tokens.extend(sites.tokens)
        security = schemes.requirements(operation.security)
        body = reader.body(written.request_body, written.at)
        self._note_passwords(reader, written)
        return OperationCall(
            source=source_key,
            operation=operation.id or f"{operation.method} {operation.path}",
            method=operation.method,
            path=operation.path,
            servers=tuple(_server(at) for at in operation.servers),
            parameters=sites.parameters,
            body=body,
            accept=", ".join(operation.responses) or "*/*",
            security=credentials.without(security, sites.produced, schemes),
            credentials=sites.schemes,
            summary=operation.summary,
            documentation=operation.documentation,
            idempotency=idempotency.declared(written, operation, self._source(target), body, self.report),
        )

    def _source(self, target: Target) -> SourceDescription | None:
        found = (each for each in self.scope.arazzo.sources if each.name == target.source)
        return next(found, None)

    def _note_passwords(self, reader: RequestReader, written: StepObject) -> None:
        """Remember what feeds those members of the body that the description calls passwords."""
        places = list(reader.passwords(written.request_body))
        for expression, at in self.templates.seen if places else ():
            if at in places and expression.root == "inputs":
                self.flows.passwords.add(expression.name)
            elif at in places and expression.root in ("steps", "workflows"):
                self.flows.tokens.append(expression)

    def _workflow_call(self, written: StepObject, reference: Location) -> WorkflowCall | None:
        found = self.scope.find_workflow(reference)
        if found is None:
            return None
        scope, workflow = found
        if written.request_body is not None:
            at = written.request_body.at
            self.report.error("body-for-workflow", "a step that calls a workflow has no body", at)
        known = scope.inputs(workflow).names
        # parameters of the workflow that have a place are for requests; credentials must not become inputs
        handed = [
            p
            for p in self._merged_parameters(written)
            if is_within(p.at, written.at) or not p.place or p.name in known
        ]
        key = self.around.key_of(scope, workflow)
        return WorkflowCall(key, self._inputs_for(key, scope, workflow, handed))

    def _inputs_for(
        self, key: str, scope: DocumentScope, workflow: WorkflowObject, written: Iterable[ParameterObject]
    ) -> tuple[tuple[str, Template], ...]:
        """Parameters as inputs of a workflow."""
        schema = scope.inputs(workflow)
        inputs = []
        for parameter in written:
            if not schema.is_open and parameter.name not in schema.names:
                message = (
                    f"workflow {workflow.id!r} has no input {parameter.name!r}; it is passed all the same"
                )
                hint = did_you_mean(parameter.name, schema.names)
                self.report.note("unknown-workflow-input", message, parameter.at, hint)
            value = self.templates.value(parameter.value)
            if isinstance(value, Constant):
                self.flows.handed.append((key, parameter.name, parameter.at))
            inputs.append((parameter.name, value))
        return tuple(inputs)

    def criteria(self, written: Iterable[object]) -> tuple[Criterion, ...]:
        """Criterion Objects; those that cannot be read are reported."""
        return tuple(c for each in written if (c := self.templates.criterion(each)))  # type: ignore[arg-type]

    def _outputs(self, written: dict[str, Location]) -> dict[str, Template]:
        return {name: template for name, at in written.items() if (template := self._output(at))}

    def _output(self, at: Location) -> Template | None:
        """An output of a step; a JSONPath is one of the response body."""
        if not isinstance(at.value, str) or not at.value.startswith(("$.", "$[")):
            return self.templates.output(at)
        body = Expression("response", part="body", text="$response.body")
        problems: list[Problem] = []
        select = parse_selector(body, at.value, "jsonpath", "", self.names, problems)
        if select is None or failed(problems):
            return self.templates.output(at)
        message = f"{at.value!r} is read as a JSONPath of $response.body"
        self.report.warning("jsonpath-output", message, at, "write a Selector Object or a JSON Pointer")
        return select

    def _actions(self, own: tuple[ActionObject, ...], shared: tuple[ActionObject, ...]) -> tuple[Action, ...]:
        """The step's actions, then the workflow's that it does not override by name."""
        names = {action.name for action in own if action.name}
        merged = [*own, *(action for action in shared if action.name not in names)]
        return tuple(action for each in merged if (action := self._action(each)))

    def _action(self, written: ActionObject) -> Action | None:
        step, workflow = "", ""
        inputs: tuple[tuple[str, Template], ...] = ()
        if written.step_id is not None:
            step = self._step_reference(written.step_id)
            if not step:
                return None
        if written.workflow_id is not None:
            found = self.scope.find_workflow(written.workflow_id)
            if found is None:
                return None
            workflow = self.around.key_of(*found)
            inputs = self._inputs_for(workflow, *found, written.parameters)
        return Action(
            name=written.name,
            type=written.type,  # type: ignore[arg-type]
            step=step,
            workflow=workflow,
            inputs=inputs,
            retry_after=self._retry_after(written),
            retry_limit=self._retry_limit(written),
            criteria=self.criteria(written.criteria),
        )

    def _step_reference(self, at: Location) -> str:
        """The step id that an action names; empty (reported) when there is none."""
        text = str(at.value)
        known = [step.id for step in self.workflow.steps]
        name = text if text in known else text.strip("{}").removeprefix("$steps.")
        if name in known:
            if name != text:
                self.report.warning("step-spelling", f"read as step {name!r}", at, f"write {name}")
            return name
        message = f"there is no step {text!r} in workflow {self.workflow.id!r}"
        self.report.error("unknown-step", message, at, did_you_mean(text, known))
        return ""

    def _retry_after(self, written: ActionObject) -> str:
        seconds = written.retry_after
        if seconds is None:
            return ""
        if seconds < 0:
            at = written.at.get("retryAfter") or written.at
            self.report.warning("negative-retry", "retryAfter is negative; read as 0", at)
            return "0"
        return format(seconds, "f") if not isinstance(seconds, int) else str(int(seconds))

    def _retry_limit(self, written: ActionObject) -> int | None:
        if written.retry_limit is not None and written.retry_limit < 0:
            at = written.at.get("retryLimit") or written.at
            self.report.warning("negative-retry", "retryLimit is negative; read as 0", at)
            return 0
        return written.retry_limit

    def _dependencies(self, written: StepObject) -> tuple[str, ...]:
        """Steps of this workflow that must have run before, as ``dependsOn`` says."""
        known = {step.id for step in self.workflow.steps}
        found = []
        for at in written.depends_on:
            name = str(at.value)
            if name in known or name.removeprefix("$steps.") in known:
                found.append(name.removeprefix("$steps.") if name not in known else name)
            elif name.startswith(("$workflows.", "$sourceDescriptions.")):
                self._foreign_dependency(at)
            else:
                self._step_reference(at)
        return tuple(found)

    def _foreign_dependency(self, at: Location) -> None:
        """A step of another workflow: done before when this workflow depends on that one, else never."""
        text = str(at.value)
        needed = [str(each.value).removeprefix("$workflows.") for each in self.workflow.depends_on]
        called = [str(step.workflow_id.value) for step in self.workflow.steps if step.workflow_id]
        bare = text.removeprefix("$workflows.")
        if not any(bare.startswith(f"{name}.steps.") for name in (*needed, *called)):
            message = f"{text!r} is a step of a workflow that this one neither depends on nor calls"
            hint = "name that workflow in dependsOn of this workflow"
            self.report.error("unknown-step", message, at, hint)
            return
        owner, _, step = text.rpartition(".steps.")
        found = self.scope.find_workflow(Location(at.document, at.pointer, owner))
        known = [each.id for each in found[1].steps] if found else [step]
        if step not in known:
            message = f"there is no step {step!r} in workflow {owner!r}"
            self.report.error("unknown-step", message, at, did_you_mean(step, known))

    def _warn_of_messages(self, written: StepObject) -> None:
        """``$message`` is what a step of AsyncAPI receives; no other step has one."""
        for expression, at in self.templates.seen:
            if expression.root == "message" and is_within(at, written.at):
                message = f"{expression.text} has no value: this step receives no message"
                self.report.warning("no-message", message, at, "the answer to a request is $response")

    def _warn_of_unsafe_retries(
        self, call: OperationCall | WorkflowCall, written: StepObject, actions: tuple[Action, ...]
    ) -> None:
        if not isinstance(call, OperationCall) or call.method in SAFE_METHODS | {"PUT", "DELETE"}:
            return
        if call.idempotency is not None:
            return
        for action in actions:
            if action.type == "retry":
                called = f"{call.method} {call.path}"
                message = f"{called} is sent once only: it is not retried while its outcome is unknown"
                hint = "say what the service honours: x-idempotency in the step, or idempotency= in the DAG"
                self.report.warning("unsafe-retry", message, written.at, hint)
                return


def _server(at: Location) -> Server:
    variables = at.get("variables")
    defaults = {
        name: str(variable.value.get("default", ""))
        for name, variable in (variables.members() if variables else ())
        if isinstance(variable.value, dict)
    }
    return Server(str(at.value.get("url", "")), defaults)
