"""JSON Schemas as Airflow's trigger form understands them.

The form of Airflow 3.3 chooses a field by ``type``, ``enum``, ``format``, ``items.type`` and ``examples`` of
the schema itself. It looks into no ``anyOf``, hides what has a ``const``, and takes ``examples`` of an array
for its choices. Nothing here changes which values a schema accepts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET

from airflow_arazzo.plan.model import Workflow

ALL_TYPES = ["object", "array", "string", "number", "boolean", "null"]
"""Every JSON Schema type; as the type of something it says nothing."""

_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class FormInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input as the form asks for it.

    :param schema: plain JSON, with the title; null is allowed where the input may be left empty.
    :param required: whether the workflow requires the input.
    :param default: what is there at first, null where the input may be left empty; not set where somebody
        has to give a value.
    :param description: what is shown as it is. Markdown is in the schema.
    """

    name: str
    schema: dict[str, Any]
    required: bool = False
    default: Any = UNSET
    description: str | None = None


def form_inputs(workflow: Workflow) -> tuple[FormInput, ...]:
    """The inputs of a workflow, in the order of its schema."""
    properties: Mapping[str, Any] = workflow.inputs.get("properties") or {}
    required = frozenset(workflow.inputs.get("required") or ())
    return tuple(
        form_input(name, schema if isinstance(schema, dict) else {}, required=name in required)
        for name, schema in properties.items()
    )


def form_input(name: str, schema: Mapping[str, Any], *, required: bool) -> FormInput:
    """One input.

    :param schema: as the document has it.
    """
    form = plain_json({key: value for key, value in _without_fractions(schema).items() if key not in _TAKEN})
    for_the_form(form, schema.get("default"))
    form.setdefault("title", name)
    description = str(schema.get("description", "")).strip() or None
    if description and "<" not in description:
        # The form shows Markdown, which is what descriptions are, only where there is no other description.
        # It leaves out HTML: a text with something like <id> in it stays as it is.
        form["description_md"], description = description, None
    if "default" in schema:
        return FormInput(name, form, required, plain_json(schema["default"]), description)
    if required:
        return FormInput(name, form, required, description=description)
    return FormInput(name, _with_null(form), required, None, description)


def for_the_form(form: dict[str, Any], default: Any = None) -> None:
    """Say in a schema what the form needs to know; changed in place.

    :param form: plain JSON.
    :param default: of the input.
    """
    _choices(form)
    if "type" not in form and (types := _types(form)):
        form["type"] = types[0] if len(types) == 1 else types
    declared = form.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared or ())
    kinds = [kind for kind in kinds if kind != "null"]
    _examples(form, kinds)
    if kinds == ["array"]:
        _items(form)
    if kinds == ["string"] and "format" not in form and _has_lines(form, default):
        form["format"] = "multiline"


def _choices(form: dict[str, Any]) -> None:
    """``const``, and ``oneOf`` of constants with titles, as ``enum``: that is a drop-down."""
    if "enum" in form:
        return
    if "const" in form:
        form["enum"] = [form.pop("const")]
        return
    name = next((each for each in ("oneOf", "anyOf") if _is_choice(form.get(each))), "")
    if name:
        branches = form.pop(name)
        form["enum"] = [branch["const"] for branch in branches]
        titles = {
            str(branch["const"]): str(branch.get("title") or branch["description"])
            for branch in branches
            if branch.get("title") or branch.get("description")
        }
        if titles:
            form.setdefault("values_display", titles)


def _is_choice(branches: Any) -> bool:
    """Whether branches are texts to choose from, and nothing else."""
    return (
        isinstance(branches, list)
        and bool(branches)
        and all(
            isinstance(branch, dict)
            and isinstance(branch.get("const"), str)
            and branch.keys() <= {"const", "title", "description"}
            for branch in branches
        )
        and len({branch["const"] for branch in branches}) == len(branches)
    )


def _types(schema: Any) -> list[str]:
    """The types that a schema allows, as far as it says so; none when it does not."""
    if not isinstance(schema, dict):
        return []
    declared = schema.get("type")
    if declared is not None:
        return [declared] if isinstance(declared, str) else list(declared)
    if isinstance(schema.get("enum"), list):
        return _distinct("null" if each is None else _KINDS[type(each)] for each in schema["enum"])
    if "const" in schema:
        return _types({"enum": [schema["const"]]})
    for name in ("anyOf", "oneOf"):
        branches = [_types(branch) for branch in schema.get(name) or ()]
        if branches and all(branches):
            return _distinct(kind for branch in branches for kind in branch)
    return next((found for branch in schema.get("allOf") or () if (found := _types(branch))), [])


def _distinct(kinds: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(kinds))


def _examples(form: dict[str, Any], kinds: list[str]) -> None:
    """Examples of a text are suggestions; others would confuse the form."""
    examples = form.pop("examples", None)
    if kinds != ["string"]:
        return
    found = examples if isinstance(examples, list) else [form[name] for name in ("example",) if name in form]
    texts = _distinct(each for each in found if isinstance(each, str))
    if texts:
        form["examples"] = texts


def _items(form: dict[str, Any]) -> None:
    """Lists of given texts are ticked; those of anything but plain texts are JSON, and not a line each."""
    items = form.get("items")
    if not isinstance(items, dict):
        return
    choices = items.get("enum")
    if isinstance(choices, list) and choices and all(isinstance(each, str) for each in choices):
        form["examples"] = choices
    elif "type" not in items and items.keys() & _STRUCTURE:
        form["items"] = {**items, "type": _types(items) or ALL_TYPES}


_STRUCTURE = frozenset(
    {"properties", "required", "items", "anyOf", "oneOf", "allOf", "enum", "const", "$ref"}
)


def _has_lines(form: Mapping[str, Any], default: Any) -> bool:
    """Whether a text may have several lines, which a field of one line would lose."""
    media_type = str(form.get("contentMediaType", ""))
    return media_type.startswith(("text/", "application/")) or (isinstance(default, str) and "\n" in default)


def _with_null(form: dict[str, Any]) -> dict[str, Any]:
    """The schema, null allowed. The trigger form goes by the outermost type and enum, so those stay."""
    if not (_DECIDING | {"type", "enum"}) & form.keys():
        return form
    widened = dict(form)
    declared = form.get("type")
    kinds = [declared] if isinstance(declared, str) else list(declared or ())
    if kinds:
        widened["type"] = [*kinds, *(["null"] if "null" not in kinds else [])]
    if "enum" in form:
        widened["enum"] = [*form["enum"], *([None] if None not in form["enum"] else [])]
    deciding = {name: widened.pop(name) for name in _DECIDING & form.keys()}
    if deciding:
        widened["anyOf"] = [deciding, {"type": "null"}]
    return widened


_TAKEN = frozenset({"default", "description", "source", "schema"})
"""Names that say something about a param, and nothing about its values."""

_DECIDING = frozenset({"const", "anyOf", "oneOf", "allOf", "not", "if", "then", "else"})
"""Keywords that can refuse null whatever the type says."""


def _without_fractions(schema: Any) -> Any:
    """The schema without ``multipleOf`` 0.01 and its kin: with floats, 10.10 is no multiple of that.

    The engine checks it before anything is sent, with decimals.
    """
    if isinstance(schema, dict):
        return {
            key: _without_fractions(member)
            for key, member in schema.items()
            if not (key == "multipleOf" and isinstance(member, Decimal | float) and member % 1)
        }
    if isinstance(schema, list | tuple):
        return [_without_fractions(item) for item in schema]
    return schema


def plain_json(value: Any) -> Any:
    """A value with floats in place of decimals: Airflow stores params as ordinary JSON."""
    if isinstance(value, Decimal):
        return (
            int(value)
            if value == value.to_integral_value() and value.as_tuple().exponent == 0
            else float(value)
        )
    if isinstance(value, dict):
        return {key: plain_json(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    return value
