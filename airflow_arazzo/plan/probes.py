"""Compiling probes: lookups that a deployment names for steps, kept with the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from airflow_arazzo.description.arazzo import ProbeObject
from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.description.documents import Report
from airflow_arazzo.plan.model import DEFAULT_WAIT, SAFE_METHODS, OperationCall, Probe, Step
from airflow_arazzo.plan.workflow import StepCompiler


@dataclass
class Probes:
    """The probes of a plan, by step: its id, and for steps of called workflows ``WORKFLOW.STEP``.

    :param met: names of the steps that there are.
    """

    given: Mapping[str, ProbeObject]
    report: Report
    met: set[str] = field(default_factory=set)

    def add(self, step: Step, name: str, compiler: StepCompiler) -> Step:
        """The step with its probe, if it has one.

        :param name: of the step, as the deployment calls it.
        :param compiler: has just compiled the step.
        """
        self.met.add(name)
        given = self.given.get(name)
        if given is None:
            return step
        if not isinstance(step.call, OperationCall) or step.call.method in SAFE_METHODS:
            problem = f"step {name!r} sends nothing that could have an effect, so there is nothing to look up"
            self.report.error("probe-target", problem, given.at)
            return step
        probe = self._probe(given, compiler)
        return step if probe is None else msgspec.structs.replace(step, probe=probe)

    def _probe(self, given: ProbeObject, compiler: StepCompiler) -> Probe | None:
        call, happened = compiler.lookup(given.lookup)
        not_happened = compiler.criteria(given.not_happened)
        if call is None:
            return None
        if call.method not in SAFE_METHODS:
            problem = f"{call.method} {call.path} may change something; a probe is a lookup"
            reference = given.lookup.operation_id or given.lookup.operation_path or given.at
            self.report.error("probe-method", problem, reference, "name an operation by GET or HEAD")
        wait = DEFAULT_WAIT if given.wait is None else float(given.wait)
        return Probe(call, happened, not_happened, wait, given.response)

    def check_names(self) -> None:
        """Report probes for steps that there are not."""
        for name in self.given.keys() - self.met:
            hint = did_you_mean(name, self.met)
            self.report.error("unknown-step", f"there is no step {name!r}", self.given[name].at, hint)
