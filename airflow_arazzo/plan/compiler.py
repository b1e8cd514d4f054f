"""From documents to plans. Everything is resolved here, before the first request is sent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from airflow_arazzo.description.arazzo import ArazzoDocument, WorkflowObject
from airflow_arazzo.description.arazzo_reader import read_arazzo
from airflow_arazzo.description.diagnostics import (
    Diagnostic,
    DocumentError,
    Position,
    Severity,
    did_you_mean,
    has_errors,
    sorted_diagnostics,
)
from airflow_arazzo.description.documents import Report
from airflow_arazzo.description.sources import Library
from airflow_arazzo.plan import analysis
from airflow_arazzo.plan.codec import encode_plan
from airflow_arazzo.plan.credentials import SourceSchemes
from airflow_arazzo.plan.document import DocumentScope
from airflow_arazzo.plan.flow import find_recursion
from airflow_arazzo.plan.model import Plan, Source, Workflow
from airflow_arazzo.plan.operations import Target
from airflow_arazzo.plan.workflow import StepCompiler, Surroundings


@dataclass(frozen=True)
class Options:
    """How sources are found, and what is tolerated.

    :param sources: files by source name; they win over everything else.
    :param source_path: folders that are searched for sources by file name.
    :param strict: whether warnings are errors.
    """

    sources: Mapping[str, Path] = field(default_factory=dict)
    source_path: Sequence[Path] = ()
    strict: bool = False


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
        arazzo = read_arazzo(library.load(path), report)
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


def compile_workflow(
    path: Path, workflow_id: str = "", options: Options | None = None
) -> tuple[Plan, dict[str, str]]:
    """Compile one workflow of a document; the only one when no id is given.

    :return: the plan, and the files it depends on as in :class:`Compilation`.
    :raises DocumentError: with everything that is wrong with the document as far as it was looked at.
    """
    options = options or Options()
    library = Library(path, options.sources, options.source_path)
    report = Report()
    arazzo = read_arazzo(library.load(path), report)
    if arazzo is None:
        raise DocumentError(report.diagnostics)
    workflow = _chosen(arazzo, workflow_id)
    compiler = _Compiler(arazzo, library)
    plan = compiler.plan(workflow, report.diagnostics)
    diagnostics = [*report.diagnostics, *compiler.report.diagnostics]
    if options.strict:
        diagnostics = _strict(diagnostics)
    if has_errors(diagnostics):
        raise DocumentError(diagnostics)
    return plan, library.dependencies()


def workflow_ids(path: Path) -> tuple[str, ...]:
    """Ids of a document's workflows.

    :raises DocumentError: when the document cannot be read.
    """
    library = Library(path)
    arazzo = read_arazzo(library.load(path), Report())
    return tuple(workflow.id for workflow in arazzo.workflows) if arazzo else ()


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

    def __init__(self, arazzo: ArazzoDocument, library: Library) -> None:
        self.report = Report()
        self.entry = DocumentScope(arazzo, library, self.report)
        self.workflows: dict[str, Workflow] = {}
        self.schemes: dict[str, SourceSchemes] = {}
        self._begun: dict[tuple[str, str], str] = {}
        self._around = Surroundings(self.key_of, self.source_of)

    def plan(self, workflow: WorkflowObject, shape: Sequence[Diagnostic]) -> Plan:
        """The plan of a workflow of the entry document. Only valid when the report has no errors."""
        key = self.key_of(self.entry, workflow)
        self._check_recursion(workflow, key)
        arazzo = self.entry.arazzo
        described = {source.name: source for source in arazzo.sources}
        sources = {
            name: Source(
                name=name,
                url=described[name].url if name in described else "",
                title=schemes.api.title,
                schemes=schemes.used,
            )
            for name, schemes in self.schemes.items()
        }
        plan = Plan(
            workflow=key,
            workflows=self.workflows,
            sources=sources,
            title=arazzo.title,
            version=arazzo.document_version,
            self_uri=arazzo.self_uri,
        )
        digest = hashlib.sha256(encode_plan(plan)).hexdigest()
        diagnostics = sorted_diagnostics([*shape, *self.report.diagnostics])
        return msgspec.structs.replace(plan, digest=digest, diagnostics=diagnostics)

    def _check_recursion(self, workflow: WorkflowObject, key: str) -> None:
        circle = find_recursion(self.workflows, key)
        if circle:
            message = "workflows call each other without end: " + " → ".join(circle)
            self.report.error("workflow-recursion", message, workflow.at, "break the circle, or use goto")

    def source_of(self, scope: DocumentScope, target: Target) -> tuple[str, SourceSchemes]:
        """The key of a source in the plan, and its schemes."""
        key = scope.qualified(target.source)
        plain = self.schemes.get(target.source)
        if scope.prefix and (plain is None or plain.api.document.path == target.api.document.path):
            key = target.source
        if key not in self.schemes:
            self.schemes[key] = SourceSchemes(target.api, self.report)
        return key, self.schemes[key]

    def key_of(self, scope: DocumentScope, workflow: WorkflowObject) -> str:
        """The key of a workflow in the plan; compiles it when it is met for the first time."""
        identity = (os.path.abspath(scope.arazzo.document.path), workflow.id)
        if identity not in self._begun:
            self._begun[identity] = scope.qualified(workflow.id)
            compiled = self._compile(scope, workflow)
            self.workflows[self._begun[identity]] = compiled
        return self._begun[identity]

    def _compile(self, scope: DocumentScope, workflow: WorkflowObject) -> Workflow:
        steps = StepCompiler(scope, workflow, self._around, self.report)
        schema = scope.inputs(workflow)
        compiled = [step for written in workflow.steps if (step := steps.step(written))]
        outputs = {n: t for n, at in workflow.outputs.items() if (t := steps.templates.output(at))}
        depends_on = tuple(
            self.key_of(*found) for at in workflow.depends_on if (found := scope.find_workflow(at))
        )
        ordered = analysis.ordered(compiled, workflow, self.report)
        if len(compiled) == len(workflow.steps):
            by_id = {step.id: step for step in workflow.steps}
            analysis.check_reads(ordered, by_id, self.report)
            analysis.note_unused_inputs(ordered, outputs, schema, self.report)
        credentials = analysis.credential_inputs(ordered, outputs, schema, steps.flows, self.workflows)
        return Workflow(
            id=workflow.id,
            steps=analysis.with_secret_outputs(ordered, steps.flows),
            summary=workflow.summary,
            description=workflow.description,
            inputs=analysis.public_schema(schema, credentials),
            credentials=credentials,
            depends_on=depends_on,
            outputs=outputs,
            file=scope.arazzo.document.name,
            line=workflow.at.document.position(workflow.at.pointer).line,
        )
