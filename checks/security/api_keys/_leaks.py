"""Secrets that a scan of a repository found: judged in the same way by every item that looks there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pydantic import Field

from quub_audit.sdk import CodeFile, Finding, FindingStatus, LeakedSecret, Parameters, SecretScan


class Allowed(Parameters):
    """One place that was looked at by a person and found to hold no secret."""

    identity: str = Field(min_length=1)
    """`file:rule:line` of a secret in the tree, `commit:file:rule:line` of one in the history, `file:name` of a
    variable in a configuration file, `family/container/NAME` or `function/NAME` of a workload's variable,
    `family/container/ARN` of an environment file."""
    reason: str = Field(min_length=1)
    """Why it is no secret; shown in the report."""


class Allowances(Parameters):
    """What items on secrets let a team say of places that were looked at."""

    allow: tuple[Allowed, ...] = ()
    """Places that hold no secret, each with its reason."""

    def reason_for(self, identity: str) -> str:
        """Why the place is allowed, or an empty text."""
        return next((entry.reason for entry in self.allow if entry.identity == identity), "")


def judge_scan(repository: str, scan: SecretScan, wanted: Allowances) -> Iterator[Finding]:
    """Judge one scan: each secret, then the tree and the history where nothing was found."""
    judged = [_judge_leak(leak, wanted) for leak in scan.secrets]
    yield from judged
    bad = Counter(
        leak.is_in_tree
        for leak, finding in zip(scan.secrets, judged, strict=True)
        if finding.status is FindingStatus.FAIL
    )
    if not scan.files_scanned:
        yield Finding.error(
            subject=repository,
            message=f"{repository}: there is no file to look at",
            next_step="check the path of the repository",
        )
    elif not bad[True]:
        yield Finding.of(
            True,
            subject=repository,
            observed=f"no secret in {scan.files_scanned} files",
            expected="no secret in the working tree",
        )
    history = f"{repository} history"
    if scan.is_shallow or not scan.commits_scanned:
        what = "the clone is shallow" if scan.is_shallow else "there is no history"
        yield Finding.error(
            subject=history,
            message=f"{history}: {what}, so that what was once committed could not be looked at",
            next_step="audit a full clone (fetch-depth: 0)",
        )
    elif not bad[False]:
        yield Finding.of(
            True,
            subject=history,
            observed=f"no secret in {scan.commits_scanned} commits",
            expected="no secret in the history",
        )
    if scan.is_history_cut:
        yield Finding.warning(
            subject=history,
            observed=f"only the newest {scan.commits_scanned} commits were looked at",
            message=f"{history}: older commits were not looked at; raise history_depth to look further back",
        )


def identity_of(leak: LeakedSecret) -> str:
    """What `allow` calls a leak: stable as long as the line stays where it is, or for ever in the history."""
    place = leak.location
    tail = f"{place.file}:{leak.rule}:{place.line or 0}"
    return tail if leak.is_in_tree else f"{place.commit or ''}:{tail}"


def _judge_leak(leak: LeakedSecret, wanted: Allowances) -> Finding:
    identity = identity_of(leak)
    subject = str(leak.location)
    observed = f"{leak.rule}: a value of {leak.fingerprint}"
    reason = wanted.reason_for(identity) or (leak.sample_reason or "a sample" if leak.is_sample else "")
    if reason:
        return Finding.warning(subject=subject, observed=f"{observed}, allowed: {reason}", location=leak.location)
    place = "the working tree" if leak.is_in_tree else "the history"
    return Finding.of(
        False,
        subject=subject,
        observed=observed,
        expected="no secret",
        message=f"{subject}: a secret stands in {place} ({leak.description or leak.rule}); rotate it, then remove it, "
        f"or allow {identity}",
        location=leak.location,
    )


def judge_states(repository: str, states: Iterable[CodeFile]) -> Iterator[Finding]:
    """A fail for each tracked state file: Terraform keeps every secret in it in clear."""
    for state in states:
        if state.is_tracked:
            yield Finding.of(
                False,
                subject=f"{repository}:{state.path}",
                observed="is tracked by git",
                expected="is kept in a remote backend",
                message=f"{repository}:{state.path} holds secrets in clear; remove it from the history and rotate them",
            )
