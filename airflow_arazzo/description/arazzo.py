"""Arazzo documents, 1.0 and 1.1, as typed objects that know where they stand.

:mod:`airflow_arazzo.description.arazzo_reader` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from airflow_arazzo.description.documents import Document, Location


@dataclass(frozen=True)
class SourceDescription:
    """A Source Description Object."""

    name: str
    url: str
    type: str
    at: Location


@dataclass(frozen=True)
class ParameterObject:
    """A Parameter Object, its reusable form resolved. ``place`` is empty when ``in`` is not given."""

    name: str
    place: str
    value: Location
    at: Location


@dataclass(frozen=True)
class CriterionObject:
    """A Criterion Object. ``type`` and ``version`` are empty when not given."""

    condition: Location
    type: str
    version: str
    context: Location | None
    at: Location


@dataclass(frozen=True)
class ActionObject:
    """A Success or Failure Action Object, its reusable form resolved.

    :param retry_after: seconds, an ``int`` or ``Decimal``.
    """

    name: str
    type: str
    kind: Literal["success", "failure"]
    step_id: Location | None
    workflow_id: Location | None
    parameters: tuple[ParameterObject, ...]
    retry_after: Any
    retry_limit: int | None
    criteria: tuple[CriterionObject, ...]
    at: Location


@dataclass(frozen=True)
class ReplacementObject:
    """A Payload Replacement Object."""

    target: Location
    type: str
    version: str
    value: Location
    at: Location


@dataclass(frozen=True)
class RequestBodyObject:
    """A Request Body Object. ``payload`` is None when there is none."""

    content_type: Location | None
    payload: Location | None
    replacements: tuple[ReplacementObject, ...]
    at: Location


@dataclass(frozen=True)
class StepObject:
    """A Step Object. Exactly one of the four targets is set in a valid document."""

    id: str
    description: str
    operation_id: Location | None
    operation_path: Location | None
    channel_path: Location | None
    workflow_id: Location | None
    parameters: tuple[ParameterObject, ...]
    request_body: RequestBodyObject | None
    success_criteria: tuple[CriterionObject, ...]
    on_success: tuple[ActionObject, ...]
    on_failure: tuple[ActionObject, ...]
    outputs: dict[str, Location]
    timeout: int | None
    depends_on: tuple[Location, ...]
    message_action: str
    at: Location


@dataclass(frozen=True)
class ProbeObject:
    """A lookup that tells whether the effect of a step exists. No part of Arazzo: a deployment gives it.

    :param lookup: as a step: operation, parameters, and as criteria of success those which say that the
        effect exists.
    :param not_happened: criteria of one that does not.
    :param wait: seconds; None when not given.
    """

    lookup: StepObject
    not_happened: tuple[CriterionObject, ...]
    wait: int | Decimal | None
    response: bool
    at: Location


@dataclass(frozen=True)
class WorkflowObject:
    """A Workflow Object."""

    id: str
    summary: str
    description: str
    inputs: Location | None
    depends_on: tuple[Location, ...]
    steps: tuple[StepObject, ...]
    success_actions: tuple[ActionObject, ...]
    failure_actions: tuple[ActionObject, ...]
    outputs: dict[str, Location]
    parameters: tuple[ParameterObject, ...]
    at: Location


@dataclass(frozen=True)
class ArazzoDocument:
    """An Arazzo Specification Object."""

    document: Document
    version: str
    self_uri: str
    title: str
    summary: str
    description: str
    document_version: str
    sources: tuple[SourceDescription, ...]
    workflows: tuple[WorkflowObject, ...]
    at: Location = field(repr=False)

    def workflow(self, workflow_id: str) -> WorkflowObject | None:
        """The workflow of that id, exactly."""
        return next((workflow for workflow in self.workflows if workflow.id == workflow_id), None)

    def source(self, name: str) -> SourceDescription | None:
        """The source description of that name, exactly."""
        return next((source for source in self.sources if source.name == name), None)


def is_arazzo(document: Document) -> bool:
    """Whether a document says that it is an Arazzo Description."""
    return isinstance(document.value, dict) and "arazzo" in document.value
