"""When a vulnerability of a package matters, and what may excuse it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from quub_audit.sdk import (
    Acceptance,
    Dependencies,
    Environment,
    Finding,
    Freshness,
    Level,
    Parameters,
    Scan,
    ScanFinding,
    Statement,
)

PURPOSE: Literal["dependency-scan"] = "dependency-scan"

RANK: Mapping[Level, int] = {"low": 0, "medium": 1, "high": 2, "unknown": 2, "critical": 3}
"""What has no level counts as high until somebody gives it one."""


class VulnerabilityParameters(Parameters):
    """What the checklist may set under `with:`."""

    max_age_days: float = Field(default=7, gt=0)
    """Days since the scan. House rule."""

    max_database_age_days: float = Field(default=7, gt=0)
    """Days between the making of the scanner's database and the audit. House rule."""

    fail_on: Literal["low", "medium", "high", "critical"] = "high"
    """Lowest level that fails, by CVSS or the tool's word. The guide: `npm audit --audit-level=high`."""

    min_exploit_probability: float = Field(default=0.1, ge=0, le=1)
    """EPSS, a share from 0 to 1, from which a medium finding counts as high. House rule."""

    accept_unfixed: bool = False
    """Whether a finding that no version mends yet is a warning; one that is known to be exploited never is."""

    ignores_end: bool = True
    """Whether entries of ignore lists must name a day on which they end."""

    @property
    def fresh(self) -> Freshness:
        """What a scan has to be in order to count."""
        return Freshness(max_age_days=self.max_age_days)


def name_of(finding: ScanFinding) -> str:
    """The name by which people look it up: its CVE where it has one."""
    return next((name for name in (finding.id, *finding.aliases) if name.upper().startswith("CVE-")), finding.id)


def level_of(finding: ScanFinding, wanted: VulnerabilityParameters) -> Level:
    """Its level; exploits raise it and never lower it."""
    if finding.level == "medium" and (finding.exploit_probability or 0) >= wanted.min_exploit_probability:
        return "high"
    return finding.level


def excuse(finding: ScanFinding, statements: Iterable[Statement]) -> Acceptance | None:
    """Somebody's word about it: that of its own report first."""
    if finding.acceptance is not None:
        return finding.acceptance
    names = {name.lower() for name in (finding.id, *finding.aliases)}
    return next((each.acceptance for each in statements if _speaks_of(each, names, finding.subject)), None)


def _speaks_of(statement: Statement, names: set[str], package: str) -> bool:
    is_named = "*" in statement.ids or not names.isdisjoint(name.lower() for name in statement.ids)
    bare = package.rpartition("@")[0]
    return is_named and (not statement.subjects or package in statement.subjects or bare in statement.subjects)


def judge(
    subject: str,
    findings: Sequence[ScanFinding],
    looked_at: str,
    statements: Sequence[Statement],
    wanted: VulnerabilityParameters,
    now: datetime,
) -> Iterator[Finding]:
    """A fail for each finding that matters and is not excused; a pass for the rest, which says what was `looked_at`."""
    accepted = unfixed = bad = 0
    for finding in findings:
        level, word = level_of(finding, wanted), excuse(finding, statements)
        if not finding.is_exploited:
            if RANK[level] < RANK[wanted.fail_on]:
                continue
            if word is not None and (word.expires is None or word.expires > now):
                accepted += 1
                continue
            if wanted.accept_unfixed and not finding.fixed_in:
                unfixed += 1
                continue
        bad += 1
        yield Finding.of(
            False,
            subject=f"{name_of(finding)} in {finding.subject or finding.file or subject}",
            observed=f"{subject}: {described(finding, level, word)}",
            expected="it is known to be exploited: nothing excuses it"
            if finding.is_exploited
            else f"no finding that is {wanted.fail_on} or worse, or a reason that holds",
        )
    told = "".join(f", {count} {what}" for count, what in ((accepted, "accepted"), (unfixed, "without a fix")) if count)
    if unfixed:
        yield Finding.warning(subject=subject, observed=f"{unfixed} findings have no fix yet")
    if not bad:
        yield Finding.of(
            True,
            subject=subject,
            observed=f"{looked_at}: nothing that is {wanted.fail_on} or worse{told}",
            expected=f"nothing that is {wanted.fail_on} or worse",
        )


def described(finding: ScanFinding, level: Level, word: Acceptance | None) -> str:
    """One finding in words."""
    parts = [
        "no level is known, which counts as high" if level == "unknown" else level,
        "known to be exploited" if finding.is_exploited else "",
        finding.title,
        f"fixed in {', '.join(finding.fixed_in[:3])}" if finding.fixed_in else "no fix is known",
        f"accepted by {word.by} until {word.expires:%Y-%m-%d}" if word and word.expires else "",
    ]
    return ", ".join(part for part in parts if part)


def of_artifacts(
    environment: Environment, dependencies: Dependencies, wanted: VulnerabilityParameters, repository: str = ""
) -> Iterator[Scan]:
    """Scans of all artifacts that are about the repository; of any where none is named. Raises as `Artifacts`."""
    for artifact in environment.artifacts:
        about = artifact.repository or (environment.repositories[0].name if environment.repositories else "")
        if artifact.purpose == PURPOSE and repository in ("", about):
            yield from dependencies.scans(artifact, fresh=wanted.fresh)
