"""What a Schema Object says about the values it allows, as far as compiling needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_arazzo.description.documents import Location
from airflow_arazzo.description.references import BrokenReference, resolve
from airflow_arazzo.description.sources import Library

_COMBINED = ("allOf", "oneOf", "anyOf")


@dataclass(frozen=True)
class SchemaFacts:
    """Questions to a schema. A schema that is missing or broken answers that it does not know."""

    at: Location | None
    library: Library

    def _views(self, at: Location | None, combined: tuple[str, ...]) -> list[Location]:
        """The schema itself and the schemas that it combines, references followed, each once."""
        views: dict[Location, None] = {}
        waiting = [at]
        while waiting:
            view = self._resolved(waiting.pop(0))
            if view is None or view in views:
                continue
            views[view] = None
            inner = [item for keyword in combined if (listed := view.get(keyword)) for item in listed.items()]
            waiting = [*inner, *waiting]
        return list(views)

    def _resolved(self, at: Location | None) -> Location | None:
        try:
            found = resolve(at, self.library) if at is not None else None
        except BrokenReference:
            return None
        return found if found is not None and isinstance(found.value, dict) else None

    @property
    def types(self) -> frozenset[str]:
        """Names of the JSON types that the schema mentions, ``null`` left out; empty when unknown."""
        found: set[str] = set()
        for view in self._views(self.at, _COMBINED):
            declared = view.value.get("type")
            named = declared if isinstance(declared, list) else [declared]
            found.update(name for name in named if isinstance(name, str))
        return frozenset(found - {"null"})

    def member(self, name: str) -> SchemaFacts:
        """The schema of an object's property."""
        for view in self._views(self.at, _COMBINED):
            properties = view.get("properties")
            declared = properties.get(name) if properties else None
            if declared is not None:
                return SchemaFacts(declared, self.library)
        for view in self._views(self.at, _COMBINED):
            additional = view.get("additionalProperties")
            if additional is not None and isinstance(additional.value, dict):
                return SchemaFacts(additional, self.library)
        return SchemaFacts(None, self.library)

    @property
    def items(self) -> SchemaFacts:
        """The schema of an array's items."""
        for view in self._views(self.at, _COMBINED):
            items = view.get("items")
            if items is not None:
                return SchemaFacts(items, self.library)
        return SchemaFacts(None, self.library)

    @property
    def required(self) -> tuple[str, ...]:
        """Properties that every object must have; alternatives (oneOf, anyOf) are not looked into."""
        names: dict[str, None] = {}
        for view in self._views(self.at, ("allOf",)):
            listed = view.value.get("required")
            if isinstance(listed, list):
                names.update((name, None) for name in listed if isinstance(name, str))
        read_only = {name for name in names if self.member(name).keyword("readOnly") is True}
        return tuple(name for name in names if name not in read_only)

    @property
    def property_names(self) -> tuple[str, ...]:
        """Names of all declared properties, alternatives included."""
        names: dict[str, None] = {}
        for view in self._views(self.at, _COMBINED):
            properties = view.get("properties")
            names.update((name, None) for name, _ in (properties.members() if properties else ()))
        return tuple(names)

    def keyword(self, name: str) -> Any:
        """The value of a keyword of the schema itself (or of what it refers to), or None."""
        views = self._views(self.at, ())
        return views[0].value.get(name) if views else None
