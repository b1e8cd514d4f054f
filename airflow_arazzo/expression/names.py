"""What a document declares at a point, and what parsers of its text report about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from airflow_arazzo.description.diagnostics import Severity


@dataclass(frozen=True)
class Names:
    """The names that an expression may use at one point of a document.

    A set that is ``None`` is open: any name is accepted there, because nothing is known about it.

    :param inputs: inputs of the workflow.
    :param open_inputs: whether further inputs are accepted beside :attr:`inputs`.
    :param outputs: what ``$outputs`` can name here: outputs of the workflow, or of the called workflow.
    :param steps: by step id, the names of its outputs; for a step that calls a workflow also that
        workflow's outputs.
    :param workflows: by workflow id, the names of its inputs and of its outputs.
    :param sources: names of source descriptions.
    :param described: by step id, properties of its response as the description has them: what a step that
        declares no output of that name can only have meant.
    :param asking: the step whose request is read: it cannot read outputs of its own.
    """

    inputs: frozenset[str] | None = None
    outputs: frozenset[str] | None = frozenset()
    steps: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    workflows: Mapping[str, tuple[frozenset[str] | None, frozenset[str] | None]] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()
    open_inputs: bool = False
    described: Callable[[str], frozenset[str]] = lambda step: frozenset()
    asking: str = ""


class Problem(NamedTuple):
    """A finding about a piece of text; the compiler turns it into a diagnostic with a position.

    :param code: stable kebab-case name of the rule.
    :param offset: where it begins, in characters from the start of the text that was parsed.
    """

    code: str
    severity: Severity
    message: str
    hint: str
    offset: int


def error(problems: list[Problem], code: str, message: str, offset: int, hint: str = "") -> None:
    """Append an error."""
    problems.append(Problem(code, Severity.ERROR, message, hint, offset))


def warn(problems: list[Problem], code: str, message: str, offset: int, hint: str = "") -> None:
    """Append a warning: the text is understood, and tolerated."""
    problems.append(Problem(code, Severity.WARNING, message, hint, offset))


def note(problems: list[Problem], code: str, message: str, offset: int, hint: str = "") -> None:
    """Append a note."""
    problems.append(Problem(code, Severity.NOTE, message, hint, offset))


def failed(problems: Iterable[Problem]) -> bool:
    """Whether any of the problems is an error."""
    return any(problem.severity is Severity.ERROR for problem in problems)


def shifted(problems: Iterable[Problem], by: int) -> list[Problem]:
    """The same problems, for text that begins ``by`` characters later."""
    return [problem._replace(offset=problem.offset + by) for problem in problems]
