"""Docstrings as Markdown: references such as ``:class:`~airflow_arazzo.dag.ArazzoDag``` become code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:class|mod|func|meth|attr|data|exc):`(~?)([\w.]+)`")


def _code(found: re.Match[str]) -> str:
    name = found[2].rpartition(".")[2] if found[1] else found[2]
    return f"`{name}`"


class Roles(Extension):
    """Rewrites the docstrings of everything that is collected."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrite one."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_code, obj.docstring.value)
