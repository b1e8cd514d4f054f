"""What the log of a task tells a person, in order, and how it ends when the task fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from scripted import KEY, Answer, ScriptedApi, end, workflow

from airflow_arazzo.cli.main import main
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.operators.advice import what_to_do

INPUTS = {
    "type": "object",
    "properties": {"who": {"type": "string"}, "when": {"type": "string"}, "amount": {"type": "number"}},
}


def told(ran: Any) -> list[str]:
    """What the operator wrote into its log."""
    lines = [line for line in ran.log.splitlines() if "ArazzoStepOperator]" in line]
    return [line.split("]", 1)[1].split(" [airflow.task")[0].strip() for line in lines]


def order(**fields: Any) -> dict[str, Any]:
    payload = {"who": "$inputs.who"}
    return {
        "stepId": "a",
        "requestBody": {"contentType": "application/json", "payload": payload},
        "successCriteria": [
            {"condition": "$statusCode == 200"},
            {"condition": "$response.body#/state == 'done'"},
        ],
        "outputs": {"id": "$response.body#/id"},
        **fields,
    }


@pytest.mark.parametrize("bodies", [False, True])
def test_the_story_in_order(workflow_dag: Any, run_dag: Any, api: ScriptedApi, bodies: bool) -> None:
    step = order(onSuccess=[end("finish")])
    dag = workflow_dag(workflow("w", step, inputs=INPUTS), operations=["POST /a"])
    api.answer("/a", {"state": "done", "id": f"id {KEY}"})
    connection = api.connection(extra={"log_bodies": bodies})
    ran = run_dag(dag, {"who": "acme", "amount": 10.1}, connections={"api": connection})
    assert ran.state == "success"
    inputs, output = ('who="acme", amount=10.1', 'id="id ***"') if bodies else ("who, amount", "id")
    texts = [text for text in told(ran) if "body of the" not in text]
    texts[3] = re.sub(r"\d+ ms", "1 ms", texts[3])
    assert texts == [
        "step 'a' of workflow 'w': a, POST /a of api",
        f"inputs: {inputs}; left empty: when",
        "a: POST /a",
        "a: status 200, 53 bytes, after 1 ms",
        "a: criterion holds: $statusCode == 200: 200 == 200 is true",
        "a: criterion holds: $response.body#/state == 'done': 'done' == 'done' is true",
        "a: success action 'finish': end",
        f"outputs: {output}",
    ]


LOOKED_UP = "find out at the service whether it happened"


@pytest.mark.parametrize(
    ("answer", "known", "advice"),
    [
        (Answer(200, {"state": "open"}), "'open' == 'done' is false", "nothing is sent again"),
        (Answer(422), "422 == 200 is false", "the request is sent anew"),
        (Answer(422, {"message": "no credit"}), 'the service says: "no credit" [', "is sent anew"),
        (Answer(403), "403 == 200 is false", "check the credentials in the connection"),
        (Answer(500), "whether the request took effect is unknown", LOOKED_UP),
        (Answer(429), "429 == 200 is false", "put right what is wrong, then clear this task"),
    ],
    ids=["effect", "refused", "refused with words", "forbidden", "unknown", "limited for the last time"],
)
def test_a_failure_says_what_to_do(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, answer: Answer, known: str, advice: str
) -> None:
    dag = workflow_dag(
        workflow("w", order(), inputs=INPUTS),
        operations=["POST /a"],
        ledger=True,
        default_args={"retries": 0},
    )
    api.answer("/a", answer)
    ran = run_dag(dag, {"who": "acme"}, connections={"api": api.connection()})
    assert ran.states == {"a": "failed"}
    (line,) = [line for line in ran.log.splitlines() if line.startswith("What to do: ")]
    assert advice in line
    before = ran.log[: ran.log.index("What to do: ")].splitlines()[-1]
    assert known in before
    assert "step 'a'" in before


def test_an_unknown_outcome_names_its_key(
    workflow_dag: Any,
    run_dag: Any,
    api: ScriptedApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARAZZO_LEDGER", f"sqlite:///{tmp_path}/story.db")
    dag = workflow_dag(workflow("w", order(), inputs=INPUTS), operations=["POST /a"], ledger=True)
    api.answer("/a", Answer(500))
    ran = run_dag(dag, {"who": "acme"}, connections={"api": api.connection()})
    (key,) = re.findall("ledger resolve ([0-9a-f]{12}) --happened", ran.log)
    assert main(["ledger", "resolve", key, "--happened", "--reason", "found it"]) == 0
    again = run_dag(dag, {"who": "acme"}, connections={"api": api.connection()})
    assert "ledger resolve KEY" not in ran.log + again.log


def test_an_unknown_outcome_that_the_ledger_does_not_have() -> None:
    """Signing in, say, is not among what the ledger keeps: nobody is sent there for a key that is none."""
    failure = Failure("outcome-unknown", "status 500", "a", fate="unknown")
    advice = what_to_do(failure, ledger=True, only_safe=False, again=False)
    assert "what the ledger does not have is sent again" in advice
    assert "KEY" not in advice


def test_the_words_of_a_service_hold_no_secret_and_no_input(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    dag = workflow_dag(workflow("w", order(), inputs=INPUTS), operations=["POST /a"])
    connection = api.connection(password="open sesame")
    api.answer("/a", Answer(400, {"message": "the key open sesame is wrong"}))
    ran = run_dag(dag, {"who": "somebody"}, connections={"api": connection})
    assert 'the service says: "the key *** is wrong"' in ran.log
    api.answer("/a", Answer(400, {"message": "Somebody owes us", "code": "blocked"}))
    ran = run_dag(dag, {"who": "somebody"}, connections={"api": connection})
    assert "the service says: code blocked [" in ran.log
    assert "somebody owes" not in ran.log.lower()


def test_airflow_runs_it_again(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(
        workflow("w", order(), inputs=INPUTS), operations=["POST /a"], default_args={"retries": 1}
    )
    api.answer("/a", Answer(429))
    ran = run_dag(dag, {"who": "acme"}, connections={"api": api.connection()})
    first, last = [line for line in ran.log.splitlines() if line.startswith("What to do: ")]
    assert "Airflow runs this task again by itself" in first
    assert "then clear this task" in last


def test_what_is_no_json(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(workflow("w", order(), inputs=INPUTS), operations=["POST /a"])
    api.answer("/a", Answer(200, b"<h1>Log in</h1>", {"Content-Type": "text/html; charset=utf-8"}))
    ran = run_dag(dag, {"who": "acme"}, connections={"api": api.connection()})
    assert "a: status 200, 15 bytes of text/html, after" in ran.log


def test_without_a_ledger_a_clear_sends_again(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(workflow("w", order(), inputs=INPUTS), operations=["POST /a"], ledger=False)
    api.answer("/a", Answer(500))
    ran = run_dag(dag, {"who": "acme"}, connections={"api": api.connection()})
    assert "Without a ledger, clearing this task sends its requests again." in ran.log


def test_compared_values_are_masked(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(workflow("w", order(), inputs=INPUTS), operations=["POST /a"])
    api.answer("/a", {"state": f"failed for {KEY}"})
    ran = run_dag(dag, {"who": "acme"}, connections={"api": api.connection()})
    assert "'failed for ***' == 'done' is false" in ran.log
    assert KEY not in ran.log
