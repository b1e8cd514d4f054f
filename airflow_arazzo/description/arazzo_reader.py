"""Reading Arazzo documents: checks of their shape, and references to components.

Fields, types, required members and reusable objects are this module's subject. What names mean, and
whether they exist, is the compiler's.
"""

from __future__ import annotations

import re
from typing import Literal

from airflow_arazzo.description.arazzo import (
    ActionObject,
    ArazzoDocument,
    CriterionObject,
    ParameterObject,
    ProbeObject,
    ReplacementObject,
    RequestBodyObject,
    SourceDescription,
    StepObject,
    WorkflowObject,
    is_arazzo,
)
from airflow_arazzo.description.diagnostics import Diagnostic, Severity, did_you_mean
from airflow_arazzo.description.documents import Document, Location, Report
from airflow_arazzo.description.fields import Fields, type_name
from airflow_arazzo.description.versions import warn_of_newer, warn_of_newer_fields

VERSION = re.compile(r"1\.[01]\.\d+(-.+)?\Z")
COMPONENTS = ("inputs", "parameters", "successActions", "failureActions")
"""Kinds of components."""

_KEY = re.compile(r"[A-Za-z0-9._-]+\Z")


def read_arazzo(document: Document, report: Report) -> ArazzoDocument | None:
    """Read an Arazzo Specification Object; findings go into ``report``.

    :return: None when nothing can be made of the document. Parts that are wrong are left out, so look at
        ``report.failed`` too.
    """
    if not is_arazzo(document):
        report.error("not-arazzo", "not an Arazzo document: it has no 'arazzo' field", document.root)
        return None
    return _Reader(document, report).read()


def _is_pair(value: object) -> bool:
    """Whether a value is an object of nothing but a name and a value."""
    return isinstance(value, dict) and value.keys() == {"name", "value"} and isinstance(value["name"], str)


def read_probe(at: Location, step_id: str, report: Report) -> ProbeObject | None:
    """Read a probe; findings go into ``report``.

    :param step_id: of the step whose effect it looks for.
    :return: None when nothing can be made of it.
    """
    return _Reader(at.document, report).probe(at, step_id)


class _Reader:
    """Reads one document; holds its report and its components."""

    def __init__(self, document: Document, report: Report) -> None:
        self.report = report
        self.document = document
        self.components = document.root.get("components")
        self.version = str(document.value.get("arazzo"))

    def fields(self, at: Location, kind: str, *names: str) -> Fields | None:
        """Access to an object's fields with checks; None (reported) where there is no object."""
        fields = Fields.of(at, kind, names, self.report)
        if fields:
            warn_of_newer_fields(fields, self.version)
        return fields

    def newer(self, what: str, at: Location) -> None:
        """Warn of what came with Arazzo 1.1 in a document that says 1.0."""
        warn_of_newer(what, at, self.version, self.report)

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

    def check_name(self, name: str, what: str, at: Location) -> None:
        """Warn of a key that has other characters than the specification wants."""
        if not _KEY.match(name):
            message = f"the name {name!r} of {what} should be of letters, digits, '.', '-' and '_'"
            self.report.warning("odd-name", message, at, key=True)

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

    def unique(self, named: list[tuple[str, Location, str]], code: str, what: str) -> None:
        """Report every name that was used before."""
        seen: dict[str, Location] = {}
        for name, at, member in named:
            if not name:
                continue
            place = at.get(member) or at
            if name in seen:
                first = seen[name].document.position(seen[name].pointer)
                here = place.document.position(place.pointer)
                where = f"line {first.line}" if first.file == here.file else str(first)
                self.report.error(code, f"the {what} {name!r} exists already, at {where}", place)
            else:
                seen[name] = place

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

    def outputs(self, fields: Fields) -> dict[str, Location]:
        """Outputs by name. A list of objects is read as one object, where no name comes twice."""
        at = fields.at.get("outputs")
        if at is not None and isinstance(at.value, list):
            pairs = all(_is_pair(item.value) for item in at.items())
            members = [
                member
                for item in at.items()
                for member in ([(item.value["name"], item / "value")] if pairs else item.members())
            ]
            objects = all(isinstance(item.value, dict) for item in at.items())
            if objects and len(members) == len({name for name, _ in members}):
                message = f"'outputs' of {fields.kind} is a list; its items are read as one object"
                self.report.warning("outputs-list", message, at, "write the outputs as one object")
                return self.named_outputs(members, fields)
        at = fields.object("outputs")
        return self.named_outputs(list(at.members()) if at else [], fields)

    def named_outputs(self, written: list[tuple[str, Location]], fields: Fields) -> dict[str, Location]:
        for name, at in written:
            self.check_name(name, "an output", at)
            if isinstance(at.value, dict) and "context" in at.value and "selector" in at.value:
                self.newer(f"a Selector Object as an output of {fields.kind}", at)
        return dict(written)

    def reusable(self, at: Location, kind: str) -> tuple[Location, Location | None] | None:
        """The object itself, or the component that a Reusable Object names with its ``value`` override."""
        reference = at.get("reference")
        if reference is None:
            return at, None
        text = reference.value
        prefix = f"$components.{kind}."
        if not isinstance(text, str) or not text.strip("{}").startswith(prefix):
            self.report.error("component-reference", f"expected a reference to {prefix}NAME", reference)
            return None
        name = text.strip("{}").removeprefix(prefix)
        group = self.components.get(kind) if self.components else None
        found = group.get(name) if group else None
        if found is None:
            known = list(group.value) if group and isinstance(group.value, dict) else []
            hint = did_you_mean(name, known)
            self.report.error("unknown-component", f"there is no component {kind}.{name}", reference, hint)
            return None
        return found, at.get("value")

    def parameters(self, fields: Fields) -> tuple[ParameterObject, ...]:
        read = [p for at in fields.array("parameters") if (p := self.parameter(at))]
        seen: set[tuple[str, str]] = set()
        for parameter in read:
            if (parameter.name, parameter.place) in seen:
                where = f" in {parameter.place}" if parameter.place else ""
                message = f"the parameter {parameter.name!r}{where} is given twice"
                self.report.error("duplicate-parameter", message, parameter.at)
            seen.add((parameter.name, parameter.place))
        return tuple(read)

    def parameter(self, at: Location) -> ParameterObject | None:
        resolved = self.reusable(at, "parameters")
        if resolved is None:
            return None
        target, value = resolved
        fields = self.fields(target, "a parameter", "name", "in", "value")
        if fields is None:
            return None
        name = fields.text("name", required=True)
        place = fields.choice("in", ("path", "query", "querystring", "header", "cookie"))
        if place == "querystring":
            self.newer("'in: querystring'", target / "in")
        value = value or target.get("value")
        if value is None:
            self.report.error("missing-field", "a parameter needs 'value'", at)
            return None
        return ParameterObject(name, place, value, at) if name else None

    def request_body(self, fields: Fields) -> RequestBodyObject | None:
        at = fields.object("requestBody")
        body = at and self.fields(at, "a request body", "contentType", "payload", "replacements")
        if not at or not body:
            return None
        replacements = tuple(r for item in body.array("replacements") if (r := self.replacement(item)))
        return RequestBodyObject(body.text_at("contentType"), at.get("payload"), replacements, at)

    def replacement(self, at: Location) -> ReplacementObject | None:
        fields = self.fields(at, "a replacement", "target", "targetSelectorType", "value")
        if fields is None:
            return None
        target, value = fields.text_at("target", required=True), at.get("value")
        if value is None:
            self.report.error("missing-field", "a replacement needs 'value'", at)
        if target is None or value is None:
            return None
        kind, version = self.expression_type(
            fields, "targetSelectorType", ("jsonpointer", "jsonpath", "xpath")
        )
        if "targetSelectorType" in fields and not kind:
            return None
        return ReplacementObject(target, kind, version, value, at)

    def expression_type(self, fields: Fields, member: str, kinds: tuple[str, ...]) -> tuple[str, str]:
        """A type given as text or as an Expression Type Object: its name and version, each may be empty."""
        at = fields.at.get(member)
        if at is not None and isinstance(at.value, dict):
            nested = self.fields(at, "an expression type", "type", "version")
            if nested is None:
                return "", ""
            return nested.choice("type", kinds, required=True), nested.text("version", required=True)
        return fields.choice(member, kinds), ""

    def criteria(self, fields: Fields, member: str) -> tuple[CriterionObject, ...]:
        return tuple(c for at in fields.array(member) if (c := self.criterion(at)))

    def criterion(self, at: Location) -> CriterionObject | None:
        if isinstance(at.value, str):
            message = "a criterion given as a text is read as its condition"
            self.report.warning("criterion-text", message, at, f"write 'condition: {at.value}'")
            return CriterionObject(at, "", "", None, at)
        fields = self.fields(at, "a criterion", "context", "condition", "type", "version")
        condition = fields.text_at("condition", required=True) if fields else None
        if fields is None or condition is None:
            return None
        kind, version = self.expression_type(fields, "type", ("simple", "regex", "jsonpath", "xpath"))
        if "type" in fields and not kind:
            return None
        return CriterionObject(
            condition, kind, version or fields.text("version"), fields.text_at("context"), at
        )

    def actions(
        self, fields: Fields, member: str, kind: Literal["success", "failure"]
    ) -> tuple[ActionObject, ...]:
        read = [a for at in fields.array(member) if (a := self.action(at, kind))]
        self.unique([(a.name, a.at, "name") for a in read], "duplicate-action", "action")
        return tuple(read)

    def action(self, at: Location, kind: Literal["success", "failure"]) -> ActionObject | None:
        resolved = self.reusable(at, f"{kind}Actions")
        fields = resolved and self.fields(
            resolved[0],
            f"a {kind} action",
            *("name", "type", "workflowId", "stepId", "parameters", "retryAfter", "retryLimit", "criteria"),
        )
        if not resolved or not fields:
            return None
        name = fields.text("name")
        if not name:
            self.report.warning("action-name", "an action without a name", at, "give it a 'name'")
        types = ("end", "goto") if kind == "success" else ("end", "goto", "retry")
        if kind == "success" and fields.at.value.get("type") == "retry":
            message = "'type' of a success action is 'retry', expected one of end, goto"
            hint = "to repeat a step that succeeded, write type: goto with its own stepId"
            self.report.error("wrong-value", message, fields.at / "type", hint)
            return None
        action_type = fields.choice("type", types, required=True)
        if not action_type:
            return None
        step, workflow = fields.text_at("stepId"), fields.text_at("workflowId")
        if (step and workflow) or (action_type == "goto" and not step and not workflow):
            hint = "give exactly one of stepId and workflowId"
            self.report.error(
                "action-target", f"the {action_type} has {'two targets' if step else 'no target'}", at, hint
            )
        return ActionObject(
            name=name,
            type=action_type,
            kind=kind,
            step_id=step,
            workflow_id=workflow,
            parameters=self.action_parameters(fields),
            retry_after=fields.number("retryAfter"),
            retry_limit=fields.integer("retryLimit"),
            criteria=self.criteria(fields, "criteria"),
            at=at,
        )

    def action_parameters(self, fields: Fields) -> tuple[ParameterObject, ...]:
        """Inputs for the workflow that an action jumps to; they have no place."""
        read = self.parameters(fields)
        for parameter in read:
            if parameter.place:
                message = f"'in' of {parameter.name!r} says nothing here: it is an input of the workflow"
                self.report.warning("input-place", message, parameter.at, "leave out 'in'")
        return read
