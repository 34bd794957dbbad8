"""When a vulnerability of a package matters, and what may excuse it."""

from __future__ import annotations

from collections import Counter, defaultdict
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
    cut,
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
    """EPSS, a share from 0 to 1, from which a finding that is medium or worse fails. House rule."""

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


def is_malicious(finding: ScanFinding) -> bool:
    """Whether the package does harm by intent, as the host says it or OSV's name of it (`MAL-2026-1`)."""
    names = (finding.id, *finding.aliases)
    return "malware" in finding.tags or any(name.upper().startswith("MAL-") for name in names)


def matters(finding: ScanFinding, wanted: VulnerabilityParameters) -> bool:
    """Whether it fails unless somebody says why it does not matter; exploits add to that and take nothing away."""
    if finding.is_exploited or finding.has_exploit or is_malicious(finding):
        return True
    rank = RANK[finding.level]
    is_likely = (finding.exploit_probability or 0) >= wanted.min_exploit_probability and rank >= RANK["medium"]
    return is_likely or rank >= RANK[wanted.fail_on]


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
    """A fail for each vulnerability of a package that matters and is not excused, wherever it is; a pass for the rest,
    which says what was `looked_at`.
    """
    left_out: Counter[str] = Counter()
    bad: dict[str, list[ScanFinding]] = defaultdict(list)
    for finding in findings:
        if not matters(finding, wanted):
            continue
        word = excuse(finding, statements)
        if not finding.is_exploited:
            if word is not None and (word.expires is None or word.expires > now):
                left_out["accepted"] += 1
                continue
            if finding.is_development and not is_malicious(finding):
                left_out["of packages for development alone"] += 1
                continue
            if wanted.accept_unfixed and not finding.fixed_in:
                left_out["without a fix"] += 1
                continue
        bad[f"{name_of(finding)} in {finding.subject or finding.file or subject}"].append(finding)
    for name, alike in bad.items():
        worst = max(alike, key=lambda each: (each.is_exploited, RANK[each.level]))
        places = dict.fromkeys(each.file for each in alike if each.file)
        where = f", in {cut(places)}" if len(places) > 1 else ""
        yield Finding.of(
            False,
            subject=name,
            observed=f"{subject}: {described(worst, excuse(worst, statements))}{where}",
            expected="it is known to be exploited: nothing excuses it"
            if worst.is_exploited
            else f"no finding that is {wanted.fail_on} or worse, or a reason that holds",
        )
    for what, count in left_out.items():
        if what != "accepted":
            yield Finding.warning(subject=subject, observed=f"{count} findings {what} do not count")
    if not bad:
        told = "".join(f", {count} {what}" for what, count in left_out.items())
        yield Finding.of(
            True,
            subject=subject,
            observed=f"{looked_at}: nothing that is {wanted.fail_on} or worse{told}",
            expected=f"nothing that is {wanted.fail_on} or worse",
        )


def described(finding: ScanFinding, word: Acceptance | None) -> str:
    """One finding in words."""
    parts = [
        "no level is known, which counts as high" if finding.level == "unknown" else finding.level,
        "known to be exploited" if finding.is_exploited else "an exploit is public" if finding.has_exploit else "",
        "made to do harm" if is_malicious(finding) else "",
        f"EPSS {finding.exploit_probability:.2f}" if (finding.exploit_probability or 0) >= 0.01 else "",
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
