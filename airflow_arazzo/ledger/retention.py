"""How long the ledger keeps responses, and when it drops them.

What is dropped is the stored response of an effect alone. That the effect happened, its fingerprint and its
audit stay for ever, so nothing is sent again for want of a response: a later attempt that would have read it
asks a person for it instead.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from airflow_arazzo.ledger.model import LedgerUnavailable
from airflow_arazzo.ledger.store import Store

RETENTION_DAYS = 400.0
"""Days for which responses are kept, from the last change of the effect: a year can be reprocessed."""

DAYS = "ARAZZO_LEDGER_RETENTION_DAYS"
"""Environment variable with another number of days."""

BATCH = 1000
"""Responses that are dropped at once, so that other attempts do not wait long."""

_DAY = 86_400.0

log = logging.getLogger(__name__)


def retention_days(environ: Mapping[str, str]) -> float:
    """The number of days that the environment names, or the default.

    :raises ValueError: when what it names is no number above 0; the message names the variable.
    """
    text = environ.get(DAYS, "").strip()
    if not text:
        return RETENTION_DAYS
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not (days > 0 and math.isfinite(days)):
        raise ValueError(f"{DAYS} must be a number of days above 0")
    return days


def prune(store: Store, days: float, who: str) -> int:
    """Drop all responses that are older.

    :param who: for the audit.
    :return: how many were dropped.
    :raises LedgerUnavailable: when the ledger cannot be used.
    """
    dropped = 0
    while True:
        batch = store.forget_responses(days * _DAY, limit=BATCH, who=who)
        dropped += batch
        if batch < BATCH:
            return dropped


def keep_house(store: Store, environ: Mapping[str, str]) -> None:
    """Drop a batch of older responses, once a day: for whoever opens the ledger to send something.

    Never raises: a ledger that cannot be used says so when it is asked for permission.
    """
    try:
        if store.seconds_since_forgetting() < _DAY:
            return
        dropped = store.forget_responses(retention_days(environ) * _DAY, limit=BATCH, who="airflow-arazzo")
        if dropped:
            log.info("dropped %d stored responses that are past their retention", dropped)
    except (LedgerUnavailable, ValueError) as error:
        log.warning("old responses were not dropped: %s", error)
