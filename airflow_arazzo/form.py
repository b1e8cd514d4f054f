"""JSON Schemas as Airflow's trigger form understands them.

The form of Airflow 3.3 chooses a field by ``type``, ``enum``, ``format``, ``items.type`` and ``examples`` of
the schema itself. It looks into no ``anyOf``, hides what has a ``const``, and takes ``examples`` of an array
for its choices. Nothing here changes which values a schema accepts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ALL_TYPES = ["object", "array", "string", "number", "boolean", "null"]
"""Every JSON Schema type; as the type of something it says nothing."""

_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


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
