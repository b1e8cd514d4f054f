"""How a workflow runs over rows: the arguments of DAGs and task groups that are about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.engine.limits import CONCURRENCY
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.rows.source import BATCH_SIZE, BadRows, BadSource, RowSource, plain_source
from airflow_arazzo.tasks import UnknownName


class RowOptions(msgspec.Struct, frozen=True):
    """How a workflow runs over rows.

    :param for_each: the rows.
    :param row_key: the input, or column, that tells one row from another; several names make one key.
    :param batch_size: rows of one mapped task.
    :param on_bad_rows: what becomes of rows that the workflow does not accept: ``fail`` or ``set_aside``.
    :param max_failed_rows: rows that may fail before the run does; None for any number.
    :param concurrency: requests under way at once in each task.
    :param rate: requests per second and source in each task.
    :param rows_folder: where a run keeps its rows, a URL that every worker reaches. (templated)
    :param accept_changes: whether rows that are read again may have changed after steps have begun.
    """

    for_each: RowSource
    row_key: tuple[str, ...]
    batch_size: int = BATCH_SIZE
    on_bad_rows: BadRows = "fail"
    max_failed_rows: int | None = 0
    concurrency: int = CONCURRENCY
    rate: float | None = None
    rows_folder: str = ""
    accept_changes: bool = False

    def templates(self) -> tuple[Any, ...]:
        """What is rendered for each run."""
        return plain_source(self.for_each), self.rows_folder


def row_options(plan: Plan, inputs: Mapping[str, Any], given: dict[str, Any]) -> RowOptions | None:
    """Take the options of a batch out of arguments; None where there is no ``for_each``.

    :raises UnknownName: for options that cannot be.
    """
    named = {name: given.pop(name) for name in _OPTIONS if name in given}
    if named.get("for_each") is None:
        alone = sorted(name for name in named if name != "for_each")
        if alone:
            raise UnknownName(f"{', '.join(alone)}: only for a workflow over rows; give for_each")
        return None
    key = named.pop("row_key", None) or ()
    keys = (key,) if isinstance(key, str) else tuple(key)
    if not keys:
        raise UnknownName("row_key: it must name the input, or column, that tells one row from another")
    for name in keys:
        if name in plan.root.credentials:
            raise UnknownName(f"row_key: {name!r} is a credential")
        if name in inputs and len(keys) == 1:
            raise UnknownName(f"row_key: {name!r} is the same for all rows")
    try:
        plain_source(named["for_each"])
    except BadSource as error:
        raise UnknownName(str(error)) from None
    options = RowOptions(row_key=keys, **named)
    _check_numbers(options)
    return options


_OPTIONS = RowOptions.__struct_fields__


def _check_numbers(options: RowOptions) -> None:
    for name in ("batch_size", "concurrency"):
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UnknownName(f"{name}: expected a whole number above zero, not {value!r}")
    if options.rate is not None and not options.rate > 0:
        raise UnknownName(f"rate: expected requests per second above zero, not {options.rate!r}")
    if options.on_bad_rows not in ("fail", "set_aside"):
        hint = did_you_mean(str(options.on_bad_rows), ["fail", "set_aside"])
        raise UnknownName(f"on_bad_rows: expected 'fail' or 'set_aside'; {hint}")
