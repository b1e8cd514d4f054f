"""The calls of ``compiled.py`` as one writes them with ``HttpOperator``: same form and requests.

What they are spared: optional inputs that are left out, outputs of workflows, descriptions of steps, retries
that bill once.
"""

import json
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG, Param

HEADERS = {"X-API-KEY": "{{ conn.amberflo.password }}", "Content-Type": "application/json"}


def text(description: str) -> Param:
    """A text that the form asks for."""
    return Param(type="string", description=description)


def quantity(description: str) -> Param:
    """A number that the form asks for."""
    return Param(type="number", description=description)


def optional(kind: str, description: str) -> Param:
    """A value that may be missing."""
    return Param(None, type=["null", kind], description=description)


def call(task_id: str, path: str, body: dict[str, Any]) -> HttpOperator:
    """A POST of JSON, whose answer is the task's output."""
    return HttpOperator(
        task_id=task_id,
        http_conn_id="amberflo",
        endpoint=path,
        method="POST",
        headers=HEADERS,
        data=json.dumps(body),
        response_check=lambda response: response.status_code == 200,
        response_filter=lambda response: response.json(),
    )


CUSTOMER = {
    "customerId": "{{ params.customerId }}",
    "customerName": "{{ params.customerName }}",
    "customerEmail": "{{ params.customerEmail }}",
    "lifecycleStage": "ACTIVE",
}
CREATED = "{{ ti.xcom_pull('createCustomer').customerId }}"

with DAG(
    "provision",
    description="Account, plan, opening credit.",
    tags=["amberflo"],
    is_paused_upon_creation=True,
    params={
        "customerId": text("Your own key for the customer, which must be new to Amberflo."),
        "customerName": text("Company or person to show in Amberflo."),
        "customerEmail": optional("string", "Where billing mail goes."),
        "productId": text("ID of a price plan that exists in Amberflo already."),
        "amount": quantity("Opening credit, in the main unit of the currency."),
        "currency": optional("string", "Three-letter code."),
        "expirationTime": optional("integer", "When leftover credit lapses."),
    },
):
    (
        call("createCustomer", "customers", CUSTOMER)
        >> call(
            "assignPlan",
            "payments-pricing-amberflo-customer-pricing",
            {"customerId": CREATED, "productId": "{{ params.productId }}"},
        )
        >> call(
            "createPrepaid",
            "payments-pricing-amberflo-customer-prepaid",
            {
                "customerId": CREATED,
                "amount": "{{ params.amount }}",
                "currency": "{{ params.currency }}",
                "expirationTime": "{{ params.expirationTime }}",
            },
        )
    )

with DAG(
    "meter_and_top_up",
    description="One event in, one prepaid order out.",
    tags=["amberflo"],
    is_paused_upon_creation=True,
    params={
        "meterApiName": text("Technical name of the meter."),
        "customerId": text("Who used it and who gets the credit."),
        "meterValue": quantity("Quantity used, in the meter's own unit."),
        "meterTimeInMillis": Param(type="integer", description="When it was used."),
        "uniqueId": optional("string", "Your own ID for this event."),
        "amount": quantity("Credit to add, in the main unit of the currency."),
        "currency": optional("string", "Three-letter code."),
        "expirationTime": optional("integer", "When leftover credit lapses."),
    },
):
    call(
        "ingestEvent",
        "ingest",
        {
            "meterApiName": "{{ params.meterApiName }}",
            "customerId": "{{ params.customerId }}",
            "meterValue": "{{ params.meterValue }}",
            "meterTimeInMillis": "{{ params.meterTimeInMillis }}",
            "uniqueId": "{{ params.uniqueId }}",
        },
    ) >> call(
        "topUpPrepaid",
        "payments-pricing-amberflo-customer-prepaid",
        {
            "customerId": "{{ params.customerId }}",
            "amount": "{{ params.amount }}",
            "currency": "{{ params.currency }}",
            "expirationTime": "{{ params.expirationTime }}",
        },
    )

with DAG(
    "launch",
    description="New meter, new customer, price plan, first event.",
    tags=["amberflo"],
    is_paused_upon_creation=True,
    params={
        "meterApiName": text("Short technical name for the new meter."),
        "displayName": text("Name that people see."),
        "type": text("How events become one figure."),
        "customerId": text("Your own key for the customer."),
        "customerName": text("Company or person to show in Amberflo."),
        "customerEmail": optional("string", "Where billing mail goes."),
        "productId": text("ID of a price plan that exists in Amberflo already."),
        "meterValue": quantity("Quantity reported by the first event."),
        "meterTimeInMillis": Param(type="integer", description="When that usage happened."),
    },
):
    (
        call(
            "createMeter",
            "meters",
            {
                "meterApiName": "{{ params.meterApiName }}",
                "displayName": "{{ params.displayName }}",
                "type": "{{ params.type }}",
                "dimensions": [],
            },
        )
        >> call("createCustomer", "customers", CUSTOMER)
        >> call(
            "assignPlan",
            "payments-pricing-amberflo-customer-pricing",
            {"customerId": CREATED, "productId": "{{ params.productId }}"},
        )
        >> call(
            "ingestFirstUsage",
            "ingest",
            {
                "meterApiName": "{{ ti.xcom_pull('createMeter').meterApiName }}",
                "customerId": CREATED,
                "meterValue": "{{ params.meterValue }}",
                "meterTimeInMillis": "{{ params.meterTimeInMillis }}",
            },
        )
    )
