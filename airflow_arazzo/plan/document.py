"""One Arazzo document while it is compiled: its sources, and the names that it declares."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from airflow_arazzo.description.arazzo import ArazzoDocument, SourceDescription, StepObject, WorkflowObject
from airflow_arazzo.description.arazzo_reader import read_arazzo
from airflow_arazzo.description.diagnostics import DocumentError, did_you_mean
from airflow_arazzo.description.documents import Document, Location, Report
from airflow_arazzo.description.openapi import OpenApi
from airflow_arazzo.description.sources import Library
from airflow_arazzo.expression.names import Names
from airflow_arazzo.plan.inputs import InputSchema, read_inputs
from airflow_arazzo.plan.operations import OperationFinder

_WORKFLOW_OF = re.compile(r"\{?\$sourceDescriptions\.(?P<rest>.+?)\}?\Z", re.DOTALL)


@dataclass(eq=False)
class DocumentScope:
    """An Arazzo document, its sources loaded when first asked for.

    :param prefix: how keys of the plan tell this document's workflows and sources from the entry
        document's; empty for the entry document.
    """

    arazzo: ArazzoDocument
    library: Library
    report: Report
    prefix: str = ""
    _loaded: dict[str, OpenApi | DocumentScope | None] = field(default_factory=dict)
    _inputs: dict[str, InputSchema] = field(default_factory=dict)

    def source(self, name: str) -> OpenApi | DocumentScope | None:
        """A source description's content; None (reported once) where it cannot be had."""
        if name not in self._loaded:
            described = self.arazzo.source(name)
            self._loaded[name] = self._load(described) if described else None
        return self._loaded[name]

    def _load(self, described: SourceDescription) -> OpenApi | DocumentScope | None:
        at = described.at.get("url") or described.at
        found = self.library.find(described.name, described.url, self.arazzo.document)
        if found is None:
            file_name = described.url.rsplit("/", 1)[-1]
            message = f"there is no local file for the source {described.name!r} ({described.url})"
            place = f"put {file_name} beside the document or on the source path"
            hint = f"{place}, or map it: --source {described.name}=FILE"
            self.report.error("source-not-found", message, at, hint)
            return None
        try:
            document = self.library.load(found.path)
        except DocumentError as error:
            self.report.diagnostics.extend(error.diagnostics)
            return None
        if found.how == "nearby":
            self.report.note("source-nearby", f"{described.url} is read from {document.name}", at)
        return self._typed(described, document, at)

    def _typed(
        self, described: SourceDescription, document: Document, at: Location
    ) -> OpenApi | DocumentScope | None:
        content = document.value if isinstance(document.value, dict) else {}
        kind = described.type or next((k for k in ("arazzo", "asyncapi") if k in content), "openapi")
        if kind == "asyncapi" or "asyncapi" in content:
            return None
        if kind == "arazzo" or "arazzo" in content:
            arazzo = read_arazzo(document, self.report)
            return (
                DocumentScope(arazzo, self.library, self.report, self.qualified(described.name))
                if arazzo
                else None
            )
        api = OpenApi(document, self.library)
        if api.supported:
            return api
        said = f"version {api.version}" if api.version else "no OpenAPI description"
        message = f"{document.name} is {said}, expected OpenAPI 3.0, 3.1 or 3.2"
        self.report.error("openapi-version", message, at, "convert it to OpenAPI 3" if api.version else "")
        return None

    def qualified(self, name: str) -> str:
        """A name of this document as a key of the plan."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def is_asyncapi(self, name: str) -> bool:
        """Whether a source describes messages rather than HTTP."""
        described = self.arazzo.source(name)
        if described is None:
            return False
        if described.type:
            return described.type == "asyncapi"
        found = self.library.find(name, described.url, self.arazzo.document)
        try:
            content = self.library.load(found.path).value if found else None
        except DocumentError:
            return False
        return isinstance(content, dict) and "asyncapi" in content

    def finder(self, wanted: str) -> OperationFinder:
        """A finder over the OpenAPI sources that a reference may mean: the one it names, else all."""
        names = [s.name for s in self.arazzo.sources if s.type in ("openapi", "")]
        named = [
            n for n in names if f"$sourceDescriptions.{n}." in wanted or wanted.startswith((f"{n}#", f"{n}."))
        ]
        apis = {n: api for n in named or names if isinstance(api := self.source(n), OpenApi)}
        return OperationFinder(apis, tuple(names), self.report)

    def inputs(self, workflow: WorkflowObject) -> InputSchema:
        """The inputs of one of this document's workflows."""
        if workflow.id not in self._inputs:
            self._inputs[workflow.id] = read_inputs(workflow.inputs, self.library, self.report)
        return self._inputs[workflow.id]

    def find_workflow(self, at: Location) -> tuple[DocumentScope, WorkflowObject] | None:
        """The workflow that a ``workflowId`` names, in this document or in a source; else None (reported)."""
        text = str(at.value).strip()
        qualified = _WORKFLOW_OF.match(text)
        if qualified:
            return self._in_source(qualified["rest"], at)
        text = text.strip("{}").removeprefix("$workflows.")
        found = self.arazzo.workflow(text)
        if found is None:
            source, dot, _ = text.partition(".")
            if dot and self.arazzo.source(source):
                self.report.warning("workflow-spelling", f"read as $sourceDescriptions.{text}", at)
                return self._in_source(text, at)
            folded = [w for w in self.arazzo.workflows if w.id.casefold() == text.casefold()]
            if len(folded) == 1:
                self.report.warning("workflow-case", f"workflowId {text!r} is written {folded[0].id!r}", at)
                return self, folded[0]
            hint = did_you_mean(text, [w.id for w in self.arazzo.workflows])
            self.report.error("unknown-workflow", f"there is no workflow {text!r} in this document", at, hint)
            return None
        return self, found

    def _in_source(self, rest: str, at: Location) -> tuple[DocumentScope, WorkflowObject] | None:
        names = sorted((s.name for s in self.arazzo.sources), key=len, reverse=True)
        name = next((n for n in names if rest.startswith(n + ".")), None)
        if name is None:
            hint = did_you_mean(rest.split(".")[0], names)
            self.report.error(
                "unknown-source", f"there is no source description {rest.split('.')[0]!r}", at, hint
            )
            return None
        other = self.source(name)
        if not isinstance(other, DocumentScope):
            if other is not None:
                self.report.error("wrong-source", f"the source {name!r} is no Arazzo document", at)
            return None
        workflow = other.arazzo.workflow(rest[len(name) + 1 :])
        if workflow is None:
            known = [w.id for w in other.arazzo.workflows]
            message = f"there is no workflow {rest[len(name) + 1 :]!r} in source {name!r}"
            self.report.error("unknown-workflow", message, at, did_you_mean(rest[len(name) + 1 :], known))
            return None
        return other, workflow

    def names(self, workflow: WorkflowObject) -> Names:
        """Every name that expressions of a workflow may use."""
        return Names(
            inputs=self.inputs(workflow).names,
            outputs=frozenset(workflow.outputs),
            steps={step.id: self._outputs_of(step) for step in workflow.steps},
            workflows={
                other.id: (self.inputs(other).names or frozenset(), frozenset(other.outputs))
                for other in self.arazzo.workflows
            },
            sources=frozenset(source.name for source in self.arazzo.sources),
        )

    def _outputs_of(self, step: StepObject) -> frozenset[str]:
        """Outputs that later steps may read: declared ones, and those of the workflow that it calls."""
        if step.workflow_id is None:
            return frozenset(step.outputs)
        quiet = DocumentScope(self.arazzo, self.library, Report(), self.prefix, self._loaded, self._inputs)
        called = quiet.find_workflow(step.workflow_id)
        return frozenset(step.outputs) | (frozenset(called[1].outputs) if called else frozenset())
