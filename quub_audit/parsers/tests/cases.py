"""What the readers of results of tests share: tags, properties, and cases that a report holds more than once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from quub_audit.facts.artifacts import Outcome, TestCase

MAX_NAME = 500
MAX_PROPERTIES = 64
MAX_VALUE = 200
MAX_TAGS = 64

_SEVERITY: Mapping[Outcome, int] = {"skipped": 0, "passed": 1, "failed": 2, "error": 3}
_TAG = re.compile(
    r"(?<![A-Za-z0-9.@])@([A-Za-z][\w.-]{0,60})(?:[:=]([\w./-]{1,60})|\(([\w./-]{1,60})\))?"
    r"|\[([A-Za-z][\w.-]{0,60})[:=]([\w./-]{1,60})\]"
)
_TAG_PROPERTIES = frozenset({"tag", "tags", "mark", "marks", "marker", "markers", "label", "labels"})
_TAG_FAMILIES = frozenset({"critical", "flow", "scenario"})
_CREDENTIAL = re.compile(
    r"pass(wd|word|phrase)|secret|token|credential|api.?key|access.?key|private.?key|authorization|cookie|\bkey\b"
    r"|(?<![a-z])pwd(?![a-z])|signature",
    re.IGNORECASE,
)


def kept_properties(properties: Iterable[tuple[str, str]]) -> Mapping[str, str] | None:
    """The first `MAX_PROPERTIES` that do not speak of a credential, values cut; None where there are none."""
    kept: dict[str, str] = {}
    for name, value in properties:
        if name and not _CREDENTIAL.search(name) and (name in kept or len(kept) < MAX_PROPERTIES):
            kept[name[:MAX_VALUE]] = value[:MAX_VALUE]
    return kept or None


def tags_in(*texts: str) -> Iterator[str]:
    """Tags that titles carry: `@smoke`, `@flow:withdraw`, `@critical(order)`, `[critical:order]`."""
    for text in texts:
        for name, value, called, bracketed, bracketed_value in _TAG.findall(text):
            value = value or called or bracketed_value
            name = name or bracketed
            yield f"{name}:{value}".rstrip("./-") if value else name.rstrip(".-")


def tags_of(properties: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Tags that properties carry: `tags=smoke,flow:withdraw`, `flow=withdraw`."""
    for name, value in properties:
        if name.lower() in _TAG_PROPERTIES:
            yield from (word.lstrip("@")[:MAX_VALUE] for word in re.split(r"[,\s]+", value) if word.lstrip("@"))
        elif name.lower() in _TAG_FAMILIES:
            yield from (f"{name.lower()}:{word}"[:MAX_VALUE] for word in re.split(r"[,\s]+", value) if word)
        else:
            yield from tags_in(name)


def each_once(tags: Iterable[str]) -> tuple[str, ...]:
    """In the order of their first mention, at most `MAX_TAGS`."""
    return tuple(dict.fromkeys(tags))[:MAX_TAGS]


def merged(cases: Iterable[tuple[TestCase, bool]]) -> tuple[TestCase, ...]:
    """Each case once, by suite, name and file, in the order of the report; the worst outcome counts.

    A case that comes with True is known to be run again where it stands twice: the last run counts then.
    """
    found: dict[tuple[str, str, str], TestCase] = {}
    for case, is_rerun in cases:
        key = (case.suite, case.name, case.file)
        before = found.get(key)
        found[key] = _cut(case) if before is None else _joined(before, _cut(case), is_rerun)
    return tuple(found.values())


def _joined(before: TestCase, case: TestCase, is_rerun: bool) -> TestCase:
    failed_first = _SEVERITY[before.outcome] > _SEVERITY["passed"]
    outcome = case.outcome if is_rerun else max(before.outcome, case.outcome, key=lambda each: _SEVERITY[each])
    durations = [each for each in (before.duration_s, case.duration_s) if each is not None]
    return replace(
        before,
        outcome=outcome,
        is_flaky=outcome == "passed" and (before.is_flaky or case.is_flaky or (is_rerun and failed_first)),
        duration_s=sum(durations) if durations else None,
        tags=each_once((*before.tags, *case.tags)),
        properties={**(before.properties or {}), **(case.properties or {})} or None,
    )


def _cut(case: TestCase) -> TestCase:
    return replace(case, suite=case.suite[:MAX_NAME], name=case.name[:MAX_NAME], file=case.file[:MAX_NAME])
