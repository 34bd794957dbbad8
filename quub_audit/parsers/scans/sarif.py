"""SARIF 2.1.0, as CodeQL, Semgrep, gitleaks, Checkov, Trivy and many others write it: one scan for each run.

Messages, snippets and fixes are left unread, since scanners for credentials put the value there; so is what a tool
says of itself, beside how often it complained and where.
Source: SARIF 2.1.0, OASIS; sections 3.14 (run), 3.20 (invocation), 3.27 (result), 3.35 (suppression); GitHub's
documentation of `security-severity` and `precision`; what Bandit 1.9, gosec 2.30 and ESLint 10 write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from quub_audit.facts.artifacts import Acceptance, Level, Origin, Scan, ScanFinding
from quub_audit.parsers.scans.findings import (
    MAX_UNREAD,
    cwes_in,
    each_once,
    known,
    level_of_score,
    level_of_word,
    line_of,
    place,
    short,
    shorts,
)
from quub_audit.parsers.source import Format, Source, list_in, mapping, moment, text_of

Covers = Literal["dependencies", "image", "code", "dynamic", "secrets", "infrastructure", "acceptances"]
Confidence = Literal["false positive", "low", "medium", "high", "confirmed", ""]

KINDS: tuple[tuple[Covers, tuple[str, ...]], ...] = (
    ("secrets", ("gitleaks", "betterleaks", "trufflehog", "detect-secrets", "secretlint", "ggshield", "whispers")),
    (
        "dependencies",
        ("grype", "trivy", "osv-scanner", "osv scanner", "snyk open source", "dependency-check", "safety"),
    ),
    ("infrastructure", ("checkov", "tfsec", "kics", "cfn-lint", "terrascan", "kubescape", "snyk iac", "hadolint")),
    ("dynamic", ("zap", "owasp zap", "nuclei", "burp", "stackhawk", "wapiti", "nikto")),
)
"""What tools look at, by the beginning of their names in lower case; any other one looks at code."""

_PRECISION: Mapping[str, Confidence] = {"very-high": "high", "high": "high", "medium": "medium", "low": "low"}
_CONFIDENCE: tuple[Confidence, ...] = ("high", "medium", "low")

Json = Mapping[str, Any]


def _read(source: Source) -> tuple[Scan, ...]:
    log = mapping(source.json(), source, "the log")
    if log.get("version") != "2.1.0":
        raise source.malformed(f"it is SARIF {short(log.get('version'), 20) or 'of no version'}, expected 2.1.0")
    runs = list_in(log, "runs", source)
    if not runs:
        raise source.malformed("it holds no run")
    return tuple(_scan(mapping(run, source, "a run"), source) for run in runs)


def _scan(run: Json, source: Source) -> Scan:
    tool = mapping(run.get("tool"), source, "tool")
    driver = mapping(tool.get("driver"), source, "tool.driver")
    name = short(driver.get("name"), 100)
    components = [driver, *(mapping(each, source, "an extension") for each in list_in(tool, "extensions", source))]
    rules = [[mapping(r, source, "a rule") for r in list_in(part, "rules", source)] for part in components]
    results = [mapping(each, source, "a result") for each in list_in(run, "results", source)]
    invocations = [mapping(each, source, "an invocation") for each in list_in(run, "invocations", source)]
    files = list_in(run, "artifacts", source) or _measured(run, source)
    count = sum(map(len, rules))
    covers = covered_by(name)
    # Scanners for credentials give no level, and the default would make little of them.
    usual = "error" if covers == "secrets" else "warning"
    findings = [_finding(each, rules, usual, source, has_own=name == "gosec") for each in results if _is_finding(each)]
    return Scan(
        origin=Origin(
            file=source.name,
            tool=name,
            version=short(driver.get("semanticVersion") or driver.get("version"), 100),
            produced_at=_ended(invocations),
            commit=_commit(run, source),
        ),
        covers=covers,
        volume=count or len(files),
        volume_of="rules" if count else "files",
        findings=each_once(findings),
        cwes=tuple(sorted({cwe for part in rules for rule in part for cwe in _cwes_of(rule, source)})),
        unread=tuple(_unread(run, invocations, source))[:MAX_UNREAD],
    )


def covered_by(tool: str) -> Covers:
    """What a tool of this name looks at."""
    called = tool.lower()
    return next((covers for covers, names in KINDS if called.startswith(names)), "code")


def _is_finding(result: Json) -> bool:
    """Whether it speaks of something amiss that is there now."""
    return result.get("kind", "fail") in ("fail", "open", "review") and result.get("baselineState") != "absent"


def _measured(run: Json, source: Source) -> list[str]:
    """The files that Bandit counted lines of; it lists only rules that found something."""
    said = mapping(run.get("properties") or {}, source, "properties")
    return [file for file in mapping(said.get("metrics") or {}, source, "metrics") if file != "_totals"]


def _finding(result: Json, rules: list[list[Json]], usual: str, source: Source, *, has_own: bool) -> ScanFinding:
    """`has_own` is whether the tool's own level stands among the tags, and that of SARIF is not to be believed."""
    rule = _rule(result, rules, source)
    said = mapping(rule.get("properties") or {}, source, "properties")
    own = mapping(result.get("properties") or {}, source, "properties")
    tags = shorts((*list_in(said, "tags", source), *list_in(own, "tags", source)))
    file, line = _location(result, source)
    ids = (short(rule.get("id")), short(result.get("ruleId")), short(rule.get("guid")))
    return ScanFinding(
        id=next((each for each in ids if each), "a rule without a name"),
        level=known(
            *(level_of_word(tag) for tag in tags if has_own),
            _level(result, rule, usual, said, own, source),
        ),
        title=_text(rule.get("shortDescription")) or short(rule.get("name")),
        cwes=cwes_in((*tags, *_weaknesses(said), *_taxa(result, rule, source))),
        tags=tags[:30],
        file=file,
        line=line,
        subject=file,
        commit=_found_in(mapping(result.get("partialFingerprints") or {}, source, "partialFingerprints")),
        confidence=_confidence(said, own, tags),
        acceptance=_acceptance(result, source),
    )


def _rule(result: Json, rules: list[list[Json]], source: Source) -> Json:
    """By its index in the driver or an extension, else by its identifier, of which the part before a `/` is enough."""
    reference = mapping(result.get("rule") or {}, source, "rule")
    component = mapping(reference.get("toolComponent") or {}, source, "toolComponent").get("index")
    index = result.get("ruleIndex", reference.get("index"))
    part = component + 1 if isinstance(component, int) and component >= 0 else 0
    if isinstance(index, int) and part < len(rules) and 0 <= index < len(rules[part]):
        return rules[part][index]
    wanted = text_of(result.get("ruleId")) or text_of(reference.get("id"))
    by_id = {text_of(rule.get("id")): rule for some in reversed(rules) for rule in some}
    return by_id.get(wanted) or by_id.get(wanted.rpartition("/")[0]) or {}


def _level(result: Json, rule: Json, usual: str, said: Json, own: Json, source: Source) -> Level:
    score = level_of_score(own.get("security-severity", said.get("security-severity")))
    settings = mapping(rule.get("defaultConfiguration") or {}, source, "defaultConfiguration")
    return known(score, level_of_word(result.get("level") or settings.get("level") or usual))


def _confidence(said: Json, own: Json, tags: tuple[str, ...]) -> Confidence:
    words = {tag.lower() for tag in tags}
    # Semgrep says `HIGH CONFIDENCE` as a tag, and `very-high` as the precision of whatever rule; Bandit gives a rule
    # that of its first finding.
    words.add(f"{text_of(own.get('issue_confidence')).lower()} confidence")
    by_word: Confidence = next((each for each in _CONFIDENCE if f"{each} confidence" in words), "")
    return by_word or _PRECISION.get(text_of(said.get("precision")), "")


def _cwes_of(rule: Json, source: Source) -> tuple[int, ...]:
    said = mapping(rule.get("properties") or {}, source, "properties")
    return cwes_in((*shorts(list_in(said, "tags", source)), *_weaknesses(said), *_taxa({}, rule, source)))


def _weaknesses(said: Json) -> Iterator[object]:
    for key in ("cwe", "cwes"):
        value = said.get(key)
        yield from value if isinstance(value, list) else (value,)


def _taxa(result: Json, rule: Json, source: Source) -> Iterator[str]:
    """`CWE-79` for each reference to an entry of a taxonomy of that name."""
    targets = [mapping(each, source, "a taxon") for each in list_in(result, "taxa", source)]
    relations = (mapping(each, source, "a relationship") for each in list_in(rule, "relationships", source))
    targets += [mapping(each.get("target") or {}, source, "a target") for each in relations]
    for target in targets:
        component = mapping(target.get("toolComponent") or {}, source, "toolComponent")
        if text_of(component.get("name")).upper() == "CWE":
            yield f"CWE-{text_of(target.get('id')).upper().removeprefix('CWE-')}"


def _acceptance(result: Json, source: Source) -> Acceptance | None:
    """Where there are suppressions, and none of them was rejected or waits for somebody."""
    found = [mapping(each, source, "a suppression") for each in list_in(result, "suppressions", source)]
    if not found or any(each.get("status", "accepted") != "accepted" for each in found):
        return None
    by = "a comment in the code" if found[0].get("kind") == "inSource" else "the scanner's configuration"
    return Acceptance(by=by, reason=short(found[0].get("justification"), 100))


def _location(result: Json, source: Source) -> tuple[str, int | None]:
    for each in list_in(result, "locations", source):
        physical = mapping(each, source, "a location").get("physicalLocation")
        if isinstance(physical, Mapping):
            artifact = mapping(physical.get("artifactLocation") or {}, source, "artifactLocation")
            region = mapping(physical.get("region") or {}, source, "region")
            return place(artifact.get("uri")), line_of(region.get("startLine"))
    return "", None


def _found_in(fingerprints: Json) -> str:
    """The commit that gitleaks found it in."""
    said = text_of(fingerprints.get("commitSha"))
    return said if re.fullmatch("[0-9a-f]{7,64}", said) else ""


def _text(value: object) -> str:
    return short(value.get("text")) if isinstance(value, Mapping) else ""


def _ended(invocations: list[Json]) -> datetime | None:
    """When the oldest of them ended, or at least began."""
    dates = (moment(each.get("endTimeUtc") or each.get("startTimeUtc")) for each in invocations)
    return min((date for date in dates if date is not None), default=None)


def _commit(run: Json, source: Source) -> str:
    found = {
        text_of(mapping(each, source, "provenance").get("revisionId"))
        for each in list_in(run, "versionControlProvenance", source)
    }
    commits = sorted(found - {""})
    if len(commits) > 1:
        raise source.malformed("its run is of several commits")
    return short(commits[0], 64) if commits else ""


def _unread(run: Json, invocations: list[Json], source: Source) -> Iterator[str]:
    for each in invocations:
        if each.get("executionSuccessful") is False:
            yield "the tool says that it did not succeed"
        for key in ("toolExecutionNotifications", "toolConfigurationNotifications"):
            for one in list_in(each, key, source):
                notification = mapping(one, source, "a notification")
                if notification.get("level", "warning") == "error":
                    descriptor = notification.get("descriptor")
                    name = short(descriptor.get("id"), 80) if isinstance(descriptor, Mapping) else ""
                    file, line = _location(notification, source)
                    where = f" in {file}{f':{line}' if line else ''}" if file else ""
                    yield f"the tool met an error{f' ({name})' if name else ''}{where}"
    references = run.get("externalPropertyFileReferences")
    if isinstance(references, Mapping) and references.get("results"):
        yield "results are kept in other files"
    if "results" not in run or run["results"] is None:
        yield "the run holds no list of results: the tool did not come to an end"


def _recognises(source: Source) -> bool:
    head = source.beginning
    # Tools write `version` and `$schema` first; a log with its keys sorted has `runs` before, and its results first.
    is_sorted = '"runs"' in head and ('"driver"' in head or '"physicalLocation"' in head)
    return head.startswith("{") and ("sarif" in head[:2000].lower() or is_sorted)


SARIF = Format(name="SARIF 2.1.0", recognises=_recognises, read=_read)
