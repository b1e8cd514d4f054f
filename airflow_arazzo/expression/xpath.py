"""XPath 1.0 to 3.1 on XML text, without reach to files or the network."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from xml.parsers import expat

import elementpath
from elementpath import ElementPathError, XPath1Parser, XPath2Parser, XPathContext
from elementpath.xpath30 import XPath30Parser
from elementpath.xpath31 import XPath31Parser

from airflow_arazzo.expression.languages import VERSIONS, QueryError
from airflow_arazzo.expression.model import ABSENT

_PARSERS: Final[dict[str, Any]] = {
    "xpath-31": XPath31Parser,
    "xpath-30": XPath30Parser,
    "xpath-20": XPath2Parser,
    "xpath-10": XPath1Parser,
}
_FORBIDDEN: Final = frozenset(
    {
        "doc",
        "doc-available",
        "collection",
        "uri-collection",
        "unparsed-text",
        "unparsed-text-lines",
        "unparsed-text-available",
        "json-doc",
        "environment-variable",
        "available-environment-variables",
        "load-xquery-module",
        "transform",
        "function-lookup",
    }
)
"""Functions that reach for files, addresses or the environment, or find such functions."""

_DEFAULT: Final = VERSIONS["xpath"][0]
_PREFIX = re.compile(r"(?<![\w:.-])([A-Za-z_][\w.-]*):(?=[A-Za-z_*])")
_STANDARD_PREFIXES: Final = frozenset({"fn", "xs", "xml", "math", "map", "array", "err"})
_PLACE = re.compile(r"line 1, column (\d+)")


def check_query(query: str, version: str) -> None:
    """Check the syntax of a query. Prefixes are accepted whatever they are: documents declare them.

    :param version: as in :mod:`~airflow_arazzo.expression.languages`; empty means XPath 3.1.
    :raises QueryError: when it is malformed or uses a function that reaches outside.
    """
    written = set(_PREFIX.findall(query)) - _STANDARD_PREFIXES
    prefixes = tuple((prefix, f"urn:{prefix}") for prefix in sorted(written))
    _parsed(query, version or _DEFAULT, prefixes, strict=True)


def select(text: str, query: str, version: str = "", variables: Mapping[str, Any] | None = None) -> list[Any]:
    """What a query finds in an XML text.

    An element without child elements is its text, one with children its XML; attributes and text nodes are
    text; numbers and booleans keep their type.

    :raises ValueError: when the text is not XML, has a document type, or the query cannot be applied.
    """
    found, _ = _applied(text, query, version, variables or {})
    results = found if isinstance(found, list) else [found]
    return [value for value in map(_value, results) if value is not ABSENT]


def holds(text: str, query: str, version: str = "", variables: Mapping[str, Any] | None = None) -> bool:
    """The effective boolean value of a query on an XML text.

    :raises ValueError: as :func:`select`, and when the result has no such value.
    """
    return _applied(text, query, version, variables or {}, truth=True)[1]


def find_nodes(
    tree: ET.ElementTree[ET.Element], namespaces: Mapping[str, str], query: str, version: str = ""
) -> list[Any]:
    """The nodes and atomic values that a query finds in a tree from :func:`parse_xml`.

    :return: ``elementpath`` nodes, which know their kind, parent and element; and plain values.
    :raises ValueError: when the query is malformed or cannot be applied.
    """
    with _explained():
        token = _parsed(query, version or _DEFAULT, tuple(namespaces.items()))
        return list(token.select(XPathContext(tree)))


def parse_xml(text: str) -> tuple[ET.ElementTree[ET.Element], dict[str, str]]:
    """Parse an XML text that has no document type, so no entities of its own.

    :return: the tree, and the namespaces by prefix as the text declares them, the outermost first.
    :raises ValueError: when it is not XML or has a document type.
    """
    _refuse_document_type(text)
    namespaces: dict[str, str] = {}
    events = ET.iterparse(io.StringIO(text), events=("start-ns", "start"))  # noqa: S314 - see above
    root: ET.Element | None = None
    try:
        for event, item in events:
            if event == "start":
                root = item if root is None else root
            elif item[0] or root is None:
                namespaces.setdefault(*item)
    except ET.ParseError as problem:
        raise ValueError(f"the text is not XML: {problem}") from None
    if root is None:
        raise ValueError("the text is not XML: it is empty")
    return ET.ElementTree(root), namespaces


def _applied(
    text: str, query: str, version: str, variables: Mapping[str, Any], *, truth: bool = False
) -> tuple[Any, bool]:
    tree, namespaces = parse_xml(text)
    with _explained():
        token = _parsed(query, version or _DEFAULT, tuple(namespaces.items()))
        context = XPathContext(tree, variables=dict(variables))
        if truth:
            return None, bool(token.boolean_value(token.evaluate(context)))
        return token.get_results(context), False


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the engine raises while it evaluates into a ``ValueError``."""
    try:
        yield
    except QueryError:
        raise
    except (ElementPathError, ArithmeticError, TypeError, LookupError, RecursionError, re.error) as problem:
        raise ValueError(f"the XPath cannot be applied: {problem}") from None


@lru_cache(maxsize=256)
def _parsed(
    query: str, version: str, namespaces: tuple[tuple[str, str], ...], *, strict: bool = False
) -> Any:
    """The parsed query.

    XPath 1.0 is evaluated by XPath 2.0 in its compatibility mode, which compares node sets with numbers
    as 1.0 has it; the syntax is checked as 1.0 when ``strict``.
    """
    known = dict(namespaces)
    default = known.pop("", "")
    parser: Any
    if version == "xpath-10" and not strict:
        parser = XPath2Parser(namespaces=known, compatibility_mode=True)
    elif version == "xpath-10":
        parser = XPath1Parser(namespaces=known)
    else:
        parser = _PARSERS[version](namespaces=known, default_namespace=default or None)
    parser.symbol_table = {
        symbol: token
        for symbol, token in parser.symbol_table.items()
        if symbol.rpartition("}")[2] not in _FORBIDDEN
    }
    try:
        return parser.parse(query)
    except (ElementPathError, RecursionError) as problem:
        place = _PLACE.search(str(problem))
        raise QueryError(str(problem), int(place.group(1)) - 1 if place else 0) from None


def _value(found: Any) -> Any:
    if isinstance(found, ET.ElementTree):
        found = found.getroot()
    if isinstance(found, ET.Element):
        return _serialised(found) if len(found) else found.text or ""
    if isinstance(found, bool | str):
        return found
    if isinstance(found, int):
        return int(found)
    if isinstance(found, float | Decimal):
        return _number(Decimal(repr(float(found))) if isinstance(found, float) else found)
    if isinstance(found, elementpath.XPathNode) or callable(found):
        raise ValueError("the XPath finds something that has no value in JSON")
    return str(found)


def _number(number: Decimal) -> Any:
    """An ``int`` where it is one; ``ABSENT`` for what is not a number."""
    if not number.is_finite():
        return ABSENT
    return int(number) if number == number.to_integral_value() else number


def _serialised(element: ET.Element) -> str:
    tail, element.tail = element.tail, None
    try:
        return ET.tostring(element, encoding="unicode")
    finally:
        element.tail = tail


class _Root(Exception):
    """The root element begins, so there is no document type."""


def _refuse_document_type(text: str) -> None:
    def document_type(*_: object) -> None:
        raise ValueError("XML with a document type is not read")

    def element(*_: object) -> None:
        raise _Root

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = document_type
    parser.StartElementHandler = element
    try:
        parser.Parse(text, True)
    except _Root:
        return
    except expat.ExpatError as problem:
        raise ValueError(f"the text is not XML: {problem}") from None
    except UnicodeEncodeError:
        raise ValueError("the text is not XML: it has an unpaired surrogate") from None
