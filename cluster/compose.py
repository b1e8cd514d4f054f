"""What docker-compose.yml says: services, and values with variables in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<kind>:?[-?])(?P<rest>[^}]*))?\})"
)


class ComposeError(ValueError):
    """The file cannot be used as it is, or a variable is missing."""


@dataclass(frozen=True)
class Service:
    """A service of the file.

    :param definition: what the file says of it, anchors resolved and variables not.
    """

    name: str
    definition: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        """Program and arguments."""
        given = self.definition.get("command", [])
        return shlex.split(given) if isinstance(given, str) else [str(part) for part in given]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables."""
        return {name: str(value) for name, value in self.definition.get("environment", {}).items()}

    @property
    def health(self) -> list[str]:
        """Program and arguments that tell by their exit status whether it is healthy; empty without any."""
        test = self.definition.get("healthcheck", {}).get("test", [])
        kind, *rest = test or [""]
        return ["sh", "-c", *rest] if kind == "CMD-SHELL" else [str(part) for part in rest]

    @property
    def patience(self) -> float:
        """Seconds that one run of the health check may take; Docker's default is 30."""
        return float(str(self.definition.get("healthcheck", {}).get("timeout", "30s")).removesuffix("s"))

    @property
    def needs(self) -> dict[str, str]:
        """Services that it waits for, and until when: ``service_healthy`` and the like."""
        given = self.definition.get("depends_on", {})
        return {name: each["condition"] for name, each in given.items()}

    @property
    def profiles(self) -> frozenset[str]:
        """Profiles that it belongs to; without any it always runs."""
        return frozenset(self.definition.get("profiles", ()))

    @property
    def once(self) -> bool:
        """Whether it does something and ends."""
        return self.definition.get("restart") == "no"

    @property
    def instances(self) -> list[str]:
        """Names of its containers: its own, or numbered ones."""
        number = int(self.definition.get("deploy", {}).get("replicas", 1))
        return [self.name] if number == 1 else [f"{self.name}-{at}" for at in range(1, number + 1)]

    @property
    def mounts(self) -> dict[str, str]:
        """Names of volumes by the folder where they are."""
        pairs = (text.split(":") for text in self.definition.get("volumes", ()))
        return {folder: name for name, folder in pairs}


def read(path: Path) -> dict[str, Service]:
    """Services by name, in the file's order.

    :raises ComposeError: when it is no such file.
    """
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or not isinstance(content.get("services"), dict):
        raise ComposeError(f"{path}: expected a mapping with 'services'")
    return {name: Service(name, definition) for name, definition in content["services"].items()}


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """A value with its variables filled in, as the Compose specification has it: ``${NAME:-default}``.

    :raises ComposeError: for a ``${NAME:?message}`` without value.
    """
    return _VARIABLE.sub(_filled(variables), text)


def _filled(variables: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    def fill(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name, kind, rest = match["name"] or match["plain"], match["kind"] or "", match["rest"] or ""
        value = variables.get(name)
        if value or (value is not None and not kind.startswith(":")):
            return value
        if kind.endswith("?"):
            raise ComposeError(f"{name} is not set: {rest}")
        return rest

    return fill


def variables_in(value: Any) -> Iterator[tuple[str, str, str]]:
    """Variables anywhere in a value: name, ``:?``, ``:-`` or nothing, and what stands behind that."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from variables_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from variables_in(each)
    elif isinstance(value, str):
        for match in _VARIABLE.finditer(value):
            if not match["escaped"]:
                yield match["name"] or match["plain"], match["kind"] or "", match["rest"] or ""
