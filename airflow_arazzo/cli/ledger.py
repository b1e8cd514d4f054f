"""``ledger``: what was asked of services, and a person's word where nobody else can say what became of it."""

from __future__ import annotations

import argparse
import math
import os
import pwd
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_arazzo.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    BadArgument,
    complain,
    say,
    say_json,
)
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.redact import printable
from airflow_arazzo.expression.jsonvalue import decode_json, encode_json
from airflow_arazzo.ledger.location import URL, environment_url, file_url
from airflow_arazzo.ledger.model import Entry, LedgerUnavailable, Outcome, as_row
from airflow_arazzo.ledger.retention import prune, retention_days
from airflow_arazzo.ledger.store import Store
from airflow_arazzo.ledger.tables import encode_response


def list_effects(arguments: argparse.Namespace) -> int:
    """``ledger list``: effects, those first whose outcome nobody knows."""
    if arguments.limit < 1:
        raise BadArgument("--limit: expected a number above 0")
    with _Opened(arguments) as store:
        found = store.entries(outcome=arguments.outcome, run=arguments.run, limit=arguments.limit + 1)
        now = store.now()
    shown = found[: arguments.limit]
    if arguments.format == "json":
        _say_json([_row(entry, now) for entry in shown])
    else:
        for entry in shown:
            say(_line(entry, now))
        if not shown:
            say("no effects")
    if len(found) > len(shown):
        complain(f"there are more than {len(shown)}; --limit shows more")
    return EXIT_OK


def show(arguments: argparse.Namespace) -> int:
    """``ledger show``: everything that is known of an effect."""
    with _Opened(arguments) as store:
        entry = _found(store, arguments.key)
        _print(store, entry, arguments.format)
    return EXIT_OK


def resolve(arguments: argparse.Namespace) -> int:
    """``ledger resolve``: say what became of a request whose outcome is unknown."""
    if arguments.happened == arguments.not_happened:
        raise BadArgument("say either --happened or --not-happened")
    reason = _reason(arguments)
    response = _response(arguments)
    with _Opened(arguments) as store:
        entry = _found(store, arguments.key)
        given = bool(arguments.outputs or arguments.response)
        _check_open(entry, store.now(), happened=arguments.happened, given=given)
        values: dict[str, Any] = {"outcome": Outcome.NOT_SENT, "status": None}
        if arguments.happened:
            stored = encode_response(response)
            if stored is None:
                raise BadArgument("--response: it is too large to be kept")
            values = {"outcome": Outcome.EFFECT, "status": response.status, "response": stored}
        action = "happened" if arguments.happened else "not-happened"
        _decide(store, entry, action, reason, **values)
        _print(store, _found(store, entry.key), arguments.format)
    return EXIT_OK


def reissue(arguments: argparse.Namespace) -> int:
    """``ledger reissue``: let an effect that happened happen once more, such as after a void."""
    reason = _reason(arguments)
    with _Opened(arguments) as store:
        entry = _found(store, arguments.key)
        known = entry.known(store.now())
        if known in (Outcome.UNKNOWN, Outcome.INTENT):
            raise BadArgument(f"what became of it is not known ({known}): resolve it first")
        if known is not Outcome.EFFECT:
            raise BadArgument(f"it has not happened ({known}): the next attempt sends it anyway")
        values = {"outcome": Outcome.NOT_SENT, "generation": entry.generation + 1, "owner": "reissue"}
        _decide(store, entry, "reissue", reason, status=None, response=None, **values)
        _print(store, _found(store, entry.key), arguments.format)
    return EXIT_OK


def prune_responses(arguments: argparse.Namespace) -> int:
    """``ledger prune``: drop stored responses that are past their retention; effects stay for ever."""
    try:
        days = retention_days(os.environ) if arguments.days is None else arguments.days
    except ValueError as error:
        raise BadArgument(str(error)) from None
    if not (days > 0 and math.isfinite(days)):
        raise BadArgument("--days: expected a number above 0")
    with _Opened(arguments) as store:
        dropped = prune(store, days, _who())
    say(f"dropped {dropped} responses of effects that were settled more than {days:g} days ago")
    return EXIT_OK


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": list_effects,
    "show": show,
    "resolve": resolve,
    "reissue": reissue,
    "prune": prune_responses,
}
"""Function of every command under ``ledger``."""


def ledger(name: str, arguments: argparse.Namespace) -> int:
    """Run a command.

    :return: 0 when it is done, 1 when the ledger cannot be used or was changed meanwhile.
    :raises BadArgument: when nothing was done because an argument cannot be used.
    """
    try:
        return COMMANDS[name](arguments)
    except LedgerUnavailable as error:
        complain(f"airflow-arazzo: {error}")
        return EXIT_FAILED


class _Opened:
    """The ledger that the arguments or the environment name, for a ``with`` statement."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        url = arguments.ledger or environment_url(os.environ) or file_url(os.environ)
        self._store = Store(url)

    def __enter__(self) -> Store:
        file = self._store.file
        if file is not None and not file.exists():
            raise BadArgument(f"there is no ledger in {file}; --ledger or {URL} says where it is")
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


# --- finding and deciding ------------------------------------------------------------------------------


def _found(store: Store, prefix: str) -> Entry:
    """The one effect whose key begins like this.

    :raises BadArgument: for none and for several.
    """
    found = store.find(prefix) if prefix else []
    exact = [entry for entry in found if entry.key == prefix]
    if len(found) == 1 or exact:
        return (exact or found)[0]
    if not found:
        raise BadArgument(f"there is no effect whose key begins with {printable(prefix)!r}")
    keys = ", ".join(entry.key for entry in found)
    raise BadArgument(f"{printable(prefix)!r} is not one effect but several: {keys}")


def _check_open(entry: Entry, now: float, *, happened: bool, given: bool) -> None:
    """Make sure that there is something to resolve: also of an effect whose response is of no use.

    :param given: whether a response is given, to be read in place of the stored one.
    :raises BadArgument: while an attempt is under way, and for what is known.
    """
    seconds = entry.seconds_left(now)
    if seconds:
        raise BadArgument(f"an attempt is under way and may still hear; look again in {seconds:.0f} s")
    known = entry.known(now)
    lacks_response = known is Outcome.EFFECT and happened and (given or entry.response is None)
    if known is not Outcome.UNKNOWN and not lacks_response:
        raise BadArgument(f"what became of it is known already ({known}); nothing was changed")


def _decide(store: Store, entry: Entry, action: str, reason: str, **values: Any) -> None:
    """Write a decision.

    :raises LedgerUnavailable: when somebody else has written since.
    """
    note = f"{action} by {_who()}: {reason}"
    if not store.decide(entry, _who(), action, reason, note=note, **values):
        raise LedgerUnavailable("the effect was changed meanwhile, and nothing was decided; look at it again")


def _who() -> str:
    """The user of the operating system, which unlike variables of the environment cannot be made up."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _reason(arguments: argparse.Namespace) -> str:
    reason = str(arguments.reason).strip()
    if not reason:
        raise BadArgument("--reason: say why")
    return reason


def _response(arguments: argparse.Namespace) -> Response:
    """The response that a later attempt is to read, as a person gives it."""
    if arguments.outputs and arguments.response:
        raise BadArgument("give either --outputs or --response")
    if arguments.not_happened and (arguments.outputs or arguments.response):
        raise BadArgument("what did not happen has neither outputs nor a response")
    if not 200 <= arguments.status < 300:
        raise BadArgument("--status: what happened has a status from 200 to 299")
    flag = "--outputs" if arguments.outputs else "--response"
    text = _text(flag, arguments.outputs or arguments.response)
    if not text:
        return Response(arguments.status, (), b"")
    try:
        value = decode_json(text)
    except ValueError as error:
        raise BadArgument(f"{flag}: not valid JSON: {error}") from None
    if arguments.outputs and not isinstance(value, dict):
        raise BadArgument("--outputs: expected a JSON object")
    return Response(arguments.status, (("Content-Type", "application/json"),), text.encode())


def _text(flag: str, argument: str) -> str:
    if not argument.startswith("@"):
        return argument
    try:
        return Path(argument[1:]).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadArgument(f"{flag}: {argument[1:]} cannot be read as text") from None


# --- printing ------------------------------------------------------------------------------------------


def _line(entry: Entry, now: float) -> str:
    described = entry.description
    asked = printable(described.request.partition("\n")[0])
    where = printable(f"{described.step} of {described.run}")
    return f"{entry.known(now)!s:<8}  {_time(entry.changed)}  {entry.key[:12]}  {asked}  {where}"


def _row(entry: Entry, now: float) -> dict[str, Any]:
    """An entry for programs: with the outcome as it counts, and times in UTC."""
    row = as_row(entry)
    times = {"first_sent": _time(entry.first_sent), "changed": _time(entry.changed)}
    return {**row, "outcome": str(entry.known(now)), "recorded": str(entry.outcome), **times}


def _print(store: Store, entry: Entry, form: str) -> None:
    now, audit = store.now(), store.audit(entry.key)
    if form == "json":
        decisions = [{**record, "at": _time(record["at"])} for record in audit]
        _say_json({**_row(entry, now), "audit": decisions})
        return
    described, known = entry.description, entry.known(now)
    lost = known is Outcome.UNKNOWN and entry.outcome is Outcome.INTENT
    facts = {
        "key": entry.key,
        "outcome": f"{known}{' (no outcome was ever written)' if lost else ''}",
        "note": entry.note,
        "step": described.step,
        "run": described.run,
        "source": described.source,
        "attempts": f"{entry.attempts}, the last one {described.attempt}".removesuffix(", the last one "),
        "generation": str(entry.generation),
        "protection": described.protection or "none, it is sent once only",
        "first sent": _time(entry.first_sent),
        "changed": _time(entry.changed),
        "status": "" if entry.status is None else str(entry.status),
    }
    for name, value in facts.items():
        if value:
            say(f"{name:<11} {printable(value)}")
    say("request")
    _say_block(described.request)
    if entry.response is not None:
        say(f"response (status {entry.response.status})")
        _say_block(entry.response.body.decode(errors="replace"))
    if audit:
        say("audit")
    for record in audit:
        text = f"{record['who']}: {record['action']} (was {record['before']}): {record['reason']}"
        say(f"  {_time(record['at'])} {printable(text)}")


def _say_block(text: str) -> None:
    for line in text.splitlines():
        say(f"  {printable(line)}".rstrip())


def _say_json(value: Any) -> None:
    say_json(encode_json(value).decode())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
