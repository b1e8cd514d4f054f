"""OpenAPI 3.0, 3.1 and 3.2 descriptions, read only where a workflow touches them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from airflow_arazzo.description.documents import Document, Location
from airflow_arazzo.description.lazy import LazyObject
from airflow_arazzo.description.references import BrokenReference, resolve
from airflow_arazzo.description.schemas import SchemaFacts
from airflow_arazzo.description.sources import Library

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
PLACES = ("path", "query", "querystring", "header", "cookie")
VERSION = re.compile(r"3\.[012](\.\d+)?(-.+)?\Z")


@dataclass(frozen=True)
class ApiParameter:
    """A Parameter Object of OpenAPI; ``style`` and ``explode`` are None where not given."""

    name: str
    place: str
    required: bool
    schema: SchemaFacts
    style: str | None
    explode: bool | None
    allow_reserved: bool
    content_type: str
    at: Location


@dataclass(frozen=True)
class MediaType:
    """A Media Type Object of a request body."""

    content_type: str
    schema: SchemaFacts
    encoding: Location | None


@dataclass(frozen=True)
class ApiOperation:
    """An operation with everything that its path item and document add to it.

    :param method: upper case.
    :param key: pointer tokens of the operation in its document.
    :param bodies: by media type as written, in document order.
    :param security: security requirements in effect; None when the description asks for nothing.
    :param unresolved: references of the operation that lead nowhere; what they stand for is left out.
    """

    id: str
    method: str
    path: str
    summary: str
    description: str
    documentation: str
    parameters: tuple[ApiParameter, ...]
    bodies: dict[str, MediaType]
    body_required: bool
    responses: tuple[str, ...]
    servers: tuple[Location, ...]
    security: Location | None
    at: Location
    unresolved: tuple[BrokenReference, ...] = ()


@dataclass(frozen=True)
class OperationKey:
    """Where an operation is: its path template, method and location."""

    path: str
    method: str
    at: Location
    item: Location


@dataclass
class OpenApi:
    """An OpenAPI description.

    :param library: loads the files that its references name.
    """

    document: Document
    library: Library
    _operations: dict[OperationKey, ApiOperation] = field(default_factory=dict, init=False)

    @property
    def version(self) -> str:
        """The text of ``openapi`` (or of ``swagger`` in version 2 documents), empty when there is none."""
        root = self.document.value
        found = (root.get("openapi") or root.get("swagger") or "") if isinstance(root, dict) else ""
        return str(found)

    @property
    def supported(self) -> bool:
        """Whether the version is one that this module reads."""
        return bool(VERSION.match(self.version))

    @property
    def title(self) -> str:
        """Title of the API."""
        info = self.document.root.get("info")
        title = info.get("title") if info else None
        return str(title.value) if title else ""

    @cached_property
    def keys(self) -> tuple[OperationKey, ...]:
        """Every operation of the description, unread."""
        return tuple(self._keys())

    def _keys(self) -> Iterator[OperationKey]:
        for path in self._paths:
            yield from self.keys_at(path)

    @cached_property
    def _paths(self) -> dict[str, Any]:
        """The Paths Object; empty when there is none."""
        paths = self.document.root.get("paths")
        return paths.value if paths and isinstance(paths.value, dict) else {}

    def keys_at(self, path: str) -> Iterator[OperationKey]:
        """Every operation of a path template, unread; none where its reference leads nowhere."""
        if path not in self._paths:
            return
        try:
            item = resolve(self.document.root / "paths" / path, self.library)
        except BrokenReference:
            return
        yield from _operations_of(path, item)

    @cached_property
    def webhooks(self) -> frozenset[str]:
        """Ids of operations that the API calls, rather than offers (OpenAPI 3.1, ``webhooks``)."""
        hooks = self.document.root.get("webhooks")
        found = (
            key for name, item in (hooks.members() if hooks else ()) for key in _operations_of(name, item)
        )
        return frozenset(str(key.at.value.get("operationId")) for key in found)

    @cached_property
    def by_id(self) -> Mapping[str, list[OperationKey]]:
        """Operations by operationId."""
        paths: dict[str, dict[str, None]] = {}
        for path in self._paths:
            for operation_id in self._ids_at(path):
                paths.setdefault(operation_id, {})[path] = None
        return _ById(self, paths)

    def _ids_at(self, path: str) -> Sequence[str]:
        """The operationIds of a path."""
        paths = self._paths
        quick = _quick_ids(paths.unread(path)) if isinstance(paths, LazyObject) else None
        if quick is not None:
            return quick
        found = [key.at.value.get("operationId") for key in self.keys_at(path)]
        return [operation_id for operation_id in found if isinstance(operation_id, str)]

    def at_path(self, path: str, method: str) -> OperationKey | None:
        """The operation of a path template and method, exactly."""
        wanted = method.upper()
        return next((key for key in self.keys_at(path) if key.method == wanted), None)

    def operation(self, key: OperationKey) -> ApiOperation:
        """An operation with all that applies to it."""
        if key not in self._operations:
            self._operations[key] = _OperationReader(self, key).read()
        return self._operations[key]

    def response_properties(self, key: OperationKey) -> frozenset[str]:
        """Properties of the JSON objects that the operation's 2xx responses are described to be."""
        return _OperationReader(self, key).response_properties()

    def servers(self, key: OperationKey) -> tuple[Location, ...]:
        """Servers of the operation, else of its path item, else of the document."""
        for owner in (key.at, key.item, self.document.root):
            servers = owner.get("servers")
            listed = (
                [server for server in servers.items() if isinstance(server.value, dict)] if servers else []
            )
            if listed:
                return tuple(listed)
        return ()

    def security_scheme(self, name: str) -> Location | None:
        """The Security Scheme Object of a name.

        :raises BrokenReference: when it is a reference that leads nowhere.
        """
        components = self.document.root.get("components")
        schemes = components.get("securitySchemes") if components else None
        written = schemes.get(name) if schemes else None
        return resolve(written, self.library) if written else None

    @property
    def scheme_names(self) -> tuple[str, ...]:
        """Names of all security schemes."""
        components = self.document.root.get("components")
        schemes = components.get("securitySchemes") if components else None
        return tuple(name for name, _ in schemes.members()) if schemes else ()


def _operations_of(path: str, item: Location) -> Iterator[OperationKey]:
    """Operations of a Path Item Object, those under ``additionalOperations`` (OpenAPI 3.2) included."""
    for method in METHODS:
        operation = item.get(method)
        if operation is not None and isinstance(operation.value, dict):
            yield OperationKey(path, method.upper(), operation, item)
    further = item.get("additionalOperations")
    for method, operation in further.members() if further else ():
        if isinstance(operation.value, dict):
            yield OperationKey(path, method, operation, item)


class _ById(Mapping[str, list[OperationKey]]):
    """Operations by id, looked at when they are asked for.

    :param paths: the path templates that have an operation of the id.
    """

    def __init__(self, api: OpenApi, paths: dict[str, dict[str, None]]) -> None:
        self._api, self._paths = api, paths

    def __getitem__(self, operation_id: str) -> list[OperationKey]:
        keys = (key for path in self._paths[operation_id] for key in self._api.keys_at(path))
        return [key for key in keys if key.at.value.get("operationId") == operation_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


class _Head(msgspec.Struct):
    """What tells one operation from another."""

    operationId: str = ""  # noqa: N815


_REFERENCE = ("reference", str, msgspec.field(name="$ref", default=""))
_FURTHER = ("additionalOperations", msgspec.Raw, msgspec.Raw())
_Item = msgspec.defstruct(
    "_Item", [*[(method, _Head | None, None) for method in METHODS], _REFERENCE, _FURTHER]
)
_ITEMS = msgspec.json.Decoder(_Item)


def _quick_ids(item: bytes | None) -> Sequence[str] | None:
    """The operationIds of a Path Item Object as JSON; None for one that needs a closer look."""
    try:
        found: Any = _ITEMS.decode(item or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if found.reference or bytes(found.additionalOperations):
        return None
    heads = [getattr(found, method) for method in METHODS]
    return [head.operationId for head in heads if head and head.operationId]


class _OperationReader:
    """Reads one operation. References that lead nowhere are remembered, and what they stand for left out."""

    def __init__(self, api: OpenApi, key: OperationKey) -> None:
        self.api = api
        self.key = key
        self.unresolved: dict[Location, BrokenReference] = {}

    def read(self) -> ApiOperation:
        at = self.key.at
        body = self.resolved(at.get("requestBody"))
        content = body.get("content") if body else None
        external = at.get("externalDocs")
        url = external.get("url") if external else None
        bodies = {
            name: self.media_type(name, media) for name, media in (content.members() if content else ())
        }
        return ApiOperation(
            id=str(at.value.get("operationId") or ""),
            method=self.key.method,
            path=self.key.path,
            summary=str(at.value.get("summary") or ""),
            description=str(at.value.get("description") or ""),
            documentation=str(url.value) if url else "",
            parameters=self.parameters(),
            bodies=bodies,
            body_required=body is not None
            and isinstance(body.value, dict)
            and bool(body.value.get("required")),
            responses=self.response_types(),
            servers=self.api.servers(self.key),
            security=at.get("security") or self.api.document.root.get("security"),
            at=at,
            unresolved=tuple(self.unresolved.values()),
        )

    def resolved(self, at: Location | None) -> Location | None:
        """What stands at the end of a location's references, or None."""
        try:
            return resolve(at, self.api.library) if at is not None else None
        except BrokenReference as broken:
            self.unresolved.setdefault(broken.at, broken)
            return None

    def schema(self, at: Location | None) -> SchemaFacts:
        """A schema; one whose reference leads nowhere knows nothing."""
        return SchemaFacts(at if self.resolved(at) else None, self.api.library)

    def parameters(self) -> tuple[ApiParameter, ...]:
        """Parameters of the path item, overridden by those of the operation (by name and place)."""
        merged: dict[tuple[str, str], ApiParameter] = {}
        for owner in (self.key.item, self.key.at):
            listed = owner.get("parameters")
            for written in listed.items() if listed else ():
                at = self.resolved(written)
                parameter = self.parameter(at) if at else None
                if parameter is not None:
                    merged[parameter.name, parameter.place] = parameter
        return tuple(merged.values())

    def parameter(self, at: Location) -> ApiParameter | None:
        if not isinstance(at.value, dict):
            return None
        name, place = at.value.get("name"), at.value.get("in")
        if not isinstance(name, str) or place not in PLACES:
            return None
        content_type, schema = "", at.get("schema")
        content = at.get("content")
        for media_type, media in content.members() if content else ():
            content_type, schema = media_type, media.get("schema")
            break
        explode = at.value.get("explode")
        style = at.value.get("style")
        return ApiParameter(
            name=name,
            place=place,
            required=bool(at.value.get("required")) or place == "path",
            schema=self.schema(schema),
            style=style if isinstance(style, str) else None,
            explode=explode if isinstance(explode, bool) else None,
            allow_reserved=bool(at.value.get("allowReserved")),
            content_type=content_type,
            at=at,
        )

    def media_type(self, name: str, written: Location) -> MediaType:
        at = self.resolved(written)
        if at is None:
            return MediaType(name, SchemaFacts(None, self.api.library), None)
        return MediaType(name, self.schema(at.get("schema")), at.get("encoding"))

    def response_properties(self) -> frozenset[str]:
        """Properties of the bodies of the described 2xx responses, where they are JSON."""
        responses = self.key.at.get("responses")
        names: set[str] = set()
        for status, written in responses.members() if responses else ():
            response = self.resolved(written) if status.startswith("2") else None
            content = response.get("content") if response else None
            for name, media in content.members() if content else ():
                if "json" in name.casefold():
                    names.update(self.media_type(name, media).schema.property_names)
        return frozenset(names)

    def response_types(self) -> tuple[str, ...]:
        """Media types of the described 2xx responses, in document order, or of ``default``."""
        responses = self.key.at.get("responses")
        found: dict[str, dict[str, None]] = {"2": {}, "default": {}}
        for status, written in responses.members() if responses else ():
            kind = "2" if status.startswith("2") else status
            response = self.resolved(written) if kind in found else None
            content = response.get("content") if response else None
            for media_type, _ in content.members() if content else ():
                found[kind][media_type] = None
        return tuple(found["2"] or found["default"])
