"""Failures that are planted for ``docs/failures.md``: ``python -m tests.airflow.write_failures``."""

# ruff: noqa: E501  sentences of the page

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass

from planted import OPENAPI, TOP_UP, TOP_UP_INPUTS, Scene

HEAD = """\
# Failures

<!-- Written by `python -m tests.airflow.write_failures` from real runs. Do not edit. -->

Failures that were planted, what a person sees of each, why, and what to do. A task's log ends with what is shown
here; *What to do* in its last line is for that very failure. Commands say it on standard error. Ports, keys,
durations, generated ids and folders are replaced by words in capitals. What of all this may be sent again, and by
whom, is in [Safety](safety.md).
"""


@dataclass(frozen=True)
class Planted:
    """A failure.

    :param run: makes it happen, and returns what is seen of it.
    """

    group: str
    title: str
    cause: str
    remedy: str
    run: Callable[[Scene], str]

    def section(self, seen: str) -> str:
        """Its part of the page."""
        return (
            f"### {self.title}\n\n```text\n{seen}\n```\n\n"
            f"**Cause.** {self.cause}\n\n**Remedy.** {self.remedy}\n"
        )


FAILURES: list[Planted] = []


def failure(
    group: str, title: str, cause: str, remedy: str
) -> Callable[[Callable[[Scene], str]], Callable[[Scene], str]]:
    """Put a function among the failures."""

    def put(run: Callable[[Scene], str]) -> Callable[[Scene], str]:
        FAILURES.append(Planted(group, title, cause, remedy, run))
        return run

    return put


def page(seen: dict[str, str]) -> str:
    """The page, from what was seen by title."""
    parts, group = [HEAD], ""
    for each in FAILURES:
        if each.group != group:
            group = each.group
            parts.append(f"## {group}\n")
        parts.append(each.section(seen[each.title]))
    return "\n".join(parts)


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


CONNECTIONS = "Connections and the network"


@failure(
    CONNECTIONS,
    "A wrong key",
    "The service does not know the key in the connection's password, or the key may not do this.",
    "Put the right key into the connection and clear the task. The request was refused, so it is sent anew.",
)
def _wrong_key(scene: Scene) -> str:
    return scene.top_up(connection=scene.connection(password="key-of-another-account"))


@failure(
    CONNECTIONS,
    "A missing key",
    "The connection has no password. That is seen before anything is sent.",
    "Edit the connection and clear the task. `airflow-arazzo init` prints commands for connections, with the "
    "field for each key.",
)
def _missing_key(scene: Scene) -> str:
    return scene.top_up(connection=scene.connection(password=""))


@failure(
    CONNECTIONS,
    "A missing connection",
    "There is no connection with this id. A source without an entry in `connections=` looks for its own name.",
    "Add the connection, or name another one in the DAG file, and clear the task.",
)
def _missing_connection(scene: Scene) -> str:
    dag = scene.dag(TOP_UP)
    return scene.log(scene.run_dag(dag, TOP_UP_INPUTS, connections={}))


@failure(
    CONNECTIONS,
    "A misspelt extra",
    "The connection's extra has a name that is not known. It is never sent as a header.",
    "Correct the extra, and clear the task. [Connections](guides/connections.md) lists what there is.",
)
def _misspelt_extra(scene: Scene) -> str:
    return scene.top_up(connection=scene.connection(extra={"time_out": 60}))


@failure(
    CONNECTIONS,
    "A wrong host",
    "The name of the host cannot be resolved. Nothing was sent.",
    "Correct the connection's host and clear the task. It comes back by itself as long as it has retries "
    "left, and then its log says so.",
)
def _wrong_host(scene: Scene) -> str:
    return scene.top_up(connection=scene.connection(host="http://app.amberflo.invalid"))


@failure(
    CONNECTIONS,
    "A refused connection",
    "Nobody listens at that port, or something between refuses. Nothing was sent.",
    "Wait for the service, or correct host and port. Tasks come back three times by themselves.",
)
def _refused(scene: Scene) -> str:
    return scene.top_up(connection=scene.connection(host=f"http://127.0.0.1:{unused_port()}"))


ANSWERS = "Answers of a service"


@failure(
    ANSWERS,
    "400: the service refuses a request",
    "The service read the request and says no. A refusal has no effect.",
    "Put right what it refused. The message has the service's reason where that is [nobody's "
    "data](guides/airflow-ui.md#what-a-service-says); with the connection's extra `log_bodies` the log and the *Rendered Templates* have "
    "both bodies. Then clear the task.",
)
def _bad_request(scene: Scene) -> str:
    scene.sandbox.add_fault("error", path="/ingest", status=400, effect=False)
    return scene.top_up()


@failure(
    ANSWERS,
    "404: what a step names is not there",
    "The id that goes into the path came from an earlier step, and the service does not know it: it was removed "
    "since, or the two steps ask different accounts.",
    "Compare the accounts of the connections. If the object was removed at the service, make it there, or start a "
    "new run.",
)
def _not_found(scene: Scene) -> str:
    scene.sandbox.add_fault("error", path="/v1/invoices/*/finalize", status=404, effect=False)
    return scene.invoice()


@failure(
    ANSWERS,
    "429: too many requests",
    "The service limits the rate. The request had no effect.",
    "Nothing at first: `Retry-After` is kept. If it goes on, lower `concurrency=` or set `rate=` of a batch, "
    "the connection's extra `rate`, or a pool for the tasks.",
)
def _limited(scene: Scene) -> str:
    scene.sandbox.add_fault("rate_limit", path="/ingest", retry_after="30")
    return scene.top_up()


@failure(
    ANSWERS,
    "500 on a step that is sent once only",
    "The service failed, and may have done it all the same; here it has. A prepaid order has nothing by which the "
    "service could tell a repetition from a second order, so it is not sent again.",
    "Look it up at the service. Then say what happened with `airflow arazzo ledger resolve`, and clear the task: "
    "[The ledger for the person on call](guides/ledger.md). `probes=` can look it up for you.",
)
def _unknown(scene: Scene) -> str:
    scene.sandbox.add_fault("error", when="inside", path="/payments-*", status=500)
    seen = scene.top_up()
    assert "amberflo.prepaid.created" in scene.sandbox.kinds()
    return seen


@failure(
    ANSWERS,
    "A time-out",
    "No answer within the connection's extra `timeout`, 30 seconds by default. Whether the request took effect is "
    "not known.",
    "As for 500. Where the service is merely slow, raise `timeout`.",
)
def _timeout(scene: Scene) -> str:
    scene.sandbox.add_fault("delay", when="after", path="/payments-*", seconds=1.5)
    return scene.top_up(connection=scene.connection(extra={"timeout": 0.4}))


@failure(
    ANSWERS,
    "A criterion that does not hold",
    "The service did what it was asked, with an answer that the document does not want: without invoice items there "
    "is nothing to pay, and Stripe marks the invoice as paid at once.",
    "Put right what is wrong at the service or in the document, and clear the task: nothing is sent again, the "
    "stored answer is judged by the criteria of the corrected document.",
)
def _criterion(scene: Scene) -> str:
    return scene.invoice()


@failure(
    ANSWERS,
    "An output that the response does not have",
    "The answer lacks the member that an output of the step before is taken from, and this step needs it for its path.",
    "If the service did answer without it, the document reads the wrong member. Correct it, then clear the earlier "
    "step: its stored answer is read again, and nothing is sent twice.",
)
def _missing_output(scene: Scene) -> str:
    scene.sandbox.add_fault(
        "content_type", path="/v1/invoices", content_type="application/json", body='{"invoice": "in_1"}'
    )
    return scene.invoice()


@failure(
    ANSWERS,
    "A response that is not JSON",
    "Something answered with 200 and a web page, such as a proxy's login or a maintenance page, and the step's "
    "criterion looks into the body.",
    "The message says what came in place of JSON. Find out who sent it: the host in the connection, proxies. A status "
    "of 200 is an effect, which is not repeated; if there was none, `airflow arazzo ledger reissue` has the request "
    "sent anew.",
)
def _not_json(scene: Scene) -> str:
    scene.sandbox.add_fault(
        "content_type",
        path="/v1/invoices/*/finalize",
        content_type="text/html",
        body="<title>Maintenance</title>",
    )
    return scene.invoice()


INPUTS = "Inputs and periods"


@failure(
    INPUTS,
    "An input that does not fit its schema",
    "A template gave a text that is no number. Inputs are checked before the first request.",
    "Correct the template, the Airflow variable that it reads, or the conf of the run. Nothing was sent.",
)
def _bad_input(scene: Scene) -> str:
    return scene.top_up(inputs={"amount": "{{ 'a lot' }}"})


@failure(
    INPUTS,
    "A missing input",
    "The workflow requires an input that was not given.",
    "Give it. In the trigger form required inputs are marked; a DAG gives them with `inputs=`.",
)
def _missing_input(scene: Scene) -> str:
    scene.copied_top_up()
    for name in ("METERINGAPI", "BILLINGAPI"):
        scene.monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(scene.connection()))
    return scene.command(
        "run", "top-up.yml", "meter-usage-and-topup-prepaid", "--inputs", '{"customerId": "acme"}'
    )


@failure(
    INPUTS,
    "A schedule without values",
    "Nobody fills in a form at night: on a schedule every required input must have a value.",
    "Give the inputs in the DAG file, as values or templates.",
)
def _no_values(scene: Scene) -> str:
    return scene.import_error(TOP_UP, schedule="@daily", inputs={"customerId": "acme"})


@failure(
    INPUTS,
    "A manual run without a period",
    "Templates of the DAG use `period`, and the run was triggered without one. The interval that Airflow shows for "
    "a manual run is not what anybody asked for, so it is not used.",
    "Trigger it with `period_start` and `period_end`; the form asks for them.",
)
def _no_period(scene: Scene) -> str:
    return scene.top_up(
        inputs={**TOP_UP_INPUTS, "meterTimeInMillis": "{{ period.start_ms }}"}, schedule="@daily"
    )


DOCUMENTS = "Documents"


@failure(
    DOCUMENTS,
    "An operation that is gone",
    "The OpenAPI description has changed: it has no operation of this operationId any more.",
    "Name the operation that replaced it, in the document or with an overlay. `airflow-arazzo vendor --update` says "
    "which operations went where before anything is deployed.",
)
def _drifted(scene: Scene) -> str:
    scene.copied_top_up()
    scene.copy(
        OPENAPI / "amberflo-billing-openapi.yaml",
        ("operationId: createPrepaidOrder", "operationId: createPrepaidCustomerOrder"),
    )
    return scene.command("check", "top-up.yml")


@failure(
    DOCUMENTS,
    "A misspelt step",
    "An expression names a step that the workflow does not have.",
    "Take the name that the message offers.",
)
def _typo(scene: Scene) -> str:
    scene.copied_top_up(("$steps.topUpPrepaid.outputs", "$steps.topUpPrepayd.outputs"))
    return scene.command("check", "top-up.yml")


@failure(
    DOCUMENTS,
    "A document that does not compile, as Airflow shows it",
    "The same, in the list of DAG import errors.",
    "Run `airflow-arazzo check` where the document is written, before it is deployed.",
)
def _import_error(scene: Scene) -> str:
    document = scene.copied_top_up((".createPrepaidOrder", ".createPrepayOrder"))
    return scene.import_error(document)


@failure(
    DOCUMENTS,
    "A source that is nowhere",
    "The source description is an URL, and no file for it was found. Airflow never fetches it.",
    "`airflow-arazzo vendor DOCUMENT` keeps a copy beside the document; or name a file with `--source`, "
    "`sources=` or the source path.",
)
def _no_source(scene: Scene) -> str:
    path = scene.copied_top_up()
    path.write_text(path.read_text().replace("url: amberflo-billing", "url: https://docs.example/billing"))
    return scene.command("check", "top-up.yml")


@failure(
    DOCUMENTS,
    "An overlay that selects nothing",
    "The target of an overlay's action matches nothing in the document, so the action does nothing. That is a "
    "warning; with `--strict`, or `strict=True`, an error.",
    "Correct the target. A workflow or step may have been renamed.",
)
def _idle_overlay(scene: Scene) -> str:
    scene.copied_top_up()
    overlay = """\
overlay: 1.0.0
info: {title: In euros, version: 1.0.0}
extends: top-up.yml
actions:
  - target: $.workflows[?@.workflowId == 'meter-usage-and-top-up'].inputs.properties.currency
    update: {default: EUR}
"""
    (scene.folder / "euros.yml").write_text(overlay)
    return scene.command("check", "--strict", "--overlay", "euros.yml", "top-up.yml")


@failure(
    DOCUMENTS,
    "A workflow that is not there",
    "The document has no workflow of this id.",
    "Take one of those that the message names; `airflow-arazzo explain` shows all.",
)
def _no_workflow(scene: Scene) -> str:
    scene.copied_top_up()
    return scene.command("run", "top-up.yml", "meter-usage-and-top-up")


BATCHES = "Batches"
ROW = {
    "customerId": "acme",
    "meterApiName": "api-calls",
    "meterValue": 1,
    "meterTimeInMillis": 1,
    "amount": 1,
}


@failure(
    BATCHES,
    "Rows that are there twice",
    "Two rows have the same `row_key`, and would be one effect to the ledger. All rows are checked before anything "
    "is sent.",
    "Correct the query or the file; or name more columns in `row_key=` where the rows are different things.",
)
def _twice(scene: Scene) -> str:
    rows = [ROW, {**ROW, "customerId": "globex"}, {**ROW, "amount": 2}]
    return scene.top_up(for_each=rows, row_key="customerId", rows_folder=f"file://{scene.folder}")


@failure(
    BATCHES,
    "A row that the workflow does not accept",
    'A row lacks an input or has one that does not fit. With `on_bad_rows="fail"`, the default, nothing is sent.',
    'Correct the row and clear `rows`; or bill the others with `on_bad_rows="set_aside"`.',
)
def _bad_row(scene: Scene) -> str:
    rows = [ROW, {**ROW, "customerId": "globex", "amount": "twelve"}]
    return scene.top_up(for_each=rows, row_key="customerId", rows_folder=f"file://{scene.folder}")


@failure(
    BATCHES,
    "Rows that failed",
    "The steps of one row failed, and the others went on. `report` fails when more rows have failed than "
    "`max_failed_rows` allows.",
    "Put right what is wrong, and clear the task of the step that the row failed at: only rows that are not done are "
    "tried again.",
)
def _failed_row(scene: Scene) -> str:
    scene.sandbox.add_fault("error", path="/payments-*", nth=2, status=400, effect=False)
    rows = [ROW, {**ROW, "customerId": "globex"}]
    folder = f"file://{scene.folder}"
    return scene.top_up(for_each=rows, row_key="customerId", rows_folder=folder, concurrency=1)


LEDGER = "The ledger"


@failure(
    LEDGER,
    "A ledger that cannot be reached",
    "The database of the ledger does not answer. Without it nobody knows what was sent, so nothing is.",
    "Bring the database back and clear the task. Tasks come back three times by themselves first; here all "
    "retries are used up.",
)
def _no_ledger(scene: Scene) -> str:
    url = f"postgresql://ledger@127.0.0.1:{unused_port()}/ledger"
    scene.monkeypatch.setenv("ARAZZO_LEDGER", url)
    return scene.top_up()


@failure(
    LEDGER,
    "The same effect with another amount",
    "For this run's identity, the order has been placed already, with other values. The key is the same, so the "
    "request is not sent, and the stored one is not silently taken for this one.",
    "Find out which is right. `airflow arazzo ledger show KEY` has the first one; `ledger reissue` lets it be sent "
    "once more, such as after a void.",
)
def _other_request(scene: Scene) -> str:
    scene.monkeypatch.setenv("ARAZZO_LEDGER", f"sqlite:///{scene.folder}/ledger.db")
    dag = scene.dag(
        TOP_UP, identity="2026-03", connections=dict.fromkeys(("meteringApi", "billingApi"), "amberflo")
    )
    connections = {"amberflo": scene.connection()}
    first = scene.run_dag(dag, TOP_UP_INPUTS, connections=connections)
    assert first.state == "success", first.log
    return scene.log(scene.run_dag(dag, {**TOP_UP_INPUTS, "amount": 250}, connections=connections))


@failure(
    LEDGER,
    "A decision that was not said",
    "`resolve` needs to be told what became of the request.",
    "Add `--happened` or `--not-happened`.",
)
def _undecided(scene: Scene) -> str:
    scene.monkeypatch.setenv("ARAZZO_LEDGER", f"sqlite:///{scene.folder}/ledger.db")
    return scene.command("ledger", "resolve", "3f9c", "--reason", "found in the dashboard")
