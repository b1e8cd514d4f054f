"""Running what fails, and keeping what is seen of it: the end of a task's log, or a command's message."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli.main import main
from sandbox.testing import RunningSandbox

ROOT = Path(__file__).parents[2]
ARAZZO = ROOT / "specs" / "arazzo"
OPENAPI = ROOT / "specs" / "openapi"
TOP_UP = ARAZZO / "amberflo-meter-usage-and-topup-prepaid-workflow.yml"
INVOICE = ARAZZO / "fin-amberflo-usage-to-stripe-invoice.yml"

TOP_UP_INPUTS = {
    "meterApiName": "api-calls",
    "customerId": "acme",
    "meterValue": 250,
    "meterTimeInMillis": 1718150400000,
    "amount": 25,
}
INVOICE_INPUTS = {"meterApiName": "api-calls", "customerId": "acme", "usageValue": 1, "currency": "usd"}

_LINES = 8
"""Lines of a log that are shown, at most, before the error."""

_TOLD = re.compile(r"^\S+Z \[\w+ *\] (?P<text>.*?) +\[airflow\.task\.\S*Arazzo\w+\]", re.DOTALL)
_RAISED = re.compile(r"^(?:[a-z_]+\.)*(?P<error>\w+(?:Exception|Failed|Error|NotFound)\w*): ")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z \[")

_VARYING = (
    (re.compile(r"127\.0\.0\.1(:|', |\", port )\d{4,5}\b"), r"127.0.0.1\1PORT"),
    (re.compile(r"\[Errno -\d\] [A-Z]\w+( \w+)*"), "[Errno -2] Name or service not known"),
    (re.compile(r"\bafter \d+ ms"), "after N ms"),
    (re.compile(r"\bin \d+ ms"), "in N ms"),
    (re.compile(r"\b(?=\d*[a-f])[0-9a-f]{12,64}\b"), "KEY"),
    (re.compile(r"\b(in|cus|ii)_[A-Za-z0-9]{10,}"), r"\1_ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)"), "TIME"),
)


@dataclass
class Scene:
    """What a planted failure can use.

    :param run_dag: the fixture of that name.
    :param dag_file: the fixture of that name.
    """

    sandbox: RunningSandbox
    run_dag: Any
    dag_file: Any
    folder: Path
    capfd: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def connection(self, **fields: Any) -> dict[str, Any]:
        """A connection to the sandbox."""
        return {
            "conn_type": "arazzo",
            "host": self.sandbox.url,
            "password": self.sandbox.amberflo_key,
            **fields,
        }

    def dag(self, document: Path, **arguments: Any) -> Any:
        """The DAG of a document."""
        arguments.setdefault("dag_id", "planted")
        arguments.setdefault("default_args", {"retries": 0})
        values = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        source = f"from airflow_arazzo import ArazzoDag\ndag = ArazzoDag({str(document)!r}, {values})\n"
        return self.dag_file("planted", source).dag

    def top_up(self, conf: Mapping[str, Any] | None = None, *, connection: Any = None, **given: Any) -> str:
        """The log of a run of the prepaid workflow; over rows nothing comes from its configuration."""
        dag = self.dag(TOP_UP, connections=dict.fromkeys(("meteringApi", "billingApi"), "amberflo"), **given)
        connection = connection or self.connection()
        asked = {} if "for_each" in given else {**TOP_UP_INPUTS, **(conf or {})}
        inputs = {name: value for name, value in asked.items() if name not in given.get("inputs", {})}
        ran = self.run_dag(dag, inputs, connections={"amberflo": connection})
        return self.log(ran, first="for_each" in given)

    def invoice(self, conf: Mapping[str, Any] | None = None, document: Path = INVOICE, **given: Any) -> str:
        """The log of a run of the invoice workflow, for a customer that the sandbox has."""
        self.sandbox.seed(stripe={"customers": [{"id": "cus_acme"}]})
        dag = self.dag(document, source_path=[str(OPENAPI)], **given)
        connections = {
            "amberfloMeteringApi": self.connection(),
            "stripeInvoiceApi": self.connection(password=self.sandbox.stripe_key),
        }
        inputs = {**INVOICE_INPUTS, "stripeCustomer": "cus_acme", **(conf or {})}
        return self.log(self.run_dag(dag, inputs, connections=connections))

    def log(self, ran: Any, *, first: bool = False) -> str:
        """The end of the log of the task that failed: what its operator wrote, and the error.

        :param first: of the first of several such tasks.
        """
        assert ran.state == "failed", ran.log
        failed = endings(ran.log)
        return self.masked(failed[0 if first else -1])

    def command(self, *arguments: str) -> str:
        """A command and what it writes; files are named as in its folder."""
        self.monkeypatch.chdir(self.folder)
        self.capfd.readouterr()
        status = main(arguments)
        output = "".join(reversed(self.capfd.readouterr())).rstrip()
        assert status != 0, output
        return self.masked(f"$ airflow-arazzo {shlex.join(arguments)}\n{output}\n[exit status {status}]")

    def import_error(self, document: Path, **arguments: Any) -> str:
        """What Airflow shows for a DAG file that cannot be imported."""
        try:
            self.dag(document, **arguments)
        except Exception as error:
            return self.masked(f"{type(error).__name__}: {error}")
        raise AssertionError("the DAG file was imported")

    def copy(self, document: Path, *changes: tuple[str, str], name: str = "") -> Path:
        """A copy of a document in the folder, with texts replaced."""
        text = document.read_text()
        for old, new in changes:
            assert text.count(old) >= 1, old
            text = text.replace(old, new, 1)
        path = self.folder / (name or document.name)
        path.write_text(text.replace("../openapi/", ""))
        return path

    def copied_top_up(self, *changes: tuple[str, str]) -> Path:
        """A copy of the prepaid workflow beside those of its sources."""
        for each in ("amberflo-metering-openapi.yaml", "amberflo-billing-openapi.yaml"):
            self.copy(OPENAPI / each)
        return self.copy(TOP_UP, *changes, name="top-up.yml")

    def json_file(self, name: str, value: Any) -> Path:
        """A JSON file in the folder."""
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path

    def masked(self, text: str) -> str:
        """A text without what changes from run to run."""
        for folder, name in ((self.folder, "FOLDER"), (ROOT, "PROJECT")):
            text = text.replace(str(folder), name)
        for pattern, instead in _VARYING:
            text = pattern.sub(instead, text)
        return text


def endings(log: str) -> list[str]:
    """The last lines of each task in a log that failed: its operator's, and the error with its advice."""
    found: list[str] = []
    told: list[str] = []
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if "Task started" in line:
            told = []
        elif said := _TOLD.match(line):
            told.append(said["text"])
        elif raised := _RAISED.match(line):
            error = [f"{raised['error']}: {line[raised.end() :]}"]
            error += takewhile(lambda more: not _STAMP.match(more), lines[number + 1 :])
            found.append("\n".join([*told[-_LINES:], *error]))
    assert found, log
    return found
