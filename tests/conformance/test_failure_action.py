"""The Failure Action Object: ``retry`` and its fields."""

from __future__ import annotations

from email.utils import formatdate

from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown
from tests.conformance.harness import START, Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
FAILURE = "Failure Action Object"


def retrying(fields: str, rest: str = "", operation: str = "search") -> str:
    return one_step(f"operationId: {operation}\nonFailure: [{{name: again, type: retry{fields}}}{rest}]")


@rule(BOTH, FAILURE, "`type`: `retry`: the step is tried again")
def test_retry(arazzo: Arazzo) -> None:
    run = arazzo.run(retrying(""), reply(503), reply(200))
    assert (run.status, run.calls) == ("succeeded", ["GET /search", "GET /search"])


@rule(BOTH, FAILURE, "`retryLimit` left out: one retry")
def test_default_limit(arazzo: Arazzo) -> None:
    run = arazzo.run(retrying(""), reply(503), reply(503))
    assert (run.status, len(run.sent)) == ("failed", 2)


@cases(
    "limit, sent",
    case("0", BOTH, FAILURE, "`retryLimit`: none", 0, 1),
    case("3", BOTH, FAILURE, "`retryLimit`: as many retries as it says", 3, 4),
)
def test_limit(arazzo: Arazzo, limit: int, sent: int) -> None:
    run = arazzo.run(retrying(f", retryLimit: {limit}"), *[reply(503)] * sent)
    assert (run.status, len(run.sent)) == ("failed", sent)


@rule(BOTH, FAILURE, "`retryLimit` is used up before a later action applies")
def test_limit_before_next_action(arazzo: Arazzo) -> None:
    text = retrying(", retryLimit: 2", ", {name: on, type: goto, stepId: t}")
    text += "  - {stepId: t, operationId: filter}\n"
    run = arazzo.run(text, reply(503), reply(503), reply(503), reply(200))
    assert (run.status, run.steps) == ("succeeded", ["s", "s", "s", "t"])


@rule(BOTH, FAILURE, "`retryLimit` counts for each action by itself")
def test_limit_of_each(arazzo: Arazzo) -> None:
    fields = ", criteria: [{condition: $statusCode == 503}]"
    other = ", {name: other, type: retry, criteria: [{condition: $statusCode == 500}]}"
    run = arazzo.run(retrying(fields, other), reply(503), reply(500), reply(503))
    assert (run.status, len(run.sent)) == ("failed", 3)


@rule(BOTH, FAILURE, "`retryLimit` is an integer")
def test_limit_type(arazzo: Arazzo) -> None:
    arazzo.refused(
        one_step("operationId: search\nonFailure:\n- {name: a, type: retry, retryLimit: 1.5} # HERE"),
        "wrong-type",
    )


@cases(
    "seconds, waits",
    case("integer", BOTH, FAILURE, "`retryAfter`: seconds before the next attempt", "5", [5.0]),
    case("fraction", BOTH, FAILURE, "`retryAfter` may have a fraction", "0.25", [0.25]),
    case("zero", BOTH, FAILURE, "`retryAfter`: 0 does not wait", "0", []),
)
def test_retry_after(arazzo: Arazzo, seconds: str, waits: list[float]) -> None:
    assert arazzo.run(retrying(f", retryAfter: {seconds}"), reply(503), reply(200)).waits == waits


@rule(BOTH, FAILURE, "`retryAfter` is a number")
def test_retry_after_type(arazzo: Arazzo) -> None:
    arazzo.refused(
        one_step("operationId: search\nonFailure:\n- {name: a, type: retry, retryAfter: soon} # HERE"),
        "wrong-type",
    )


@cases(
    "header, wait",
    case("seconds", BOTH, FAILURE, "a `Retry-After` header in seconds overrules `retryAfter`", "30", 30.0),
    case("date", BOTH, FAILURE, "a `Retry-After` header with a date overrules `retryAfter`", "", 90.0),
)
def test_retry_after_header(arazzo: Arazzo, header: str, wait: float) -> None:
    header = header or formatdate(START + wait, usegmt=True)
    run = arazzo.run(retrying(", retryAfter: 5"), reply(503, Retry_After=header), reply(200))
    assert run.waits == [wait]


@rule(BOTH, FAILURE, "a `Retry-After` header counts without `retryAfter` too")
def test_retry_after_header_alone(arazzo: Arazzo) -> None:
    assert arazzo.run(retrying(""), reply(429, Retry_After="3"), reply(200)).waits == [3.0]


WITH_STEP = """
- workflowId: w
  steps:
  - stepId: s
    operationId: listPets
    parameters: [{name: status, in: query, value: $steps.fix.outputs.status}]
    onFailure: [{name: again, type: retry, retryLimit: 2, stepId: fix}, {name: on, type: goto, stepId: t}]
  - {stepId: t, operationId: filter, onSuccess: [{name: done, type: end}]}
  - {stepId: fix, operationId: search, outputs: {status: $response.body.status}}
"""


@rule(
    BOTH, FAILURE, "`retry` with `stepId`: that step runs first, then the step again, which sees its outputs"
)
def test_retry_with_step(arazzo: Arazzo) -> None:
    run = arazzo.run(WITH_STEP, reply(401), reply(200, {"status": "new"}), reply(200), reply(200))
    assert run.calls == ["GET /pets", "GET /search", "GET /pets?status=new", "GET /filter"]


@rule(
    BOTH,
    FAILURE,
    "`retry` with `stepId`: when that step fails, no more retries are made",
    differs="the specification does not say; the next action applies",
)
def test_retry_with_failing_step(arazzo: Arazzo) -> None:
    run = arazzo.run(WITH_STEP, reply(401), reply(500), reply(200))
    assert (run.status, run.steps) == ("succeeded", ["s", "fix", "t"])


WITH_WORKFLOW = """
- workflowId: w
  inputs: {type: object, properties: {who: {}}}
  steps:
  - stepId: s
    operationId: listPets
    onFailure: [{name: again, type: retry, workflowId: fix%s}]
- workflowId: fix
  inputs: {type: object, properties: {who: {}}}
  steps: [{stepId: f, operationId: createPet, requestBody: {payload: {who: $inputs.who}}}]
"""


@rule(BOTH, FAILURE, "`retry` with `workflowId`: that workflow runs first, then the step again")
def test_retry_with_workflow(arazzo: Arazzo) -> None:
    run = arazzo.run(WITH_WORKFLOW % "", reply(401), reply(201), reply(200), inputs={"who": "me"})
    assert (run.status, run.calls) == ("succeeded", ["GET /pets", "POST /pets", "GET /pets"])
    assert run.body(1) == '{"who":"me"}'


@rule("1.1", FAILURE, "`retry` with `workflowId` and `parameters`: these are its inputs")
def test_retry_with_parameters(arazzo: Arazzo) -> None:
    text = WITH_WORKFLOW % ", parameters: [{name: who, value: $statusCode}]"
    run = arazzo.run(text, reply(401), reply(201), reply(200))
    assert run.body(1) == '{"who":401}'


@rule(BOTH, FAILURE, "`retry` with `workflowId` of another document")
def test_retry_with_other_document(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: filter", name="fix"), "b.yaml")
    text = retrying(", workflowId: $sourceDescriptions.b.fix")
    run = arazzo.run(
        text, reply(401), reply(200), reply(200), sources="- {name: b, url: b.yaml, type: arazzo}"
    )
    assert run.calls == ["GET /search", "GET /filter", "GET /search"]


@rule(BOTH, FAILURE, "`criteria` decide about `retry`: another failure is not retried")
def test_criteria(arazzo: Arazzo) -> None:
    fields = ", retryLimit: 5, criteria: [{condition: $statusCode == 503}]"
    run = arazzo.run(retrying(fields), reply(503), reply(404))
    assert (run.status, len(run.sent)) == ("failed", 2)


@rule(BOTH, FAILURE, "failed `successCriteria` are a failure like any other")
def test_failed_criteria(arazzo: Arazzo) -> None:
    text = one_step(
        "operationId: search\nsuccessCriteria: [{condition: $response.body.ready}]\n"
        "onFailure: [{name: a, type: retry}]"
    )
    run = arazzo.run(text, reply(200, {"ready": False}), reply(200, {"ready": True}))
    assert (run.status, len(run.sent)) == ("succeeded", 2)


@rule(BOTH, FAILURE, "a request that gets no response is a failure like any other")
def test_no_response(arazzo: Arazzo) -> None:
    assert arazzo.run(retrying(""), NotSent("refused"), reply(200)).status == "succeeded"
    assert arazzo.run(retrying(""), OutcomeUnknown("reset"), reply(200)).status == "succeeded"


@cases(
    "outcome",
    case(
        "500",
        BOTH,
        FAILURE,
        "`retry` of a POST after a 5xx",
        500,
        differs="it is not sent twice: who knows what the first did",
    ),
    case(
        "lost",
        BOTH,
        FAILURE,
        "`retry` of a POST without a response",
        0,
        differs="it is not sent twice: who knows what the first did",
    ),
)
def test_unsafe_retry(arazzo: Arazzo, outcome: int) -> None:
    answer = reply(outcome) if outcome else OutcomeUnknown("reset")
    run = arazzo.run(retrying("", operation="createPet"), answer)
    assert (run.failure.partition(":")[0], len(run.sent)) == ("outcome-unknown", 1)


@rule(BOTH, FAILURE, "`retry` of a POST that was refused or never sent")
def test_safe_retry_of_post(arazzo: Arazzo) -> None:
    run = arazzo.run(
        retrying(", retryLimit: 2", operation="createPet"), NotSent("refused"), reply(429), reply(201)
    )
    assert (run.status, len(run.sent)) == ("succeeded", 3)


@rule(BOTH, FAILURE, "after a success that a retry brought about, the workflow goes on as usual")
def test_goes_on(arazzo: Arazzo) -> None:
    text = retrying("") + "  - {stepId: t, operationId: filter}\n"
    assert arazzo.run(text, reply(503), reply(200), reply(200)).steps == ["s", "s", "t"]
