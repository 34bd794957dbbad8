"""Chaos Toolkit's journal. Source: https://chaostoolkit.org/reference/api/journal/.

Where the steady state is out of tolerance before the method, nothing is done, and the journal is still `completed` and
not deviated. So a fault counts by its own action: one that was carried out (not in a dry run) and succeeded. What a
probe whose name speaks of a breaker gave is a state of that breaker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from quub_audit.facts.artifacts import Experiment, Origin
from quub_audit.parsers.source import Format, Source, list_in, mapping, moment, number, text_of

Ending = Literal["completed", "failed", "aborted", "interrupted"]
_OF_BREAKER = re.compile(r"breaker|circuit", re.IGNORECASE)
_STATE = re.compile(r"half[-_ ]?open|open|closed", re.IGNORECASE)


def _is_journal(source: Source) -> bool:
    text = source.beginning
    return text.startswith("{") and '"chaoslib-version"' in text


def _read(source: Source) -> tuple[Experiment, ...]:
    journal = mapping(source.json(), source, "the journal")
    experiment = mapping(journal.get("experiment"), source, "experiment")
    states = mapping(journal.get("steady_states") or {}, source, "steady_states")
    said, endings = text_of(journal.get("status")), get_args(Ending)
    if said not in endings:
        raise source.malformed(f"its status is {said[:40]!r}, expected one of {', '.join(endings)}")
    status: Ending = said  # type: ignore[assignment]
    run = [mapping(each, source, "an activity of the run") for each in list_in(journal, "run", source)]
    is_dry = bool(experiment.get("dry"))
    faults = [] if is_dry else list(_faults(run, source))
    duration = journal.get("duration")
    report = Experiment(
        origin=Origin(
            file=source.name,
            tool="Chaos Toolkit",
            version=text_of(journal.get("chaoslib-version")),
            produced_at=moment(journal.get("end")),
        ),
        title=text_of(experiment.get("title")),
        status=status,
        has_deviated=journal.get("deviated") is not False,
        steady_before=_is_met(states, "before", source),
        steady_after=_is_met(states, "after", source),
        faults=tuple(text_of(activity.get("name")) for activity, _ in faults),
        fault_at=next((moment(done.get("start")) for _, done in faults), None),
        started_at=moment(journal.get("start")),
        duration_s=number(duration, source, "duration") if duration is not None else None,
        breaker_states=() if is_dry else tuple(_breaker_states(run, states, source)),
    )
    return (report,)


def _is_met(states: Mapping[str, Any], when: str, source: Source) -> bool | None:
    state = states.get(when)
    met = mapping(state, source, when).get("steady_state_met") if state is not None else None
    return met if isinstance(met, bool) else None


def _faults(run: list[Mapping[str, Any]], source: Source) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Actions that succeeded: what was to be done, and how it went."""
    for each in run:
        activity = mapping(each.get("activity"), source, "an activity")
        if activity.get("type") == "action" and each.get("status") == "succeeded":
            yield activity, each


def _breaker_states(
    run: list[Mapping[str, Any]], states: Mapping[str, Any], source: Source
) -> Iterator[tuple[str, datetime | None]]:
    """Of every probe of the experiment, in the order of time; neighbours that are equal only once."""
    probes = list(run)
    for when in ("before", "during", "after"):
        found = states.get(when)
        for state in found if isinstance(found, list) else [found]:
            if isinstance(state, Mapping):
                probes += [mapping(each, source, "a probe") for each in list_in(state, "probes", source)]
    seen: list[tuple[str, datetime | None]] = []
    for each in probes:
        activity = mapping(each.get("activity"), source, "an activity")
        if activity.get("type") != "probe" or not _OF_BREAKER.search(text_of(activity.get("name"))):
            continue
        if state := _state_in(each.get("output")):
            seen.append((state, moment(each.get("start"))))
    seen.sort(key=lambda one: (one[1] is None, one[1] or datetime.max.replace(tzinfo=UTC)))
    for index, one in enumerate(seen):
        if not index or seen[index - 1][0] != one[0]:
            yield one


def _state_in(output: object) -> str:
    """`closed`, `open` or `half-open` in what a probe gave, which may be the answer of an HTTP or a process probe."""
    if isinstance(output, Mapping):
        output = output.get("body", output.get("stdout", output.get("state", "")))
        if isinstance(output, Mapping):
            output = output.get("state", "")
    found = {word.lower() for word in _STATE.findall(str(output)[:1000])}
    if len(found) != 1:
        return ""
    word = found.pop()
    return "half-open" if word.startswith("half") else word


CHAOS_TOOLKIT = Format(name="Chaos Toolkit's journal", recognises=_is_journal, read=_read)
