"""What counts as a call of the API server, and as a statement of the ledger."""

from __future__ import annotations

from bench.execute import api_calls, statements


def test_what_airflow_sends_for_every_task_is_not_counted() -> None:
    assert api_calls({"SetRenderedFields": 1, "SetXCom": 1, "SucceedTask": 1, "MaskSecret": 4}) == {}


def test_a_second_message_of_such_a_kind_is() -> None:
    sent = {"SetRenderedFields": 2, "GetConnection": 2, "SetXCom": 3, "SucceedTask": 1}
    assert api_calls(sent) == {"SetRenderedFields": 1, "GetConnection": 2, "SetXCom": 2}


def test_transactions_are_no_statements() -> None:
    assert statements({"BEGIN": 3, "COMMIT": 3, "PRAGMA": 2, "SELECT": 1, "INSERT": 1, "UPDATE": 1}) == 3
