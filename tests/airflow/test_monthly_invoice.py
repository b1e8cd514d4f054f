"""The shipped DAG that bills months: its periods, and what a run sends."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from sandbox.testing import running_sandbox

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SEEDS: dict[str, Any] = {
    "amberflo": {
        "customers": [{"customerId": "acme", "customerName": "Acme"}],
        "meters": [{"meterApiName": "api-calls", "displayName": "Calls", "type": "SUM_OF_ALL_USAGE"}],
    },
    "stripe": {
        "customers": [{"id": "cus_acme"}],
        "invoiceitems": [{"customer": "cus_acme", "amount": 1250, "currency": "usd"}],
    },
}


@pytest.fixture
def dag(dag_file: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    source = (ROOT / "dags" / "monthly_invoice.py").read_text().replace('"../specs', f'"{ROOT}/specs')
    return dag_file("monthly", source.replace("ArazzoDag(\n", "dag = ArazzoDag(\n")).dag


MARCH = {"period_start": "2026-03-01", "period_end": "2026-04-01"}


def test_a_month_that_is_stated(dag: Any, run_dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time on the wire is the start of the month in Berlin; items that wait are on the invoice."""
    monkeypatch.setenv("AIRFLOW_VAR_ACME_USAGE", "10.10")
    with running_sandbox(pending_items="exclude") as sandbox:
        sandbox.seed(**SEEDS)
        keys = {"amberfloMeteringApi": sandbox.amberflo_key, "stripeInvoiceApi": sandbox.stripe_key}
        connections = {
            name: {"conn_type": "arazzo", "host": sandbox.url, "password": key} for name, key in keys.items()
        }
        # First, for the DAG of one process keeps the params of its last run.
        without = run_dag(dag, connections=connections)
        assert without.state == "failed"
        assert "Nothing was sent. The DAG uses the period that a run is for" in without.log
        assert sandbox.requests() == []
        ran = run_dag(dag, MARCH, connections=connections)
        assert ran.state == "success"
        event, invoice, finalized = [request["body"] for request in sandbox.requests()]
        assert re.sub('"uniqueId":"[0-9a-f.]+"', '"uniqueId":"…"', event) == (
            '[{"meterApiName":"api-calls","customerId":"acme","meterValue":10.10,'
            '"meterTimeInMillis":1772319600000,"uniqueId":"…"}]'
        )
        assert (
            invoice
            == "customer=cus_acme&currency=usd&auto_advance=false&pending_invoice_items_behavior=include"
        )
        assert finalized == ""
        # The month is billed: whoever states it again, in other words too, sends nothing.
        again = {"period_start": "2026-02-28T23:00:00Z", "period_end": "2026-04-01T00:00"}
        repeated = run_dag(dag, again, connections=connections)
        assert repeated.state == "success"
        assert len(sandbox.requests()) == 3
        amount = ("finalize-invoice", "workflow_outputs")
        assert repeated.xcoms()[amount]["amountDue"] == ran.xcoms()[amount]["amountDue"] == 1250


def test_its_schedule(dag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert dag.is_paused_upon_creation
    first = dag.start_date
    infos = list(stored.iter_dagrun_infos_between(first, first.add(months=11)))
    starts = [info.data_interval.start.in_timezone("Europe/Berlin") for info in infos]
    assert [each.format("YYYY-MM-DD HH:mm") for each in starts] == [
        f"2025-{month:02}-01 00:00" for month in range(1, 13)
    ]


def test_the_command_of_the_readme(dag: Any, database: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Airflow's own command line makes twelve runs of it, January's among them; and nothing twice."""
    from airflow.cli.cli_parser import get_parser
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from airflow_arazzo.operators.period import period_of

    (bundle,) = DagBundlesManager().get_all_dag_bundles()
    DagBundlesManager().sync_bundles_to_db()
    bundle.initialize()
    found = BundleDagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    sync_bag_to_db(found, bundle.name, bundle.get_current_version())
    (command,) = re.findall(r"^airflow (backfill create (?:.*\\\n)*.*)", README.read_text(), re.MULTILINE)
    arguments = get_parser().parse_args(shlex.split(command.replace("\\\n", " ")))
    arguments.func(arguments)
    with create_session() as session:
        runs = list(session.scalars(select(DagRun).where(DagRun.run_type == "backfill")))
        session.expunge_all()
    starts = sorted(run.data_interval_start.astimezone(dag.timezone).isoformat() for run in runs)
    assert len(starts) == 12
    assert (starts[0], starts[-1]) == ("2025-01-01T00:00:00+01:00", "2025-12-01T00:00:00+01:00")
    params = {"dag_run": None, "params": {}}
    assert [period_of({**params, "dag_run": run}, dag).id for run in runs[:1]] == ["2025-01-01/2025-02-01"]


def test_the_trigger_of_the_readme(dag: Any) -> None:
    from airflow.cli.cli_parser import get_parser

    (command,) = re.findall(r"^airflow (dags trigger .*)", README.read_text(), re.MULTILINE)
    arguments = get_parser().parse_args(shlex.split(command))
    assert arguments.dag_id == dag.dag_id
    for name, value in json.loads(arguments.conf).items():
        dag.params[name] = value
    assert list(dag.params.validate())[:2] == ["period_start", "period_end"]


def test_the_overlay_of_the_readme(tmp_path: Path) -> None:
    from airflow_arazzo.plan.compiler import compile_workflow
    from airflow_arazzo.plan.options import Options

    (text,) = re.findall(r"```yaml\n(overlay: .*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "o.yml").write_text(text.replace("../arazzo", str(ROOT / "specs" / "arazzo")))
    document = ROOT / "specs" / "arazzo" / "fin-amberflo-usage-to-stripe-invoice.yml"
    plan, _ = compile_workflow(document, "", Options(overlays=(tmp_path / "o.yml",)))
    assert "literal-timestamp" not in {diagnostic.code for diagnostic in plan.diagnostics}
    assert not [diagnostic for diagnostic in plan.diagnostics if diagnostic.code.startswith("overlay")]
