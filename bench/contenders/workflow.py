"""The workflow that contenders run, as they all get it. This file needs the standard library alone."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "specs" / "arazzo" / "amberflo-provision-customer-billing-workflow.yml"
WORKFLOW = "provision-customer-billing"
STEPS = 3
KEY = "bench-key-of-the-sandbox"

ANSWERS = (
    b'{"customerId":"c","customerName":"A","lifecycleStage":"ACTIVE","createTime":1718153645993}',
    b'{"customerId":"c","productId":"p","startTime":1718153645993}',
    b'{"orderId":"o","customerId":"c","amount":10.10}',
)
"""What the three steps are answered where there is no network."""

PATHS = (
    "/customers",
    "/payments-pricing-amberflo-customer-pricing",
    "/payments-pricing-amberflo-customer-prepaid",
)
_names = (f"bench-{os.getpid()}-{number}" for number in itertools.count())


def clock(processor: bool) -> Callable[[], float]:
    """Seconds that pass, or those that the processor spends on this process and nothing else."""
    return time.process_time if processor else time.perf_counter


def inputs() -> dict[str, Any]:
    """All inputs of a run, for a customer of its own: arazzo-runner sends null for one that is missing."""
    return {
        "customerId": next(_names),
        "customerName": "A",
        "customerEmail": "a@example.com",
        "productId": "p",
        "amount": 10.5,
        "currency": "USD",
        "expirationTime": 1749686400000,
    }


def bodies(given: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """What the three requests carry, for those that write them by hand; in the order of :data:`PATHS`."""
    customer = {"customerId": given["customerId"]}
    names = {name: given[name] for name in ("customerName", "customerEmail")}
    order = {name: given[name] for name in ("amount", "currency", "expirationTime")}
    return (
        {**customer, **names, "lifecycleStage": "ACTIVE"},
        {**customer, "productId": given["productId"]},
        {**customer, **order},
    )
