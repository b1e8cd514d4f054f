"""How the tasks of a DAG look: names, kinds, documentation, and the buttons that lead elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import end, goto, retry, workflow

from airflow_arazzo.links import web_address

OPERATIONS = ["GET /a", "POST /b", "POST /a-very-long-path-that-nobody-would-want-to-read"]


def stored(dag: Any) -> Any:
    """The DAG as the API server has it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def test_names_and_kinds(workflow_dag: Any) -> None:
    steps = [
        {"stepId": "a"},
        {"stepId": "b"},
        {"stepId": "long", "operationId": OPERATIONS[2].split()[1].strip("/")},
        {"stepId": "theoperationa", "operationId": "a"},
        {"stepId": "poll", "operationId": "a", "onSuccess": [goto("again", "poll", "$statusCode == 202")]},
    ]
    tasks = stored(workflow_dag(workflow("w", *steps), operations=OPERATIONS)).task_dict
    assert {name: task.task_display_name for name, task in tasks.items()} == {
        "a": "a: The operation /a",
        "b": "b: The operation /b",
        "long": "long",
        "theoperationa": "theoperationa",
        "poll": "poll: The operation /a",
    }
    assert [task.operator_name for task in tasks.values()] == [
        "GET, reads",
        "POST, effect",
        "POST, effect",
        "GET, reads",
        "loop",
    ]
    assert {task.task_type for task in tasks.values()} == {"ArazzoStepOperator"}


def test_a_loop_and_a_call(workflow_dag: Any) -> None:
    called = workflow("inner", {"stepId": "x", "operationId": "b"})
    steps = [
        {"stepId": "a"},
        {"stepId": "c", "operationId": "a", "onSuccess": [goto("back", "a", "$statusCode == 202")]},
        {"stepId": "call", "workflowId": "inner", "onFailure": [retry("again")]},
    ]
    dag = stored(workflow_dag(workflow("w", *steps), called, operations=OPERATIONS))
    assert [(task.task_display_name, task.operator_name) for task in dag.tasks] == [
        ("loop: a, c", "loop"),
        ("call", "calls a workflow"),
    ]


def test_the_documentation_says_where_the_ways_go(workflow_dag: Any) -> None:
    steps = [
        {
            "stepId": "a",
            "onSuccess": [goto("over", "c", "$statusCode == 200 || $statusCode == 201"), end("done")],
            "onFailure": [retry("again", retryAfter=5, retryLimit=3), end("stop", "$statusCode == 404")],
        },
        {"stepId": "b", "onSuccess": [goto("on", "c", "$statusCode == 202")]},
        {"stepId": "c", "operationId": "a", "outputs": {"n": "$response.body#/n"}},
    ]
    outputs = {"n": "$steps.c.outputs.n"}
    text = workflow_dag(workflow("w", *steps, outputs=outputs), operations=OPERATIONS).doc_md
    a, b = [line for line in text.splitlines() if line.startswith(("| 1 |", "| 2 |"))]
    assert a.split(" | ")[3] == (
        "go to `c` if `$statusCode == 200 \\|\\| $statusCode == 201`; end; "
        "failed: retry 3 times, 5 s apart; failed: end if `$statusCode == 404`"
    )
    assert b.split(" | ")[3] == "go to `c` if `$statusCode == 202`; else on to `c`"
    assert "| `n` | `$steps.c.outputs.n` |" in text


def links(dag: Any, task_id: str) -> dict[str, str]:
    """What the API server has for a task's buttons; the scheduler, which may have run here, has none."""
    from airflow.serialization.serialized_objects import DagSerialization

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DagSerialization, "_load_operator_extra_links", True)
        task = stored(dag).get_task(task_id)

    class Instance:
        key = None

    return {name: task.get_extra_links(Instance(), name) for name in task.extra_links}


def test_buttons(workflow_dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "a"}, {"stepId": "b"}), operations=OPERATIONS)
    first, second = dag.tasks
    first.documentation = "https://docs.example.com/a"
    second.documentation = "javascript:alert(1)"
    assert links(dag, "a") == {"API documentation": "https://docs.example.com/a", "Arazzo document": ""}
    assert links(dag, "b") == {"API documentation": "", "Arazzo document": ""}
    template = "https://git.example.com/x/{file}#L{line}"
    monkeypatch.setenv("AIRFLOW__ARAZZO__SOURCE_URL", template)
    line = dag.plan.root.steps[0].line
    assert links(dag, "a")["Arazzo document"] == f"https://git.example.com/x/flow.arazzo.json#L{line}"


def test_only_web_pages_are_linked() -> None:
    assert web_address(" https://a.example/x ") == "https://a.example/x"
    for each in (None, "", "javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a b"):
        assert web_address(each) == ""


def test_the_operator_that_the_links_name_is_ours() -> None:
    from airflow_arazzo.links import STEP_OPERATOR
    from airflow_arazzo.operators.step import ArazzoStepOperator

    ours = (ArazzoStepOperator.__name__, ArazzoStepOperator.__module__)
    assert (STEP_OPERATOR.__name__, STEP_OPERATOR.__module__) == ours
