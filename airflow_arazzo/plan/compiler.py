"""From documents to plans. Everything is resolved here, before the first request is sent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from airflow_arazzo.description.arazzo import ArazzoDocument, WorkflowObject
from airflow_arazzo.description.diagnostics import (
    Diagnostic,
    DocumentError,
    Position,
    Severity,
    did_you_mean,
    has_errors,
    sorted_diagnostics,
)
from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.probes import read_probes
from airflow_arazzo.description.sources import Library
from airflow_arazzo.description.yaml import collector_paused
from airflow_arazzo.expression.model import Expression, Template
from airflow_arazzo.plan import analysis
from airflow_arazzo.plan.codec import encode_plan
from airflow_arazzo.plan.credentials import SourceSchemes
from airflow_arazzo.plan.document import DocumentScope
from airflow_arazzo.plan.flow import find_recursion
from airflow_arazzo.plan.inputs import InputSchema
from airflow_arazzo.plan.model import Description, Plan, Source, Step, Workflow, WorkflowCall
from airflow_arazzo.plan.opened import opened, read_entry
from airflow_arazzo.plan.operations import Target
from airflow_arazzo.plan.options import Options
from airflow_arazzo.plan.overlays import apply_overlays
from airflow_arazzo.plan.probes import Probes
from airflow_arazzo.plan.reads import all_expressions, jump_targets
from airflow_arazzo.plan.secrets import (
    Draft,
    SecretOutputs,
    all_credentials,
    public_schema,
    with_secret_outputs,
    without_literals,
)
from airflow_arazzo.plan.workflow import StepCompiler, Surroundings

MAX_CALLS = 32
"""How many workflows may call one another in a row."""


@dataclass(frozen=True)
class Compilation:
    """What came of compiling a document.

    :param plans: by workflow id; workflows with errors are missing.
    :param diagnostics: everything found, errors first; file names are relative to the document's folder.
    :param dependencies: SHA-256 by path of every file read, an empty text for files looked for in vain.
    """

    plans: dict[str, Plan]
    diagnostics: tuple[Diagnostic, ...]
    dependencies: dict[str, str]

    @property
    def failed(self) -> bool:
        """Whether there are errors."""
        return has_errors(self.diagnostics)


def compile_document(path: Path, options: Options | None = None) -> Compilation:
    """Compile every workflow of a document. Never raises for bad documents: look at ``diagnostics``."""
    options = options or Options()
    library = Library(path, options.sources, options.source_path)
    report = Report()
    plans: dict[str, Plan] = {}
    try:
        arazzo = read_entry(library, options, report)
    except DocumentError as error:
        return Compilation({}, error.diagnostics, library.dependencies())
    shape = list(report.diagnostics)
    found = list(shape)
    if arazzo is not None:
        for workflow in arazzo.workflows:
            compiler = _Compiler(arazzo, library)
            plan = compiler.plan(workflow, shape)
            found.extend(compiler.report.diagnostics)
            if not has_errors([*shape, *compiler.report.diagnostics]):
                plans[workflow.id] = plan
    diagnostics = sorted_diagnostics(_strict(found) if options.strict else found)
    if options.strict and has_errors(diagnostics):
        plans = {}
    return Compilation(plans, diagnostics, library.dependencies())


@collector_paused()
def compile_workflow(
    path: Path, workflow_id: str = "", options: Options | None = None
) -> tuple[Plan, dict[str, str]]:
    """Compile one workflow of a document; the only one when no id is given.

    :return: the plan, and the files it depends on as in :class:`Compilation`.
    :raises DocumentError: with everything that is wrong with the document as far as it was looked at.
    """
    options = options or Options()
    document = opened(path, options)
    workflow = _chosen(document.arazzo, workflow_id)
    compiler = _Compiler(document.arazzo, document.library, options.probes)
    plan = compiler.plan(workflow, document.diagnostics)
    diagnostics = [*document.diagnostics, *compiler.report.diagnostics]
    if options.strict:
        diagnostics = _strict(diagnostics)
    if has_errors(diagnostics):
        raise DocumentError(diagnostics)
    return plan, document.library.dependencies()


def workflow_ids(path: Path, options: Options | None = None) -> tuple[tuple[str, ...], dict[str, str]]:
    """Ids of a document's workflows.

    :return: the ids, and the files they depend on as in :class:`Compilation`.
    :raises DocumentError: when the document cannot be read, or an overlay cannot be applied.
    """
    document = opened(path, options or Options())
    return tuple(workflow.id for workflow in document.arazzo.workflows), document.library.dependencies()


def overlays_for(path: Path, options: Options) -> list[Path]:
    """Those overlays that are for a document or for a source of it, or cannot be read."""

    def is_elsewhere(overlay: Path) -> bool:
        report = Report()
        try:
            apply_overlays(Library(path, options.sources, options.source_path), [overlay], report)
        except DocumentError:
            return False
        return any(diagnostic.code == "overlay-document" for diagnostic in report.diagnostics)

    return [overlay for overlay in options.overlays if not is_elsewhere(overlay)]


def _chosen(arazzo: ArazzoDocument, workflow_id: str) -> WorkflowObject:
    ids = [workflow.id for workflow in arazzo.workflows]
    if not workflow_id and len(ids) == 1:
        return arazzo.workflows[0]
    found = arazzo.workflow(workflow_id)
    if found is not None:
        return found
    message = f"there is no workflow {workflow_id!r}" if workflow_id else "the document has several workflows"
    hint = did_you_mean(workflow_id, ids) or "known: " + ", ".join(ids)
    place = Position(arazzo.document.name, 1, 1)
    raise DocumentError([Diagnostic("unknown-workflow", Severity.ERROR, message, place, hint)])


def _strict(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The same findings with warnings as errors."""
    return [
        msgspec.structs.replace(d, severity=Severity.ERROR) if d.severity is Severity.WARNING else d
        for d in diagnostics
    ]


class _Compiler:
    """Compiles one workflow and all that it reaches into a plan."""

    def __init__(
        self, arazzo: ArazzoDocument, library: Library, probes: Mapping[str, Any] | None = None
    ) -> None:
        self.report = Report()
        self.probes = Probes(read_probes(probes or {}, self.report), self.report)
        self.entry = DocumentScope(arazzo, library, self.report)
        self.drafts: dict[str, Draft] = {}
        self.shells: dict[str, Workflow] = {}
        self.written: dict[str, WorkflowObject] = {}
        self.inputs: dict[str, InputSchema] = {}
        self.schemes: dict[str, SourceSchemes] = {}
        self.urls: dict[str, str] = {}
        self.descriptions: dict[str, Description] = {}
        self.met: set[str] = set()
        self._begun: dict[tuple[str, str], str] = {}
        self._depth = 0
        self._around = Surroundings(self.key_of, self.source_of)

    def plan(self, workflow: WorkflowObject, shape: Sequence[Diagnostic]) -> Plan:
        """The plan of a workflow of the entry document. Only valid when the report has no errors."""
        key = self.key_of(self.entry, workflow)
        self._check_recursion(workflow, key)
        self.probes.check_names()
        workflows = self._finished()
        sources = {
            name: Source(name, self.urls[name], schemes.api.title, schemes.used)
            for name, schemes in self.schemes.items()
        }
        arazzo = self.entry.arazzo
        plan = Plan(
            workflow=key,
            workflows=workflows,
            sources=sources,
            descriptions=self.descriptions,
            title=arazzo.title,
            version=arazzo.document_version,
            self_uri=arazzo.self_uri,
        )
        digest = hashlib.sha256(encode_plan(plan)).hexdigest()
        diagnostics = sorted_diagnostics([*shape, *self.report.diagnostics])
        return msgspec.structs.replace(plan, digest=digest, diagnostics=diagnostics)

    def _finished(self) -> dict[str, Workflow]:
        """Workflows with all that is secret in them marked."""
        known = all_credentials(self.drafts)
        for draft in self.drafts.values():
            draft.steps = without_literals(draft, known, self.report)
        secret = SecretOutputs(self.drafts, known).find()
        return {
            key: msgspec.structs.replace(
                shell,
                steps=with_secret_outputs(self.drafts[key].steps, key, secret),
                inputs=public_schema(self.drafts[key].schema, known[key]),
                credentials=known[key],
            )
            for key, shell in self.shells.items()
        }

    def _check_recursion(self, workflow: WorkflowObject, key: str) -> None:
        circle = find_recursion(self.shells, key)
        if circle:
            first = circle.index(min(circle))
            circle = [*circle[first:-1], *circle[:first], circle[first]]
            message = "workflows call each other without end: " + " → ".join(circle)
            at = self._call_of(circle[0], circle[1]) or workflow.at
            self.report.error("workflow-recursion", message, at, "break the circle, or use goto")

    def _call_of(self, key: str, called: str) -> Location | None:
        """Where a workflow calls another."""
        written, shell = self.written[key], self.shells[key]
        calls = {step.id: step.call for step in shell.steps}
        for step in written.steps:
            call = calls.get(step.id)
            if isinstance(call, WorkflowCall) and call.workflow == called and step.workflow_id:
                return step.workflow_id
        needed = zip(written.depends_on, shell.depends_on, strict=False)
        return next((at for at, name in needed if name == called), None)

    def source_of(self, scope: DocumentScope, target: Target) -> tuple[str, SourceSchemes]:
        """The key of a source in the plan, and its schemes.

        A source of another document keeps its plain name if the entry document means the same file by it,
        or nothing: then both share a connection.
        """
        key = target.source
        path = target.api.document.path
        if scope.prefix and (self._entry_file(key) or path) != path:
            key = scope.qualified(key)
        if key in self.schemes and self.schemes[key].api.document.path != path:
            key = scope.qualified(key)
        if key not in self.schemes:
            described = scope.arazzo.source(target.source)
            self.schemes[key] = SourceSchemes(target.api, self.report)
            self.urls[key] = described.url if described else ""
        return key, self.schemes[key]

    def _entry_file(self, name: str) -> Path | None:
        """The file that the entry document means by a source name."""
        described = self.entry.arazzo.source(name)
        library, document = self.entry.library, self.entry.arazzo.document
        found = library.find(name, described.url, document) if described else None
        return Path(os.path.abspath(found.path)) if found else None

    def key_of(self, scope: DocumentScope, workflow: WorkflowObject) -> str:
        """The key of a workflow in the plan; compiles it when it is met for the first time."""
        identity = (os.path.abspath(scope.arazzo.document.path), workflow.id)
        if identity not in self._begun:
            self._begun[identity] = scope.qualified(workflow.id)
            self.inputs[self._begun[identity]] = scope.inputs(workflow)
            if self._depth >= MAX_CALLS:
                message = f"more than {MAX_CALLS} workflows call one another in a row"
                self.report.error("workflow-depth", message, workflow.at)
                return self._begun[identity]
            self._depth += 1
            self._compile(self._begun[identity], scope, workflow)
            self._depth -= 1
        return self._begun[identity]

    def _compile(self, key: str, scope: DocumentScope, workflow: WorkflowObject) -> None:
        steps = StepCompiler(scope, workflow, self._around, self.report)
        schema = scope.inputs(workflow)
        # The workflow that runs is the first to be met; steps of others are named with their workflow.
        prefix = f"{key}." if self.met else ""
        self.met.add(key)
        compiled = [
            self.probes.add(step, prefix + step.id, steps)
            for written in workflow.steps
            if (step := steps.step(written))
        ]
        outputs = self._outputs(workflow, steps)
        compiled = analysis.with_read_outputs(compiled, outputs)
        ordered = analysis.ordered(compiled, workflow, self.report)
        self._describe_sources(scope, ordered, outputs)
        depends_on = self._depends_on(scope, workflow, ordered, outputs, steps.outer.seen)
        if len(compiled) == len(workflow.steps):
            by_id = {step.id: step for step in workflow.steps}
            analysis.check_reads(ordered, by_id, steps.outer.seen, self.report)
            handed = {n for k in (*depends_on, *jump_targets(ordered)) for n in self.inputs[k].names}
            analysis.note_unused_inputs(ordered, outputs, schema, handed, self.report)
        self.drafts[key] = Draft(workflow.id, ordered, outputs, schema, steps.flows, depends_on)
        self.written[key] = workflow
        self.shells[key] = Workflow(
            id=workflow.id,
            steps=ordered,
            summary=workflow.summary,
            description=workflow.description,
            depends_on=depends_on,
            outputs=outputs,
            file=scope.arazzo.document.path.name if scope.prefix else scope.arazzo.document.name,
            line=workflow.at.document.line(workflow.at.pointer),
        )

    def _outputs(self, workflow: WorkflowObject, steps: StepCompiler) -> dict[str, Template]:
        """Outputs of a workflow. Those that never have a value are left out where no other workflow reads."""
        entry = self._depth == 1
        return {
            name: template
            for name, at in workflow.outputs.items()
            if not (entry and steps.outer.never_there(at)) and (template := steps.outer.output(at))
        }

    def _describe_sources(
        self, scope: DocumentScope, steps: Sequence[Step], outputs: Mapping[str, Template]
    ) -> None:
        """Keep the source descriptions that expressions read, whether or not a step calls them."""
        for expression in all_expressions(steps, outputs):
            read = scope.arazzo.source(expression.scope) if expression.root == "sourceDescriptions" else None
            if read is not None:
                key = scope.qualified(read.name)
                self.descriptions.setdefault(key, Description(read.name, read.url, read.type))

    def _depends_on(
        self,
        scope: DocumentScope,
        workflow: WorkflowObject,
        steps: Sequence[Step],
        outputs: Mapping[str, Template],
        seen: Sequence[tuple[Expression, Location]],
    ) -> tuple[str, ...]:
        """Keys of the workflows that run before: those that ``dependsOn`` names, and those that are read."""
        found = [self.key_of(*named) for at in workflow.depends_on if (named := scope.find_workflow(at))]
        called = {step.call.workflow for step in steps if isinstance(step.call, WorkflowCall)}
        for expression in all_expressions(steps, outputs):
            other = scope.arazzo.workflow(expression.scope) if expression.root == "workflows" else None
            if other is None or other.id == workflow.id:
                continue
            key = self.key_of(scope, other)
            if key not in (*found, *called):
                found.append(key)
                at, offset = analysis.place_of(expression, workflow.at, seen)
                message = f"workflow {other.id!r} is read, so it is run before, though dependsOn lacks it"
                hint = f"add {other.id} to dependsOn"
                self.report.add(Severity.WARNING, "implied-dependency", message, at, hint, offset=offset)
        return tuple(dict.fromkeys(found))
