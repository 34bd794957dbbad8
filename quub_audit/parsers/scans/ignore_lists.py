"""Lists of findings that a scanner is told to leave out, as repositories keep them: `.trivyignore`, `osv-scanner.toml`,
`.nsprc`, `audit-ci.json`, `.grype.yaml`.

What they leave out is missing in the scanner's report, so that the list itself has to be looked at: each entry with its
reason and the day until which it holds. Source: the documentation of Trivy ("Filtering"), OSV-Scanner
("Configuration"), better-npm-audit and audit-ci ("Allowlist"), and Grype ("Specifying matches to ignore").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from quub_audit.facts.artifacts import Acceptance, Statement
from quub_audit.parsers.documents import toml_mapping, yaml_mapping
from quub_audit.parsers.scans.findings import purl, short, shorts
from quub_audit.parsers.source import Source, list_in, mapping, moment, text_of

_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)


def read_ignore_list(path: str, source: Source) -> tuple[Statement, ...]:
    """The entries of the list that is called `path`, in its order. Raises Malformed, and KeyError for no such list."""
    return tuple(LISTS[path.rpartition("/")[2]](source))


def _accepted(source: Source, reason: object = "", expires: object = None) -> Acceptance:
    return Acceptance(by=source.name, reason=short(reason, 200), expires=_day(expires, source))


def _day(value: object, source: Source) -> datetime | None:
    """The moment from which it holds no more: the end of a day, in UTC.

    Raises Malformed for what is no date: an entry must not hold forever for a mistake.
    """
    if value in (None, ""):
        return None
    text = value.isoformat() if isinstance(value, date) else value
    found = moment(text)
    if found is None:
        raise source.malformed(f"{short(str(value), 40)!r} is no date", next_step="write it as YYYY-MM-DD")
    return found + timedelta(days=1) if len(str(text)) == len("2026-12-31") else found


def _trivyignore(source: Source) -> Iterator[Statement]:
    """An identifier a line, with `exp:2027-01-31` behind it or not; the comment above or behind it is the reason."""
    above = ""
    for line in source.text().splitlines():
        entry, _, comment = line.partition("#")
        words = entry.split()
        if not words:
            above = comment.strip()
            continue
        expires = next((word[4:] for word in words[1:] if word.startswith("exp:")), None)
        yield Statement(ids=(short(words[0]),), acceptance=_accepted(source, comment.strip() or above, expires))


def _trivyignore_yaml(source: Source) -> Iterator[Statement]:
    document = yaml_mapping(source)
    for each in list_in(document, "vulnerabilities", source):
        entry = mapping(each, source, "an entry")
        packages = shorts(list_in(entry, "purls", source))
        accepted = _accepted(source, entry.get("statement"), entry.get("expired_at"))
        yield Statement(ids=shorts((entry.get("id"),)), subjects=packages, acceptance=accepted)


def _osv_scanner(source: Source) -> Iterator[Statement]:
    document = toml_mapping(source)
    for each in list_in(document, "IgnoredVulns", source):
        entry = mapping(each, source, "an entry")
        accepted = _accepted(source, entry.get("reason"), entry.get("ignoreUntil"))
        yield Statement(ids=shorts((entry.get("id"),)), acceptance=accepted)
    for each in list_in(document, "PackageOverrides", source):
        entry = mapping(each, source, "an override")
        vulnerability = mapping(entry.get("vulnerability") or {}, source, "vulnerability")
        if entry.get("ignore") is True or vulnerability.get("ignore") is True:
            package = purl(text_of(entry.get("ecosystem")), entry.get("name"), entry.get("version"))
            accepted = _accepted(source, entry.get("reason"), entry.get("effectiveUntil"))
            yield Statement(ids=("*",), subjects=shorts((package,)), acceptance=accepted)


def _nsprc(source: Source) -> Iterator[Statement]:
    document = _json_with_comments(source)
    exceptions = document.get("exceptions")
    if isinstance(exceptions, list):  # the older shape: a list of addresses
        for each in exceptions:
            yield Statement(ids=(short(each).rpartition("/")[2],), acceptance=_accepted(source))
        return
    for name, value in document.items():
        entry = value if isinstance(value, Mapping) else {"notes": value}
        if entry.get("active", True) is not False:
            accepted = _accepted(source, entry.get("notes"), entry.get("expiry"))
            yield Statement(ids=(_npm(name),), acceptance=accepted)


def _audit_ci(source: Source) -> Iterator[Statement]:
    """`GHSA-...`, `GHSA-...|path`, `package`, or a mapping of one of them to its details."""
    document = _json_with_comments(source)
    for each in list_in(document, "allowlist", source):
        for name, value in each.items() if isinstance(each, Mapping) else ((text_of(each), {}),):
            entry = value if isinstance(value, Mapping) else {}
            if entry.get("active", True) is False:
                continue
            called = short(name).partition("|")[0]
            accepted = _accepted(source, entry.get("notes"), entry.get("expiry"))
            if called.upper().startswith(("GHSA-", "CVE-")) or called.isdecimal():
                yield Statement(ids=(_npm(called),), acceptance=accepted)
            else:
                yield Statement(ids=("*",), subjects=(purl("npm", called),), acceptance=accepted)


def _npm(name: str) -> str:
    called = short(name)
    return f"npm:{called}" if called.isdecimal() else called


def _grype(source: Source) -> Iterator[Statement]:
    for each in list_in(yaml_mapping(source), "ignore", source):
        rule = mapping(each, source, "a rule")
        package = mapping(rule.get("package") or {}, source, "package")
        called = purl(text_of(package.get("type")), package.get("name"), package.get("version"))
        names = shorts((rule.get("vulnerability"),)) or ("*",)
        reason = rule.get("reason") or "; ".join(f"{key}: {value}" for key, value in rule.items() if key == "fix-state")
        yield Statement(ids=names, subjects=shorts((called,)), acceptance=_accepted(source, reason))


def _json_with_comments(source: Source) -> Mapping[str, Any]:
    def kept(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith('"') else " "

    text = _COMMENT.sub(kept, source.text())
    try:
        document = json.loads(_TRAILING_COMMA.sub(lambda found: found[1] or "", text))
    except (ValueError, RecursionError) as error:
        raise source.malformed(f"it is no JSON: {short(str(error), 100)}") from error
    return mapping(document, source, "the list")


LISTS: Mapping[str, Callable[[Source], Iterator[Statement]]] = {
    ".trivyignore": _trivyignore,
    ".trivyignore.yaml": _trivyignore_yaml,
    ".trivyignore.yml": _trivyignore_yaml,
    "osv-scanner.toml": _osv_scanner,
    ".nsprc": _nsprc,
    "audit-ci.json": _audit_ci,
    "audit-ci.jsonc": _audit_ci,
    ".grype.yaml": _grype,
    "grype.yaml": _grype,
}
"""Readers by the names of the files."""
