"""The tab that draws a workflow: in Airflow's own API app, with and without a login."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from scripted import Answer, ScriptedApi, goto, retry, workflow, write

from airflow_arazzo.view.picture import Drawn, page

EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Callable[..., Any]]:
    """Asks the API app: ``browser(path, user=…, cookie=…)``; a role of the user, none for nobody."""
    from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from starlette.testclient import TestClient

    app = create_app(apps="core")

    with TestClient(app, base_url="http://testserver") as client:

        def ask(path: str, role: str | None = None, *, cookie: bool = False, token: str = "") -> Any:
            client.cookies.clear()
            if role is not None:
                token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="u", role=role))
            if token and cookie:
                client.cookies.set("_token", token)
            headers = {"Authorization": f"Bearer {token}"} if token and not cookie else {}
            return client.get(path, headers=headers)

        yield ask
    purge_cached_app()


STEPS = [
    {
        "stepId": "a",
        "onSuccess": [goto("over", "c", "$statusCode == 202")],
        "onFailure": [retry("again", "$statusCode == 404", retryLimit=2)],
    },
    {"stepId": "b", "operationId": "a"},
    {"stepId": "c", "operationId": "a"},
]


@pytest.fixture
def ran(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> Any:
    api.answer("/a", Answer(202), Answer(200))
    dag = workflow_dag(workflow("w", *STEPS), operations=["GET /a"], dag_id="tabbed")
    return run_dag(dag, connections={"api": api.connection()})


def paths(ran: Any) -> list[str]:
    dag = f"/arazzo/dags/{ran.run.dag_id}"
    return [dag, f"{dag}/runs/{quote(ran.run.run_id, safe='')}"]


def test_nobody_sees_it_without_a_login(ran: Any, browser: Any) -> None:
    for path in [*paths(ran), "/arazzo/dags/nope", "/arazzo/dags/nope/runs/x"]:
        assert browser(path).status_code == 401
        assert browser(path, token="a.b.c").status_code == 403
        assert browser(path, token="a.b.c", cookie=True).status_code in (401, 403)


def test_nobody_sees_it_without_permission(ran: Any, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    for path in paths(ran):
        assert browser(path, "viewer").status_code == 200
    asked: list[Any] = []

    def refuse(self: Any, **kwargs: Any) -> bool:
        asked.append((kwargs["access_entity"].name, kwargs["details"].id))
        return False

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", refuse)
    for path in paths(ran):
        assert browser(path, "viewer").status_code == 403
    assert {each[1] for each in asked} == {ran.run.dag_id}


def test_a_run_shows_the_way_that_it_took(ran: Any, browser: Any) -> None:
    assert ran.states == {"a": "success", "b": "skipped", "c": "success"}
    dag, run = (browser(path, "viewer", cookie=True) for path in paths(ran))
    assert "taken'" not in dag.text
    assert ">→ c if $statusCode == 202</text>" in dag.text
    assert ">otherwise → b</text>" in dag.text
    assert ">failed: retry, at most 2 if $statusCode == 404</text>" in dag.text
    assert "class='small taken'><title>→ c if" in run.text
    assert "class='small'><title>otherwise → b" in run.text
    assert "a  (success)" in run.text
    assert "b  (skipped)" in run.text
    for answer in (dag, run):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_what_is_not_there(ran: Any, browser: Any) -> None:
    assert browser("/arazzo/dags/nope", "viewer").status_code == 404
    assert browser(f"{paths(ran)[0]}/runs/nope", "viewer").status_code == 404
    assert browser(f"/arazzo/dags/nope/runs/{ran.run.run_id}", "viewer").status_code == 404


def test_everything_is_escaped() -> None:
    way = {"to": EVIL, "when": EVIL, "failed": True}
    text = page(EVIL, [Drawn(EVIL, EVIL, (way, {"workflow": EVIL}, {"retry": 1, "when": EVIL}), EVIL, EVIL)])
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_loop_is_drawn_with_all_its_steps(workflow_dag: Any) -> None:
    back = {"stepId": "b", "operationId": "a", "onSuccess": [goto("more", "a", "$statusCode == 202")]}
    dag = workflow_dag(
        workflow("w", {"stepId": "a"}, back, {"stepId": "c", "operationId": "a"}), operations=["GET /a"]
    )
    known = [json.loads(task.doc_json) for task in dag.tasks]
    assert [[step["id"] for step in each["steps"]] for each in known] == [["a", "b"], ["c"]]
    assert known[0]["steps"][1]["ways"] == [
        {"to": "a", "when": "$statusCode == 202", "failed": False},
        {"to": "c", "when": "", "failed": False},
    ]


def test_steps_of_called_workflows_lead_on_behind_the_calling_step(workflow_dag: Any) -> None:
    inner = workflow("inner", {"stepId": "x", "operationId": "a"}, {"stepId": "y", "operationId": "a"})
    outer = workflow("w", {"stepId": "call", "workflowId": "inner"}, {"stepId": "last", "operationId": "a"})
    dag = workflow_dag(outer, inner, operations=["GET /a"])
    steps = [step for task in dag.tasks for step in json.loads(task.doc_json)["steps"]]
    assert {step["id"]: [way["to"] for way in step["ways"]] for step in steps} == {
        "call/x": ["call/y"],
        "call/y": ["last"],
        "last": [""],
    }


def test_two_groups_with_steps_of_the_same_name(
    tmp_path: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, browser: Any
) -> None:
    path = write(tmp_path, workflow("w", *STEPS), operations=["GET /a"])
    source = (
        "from airflow.sdk import DAG\nfrom airflow_arazzo import ArazzoTaskGroup\n"
        "with DAG('two', schedule=None) as dag:\n"
        f"    [ArazzoTaskGroup({str(path)!r}, group_id=each) for each in ('one', 'other')]\n"
    )
    ran = run_dag(dag_file("two", source).dag, connections={"api": api.connection()})
    assert ran.state == "success"
    text = browser(paths(ran)[1], "viewer").text
    for group in ("one", "other"):
        assert f">{group}.a  (success)</text>" in text
        assert f"class='small taken'><title>otherwise → {group}.b" in text
