"""What expressions see while a workflow runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_arazzo.engine.messages import Request, Response
from airflow_arazzo.engine.response import read_body
from airflow_arazzo.engine.state import Finished, Frame
from airflow_arazzo.expression.model import ABSENT, Expression
from airflow_arazzo.plan.model import Plan


class Exchange:
    """A request and what came back; the body is read when first asked for.

    :param request: None when it is no longer known.
    :param response: None when there was none.
    :param url: that was asked in vain, for records.
    """

    def __init__(self, request: Request | None, response: Response | None, url: str = "") -> None:
        self.request = request
        self.response = response
        self.url = url
        self.warning: str | None = None
        self._body: Any = None
        self._read = False

    @property
    def body(self) -> Any:
        """The response's body as a value, or ``ABSENT``."""
        if not self._read:
            self._read = True
            self._body, self.warning = read_body(self.response) if self.response else (ABSENT, None)
        return self._body


class RunScope:
    """Looks expressions up in a frame, in the run around it, and in the exchange under way.

    :param secrets: values of secret inputs, by workflow key and input name.
    :param outputs: what ``$outputs`` names at this point.
    """

    __slots__ = ("_exchange", "_finished", "_frame", "_outputs", "_plan", "_secrets")

    def __init__(
        self,
        plan: Plan,
        frame: Frame,
        finished: dict[str, Finished],
        secrets: Mapping[tuple[str, str], str],
        exchange: Exchange | None = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        self._plan = plan
        self._frame = frame
        self._finished = finished
        self._secrets = secrets
        self._exchange = exchange
        self._outputs = outputs or {}

    def during(self, exchange: Exchange) -> RunScope:
        """The same with another exchange under way."""
        return RunScope(self._plan, self._frame, self._finished, self._secrets, exchange, self._outputs)

    def lookup(self, expression: Expression) -> Any:
        """The value of an expression without its path, or ``ABSENT``."""
        root = expression.root
        if root == "inputs":
            return self._input(expression.name)
        if root == "steps":
            outputs = self._frame.outputs.get(expression.scope)
            return ABSENT if outputs is None else outputs.get(expression.name, ABSENT)
        if root == "response":
            return self._response(expression)
        if root == "statusCode":
            response = self._exchange.response if self._exchange else None
            return response.status if response else ABSENT
        if root == "request" or root == "method" or root == "url":
            return self._request(expression)
        if root == "outputs":
            return self._outputs.get(expression.name, ABSENT) if expression.name else self._outputs
        if root == "workflows":
            return self._workflow(expression)
        if root == "sourceDescriptions":
            return self._described(expression)
        if root == "self":
            return self._plan.self_uri or ABSENT
        return ABSENT

    def _described(self, expression: Expression) -> Any:
        """A field of a source description of the document that the workflow is in."""
        key = self._frame.workflow
        prefix = key.removesuffix(self._plan.workflows[key].id)
        source = self._plan.descriptions.get(prefix + expression.scope)
        fields = {"name": source.name, "url": source.url, "type": source.type} if source else {}
        return fields.get(expression.name) or ABSENT

    def _input(self, name: str) -> Any:
        inputs = self._frame.inputs
        if not name:
            return inputs
        if name in inputs:
            return inputs[name]
        held = self._frame.handed.get(name) or (self._frame.workflow, name)
        return self._secrets.get(held, ABSENT)

    def _response(self, expression: Expression) -> Any:
        exchange = self._exchange
        if exchange is None or exchange.response is None:
            return ABSENT
        if expression.part == "header":
            value = exchange.response.header(expression.name)
            return ABSENT if value is None else value
        return exchange.body if expression.part in ("body", "payload") else ABSENT

    def _request(self, expression: Expression) -> Any:
        exchange = self._exchange
        if exchange is None or exchange.request is None:
            return ABSENT
        if expression.root == "method":
            return exchange.request.method
        if expression.root == "url":
            return exchange.response.url if exchange.response and exchange.response.url else ABSENT
        if expression.part in ("body", "payload"):
            return exchange.request.payload
        name = expression.name.casefold() if expression.part == "header" else expression.name
        found = exchange.request.parameters.get((expression.part, name), ABSENT)
        if found is ABSENT and expression.part == "header":
            sent = (value for key, value in exchange.request.headers if key.casefold() == name)
            return next(sent, ABSENT)
        return found

    def _workflow(self, expression: Expression) -> Any:
        finished = self._finished.get(self._key(expression.scope))
        if finished is None:
            return ABSENT
        values = finished.inputs if expression.part == "inputs" else finished.outputs
        return values.get(expression.name, ABSENT) if expression.name else values

    def _key(self, workflow_id: str) -> str:
        """The plan's key of a workflow of the document whose workflow runs.

        Keys of workflows of other documents are qualified with the name of the source through which the
        document was first met; ids in expressions are not.
        """
        workflows = self._plan.workflows
        own = workflows[self._frame.workflow]
        beside = self._frame.workflow.removesuffix(own.id) + workflow_id
        if beside in workflows:
            return beside
        same = (k for k, each in workflows.items() if each.id == workflow_id and each.file == own.file)
        return next(same, beside)
