"""What tests of expressions share: a document's names, a scope with values, and short forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from airflow_arazzo.expression.model import ABSENT, Expression
from airflow_arazzo.expression.names import Names, Problem

NAMES = Names(
    inputs=frozenset(
        {
            "id",
            "first",
            "last",
            "customer",
            "filter[status]",
            "$expand",
            "$.xgafv",
            "two words",
            "a.b",
            "cus-id",
        }
    ),
    outputs=frozenset({"total"}),
    steps={
        "create": frozenset({"id", "items", "y.z", "Response (payload)"}),
        "Search Articles by Keyword_0": frozenset({"x"}),
        "a-b": frozenset({"c-d"}),
        "called": None,
    },
    workflows={"pay": (frozenset({"amount"}), frozenset({"receipt"}))},
    sources=frozenset({"pets", "museum-api"}),
)

BODY = {
    "ok": True,
    "status": "Completed",
    "items": [{"id": 1, "s": "a"}, {"id": 2, "s": "b"}],
    "n": Decimal("10.10"),
    "products": [1, 2],
    "a-b": 3,
    "nothing": None,
    "deep": {"list": [{"k": "v"}]},
}


class Values:
    """A scope with given values; whatever is not given is absent."""

    def __init__(
        self,
        *,
        inputs: Mapping[str, Any] | None = None,
        steps: Mapping[str, Mapping[str, Any]] | None = None,
        body: Any = ABSENT,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.inputs = inputs or {}
        self.steps = steps or {}
        self.body = body
        self.status = status
        self.headers = headers or {}

    def lookup(self, expression: Expression) -> Any:
        if expression.root == "inputs":
            return self.inputs.get(expression.name, ABSENT) if expression.name else self.inputs
        if expression.root == "steps":
            return self.steps.get(expression.scope, {}).get(expression.name, ABSENT)
        if expression.root == "statusCode":
            return self.status
        if expression.root == "response":
            return self.body if expression.part == "body" else self.headers.get(expression.name, ABSENT)
        return ABSENT


@pytest.fixture
def names() -> Names:
    return NAMES


@pytest.fixture
def values() -> type[Values]:
    return Values


@pytest.fixture
def body() -> dict[str, Any]:
    return BODY


@pytest.fixture
def read() -> Callable[..., tuple[Any, list[tuple[str, int]]]]:
    """Calls a reader with these names: its result, and code and offset of each problem."""

    def call(reader: Callable[..., Any], *arguments: Any, names: Names = NAMES, **options: Any) -> Any:
        problems: list[Problem] = []
        result = reader(*arguments, names, problems, **options)
        return result, [(problem.code, problem.offset) for problem in problems]

    return call
