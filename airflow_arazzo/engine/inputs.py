"""Inputs of a run: defaults filled in, checked against the workflow's schema, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from airflow_arazzo.description.diagnostics import Diagnostic, Severity, did_you_mean
from airflow_arazzo.expression.jsonvalue import LARGEST_EXPONENT, decode_json
from airflow_arazzo.plan.model import Workflow

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class InvalidInputs(Exception):
    """Inputs that a workflow does not accept; nothing was sent. Carries a diagnostic for each finding."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(f"{d.message} [{d.code}]" for d in diagnostics))

    @property
    def reasons(self) -> str:
        """All findings for a person, with what to do about them: several are a list, one on each line."""
        if len(self.diagnostics) == 1:
            return self.line
        lines = [f"\n  {_told(diagnostic)}" for diagnostic in self.diagnostics]
        return f"{len(lines)} inputs do not fit:{''.join(lines)}"

    @property
    def line(self) -> str:
        """As :attr:`reasons`, in one line."""
        return "; ".join(_told(diagnostic) for diagnostic in self.diagnostics)


def _told(diagnostic: Diagnostic) -> str:
    return diagnostic.message + (f" ({diagnostic.hint})" if diagnostic.hint else "")


def prepare_inputs(
    workflow: Workflow, given: Mapping[str, Any], *, null_is_absent: bool = False, handed_over: bool = False
) -> dict[str, Any]:
    """The inputs that a run works with.

    :param given: values by name; floats are taken with the digits that they print with.
    :param null_is_absent: drop nulls that the schema does not allow, for callers that cannot leave out.
    :param handed_over: the values come from another workflow: extra ones and credentials are let through.
    :return: a copy with numbers as ``int`` and ``Decimal``, defaults filled in.
    :raises InvalidInputs: for missing, unknown and wrong inputs, and for credentials.
    """
    properties: Mapping[str, Any] = workflow.inputs.get("properties") or {}
    findings: list[Diagnostic] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        schema = properties.get(name)
        if value is None and null_is_absent and not allows_null(schema):
            continue
        if not handed_over and not _expected(name, workflow, findings):
            continue
        try:
            values[name] = exact(value, schema)
        except ValueError as error:
            findings.append(finding("wrong-input", f"input {name!r} {error}"))
    for name, schema in properties.items():
        if name not in values and isinstance(schema, dict) and "default" in schema:
            values[name] = exact(schema["default"], schema)
    findings += _schema_findings(workflow, values)
    if findings:
        raise InvalidInputs(findings)
    return values


def finding(code: str, message: str, hint: str = "") -> Diagnostic:
    """An error of inputs, which has no place in a file."""
    return Diagnostic(code, Severity.ERROR, message, None, hint)


def _expected(name: str, workflow: Workflow, findings: list[Diagnostic]) -> bool:
    """Whether a value of that name may be given; what may not is added to the findings."""
    properties = workflow.inputs.get("properties") or {}
    if name in workflow.credentials:
        source = workflow.credentials[name].source
        message = f"input {name!r} is a credential; it comes from the connection of source {source!r}"
        findings.append(finding("credential-input", message, "remove it from the inputs"))
        return False
    open_ended = workflow.inputs.get("additionalProperties", False) is not False
    if name not in properties and not open_ended and "patternProperties" not in workflow.inputs:
        message = f"workflow {workflow.id!r} has no input {name!r}"
        findings.append(finding("unknown-input", message, did_you_mean(name, properties)))
        return False
    return True


def allows_null(schema: Any) -> bool:
    """Whether a schema says that null is a value. A schema without a type does not say so."""
    if not isinstance(schema, dict):
        return False
    declared = schema.get("type")
    if declared == "null" or (isinstance(declared, list) and "null" in declared) or schema.get("nullable"):
        return True
    if "const" in schema and schema["const"] is None:
        return True
    if None in (schema.get("enum") or ()):
        return True
    return any(allows_null(part) for keyword in ("anyOf", "oneOf") for part in schema.get(keyword) or ())


def exact(value: Any, schema: Any = None) -> Any:
    """A value with numbers as ``int`` and ``Decimal``; an integral number for ``integer`` has no fraction.

    :raises ValueError: for NaN and infinity, and for values that JSON does not know.
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        parts = schema.get("properties", {}) if isinstance(schema, dict) else {}
        return {str(name): exact(member, parts.get(name)) for name, member in value.items()}
    if isinstance(value, list | tuple):
        items = schema.get("items") if isinstance(schema, dict) else None
        return [exact(item, items) for item in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, Decimal):
        raise ValueError(f"is {type(value).__name__}, which JSON does not know")
    if not value.is_finite():
        raise ValueError(f"is {value}, which is not a number that JSON knows")
    if value.adjusted() > LARGEST_EXPONENT:
        raise ValueError(f"is {value}, which has too many digits")
    integral = "integer" in _kinds(schema) and value == value.to_integral_value()
    return int(value) if integral else value


def cast_text(text: str, schema: Any) -> Any:
    """The value that a rendered text stands for, as the type of its schema says.

    A text for ``string`` stays as it is; an empty text for any other type is None. Numbers are written as
    in JSON, also with a plus sign or without digits before or behind the point: ``1_000`` is none.

    :raises ValueError: when the text is no such value.
    """
    kinds = _kinds(schema)
    if not kinds or "string" in kinds:
        return text
    stripped = text.strip()
    if stripped in ("", "None", "null"):
        return None
    if "boolean" in kinds and stripped.casefold() in ("true", "false"):
        return stripped.casefold() == "true"
    if ("integer" in kinds or "number" in kinds) and _NUMBER.fullmatch(stripped):
        return int(stripped) if stripped.lstrip("+-").isdigit() else exact(Decimal(stripped), schema)
    if {"array", "object"} & set(kinds):
        try:
            return decode_json(stripped)
        except ValueError:
            raise ValueError(f"is {text!r}, expected {' or '.join(kinds)} as JSON") from None
    raise ValueError(f"is {text!r}, expected {' or '.join(kinds)}")


def _kinds(schema: Any) -> tuple[str, ...]:
    """Names of the types that a schema allows, as far as it says, alternatives included."""
    if not isinstance(schema, dict):
        return ()
    declared = schema.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared or ())
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(keyword) or ():
            kinds += _kinds(part)
    return tuple(dict.fromkeys(kinds))


def _schema_findings(workflow: Workflow, values: dict[str, Any]) -> list[Diagnostic]:
    if not workflow.inputs or _is_plainly_valid(workflow.inputs, values):
        return []
    # The validator takes longer to load than most workflows take to run.
    from airflow_arazzo.engine.input_schema import schema_findings

    return schema_findings(workflow, values)


_ANNOTATIONS = frozenset(
    {
        "$comment",
        "default",
        "deprecated",
        "description",
        "example",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    }
)
"""Keywords of JSON Schema that no value is measured against."""

_OF_OBJECT = _ANNOTATIONS | {"type", "properties", "required", "additionalProperties"}
_OF_VALUE = _ANNOTATIONS | {"type"}
_CLASSES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
    "boolean": (bool,),
}


def _is_plainly_valid(schema: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether values certainly fit, seen at a glance: texts, numbers and booleans in an object of them.

    False says nothing: then the validator is asked.
    """
    if not _OF_OBJECT.issuperset(schema) or schema.get("type", "object") != "object":
        return False
    required, properties = schema.get("required") or (), schema.get("properties") or {}
    if not all(name in values for name in required) or not isinstance(properties, dict):
        return False
    return all(_fits_plainly(properties.get(name), value) for name, value in values.items())


def _fits_plainly(schema: Any, value: Any) -> bool:
    if not isinstance(schema, dict) or not _OF_VALUE.issuperset(schema):
        return False
    kind = schema.get("type")
    # By the very class, since a boolean is an integer to Python.
    return isinstance(kind, str) and type(value) in _CLASSES.get(kind, ())
