"""Arguments of the commands under ``ledger``, which are declared without reading any SQL library."""

from __future__ import annotations

from airflow_arazzo.cli.arguments import Argument

SUMMARY = "Show and settle what was asked of services"

OUTCOMES = ("intent", "effect", "refused", "not-sent", "unknown")

_WHERE = Argument(
    ("--ledger",),
    {
        "default": "",
        "metavar": "URL",
        "help": "SQLAlchemy URL; else ARAZZO_LEDGER, AIRFLOW_CONN_ARAZZO_LEDGER, the file in AIRFLOW_HOME",
    },
)
_FORMAT = Argument(("--format",), {"choices": ("text", "json"), "default": "text", "help": "how to print"})
_KEY = Argument(("key",), {"metavar": "KEY", "help": "key of the effect, or how it begins"})
_REASON = Argument(("--reason",), {"required": True, "metavar": "TEXT", "help": "why, for the audit"})

LIST = (
    Argument(("--outcome",), {"choices": OUTCOMES, "default": "", "help": "only these"}),
    Argument(("--run",), {"default": "", "metavar": "TEXT", "help": "only runs whose name contains this"}),
    Argument(("--limit",), {"type": int, "default": 100, "metavar": "N", "help": "at most so many"}),
    _FORMAT,
    _WHERE,
)
SHOW = (_KEY, _FORMAT, _WHERE)
RESOLVE = (
    _KEY,
    Argument(("--happened",), {"action": "store_true", "help": "it took effect: it is never sent again"}),
    Argument(("--not-happened",), {"action": "store_true", "help": "it did not: it may be sent again"}),
    Argument(
        ("--outputs",),
        {
            "default": "",
            "metavar": "JSON|@FILE",
            "help": "an object with the members of the response that the step's outputs are taken from",
        },
    ),
    Argument(
        ("--response",),
        {"default": "", "metavar": "JSON|@FILE", "help": "the whole response body; empty when not given"},
    ),
    Argument(("--status",), {"type": int, "default": 200, "metavar": "N", "help": "of the response"}),
    _REASON,
    _FORMAT,
    _WHERE,
)
REISSUE = (_KEY, _REASON, _FORMAT, _WHERE)
PRUNE = (
    Argument(
        ("--days",),
        {
            "type": float,
            "default": None,
            "metavar": "N",
            "help": "responses older than this (else ARAZZO_LEDGER_RETENTION_DAYS, or 400)",
        },
    ),
    _WHERE,
)


COMMANDS: dict[str, tuple[str, tuple[Argument, ...]]] = {
    "list": ("List effects, unknown outcomes first", LIST),
    "show": ("Show an effect with its request, response and audit", SHOW),
    "resolve": ("Say what became of a request whose outcome is unknown", RESOLVE),
    "reissue": ("Let an effect that happened happen once more", REISSUE),
    "prune": ("Drop stored responses that are past their retention", PRUNE),
}
"""Help and arguments of every command under ``ledger``."""
