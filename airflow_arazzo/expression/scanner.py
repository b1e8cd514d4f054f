"""Reading one runtime expression out of a text (Arazzo 1.1, "Runtime Expressions")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Final, cast, get_args

import msgspec

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.expression.cursor import Cursor, Mode
from airflow_arazzo.expression.model import Expression, Root
from airflow_arazzo.expression.names import Names, Problem
from airflow_arazzo.expression.pointer import format_pointer

ROOTS: Final = cast("tuple[Root, ...]", get_args(Root))
_PARTS = ("header", "query", "path", "cookie", "body", "payload")
_COMPONENTS = ("parameters", "successActions", "failureActions", "inputs")

_WORD = re.compile(r"\$(\w+)")
_LETTERS = re.compile(r"\w+")
_LOOSE_FIELD = re.compile(r"\w+(?:[.-]+\w+)*")
_LOOSE_QUERY = re.compile(r"[\w$\[\].-]*[\w\]]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def scan(
    text: str, start: int, limit: int, names: Names, problems: list[Problem], mode: Mode
) -> tuple[Expression | None, int]:
    """Read the expression whose ``$`` is at ``start``.

    :return: the expression, or ``None`` after an error, and the offset behind what was read.
    """
    scanner = _Scanner(text, start, limit, names, problems, mode)
    expression = scanner.read()
    return expression, scanner.at


def canonical(expression: Expression) -> str:
    """The expression as the specification writes it, for hints.

    >>> canonical(Expression("response", part="body", path=("items", "0")))
    '$response.body#/items/0'
    """
    part = "outputs" if expression.root == "steps" else expression.part
    words = ".".join(word for word in (expression.root, expression.scope, part, expression.name) if word)
    return f"${words}{'#' if expression.path else ''}{format_pointer(expression.path)}"


def root_of(word: str) -> Root | None:
    """The root keyword that a word is, whatever its case."""
    return next((root for root in ROOTS if root.lower() == word.lower()), None)


def root_at(text: str, at: int, limit: int) -> Root | None:
    """The root keyword behind the ``$`` at an offset, if there is one."""
    word = _WORD.match(text, at, limit)
    return root_of(word.group(1)) if word else None


class _Scanner(Cursor):
    """Reads one expression."""

    def read(self) -> Expression | None:
        word = _WORD.match(self.text, self.start, self.limit)
        root = self._root(word.group(1)) if word else None
        if word is None or root is None:
            hint = did_you_mean(word.group(1) if word else "", ROOTS)
            return self.fail(f"{self.rest(self.start)!r} is not a runtime expression", hint)
        self.root = root
        self.at = word.end()
        expression = self._readers[root](self)
        if expression is None:
            return None
        if self.bounded and self.at < self.limit:
            message = f"{self.rest(self.at)!r} cannot follow {self.text[self.start : self.at]!r}"
            return self.fail(message, at=self.at)
        if self.navigated and not self.in_condition:
            message = f"{expression.text!r} goes into the value with dots or brackets"
            self.warn("navigation-syntax", message, f"write {canonical(expression)}")
        return expression

    def _root(self, word: str) -> Root | None:
        if word == "body" and self.in_condition:
            self.warn("response-body", "'$body' is read as '$response.body'", "write $response.body")
            return "response"
        root = root_of(word)
        if root is not None and root != word:
            self.warn("name-case", f"'${word}' is read as '${root}'", f"write ${root}")
        return root

    def _simple(self) -> Expression | None:
        return self.made()

    # Requests, responses and messages.

    def _exchange(self) -> Expression | None:
        if self.text[self.start + 1 : self.at] == "body":
            return self.navigated_to(part="body")
        word = _LETTERS.match(self.text, self.at + 1, self.limit) if self.next() == "." else None
        if word and self.root == "response" and word.group().lower() in ("statuscode", "status_code"):
            self.root, self.at = "statusCode", word.end()
            self.warn("status-spelling", "the status code is no part of $response", "write $statusCode")
            return self.made()
        part = self._part(word.group()) if word else None
        if word is None or part is None:
            message = f"'${self.root}' is followed by one of: header, query, path, body, payload"
            known = [*_PARTS, "statusCode"]
            return self.fail(message, did_you_mean(word.group(), known) if word else "", self.at)
        self.at = word.end()
        if part in ("body", "payload"):
            return self.navigated_to(part=part)
        if part == "cookie":
            self.warn("cookie-source", f"'${self.root}.cookie' is read, but not in the specification")
        name = self._field(part)
        if name is None:
            return None
        if not name:
            self._whole(f"all of '${self.root}.{part}'")
        return self.made(part=part, name=name.lower() if part == "header" else name)

    def _part(self, word: str) -> str | None:
        lower = word.lower()
        if lower == "headers":
            self.warn("header-spelling", f"{word!r} is read as 'header'", f"write ${self.root}.header")
            return "header"
        if lower not in _PARTS:
            return None
        if word != lower:
            self.warn("name-case", f"{word!r} is read as {lower!r}", f"write ${self.root}.{lower}")
        return lower

    def _field(self, part: str) -> str | None:
        """A header, query, path or cookie name; empty when none follows, ``None`` after an error."""
        begin = self.at
        name = self.key()
        if name is None and self.next() == "." and self.bounded:
            name, self.at = self.text[begin + 1 : self.limit], self.limit
        elif name is None and self.next() == ".":
            form = _LOOSE_QUERY if part in ("query", "path") else _LOOSE_FIELD
            match = form.match(self.text, begin + 1, self.limit)
            name = match.group() if match else ""
            self.at = match.end() if match else begin
        elif name is None:
            return ""
        if not name or (part == "header" and not _TOKEN.fullmatch(name)):
            self.fail(f"{name!r} is not a name of a {part} value", at=begin)
            return None
        return name

    # Inputs and outputs, of this workflow, of its steps, of other workflows.

    def _inputs(self) -> Expression | None:
        return self._named(self.names.inputs, "input", is_open=self.names.open_inputs)

    def _outputs(self) -> Expression | None:
        return self._named(self.names.outputs, "output")

    def _steps(self) -> Expression | None:
        step = self._id(self.names.steps, "step", (".outputs",))
        if step is None:
            return None
        outputs = self.names.steps[step]
        if self.follows(".outputs"):
            self.at += len(".outputs")
            return self._undeclared_output(step) or self._named(outputs, "output", scope=step)
        if self.next() == "." and outputs and self.longest(outputs, self.at + 1):
            message = f"an output of step {step!r} is named without 'outputs'"
            self.warn("missing-outputs", message, f"write $steps.{step}.outputs{self.rest(self.at)}")
            return self._named(outputs, "output", scope=step)
        message = f"the step {step!r} is not followed by '.outputs.' and a name"
        return self.fail(message, did_you_mean(self.rest(self.at).strip("."), outputs or ()), self.at)

    def _undeclared_output(self, step: str) -> Expression | None:
        """An output that its step does not declare, where only one thing can have been meant by it."""
        outputs = self.names.steps[step]
        begin = self.at + 1
        if self.next() != "." or outputs is None or self.longest(outputs, begin):
            return None
        others = {} if step != self.names.asking else self._declaring(begin)
        if len(others) == 1:
            owner = next(iter(others))
            message = f"step {step!r} cannot read its own output; the only step that declares it is {owner!r}"
            self.warn("own-output", message, f"write $steps.{owner}.outputs{self.rest(self.at)}")
            return self._named(self.names.steps[owner], "output", scope=owner)
        described = self.names.described(step)
        name = self.longest(described, begin)
        if name is not None:
            return self._described_output(step, name, begin + len(name))
        response = "response.body"
        if self.text.startswith(response, begin, self.limit) and self.ends(begin + len(response)):
            return self._described_output(step, "", begin + len(response))
        return None

    def _declaring(self, at: int) -> dict[str, str]:
        """The steps that declare an output of the name at an offset."""
        steps = self.names.steps.items()
        return {step: name for step, outputs in steps if outputs and (name := self.longest(outputs, at))}

    def _described_output(self, step: str, name: str, behind: int) -> Expression | None:
        """A property of a step's response, or a place in it, read as if the step declared it as an output."""
        self.at = behind
        read = self.navigated_to(scope=step, name=name or "response.body")
        if read is None:
            return None
        place = canonical(Expression("response", part="body", path=(name, *read.path) if name else read.path))
        message = f"step {step!r} declares no such output; {place} of its response is meant"
        declared = name or (read.path[-1] if read.path else "body")
        self.warn("undeclared-output", message, f"add to the outputs of {step}: {declared}: {place}")
        if name:
            return read
        self.navigated = False
        return msgspec.structs.replace(read, name=f"response.body#{format_pointer(read.path)}", path=())

    def _workflows(self) -> Expression | None:
        workflow = self._id(self.names.workflows, "workflow", (".outputs", ".inputs"))
        if workflow is None:
            return None
        inputs, outputs = self.names.workflows[workflow]
        for part, known in (("inputs", inputs), ("outputs", outputs)):
            if self.follows("." + part):
                self.at += len(part) + 1
                return self._named(known, part.removesuffix("s"), scope=workflow, part=part)
        message = f"the workflow {workflow!r} is not followed by '.inputs.' or '.outputs.' and a name"
        return self.fail(message, at=self.at)

    def _id(self, known: Mapping[str, object], kind: str, before: tuple[str, ...]) -> str | None:
        """The id of a step, workflow or source, behind a dot."""
        if self.next() != ".":
            self.fail(f"'${self.root}' is followed by a dot and the name of a {kind}", at=self.at)
            return None
        self.at += 1
        return self.name(known, kind, before=before)

    def _named(
        self,
        known: Iterable[str] | None,
        kind: str,
        *,
        scope: str = "",
        part: str = "",
        is_open: bool = False,
    ) -> Expression | None:
        """The name of an input or output and what follows it; or all of them."""
        begin = self.at
        key = self.key()
        if key is None and self.next() == "#":
            if not self.pointer():
                return None
            key = self.path.pop(0) if self.path else None
        if key is not None:
            self.navigated = True
            name = self.declared_key(key, known, kind, begin, is_open=is_open)
        elif self.next() == "." and (self.bounded or _LETTERS.search(self.rest(self.at))):
            self.at += 1
            name = self.name(known, kind, is_open=is_open)
        else:
            self._whole(f"all {kind}s")
            name = ""
        return None if name is None else self.navigated_to(scope=scope, part=part, name=name)

    # Source descriptions and components.

    def _sources(self) -> Expression | None:
        source = self._id(dict.fromkeys(self.names.sources), "source", ())
        if source is None:
            return None
        name = self._tail() if self.next() == "." else ""
        if not name:
            self._whole(f"the source description {source!r}")
        return self.made(scope=source, name=name) if self.pointer() else None

    def _components(self) -> Expression | None:
        word = _LETTERS.match(self.text, self.at + 1, self.limit) if self.next() == "." else None
        if word is None or word.group() not in _COMPONENTS:
            hint = did_you_mean(word.group() if word else "", _COMPONENTS)
            return self.fail("'$components' is followed by a type of component and a name", hint, self.at)
        self.at = word.end()
        name = self._tail() if self.next() == "." else ""
        if not name:
            return self.fail(f"'$components.{word.group()}' is followed by a dot and a name", at=self.at)
        return self.made(part=word.group(), name=name)

    def _tail(self) -> str:
        """Whatever follows the dot here, up to a JSON Pointer."""
        begin = self.at + 1
        if self.bounded:
            pointer = self.text.find("#/", begin, self.limit)
            self.at = self.limit if pointer < 0 else pointer
        else:
            match = _LOOSE_FIELD.match(self.text, begin, self.limit)
            self.at = match.end() if match else begin - 1
        return self.text[begin : self.at]

    def _whole(self, what: str) -> None:
        self.warn("whole-object", f"{what}, not one value, is meant here")

    _readers: ClassVar[Mapping[Root, Callable[[_Scanner], Expression | None]]] = {
        "url": _simple,
        "method": _simple,
        "statusCode": _simple,
        "self": _simple,
        "request": _exchange,
        "response": _exchange,
        "message": _exchange,
        "inputs": _inputs,
        "outputs": _outputs,
        "steps": _steps,
        "workflows": _workflows,
        "sourceDescriptions": _sources,
        "components": _components,
    }
