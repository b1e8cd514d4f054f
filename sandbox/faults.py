"""Which requests meet which fault: the rules, and the choice among them.

A rule says what it matches (``service``, ``method``, ``path`` as a glob, and then ``nth``, ``times``,
``probability`` with ``seed``) and what happens (``action``, ``when`` and the action's own parameters):

================  =======================  ========================================================
action            when (default first)  parameters
================  =======================  ========================================================
``delay``         before, inside, after    ``seconds``
``reset``         before, unread, after    none; a TCP reset instead of an answer
``error``         before, inside, after    ``status`` 500, ``body``, ``effect`` true
``rate_limit``    before                   ``status`` 429, ``retry_after`` "1" (seconds/date)
``redirect``      before                   ``status`` 307, ``location``
``truncate``      after                    ``bytes`` of the body that are sent, default half
``content_type``  after, before            ``content_type`` text/html, ``body``
``echo``          before, after            ``status`` 400, ``location``: credentials come back
``refuse``        after                    ``seconds``: the next connections are refused
================  =======================  ========================================================

*unread* is before the body is read; *before* is before the key is checked, without an effect; *inside* is
while the service executes, so that Stripe remembers the answer under its key (``effect`` says whether the
change of state happens); *after* is when the service's own answer is ready and the effect has happened.

An echo holds the credentials as they came, in base64 and percent-encoded, in the body and in the header
``X-Echo``; with a ``location`` (and a status of 300 to 399) also in the ``Location``, as a query. A request
that meets ``refuse`` is answered; a connection cannot be refused for what would be asked over it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

WHEN: dict[str, tuple[str, ...]] = {
    "delay": ("before", "inside", "after"),
    "reset": ("before", "unread", "after"),
    "error": ("before", "inside", "after"),
    "rate_limit": ("before",),
    "redirect": ("before",),
    "truncate": ("after",),
    "content_type": ("after", "before"),
    "echo": ("before", "after"),
    "refuse": ("after",),
}
"""For each action the moments at which it can happen, the default first."""

_PARAMETERS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "delay": {"seconds": (int, float)},
    "reset": {},
    "error": {"status": int, "body": str, "effect": bool},
    "rate_limit": {"status": int, "retry_after": (int, str)},
    "redirect": {"status": int, "location": str},
    "truncate": {"bytes": int},
    "content_type": {"content_type": str, "body": str},
    "echo": {"status": int, "location": str},
    "refuse": {"seconds": (int, float)},
}
_REQUIRED = {"delay": "seconds", "redirect": "location", "refuse": "seconds"}
_MATCH: dict[str, type | tuple[type, ...]] = {
    "service": str,
    "method": str,
    "path": str,
    "nth": int,
    "times": int,
    "probability": (int, float),
    "seed": int,
}


@dataclass
class Rule:
    """One rule, with the counts of how often it matched and fired.

    :param parameters: parameters of the action.
    """

    action: str
    when: str
    service: str | None = None
    method: str | None = None
    path: str = "*"
    nth: int | None = None
    times: int | None = None
    probability: float | None = None
    seed: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    matched: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose

    @classmethod
    def from_json(cls, value: object) -> Rule:
        """Read a rule as ``POST /_sandbox/faults`` gets it.

        :raises ValueError: the rule is not one; the message says why.
        """
        if not isinstance(value, Mapping):
            raise ValueError("a rule must be an object")
        action = value.get("action")
        if not isinstance(action, str) or action not in WHEN:
            raise ValueError(f"action must be one of {', '.join(WHEN)}")
        when = value.get("when", WHEN[action][0])
        if when not in WHEN[action]:
            raise ValueError(f"{action} can happen {' or '.join(WHEN[action])}, not {when!r}")
        known = {**_MATCH, **_PARAMETERS[action]}
        given = {k: v for k, v in value.items() if k not in ("action", "when")}
        for name, item in given.items():
            if name not in known:
                raise ValueError(f"{action} has no {name!r}")
            wrong_bool = isinstance(item, bool) and known[name] is not bool
            if wrong_bool or not isinstance(item, known[name]):
                raise ValueError(f"{name!r} has the wrong type")
        if action in _REQUIRED and _REQUIRED[action] not in given:
            raise ValueError(f"{action} needs {_REQUIRED[action]!r}")
        parameters = {k: v for k, v in given.items() if k in _PARAMETERS[action]}
        return cls(
            action=action,
            when=when,
            parameters=parameters,
            **{k: v for k, v in given.items() if k in _MATCH},
        )

    def fires(self, service: str, method: str, path: str) -> bool:
        """Count a request, and tell whether it meets this fault."""
        if self.service not in (None, service) or self.method not in (None, method):
            return False
        if not fnmatchcase(path, self.path):
            return False
        self.matched += 1
        # Drawn for every match, so that the same seed picks the same requests whatever else is set.
        drawn = self.probability is None or self._random.random() < self.probability
        if not drawn or self.nth not in (None, self.matched):
            return False
        if self.times is not None and self.fired >= self.times:
            return False
        self.fired += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """Return the rule as it was given, with ``when`` and the counts."""
        match = {k: getattr(self, k) for k in _MATCH if getattr(self, k) is not None}
        return {
            **match,
            "action": self.action,
            "when": self.when,
            **self.parameters,
            "matched": self.matched,
            "fired": self.fired,
        }


@dataclass
class FaultBook:
    """The rules in force; the first one that fires is the fault of a request."""

    rules: list[Rule] = field(default_factory=list)

    def pick(self, service: str, method: str, path: str) -> Rule | None:
        """Return the fault that a request meets, or None.

        :param path: path as received, without the query.
        """
        for rule in self.rules:
            if rule.fires(service, method, path):
                return rule
        return None
