"""Reading the text of a document: expressions, text with expressions, JSON texts, selectors.

Nothing here raises on bad input. Findings are appended to a list of problems, whose offsets count
characters from the start of the text that was given.
"""

from __future__ import annotations

from airflow_arazzo.expression.json_text import parse_json_text
from airflow_arazzo.expression.model import Expression
from airflow_arazzo.expression.names import Names, Problem, error
from airflow_arazzo.expression.scanner import scan
from airflow_arazzo.expression.selectors import parse_selector
from airflow_arazzo.expression.text import parse_text

__all__ = ["parse_expression", "parse_json_text", "parse_selector", "parse_text"]


def parse_expression(text: str, names: Names, problems: list[Problem]) -> Expression | None:
    """Read a text that has to be one expression; braces and white space around it are tolerated.

    :return: ``None`` after an error.
    """
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    if text.startswith("{", start) and text.endswith("}", start, end) and end - start > 1:
        start, end = start + 1, end - 1
    if not text.startswith("$", start, end):
        error(problems, "bad-expression", "a runtime expression begins with '$'", start)
        return None
    return scan(text, start, end, names, problems, "whole")[0]
