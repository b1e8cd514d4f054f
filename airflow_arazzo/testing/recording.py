"""Recording the exchanges of a run in a file that can be read, kept and replayed. No credential is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import NotSent, Response, TransportError
from airflow_arazzo.engine.redact import CREDENTIAL_HEADERS, MASK, redact
from airflow_arazzo.engine.run import Exchange, Run, RunResult, redacted, sender
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.expression.jsonvalue import encode_json, plain_number, to_text
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.model import OperationCall, Plan
from airflow_arazzo.testing.bodies import value_of, written_body
from airflow_arazzo.testing.exchanges import RECORDING
from airflow_arazzo.testing.workflow import body_of, place_of, shown_target

_WORD = re.compile(r"[A-Za-z/][^\x00-\x1f\x7f-\x9f]*\Z")
"""Texts that no reader of YAML takes for a number, a date or the like; the writer quotes the constants."""


class Recorder:
    """Keeps the exchanges of a run as they come, and writes them when all secrets are known."""

    def __init__(self) -> None:
        self._kept: list[tuple[Send, Response | TransportError]] = []

    async def run(
        self,
        file: Path,
        plan: Plan,
        inputs: Mapping[str, Any],
        connections: Mapping[str, Connection],
    ) -> RunResult:
        """Run a workflow as :func:`~airflow_arazzo.engine.run.run_plan` does, and write its exchanges.

        They are written also when the run is interrupted.

        :raises InvalidInputs: before anything is sent, when the inputs do not fit.
        :raises OSError: when the file cannot be written.
        """
        run = Run(plan, connections)
        async with Transport() as transport:
            exchange = self.through(sender(transport, plan, connections))
            try:
                return redacted(await run.over(exchange, inputs), list(transport.secrets()))
            finally:
                self.write(file, plan, inputs, [*run.secrets(), *transport.secrets()])

    def through(self, exchange: Exchange) -> Exchange:
        """The same exchange, with everything that passes through it kept."""

        async def send(command: Send) -> Response:
            try:
                response = await exchange(command)
            except TransportError as error:
                self._kept.append((command, error))
                raise
            self._kept.append((command, response))
            return response

        return send

    def write(self, file: Path, plan: Plan, inputs: Mapping[str, Any], secrets: Iterable[str]) -> None:
        """Write a recording, as JSON to a file of that name and as YAML to any other.

        :param secrets: everything that must not be in it.
        :raises OSError: when the file cannot be written.
        """
        mask = Mask(secrets)
        recording = {
            "recording": RECORDING,
            "workflow": plan.root.id,
            "inputs": mask.value(dict(inputs)),
            "exchanges": [_exchange(plan, mask, *each) for each in self._kept],
        }
        file.write_bytes(_json(recording) if file.suffix == ".json" else _yaml(recording))


class Mask:
    """Masks secrets in texts, values and bytes."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(dict.fromkeys(secret for secret in secrets if secret))

    def text(self, text: str) -> str:
        """A text with every secret masked; one that is itself a secret, however short, is masked as well."""
        return MASK if text in self._secrets else redact(text, self._secrets)

    def value(self, value: Any) -> Any:
        """A JSON value with every secret masked in its texts, names and numbers."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            text = to_text(value)
            return value if self.text(text) == text else MASK
        return value

    def data(self, data: bytes) -> bytes:
        """Bytes with every secret masked, also in the encodings in which text may be among them."""
        found = data
        for coding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
            for secret in self._secrets:
                try:
                    form = secret.encode(coding)
                except UnicodeEncodeError:
                    continue
                if len(form) > 4:
                    found = found.replace(form, MASK.encode())
        text = found.decode("latin-1")
        return redact(text, self._secrets).encode("latin-1")


def _exchange(plan: Plan, mask: Mask, command: Send, outcome: Response | TransportError) -> dict[str, Any]:
    """One exchange as it is written."""
    request, call = command.request, command.step.call
    asked: dict[str, Any] = {"method": request.method, "path": mask.text(shown_target(command, plan))}
    if outcome.url:
        asked["url"] = mask.text(outcome.url)
    if (body := body_of(request)) is not ABSENT:
        asked["body"] = mask.value(body) if not isinstance(body, bytes) else MASK
    found: dict[str, Any] = {"step": place_of(command)}
    if isinstance(call, OperationCall):
        found["operation"] = call.operation
    found["request"] = asked
    if isinstance(outcome, Response):
        return {**found, "response": _response(outcome, mask)}
    found["error"] = "not-sent" if isinstance(outcome, NotSent) else "unknown"
    if (status := getattr(outcome, "status", None)) is not None:
        found["status"] = status
    return {**found, "message": mask.text(str(outcome))}


def _response(response: Response, mask: Mask) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    for name, value in response.headers:
        if name.casefold() not in CREDENTIAL_HEADERS:
            headers.setdefault(mask.text(name), []).append(mask.text(value))
    single = {name: values[0] if len(values) == 1 else values for name, values in headers.items()}
    found: dict[str, Any] = {"status": response.status, "headers": single}
    if response.body:
        found["body"] = _body(response, mask)
    return found


def _body(response: Response, mask: Mask) -> Any:
    """The body as a value. Texts in a charset of their own are bytes to us, and masked as such."""
    kind = response.header("Content-Type") or ""
    written = written_body(kind, response.body)
    if isinstance(written, str) or (isinstance(written, dict) and list(written) == ["base64"]):
        text = value_of(kind, response.body)
        masked = mask.data(response.body)
        if isinstance(text, str) and mask.text(text) != text and masked == response.body:
            return mask.text(text)
        return written_body(kind if masked == response.body else "text/plain", masked)
    return mask.value(written)


def _json(recording: dict[str, Any]) -> bytes:
    return msgspec.json.format(encode_json(recording), indent=2) + b"\n"


def _yaml(recording: dict[str, Any]) -> bytes:
    comment = "# Recorded by airflow-arazzo run --record. Credentials are written as ***.\n"
    text = yaml.dump(recording, Dumper=_Writer, allow_unicode=True, sort_keys=False, width=100)
    return comment.encode() + text.encode()


class _Writer(yaml.SafeDumper):
    """Writes JSON values so that YAML 1.1 and 1.2 read the same: what is not plainly a word is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        """Equal parts are written twice."""
        return True


def _text_node(writer: _Writer, text: str) -> yaml.ScalarNode:
    style = None if _WORD.match(text) else '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _decimal_node(writer: _Writer, number: Decimal) -> yaml.ScalarNode:
    return writer.represent_scalar("tag:yaml.org,2002:float", plain_number(number))


_Writer.add_representer(str, _text_node)
_Writer.add_multi_representer(Decimal, _decimal_node)
_Writer.add_multi_representer(str, _text_node)
