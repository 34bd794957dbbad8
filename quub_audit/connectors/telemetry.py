"""What watches the service: traces at Datadog, New Relic, Jaeger and Tempo; errors at Sentry, or what speaks its API.

Everything is read by GET, but for New Relic's NerdGraph, whose one query is fixed and changes nothing. Of spans and
events nothing is kept but counts, moments, versions and names of environments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from quub_audit.connectors.base import Ledger, Question
from quub_audit.facts.seal import Redactor
from quub_audit.facts.telemetry import Traces, TrackedProject
from quub_audit.model.environment import ApmBackend, ErrorTracker, credentials_of


class TelemetryConnector:
    """Implements `quub_audit.facts.asking.Telemetry`. Built without I/O; no connection outlives its request."""

    def __init__(
        self, targets: Iterable[ApmBackend | ErrorTracker], ledger: Ledger, redactor: Redactor, *, at: datetime
    ) -> None:
        self._ledger = ledger
        self._at = at
        for target in targets:
            for credential in credentials_of(target):
                redactor.add(credential)

    def traces(self, backend: ApmBackend, *, environment: str, window_min: float) -> Traces:
        """What arrived of the declared service in the `window_min` minutes before the audit.

        `environment` of the answer is empty where the backend does not tell, or the spans do not say. `count` may be
        that of the first page of a search. Raises Denied, Absent, Throttled (until when, in words), Unsupported,
        Malformed, Unreachable, TimedOut, NotTls.
        """

        def find() -> Traces:
            from quub_audit.connectors import telemetry_traces as ask

            window = ask.Window(start=self._at - timedelta(minutes=window_min), end=self._at)
            by_type: Mapping[str, Callable[[ApmBackend, str, ask.Window], Traces]] = {
                "datadog": ask.datadog,
                "newrelic": ask.new_relic,
                "jaeger": ask.jaeger,
                "tempo": ask.tempo,
            }
            return by_type[backend.type](backend, environment, window)

        arguments = {"environment": environment, "window_min": window_min}
        return self._ledger.ask(Question.about("telemetry", f"apm {backend}", "traces", arguments), find)

    def project(self, tracker: ErrorTracker, *, environment: str) -> TrackedProject:
        """The project with its keys, environments, releases, and the newest event of `environment`.

        One that the tracker does not know is an answer (`is_known`). Raises as `traces`.
        """

        def find() -> TrackedProject:
            from quub_audit.connectors.telemetry_sentry import project

            return project(tracker, environment)

        question = Question.about("telemetry", f"error_tracking {tracker}", "project", {"environment": environment})
        return self._ledger.ask(question, find)
