"""A contender in a process of its own, which measures when it is asked to.

It reads a line of JSON and answers with one: ``{"do": NAME, ...}`` and ``{"value": ...}``. That way
contenders with dependencies of their own take turns in one run. This file needs the standard library alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any


class ContenderFailed(Exception):
    """The process ended, or said that it cannot do what was asked."""


class Contender:
    """The process, seen from the one that asks.

    :param command: what starts it.
    :param environment: added to this process's environment.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Contender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have something done, and get what it answers.

        :raises ContenderFailed: when it cannot be done.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ContenderFailed("the process has no input and output")
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ContenderFailed(f"the process ended before it was asked for {do!r}") from None
        line = self._process.stdout.readline()
        if not line:
            raise ContenderFailed(f"the process ended while it was asked for {do!r}")
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderFailed(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def serve(doable: Mapping[str, Callable[..., Any]]) -> None:
    """Do what is asked for until nobody asks any more. What is printed meanwhile goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"value": doable[asked.pop("do")](**asked)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
