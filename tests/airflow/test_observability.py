"""Metrics as they arrive at a StatsD server, and spans as they are exported, of tasks that Airflow ran."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from scripted import KEY, Answer, Received, ScriptedApi, retry, workflow
from telemetry import Spans, Statsd, running_collector, statsd_backend

INPUTS = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
BODY = {"contentType": "application/json", "payload": {"id": "$inputs.id"}}
KEYED = {"api": {"header": "Idempotency-Key"}}
AT_ONCE = {"retryAfter": 0.01, "retryLimit": 5}


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statsd]:
    """A StatsD server, to which Airflow sends metrics with tags."""
    server = Statsd()
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(server.port))
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
    with statsd_backend():
        yield server
    server.close()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """What is exported by the tracer provider of this process."""
    found = Spans()
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", found.provider)
    return found


# --- metrics -----------------------------------------------------------------------------------------


def test_requests_by_source_method_and_status(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, statsd: Statsd
) -> None:
    api.answer("/b", 404)
    dag = workflow_dag(workflow("w", {"stepId": "a"}, {"stepId": "b"}), operations=["POST /a", "GET /b"])
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states == {"a": "success", "b": "failed"}
    own = {"dag_id": dag.dag_id, "source": "api", "purpose": "step"}
    assert statsd.counted("requests", **own, task_id="a", method="POST", status="2xx") == 1
    assert statsd.counted("requests", **own, task_id="b", method="GET", status="4xx") == 1
    assert statsd.counted("requests") == 2
    assert len(statsd.timed("request.duration", **own, method="POST", status="2xx")) == 1
    assert all(0 < each < 10_000 for each in statsd.timed("request.duration"))
    assert statsd.counted("unknown_outcomes") == 0


def test_retries_of_the_document(workflow_dag: Any, run_dag: Any, api: ScriptedApi, statsd: Statsd) -> None:
    api.answer("/b", 503, 503, 200)
    step = {"stepId": "b", "onFailure": [retry("again", **AT_ONCE)]}
    ran = run_dag(
        workflow_dag(workflow("w", step), operations=["GET /b"]), connections={"api": api.connection()}
    )
    assert ran.state == "success", ran.log
    assert statsd.counted("retries", source="api", method="GET") == 2
    assert statsd.counted("requests", status="5xx") == 2
    assert statsd.counted("requests", status="2xx") == 1


def test_an_answer_from_the_ledger_is_no_request(
    workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi, statsd: Statsd
) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    ran = run_dag(dag, connections={"api": api.connection()})
    assert statsd.counted("replays") == 0
    assert clear_and_run(ran, dag, "a").state == "success"
    assert len(api.requests) == 1
    assert statsd.counted("requests") == 1
    assert statsd.counted("replays", source="api", method="POST", task_id="a") == 1


@pytest.mark.parametrize("keyed", [False, True])
def test_an_unknown_outcome(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, statsd: Statsd, keyed: bool
) -> None:
    """Without an idempotency key a person has to decide; with one the request is sent again."""
    lost = iter([True])
    api.decide = lambda _: None if next(lost, False) else 200
    options = {"idempotency": KEYED} if keyed else {}
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"], **options)
    for task in dag.tasks:
        task.retry_policy, task.retry_delay = None, timedelta(0)
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.state == ("success" if keyed else "failed")
    assert statsd.counted("requests", status="unknown") == 1
    assert statsd.counted("unknown_outcomes", task_id="a") == (0 if keyed else 1)
    assert len(api.requests) == (2 if keyed else 1)


def test_what_was_not_sent(workflow_dag: Any, run_dag: Any, api: ScriptedApi, statsd: Statsd) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "b"}), operations=["GET /b"])
    for task in dag.tasks:
        task.retries = 0
    refused = api.connection(host="http://127.0.0.1:9")
    assert run_dag(dag, connections={"api": refused}).state == "failed"
    assert statsd.counted("requests", status="not_sent") == 1
    assert statsd.counted("requests") == 1


def test_rows_of_a_batch(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, statsd: Statsd, tmp_path: Path
) -> None:
    def decide(request: Received) -> int:
        return 422 if json.loads(request.body)["id"] == "c-3" else 200

    api.decide = decide
    rows = [*({"id": f"c-{number}"} for number in range(7)), {"id": None}, {"id": None}]
    dag = workflow_dag(
        workflow("w", {"stepId": "a", "requestBody": BODY}, inputs=INPUTS),
        operations=["POST /a"],
        for_each=rows,
        row_key="id",
        on_bad_rows="set_aside",
        batch_size=3,
        rows_folder=f"file://{tmp_path}/rows",
    )
    run_dag(dag, connections={"api": api.connection()})
    assert statsd.counted("rows.done", task_id="chunks.a") == 6
    assert statsd.counted("rows.failed", task_id="chunks.a") == 1
    assert statsd.counted("rows.set_aside", task_id="rows") == 2
    assert statsd.counted("requests", status="2xx", task_id="chunks.a") == 6
    assert statsd.counted("requests", status="4xx", task_id="chunks.a") == 1


def test_no_tag_has_many_values(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, statsd: Statsd, tmp_path: Path
) -> None:
    """Row keys, ids in URLs, queries and what services answer stay out of metrics."""
    api.decide = lambda request: Answer(200, {"n": "from-the-service"})
    step = {
        **{"stepId": "a", "operationId": "things"},
        "parameters": [{"name": "q", "in": "query", "value": "$inputs.id"}],
        "outputs": {"n": "$response.body#/n"},
    }
    dag = workflow_dag(
        workflow("w", step, inputs=INPUTS),
        operations=["GET /things"],
        for_each=[{"id": f"customer-{number}"} for number in range(20)],
        row_key="id",
        rows_folder=f"file://{tmp_path}/rows",
    )
    assert run_dag(dag, connections={"api": api.connection()}).state == "success"
    assert statsd.counted("requests") == 20
    assert statsd.counted("rows.done") == 20
    for secret in ("customer-", "from-the-service", "things", KEY):
        assert secret not in "\n".join(statsd.ours)
    assert statsd.tags() == {
        ("dag_id", "w"),
        ("task_id", "chunks.a"),
        ("source", "api"),
        ("method", "GET"),
        ("purpose", "step"),
        ("status", "2xx"),
    }


def test_metrics_that_fail_harm_nothing(
    workflow_dag: Any,
    run_dag: Any,
    api: ScriptedApi,
    statsd: Statsd,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from airflow.sdk.observability import stats

    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"no socket, but {KEY}")

    monkeypatch.setattr(stats, "timing", broken)
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.state == "success", ran.log
    assert "metrics and traces are incomplete: RuntimeError" in caplog.text
    assert KEY not in ran.log + caplog.text


def test_nothing_is_told_while_it_is_off(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a packet nor a span, and the requests go through the plain channel."""
    from airflow_arazzo.engine import observe

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("observed")

    monkeypatch.setattr(observe.ObservedChannel, "exchange", never)
    monkeypatch.setattr("airflow_arazzo.operators.observation.Observation.__init__", never)
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    ran = run_dag(dag, connections={"api": api.connection(extra={"propagate_trace": True})})
    assert ran.state == "success", ran.log
    assert "traceparent" not in {name.lower() for name in api.requests[0].headers}


# --- spans -------------------------------------------------------------------------------------------


def test_a_span_for_each_request(workflow_dag: Any, run_dag: Any, api: ScriptedApi, spans: Spans) -> None:
    api.answer("/b", 503, 200)
    steps = [
        {"stepId": "a", "requestBody": BODY},
        {"stepId": "b", "onFailure": [retry("again", **AT_ONCE)]},
    ]
    dag = workflow_dag(workflow("w", *steps, inputs=INPUTS), operations=["POST /a", "GET /b"])
    tracer = spans.provider.get_tracer("test")
    with tracer.start_as_current_span("worker.task") as around:
        ran = run_dag(dag, {"id": "c-1"}, connections={"api": api.connection()})
    assert ran.state == "success", ran.log
    assert spans.names == ["POST /a", "GET /b", "GET /b"]
    first, failed, again = spans.ours
    port = int(api.url.rpartition(":")[2])
    assert dict(first.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"{api.url}/a",
        "url.scheme": "http",
        "url.template": "/a",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "arazzo.source": "api",
        "arazzo.workflow.id": "w",
        "arazzo.step.id": "a",
        "arazzo.purpose": "step",
    }
    assert first.kind.name == "CLIENT"
    assert first.status.status_code.name == "UNSET"
    assert first.parent is not None
    assert first.parent.span_id == around.get_span_context().span_id
    assert failed.attributes is not None
    assert (failed.attributes["error.type"], failed.status.status_code.name) == ("503", "ERROR")
    assert "http.request.resend_count" not in failed.attributes
    assert (again.attributes or {})["http.request.resend_count"] == 1
    assert all("traceparent" not in {name.lower() for name in each.headers} for each in api.requests)


def test_a_span_without_a_response(workflow_dag: Any, run_dag: Any, api: ScriptedApi, spans: Spans) -> None:
    api.decide = lambda _: None
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    assert run_dag(dag, connections={"api": api.connection()}).state == "failed"
    (span,) = spans.ours
    assert span.attributes is not None
    assert span.attributes["error.type"] == "OutcomeUnknown"
    assert span.attributes["arazzo.fate"] == "unknown"
    assert span.status.status_code.name == "ERROR"


def test_the_trace_is_handed_on_where_the_connection_says_so(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, spans: Spans
) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    ran = run_dag(dag, connections={"api": api.connection(extra={"propagate_trace": True})})
    assert ran.state == "success", ran.log
    (span,) = spans.ours
    found = {name.lower(): value for name, value in api.requests[0].headers.items()}["traceparent"]
    assert found == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"


def test_a_trace_of_the_document_itself_is_kept(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, spans: Spans
) -> None:
    written = f"00-{'1' * 32}-{'2' * 16}-00"
    step = {"stepId": "a", "parameters": [{"name": "traceparent", "in": "header", "value": written}]}
    dag = workflow_dag(workflow("w", step), operations=["POST /a"])
    run_dag(dag, connections={"api": api.connection(extra={"propagate_trace": True})})
    sent = [value for name, value in api.requests[0].headers.items() if name.lower() == "traceparent"]
    assert sent == [written]


def test_a_trace_that_is_not_sampled_has_no_spans(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, spans: Spans
) -> None:
    from opentelemetry import trace

    context = trace.SpanContext(7, 8, is_remote=True, trace_flags=trace.TraceFlags(0))
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    with trace.use_span(trace.NonRecordingSpan(context)):
        assert run_dag(dag, connections={"api": api.connection()}).state == "success"
        run_dag(dag, connections={"api": api.connection(extra={"propagate_trace": True})})
    assert spans.ours == []
    found = {name.lower(): value for name, value in api.requests[1].headers.items()}
    assert re.fullmatch(r"00-0{31}7-[0-9a-f]{16}-00", found["traceparent"])


def test_no_secret_in_spans_and_metrics(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, statsd: Statsd, spans: Spans
) -> None:
    """Keys in header, query, path and body, a token of a step, all of them echoed, and a broken answer."""
    key, pin = f"key-{secrets.token_urlsafe(20)}", f"pin-{secrets.token_urlsafe(20)}"
    token = f"tok-{secrets.token_urlsafe(20)}"

    def decide(request: Received) -> Answer | None:
        everything = f"{key} {pin} {token} {request.target} {request.headers}"
        if request.target.startswith("/login"):
            return Answer(200, {"token": token, "echo": everything})
        if request.target.startswith("/broken"):
            return Answer(200, everything.encode(), {"Content-Encoding": "gzip", "X-Echo": key})
        return Answer(500, {"echo": everything}, {"X-Echo": everything, "Location": f"/{key}?{pin}"})

    api.decide = decide
    carried = [
        {"name": "Authorization", "in": "header", "value": "Bearer {$steps.login.outputs.token}"},
        {"name": "pin", "in": "query", "value": "$inputs.pin"},
        {"name": "token", "in": "query", "value": "$steps.login.outputs.token"},
    ]
    payload = {"contentType": "application/json", "payload": {"pin": "$inputs.pin"}}
    on = {"onFailure": [{"name": "go", "type": "goto", "stepId": "broken"}]}
    steps = [
        {"stepId": "login", "outputs": {"token": "$response.body#/token"}, "requestBody": payload},
        {"stepId": "b", "parameters": carried, **on},
        {"stepId": "broken", "parameters": carried},
    ]
    inputs = {"type": "object", "properties": {"pin": {"type": "string", "format": "password"}}}
    dag = workflow_dag(
        workflow("w", *steps, inputs=inputs), operations=["POST /login", "GET /b", "GET /broken"]
    )
    for task in dag.tasks:
        task.retries = 0
    connection = api.connection(password=key, extra={"secrets": {"pin": pin}})
    ran = run_dag(dag, connections={"api": connection})
    assert len(api.requests) >= 3, ran.log
    assert any(token in str(request.headers) for request in api.requests)
    assert any(pin in request.target for request in api.requests)
    assert len(spans.ours) == len(api.requests)
    for text in (spans.everything(), "\n".join(statsd.all)):
        for secret in (key, pin, token):
            assert secret not in text


def test_a_signed_redirect(workflow_dag: Any, run_dag: Any, api: ScriptedApi, spans: Spans) -> None:
    signature = secrets.token_urlsafe(20)
    api.answer("/b", Answer(302, None, {"Location": f"/files/7?X-Signature={signature}"}))
    dag = workflow_dag(workflow("w", {"stepId": "b"}), operations=["GET /b"])
    ran = run_dag(dag, connections={"api": api.connection(extra={"follow_redirects": 1})})
    assert ran.state == "success", ran.log
    assert api.paths == ["/b", "/files/7"]
    assert spans.names == ["GET /b", "GET"]
    followed = spans.ours[1].attributes or {}
    assert followed["url.full"] == f"{api.url}/files/7"
    assert followed["http.request.resend_count"] == 1
    assert "url.template" not in followed
    assert signature not in spans.everything()


def test_a_secret_in_a_path_is_masked(spans: Spans) -> None:
    """A token that a step has produced: the connection knows nothing of it."""
    from airflow_arazzo.engine.observe import UnderWay
    from airflow_arazzo.engine.wire import Wire
    from airflow_arazzo.operators.traces import RequestSpan

    url = "https://api.example/of/token-of-a-step/x"
    under_way = UnderWay("step", "api", "w", "a", hidden=lambda: ["token-of-a-step"])
    span = RequestSpan(
        spans.provider.get_tracer("airflow_arazzo"), under_way, Wire("GET", url, (), None, url), ()
    )
    span.failed("unknown", "timeout", f"GET {url}: there is no response")
    assert "/of/***/x" in spans.everything()
    assert "token-of-a-step" not in spans.everything()


# --- over the wire -----------------------------------------------------------------------------------

RUN = """
import sys
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
# As Airflow's task runner does.
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
from airflow_arazzo import ArazzoDag
dag = ArazzoDag(sys.argv[1], workflow_id="w")
print("ended:", dag.test().state)
"""


def test_an_otlp_collector_gets_spans_and_metrics(database: None, api: ScriptedApi, tmp_path: Path) -> None:
    """A process of its own, since Airflow sets up OpenTelemetry once, when it starts."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from scripted import write

    document = write(tmp_path, workflow("w", {"stepId": "a"}), operations=["POST /a"])
    with running_collector() as collector:
        environment = {
            **os.environ,
            "AIRFLOW_CONN_API": json.dumps(api.connection()),
            "AIRFLOW__TRACES__OTEL_ON": "True",
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        }
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(document)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "ended: success" in done.stdout, done.stdout + done.stderr
        traces, metrics = collector.wait("/v1/traces"), collector.wait("/v1/metrics")
    found = [
        span.name
        for body in traces
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        if scope.scope.name == "airflow_arazzo"
        for span in scope.spans
    ]
    assert found == ["POST /a"]
    counted = {
        metric.name: {each.key: each.value.string_value for each in metric.sum.data_points[0].attributes}
        for body in metrics
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "airflow.arazzo.requests"
    }
    tags = counted["airflow.arazzo.requests"]
    assert (tags["source"], tags["method"], tags["status"], tags["task_id"]) == ("api", "POST", "2xx", "a")
    assert KEY.encode() not in b"".join([*traces, *metrics])
