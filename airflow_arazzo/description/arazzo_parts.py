"""Reading the parts of which workflows and steps consist: parameters, bodies, criteria, actions, outputs.

Some of them can stand among the components of a document instead, and be referred to.
"""

from __future__ import annotations

import re
from typing import Literal

from airflow_arazzo.description.arazzo import (
    ActionObject,
    CriterionObject,
    ParameterObject,
    ReplacementObject,
    RequestBodyObject,
)
from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.description.documents import Document, Location, Report
from airflow_arazzo.description.fields import Fields
from airflow_arazzo.description.versions import warn_of_newer, warn_of_newer_fields

_KEY = re.compile(r"[A-Za-z0-9._-]+\Z")


def _is_pair(value: object) -> bool:
    """Whether a value is an object of nothing but a name and a value."""
    return isinstance(value, dict) and value.keys() == {"name", "value"} and isinstance(value["name"], str)


class PartReader:
    """Reads parts of one document; holds its report and its components."""

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

    def check_name(self, name: str, what: str, at: Location) -> None:
        """Warn of a key that has other characters than the specification wants."""
        if not _KEY.match(name):
            message = f"the name {name!r} of {what} should be of letters, digits, '.', '-' and '_'"
            self.report.warning("odd-name", message, at, key=True)

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
        """Outputs by name, whatever form they were written in."""
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
        """All parameters of a step or workflow (Arazzo, "Parameter Object"); none may come twice."""
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
        """A parameter, or the component that stands for it."""
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
        """The body of a step's request (Arazzo, "Request Body Object")."""
        at = fields.object("requestBody")
        body = at and self.fields(at, "a request body", "contentType", "payload", "replacements")
        if not at or not body:
            return None
        replacements = tuple(r for item in body.array("replacements") if (r := self.replacement(item)))
        return RequestBodyObject(body.text_at("contentType"), at.get("payload"), replacements, at)

    def replacement(self, at: Location) -> ReplacementObject | None:
        """A place in a body and its value (Arazzo, "Payload Replacement Object")."""
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
        """All criteria of a member."""
        return tuple(c for at in fields.array(member) if (c := self.criterion(at)))

    def criterion(self, at: Location) -> CriterionObject | None:
        """A criterion (Arazzo, "Criterion Object"); a text is taken for its condition."""
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
        """All actions of a member; no two have the same name."""
        read = [a for at in fields.array(member) if (a := self.action(at, kind))]
        self.unique([(a.name, a.at, "name") for a in read], "duplicate-action", "action")
        return tuple(read)

    def action(self, at: Location, kind: Literal["success", "failure"]) -> ActionObject | None:
        """An action (Arazzo, "Success Action Object", "Failure Action Object"), or the component for it."""
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
