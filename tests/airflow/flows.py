"""Small documents for every kind of control flow, the answers of their API, and what must come of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripted import Answer, end, goto, retry, workflow

OPERATIONS = ["POST /a", "POST /b", "POST /c", "POST /d", "POST /e", "GET /poll", "GET /token", "PUT /p"]
N = {"n": "$response.body#/n"}


def body(**members: Any) -> dict[str, Any]:
    """A JSON body."""
    return {"requestBody": {"contentType": "application/json", "payload": members}}


def to_workflow(name: str, workflow_id: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    """A ``goto`` action to a workflow."""
    action = goto(name, "", *conditions)
    del action["stepId"]
    return {**action, "workflowId": workflow_id, **fields}


@dataclass(frozen=True)
class Flow:
    """A run.

    :param workflows: of the document; the first is run.
    :param answers: by path, in turn, the last one again and again; 200 without a body where there are none.
    :param calls: the paths of all requests that must be sent, in order.
    :param waits: seconds between them, where they are not all 0.
    :param tasks: states of Airflow's tasks.
    :param ended_by: name of the action that ends the run.
    :param others: workflows of other documents by source name.
    """

    workflows: Sequence[Mapping[str, Any]]
    calls: str
    tasks: str
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    waits: Sequence[float] = ()
    failed: bool = False
    ended_by: str = ""
    bodies: Mapping[int, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def inputs(**properties: str) -> dict[str, Any]:
    """The schema of inputs by name and type."""
    return {"inputs": {"type": "object", "properties": {n: {"type": t} for n, t in properties.items()}}}


A, B, C, D, E = ({"stepId": name} for name in "abcde")
BUSY = Answer(429, headers={"Retry-After": "3"})
CALLED = workflow("called", {**A, "outputs": N}, B, outputs={"n": "$steps.a.outputs.n"})
POLL = {"stepId": "poll", "outputs": {"done": "$response.body#/done"}}
TOKEN = {"stepId": "token", "outputs": {"t": "$response.body#/t"}}

FLOWS: dict[str, Flow] = {
    "in order": Flow(
        [
            workflow(
                "w",
                {**A, "outputs": N},
                {**B, **body(n="$steps.a.outputs.n")},
                outputs={"n": "$steps.a.outputs.n"},
            )
        ],
        "/a /b",
        "a success, b success",
        answers={"/a": [{"n": 7}]},
        outputs={"n": 7},
        bodies={1: '{"n":7}'},
    ),
    "goto forward": Flow(
        [workflow("w", {**A, "onSuccess": [goto("over", "c")]}, B, C)],
        "/a /c",
        "a success, c success",
    ),
    "goto forward, sometimes": Flow(
        [workflow("w", {**A, "onSuccess": [goto("over", "c", "$statusCode == 201")]}, B, C)],
        "/a /c",
        "a success, b skipped, c success",
        answers={"/a": [201]},
    ),
    "goto forward, not this time": Flow(
        [workflow("w", {**A, "onSuccess": [goto("over", "c", "$statusCode == 201")]}, B, C)],
        "/a /b /c",
        "a success, b success, c success",
    ),
    "overlapping jumps": Flow(
        [
            workflow(
                "w",
                {**A, "onSuccess": [goto("far", "d", "$statusCode == 201")]},
                {**B, "onSuccess": [goto("over", "e", "$statusCode == 201")]},
                C,
                D,
                E,
            )
        ],
        "/a /b /e",
        "a success, b success, c skipped, d skipped, e success",
        answers={"/b": [201]},
    ),
    "overlapping jumps, the other one": Flow(
        [
            workflow(
                "w",
                {**A, "onSuccess": [goto("far", "d", "$statusCode == 201")]},
                {**B, "onSuccess": [goto("over", "e", "$statusCode == 201")]},
                C,
                D,
                E,
            )
        ],
        "/a /d /e",
        "a success, b skipped, c skipped, d success, e success",
        answers={"/a": [201]},
    ),
    "ways that meet again": Flow(
        [
            workflow(
                "w",
                {**A, "onSuccess": [goto("other way", "c", "$statusCode == 201")]},
                {**B, "onSuccess": [goto("over", "d")]},
                C,
                D,
            )
        ],
        "/a /c /d",
        "a success, b skipped, c success, d success",
        answers={"/a": [201]},
    ),
    "goto backward": Flow(
        [
            workflow(
                "w",
                A,
                {**B, "outputs": N},
                {**C, "onSuccess": [goto("again", "b", "$response.body#/more == true")]},
                {**D, **body(n="$steps.b.outputs.n")},
            )
        ],
        "/a /b /c /b /c /d",
        "a success, b success, d success",
        answers={"/b": [{"n": 1}, {"n": 2}], "/c": [{"more": True}, {"more": False}]},
        waits=[0, 0, 30, 0, 0],
        bodies={5: '{"n":2}'},
    ),
    "goto itself": Flow(
        [workflow("w", {**POLL, "onSuccess": [goto("again", "poll", "$response.body#/done != true")]}, A)],
        "/poll /poll /poll /a",
        "poll success, a success",
        answers={
            "/poll": [{"done": False}, Answer(200, {"done": False}, {"Retry-After": "2"}), {"done": True}],
        },
        waits=[30, 2, 0],
    ),
    "a loop that fails": Flow(
        [
            workflow(
                "w",
                {
                    **POLL,
                    "successCriteria": [{"condition": "$response.body#/failed != true"}],
                    "onSuccess": [goto("again", "poll", "$response.body#/done != true")],
                },
                A,
            )
        ],
        "/poll /poll",
        "poll failed, a upstream_failed",
        answers={"/poll": [{"done": False}, {"failed": True}]},
        waits=[30],
        failed=True,
    ),
    "goto a workflow": Flow(
        [
            workflow("w", {**A, "onSuccess": [to_workflow("leave", "other", "$statusCode == 201")]}, B),
            workflow("other", C, {**D, "outputs": N}, outputs={"n": "$steps.d.outputs.n"}),
        ],
        "/a /c /d",
        "a success, b skipped",
        answers={"/a": [201], "/d": [{"n": 7}]},
        outputs={"n": 7},
    ),
    "goto a workflow with parameters": Flow(
        [
            workflow(
                "w",
                {
                    **A,
                    "outputs": N,
                    "onSuccess": [
                        to_workflow(
                            "leave", "other", parameters=[{"name": "x", "value": "$steps.a.outputs.n"}]
                        )
                    ],
                },
                **inputs(x="integer", y="string"),
            ),
            workflow("other", {**C, **body(x="$inputs.x", y="$inputs.y")}, **inputs(x="integer", y="string")),
        ],
        "/a /c",
        "a success",
        answers={"/a": [{"n": 7}]},
        inputs={"x": 1, "y": "kept"},
        bodies={1: '{"x":7,"y":"kept"}'},
        document={"arazzo": "1.1.0"},
    ),
    "goto a workflow that leads back": Flow(
        [
            workflow("w", {**A, "onSuccess": [to_workflow("leave", "other")]}),
            workflow("other", {**C, "onSuccess": [to_workflow("back", "w", "$statusCode == 201")]}),
        ],
        "/a /c /a /c",
        "a success",
        answers={"/c": [201, 200]},
        waits=[0, 30, 30],
    ),
    "goto a workflow of another document": Flow(
        [workflow("w", A, {**B, "onSuccess": [to_workflow("leave", "$sourceDescriptions.more.other")]}, C)],
        "/a /b /d",
        "a success, b success",
        answers={"/d": [{"n": 7}]},
        outputs={"n": 7},
        others={"more": [workflow("other", {**D, "outputs": N}, outputs={"n": "$steps.d.outputs.n"})]},
    ),
    "end on success": Flow(
        [
            workflow(
                "w",
                {**A, "outputs": N, "onSuccess": [end("enough", "$statusCode == 200")]},
                B,
                outputs={"n": "$steps.a.outputs.n"},
            )
        ],
        "/a",
        "a success, b skipped",
        answers={"/a": [{"n": 7}]},
        outputs={"n": 7},
    ),
    "end on failure": Flow(
        [workflow("w", {**A, "onFailure": [end("stop")]}, B)],
        "/a",
        "a failed, b upstream_failed",
        answers={"/a": [404]},
        failed=True,
        ended_by="stop",
    ),
    "failure without an action": Flow(
        [workflow("w", A, B, C)],
        "/a /b",
        "a success, b failed, c upstream_failed",
        answers={"/b": [404]},
        failed=True,
    ),
    "a failure that a goto handles": Flow(
        [workflow("w", {**A, "onFailure": [goto("repair", "c")]}, B, C)],
        "/a /c",
        "a success, b skipped, c success",
        answers={"/a": [404]},
    ),
    "criteria that do not hold": Flow(
        [
            workflow(
                "w",
                {
                    **A,
                    "successCriteria": [
                        {"condition": "$statusCode == 200"},
                        {"condition": "$response.body#/n > 10"},
                    ],
                    "onFailure": [goto("small", "c", "$response.body#/n < 5"), goto("medium", "d")],
                },
                B,
                C,
                D,
            )
        ],
        "/a /d",
        "a success, b skipped, c skipped, d success",
        answers={"/a": [{"n": 7}]},
    ),
    "retry": Flow(
        [workflow("w", {**A, "onFailure": [retry("again", retryAfter=2, retryLimit=5)]}, B)],
        "/a /a /a /b",
        "a success, b success",
        answers={"/a": [404, BUSY, 200]},
        waits=[2, 3, 0],
    ),
    "retry after a long while": Flow(
        [workflow("w", {**A, "onFailure": [retry("again", retryAfter=3600)]}, B)],
        "/a /a /b",
        "a success, b success",
        answers={"/a": [404, 200]},
        waits=[3600, 0],
    ),
    "retry at a date": Flow(
        [workflow("w", {**A, "onFailure": [retry("again", retryAfter=2)]})],
        "/a /a",
        "a success",
        answers={"/a": [Answer(429, headers={"Retry-After": "Sun, 15 Jun 2025 15:07:40 GMT"}), 200]},
        waits=[60],
    ),
    "exhausted retry": Flow(
        [workflow("w", {**A, "onFailure": [retry("again", retryLimit=2), goto("over", "c")]}, B, C)],
        "/a /a /a /c",
        "a success, b skipped, c success",
        answers={"/a": [404]},
    ),
    "exhausted retry, and nothing else": Flow(
        [workflow("w", {**A, "onFailure": [retry("again", retryLimit=2)]}, B)],
        "/a /a /a",
        "a failed, b upstream_failed",
        answers={"/a": [404]},
        failed=True,
    ),
    "retry of what may have been billed": Flow(
        [workflow("w", {**A, "onFailure": [retry("again", retryLimit=3), goto("over", "c")]}, B, C)],
        "/a",
        "a failed, b upstream_failed, c upstream_failed",
        answers={"/a": [500, 200]},
        failed=True,
    ),
    "retry of what is safe": Flow(
        [workflow("w", {"stepId": "p", "onFailure": [retry("again", retryLimit=3)]}, B)],
        "/p /p /b",
        "p success, b success",
        answers={"/p": [500, 200]},
    ),
    "a step before a retry": Flow(
        [
            workflow(
                "w",
                TOKEN,
                {**B, **body(t="$steps.token.outputs.t"), "onFailure": [retry("renew", stepId="token")]},
                {**C, **body(t="$steps.token.outputs.t")},
            )
        ],
        "/token /b /token /b /c",
        "token success, b success, c success",
        answers={"/token": [{"t": 1}, {"t": 2}], "/b": [401, 200]},
        bodies={1: '{"t":1}', 3: '{"t":2}', 4: '{"t":2}'},
    ),
    "a workflow before a retry": Flow(
        [
            workflow(
                "w",
                {
                    **A,
                    "onFailure": [
                        retry("renew", workflowId="renewal", parameters=[{"name": "x", "value": 7}])
                    ],
                },
                B,
            ),
            workflow("renewal", {**C, **body(x="$inputs.x")}, **inputs(x="integer")),
        ],
        "/a /c /a /b",
        "a success, b success",
        answers={"/a": [404, 200]},
        bodies={1: '{"x":7}'},
        document={"arazzo": "1.1.0"},
    ),
    "a step before a retry that fails": Flow(
        [
            workflow(
                "w",
                TOKEN,
                {**B, "onFailure": [retry("renew", stepId="token", retryLimit=3), goto("over", "d")]},
                C,
                D,
            )
        ],
        "/token /b /token /d",
        "token success, b success, c skipped, d success",
        answers={"/token": [{"t": 1}, 404], "/b": [401]},
    ),
    "a workflow in a workflow": Flow(
        [
            workflow(
                "w", {"stepId": "call", "workflowId": "called"}, {**C, **body(n="$steps.call.outputs.n")}
            ),
            CALLED,
        ],
        "/a /b /c",
        "call.a success, call.b success, c success",
        answers={"/a": [{"n": 7}]},
        bodies={2: '{"n":7}'},
    ),
    "workflows in workflows in workflows": Flow(
        [
            workflow("w", {"stepId": "call", "workflowId": "middle"}, E),
            workflow(
                "middle",
                C,
                {"stepId": "deeper", "workflowId": "called", "onFailure": [goto("over", "d")]},
                B,
                D,
            ),
            workflow("called", {**A, "onFailure": [end("stop")]}),
        ],
        "/c /a /d /e",
        "call.c success, call.deeper.a success, call.b skipped, call.d success, e success",
        answers={"/a": [404]},
    ),
    "a workflow that fails in a workflow": Flow(
        [
            workflow("w", {"stepId": "call", "workflowId": "called"}, C),
            workflow("called", {**A, "onFailure": [end("stop")]}),
        ],
        "/a",
        "call.a failed, c upstream_failed",
        answers={"/a": [404]},
        failed=True,
        ended_by="stop",
    ),
    "a workflow of another document": Flow(
        [workflow("w", {"stepId": "call", "workflowId": "$sourceDescriptions.more.called"}, C)],
        "/a /b /c",
        "call.a success, call.b success, c success",
        others={"more": [CALLED]},
    ),
    "workflow dependsOn": Flow(
        [
            workflow(
                "w",
                {**B, **body(n="$workflows.before.outputs.n")},
                {"stepId": "call", "workflowId": "inner"},
                dependsOn=["before"],
            ),
            workflow("before", {**A, "outputs": N}, outputs={"n": "$steps.a.outputs.n"}),
            workflow("inner", {**D, **body(n="$workflows.before.outputs.n")}, dependsOn=["before"]),
        ],
        "/a /b /d",
        "b success, call.d success",
        answers={"/a": [{"n": 7}]},
        bodies={1: '{"n":7}', 2: '{"n":7}'},
    ),
    "a dependency that fails": Flow(
        [workflow("w", B, dependsOn=["before"]), workflow("before", A)],
        "/a",
        "b failed",
        answers={"/a": [404]},
        failed=True,
    ),
    "step dependsOn": Flow(
        [workflow("w", A, {**B, "dependsOn": ["a"]}, {**C, "dependsOn": ["a", "b"]})],
        "/a /b /c",
        "a success, b success, c success",
        document={"arazzo": "1.1.0"},
    ),
    "actions of components and of the workflow": Flow(
        [
            workflow(
                "w",
                {**A, "onFailure": [{"reference": "$components.failureActions.again"}]},
                {**B, "onSuccess": [{"reference": "$components.successActions.over"}]},
                C,
                {**D, "onFailure": [end("mine")]},
                failureActions=[goto("mine", "c")],
                successActions=[goto("never", "b", "$statusCode == 299")],
            )
        ],
        "/a /a /b /d",
        "a success, b failed",
        answers={"/a": [404, 200], "/d": [404]},
        failed=True,
        ended_by="mine",
        document={
            "components": {
                "failureActions": {"again": retry("again", retryLimit=1)},
                "successActions": {"over": goto("over", "d", "$statusCode == 200")},
            }
        },
    ),
    "the first action that applies": Flow(
        [
            workflow(
                "w",
                {
                    **A,
                    "onSuccess": [
                        goto("first", "b", "$statusCode == 299"),
                        goto("second", "c", "$statusCode == 200"),
                        goto("third", "d"),
                    ],
                },
                B,
                C,
                D,
            )
        ],
        "/a /c /d",
        "a success, b skipped, c success, d success",
    ),
    "a loop inside a called workflow": Flow(
        [
            workflow("w", {"stepId": "call", "workflowId": "job"}, C),
            workflow(
                "job", A, {**POLL, "onSuccess": [goto("again", "poll", "$response.body#/done != true")]}
            ),
        ],
        "/a /poll /poll /c",
        "call.a success, call.poll success, c success",
        answers={"/poll": [{"done": False}, {"done": True}]},
        waits=[0, 30, 0],
    ),
    "a connection that breaks": Flow(
        [workflow("w", {"stepId": "poll", "onFailure": [retry("again")]}, A, B)],
        "/poll /poll /a",
        "poll success, a failed, b upstream_failed",
        answers={"/poll": [Answer(0), 200], "/a": [Answer(0)]},
        failed=True,
    ),
}
