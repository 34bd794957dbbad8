"""What repositories depend on: manifests and ignore lists, and what a service of advisories knows of their packages.

The service speaks OSV's protocol (https://google.github.io/osv.dev/api/): `POST /v1/querybatch` with names and
versions, page by page, then `GET /v1/vulns/ID`. Nothing is sent to any service that is not declared.
"""

from __future__ import annotations

import io
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from quub_audit.connectors.base import Ledger, Question
from quub_audit.connectors.children import Children
from quub_audit.connectors.dependencies_pip import audit
from quub_audit.connectors.identity_http import Ask, Reply, one_line, send
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Unreachable, Unsupported
from quub_audit.facts.artifacts import Freshness, Origin, Scan, ScanFinding, Statement
from quub_audit.facts.asking import Artifacts
from quub_audit.facts.code import CodeFile
from quub_audit.facts.dependencies import Manifest
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import AdvisoryService, Artifact, Repository, credentials_of
from quub_audit.parsers import scans
from quub_audit.parsers.manifests import MANIFESTS, read_manifest
from quub_audit.parsers.scans.findings import each_once, short
from quub_audit.parsers.scans.ignore_lists import LISTS, read_ignore_list
from quub_audit.parsers.scans.osv import finding_of
from quub_audit.parsers.source import HEAD_BYTES, Source

MAX_MANIFEST_BYTES = 64 << 20
BATCH = 500
"""Packages in one question; OSV takes 1,000."""

MAX_PAGES = 50
MAX_ADVISORIES = 2000
MAX_ANSWER_BYTES = 32 << 20

VEX_GLOBS = ("*.openvex.json", "*.vex.json", "*.vex.cdx.json", ".vex/**/*.json", "vex/**/*.json")
"""Where repositories keep VEX documents, by the habits of vexctl and CycloneDX."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")


class Checkouts(Protocol):
    """What is wanted of the connector of repositories."""

    def files(self, repository: Repository, *, globs: tuple[str, ...] = ("**",)) -> tuple[CodeFile, ...]:
        """Files that match."""

    def content(self, repository: Repository, path: str, *, at_most: int) -> bytes:
        """One file."""


class DependenciesConnector:
    """Implements `quub_audit.facts.asking.Dependencies`. `at` is the time of the audit; `close` ends pip-audit."""

    def __init__(
        self,
        services: Iterable[AdvisoryService],
        ledger: Ledger,
        redactor: Redactor,
        *,
        checkouts: Checkouts,
        artifacts: Artifacts,
        at: datetime,
    ) -> None:
        self._ledger = ledger
        self._redactor = redactor
        self._checkouts = checkouts
        self._artifacts = artifacts
        self._at = at
        self._children = Children()
        for service in services:
            for credential in credentials_of(service):
                redactor.add(credential)

    def manifests(self, repository: Repository) -> tuple[Manifest, ...]:
        """Lock files and their kin, as `Dependencies` promises them."""

        def find() -> tuple[Manifest, ...]:
            found = self._checkouts.files(repository, globs=tuple(MANIFESTS))
            read = (
                read_manifest(file.path, self._source(repository, file.path)) for file in found if file.is_production
            )
            return tuple(manifest for manifest in read if manifest is not None)

        return self._ledger.ask(Question.about("repository", repository.name, "manifests"), find)

    def accepted(self, repository: Repository) -> tuple[Statement, ...]:
        """Ignore lists and VEX documents, as `Dependencies` promises them."""

        def find() -> tuple[Statement, ...]:
            lists = self._checkouts.files(repository, globs=tuple(LISTS))
            documents = self._checkouts.files(repository, globs=VEX_GLOBS)
            statements = [
                each for file in lists for each in read_ignore_list(file.path, self._source(repository, file.path))
            ]
            for file in documents:
                for scan in scans.read(self._source(repository, file.path)):
                    statements += scan.statements
            return tuple(_cleaned(each, self._redactor) for each in statements)

        return self._ledger.ask(Question.about("repository", repository.name, "accepted vulnerabilities"), find)

    def scans(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Scan, ...]:
        """Scans of the pipeline, as `Artifacts` promises them."""
        return self._artifacts.scans(artifact, fresh=fresh)

    def advisories(self, service: AdvisoryService, repository: Repository) -> Scan:
        """What the service knows of the packages, as `Dependencies` promises it."""
        manifests = [each for each in self.manifests(repository) if not each.is_requirements]
        listed: dict[str, str] = {}
        for manifest in manifests:
            for package in manifest.packages:
                listed.setdefault(package, manifest.path)

        def find() -> Scan:
            known = _queried(service, tuple(listed))
            records = _records(service, {name for names in known.values() for name in names})
            findings = [
                replace(each, file=listed[package]) for package in known for each in _findings(package, known, records)
            ]
            return Scan(
                origin=Origin(file=service.url, tool="OSV", produced_at=self._at),
                covers="dependencies",
                volume=len(listed),
                volume_of="packages",
                targets=tuple(manifest.path for manifest in manifests),
                ecosystems=tuple(sorted({manifest.ecosystem for manifest in manifests})),
                findings=each_once(findings),
            )

        about = {"url": service.url, "packages": list(listed)}
        return self._ledger.ask(Question.about("advisories", service.name, f"packages of {repository}", about), find)

    def audit_requirements(self, service: AdvisoryService, repository: Repository, path: str) -> Scan:
        """pip-audit over one file, as `Dependencies` promises it."""

        def find() -> Scan:
            source = self._source(repository, path)
            return replace(audit(service, source, self._children), targets=(path,))

        about = {"url": service.url, "path": path}
        return self._ledger.ask(Question.about("pip-audit", service.name, f"{repository}:{path}", about), find)

    def close(self) -> None:
        """End pip-audit where it still runs."""
        self._children.close()

    def _source(self, repository: Repository, path: str) -> Source:
        content = self._checkouts.content(repository, path, at_most=MAX_MANIFEST_BYTES)
        return Source(name=path, open=lambda: io.BytesIO(content), head=content[:HEAD_BYTES])


def _cleaned(statement: Statement, redactor: Redactor) -> Statement:
    acceptance = statement.acceptance
    return replace(statement, acceptance=replace(acceptance, reason=redactor.clean(acceptance.reason)))


def _queried(service: AdvisoryService, packages: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Identifiers of what is known of each package, page by page; packages without any are left out."""
    known: dict[str, list[str]] = {}
    for start in range(0, len(packages), BATCH):
        waiting: list[tuple[str, str]] = [(package, "") for package in packages[start : start + BATCH]]
        for _ in range(MAX_PAGES):
            if not waiting:
                break
            queries = [
                {"package": {"purl": package}, **({"page_token": token} if token else {})} for package, token in waiting
            ]
            reply = _ask(service, "/v1/querybatch", {"queries": queries})
            results = reply.mapping().get("results")
            if not isinstance(results, list) or len(results) != len(waiting):
                raise Malformed(
                    f"{service}: {reply.asked} was answered with another number of results than were asked for"
                )
            following = []
            for (package, _token), one in zip(waiting, results, strict=True):
                result = one if isinstance(one, Mapping) else {}
                known.setdefault(package, []).extend(_names(result, reply))
                if token := result.get("next_page_token"):
                    following.append((package, str(token)))
            waiting = following
        if waiting:
            raise Malformed(f"{service}: an answer has more than {MAX_PAGES} pages")
    return {package: tuple(dict.fromkeys(names)) for package, names in known.items() if names}


def _names(result: Mapping[str, Any], reply: Reply) -> Iterator[str]:
    found = result.get("vulns") or []
    if not isinstance(found, list):
        raise Malformed(f"{reply.subject}: {reply.asked} was answered with a result that holds no list")
    for each in found:
        name = each.get("id") if isinstance(each, Mapping) else None
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise Malformed(f"{reply.subject}: {reply.asked} names a vulnerability by {one_line(name, 40)!r}")
        yield name


def _records(service: AdvisoryService, names: set[str]) -> Mapping[str, Mapping[str, Any]]:
    if len(names) > MAX_ADVISORIES:
        raise Malformed(f"{service} knows {len(names)} vulnerabilities of these packages, more than {MAX_ADVISORIES}")
    records = {}
    for name in sorted(names):
        record = _ask(service, f"/v1/vulns/{urllib.parse.quote(name)}").mapping()
        if record.get("id") != name:
            raise Malformed(f"{service}: the record of {name} is of another vulnerability")
        if not record.get("withdrawn"):
            records[name] = record
    return records


def _findings(
    package: str, known: Mapping[str, tuple[str, ...]], records: Mapping[str, Mapping[str, Any]]
) -> Iterator[ScanFinding]:
    name = urllib.parse.unquote(package.partition("/")[2].rpartition("@")[0])
    if package.startswith("pkg:maven/"):
        name = name.replace("/", ":")
    source = Source(name="the advisory", open=io.BytesIO, head=b"")
    for identifier in known[package]:
        if identifier in records:
            yield finding_of((short(identifier),), [records[identifier]], name, package, source)


def _ask(service: AdvisoryService, path: str, document: Mapping[str, Any] | None = None) -> Reply:
    headers = {"Authorization": f"Bearer {service.token}"} if service.token else None
    url = f"{service.url.rstrip('/')}{path}"
    ask = Ask(provider=service, url=url, document=document, headers=headers, max_body_bytes=MAX_ANSWER_BYTES)
    reply = send(ask)
    if reply.status != 200:
        raise _refusal(service, reply)
    return reply


def _refusal(service: AdvisoryService, reply: Reply) -> Reportable:
    told = f"{service}: {reply.asked} was answered with {reply.status}"
    match reply.status:
        case 401 | 403:
            return Denied(told, next_step=f"give advisories.{service}.token a token that may ask")
        case 404:
            return Absent(told, next_step="declare the address without /v1")
        case 400 | 405 | 413 | 501:
            return Unsupported(told, next_step="declare a service that speaks the protocol of OSV")
        case _:
            return Unreachable(told)
