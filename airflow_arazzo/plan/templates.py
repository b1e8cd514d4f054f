"""Values of a document as templates: literals, expressions, text, objects, arrays and selectors."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from airflow_arazzo.description.arazzo import CriterionObject
from airflow_arazzo.description.diagnostics import Severity
from airflow_arazzo.description.documents import Location, Report
from airflow_arazzo.description.fields import lexeme
from airflow_arazzo.description.schemas import SchemaFacts
from airflow_arazzo.expression.criteria import parse_criterion
from airflow_arazzo.expression.json_text import parse_json_text
from airflow_arazzo.expression.model import (
    ArrayTemplate,
    Constant,
    Criterion,
    Expression,
    ObjectTemplate,
    Select,
    Template,
    Text,
    Typed,
)
from airflow_arazzo.expression.names import Names, Problem, failed, warn
from airflow_arazzo.expression.parser import parse_expression
from airflow_arazzo.expression.selectors import check_query, checked_version, parse_selector
from airflow_arazzo.expression.text import parse_text
from airflow_arazzo.plan.reads import expressions

_Read = TypeVar("_Read", bound=Template | Criterion | None)
_WHERE = {
    "unknown-step": " in this workflow",
    "unknown-workflow": " in this document",
    "unknown-source": " in sourceDescriptions",
}
_OWNER = re.compile(r"\$(?P<kind>step|workflow)s\.(?P<name>[^$]+?)(\.(?:in|out)puts)?[.\[#]['\"/]?\Z")
_NO_DOLLAR = re.compile(r"(response|request|steps|inputs|workflows|outputs)[.]|statusCode\Z")
_SELECTOR_FIELDS = {"context", "selector", "type"}


@dataclass(frozen=True)
class TemplateReader:
    """Reads values under one set of names; findings go into the report at the place of the value.

    :param selectors: whether objects may be Selector Objects (Arazzo 1.1).
    :param seen: every expression read so far, and where.
    """

    names: Names
    report: Report
    selectors: bool
    seen: list[tuple[Expression, Location]] = field(default_factory=list)

    def _noted(self, parsed: _Read, at: Location) -> _Read:
        self.seen.extend((each, at) for each in expressions(parsed))
        return parsed

    def told(self, problems: list[Problem], at: Location) -> bool:
        """Report the findings of a parser about the text at a location; whether there is no error."""
        for problem in problems:
            message, hint = problem.message, problem.hint
            if problem.code in _WHERE:
                message += _WHERE[problem.code]
            elif problem.code in ("unknown-input", "unknown-output"):
                owner, advice = self._owner(str(at.value)[: problem.offset], problem.code)
                message, hint = message + owner, hint or advice
            self.report.add(problem.severity, problem.code, message, at, hint, offset=problem.offset)
        return not failed(problems)

    def _owner(self, before: str, code: str) -> tuple[str, str]:
        """Whose input or output was looked for and where, given what stands before it; and what to do."""
        match = _OWNER.search(before)
        if match is None and code == "unknown-input":
            return " of this workflow", "declare it in the inputs of the workflow"
        if match is None:
            return "", ""
        of = f" of {match['kind']} {match['name']!r}"
        if match["kind"] == "workflow" or match["name"] not in self.names.steps:
            return of, ""
        described = self.names.described(match["name"])
        response = "has no such property either" if described else "is not described as an object"
        declared = "" if self.names.steps[match["name"]] else "; it declares none"
        return f"{of}{declared}, and its response {response}", "declare it in the step's outputs"

    def expression(self, at: Location) -> Expression | None:
        """A text that must be one expression."""
        problems: list[Problem] = []
        parsed = parse_expression(str(at.value), self.names, problems)
        self.told(problems, at)
        return self._noted(parsed, at)

    def text(self, at: Location) -> Template:
        """A text: literal, expression, or text with embedded expressions."""
        problems: list[Problem] = []
        parsed = parse_text(str(at.value), self.names, problems)
        self.told(problems, at)
        return self._noted(parsed, at)

    def json_text(self, at: Location) -> Template:
        """A text that is a JSON document with embedded expressions, or any other text."""
        stripped = at.value.strip()
        if stripped[:1] in ("{", "[") and not stripped.startswith("{$"):
            problems: list[Problem] = []
            parsed = parse_json_text(at.value, self.names, problems)
            if parsed is not None:
                self.told(problems, at)
                return self._noted(parsed, at)
            self.told([problem for problem in problems if problem.code == "not-json"], at)
        return self.text(at)

    def value(self, at: Location, facts: SchemaFacts | None = None) -> Template:
        """Any value of a document.

        :param facts: what OpenAPI says about the place the value goes to: decides whether a number is
            text (``007`` for a string) and whether an integral number loses its fraction.
        """
        value = at.value
        if isinstance(value, dict):
            return self._object(at, facts)
        if isinstance(value, list):
            items = facts.items if facts else None
            return _folded(ArrayTemplate(tuple(self.value(item, items) for item in at.items())))
        types = facts.types if facts else frozenset[str]()
        if isinstance(value, str):
            parsed = self.text(at)
            integral = types == {"integer"} and isinstance(parsed, Expression | Select)
            return Typed(parsed, "integer") if integral else parsed  # type: ignore[arg-type]
        return Constant(_scalar(value, types))

    def _object(self, at: Location, facts: SchemaFacts | None) -> Template:
        if self.selectors and set(at.value) == _SELECTOR_FIELDS and str(at.value["context"]).startswith("$"):
            return self.selector(at) or Constant(None)
        members = []
        for name, member in at.members():
            members.append((name, self.value(member, facts.member(name) if facts else None)))
        return _folded(ObjectTemplate(tuple(members)))

    def output(self, at: Location) -> Template | None:
        """An output: an expression, a Selector Object, or (tolerated) any other value."""
        if isinstance(at.value, dict) and set(at.value) >= _SELECTOR_FIELDS:
            return self.selector(at)
        if isinstance(at.value, dict) and len(set(at.value) & _SELECTOR_FIELDS) == 2:
            missing = min(_SELECTOR_FIELDS - set(at.value))
            self.report.error("missing-field", f"a Selector Object needs {missing!r}", at)
            return None
        if isinstance(at.value, str):
            problems: list[Problem] = []
            text = self._with_dollar(at.value, problems)
            template = self._noted(parse_text(text, self.names, problems), at)
            if self.told(problems, at) and isinstance(template, Constant):
                self.report.warning(
                    "constant-output",
                    f"the output is the literal text {at.value!r}",
                    at,
                    "an output is a runtime expression such as $response.body#/id",
                )
            return template
        if at.value is None:
            self.report.error("wrong-type", "an output must be an expression, found null", at)
            return None
        return self.value(at)

    def _with_dollar(self, text: str, problems: list[Problem]) -> str:
        """The text of an output, with the ``$`` that its author forgot: ``response.body#/id`` is no text."""
        found: list[Problem] = []
        if not _NO_DOLLAR.match(text) or parse_expression(f"${text}", self.names, found) is None:
            return text
        warn(problems, "missing-dollar", f"{text!r} is read as ${text}", 0, f"write ${text}")
        return f"${text}"

    def never_there(self, at: Location) -> bool:
        """Whether an output names an output of a step that has none at all: nothing could be meant by it."""
        if not isinstance(at.value, str):
            return False
        problems: list[Problem] = []
        parse_text(at.value, self.names, problems)
        errors = [problem for problem in problems if failed([problem])]
        owner = _OWNER.search(at.value[: errors[0].offset]) if errors else None
        only = owner is not None and [each.code for each in errors] == ["unknown-output"]
        if owner is None or not only or owner["kind"] != "step" or self.names.steps.get(owner["name"]):
            return False
        message = f"step {owner['name']!r} has no outputs, so this output of the workflow will not be there"
        hint = f"declare the output in step {owner['name']}, or leave this one out"
        self.report.add(Severity.WARNING, "absent-output", message, at, hint, offset=errors[0].offset)
        return True

    def selector(self, at: Location) -> Select | None:
        """A Selector Object."""
        context = at / "context"
        kind, version = _expression_type(at / "type")
        if not isinstance(context.value, str) or not isinstance(at.value["selector"], str):
            self.report.error("wrong-type", "'context' and 'selector' must be texts", at)
            return None
        parsed = self.expression(context)
        if parsed is None:
            return None
        problems: list[Problem] = []
        select = parse_selector(parsed, at.value["selector"], kind, version, self.names, problems)
        self.told(problems, at / "selector")
        return self._noted(select, at / "selector")

    def query(self, kind: str, text: str, version: str, at: Location) -> bool:
        """Whether a text is a query of a language (and version, if one is given); reported when not."""
        problems: list[Problem] = []
        known = checked_version(kind, version, problems)
        if known is not None:
            check_query(kind, Text((text,)), known, problems)
        return self.told(problems, at)

    def criterion(self, written: CriterionObject) -> Criterion | None:
        """A Criterion Object."""
        context = self.expression(written.context) if written.context else None
        if written.context and context is None:
            return None
        problems: list[Problem] = []
        kind = written.type or "simple"
        parsed = parse_criterion(
            kind, written.version, str(written.condition.value), context, self.names, problems
        )
        self.told(problems, written.condition)
        return self._noted(parsed, written.condition)


def _expression_type(at: Location) -> tuple[str, str]:
    if isinstance(at.value, dict):
        return str(at.value.get("type", "")), str(at.value.get("version", ""))
    return str(at.value), ""


def _scalar(value: Any, types: frozenset[str]) -> Any:
    """A number as the place wants it; other scalars as they are."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    if types == {"string"}:
        return lexeme(value)
    return plain(value, integral=types == {"integer"})


def plain(value: Any, *, integral: bool = False) -> Any:
    """A copy of a document's value with numbers as ``int`` and ``Decimal`` alone."""
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal):
        whole = integral and value == value.to_integral_value()
        return int(value) if whole else Decimal(value)
    return value


def _folded(template: ObjectTemplate | ArrayTemplate) -> Template:
    """A template whose parts are all constant, as one constant."""
    if isinstance(template, ArrayTemplate):
        if all(isinstance(item, Constant) for item in template.items):
            return Constant([item.value for item in template.items if isinstance(item, Constant)])
        return template
    if all(isinstance(member, Constant) for _, member in template.members):
        return Constant({name: m.value for name, m in template.members if isinstance(m, Constant)})
    return template
