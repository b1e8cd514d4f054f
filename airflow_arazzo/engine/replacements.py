"""Payload Replacement Objects (Arazzo 1.1): setting values at places inside a payload.

A JSON Pointer replaces what it names, adds a member to an object, and appends to an array with ``-`` or
the index after the last; what stands above must exist. A JSONPath replaces every node that it finds, an
XPath the content of every element and the value of every attribute or text; finding none is an error. A
replacement whose value is absent changes nothing: what the payload says there stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.dom import minidom
from xml.etree import ElementTree

from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.engine.serialize import scalar_text
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.expression.pointer import array_index, parse_pointer
from airflow_arazzo.plan.model import Replacement


def apply_replacements(value: Any, replacements: Sequence[tuple[Replacement, Any]]) -> Any:
    """Set values inside a payload, one after another in their order.

    :param value: the evaluated payload; it is not changed.
    :param replacements: each with its evaluated value.
    :return: the new payload; XML text stays text.
    :raises RequestError: when a target is malformed or leads nowhere, or does not fit the payload.
    """
    result = value
    for replacement, new in replacements:
        if new is ABSENT:
            continue
        if replacement.type == "jsonpointer":
            result = _at_pointer(result, replacement, _tokens(replacement), new)
        elif replacement.type == "jsonpath":
            for location in _found(result, replacement):
                result = _at_pointer(result, replacement, location, new)
        else:
            result = _in_xml(result, replacement, new)
    return result


def _at_pointer(value: Any, replacement: Replacement, tokens: Sequence[str], new: Any) -> Any:
    """The value with one place changed; objects and arrays on the way there are copied."""
    if not tokens:
        return new
    name, *rest = tokens
    if isinstance(value, dict):
        if rest and name not in value:
            raise _nowhere(replacement, f"there is no '{name}'")
        return {**value, name: _at_pointer(value.get(name), replacement, rest, new)}
    if isinstance(value, list):
        index = len(value) if name == "-" and not rest else array_index(name)
        if index is None or index > len(value) or (rest and index == len(value)):
            raise _nowhere(replacement, f"'{name}' is no item of an array of {len(value)}")
        inner = value[index] if index < len(value) else None
        return [*value[:index], _at_pointer(inner, replacement, rest, new), *value[index + 1 :]]
    raise _nowhere(replacement, f"'{name}' leads into a plain value")


def _tokens(replacement: Replacement) -> tuple[str, ...]:
    try:
        return parse_pointer(replacement.target.removeprefix("#"))
    except ValueError as error:
        raise RequestError("bad-replacement", f"replacement target '{replacement.target}': {error}") from None


def _nowhere(replacement: Replacement, why: str) -> RequestError:
    return RequestError(
        "bad-replacement", f"replacement target '{replacement.target}' leads nowhere in the payload: {why}"
    )


def _found(value: Any, replacement: Replacement) -> list[tuple[str, ...]]:
    """Locations of the nodes that a JSONPath finds, the deepest first so that none is lost on the way."""
    from airflow_arazzo.expression.jsonpath import locate

    try:
        locations = locate(value, replacement.target, replacement.version)
    except ValueError as error:
        raise RequestError("bad-replacement", f"replacement target '{replacement.target}': {error}") from None
    if not locations:
        raise _nowhere(replacement, "the JSONPath finds nothing")
    return sorted((tuple(str(part) for part in location) for location in locations), key=len, reverse=True)


def _in_xml(text: Any, replacement: Replacement, new: Any) -> str:
    """XML text with the content of what an XPath finds replaced; prefixes and declaration are kept.

    The XPath is answered on a tree without prefixes, and the same node then changed in one with them: both
    count their elements in document order.
    """
    from airflow_arazzo.expression.xpath import parse_xml

    if not isinstance(text, str):
        raise RequestError("bad-replacement", f"XPath target '{replacement.target}' needs XML text")
    content = scalar_text(f"replacement of '{replacement.target}'", new)
    declaration, text = _split_declaration(text)
    try:
        tree, namespaces = parse_xml(text)
    except ValueError as error:
        raise RequestError("bad-replacement", f"the payload of an XPath target: {error}") from None
    document = minidom.parseString(text.encode())  # noqa: S318 - it has no document type, says parse_xml
    elements = dict(zip(tree.iter(), document.getElementsByTagName("*"), strict=True))
    for kind, element, name in _nodes(tree, namespaces, replacement):
        _change(elements[element], kind, name, content)
    return declaration + "".join(node.toxml() for node in document.childNodes)


def _nodes(
    tree: ElementTree.ElementTree[ElementTree.Element], namespaces: dict[str, str], replacement: Replacement
) -> list[tuple[str, ElementTree.Element, str]]:
    """What an XPath finds: kind of node, the element that it is or belongs to, name of an attribute."""
    from airflow_arazzo.expression.xpath import check_query, find_nodes

    try:
        check_query(replacement.target, replacement.version)
        found = find_nodes(tree, namespaces, replacement.target, replacement.version)
    except ValueError as error:
        raise RequestError("bad-replacement", f"replacement target '{replacement.target}': {error}") from None
    if not found:
        raise _nowhere(replacement, "the XPath finds nothing")
    nodes = []
    for node in found:
        kind = getattr(node, "node_kind", "value")
        if kind not in ("element", "attribute", "text"):
            raise _nowhere(replacement, "the XPath finds something else than an element, attribute or text")
        owner = node if kind == "element" else node.parent
        nodes.append((kind, owner.elem, node.name if kind == "attribute" else ""))
    return nodes


def _split_declaration(text: str) -> tuple[str, str]:
    """The XML declaration, whose encoding is that of the bytes and not of this text, and the rest."""
    if not text.lstrip().startswith("<?xml"):
        return "", text
    declaration, end, rest = text.partition("?>")
    return declaration + end, rest


def _change(element: minidom.Element, kind: str, name: str, content: str) -> None:
    """Set the content of an element, or one of its attributes (``{namespace}name``)."""
    if kind == "attribute":
        namespace, _, local = name.lstrip("{").rpartition("}")
        for attribute in element.attributes.values():
            if attribute.localName == local and (attribute.namespaceURI or "") == namespace:
                attribute.value = content
        return
    if kind == "text" and any(child.nodeType == child.ELEMENT_NODE for child in element.childNodes):
        raise RequestError("bad-replacement", "an XPath target is text between elements")
    del element.childNodes[:]
    text = minidom.Text()
    text.data = content
    text.ownerDocument = element.ownerDocument
    element.appendChild(text)
