"""A place in a text where an expression is read: declared names, and navigation into their values.

Names win over syntax: the longest declared name is taken first, whatever characters it has, and only
what follows it is navigation into the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.expression.model import Expression, Root
from airflow_arazzo.expression.names import Names, Problem, error, warn
from airflow_arazzo.expression.pointer import parse_pointer

Mode = Literal["whole", "braces", "text", "condition"]
"""Where the expression stands.

``whole``: it fills the text up to the limit. ``braces``: the same in a condition, where dots and brackets
are no slip. ``text`` and ``condition``: it ends where it cannot go on.
"""

_SEGMENT = re.compile(r"[^.\[#]+")
_LOOSE_SEGMENT = re.compile(r"[$@]?\w+(?:-+\w+)*")
_LOOSE_POINTER = {
    "text": re.compile(r"/[\w/~%$@:+*.-]*(?<![.:])"),
    "condition": re.compile(r"""/?[^\s=!<>&|(){}'",]*"""),
}
_MEMBER = re.compile(r"\.([^.\[\]#]+)")
_LOOSE_MEMBER = re.compile(r"\.([$@]?\w+(?:-+\w+)*)")
_INDEX = re.compile(r"""\[(?:(\d+)|'([^']*)'|"([^"]*)"|([^\[\]'"*?:,]+))\]""")
_KEY = re.compile(r"""\[(?:'([^']*)'|"([^"]*)")\]""")


class Cursor:
    """Moves through the text of one expression.

    :param text: the text that holds it.
    :param start: offset of its ``$``.
    :param limit: offset behind the last character that may belong to it.
    """

    def __init__(
        self, text: str, start: int, limit: int, names: Names, problems: list[Problem], mode: Mode
    ) -> None:
        self.text = text
        self.start = self.at = start
        self.limit = limit
        self.names = names
        self.problems = problems
        self.bounded = mode in ("whole", "braces")
        self.in_condition = mode in ("condition", "braces")
        self.root: Root = "url"
        self.path: list[str] = []
        self.navigated = False

    # Names.

    def name(
        self, known: Iterable[str] | None, kind: str, *, is_open: bool = False, before: tuple[str, ...] = ()
    ) -> str | None:
        """The declared name that begins here, else one that differs in case, else any if that is accepted.

        :param known: the declared names; ``None`` accepts any.
        :param is_open: whether other names are accepted too.
        :param before: what should follow the name; preferred over a longer name without it.
        """
        declared = () if known is None else tuple(known)
        name = self.longest(declared, self.at, before)
        if name is not None:
            self.at += len(name)
            return name
        name = self._differing_in_case(declared, kind, before)
        if name is not None:
            return name
        begin, shown = self.at, self._undeclared(before)
        self.at += len(shown)
        if shown and (known is None or is_open):
            return shown
        return self._unknown(kind, shown or self.rest(begin), declared, begin)

    def longest(self, declared: Iterable[str], at: int, before: tuple[str, ...] = ()) -> str | None:
        """The longest declared name that the text has at an offset and that ends there as a whole."""
        found = [
            name
            for name in declared
            if name and self.text.startswith(name, at, self.limit) and self.ends(at + len(name))
        ]
        found.sort(key=lambda name: (self.text.startswith(before, at + len(name)), len(name)))
        return found[-1] if found else None

    def _differing_in_case(self, declared: Iterable[str], kind: str, before: tuple[str, ...]) -> str | None:
        written: dict[str, list[str]] = {}
        for name in declared:
            slice_ = self.text[self.at : self.at + len(name)]
            if slice_.casefold() == name.casefold():
                written.setdefault(slice_, []).append(name)
        found = self.longest(written, self.at, before)
        if found is None or len(written[found]) > 1:
            return None
        name = written[found][0]
        self.warn("name-case", f"the {kind} {found!r} is declared as {name!r}", f"write {name}")
        self.at += len(found)
        return name

    def _undeclared(self, before: tuple[str, ...]) -> str:
        """What would be the name here by the look of it."""
        match = (_SEGMENT if self.bounded else _LOOSE_SEGMENT).match(self.text, self.at, self.limit)
        end = match.end() if match else self.at
        followers = [self.text.find(word + ".", self.at, self.limit) for word in before if self.bounded]
        return self.text[self.at : min((found for found in followers if found >= 0), default=end)]

    def declared_key(
        self, key: str, known: Iterable[str] | None, kind: str, at: int, *, is_open: bool
    ) -> str | None:
        """The same key when it is declared, or anything is accepted; else an error."""
        if known is None or is_open or key in known:
            return key
        return self._unknown(kind, key, known, at)

    def ends(self, at: int) -> bool:
        """Whether a name may end at an offset."""
        if at >= self.limit:
            return True
        char = self.text[at]
        if self.bounded:
            return char in ".[#"
        return not (char == "_" or char.isalnum() or (char == "-" and self.in_condition))

    # Navigation.

    def navigated_to(self, *, scope: str = "", part: str = "", name: str = "") -> Expression | None:
        """The expression with the path that follows: members and indices, then a JSON Pointer."""
        member = _MEMBER if self.bounded else _LOOSE_MEMBER
        while self.next() in (".", "["):
            match = (member if self.next() == "." else _INDEX).match(self.text, self.at, self.limit)
            if match is None and not self.bounded:
                break
            if match is None:
                return self.fail(
                    f"{self.rest(self.at)!r} does not lead to one value",
                    "write a JSON Pointer such as #/items/0, or a Selector Object for many values",
                    self.at,
                )
            self.path.append(next(group for group in match.groups() if group is not None))
            self.navigated = True
            self.at = match.end()
        return self.made(scope=scope, part=part, name=name) if self.pointer() else None

    def pointer(self) -> bool:
        """Read a JSON Pointer if there is one. False after an error."""
        if self.next() != "#":
            return True
        begin, end = self.at + 1, self.limit
        if not self.bounded:
            form = _LOOSE_POINTER["condition" if self.in_condition else "text"]
            match = form.match(self.text, begin, self.limit)
            if match is None:
                return True
            end = match.end()
        pointer = self.text[begin:end]
        if pointer and pointer[0] != "/":
            message = f"the JSON Pointer {pointer!r} lacks its slash"
            self.warn("pointer-slash", message, f"write #/{pointer}", begin)
            pointer = "/" + pointer
        try:
            self.path.extend(parse_pointer(pointer))
        except ValueError as problem:
            self.fail(f"{pointer!r} is not a JSON Pointer: {problem}", at=begin)
            return False
        self.at = end
        return True

    def key(self) -> str | None:
        """A quoted name in brackets, read instead of a dot and a name."""
        match = _KEY.match(self.text, self.at, self.limit)
        if match is None:
            return None
        self.at = match.end()
        return match.group(1) if match.group(1) is not None else match.group(2)

    # Small things.

    def next(self) -> str:
        """The character here, or nothing at the limit."""
        return self.text[self.at] if self.at < self.limit else ""

    def rest(self, at: int) -> str:
        """What stands at an offset, for messages: all of it or, inside other text, one word."""
        rest = self.text[at : self.limit]
        return rest if self.bounded else next(iter(rest.split()), "")

    def follows(self, word: str) -> bool:
        """Whether a whole word stands here."""
        return self.text.startswith(word, self.at, self.limit) and self.ends(self.at + len(word))

    def made(self, *, scope: str = "", part: str = "", name: str = "") -> Expression:
        """The expression that has been read up to here."""
        written = self.text[self.start : self.at]
        return Expression(self.root, scope, part, name, tuple(self.path), written)

    def warn(self, code: str, message: str, hint: str = "", at: int | None = None) -> None:
        """Report a tolerance, by default at the beginning of the expression."""
        warn(self.problems, code, message, self.start if at is None else at, hint)

    def fail(self, message: str, hint: str = "", at: int | None = None) -> Expression | None:
        """Report that this is no expression, and be ``None``."""
        error(self.problems, "bad-expression", message, self.start if at is None else at, hint)
        return None

    def _unknown(self, kind: str, name: str, known: Iterable[str], at: int) -> str | None:
        error(self.problems, f"unknown-{kind}", f"there is no {kind} {name!r}", at, did_you_mean(name, known))
        return None
