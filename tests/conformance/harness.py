"""Arazzo documents as black boxes: YAML in, requests and outcomes out, no network and no real clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from airflow_arazzo.description.diagnostics import Diagnostic, DocumentError
from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import Done, Machine, Send, Wait, begin
from airflow_arazzo.engine.messages import Request, Response, TransportError
from airflow_arazzo.engine.state import decode_state, encode_state
from airflow_arazzo.plan.compiler import compile_document, compile_workflow
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.plan.options import Options

HOST = "https://api.example"
START = 1_750_000_000.0
HERE = "# HERE"
"""A comment that marks the line where a finding is expected."""

API = """
openapi: 3.2.0
info: {title: Shop, version: '1'}
servers: [{url: https://api.example}]
paths:
  /pets:
    get:
      operationId: listPets
      parameters:
      - {name: status, in: query, schema: {type: string}}
      - {name: limit, in: query, schema: {type: integer}}
      - {name: Status, in: header, schema: {type: string}}
      - {name: X-Trace, in: header, schema: {type: string}}
      - {name: session, in: cookie, schema: {type: string}}
    post:
      operationId: createPet
      requestBody:
        content:
          application/json: {schema: {type: object}}
          application/xml: {}
          application/x-www-form-urlencoded: {}
          multipart/form-data: {}
          text/plain: {}
          text/csv: {}
          application/octet-stream: {}
          application/vnd.api+json: {}
  /pets/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: string}}]
    get: {operationId: getPet}
    put: {operationId: replacePet, requestBody: {content: {application/json: {}}}}
    patch: {operationId: changePet}
    delete: {operationId: deletePet}
  /search:
    get:
      operationId: search
      parameters:
      - {name: q, in: querystring, content: {application/x-www-form-urlencoded: {}}}
  /filter:
    get:
      operationId: filter
      parameters:
      - {name: f, in: querystring, content: {application/json: {}}}
  /invoices:
    post: {operationId: sendInvoice, requestBody: {content: {application/xml: {}}}}
  /token:
    post: {operationId: login, requestBody: {content: {application/x-www-form-urlencoded: {}}}}
  /nameless: {get: {}}
"""

ASYNC_API = """
asyncapi: 3.0.0
info: {title: Orders, version: '1'}
channels: {orders: {address: orders}}
operations:
  placeOrder: {action: send, channel: {$ref: '#/channels/orders'}}
  confirmOrder: {action: receive, channel: {$ref: '#/channels/orders'}}
"""

HEAD = """arazzo: {version}
info: {{title: A document, version: '1'}}
sourceDescriptions:
{sources}
workflows:
"""

SHOP = "- {name: shop, url: shop.yaml, type: openapi}"


def reply(status: int = 200, body: Any = None, content_type: str = "", **headers: str) -> Response:
    """A response: JSON for values, text for text (XML if it looks like it)."""
    if isinstance(body, str):
        kind, data = ("application/xml" if body.startswith("<") else "text/plain"), body.encode()
    else:
        kind, data = "application/json", b"" if body is None else json.dumps(body).encode()
    given = [(name.replace("_", "-"), value) for name, value in headers.items()]
    kinds = [("Content-Type", content_type or kind)] if data else []
    return Response(status, (*kinds, *given), data, url=HOST)


@dataclass
class Run:
    """What a run did."""

    done: Done
    sent: list[Request] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        return self.done.status

    @property
    def outputs(self) -> dict[str, Any]:
        return self.done.outputs

    @property
    def calls(self) -> list[str]:
        """Method and target of every request."""
        return [f"{request.method} {request.target}" for request in self.sent]

    @property
    def failure(self) -> str:
        """Code and message of the failure."""
        failure = self.done.failure
        return f"{failure.code}: {failure.message}" if failure else ""

    def header(self, name: str, index: int = -1) -> str | None:
        """A header of a request, the last one's by default."""
        headers = {key.lower(): value for key, value in self.sent[index].headers}
        return headers.get(name.lower())

    def body(self, index: int = -1) -> str:
        """The body of a request as text."""
        data = self.sent[index].body
        assert data is not None, "there is no body"
        return data.decode()


class Arazzo:
    """A folder with documents of one version of Arazzo, and what comes of them.

    In the texts of documents ``VERSION`` stands for the version.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self.folder = folder
        self.version = version
        self.write("shop.yaml", API)
        self.write("orders.yaml", ASYNC_API)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n").replace("VERSION", self.version))
        return path

    def document(self, text: str, name: str = "main.arazzo.yaml", sources: str = "") -> Path:
        """Write a document: a whole one, or its workflows (and what follows them)."""
        text = dedent(text).strip("\n") + "\n"
        if text.startswith(("arazzo:", "{", "$self", "info:", "sourceDescriptions:", "workflows:")):
            return self.write(name, text)
        listed = "\n".join(filter(None, (SHOP, dedent(sources).strip("\n"))))
        return self.write(name, HEAD.format(version=self.version, sources=listed) + text)

    def findings(
        self, text: str, *, sources: str = "", notes: bool = False, options: Options | None = None
    ) -> list[Diagnostic]:
        """What compiling every workflow of a document reports."""
        path = self.document(text, sources=sources)
        found = compile_document(path, options).diagnostics
        return [each for each in found if notes or each.severity != "note"]

    def codes(self, text: str, *, sources: str = "", notes: bool = False) -> list[str]:
        """Codes of what compiling a document reports."""
        return [each.code for each in self.findings(text, sources=sources, notes=notes)]

    def refused(self, text: str, code: str, *, sources: str = "", options: Options | None = None) -> str:
        """Assert that a document is refused with a code, at the line marked with HERE; the message."""
        return self._found(self.findings(text, sources=sources, options=options), "error", code)

    def tolerated(self, text: str, code: str, *, sources: str = "") -> str:
        """Assert that a document is read with a warning, at the line marked with HERE; the message."""
        found = self.findings(text, sources=sources)
        assert not [each for each in found if each.severity == "error"], list(map(str, found))
        return self._found(found, "warning", code)

    def noted(self, text: str, code: str, *, sources: str = "") -> str:
        """Assert that a document compiles with a note, at the line marked with HERE; the message."""
        found = self.findings(text, sources=sources, notes=True)
        assert not [each for each in found if each.severity == "error"], list(map(str, found))
        return self._found(found, "note", code)

    def _found(self, findings: list[Diagnostic], severity: str, code: str) -> str:
        matching = [each for each in findings if (each.severity, each.code) == (severity, code)]
        assert matching, f"no {severity} {code} in {list(map(str, findings))}"
        finding = matching[0]
        marked = self._marked()
        if marked:
            assert finding.position is not None
            assert (finding.position.file, finding.position.line) == marked
        return finding.message

    def _marked(self) -> tuple[str, int] | None:
        for path in sorted(self.folder.glob("*.yaml")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if HERE in line:
                    return path.name, number
        return None

    def plan(
        self, text: str, workflow: str = "", *, sources: str = "", options: Options | None = None
    ) -> Plan:
        """The plan of a workflow, the first by default."""
        path = self.document(text, sources=sources)
        written = path.read_text().partition("workflows:")[2]
        first = written.split("workflowId:", 1)[1].split("\n", 1)[0].split("#")[0].strip(" ,}'\"")
        try:
            return compile_workflow(path, workflow or first, options)[0]
        except DocumentError as error:
            raise AssertionError(str(error)) from None

    def run(
        self,
        text: str,
        *responses: Response | TransportError,
        inputs: Mapping[str, Any] | None = None,
        workflow: str = "",
        sources: str = "",
        secrets: Mapping[tuple[str, str], str] | None = None,
        took: float = 0.0,
    ) -> Run:
        """Run a workflow, the first by default.

        :param responses: in order; each must be asked for. Without any, every request gets a 200 with ``{}``.
        :param took: seconds that pass on the clock with every exchange.
        """
        plan = self.plan(text, workflow, sources=sources)
        return drive(plan, responses, inputs or {}, secrets or {}, took)

    def step(self, text: str, *responses: Response | TransportError, **options: Any) -> Run:
        """Run a workflow of one step, given as the lines of the step without ``stepId``.

        Its outputs are the workflow's.
        """
        return self.run(one_step(text, options.pop("properties", "")), *responses, **options)


def one_step(text: str, properties: str = "", name: str = "w") -> str:
    """A workflow of one step; outputs of the step that its lines name are outputs of the workflow."""
    text = dedent(text).strip("\n")
    declared = f"  inputs: {{type: object, properties: {{{properties}}}}}\n" if properties else ""
    lines = text.splitlines()
    begun = next((i for i, line in enumerate(lines) if line == "outputs:"), len(lines))
    names = []
    for line in lines[begun + 1 :]:
        if not line.startswith(" "):
            break
        if line.startswith("  ") and not line.startswith("   "):
            names.append(line.strip().partition(":")[0])
    outputs = "".join(f"    {each}: $steps.s.outputs.{each}\n" for each in names)
    return (
        f"- workflowId: {name}\n{declared}  steps:\n  - stepId: s\n"
        + indent(text, "    ")
        + "\n"
        + (f"  outputs:\n{outputs}" if outputs else "")
    )


def drive(
    plan: Plan,
    responses: tuple[Response | TransportError, ...],
    inputs: Mapping[str, Any],
    secrets: Mapping[tuple[str, str], str],
    took: float = 0.0,
) -> Run:
    """Drive the machine from the inputs to the end, storing its state between any two commands."""
    now = [START]
    waiting = list(responses)
    state = begin(plan, prepare_inputs(plan.root, inputs), now=now[0])
    machine = Machine(plan, state, clock=lambda: now[0], secrets=dict(secrets), loop_pause=7.0)
    run = Run(Done("failed"))
    for _ in range(200):
        command = machine.next()
        if isinstance(command, Done):
            assert not waiting, f"{len(waiting)} responses were not asked for: {run.calls}"
            run.done = command
            run.events = [event.text for event in machine.events]
            return run
        if isinstance(command, Wait):
            run.waits.append(command.seconds)
            now[0] += command.seconds
            assert decode_state(encode_state(machine.state)) == machine.state
            continue
        assert isinstance(command, Send)
        run.sent.append(command.request)
        run.steps.append(command.step.id)
        assert waiting or not responses, f"nothing is scripted for {run.calls}"
        now[0] += took
        machine.receive(waiting.pop(0) if waiting else reply(200, {}))
    raise AssertionError(f"no end in sight: {run.calls[:10]}")
