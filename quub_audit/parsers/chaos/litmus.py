"""Litmus' ChaosResult, one or a list of them, as `kubectl get chaosresult -o json` (or `-o yaml`) prints it.

Source: https://docs.litmuschaos.io/docs/concepts/chaos-result. A verdict `Pass` means that the fault was injected and
every probe held; `Awaited` that it is not over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import yaml

from quub_audit.facts.artifacts import Experiment, Origin
from quub_audit.parsers.source import Format, Source, list_in, mapping, moment, text_of

Status = Literal["completed", "failed", "aborted", "unfinished"]
_VERDICTS: Mapping[str, Status] = {
    "pass": "completed",
    "fail": "completed",
    "error": "failed",
    "stopped": "aborted",
    "awaited": "unfinished",
    "n/a": "unfinished",
}
MAX_YAML_BYTES = 4 << 20


def _is_litmus(source: Source) -> bool:
    text = source.beginning
    return "ChaosResult" in text and "litmuschaos.io/" in text


def _read(source: Source) -> tuple[Experiment, ...]:
    document = source.json() if source.beginning.startswith("{") else _yaml(source)
    report = mapping(document, source, "the report")
    if text_of(report.get("kind")) in ("List", "ChaosResultList"):
        results = [mapping(each, source, "an item") for each in list_in(report, "items", source)]
    else:
        results = [report]
    return tuple(_experiment(each, source) for each in results if each.get("kind") == "ChaosResult")


def _yaml(source: Source) -> object:
    text = source.content(at_most=MAX_YAML_BYTES).decode("utf-8", "replace")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise source.malformed("it has aliases, which no ChaosResult needs")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise source.malformed(f"it is no YAML: {str(error).splitlines()[0]}") from error


def _experiment(result: Mapping[str, Any], source: Source) -> Experiment:
    metadata = mapping(result.get("metadata") or {}, source, "metadata")
    spec = mapping(result.get("spec") or {}, source, "spec")
    status = mapping(result.get("status") or {}, source, "status")
    # Spelled with a capital in older versions of the API.
    ended = mapping(status.get("experimentStatus") or status.get("experimentstatus") or {}, source, "experimentStatus")
    verdict = text_of(ended.get("verdict")).lower()
    if verdict not in _VERDICTS:
        raise source.malformed(f"its verdict is {verdict[:40]!r}, expected one of {', '.join(_VERDICTS)}")
    history = mapping(status.get("history") or {}, source, "status.history")
    targets = [mapping(each, source, "a target") for each in list_in(history, "targets", source)]
    is_injected = any(
        text_of(each.get("chaosStatus")).lower() in ("injected", "reverted", "targeted") for each in targets
    )
    fault = text_of(spec.get("experiment"))
    # Litmus says nothing apart of the state before and after: its probes hold throughout, or it fails.
    held = {"pass": True, "fail": False}.get(verdict)
    return Experiment(
        origin=Origin(
            file=source.name, tool="Litmus", produced_at=moment(metadata.get("creationTimestamp")) if metadata else None
        ),
        title=text_of(metadata.get("name")),
        status=_VERDICTS[verdict],
        has_deviated=verdict == "fail",
        steady_before=held,
        steady_after=held,
        faults=(fault,) if fault and (is_injected or verdict == "pass") else (),
        started_at=moment(metadata.get("creationTimestamp")),
    )


LITMUS = Format(name="Litmus' ChaosResult (JSON or YAML)", recognises=_is_litmus, read=_read)
