"""What files of a pipeline tell: tests, coverage, load, scans, mutants, experiments, leaks; dated, of a commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from quub_audit.facts.code import LeakedSecret

Dating = Literal["report", "pipeline", "history", "file"]
"""Who says when a file was made: it itself, the run that kept it, the commit that brought it, the file system."""

Outcome = Literal["passed", "failed", "error", "skipped"]

Level = Literal["critical", "high", "medium", "low", "unknown"]
"""How bad a finding of a scanner is, in one scale for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What evidence has to be in order to count."""

    max_age_days: float
    is_of_commit: bool = True
    """Whether it has to be of the audited commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a report comes from."""

    file: str
    """As a person finds it: a path, or `ARTIFACT of run 123: PATH`."""
    tool: str = ""
    version: str = ""
    produced_at: datetime | None = None
    """Aware, UTC."""
    dated_by: Dating = "report"
    commit: str = ""
    """Full or abbreviated hash; empty where nothing says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One test as it ended, counted from the cases themselves."""

    __test__ = False

    suite: str
    name: str
    outcome: Outcome
    file: str = ""
    duration_s: float | None = None
    is_flaky: bool = False
    """It passed, but not at first."""
    tags: tuple[str, ...] = ()
    """Marks, annotations and tags such as `@flow:withdraw`, as they are written, without the `@`."""
    properties: Mapping[str, str] | None = None
    """Of the case, over those of its suites; values of names that speak of credentials are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """One file of test results."""

    __test__ = False

    origin: Origin
    cases: tuple[TestCase, ...]
    """Each once: what a format repeats is merged. The volume."""


Span = tuple[int, int]
"""First and last line, counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCoverage:
    """What of one source file was run."""

    path: str
    """As the report has it, forward slashes."""
    lines: int
    lines_covered: int
    branches: int = 0
    branches_covered: int = 0
    functions: int = 0
    functions_covered: int = 0
    missed_functions: tuple[str, ...] = ()
    """Names of functions that never ran, at most 100."""
    covered: tuple[Span, ...] = ()
    missed: tuple[Span, ...] = ()
    """Lines that ran, and lines that did not; empty where the format counts without naming them."""
    ignored_lines: int = 0
    """Left out by a comment in the code or by configuration, where the report says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One file of coverage."""

    origin: Origin
    files: tuple[FileCoverage, ...]
    """Each source file once, by path. The volume is their lines."""
    stated_percent: float | None = None
    """What the report says of its lines itself, 0 to 100."""
    counts: Literal["lines", "statements"] = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One stretch of time of a load test."""

    start_s: float
    """Since the run's beginning; slices begin at round times of the clock, so the first one up to a slice before it."""
    requests: int
    errors: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """What a load generator achieved, not what it was told to do."""

    origin: Origin
    requests: int
    """The volume."""
    errors: int
    duration_s: float
    """From the first to the last sample where there are samples, else as the summary says."""
    started_at: datetime | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    targets: tuple[str, ...] = ()
    """`host` or `host:port` that were sent to, sorted; empty where the format does not say."""
    is_open_model: bool | None = None
    """Whether requests were sent by a schedule, whatever the answers took; None where it cannot be told."""
    dropped: int = 0
    """Requests that were due and never sent."""
    statuses: Mapping[str, int] | None = None
    """Answers by HTTP status (`0` for none); None where the format does not count them."""
    statuses_with_retry_after: int | None = None
    """Answers with status 429 that said when to come back; None where the format does not say."""
    own_counters: Mapping[str, int] | None = None
    """Counters that the test keeps itself, of those that checks ask for; None where the format has none such."""
    slice_s: float = 0.0
    slices: tuple[Slice, ...] = ()
    """Every stretch from the first sample to the last, empty ones too; none where there is only a summary."""
    longest_gap_s: float = 0.0
    """Longest time without a sample; needs slices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Somebody's word that a finding need not be mended: a VEX statement, an ignore list, a suppression."""

    by: str
    """The file or tool that says it."""
    reason: str = ""
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One line of a VEX document or an ignore list: a finding that is accepted before any scanner reports it."""

    ids: tuple[str, ...]
    """Any of them names the finding."""
    subjects: tuple[str, ...] = ()
    """Packages by purl, without a version for every version; any package when empty."""
    acceptance: Acceptance


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFinding:
    """One finding of a scanner, each thing once."""

    id: str
    """`CVE-2026-1234`, a rule's id."""
    level: Level
    title: str = ""
    """Never the matched text."""
    aliases: tuple[str, ...] = ()
    subject: str = ""
    """A package with its version, a URL, a file; by purl where there is one."""
    fixed_in: tuple[str, ...] = ()
    """Versions; empty where there is no fix."""
    cwes: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    file: str = ""
    line: int | None = None
    commit: str = ""
    is_exploited: bool = False
    """Known to be, by CISA's catalogue or the scanner's own."""
    exploit_probability: float | None = None
    """EPSS, 0 to 1."""
    has_exploit: bool = False
    """Code that exploits it is public, which does not say that anybody uses it."""
    is_development: bool = False
    """Of a package: it is there to build and test, and does not run in production."""
    confidence: Literal["false positive", "low", "medium", "high", "confirmed", ""] = ""
    is_verified: bool = False
    """Of a credential: it was tried, and works."""
    acceptance: Acceptance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One run of a scanner."""

    origin: Origin
    covers: Literal["dependencies", "image", "code", "dynamic", "secrets", "infrastructure", "acceptances"]
    """`acceptances`: a VEX document, which looked at nothing itself."""
    volume: int
    """What was looked at: packages, URLs, rules, files."""
    volume_of: str
    """What `volume` counts, in the plural."""
    targets: tuple[str, ...] = ()
    """Manifests, images by digest, sites."""
    ecosystems: tuple[str, ...] = ()
    findings: tuple[ScanFinding, ...] = ()
    statements: tuple[Statement, ...] = ()
    unread: tuple[str, ...] = ()
    """What the scanner itself says that it could not look at, in words."""
    shows_search: bool = True
    """False where the report would be the same if the scanner had been told to look for something else."""
    database_at: datetime | None = None
    """How new its knowledge is."""
    is_authenticated: bool | None = None
    """Of a dynamic scan: whether it saw pages behind the login; None where the report does not say."""
    is_active: bool | None = None
    """Of a dynamic scan: whether it attacked, and did not watch alone; None where the report does not say."""
    pages: tuple[str, ...] = ()
    """Of a dynamic scan: addresses that it tells of, without queries, sorted, at most 500."""
    cwes: tuple[int, ...] = ()
    """Weaknesses that its rules look for, found or not, sorted; empty where the report does not name them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMutants:
    """Mutants of one source file; of the whole run where the tool counts no files (`path` is empty)."""

    path: str
    killed: int
    """Noticed by a test, or by its time-out."""
    survived: int
    uncovered: int
    """No test reaches them."""
    pending: int = 0
    """Never tried: the run did not end."""
    left_out: int = 0
    """By comments or configuration, or because they do not compile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationReport:
    """One run of a mutation tester."""

    origin: Origin
    files: tuple[FileMutants, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One chaos experiment."""

    origin: Origin
    title: str
    status: Literal["completed", "failed", "aborted", "interrupted", "unfinished"]
    has_deviated: bool
    steady_before: bool | None
    steady_after: bool | None
    """Whether the steady state held; None where it was not looked at."""
    faults: tuple[str, ...]
    """Actions that were done and succeeded. The volume."""
    fault_at: datetime | None = None
    """When the first of them began."""
    started_at: datetime | None = None
    duration_s: float | None = None
    breaker_states: tuple[tuple[str, datetime | None], ...] = ()
    """What a probe saw of a circuit breaker: `closed`, `open`, `half-open`, in order, and when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """Credentials in one file that others may see, and in all that is packed in it."""

    origin: Origin
    secrets: tuple[LeakedSecret, ...]
    """Each value once per file and rule; `location.file` is `image.tar!blobs/sha256/...!app/.env`."""
    files_scanned: int
    """What was looked at: those inside of archives, or the file itself; none that is empty. The volume."""


Report = TestReport | Coverage | LoadRun | Scan | MutationReport | Experiment | Leaks
