"""Selector Objects (Arazzo 1.1): a query of some language applied to a context value."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.expression import binding
from airflow_arazzo.expression.languages import VERSIONS, QueryError
from airflow_arazzo.expression.model import ABSENT, Constant, Expression, Scope, Select, Template, Text
from airflow_arazzo.expression.names import Names, Problem, error, failed, warn
from airflow_arazzo.expression.pointer import navigate, parse_pointer
from airflow_arazzo.expression.resolve import resolve
from airflow_arazzo.expression.text import parse_text

SelectorType = Literal["jsonpath", "xpath", "jsonpointer"]


def parse_selector(
    context: Expression, selector: str, type: str, version: str, names: Names, problems: list[Problem]
) -> Select | None:
    """Read a Selector Object whose context is parsed already.

    :param type: ``jsonpath``, ``xpath`` or ``jsonpointer``.
    :param version: of the language; empty means its default.
    :return: ``None`` after an error.
    """
    kind = checked_type(type, get_args(SelectorType), problems)
    if kind is None:
        return None
    known = checked_version(kind, version, problems)
    if known is None:
        return None
    if kind == "jsonpointer":
        selector = _pointer_with_slash(selector, problems)
    found: list[Problem] = []
    query = query_text(parse_text(selector, names, found, many=False))
    if not failed(found):
        check_query(kind, query, known, found)
    problems.extend(found)
    if failed(found):
        return None
    literal = all(isinstance(part, str) for part in query.parts)
    return Select(context, selector, cast("SelectorType", kind), known, None if literal else query)


def select_value(select: Select, context: Any, scope: Scope) -> Any:
    """What a selector selects from its context.

    JSON Pointer, and JSONPath that names one place (RFC 9535, "singular query"): the value there. Other
    JSONPath: always an array of what is found. XPath: the one thing found, an array of several.

    :return: ``ABSENT`` when nothing is found (an empty array for JSONPath that can find several).
    :raises AbsentInText: for an absent value in a string of the query.
    :raises ValueError: when the query cannot be applied to the context.
    """
    query = select.query or Text((select.selector,))
    values = binding.values_in(scope)
    if select.type == "jsonpointer":
        return navigate(context, parse_pointer(binding.bind_pointer(query, values)))
    if select.type == "xpath":
        from airflow_arazzo.expression import xpath

        source, variables = binding.bind_xpath(query, values)
        found = xpath.select(xml_text(context), source, select.version, variables)
        return _one_or_all(found)
    from airflow_arazzo.expression import jsonpath

    compiled = jsonpath.compile_query(binding.bind_jsonpath(query, values), select.version)
    found = [value for _, value in compiled.find(context)]
    if compiled.singular:
        return found[0] if found else ABSENT
    return found


def compared_value(select: Select, scope: Scope) -> Any:
    """The value of a JSONPath in a comparison outside a filter.

    One node is its value, several are an array, none is absent. ``.length`` at the end is the length of
    an array or text, and the number of nodes that a filter or wildcard before it finds, unless there is a
    member of that name.

    :raises AbsentInText: for an absent value in a string of the query.
    :raises ValueError: when the query cannot be applied to the context.
    """
    from airflow_arazzo.expression import jsonpath

    context = resolve(select.context, scope)
    query = select.query or Text((select.selector,))
    compiled = jsonpath.compile_query(binding.bind_jsonpath(query, binding.values_in(scope)), select.version)
    found = [value for _, value in compiled.find(context)]
    if found or compiled.holder is None:
        return _one_or_all(found)
    holders = [value for _, value in compiled.holder.find(context)]
    if not compiled.holder.singular:
        return len(holders)
    return len(holders[0]) if holders and isinstance(holders[0], list | str) else ABSENT


def query_text(template: Template) -> Text:
    """A parsed query as text with embedded expressions."""
    if isinstance(template, Text):
        return template
    if isinstance(template, Expression):
        return Text((template,))
    return Text((str(template.value),) if isinstance(template, Constant) else ())


def check_query(kind: str, query: Text, version: str, problems: list[Problem]) -> None:
    """Check the syntax of a query; embedded expressions count as numbers, or text inside strings."""
    try:
        if kind == "jsonpath":
            from airflow_arazzo.expression import jsonpath

            jsonpath.compile_query(binding.bind_jsonpath(query, binding.placeholder), version)
        elif kind == "xpath":
            from airflow_arazzo.expression import xpath

            xpath.check_query(binding.bind_xpath(query, binding.placeholder)[0], version)
        else:
            parse_pointer(binding.bind_pointer(query, binding.placeholder))
    except QueryError as problem:
        exact = all(isinstance(part, str) for part in query.parts)
        error(problems, f"bad-{kind}", f"the {kind} is malformed: {problem}", problem.offset if exact else 0)
    except ValueError as problem:
        error(problems, f"bad-{kind}", f"the {kind} is malformed: {problem}", 0)


def checked_type(type: str, known: tuple[str, ...], problems: list[Problem]) -> str | None:
    """The type as the specification writes it, or ``None`` after an error."""
    if type in known:
        return type
    if type.lower() in known:
        warn(problems, "name-case", f"the type {type!r} is read as {type.lower()!r}", 0)
        return type.lower()
    hint = did_you_mean(type, known)
    error(problems, "unknown-type", f"{type!r} is not a type of condition or selector", 0, hint)
    return None


def checked_version(kind: str, version: str, problems: list[Problem]) -> str | None:
    """The version of a language, its default for none, or ``None`` after an error."""
    known = VERSIONS[kind]
    if not version or version in known:
        return version or known[0]
    if version.lower() in known:
        warn(problems, "name-case", f"the version {version!r} is read as {version.lower()!r}", 0)
        return version.lower()
    error(
        problems,
        "unknown-version",
        f"{version!r} is not a version of {kind}",
        0,
        did_you_mean(version, known),
    )
    return None


def xml_text(context: Any) -> str:
    """The context of an XPath.

    :raises ValueError: when it is not text.
    """
    if not isinstance(context, str):
        raise ValueError("the context is not XML text")
    return context


def _one_or_all(found: list[Any]) -> Any:
    if not found:
        return ABSENT
    return found[0] if len(found) == 1 else found


def _pointer_with_slash(selector: str, problems: list[Problem]) -> str:
    bare = selector.removeprefix("#")
    if bare == selector and (not bare or bare.startswith(("/", "{$", "$"))):
        return selector
    pointer = bare if not bare or bare.startswith("/") else "/" + bare
    message = f"the JSON Pointer {selector!r} is read as {pointer!r}"
    warn(problems, "pointer-slash", message, 0, f"write {pointer}")
    return pointer
