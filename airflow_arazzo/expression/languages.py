"""The query languages and their versions (Arazzo 1.1, "Expression Type Object").

Modules that need a query engine import it when they first use it: the engines together cost half a second,
and most documents use none.
"""

from __future__ import annotations

from typing import Final

VERSIONS: Final = {
    "jsonpath": ("rfc9535", "draft-goessner-dispatch-jsonpath-00"),
    "xpath": ("xpath-31", "xpath-30", "xpath-20", "xpath-10"),
    "jsonpointer": ("rfc6901",),
}
"""Versions by language, the default first."""


class QueryError(ValueError):
    """A query that is not of its language.

    :param offset: where that shows, in characters.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset
