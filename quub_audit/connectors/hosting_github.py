"""GitHub as the host of a repository: what it found in its code, its dependencies and its history, and what it blocks.

Only GET is sent. Values of credentials stay there: `hide_secret` leaves them out, and no field that could hold one is
read. What is switched off is answered with an error, which GitHub tells from a denial by its words alone.
https://docs.github.com/en/rest: secret-scanning, dependabot/alerts, code-scanning, repos
"""

from __future__ import annotations

import io
import json
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from quub_audit.connectors.base import Ledger, Question
from quub_audit.connectors.identity_github import is_put_off, message_of, put_off
from quub_audit.connectors.identity_http import Ask, Reply, one_line, pages, send
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Unsupported
from quub_audit.facts.artifacts import Acceptance, Scan, ScanFinding
from quub_audit.facts.hosting import CodeScanning, DependencyAlerts, SecretAlert, SecretAlerts
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import GitHubProject, Repository, credentials_of
from quub_audit.parsers.scans.findings import (
    cwes_in,
    known,
    level_of_vectors,
    level_of_word,
    many,
    probability,
    purl,
    shorts,
)
from quub_audit.parsers.scans.sarif import SARIF
from quub_audit.parsers.source import HEAD_BYTES, Source, moment

PERMISSIONS = {
    "secret-scanning": "secret_scanning_alerts: read",
    "dependabot": "dependabot_alerts: read",
    "code-scanning": "code_scanning_alerts: read",
}
"""What the token needs, by the part of the API."""

MAX_PAGE_BYTES = 16 << 20
MAX_SARIF_BYTES = 64 << 20
MAX_ANALYSES = 1000
"""The newest analyses, among which those of the audited commit are looked for."""

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_OFF = re.compile(r"(?i)\b(?:disabled|not enabled|must be enabled)\b")
_NEVER_ANALYSED = "no analysis found"
_PURL_OF = {"pip": "pypi", "rust": "crates.io", "composer": "packagist"}
"""OSV's names of what GitHub calls ecosystems, where they differ."""


class HostingConnector:
    """Implements `quub_audit.facts.asking.Hosting`.

    `commit_of` says which commit of a repository is audited; empty where nobody knows.
    """

    def __init__(
        self,
        repositories: Iterable[Repository],
        ledger: Ledger,
        redactor: Redactor,
        *,
        commit_of: Callable[[Repository], str],
    ) -> None:
        self._ledger = ledger
        self._commit_of = commit_of
        for repository in repositories:
            for credential in credentials_of(repository):
                redactor.add(credential)

    def secret_alerts(self, repository: Repository) -> SecretAlerts | None:
        """Alerts on credentials, as `Hosting` promises them."""
        project = repository.github
        if project is None:
            return None
        question = _question(repository, project, "secret-scanning alerts")
        return self._ledger.ask(question, lambda: _secret_alerts(repository, project))

    def dependency_alerts(self, repository: Repository) -> DependencyAlerts | None:
        """Alerts of Dependabot, as `Hosting` promises them."""
        project = repository.github
        if project is None:
            return None
        question = _question(repository, project, "Dependabot alerts")
        return self._ledger.ask(question, lambda: _dependency_alerts(repository, project))

    def code_scanning(self, repository: Repository) -> CodeScanning | None:
        """Analyses of code scanning, as `Hosting` promises them."""
        project = repository.github
        if project is None:
            return None
        commit = self._commit_of(repository)
        question = _question(repository, project, "code-scanning analyses", commit=commit)
        return self._ledger.ask(question, lambda: _code_scanning(repository, project, commit))


def _question(repository: Repository, project: GitHubProject, what: str, **more: str) -> Question:
    about = {"url": project.url, "project": project.project, **more}
    return Question.about("github", repository.name, f"{what} of {project.project}", about)


def _base(project: GitHubProject) -> str:
    return f"{project.url.rstrip('/')}/repos/{urllib.parse.quote(project.project)}"


# Credentials


def _secret_alerts(repository: Repository, project: GitHubProject) -> SecretAlerts:
    reply = _get(repository, project, _base(project))
    if reply.status != 200:
        raise _refusal(repository, project, reply)
    settings = reply.mapping().get("security_and_analysis")
    alerts = f"{_base(project)}/secret-scanning/alerts?per_page=100&hide_secret=true&state="
    # Where it is switched off the alerts are answered with 404, as is a token that may not see them.
    is_off = _status(settings, "secret_scanning") == "disabled"
    if is_off:
        return SecretAlerts(project=project.project, is_enabled=False, is_push_protected=False)
    opened = [_secret_alert(reply, row) for reply, row in _rows(repository, project, f"{alerts}open")]
    closed = Counter(
        one_line(row.get("resolution") or "no reason", 40) for _, row in _rows(repository, project, f"{alerts}resolved")
    )
    protection = _status(settings, "secret_scanning_push_protection")
    return SecretAlerts(
        project=project.project,
        is_enabled=True,
        is_push_protected=protection == "enabled" if protection else None,
        open=tuple(sorted(opened, key=lambda alert: alert.number)),
        closed=tuple(sorted(closed.items())),
    )


def _secret_alert(reply: Reply, row: Mapping[str, Any]) -> SecretAlert:
    return SecretAlert(
        number=_number(reply, row, "number"),
        kind=one_line(row.get("secret_type") or "a credential", 80),
        validity=one_line(row.get("validity") or "", 20),
        is_publicly_leaked=row.get("publicly_leaked") is True,
        is_bypassed=row.get("push_protection_bypassed") is True,
    )


def _status(settings: object, name: str) -> str:
    """`enabled` or `disabled`; empty where the token is not told."""
    found = settings.get(name) if isinstance(settings, Mapping) else None
    return str(found.get("status") or "") if isinstance(found, Mapping) else ""


# Dependencies


def _dependency_alerts(repository: Repository, project: GitHubProject) -> DependencyAlerts:
    url = f"{_base(project)}/dependabot/alerts?per_page=100&state=auto_dismissed,dismissed,open"
    try:
        found = [_dependency_alert(reply, row) for reply, row in _rows(repository, project, url)]
    except _SwitchedOffError:
        return DependencyAlerts(project=project.project, is_enabled=False)
    return DependencyAlerts(project=project.project, is_enabled=True, findings=tuple(filter(None, found)))


def _dependency_alert(reply: Reply, row: Mapping[str, Any]) -> ScanFinding | None:
    """One alert; None where its advisory was withdrawn. Raises Malformed for one that names no advisory or package."""
    advisory, vulnerability = _part(row, "security_advisory"), _part(row, "security_vulnerability")
    dependency = _part(row, "dependency")
    package = _part(dependency, "package") or _part(vulnerability, "package")
    names = shorts((advisory.get("ghsa_id"), advisory.get("cve_id")))
    ecosystem = str(package.get("ecosystem") or "").lower()
    subject = purl(_PURL_OF.get(ecosystem, ecosystem), package.get("name"))
    if not names or not subject:
        raise Malformed(f"{reply.subject}: {reply.asked} was answered with an alert of no advisory or no package")
    if advisory.get("withdrawn_at"):
        return None
    scores = [_part(_part(advisory, "cvss_severities"), name) for name in ("cvss_v3", "cvss_v4")]
    vectors = [each.get("vector_string") for each in (*scores, _part(advisory, "cvss"))]
    epss = [each.get("percentage") for each in many(advisory.get("epss")) if isinstance(each, Mapping)]
    weaknesses = [each.get("cwe_id") for each in many(advisory.get("cwes")) if isinstance(each, Mapping)]
    return ScanFinding(
        id=names[0],
        level=known(level_of_vectors(vectors), level_of_word(vulnerability.get("severity"))),
        title=one_line(advisory.get("summary") or ""),
        aliases=names[1:],
        subject=subject,
        fixed_in=shorts((_part(vulnerability, "first_patched_version").get("identifier"),)),
        cwes=cwes_in(weaknesses),
        file=one_line(dependency.get("manifest_path") or ""),
        exploit_probability=max((p for each in epss if (p := probability(each)) is not None), default=None),
        tags=shorts((advisory.get("classification"),)),
        is_development=dependency.get("scope") == "development",
        acceptance=_dismissal(row),
    )


def _dismissal(row: Mapping[str, Any]) -> Acceptance | None:
    """Why an alert is not open. Raises nothing: a state that nobody knows counts as open."""
    if row.get("state") == "auto_dismissed":
        return Acceptance(by="a rule of GitHub", reason="auto_dismissed")
    if row.get("state") == "dismissed":
        return Acceptance(by="somebody at GitHub", reason=one_line(row.get("dismissed_reason") or "", 40))
    return None


# Code


def _code_scanning(repository: Repository, project: GitHubProject, commit: str) -> CodeScanning:
    base = f"{_base(project)}/code-scanning"
    url = f"{base}/analyses?per_page=100&sort=created&direction=desc"
    try:
        rows = list(islice(_rows(repository, project, url), MAX_ANALYSES))
    except _SwitchedOffError as off:
        return CodeScanning(project=project.project, is_enabled=off.is_never_analysed)
    newest = rows[0][1] if rows else {}
    chosen: dict[tuple[str, str], tuple[Reply, Mapping[str, Any]]] = {}
    for reply, row in rows:
        if commit and str(row.get("commit_sha") or "").lower() == commit.lower():
            tool = one_line(_part(row, "tool").get("name") or "")
            chosen.setdefault((tool, str(row.get("category") or "")), (reply, row))
    dismissed: dict[int, str] = {}
    if chosen:
        alerts = f"{base}/alerts?per_page=100&state=dismissed"
        for reply, row in _rows(repository, project, alerts):
            dismissed[_number(reply, row, "number")] = one_line(row.get("dismissed_reason") or "", 40)
    return CodeScanning(
        project=project.project,
        is_enabled=True,
        scans=tuple(
            scan for reply, row in chosen.values() for scan in _analysis(repository, project, reply, row, dismissed)
        ),
        newest_commit=one_line(newest.get("commit_sha") or "", 64),
        newest_at=moment(newest.get("created_at")),
    )


def _analysis(
    repository: Repository, project: GitHubProject, told: Reply, row: Mapping[str, Any], dismissed: Mapping[int, str]
) -> Iterator[Scan]:
    """The runs of one analysis, as GitHub gives its SARIF; what was dismissed there is accepted."""
    number = _number(told, row, "id")
    url = f"{_base(project)}/code-scanning/analyses/{number}"
    reply = _get(repository, project, url, accept="application/sarif+json", at_most=MAX_SARIF_BYTES)
    if reply.status != 200:
        raise _refusal(repository, project, reply)
    document = reply.mapping()
    for run in many(document.get("runs")):
        for result in many(run.get("results")) if isinstance(run, Mapping) else ():
            alert = _part(result, "properties").get("github/alertNumber") if isinstance(result, dict) else None
            if type(alert) is int and alert in dismissed:
                result["suppressions"] = [
                    {
                        "kind": "external",
                        "status": "accepted",
                        "justification": f"dismissed at GitHub: {dismissed[alert]}",
                    }
                ]
    content = json.dumps(document).encode()
    name = f"analysis {number} of {project.project}"
    unread = tuple(
        f"what GitHub says of it: {one_line(said)}" for key in ("error", "warning") if (said := row.get(key))
    )
    for scan in SARIF.read(Source(name=name, open=lambda: io.BytesIO(content), head=content[:HEAD_BYTES])):
        origin = replace(
            scan.origin,
            produced_at=moment(row.get("created_at")),
            dated_by="pipeline",
            commit=str(row.get("commit_sha") or "").lower(),
        )
        yield replace(scan, origin=origin, unread=(*scan.unread, *unread))


# Asking


class _SwitchedOffError(Exception):
    """The host does not do what was asked for."""

    def __init__(self, *, is_never_analysed: bool) -> None:
        super().__init__()
        self.is_never_analysed = is_never_analysed


def _rows(repository: Repository, project: GitHubProject, url: str) -> Iterator[tuple[Reply, Mapping[str, Any]]]:
    """Every row of a list, page after page. Raises `_SwitchedOffError`, and what `_refusal` makes of other answers."""

    def get(page: str) -> Reply:
        reply = _get(repository, project, page)
        if reply.status == 200:
            return reply
        said = message_of(reply)
        is_never_analysed = reply.status == 404 and _NEVER_ANALYSED in said.lower()
        if is_never_analysed or (reply.status == 403 and _OFF.search(said)):
            raise _SwitchedOffError(is_never_analysed=is_never_analysed)
        raise _refusal(repository, project, reply)

    for reply in pages(get, url):
        for row in reply.rows():
            yield reply, row


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object below a key; an empty one where there is none."""
    found = row.get(key)
    return found if isinstance(found, Mapping) else {}


def _number(reply: Reply, row: Mapping[str, Any], key: str) -> int:
    number = row.get(key)
    if not isinstance(number, int) or isinstance(number, bool):
        raise Malformed(f"{reply.subject}: {reply.asked} was answered with an entry that has no {key}")
    return number


def _get(
    repository: Repository,
    project: GitHubProject,
    url: str,
    *,
    accept: str = _HEADERS["Accept"],
    at_most: int = MAX_PAGE_BYTES,
) -> Reply:
    if any(not 0x21 <= ord(c) <= 0x7E for c in project.token):
        raise Denied(f"{repository}: the token holds characters that no header can carry")
    headers = {**_HEADERS, "Accept": accept, **({"Authorization": f"Bearer {project.token}"} if project.token else {})}
    return send(Ask(provider=repository, url=url, headers=headers, max_body_bytes=at_most))


def _refusal(repository: Repository, project: GitHubProject, reply: Reply) -> Reportable:
    """What a status that is no success amounts to; nothing of the body is quoted."""
    named, place = f"{repository}: {reply.asked}", f"repositories.{repository}.github"
    if reply.status == 403 and is_put_off(reply):
        return put_off(reply)
    part = next((part for part in PERMISSIONS if f"/{part}/" in reply.asked), "")
    if reply.status == 404 and not part:
        return Absent(
            f"{named} was answered with 404: there is no project {project.project}, or the token may not see it",
            next_step=f"correct {place}.project, or give it a token that may see it",
        )
    why = {
        401: "was not answered, because the token is not accepted",
        403: "was denied to the token",
        404: "was answered with 404: it is switched off, or the token may not see it",
    }.get(reply.status)
    if why is None:
        return Unsupported(f"{named} was answered with {reply.status}", next_step=f"look at {place}.url")
    permission = PERMISSIONS[part or "secret-scanning"]
    return Denied(
        f"{named} {why}",
        permission=permission,
        next_step=f"give {place} a token with {permission}" if project.token else f"set {place}.token",
    )
