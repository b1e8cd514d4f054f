"""The command line, as scripts and people use it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.cli import main as command_line
from airflow_arazzo.cli.main import DEBUG, main
from airflow_arazzo.plan.codec import decode_plan
from airflow_arazzo.plan.compiler import compile_workflow
from sandbox.testing import RunningSandbox, running_sandbox

REPOSITORY = Path(__file__).resolve().parents[2]
SPECS = REPOSITORY / "specs" / "arazzo"
PROVISION = str(SPECS / "amberflo-provision-customer-billing-workflow.yml")
INVOICE = str(SPECS / "fin-amberflo-usage-to-stripe-invoice.yml")
LAUNCH = str(SPECS / "amberflo-launch-usage-based-product-workflow.yml")
WORKFLOW = "provision-customer-billing"
KEY = "amberflo-key/of+the=cli-tests"
INPUTS = {"customerId": "c-1", "customerName": "Zoë", "productId": "p-1", "amount": 10}

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(amberflo_key=KEY) as running:
        yield running


def connection(sandbox: RunningSandbox | None = None, **fields: Any) -> str:
    url = sandbox.url if sandbox else "http://127.0.0.1:9"
    return "billingApi=" + json.dumps({"conn_type": "arazzo", "host": url, "password": KEY, **fields})


def run(sandbox: RunningSandbox | None = None, *more: str, inputs: Any = INPUTS) -> int:
    given = inputs if isinstance(inputs, str) else json.dumps(inputs)
    return main(["run", PROVISION, WORKFLOW, "--inputs", given, "--connection", connection(sandbox), *more])


def refused(capsys: Captured, *arguments: str) -> str:
    """Run a command that must do nothing; what it says."""
    capsys.readouterr()
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err.strip()


# --- run -----------------------------------------------------------------------------------------------


def test_run_reports_as_json(sandbox: RunningSandbox, capsys: Captured) -> None:
    assert run(sandbox, "--format", "json") == 0
    said = capsys.readouterr()
    assert said.err == ""
    report = json.loads(said.out, parse_float=Decimal)
    order = sandbox.ledger()[-1]["id"]
    elapsed = [step.pop("elapsed") for step in report["steps"]]
    assert all(isinstance(seconds, Decimal) and 0 < seconds < 10 for seconds in elapsed)

    def step(name: str, path: str, **outputs: str) -> dict[str, Any]:
        return {
            "workflow": WORKFLOW,
            "step": name,
            "status": "succeeded",
            "method": "POST",
            "url": sandbox.url + path,
            "status_code": 200,
            "outputs": outputs,
        }

    assert report == {
        "status": "succeeded",
        "outputs": {"customerId": "c-1", "assignedProductId": "p-1", "orderId": order},
        "steps": [
            step("createCustomer", "/customers", customerId="c-1"),
            step("assignPlan", "/payments-pricing-amberflo-customer-pricing", assignedProductId="p-1"),
            step("createPrepaid", "/payments-pricing-amberflo-customer-prepaid", orderId=order),
        ],
        "error": None,
    }
    assert list(report) == ["status", "outputs", "steps", "error"]


def test_run_reports_a_failure_as_json(sandbox: RunningSandbox, capsys: Captured) -> None:
    sandbox.add_fault("error", path="*pricing", status=422, body="no")
    assert run(sandbox, "--format", "json") == 1
    report = json.loads(capsys.readouterr().out)
    error = {
        "code": "criteria",
        "message": "$statusCode == 200: 422 == 200 is false",
        "step": "assignPlan",
        "fate": "refused",
        "status": 422,
    }
    assert report["status"] == "failed"
    assert report["outputs"] == {}
    assert report["error"] == error
    assert [step["status"] for step in report["steps"]] == ["succeeded", "failed"]
    assert report["steps"][1]["error"] == error


def test_run_reports_as_text(sandbox: RunningSandbox, capsys: Captured) -> None:
    assert run(sandbox) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert re.fullmatch(rf"✓ createCustomer  POST {sandbox.url}/customers → 200 in \d+ ms", lines[0])
    assert lines[3:5] == ['customerId = "c-1"', 'assignedProductId = "p-1"']
    assert lines[-1] == "succeeded"
    sandbox.reset()
    sandbox.add_fault("reset", path="*prepaid", when="after")
    assert run(sandbox) == 1
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines()[-3].startswith(f"✗ createPrepaid  POST {sandbox.url}/payments-")
    last, advice = said.out.splitlines()[-2:]
    assert advice.startswith("What to do: find out at the service whether it happened")
    assert last.startswith("failed: step 'createPrepaid': ")
    assert "whether the request took effect is unknown [outcome-unknown]" in last
    assert last.endswith("(look it up at the service before anything is sent again)")


@pytest.fixture
def unqualified(tmp_path: Path) -> str:
    """A shipped document whose operationIds do not say of which source they are."""
    shutil.copytree(SPECS.parent / "openapi", tmp_path / "openapi")
    (tmp_path / "arazzo").mkdir()
    document = tmp_path / "arazzo" / "launch.yml"
    document.write_text(re.sub(r"\$sourceDescriptions\.\w+\.", "", Path(LAUNCH).read_text()))
    return str(document)


def test_run_prints_warnings_to_standard_error_and_no_notes(capsys: Captured, unqualified: str) -> None:
    assert main(["run", unqualified, "launch-usage-based-product", "--inputs", "{}"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert all("warning:" in line and "[operation-unqualified]" in line for line in said)
    main(["run", INVOICE, "meter-usage-and-invoice"])
    assert capsys.readouterr().err == ""


def test_inputs_come_from_a_file(sandbox: RunningSandbox, capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(INPUTS).encode())
    assert run(sandbox, inputs=f"@{file}") == 0
    assert sandbox.requests()[-1]["body"] == '{"customerId":"c-1","amount":10}'
    capsys.readouterr()


def test_connections_come_from_the_environment(
    sandbox: RunningSandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BILLINGAPI", connection(sandbox).partition("=")[2])
    assert main(["run", PROVISION, WORKFLOW, "--inputs", json.dumps(INPUTS)]) == 0
    capsys.readouterr()


# --- arguments that cannot be used ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("{", r"airflow-arazzo: --inputs: not valid JSON: .+"),
        ("", r"airflow-arazzo: --inputs: not valid JSON: .+"),
        ("[1]", r'airflow-arazzo: --inputs: expected a JSON object such as \{"name": "value"\}'),
        ("null", r'airflow-arazzo: --inputs: expected a JSON object such as \{"name": "value"\}'),
        (
            "@nowhere.json",
            r"airflow-arazzo: --inputs: nowhere.json cannot be read: No such file or directory",
        ),
        ("@.", r"airflow-arazzo: --inputs: \. cannot be read: Is a directory"),
        ("@latin.json", r"airflow-arazzo: --inputs: latin.json is not UTF-8 text"),
        ('{"a": NaN}', r"airflow-arazzo: --inputs: not valid JSON: .+"),
        ("[" * 100_000, r"airflow-arazzo: --inputs: not valid JSON: .+"),
    ],
    ids=lambda text: text[:12],
)
def test_inputs_that_cannot_be_read(
    inputs: str, message: str, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe4"}')
    said = refused(capsys, "run", PROVISION, WORKFLOW, "--inputs", inputs)
    assert re.fullmatch(message, said), said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("billingApi", "airflow-arazzo: --connection: expected SOURCE=JSON"),
        ("=x", "airflow-arazzo: --connection: expected SOURCE=JSON"),
        (
            "bilingApi={}",
            "airflow-arazzo: --connection: there is no source 'bilingApi'; did you mean 'billingApi'?",
        ),
    ],
)
def test_connections_that_are_none(given: str, message: str, capsys: Captured) -> None:
    assert refused(capsys, "run", PROVISION, WORKFLOW, "--connection", given) == message


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "hunter2-x"',
        '{"password": "hunter2-x", "nonsense": 1}',
        '{"password": "hunter2-x", "extra": {"nonsense": 1}}',
        '{"password": "hunter2-x\\n"}',
        '{"password": "hunter2-x", "conn_type": "mysql"}',
        "hunter2-x",
        "http://user:hunter2-x@host:port/",
        "http://user:hunter2-x@[broken/",
    ],
)
def test_malformed_connections_are_refused_without_repeating_them(
    text: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused(capsys, "run", PROVISION, WORKFLOW, "--connection", f"billingApi={text}")
    assert said.startswith("airflow-arazzo: ")
    assert "billingApi" in said
    assert "hunter2" not in said
    assert len(said.splitlines()) == 1
    monkeypatch.setenv("AIRFLOW_CONN_BILLINGAPI", text)
    assert refused(capsys, "run", PROVISION, WORKFLOW) == said


def test_sources_that_are_not_there(capsys: Captured) -> None:
    said = refused(capsys, "check", PROVISION, "--source", "billingApi=nowhere.yaml")
    assert said == "airflow-arazzo: --source billingApi: there is no file nowhere.yaml"
    assert (
        refused(capsys, "plan", PROVISION, "--source", "x") == "airflow-arazzo: --source: expected NAME=FILE"
    )


def test_documents_and_workflows_that_are_not_there(capsys: Captured, tmp_path: Path) -> None:
    said = refused(capsys, "run", PROVISION, "provision-customer-biling")
    assert "there is no workflow 'provision-customer-biling' [unknown-workflow]" in said
    assert said.endswith(f"(did you mean '{WORKFLOW}'?)")
    missing = tmp_path / "none.yaml"
    for command in (["run", str(missing), "w"], ["plan", str(missing)]):
        assert str(missing) in refused(capsys, *command)
    assert main(["check", str(missing)]) == 2
    assert str(missing) in capsys.readouterr().out


def test_a_document_that_does_not_compile(capsys: Captured, tmp_path: Path) -> None:
    text = Path(PROVISION).read_text().replace("operationId: createCustomer", "operationId: createCustomr")
    broken = tmp_path / "broken.yml"
    broken.write_text(text)
    source = f"billingApi={SPECS.parent / 'openapi' / 'amberflo-billing-openapi.yaml'}"
    for command in (["run", str(broken), WORKFLOW], ["plan", str(broken)]):
        said = refused(capsys, *command, "--source", source)
        assert re.match(rf"{re.escape(str(broken))}:\d+:\d+: error: .*createCustomr", said), said
        assert "did you mean" in said


@pytest.mark.parametrize(
    "arguments", [[], ["no"], ["run"], ["run", PROVISION], ["check", "--format", "xml", "x"]]
)
def test_usage(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: airflow-arazzo" in capsys.readouterr().err


# --- runs that fail before their first request ---------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        ({**INPUTS, "amount": "ten"}, "wrong-input", "input 'amount': \"ten\" is not of type number"),
        (
            {**INPUTS, "customerID": "x"},
            "unknown-input",
            f"workflow '{WORKFLOW}' has no input 'customerID' "
            "(did you mean 'customerId' or 'customerEmail'?)",
        ),
        (
            {**INPUTS, "apiKey": "hunter2-x"},
            "credential-input",
            "input 'apiKey' is a credential; it comes from the connection of source 'billingApi' "
            "(remove it from the inputs)",
        ),
        (
            {**INPUTS, "currency": None},
            "wrong-input",
            "input 'currency': null is not of type string (leave it out)",
        ),
    ],
)
def test_inputs_that_do_not_fit(
    sandbox: RunningSandbox, capsys: Captured, inputs: dict[str, Any], code: str, message: str
) -> None:
    assert run(sandbox, "--format", "json", inputs=inputs) == 1
    report = json.loads(capsys.readouterr().out)
    error = {"code": code, "message": message, "fate": "not-sent"}
    assert report == {"status": "failed", "outputs": {}, "steps": [], "error": error}
    assert run(sandbox, inputs=inputs) == 1
    assert capsys.readouterr().out == f"failed: {message} [{code}]\n"
    assert sandbox.requests() == []


def test_every_missing_input_is_named(sandbox: RunningSandbox, capsys: Captured) -> None:
    assert run(sandbox, inputs={}) == 1
    said = capsys.readouterr().out
    assert re.findall(r"input '(\w+)' is required", said) == [
        "customerId",
        "customerName",
        "productId",
        "amount",
    ]
    assert "apiKey" not in said
    assert sandbox.requests() == []


def test_a_missing_credential(sandbox: RunningSandbox, capsys: Captured) -> None:
    bare = "billingApi=" + json.dumps({"conn_type": "arazzo", "host": sandbox.url})
    arguments = ["run", PROVISION, WORKFLOW, "--inputs", json.dumps(INPUTS), "--format", "json"]
    for more in (["--connection", bare], []):
        assert main([*arguments, *more]) == 1
        error = json.loads(capsys.readouterr().out)["error"]
        assert (error["code"], error["fate"]) == ("credentials", "not-sent")
        assert "fill password of connection 'billingApi'" in error["message"]
    assert sandbox.requests() == []


def test_a_later_step_that_lacks_something_stops_the_run_before_the_first_request(
    sandbox: RunningSandbox, capsys: Captured, tmp_path: Path
) -> None:
    text = Path(PROVISION).read_text().replace("        - amount\n", "")
    document = tmp_path / "optional.yml"
    document.write_text(text)
    source = f"billingApi={SPECS.parent / 'openapi' / 'amberflo-billing-openapi.yaml'}"
    inputs = json.dumps({name: value for name, value in INPUTS.items() if name != "amount"})
    arguments = ["run", str(document), WORKFLOW, "--inputs", inputs, "--source", source]
    assert main([*arguments, "--connection", connection(sandbox)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("failed: step 'createPrepaid': ")
    assert "'amount'" in said
    assert sandbox.requests() == []


# --- secrets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "fault",
    [
        {"action": "echo"},
        {"action": "echo", "when": "after"},
        {"action": "echo", "status": 503},
        {"action": "reset"},
        {"action": "truncate"},
        {"action": "redirect", "location": f"https://other.example/?k={KEY}"},
    ],
    ids=lambda fault: f"{fault['action']}-{fault.get('when', fault.get('status', ''))}",
)
def test_credentials_are_never_shown(
    sandbox: RunningSandbox, capsys: Captured, fault: dict[str, Any], form: str, tmp_path: Path
) -> None:
    """Also where the service echoes them into what the document makes an output or a criterion."""
    text = Path(PROVISION).read_text()
    text = text.replace("$response.body#/customerId", "$response.body")
    text = text.replace(
        "- condition: $statusCode == 200",
        "- condition: $response.body#/message != 'x'\n          - condition: $response.body#/echo == 'x'",
        1,
    )
    document = tmp_path / "echo.yml"
    document.write_text(text)
    source = f"billingApi={SPECS.parent / 'openapi' / 'amberflo-billing-openapi.yaml'}"
    sandbox.add_fault(**fault)
    arguments = ["run", str(document), WORKFLOW, "--inputs", json.dumps(INPUTS), "--source", source]
    assert main([*arguments, "--format", form, "--connection", connection(sandbox)]) == 1
    said = capsys.readouterr()
    for shape in (KEY, json.dumps(KEY)[1:-1], "amberflo-key%2Fof%2Bthe%3Dcli-tests"):
        assert shape not in said.out + said.err
    if fault["action"] == "echo":
        assert "***" in said.out or form == "text"
    assert sandbox.requests()


# --- faults of the program -----------------------------------------------------------------------------


def break_check(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(arguments: object) -> int:
        raise error

    summary, arguments, _ = command_line.COMMANDS["check"]
    monkeypatch.setitem(command_line.COMMANDS, "check", (summary, arguments, broken))


@pytest.mark.parametrize("error", [TypeError(KEY), ValueError(KEY), RecursionError(KEY), OSError(KEY)])
def test_an_unexpected_error_is_one_line_without_its_message(
    error: Exception, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_check(monkeypatch, error)
    monkeypatch.delenv(DEBUG, raising=False)
    assert main(["check", PROVISION]) == 1
    name = type(error).__name__
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "", f"airflow-arazzo: a fault of this program, {name}; ARAZZO_DEBUG=1 shows where\n",
    )  # fmt: skip
    monkeypatch.setenv(DEBUG, "1")
    with pytest.raises(type(error)):
        main(["check", PROVISION])


def test_an_interrupted_run_says_what_that_may_mean(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_check(monkeypatch, KeyboardInterrupt())
    assert main(["check", PROVISION]) == 1
    assert capsys.readouterr().err == (
        "airflow-arazzo: interrupted; a request under way may have taken effect\n"
    )


# --- check and plan ------------------------------------------------------------------------------------


def test_check_prints_findings_and_a_summary(capsys: Captured, unqualified: str) -> None:
    assert main(["check", PROVISION]) == 0
    assert capsys.readouterr().out == (
        f"{PROVISION}: 1 workflow ready\n1 of 1 document compile; 0 errors, 0 warnings, 0 notes\n"
    )
    assert main(["check", unqualified, PROVISION]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 15, "three for each warning, one for each document, and a summary"
    assert re.fullmatch(
        rf"{re.escape(unqualified)}:\d+:\d+: warning: .+ \[operation-unqualified\] \(.+\)", lines[0]
    )
    assert lines[1:3] == [
        "    93 |         operationId: createMeterDefinition",
        "       |                      ^",
    ]
    assert lines[-1] == "2 of 2 documents compile; 0 errors, 4 warnings, 0 notes"


def test_check_with_strict_makes_errors_of_warnings(capsys: Captured, unqualified: str) -> None:
    assert main(["check", "--strict", unqualified, PROVISION]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert sum(": error: " in line for line in lines) == 4
    assert lines[-1] == "1 of 2 documents compile; 4 errors, 0 warnings, 0 notes"
    assert main(["plan", "--strict", unqualified]) == 2
    assert "operation-unqualified" in capsys.readouterr().err


def test_check_looks_through_folders(capsys: Captured, tmp_path: Path) -> None:
    assert main(["check", str(SPECS.parent), "--format", "json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert [Path(each["document"]).name for each in checked] == sorted(p.name for p in SPECS.iterdir())
    assert all(each["ok"] for each in checked)
    assert {tuple(each) for each in checked} == {("document", "ok", "workflows", "diagnostics")}
    (tmp_path / "openapi.yaml").write_text("openapi: 3.1.0\n")
    (tmp_path / "readme.md").write_text("arazzo: no\n")
    assert (
        refused(capsys, "check", str(tmp_path))
        == f"airflow-arazzo: there is no Arazzo document in {tmp_path}"
    )
    (tmp_path / "broken.yaml").write_text("arazzo: [\n")
    assert main(["check", str(tmp_path)]) == 2
    assert "broken.yaml" in capsys.readouterr().out


def test_check_says_where(capsys: Captured, unqualified: str) -> None:
    assert main(["check", unqualified, "--format", "json"]) == 0
    ((checked),) = json.loads(capsys.readouterr().out)
    first = checked["diagnostics"][0]
    assert first["code"] == "operation-unqualified"
    assert first["severity"] == "warning"
    line = Path(first["position"]["file"]).read_text().splitlines()[first["position"]["line"] - 1]
    assert line[first["position"]["column"] - 1 :] == "createMeterDefinition"


def test_plans_parse_back(capsys: Captured) -> None:
    for path in (PROVISION, LAUNCH, INVOICE):
        assert main(["plan", path]) == 0
        said = capsys.readouterr()
        assert decode_plan(said.out) == compile_workflow(Path(path))[0]
        assert said.err == ""


# --- as a process --------------------------------------------------------------------------------------


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )


MODULE = ("-m", "airflow_arazzo.cli.main")


def test_as_a_process(sandbox: RunningSandbox) -> None:
    run_it = (*MODULE, "run", PROVISION, WORKFLOW, "--connection", connection(sandbox), "--inputs")
    good = process(*run_it, json.dumps(INPUTS))
    assert (good.returncode, good.stderr) == (0, b"")
    assert good.stdout.endswith(b"succeeded\n")
    assert process(*run_it, "{}").returncode == 1
    bad = process(*run_it, "{")
    assert (bad.returncode, bad.stdout) == (2, b"")
    assert bad.stderr.count(b"\n") == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_output_where_only_ascii_can_be_written(sandbox: RunningSandbox, form: str) -> None:
    found = process(
        *MODULE, "run", PROVISION, WORKFLOW, "--inputs", json.dumps({**INPUTS, "customerId": "c-ü"}),
        "--connection", connection(sandbox), "--format", form, PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout.isascii()
    if form == "json":
        assert json.loads(found.stdout)["outputs"]["customerId"] == "c-ü"


def test_output_that_nobody_reads() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    found = subprocess.run(
        [sys.executable, *MODULE, "plan", LAUNCH], cwd=REPOSITORY, stdout=writer, stderr=subprocess.PIPE,
        timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    os.close(writer)
    assert (found.returncode, found.stderr) == (1, b"")


@pytest.mark.parametrize(
    "command", [["check", LAUNCH], ["plan", LAUNCH], ["run", LAUNCH, "launch-usage-based-product"]]
)
def test_airflow_is_not_imported(command: list[str]) -> None:
    """It takes seconds; the same commands exist under ``airflow arazzo`` for who has paid that already."""
    code = (
        "import sys; from airflow_arazzo.cli.main import main; main(sys.argv[1:]); "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('airflow', 'sqlalchemy')))"
    )
    found = process("-c", code, *command)
    assert found.stdout.splitlines()[-1] == b"[]"


def test_check_does_not_load_what_only_running_needs() -> None:
    found = process("-X", "importtime", *MODULE, "check", LAUNCH)
    assert found.returncode == 0
    imported = re.findall(rb"\|\s+([\w.]+)$", found.stderr, re.MULTILINE)
    assert b"airflow_arazzo.plan.compiler" in imported
    assert {b"airflow", b"aiohttp", b"asyncio", b"jsonschema"}.isdisjoint(imported)


# --- what a person reads after a failure ---------------------------------------------------------------


def test_a_refusal_says_why_and_what_to_do(sandbox: RunningSandbox, capsys: Captured) -> None:
    sandbox.add_fault("error", path="/customers", status=400, effect=False)
    assert run(sandbox) == 1
    first, failed, advice = capsys.readouterr().out.splitlines()
    assert first.startswith(f"✗ createCustomer  POST {sandbox.url}/customers → 400 in ")
    assert failed.endswith('the service says: "An injected fault" (code BAD_REQUEST) [criteria]')
    assert advice == (
        "What to do: put right what the service refused, then run it again. With 'log_bodies' in the "
        "connection's extra, requests and responses are shown."
    )


def test_who_runs_it_again_is_told_what_that_repeats(sandbox: RunningSandbox, capsys: Captured) -> None:
    sandbox.add_fault("error", path="/payments/*", status=400, effect=False)
    sandbox.add_fault("error", path="/payments-*", status=400, effect=False)
    assert run(sandbox) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("✓ ")
    assert said[-1].endswith("There is no ledger here: running it again sends again what took effect.")


def test_a_service_that_is_out_of_reach(capsys: Captured) -> None:
    assert run() == 1
    first, failed, advice = capsys.readouterr().out.splitlines()
    assert first == "✗ createCustomer  POST http://127.0.0.1:9/customers"
    assert "[not-sent]" in failed
    assert advice == (
        "What to do: check the host in the connection, and whether the service can be reached from here."
    )


def test_without_a_connection_the_message_says_how_to_give_one(capsys: Captured) -> None:
    assert main(["run", PROVISION, WORKFLOW, "--inputs", json.dumps(INPUTS)]) == 1
    said = capsys.readouterr().out
    assert 'there is no such connection: set AIRFLOW_CONN_BILLINGAPI=\'{"conn_type":"arazzo",' in said
    assert "or give it with --connection 'billingApi={" in said
    bare = "billingApi=" + json.dumps({"conn_type": "arazzo", "host": "http://127.0.0.1:9"})
    assert main(["run", PROVISION, WORKFLOW, "--inputs", json.dumps(INPUTS), "--connection", bare]) == 1
    assert "AIRFLOW_CONN" not in capsys.readouterr().out


def test_bodies_are_shown_where_the_connection_asks_for_them(
    sandbox: RunningSandbox, capsys: Captured
) -> None:
    sandbox.add_fault("content_type", path="/customers", content_type="application/json", body=f'"{KEY}"')
    for shown in (False, True):
        extra = {"extra": {"log_bodies": shown}}
        given = ["--inputs", json.dumps(INPUTS), "--connection", connection(sandbox, **extra)]
        main(["run", PROVISION, WORKFLOW, *given])
        said = capsys.readouterr().err
        assert ("createCustomer: body of the request: {" in said) is shown
        assert ('createCustomer: body of the response: "***"' in said) is shown
        assert KEY not in said
