"""Putting the values of embedded expressions into queries so that no value can change a query.

A value in a query is a literal of the query's language, or a variable: never a piece of its source. The
one exception is a regular expression, where the specification wants text put in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from airflow_arazzo.expression.jsonvalue import plain_number, to_text
from airflow_arazzo.expression.model import ABSENT, Expression, Scope, Text
from airflow_arazzo.expression.resolve import AbsentInText, resolve

Values = Callable[[Expression], Any]
"""Gives the value of an expression, or ``ABSENT``."""

VARIABLE = "embedded-"
"""Beginning of the names of variables in XPath queries."""

_UNSAFE = re.compile(r"[^ A-Za-z0-9_.\x80-\ud7ff\ue000-\U0010ffff-]")


def values_in(scope: Scope) -> Values:
    """The values that expressions have in a scope."""
    return lambda expression: resolve(expression, scope)


def placeholder(_: Expression) -> int:
    """A value for checking the syntax of a query before any is known."""
    return 0


def bind_jsonpath(query: Text, values: Values) -> str:
    """A JSONPath query with values as literals, or as text inside string literals.

    :raises AbsentInText: for an absent value inside a string literal; elsewhere it is null.
    :raises ValueError: for an object or array, which no query can hold.
    """
    pieces: list[str] = []
    quote = ""
    for part in query.parts:
        if isinstance(part, str):
            quote = _quote_after(part, quote)
            pieces.append(part)
        elif quote:
            pieces.append(_escaped(_text(part, values)))
        else:
            pieces.append(_literal(values(part)))
    return "".join(pieces)


def bind_xpath(query: Text, values: Values) -> tuple[str, dict[str, Any]]:
    """An XPath query with variables for embedded values, and the values of these variables.

    A string literal that holds an expression becomes a variable as a whole.

    :raises AbsentInText: for an absent value inside a string literal; elsewhere it is the empty sequence.
    """
    pieces: list[str] = []
    variables: dict[str, Any] = {}
    literal: list[str] = []
    quote = ""
    embedded = False

    def variable(value: Any) -> str:
        name = f"{VARIABLE}{len(variables)}"
        variables[name] = value
        return f"${name}"

    for piece in _pieces(query):
        if isinstance(piece, Expression):
            embedded = True
            if quote:
                literal.append(_text(piece, values))
            else:
                pieces.append(variable(_xpath_value(values(piece))))
        elif not quote and piece in "'\"":
            quote, literal, embedded = piece, [], False
        elif quote and piece == quote:
            content = "".join(literal)
            pieces.append(variable(content) if embedded else f"{quote}{content}{quote}")
            quote, literal = "", []
        else:
            (literal if quote else pieces).append(piece)
    return "".join([*pieces, quote, *literal]), variables


def bind_pointer(query: Text, values: Values) -> str:
    """A JSON Pointer with values as parts of reference tokens.

    :raises AbsentInText: for an absent value.
    """
    return "".join(
        part if isinstance(part, str) else _text(part, values).replace("~", "~0").replace("/", "~1")
        for part in query.parts
    )


def bind_text(query: Text, values: Values) -> str:
    """Text with values put in as they are.

    :raises AbsentInText: for an absent value.
    """
    return "".join(part if isinstance(part, str) else _text(part, values) for part in query.parts)


def _text(expression: Expression, values: Values) -> str:
    value = values(expression)
    if value is ABSENT:
        raise AbsentInText(expression)
    return to_text(value)


def _literal(value: Any) -> str:
    if value is None or value is ABSENT:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return plain_number(value)
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    raise ValueError("an object or array cannot stand in a query")


def _escaped(value: str) -> str:
    """Text for the inside of a string literal of either quote: nothing in it has a meaning of its own."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", value)


def _xpath_value(value: Any) -> Any:
    if value is None or value is ABSENT:
        return []
    return to_text(value) if isinstance(value, dict | list) else value


def _quote_after(text: str, quote: str) -> str:
    """The quote that is open behind a piece of a JSONPath query, given the one that is open before it."""
    at = 0
    while at < len(text):
        char = text[at]
        if quote and char == "\\":
            at += 1
        elif quote and char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        at += 1
    return quote


def _pieces(query: Text) -> Iterator[str | Expression]:
    for part in query.parts:
        if isinstance(part, Expression):
            yield part
        else:
            yield from part
