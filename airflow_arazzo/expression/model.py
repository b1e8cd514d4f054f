"""The parsed form of expressions, templates and criteria: small frozen structs that are JSON in a plan."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

Root = Literal[
    "url",
    "method",
    "statusCode",
    "self",
    "request",
    "response",
    "message",
    "inputs",
    "outputs",
    "steps",
    "workflows",
    "sourceDescriptions",
    "components",
]


class _Absent:
    """The type of :data:`ABSENT`; falsy, printable, a singleton that survives copying."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> _Absent:
        return self

    def __deepcopy__(self, memo: object) -> _Absent:
        return self


ABSENT = _Absent()
"""The value of an expression that names something which is not there. Not the same as null."""


class Expression(msgspec.Struct, frozen=True, tag_field="kind", tag="expression", omit_defaults=True):
    """A runtime expression (Arazzo 1.1, "Runtime Expressions"), with every name resolved.

    :param root: the keyword after ``$``.
    :param scope: step id, workflow id or source name, for roots that have one.
    :param part: ``header|query|path|body|payload`` of a request or response, ``inputs|outputs`` of a
        workflow, the component type, else empty.
    :param name: header, parameter, input or output name, or field of a source description.
    :param path: navigation inside the value: reference tokens of a JSON Pointer, already unescaped.
        A token applies to an array as an index and to an object as a member name (RFC 6901).
    :param text: the expression as its author wrote it, without braces, for messages.
    """

    root: Root
    scope: str = ""
    part: str = ""
    name: str = ""
    path: tuple[str, ...] = ()
    text: str = ""


class Constant(msgspec.Struct, frozen=True, tag_field="kind", tag="constant"):
    """A literal: null, boolean, int, Decimal or str; as a template also any JSON value as it stands."""

    value: Any


class Text(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    """Text with embedded expressions, always evaluates to a string."""

    parts: tuple[str | Expression, ...]


class Typed(msgspec.Struct, frozen=True, tag_field="kind", tag="typed"):
    """A template in a place declared ``integer``: an integral number loses its ``.0`` there."""

    template: Expression | Select
    type: Literal["integer"]


class ObjectTemplate(msgspec.Struct, frozen=True, tag_field="kind", tag="object"):
    """A JSON object with templates as members, in document order."""

    members: tuple[tuple[str, Template], ...]


class ArrayTemplate(msgspec.Struct, frozen=True, tag_field="kind", tag="array"):
    """A JSON array with templates as items."""

    items: tuple[Template, ...]


class Select(msgspec.Struct, frozen=True, tag_field="kind", tag="select", omit_defaults=True):
    """A Selector Object (Arazzo 1.1): a query of some version applied to a context value.

    :param selector: as written.
    :param query: the selector as text with embedded expressions, only when it has some.
    """

    context: Expression
    selector: str
    type: Literal["jsonpath", "xpath", "jsonpointer"]
    version: str
    query: Text | None = None


Template = Constant | Expression | Text | Typed | ObjectTemplate | ArrayTemplate | Select
"""Anything that evaluates to a value: parameters, payloads, outputs, replacements."""

Operand = Expression | Constant | Text | Select
Operator = Literal["==", "!=", "<", "<=", ">", ">="]


class Compare(msgspec.Struct, frozen=True, tag_field="kind", tag="compare"):
    """A comparison of two operands."""

    operator: Operator
    left: Operand
    right: Operand


class Truth(msgspec.Struct, frozen=True, tag_field="kind", tag="truth"):
    """A bare operand: false only for false, null and absent."""

    operand: Operand


class Not(msgspec.Struct, frozen=True, tag_field="kind", tag="not"):
    """Logical negation."""

    operand: Condition


class Every(msgspec.Struct, frozen=True, tag_field="kind", tag="every"):
    """Logical and, evaluated from left to right until one is false."""

    operands: tuple[Condition, ...]


class Either(msgspec.Struct, frozen=True, tag_field="kind", tag="either"):
    """Logical or, evaluated from left to right until one is true."""

    operands: tuple[Condition, ...]


Condition = Compare | Truth | Not | Every | Either


class Criterion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Criterion Object (Arazzo 1.1) with its condition parsed.

    :param condition: as written, for messages.
    :param simple: the parsed condition when ``type`` is simple, and when a JSONPath criterion compares
        outside a filter.
    :param query: the condition of the other types as text with embedded expressions.
    :param version: of the query language; empty means the default of the type.
    """

    condition: str
    type: Literal["simple", "regex", "jsonpath", "xpath"] = "simple"
    version: str = ""
    context: Expression | None = None
    simple: Condition | None = None
    query: Text | None = None


class Scope(Protocol):
    """Where expressions find their values while a workflow runs."""

    def lookup(self, expression: Expression) -> Any:
        """The value that the expression names, before ``expression.path`` is applied, or :data:`ABSENT`.

        Numbers are ``int`` or ``decimal.Decimal``, never ``float``.
        """
        ...
