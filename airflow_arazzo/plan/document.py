"""One Arazzo document while it is compiled: its sources, and the names that it declares."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

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
        if described.type == "asyncapi":
            return None
        at = described.at.get("url") or described.at
        found = self.library.find(described.name, described.url, self.arazzo.document)
        if found is None:
            file_name = described.url.rsplit("/", 1)[-1]
            message = f"there is no local file for the source {described.name!r} ({described.url})"
            place = f"put {file_name} beside the document or on the source path"
            hint = f"{place}, or map it: --source {described.name}=FILE"
            hint += ", or fetch it: airflow-arazzo vendor" if "://" in described.url else ""
            self.report.error("source-not-found", message, at, hint)
            return None
        try:
            document = self.library.load(found.path)
        except DocumentError as error:
            self.report.diagnostics.extend(error.diagnostics)
            return None
        if found.how == "nearby":
            # a remote file is expected to lie somewhere here, a relative one to be where its URL says
            say = self.report.note if "://" in described.url else self.report.warning
            say("source-nearby", f"{described.url} is read from {document.name}", at)
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

    @property
    def incomplete(self) -> bool:
        """Whether an OpenAPI source could not be loaded (reported)."""
        return any(
            loaded is None and not self.is_asyncapi(name) for name, loaded in self._loaded.items() if name
        )

    def _content(self, described: SourceDescription) -> dict[str, Any]:
        """What a source's file holds; nothing when it cannot be had. Findings are not reported."""
        found = self.library.find(described.name, described.url, self.arazzo.document)
        try:
            content = self.library.load(found.path).value if found else None
        except DocumentError:
            content = None
        return content if isinstance(content, dict) else {}

    def is_asyncapi(self, name: str) -> bool:
        """Whether a source describes messages rather than HTTP, by its type or by what its file says."""
        described = self.arazzo.source(name)
        if described is None:
            return False
        return described.type == "asyncapi" or "asyncapi" in self._content(described)

    def means_messages(self, text: str) -> bool:
        """Whether a step's target is in an AsyncAPI source: the one it names, or the only one that has it."""
        bare = text.strip().strip("{}").removeprefix("$sourceDescriptions.")
        for name in sorted((source.name for source in self.arazzo.sources), key=len, reverse=True):
            if bare.startswith((f"{name}.", f"{name}#")):
                return self.is_asyncapi(name)
        for described in self.arazzo.sources:
            if described.type == "openapi" or not self.is_asyncapi(described.name):
                continue
            operations = self._content(described).get("operations")
            if isinstance(operations, dict) and text in operations:
                apis = [api for s in self.arazzo.sources if isinstance(api := self.source(s.name), OpenApi)]
                return not any(text in api.by_id for api in apis)
        return False

    def finder(self, wanted: str) -> OperationFinder:
        """A finder over the OpenAPI sources that a reference may mean: the one it names, else all."""
        names = [s.name for s in self.arazzo.sources if s.type in ("openapi", "")]
        named = [
            n for n in names if f"$sourceDescriptions.{n}." in wanted or wanted.startswith((f"{n}#", f"{n}."))
        ]
        apis = {n: api for n in named or names if isinstance(api := self.source(n), OpenApi)}
        known = tuple(source.name for source in self.arazzo.sources)
        return OperationFinder(apis, known, self.report, self.incomplete)

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
            if other is not None or self.is_asyncapi(name):
                self.report.error("wrong-source", f"the source {name!r} is no Arazzo document", at)
            return None
        wanted = rest[len(name) + 1 :]
        workflow = other.arazzo.workflow(wanted)
        if workflow is None and wanted.startswith("workflows."):
            workflow = other.arazzo.workflow(wanted.removeprefix("workflows."))
            if workflow is not None:
                hint = f"write $sourceDescriptions.{name}.{workflow.id}"
                self.report.warning(
                    "workflow-spelling", f"read as workflow {workflow.id!r} of {name!r}", at, hint
                )
        if workflow is None:
            known = [w.id for w in other.arazzo.workflows]
            file = other.arazzo.document.name
            message = f"there is no workflow {wanted!r} in source {name!r} ({file})"
            self.report.error("unknown-workflow", message, at, did_you_mean(wanted, known))
            return None
        return other, workflow

    def names(self, workflow: WorkflowObject) -> Names:
        """Every name that expressions of a workflow may use."""
        inputs = self.inputs(workflow)
        return Names(
            inputs=inputs.names,
            open_inputs=inputs.is_open,
            outputs=frozenset(workflow.outputs),
            steps={step.id: self.outputs_of(step) for step in workflow.steps},
            workflows={
                other.id: (
                    None if self.inputs(other).is_open else self.inputs(other).names,
                    frozenset(other.outputs),
                )
                for other in self.arazzo.workflows
            },
            sources=frozenset(source.name for source in self.arazzo.sources),
            described=partial(self._described_outputs, workflow),
        )

    def _described_outputs(self, workflow: WorkflowObject, step_id: str) -> frozenset[str]:
        """Properties of the response that a step gets, as the description of its operation has them."""
        step = next((step for step in workflow.steps if step.id == step_id), None)
        reference = (step.operation_id or step.operation_path) if step else None
        if step is None or reference is None or self.means_messages(str(reference.value)):
            return frozenset()
        # whatever is wrong with the reference is reported when the step is compiled
        finder = replace(self.finder(str(reference.value)), report=Report())
        if not finder.sources:
            return frozenset()
        target = finder.by_id(reference) if step.operation_id else finder.by_path(reference)
        return target.api.response_properties(target.key) if target else frozenset()

    def outputs_of(self, step: StepObject) -> frozenset[str]:
        """Outputs that later steps may read: declared ones, and those of the workflow that it calls."""
        if step.workflow_id is None:
            return frozenset(step.outputs)
        called = self.find_workflow(step.workflow_id)
        return frozenset(step.outputs) | (frozenset(called[1].outputs) if called else frozenset())
