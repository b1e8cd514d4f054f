"""Lookups that settle unknown outcomes, over real faults of the sandbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import Done, Machine, Send, Wait, begin
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.run import drive
from airflow_arazzo.engine.state import decode_state, encode_state
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.ledger.book import GRACE, Book
from airflow_arazzo.ledger.declare import declare
from airflow_arazzo.ledger.exchange import LedgeredExchange
from airflow_arazzo.ledger.keys import Identity
from airflow_arazzo.ledger.model import EffectUnderWay, LedgerUnavailable, Outcome
from airflow_arazzo.ledger.probe import next_look
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.ledger.tables import encode_response
from airflow_arazzo.plan.codec import decode_plan, encode_plan
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import DEFAULT_WAIT, Plan
from airflow_arazzo.plan.options import Options
from sandbox.testing import RunningSandbox, running_sandbox
from tests.integration.safety import Clock, until

TIMEOUT = 0.5
SECURED = {
    "components": {
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
            "token": {"type": "http", "scheme": "bearer"},
        }
    }
}


def operation(name: str, content: str = "", scheme: str = "token", *parameters: str) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": name, "security": [{scheme: []}]}
    if content:
        described["requestBody"] = {"content": {content: {}}}
    places = [each.split() for each in parameters]
    described["parameters"] = [
        {"in": place, "name": name, "required": place == "path", "schema": {}} for place, name in places
    ]
    return described


FORM = "application/x-www-form-urlencoded"
API = {
    "openapi": "3.1.0",
    "info": {"title": "api", "version": "1"},
    "servers": [{"url": "https://api.example"}],
    **SECURED,
    "paths": {
        "/v1/invoices": {
            "post": operation("createInvoice", FORM),
            "get": operation("listInvoices", "", "token", "query customer"),
        },
        "/customers": {"post": operation("createCustomer", "application/json", "key")},
        "/customers/{id}": {"get": operation("getCustomer", "", "key", "path id")},
    },
}
INVOICE = {
    "stepId": "bill",
    "operationId": "createInvoice",
    "requestBody": {
        "contentType": FORM,
        "payload": {"customer": "$inputs.who", "description": "$inputs.ref"},
    },
    "outputs": {"id": "$response.body#/id"},
}
CUSTOMER = {
    "stepId": "bill",
    "operationId": "createCustomer",
    "requestBody": {"payload": {"customerId": "$inputs.who", "customerName": "$inputs.ref"}},
    "outputs": {"name": "$response.body#/customerName"},
}
LIST = {
    "operationId": "listInvoices",
    "parameters": [{"name": "customer", "in": "query", "value": "$request.body#/customer"}],
    "happened": ["$response.body#/data/0/description == $inputs.ref"],
    "not_happened": ["$response.body#/data/0 == null", "$response.body#/has_more == false"],
}
GET = {
    "operationId": "getCustomer",
    "parameters": [{"name": "id", "in": "path", "value": "$inputs.who"}],
    "happened": ["$response.body#/customerId == $inputs.who"],
    "not_happened": ["$statusCode == 404"],
    "response": True,
}


def planned(folder: Path, step: dict[str, Any], probe: dict[str, Any] | None, **more: Any) -> Plan:
    """The plan of one step, as a cache would give it back."""
    (folder / "api.json").write_text(json.dumps(API))
    properties = {"who": {"type": "string"}, "ref": {"type": "string"}}
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "flow", "version": "1"},
        "sourceDescriptions": [{"name": "api", "url": "api.json", "type": "openapi"}],
        "workflows": [
            {
                "workflowId": "w",
                "inputs": {"type": "object", "required": ["who", "ref"], "properties": properties},
                "steps": [step],
                "outputs": {name: f"$steps.bill.outputs.{name}" for name in step.get("outputs", {})},
                **more,
            }
        ],
    }
    path = folder / "flow.arazzo.json"
    path.write_text(json.dumps(document))
    given = {"bill": probe} if probe is not None else {}
    plan, _ = compile_workflow(path, options=Options(probes=given))
    return decode_plan(encode_plan(plan))


class Task:
    """Attempts at a workflow as a task makes them: one that waits goes on from its state."""

    def __init__(self, sandbox: RunningSandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.clock = Clock(sandbox)
        self.store = Store(f"sqlite:///{folder}/ledger.db", clock=self.clock)
        self.told: list[str] = []
        self.state = ""

    def attempt(self, plan: Plan, *, resume: bool = False) -> Done | Wait:
        inputs = prepare_inputs(plan.root, {"who": "cus_1", "ref": "march"})
        state = decode_state(self.state) if resume else begin(plan, inputs, now=self.clock())
        machine = Machine(plan, state, clock=self.clock, ledger=True)
        amberflo = "createCustomer" in str(encode_plan(plan))
        key = self.sandbox.amberflo_key if amberflo else self.sandbox.stripe_key
        connections = {"api": Connection(id="api", base_url=self.sandbox.url, password=key, timeout=TIMEOUT)}

        async def run() -> Done | Wait:
            async with Transport() as transport:

                async def send(asked: Send) -> Response:
                    return await transport.send(asked.request, plan.sources["api"], connections["api"])

                exchange = LedgeredExchange(
                    send,
                    Book(self.store, sleep=lambda seconds: None),
                    Identity("dag", "march"),
                    plan,
                    connections,
                    secrets=lambda: (key,),
                    scope=machine.scope,
                    tell=self.told.append,
                )
                while True:
                    try:
                        return await drive(machine, exchange, longest_wait=0.0)
                    except EffectUnderWay as busy:
                        machine.put_off(busy.seconds, str(busy))

        done = asyncio.run(run())
        self.state = encode_state(machine.state)
        return done

    def wait(self, plan: Plan, waiting: Done | Wait) -> Done | Wait:
        """Let the time pass that the task wants to wait, and go on."""
        assert isinstance(waiting, Wait)
        self.clock.pass_by(waiting.seconds)
        return self.attempt(plan, resume=True)

    def wait_to_the_end(self, plan: Plan, waiting: Done | Wait) -> tuple[Done, float]:
        """The end, and how long it took until then."""
        begun = self.clock()
        while isinstance(waiting, Wait):
            waiting = self.wait(plan, waiting)
        return waiting, self.clock() - begun

    def requests(self) -> list[str]:
        return [request["method"] for request in self.sandbox.requests()]

    def audit(self) -> list[str]:
        [entry] = self.store.entries()
        return [record["action"] for record in self.store.audit(entry.key)]

    def outcome(self) -> str:
        [entry] = self.store.entries()
        return str(entry.known(self.clock()))


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Task]:
    with running_sandbox() as sandbox:
        sandbox.seed(stripe={"customers": [{"id": "cus_1"}]})
        task = Task(sandbox, tmp_path)
        yield task
        task.store.close()


def failure(done: Done | Wait) -> tuple[str, str]:
    assert isinstance(done, Done)
    assert done.failure is not None
    return done.failure.code, done.failure.message


# --- it happened ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reset", "error", "delay"])
def test_a_lost_response_is_looked_up(task: Task, tmp_path: Path, fault: str) -> None:
    """The lookup's response stands for the lost one, as the deployment says; also for later attempts."""
    plan = planned(tmp_path, CUSTOMER, GET)
    more = {"seconds": 1.0} if fault == "delay" else {}
    task.sandbox.add_fault(fault, when="after", method="POST", **more)
    done = task.attempt(plan)
    assert done == Done("succeeded", {"name": "march"})
    assert task.requests() == ["POST", "GET"]
    assert (task.outcome(), task.audit()) == ("effect", ["probe-happened"])
    assert "it took effect: GET /customers/{id}: status 200; happened if" in task.told[0]
    assert task.attempt(plan) == done
    assert task.requests() == ["POST", "GET"]
    assert task.sandbox.kinds() == ["amberflo.customer.created"]


def test_without_its_response_a_person_is_asked_for_one(task: Task, tmp_path: Path) -> None:
    plan = planned(tmp_path, INVOICE, LIST)
    task.sandbox.add_fault("reset", when="after", method="POST")
    for _ in range(2):
        code, message = failure(task.attempt(plan))
        assert code == "outcome-unknown"
        assert "the effect happened and is not repeated" in message
        assert "--happened --response JSON" in message
    assert task.requests() == ["POST", "GET"]
    assert task.requests().count("POST") == len(task.sandbox.ledger("stripe.invoice.created")) == 1


def test_an_effect_that_comes_late(task: Task, tmp_path: Path) -> None:
    """It was not there at first; that does not count yet."""
    plan = planned(tmp_path, INVOICE, LIST)
    task.sandbox.add_fault("delay", when="before", method="POST", seconds=TIMEOUT * 2)
    waiting = task.attempt(plan)
    assert isinstance(waiting, Wait)
    assert waiting.seconds == pytest.approx(15, abs=1)
    assert waiting.reason.startswith("not known yet whether it took effect (GET /v1/invoices: status 200;")
    assert task.sandbox.kinds() == []
    until(lambda: len(task.sandbox.kinds()) == 1)
    code, message = failure(task.wait(plan, waiting))
    assert (code, "the effect happened" in message) == ("outcome-unknown", True)
    assert task.requests() == ["POST", "GET", "GET"]
    assert task.audit() == ["probe-happened"]


def test_without_waiting_it_would_be_billed_twice(task: Task, tmp_path: Path) -> None:
    """The test above can fail."""
    plan = planned(tmp_path, INVOICE, {**LIST, "wait": 0})
    task.sandbox.add_fault("delay", when="before", method="POST", seconds=TIMEOUT * 2, times=1)
    assert failure(task.attempt(plan))[0] == "not-sent"
    assert isinstance(task.attempt(plan), Done)
    until(lambda: len(task.sandbox.ledger("stripe.invoice.created")) == 2)


# --- it did not happen ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "probe"), [(INVOICE, LIST), (CUSTOMER, GET)])
@pytest.mark.parametrize("wait", [None, 120])
def test_what_had_no_effect_is_sent_anew(
    task: Task, tmp_path: Path, step: dict[str, Any], probe: dict[str, Any], wait: int | None
) -> None:
    plan = planned(tmp_path, step, probe if wait is None else {**probe, "wait": wait})
    task.sandbox.add_fault("reset", when="before", method="POST", times=1)
    done, passed = task.wait_to_the_end(plan, task.attempt(plan))
    code, message = failure(done)
    assert code == "not-sent"
    assert "it was sent and had no effect: GET " in message
    assert passed == pytest.approx(wait or DEFAULT_WAIT, abs=2)
    assert (task.outcome(), task.audit()) == ("not-sent", ["probe-not-happened"])
    assert task.requests().count("POST") == 1
    assert 3 < task.requests().count("GET") < 10
    done = task.attempt(plan)
    assert isinstance(done, Done)
    assert done.status == "succeeded"
    assert task.requests().count("POST") == 2
    assert len(task.sandbox.kinds()) == 1


def test_the_documents_retry_sends_it_anew(task: Task, tmp_path: Path) -> None:
    again = {"name": "again", "type": "retry", "retryAfter": 1, "retryLimit": 1}
    plan = planned(tmp_path, {**CUSTOMER, "onFailure": [again]}, {**GET, "wait": 30})
    task.sandbox.add_fault("error", when="before", method="POST", times=1)
    done, _ = task.wait_to_the_end(plan, task.attempt(plan))
    assert done == Done("succeeded", {"name": "march"})
    assert task.requests().count("POST") == 2
    assert len(task.sandbox.kinds()) == 1


def test_a_service_that_never_works_is_not_asked_for_ever(task: Task, tmp_path: Path) -> None:
    plan = planned(tmp_path, CUSTOMER, {**GET, "wait": 30})
    task.sandbox.add_fault("error", when="before", method="POST")
    for attempts in (1, 2, 3):
        done, _ = task.wait_to_the_end(plan, task.attempt(plan))
        assert failure(done)[0] == "not-sent"
        assert task.requests().count("POST") == attempts


@pytest.mark.parametrize("happened", [False, True])
def test_a_killed_worker(task: Task, tmp_path: Path, happened: bool) -> None:
    """A later attempt sends at once what had no effect, since nothing of its own was lost."""
    plan = planned(tmp_path, CUSTOMER, GET)

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    if happened:
        task.sandbox.add_fault("delay", when="after", method="POST", seconds=0.1, times=1)
    else:
        task.sandbox.add_fault("reset", when="before", method="POST", times=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Book, "close", kill)
        with pytest.raises(Killed):
            task.attempt(plan)
    assert isinstance(task.attempt(plan), Wait)
    task.clock.pass_by(TIMEOUT + GRACE + DEFAULT_WAIT)
    assert task.attempt(plan) == Done("succeeded", {"name": "march"})
    assert task.requests().count("POST") == (1 if happened else 2)
    assert task.audit() == ["probe-happened" if happened else "probe-not-happened"]
    assert len(task.sandbox.kinds()) == 1


@pytest.mark.parametrize("happened", [False, True])
def test_somebody_else_is_quicker(task: Task, tmp_path: Path, happened: bool) -> None:
    """What a person says while the lookup is under way counts, not what the lookup then shows."""
    plan = planned(tmp_path, INVOICE, {**LIST, "wait": 30})
    task.sandbox.add_fault("reset", when="before", method="POST", times=1)
    waiting = task.attempt(plan)
    task.clock.pass_by(40)
    settle, said = Book.settle, []

    def decide_first(book: Book, entry: Any, *given: Any) -> bool:
        said.append(given[0])
        response = Response(200, (("Content-Type", "application/json"),), b'{"id": "in_1"}')
        values: dict[str, Any] = {"outcome": Outcome.NOT_SENT}
        if happened:
            values = {"outcome": Outcome.EFFECT, "response": encode_response(response)}
        assert book.store.decide(entry, "ops", "resolved", "looked", **values)
        return settle(book, entry, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Book, "settle", decide_first)
        done, _ = task.wait_to_the_end(plan, waiting)
    assert said == [False]
    assert done.status == "succeeded"
    assert task.requests().count("POST") == (1 if happened else 2)
    assert task.audit() == ["resolved"]


def test_a_ledger_that_goes_away_after_sending(task: Task, tmp_path: Path) -> None:
    """That it cannot be asked must not look as if nothing had been sent."""
    plan = planned(tmp_path, CUSTOMER, GET)
    task.sandbox.add_fault("reset", when="after", method="POST")

    def away(*_: Any) -> Any:
        raise LedgerUnavailable("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Book, "look", away)
        done = task.attempt(plan)
    assert failure(done)[0] == "outcome-unknown"
    assert task.attempt(plan) == Done("succeeded", {"name": "march"})


# --- nobody knows --------------------------------------------------------------------------------------

UNTOLD: dict[str, dict[str, Any]] = {
    "an error": {"action": "error", "when": "before"},
    "an error in JSON": {"action": "error", "when": "before", "body": '{"data":[],"has_more":false}'},
    "no JSON": {"action": "content_type", "when": "before", "content_type": "application/json"},
    "another type": {"action": "content_type", "when": "before"},
    "a truncated body": {"action": "truncate"},
    "a reset": {"action": "reset"},
    "no answer": {"action": "delay", "seconds": TIMEOUT * 2},
    "a redirect": {"action": "redirect", "location": "http://127.0.0.1:9/"},
    "too many": {"action": "rate_limit"},
    "an echo": {"action": "echo"},
}


@pytest.mark.parametrize("fault", UNTOLD)
def test_a_lookup_that_fails_tells_nothing(task: Task, tmp_path: Path, fault: str) -> None:
    """What is absent equals null, so an error would say that nothing happened."""
    plan = planned(
        tmp_path, INVOICE, {**LIST, "not_happened": ["$response.body#/data/0 == null"], "wait": 30}
    )
    task.sandbox.add_fault("reset", when="after", method="POST", times=1)
    task.sandbox.add_fault(method="GET", **UNTOLD[fault])
    done, passed = task.wait_to_the_end(plan, task.attempt(plan))
    code, message = failure(done)
    assert code == "outcome-unknown"
    assert "The lookup does not tell: GET /v1/invoices: " in message
    assert "ledger resolve" in message or "it is not sent again" in message
    assert task.sandbox.stripe_key not in message
    assert passed >= 29
    assert (task.outcome(), task.audit()) == ("unknown", [])
    assert failure(task.attempt(plan))[0] == "outcome-unknown"
    assert task.requests().count("POST") == 1
    task.sandbox.clear_faults()
    assert "the effect happened" in failure(task.attempt(plan))[1]


@pytest.mark.parametrize(
    ("happened", "not_happened"),
    [
        (["$response.body#/nothing == 1"], []),
        (["$response.body#/nothing == 1"], ["$response.body#/nothing == 2"]),
        (["$statusCode == 200"], ["$statusCode == 200"]),
    ],
)
def test_criteria_that_do_not_tell(
    task: Task, tmp_path: Path, happened: list[str], not_happened: list[str]
) -> None:
    plan = planned(tmp_path, CUSTOMER, {**GET, "happened": happened, "not_happened": not_happened, "wait": 0})
    task.sandbox.add_fault("reset", when="after", method="POST")
    code, message = failure(task.attempt(plan))
    assert (code, "does not tell" in message) == ("outcome-unknown", True)
    assert task.requests() == ["POST", "GET"]


def test_a_lookup_that_cannot_be_built(task: Task, tmp_path: Path) -> None:
    where = [{"name": "id", "in": "path", "value": "$request.header.X-Nothing"}]
    plan = planned(tmp_path, CUSTOMER, {**GET, "parameters": where, "wait": 0})
    task.sandbox.add_fault("reset", when="after", method="POST")
    code, message = failure(task.attempt(plan))
    assert (code, "the lookup failed: path parameter 'id'" in message) == ("outcome-unknown", True)


def test_what_the_document_calls_a_success_is_not_looked_up(task: Task, tmp_path: Path) -> None:
    step = {**CUSTOMER, "outputs": {}, "successCriteria": [{"condition": "$statusCode == 409"}]}
    plan = planned(tmp_path, step, GET)
    task.sandbox.add_fault("error", status=409, when="before", method="POST")
    assert task.attempt(plan) == Done("succeeded")
    assert task.requests() == ["POST"]


def test_a_refusal_is_not_looked_up(task: Task, tmp_path: Path) -> None:
    plan = planned(tmp_path, CUSTOMER, GET)
    task.sandbox.add_fault("error", status=400, when="before", method="POST")
    assert failure(task.attempt(plan))[0] == "criteria"
    assert task.requests() == ["POST"]


# --- keys ----------------------------------------------------------------------------------------------


def test_a_key_that_has_run_out(task: Task, tmp_path: Path) -> None:
    """While the key lives the request is sent again; then it is looked up, by the key that was sent."""
    by_key = {
        **LIST,
        "parameters": [
            *LIST["parameters"],  # type: ignore[misc]
            {"name": "X-Key", "in": "header", "value": "$request.header.Idempotency-Key"},
        ],
    }
    plan = planned(tmp_path, INVOICE, by_key)
    plan = declare(plan, {"api": {"header": "Idempotency-Key", "lifetime": 3600}})
    task.sandbox.add_fault("reset", when="after", method="POST", times=1)
    assert failure(task.attempt(plan))[0] == "no-response"
    assert task.requests() == ["POST"]
    task.clock.pass_by(3600)
    assert "the effect happened" in failure(task.attempt(plan))[1]
    assert task.requests() == ["POST", "GET"]
    post, get = task.sandbox.requests()
    assert ["X-Key", post["idempotency_key"]] in get["headers"]
    assert len(task.sandbox.ledger("stripe.invoice.created")) == 1


# --- what a deployment says ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ({"operationId": "getCustomr"}, "probes['bill']['operationId']:1:1: error: there is no operation"),
        ({"operationId": "createCustomer"}, "probes['bill']['operationId']:1:1: error: POST /customers may"),
        (
            {"operationId": None},
            "probes['bill']:1:1: error: a probe needs one of operationId and operationPath",
        ),
        ({"parameters": []}, "probes['bill']:1:1: error: GET /customers/{id} needs the path parameter 'id'"),
        ({"happened": []}, "probes['bill']['happened']:1:1: error"),
        ({"happened": ["$inputs.whom == 1"]}, "probes['bill']['happened'][0]['condition']:1:9: error"),
        ({"hapened": ["true"]}, "a probe has no field 'hapened' [unknown-field] (did you mean 'happened' or"),
        ({"wait": -1}, "probes['bill']['wait']:1:1: error: 'wait' of a probe must not be negative"),
        ({"wait": "soon"}, "'wait' of a probe must be a number, found"),
        ({"response": "yes"}, "'response' of a probe must be true or false"),
        ({"wait": object()}, "probes:1:1: error: probes must be made of what JSON can hold"),
    ],
)
def test_a_probe_that_is_none(tmp_path: Path, probe: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        planned(tmp_path, CUSTOMER, {**GET, **probe})
    assert said in str(caught.value)


def test_a_probe_for_what_is_no_effect(tmp_path: Path) -> None:
    step = {**GET, "stepId": "bill"}
    for name in ("happened", "not_happened", "response"):
        step.pop(name)
    with pytest.raises(DocumentError, match="sends nothing that could have an effect"):
        planned(tmp_path, step, GET)
    with pytest.raises(DocumentError, match=r"there is no step 'bill'.*did you mean 'bills'"):
        planned(tmp_path, {**CUSTOMER, "stepId": "bills", "outputs": {}}, GET)


def test_when_it_is_looked_again() -> None:
    passed, looks = 0.0, []
    while passed < DEFAULT_WAIT:
        looks.append(next_look(passed, DEFAULT_WAIT))
        passed += looks[-1]
    assert looks == [15, 15, 30, 60, 120, 240, 420]
