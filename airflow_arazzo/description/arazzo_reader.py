"""Reading Arazzo documents: checks of their shape, from the root to the steps.

Fields, types and required members are this module's subject and, below the steps, that of
:mod:`airflow_arazzo.description.arazzo_parts`. What names mean, and whether they exist, is the compiler's.
"""

from __future__ import annotations

import re

from airflow_arazzo.description.arazzo import (
    ArazzoDocument,
    CriterionObject,
    ProbeObject,
    SourceDescription,
    StepObject,
    WorkflowObject,
    is_arazzo,
)
from airflow_arazzo.description.arazzo_parts import PartReader
from airflow_arazzo.description.diagnostics import Diagnostic, Severity, did_you_mean
from airflow_arazzo.description.documents import Document, Location, Report
from airflow_arazzo.description.fields import Fields, type_name

VERSION = re.compile(r"1\.[01]\.\d+(-.+)?\Z")
COMPONENTS = ("inputs", "parameters", "successActions", "failureActions")
"""Kinds of components."""


def read_arazzo(document: Document, report: Report) -> ArazzoDocument | None:
    """Read an Arazzo Specification Object; findings go into ``report``.

    :return: None when nothing can be made of the document. Parts that are wrong are left out, so look at
        ``report.failed`` too.
    """
    if not is_arazzo(document):
        report.error("not-arazzo", "not an Arazzo document: it has no 'arazzo' field", document.root)
        return None
    return _Reader(document, report).read()


def read_probe(at: Location, step_id: str, report: Report) -> ProbeObject | None:
    """Read a probe; findings go into ``report``.

    :param step_id: of the step whose effect it looks for.
    :return: None when nothing can be made of it.
    """
    return _Reader(at.document, report).probe(at, step_id)


class _Reader(PartReader):
    """Reads one document."""

    def read(self) -> ArazzoDocument | None:
        root = self.fields(
            self.document.root,
            "the Arazzo document",
            *("arazzo", "$self", "info", "sourceDescriptions", "workflows", "components"),
        )
        if root is None:
            return None
        version = root.text("arazzo", required=True)
        if version in ("1.0", "1.1"):
            message = f"'arazzo' is {version}, which is no full version; it is read as {version}.0"
            self.report.warning("version-patch", message, root.at / "arazzo", f"write arazzo: {version}.0")
        elif version and not VERSION.match(version):
            self.report.error(
                "arazzo-version",
                f"Arazzo {version} is not supported, expected 1.0.x or 1.1.x",
                self.document.root / "arazzo",
            )
        info_at = root.object("info", required=True)
        info = info_at and self.fields(info_at, "info", "title", "summary", "description", "version")
        sources = tuple(s for at in root.array("sourceDescriptions", required=True) if (s := self.source(at)))
        workflows = tuple(w for at in root.array("workflows", required=True) if (w := self.workflow(at)))
        self.all_components(root)
        self.unique([(s.name, s.at, "name") for s in sources], "duplicate-source", "source description")
        self.unique([(w.id, w.at, "workflowId") for w in workflows], "duplicate-workflow", "workflow")
        return ArazzoDocument(
            document=self.document,
            version=version,
            self_uri=self.identity(root),
            title=info.text("title", required=True) if info else "",
            summary=info.text("summary") if info else "",
            description=info.text("description") if info else "",
            document_version=info.text("version", required=True) if info else "",
            sources=sources,
            workflows=workflows,
            at=self.document.root,
        )

    def identity(self, root: Fields) -> str:
        """The ``$self`` of the document; it names the whole document, so it has no fragment."""
        at = root.text_at("$self")
        if at is not None and "#" in at.value:
            hint = "leave out '#' and what follows it"
            self.report.error("wrong-value", f"'$self' has a fragment: {at.value!r}", at, hint)
        return str(at.value) if at is not None else ""

    def all_components(self, root: Fields) -> None:
        """Check every component, also those that nothing refers to: these are warned of and do no harm."""
        found = Report()
        reader = _Reader(self.document, found)
        at = root.at.get("components") if "components" in root else None
        kinds = Fields.of(at, "components", COMPONENTS, found) if at else None
        for kind in COMPONENTS if kinds else ():
            group = kinds.object(kind) if kinds else None
            for name, component in group.members() if group else ():
                self.check_name(name, "a component", component)
                reader.component(kind, component)
        known = {(d.code, d.position) for d in self.report.diagnostics}
        for finding in found.diagnostics:
            if finding.severity is not Severity.ERROR:
                self.report.diagnostics.append(finding)
            elif (finding.code, finding.position) not in known:
                message = f"{finding.message}; nothing can refer to it as it is"
                self.report.diagnostics.append(
                    Diagnostic(
                        "malformed-component", Severity.WARNING, message, finding.position, finding.hint
                    )
                )

    def component(self, kind: str, at: Location) -> None:
        """Read one component for what is wrong with it."""
        if kind == "inputs":
            if not isinstance(at.value, dict | bool):
                message = f"expected a JSON Schema as an object, found {type_name(at.value)}"
                self.report.error("wrong-type", message, at)
        elif kind == "parameters":
            self.parameter(at)
        else:
            self.action(at, "success" if kind == "successActions" else "failure")

    def source(self, at: Location) -> SourceDescription | None:
        fields = self.fields(at, "a source description", "name", "url", "type")
        if fields is None:
            return None
        name, url = fields.text("name", required=True), fields.text("url", required=True)
        kind = fields.choice("type", ("openapi", "arazzo", "asyncapi"))
        if kind == "asyncapi":
            self.newer("the type 'asyncapi' of a source description", at / "type")
        return SourceDescription(name, url, kind, at) if name else None

    def workflow(self, at: Location) -> WorkflowObject | None:
        fields = self.fields(
            at,
            "a workflow",
            *("workflowId", "summary", "description", "inputs", "dependsOn", "steps", "successActions"),
            *("failureActions", "outputs", "parameters"),
        )
        if fields is None:
            return None
        steps = tuple(s for item in fields.array("steps", required=True) if (s := self.step(item)))
        self.unique([(s.id, s.at, "stepId") for s in steps], "duplicate-step", "step")
        workflow_id = fields.text("workflowId", required=True)
        return WorkflowObject(
            id=workflow_id,
            summary=fields.text("summary"),
            description=fields.text("description"),
            inputs=fields.object("inputs"),
            depends_on=fields.texts("dependsOn"),
            steps=steps,
            success_actions=self.actions(fields, "successActions", "success"),
            failure_actions=self.actions(fields, "failureActions", "failure"),
            outputs=self.outputs(fields),
            parameters=self.parameters(fields),
            at=at,
        )

    def step(self, at: Location) -> StepObject | None:
        fields = self.fields(
            at,
            "a step",
            *("stepId", "description", "operationId", "operationPath", "channelPath", "workflowId"),
            *("parameters", "requestBody", "successCriteria", "onSuccess", "onFailure", "outputs"),
            *("timeout", "correlationId", "action", "dependsOn"),
        )
        if fields is None:
            return None
        targets = ("operationId", "operationPath", "channelPath", "workflowId")
        given = [name for name in targets if name in fields]
        if len(given) != 1:
            what = "has " + " and ".join(given) if given else "has no target"
            hint = "give exactly one of operationId, operationPath, channelPath or workflowId"
            self.report.error("step-target", f"the step {what}", at, hint)
        return StepObject(
            id=fields.text("stepId", required=True),
            description=fields.text("description"),
            operation_id=fields.text_at("operationId"),
            operation_path=fields.text_at("operationPath"),
            channel_path=fields.text_at("channelPath"),
            workflow_id=fields.text_at("workflowId"),
            parameters=self.parameters(fields),
            request_body=self.request_body(fields),
            success_criteria=self.success_criteria(fields),
            on_success=self.actions(fields, "onSuccess", "success"),
            on_failure=self.actions(fields, "onFailure", "failure"),
            outputs=self.outputs(fields),
            timeout=fields.integer("timeout", minimum=0),
            depends_on=fields.texts("dependsOn"),
            message_action=fields.choice("action", ("send", "receive")),
            at=at,
        )

    def success_criteria(self, fields: Fields) -> tuple[CriterionObject, ...]:
        """The criteria of a step; an empty list says no more than none does."""
        at = fields.at.get("successCriteria")
        if at is not None and at.value == []:
            message = "'successCriteria' is empty; it is read as if it were not there: a 2xx status succeeds"
            self.report.warning("empty-criteria", message, at, "give at least one criterion, or none")
        return self.criteria(fields, "successCriteria")

    def probe(self, at: Location, step_id: str) -> ProbeObject | None:
        names = ("operationId", "operationPath", "parameters", "happened", "not_happened", "wait", "response")
        given = at.value if isinstance(at.value, dict) else {}
        fields = self.fields(at, "a probe", *names, *given)
        if fields is None:
            return None
        for name in sorted(given.keys() - set(names)):
            # In documents unknown fields are notes; what a deployment says must all be meant.
            self.report.error(
                "unknown-field", f"a probe has no field {name!r}", at, did_you_mean(name, names)
            )
        fields.array("happened", required=True)
        if ("operationId" in fields) == ("operationPath" in fields):
            self.report.error("step-target", "a probe needs one of operationId and operationPath", at)
        wait, response = fields.number("wait"), at.value.get("response", False)
        if wait is not None and wait < 0:
            self.report.error("wrong-value", "'wait' of a probe must not be negative", at / "wait")
        if not isinstance(response, bool):
            self.report.error("wrong-type", "'response' of a probe must be true or false", at / "response")
        lookup = StepObject(
            id=step_id,
            description="",
            operation_id=fields.text_at("operationId"),
            operation_path=fields.text_at("operationPath"),
            channel_path=None,
            workflow_id=None,
            parameters=self.parameters(fields),
            request_body=None,
            success_criteria=self.criteria(fields, "happened"),
            on_success=(),
            on_failure=(),
            outputs={},
            timeout=None,
            depends_on=(),
            message_action="",
            at=at,
        )
        return ProbeObject(lookup, self.criteria(fields, "not_happened"), wait, bool(response), at)
