"""GitHub as the host of a repository: its alerts on credentials, and whether it blocks pushes that hold one.

Only GET is sent. The values stay there: `hide_secret` leaves them out, and no field that could hold one is read.
https://docs.github.com/en/rest/secret-scanning/secret-scanning and https://docs.github.com/en/rest/repos/repos
"""

from __future__ import annotations

import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from quub_audit.connectors.base import Ledger, Question
from quub_audit.connectors.identity_github import is_put_off, put_off
from quub_audit.connectors.identity_http import Ask, Reply, one_line, pages, send
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Unsupported
from quub_audit.facts.hosting import SecretAlert, SecretAlerts
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import GitHubProject, Repository, credentials_of

PERMISSION = "secret_scanning_alerts: read"
MAX_PAGE_BYTES = 16 << 20

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class HostingConnector:
    """Implements `quub_audit.facts.asking.Hosting`."""

    def __init__(self, repositories: Iterable[Repository], ledger: Ledger, redactor: Redactor) -> None:
        self._ledger = ledger
        for repository in repositories:
            for credential in credentials_of(repository):
                redactor.add(credential)

    def secret_alerts(self, repository: Repository) -> SecretAlerts | None:
        """Alerts on credentials, as `Hosting` promises them."""
        project = repository.github
        if project is None:
            return None
        about = {"url": project.url, "project": project.project}
        question = Question.about("github", repository.name, f"secret-scanning alerts of {project.project}", about)
        return self._ledger.ask(question, lambda: _alerts(repository, project))


def _alerts(repository: Repository, project: GitHubProject) -> SecretAlerts:
    base = f"{project.url.rstrip('/')}/repos/{urllib.parse.quote(project.project)}"
    reply = _get(repository, project, base)
    if reply.status != 200:
        raise _refusal(repository, project, reply)
    settings = reply.mapping().get("security_and_analysis")
    alerts = f"{base}/secret-scanning/alerts?per_page=100&hide_secret=true&state="
    # Where it is switched off the alerts are answered with 404, as is a token that may not see them.
    is_off = _status(settings, "secret_scanning") == "disabled"
    if is_off:
        return SecretAlerts(project=project.project, is_enabled=False, is_push_protected=False)
    opened = [_alert(reply, row) for reply, row in _rows(repository, project, f"{alerts}open")]
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


def _rows(repository: Repository, project: GitHubProject, url: str) -> Iterator[tuple[Reply, Mapping[str, Any]]]:
    def get(page: str) -> Reply:
        reply = _get(repository, project, page)
        if reply.status != 200:
            raise _refusal(repository, project, reply)
        return reply

    for reply in pages(get, url):
        for row in reply.rows():
            yield reply, row


def _alert(reply: Reply, row: Mapping[str, Any]) -> SecretAlert:
    number = row.get("number")
    if not isinstance(number, int) or isinstance(number, bool):
        raise Malformed(f"{reply.subject}: {reply.asked} was answered with an alert that has no number")
    return SecretAlert(
        number=number,
        kind=one_line(row.get("secret_type") or "a credential", 80),
        validity=one_line(row.get("validity") or "", 20),
        is_publicly_leaked=row.get("publicly_leaked") is True,
        is_bypassed=row.get("push_protection_bypassed") is True,
    )


def _status(settings: object, name: str) -> str:
    """`enabled` or `disabled`; empty where the token is not told."""
    found = settings.get(name) if isinstance(settings, Mapping) else None
    return str(found.get("status") or "") if isinstance(found, Mapping) else ""


def _get(repository: Repository, project: GitHubProject, url: str) -> Reply:
    if any(not 0x21 <= ord(c) <= 0x7E for c in project.token):
        raise Denied(f"{repository}: the token holds characters that no header can carry")
    headers = {**_HEADERS, **({"Authorization": f"Bearer {project.token}"} if project.token else {})}
    return send(Ask(provider=repository, url=url, headers=headers, max_body_bytes=MAX_PAGE_BYTES))


def _refusal(repository: Repository, project: GitHubProject, reply: Reply) -> Reportable:
    """What a status that is no success amounts to; nothing of the body is quoted."""
    named, place = f"{repository}: {reply.asked}", f"repositories.{repository}.github"
    if reply.status == 403 and is_put_off(reply):
        return put_off(reply)
    is_list = "/secret-scanning/" in reply.asked
    if reply.status == 404 and not is_list:
        return Absent(
            f"{named} was answered with 404: there is no project {project.project}, or the token may not see it",
            next_step=f"correct {place}.project, or give it a token that may see it",
        )
    why = {
        401: "was not answered, because the token is not accepted",
        403: "was denied to the token",
        404: "was answered with 404: secret scanning is switched off, or the token may not see its alerts",
    }.get(reply.status)
    if why is None:
        return Unsupported(f"{named} was answered with {reply.status}", next_step=f"look at {place}.url")
    return Denied(
        f"{named} {why}",
        permission=PERMISSION,
        next_step=f"give {place} a token with {PERMISSION}" if project.token else f"set {place}.token",
    )
