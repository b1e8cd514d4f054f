"""OpenAPI 3.0, 3.1 and 3.2 descriptions, read only where a workflow touches them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from airflow_arazzo.description.documents import Document, Location
from airflow_arazzo.description.references import BrokenReference, resolve
from airflow_arazzo.description.schemas import SchemaFacts
from airflow_arazzo.description.sources import Library

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
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
        paths = self.document.root.get("paths")
        for path, written in paths.members() if paths else ():
            try:
                item = resolve(written, self.library)
            except BrokenReference:
                continue
            for method in METHODS:
                operation = item.get(method)
                if operation is not None and isinstance(operation.value, dict):
                    yield OperationKey(path, method.upper(), operation, item)

    @cached_property
    def by_id(self) -> dict[str, list[OperationKey]]:
        """Operations by operationId."""
        found: dict[str, list[OperationKey]] = {}
        for key in self.keys:
            operation_id = key.at.value.get("operationId")
            if isinstance(operation_id, str):
                found.setdefault(operation_id, []).append(key)
        return found

    def at_path(self, path: str, method: str) -> OperationKey | None:
        """The operation of a path template and method, exactly."""
        wanted = method.upper()
        return next((key for key in self.keys if key.path == path and key.method == wanted), None)

    def operation(self, key: OperationKey) -> ApiOperation:
        """Read an operation with all that applies to it.

        :raises BrokenReference: when a reference that it needs leads nowhere.
        """
        if key not in self._operations:
            self._operations[key] = self._read(key)
        return self._operations[key]

    def _read(self, key: OperationKey) -> ApiOperation:
        at = key.at
        body_at = at.get("requestBody")
        body = resolve(body_at, self.library) if body_at else None
        content = body.get("content") if body else None
        external = at.get("externalDocs")
        url = external.get("url") if external else None
        return ApiOperation(
            id=str(at.value.get("operationId") or ""),
            method=key.method,
            path=key.path,
            summary=str(at.value.get("summary") or ""),
            description=str(at.value.get("description") or ""),
            documentation=str(url.value) if url else "",
            parameters=self._parameters(key),
            bodies={name: self._media_type(name, media) for name, media in content.members()}
            if content
            else {},
            body_required=bool(body.value.get("required"))
            if body and isinstance(body.value, dict)
            else False,
            responses=self._response_types(at),
            servers=self._servers(key),
            security=at.get("security") or self.document.root.get("security"),
            at=at,
        )

    def _parameters(self, key: OperationKey) -> tuple[ApiParameter, ...]:
        """Parameters of the path item, overridden by those of the operation (by name and place)."""
        merged: dict[tuple[str, str], ApiParameter] = {}
        for owner in (key.item, key.at):
            listed = owner.get("parameters")
            for written in listed.items() if listed else ():
                parameter = self._parameter(resolve(written, self.library))
                if parameter is not None:
                    merged[parameter.name, parameter.place] = parameter
        return tuple(merged.values())

    def _parameter(self, at: Location) -> ApiParameter | None:
        if not isinstance(at.value, dict):
            return None
        name, place = at.value.get("name"), at.value.get("in")
        if not isinstance(name, str) or not isinstance(place, str):
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
            schema=SchemaFacts(schema, self.library),
            style=style if isinstance(style, str) else None,
            explode=explode if isinstance(explode, bool) else None,
            allow_reserved=bool(at.value.get("allowReserved")),
            content_type=content_type,
            at=at,
        )

    def _media_type(self, name: str, at: Location) -> MediaType:
        at = resolve(at, self.library)
        return MediaType(name, SchemaFacts(at.get("schema"), self.library), at.get("encoding"))

    def _response_types(self, at: Location) -> tuple[str, ...]:
        """Media types of the described 2xx responses, in document order, or of ``default``."""
        responses = at.get("responses")
        found: dict[str, dict[str, None]] = {"2": {}, "default": {}}
        for status, written in responses.members() if responses else ():
            kind = "2" if status.startswith("2") else status
            if kind not in found:
                continue
            try:
                content = resolve(written, self.library).get("content")
            except BrokenReference:
                continue
            found[kind].update((media_type, None) for media_type, _ in (content.members() if content else ()))
        return tuple(found["2"] or found["default"])

    def _servers(self, key: OperationKey) -> tuple[Location, ...]:
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
