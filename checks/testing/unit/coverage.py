"""The tests of this commit run more than 80% of the lines of the service's own code.

Pass          of the code of the repository, and of each package and report by itself, more than `min_lines_percent` of the lines ran; what no report speaks of counts as not run
Fail          80.0% or less ran of the whole, of a package or of what a report speaks of; fewer branches than `min_branches_percent`; more than `max_ignored_percent` of the lines are left out by comments or configuration
Inconclusive  no coverage of a repository is declared, it is older than `max_age_days` or of another commit, it holds fewer than `min_lines` lines of the repository, one of several reports holds none, or the unit tests beside it were not run
Error         a report or the checkout cannot be read
Needs         the reports, and a checkout of the code
Source        the guide, Testing; docs/artifacts.md for the formats
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import Field

from quub_audit.checks.testing.unit._code import (
    LEFT_OUT,
    Code,
    CodeParameters,
    artifacts_about,
    code_of,
    lines_unseen,
    unit_tests_of,
)
from quub_audit.checks.testing.unit._measured import Measured, Share, branches_of, lines_of, measure
from quub_audit.sdk import (
    Artifacts,
    Environment,
    Finding,
    Grade,
    Repositories,
    Repository,
    Search,
    check,
    cut,
    unread,
)


class CoverageParameters(CodeParameters):
    """What the checklist may set under `with:`."""

    min_lines_percent: float = Field(default=80, ge=0, lt=100)
    """Percent of the lines that more than this have to run. The guide, Testing."""

    min_branches_percent: float = Field(default=0, ge=0, le=100)
    """Percent of the branches that have to be taken at least; 0 asks for none. The guide asks for none."""

    min_lines: int = Field(default=50, ge=1)
    """Count of lines below which a report, or a package, shows nothing by itself. House rule."""

    max_ignored_percent: float = Field(default=10, ge=0, le=100)
    """Percent of the lines that may be left out, where the report says how many are. House rule."""


@check("The tests run enough of the code", each=Repository, grade=Grade.ARTIFACT)
def code(
    subject: Repository,
    repositories: Repositories,
    artifacts: Artifacts,
    environment: Environment,
    wanted: CoverageParameters,
) -> Iterator[Finding]:
    """One finding for the code, and for each package and report where there are several."""
    declared = artifacts_about(subject, "coverage", environment)
    found = [report for each in declared for report in artifacts.coverage(each, fresh=wanted.fresh)]
    own = code_of(subject, repositories, wanted.exclude)
    measured = measure(found, own)
    left_out = repositories.search(subject, patterns=(LEFT_OUT,))
    hidden = {match.location.file for match in left_out.matches}
    # A comment may keep a whole file out: the report then speaks of a file without lines.
    spoken_of = {path for path, file in measured.files.items() if file.lines or path not in hidden}
    unseen = lines_unseen(own, sorted(own.sources.keys() - spoken_of), repositories)
    cases = unit_tests_of(subject, environment, artifacts, wanted.fresh) if found else None
    seen = Seen(
        code=own,
        measured=measured,
        unseen={path: lines for path, lines in unseen.items() if lines},
        tests_run=None if cases is None else sum(case.outcome != "skipped" for case in cases),
    )
    yield from judge(seen, wanted)
    if found:
        yield from comments(seen, left_out)


def comments(seen: Seen, left_out: Search) -> Iterator[Finding]:
    """What is told of comments that keep code out of coverage."""
    if left_out.matches:
        places = cut(match.location for match in left_out.matches)
        yield Finding.warning(subject=str(seen.code.repository), observed=f"left out of coverage by comments: {places}")
    yield from unread(str(seen.code.repository), left_out.unreadable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of the code of one repository."""

    code: Code
    measured: Measured
    unseen: dict[str, int]
    """Lines by path of the files that no report speaks of."""
    tests_run: int | None = None
    """None where no unit tests are declared beside it."""

    @property
    def subject(self) -> str:
        """The name of the repository."""
        return str(self.code.repository)


def judge(seen: Seen, wanted: CoverageParameters) -> Iterator[Finding]:
    """The whole first, then packages and reports where there are several, then what is told beside."""
    files = seen.measured.files
    if lines_of(files.values()).all < wanted.min_lines or seen.tests_run == 0:
        yield from _nothing(seen, wanted)
        return
    yield _judge(seen.subject, seen, frozenset(files), frozenset(seen.unseen), wanted)
    yield from _packages(seen, wanted)
    reports = seen.measured.reports
    for name, paths in reports.items() if len(set(reports.values())) > 1 else ():
        if not paths:
            yield _shows_nothing(name, f"none of its files is code of {seen.subject}", "some are")
        elif _lines(seen, paths, frozenset()).all >= wanted.min_lines:
            yield _judge(name, seen, paths, frozenset(), wanted)
    for doubt in seen.measured.doubts:
        yield Finding.warning(subject=seen.subject, observed=doubt, expected="the same")
    if seen.measured.strangers:
        told = f"not counted, no file of {seen.subject} or several of them: {cut(seen.measured.strangers)}"
        yield Finding.warning(subject=seen.subject, observed=told)


def _packages(seen: Seen, wanted: CoverageParameters) -> Iterator[Finding]:
    """A finding for each package that is not small, where there are several."""
    by_package: dict[str, set[str]] = {}
    for path in sorted({*seen.measured.files, *seen.unseen}):
        by_package.setdefault(seen.code.package_of(path), set()).add(path)
    if len(by_package) < 2:
        return
    for package, paths in sorted(by_package.items()):
        measured, unseen = paths & seen.measured.files.keys(), paths & seen.unseen.keys()
        if _lines(seen, measured, unseen).all >= wanted.min_lines:
            name = f"{seen.subject}: {package or 'the root'}"
            yield _judge(name, seen, frozenset(measured), frozenset(unseen), wanted)


def _judge(
    subject: str, seen: Seen, paths: frozenset[str], unseen: frozenset[str], wanted: CoverageParameters
) -> Finding:
    files = [seen.measured.files[path] for path in paths]
    lines, branches = _lines(seen, paths, unseen), branches_of(files)
    ignored = sum(file.ignored_lines for file in files)
    left_out = Share(covered=ignored, all=ignored + lines.all)
    # Compared by whole numbers, so that 80.0 is never more than 80 by a rounding error.
    is_enough = 100 * lines.covered > wanted.min_lines_percent * lines.all
    has_branches = not wanted.min_branches_percent or branches.percent >= wanted.min_branches_percent
    observed = [f"{lines} of the lines"]
    if wanted.min_branches_percent:
        observed.append(f"{branches} of the branches")
    if unseen:
        names = cut(f"{path} (about {seen.unseen[path]} lines)" for path in _largest(seen, unseen))
        observed.append(f"not in the report, so not run: {names}")
    if ignored:
        observed.append(f"{left_out} left out")
    expected = f"more than {wanted.min_lines_percent:g}% of the lines"
    if wanted.min_branches_percent:
        expected += f", {wanted.min_branches_percent:g}% of the branches"
    if left_out.percent > wanted.max_ignored_percent:
        expected += f", {wanted.max_ignored_percent:g}% or less left out"
    return Finding.of(
        is_enough and has_branches and left_out.percent <= wanted.max_ignored_percent,
        subject=subject,
        observed="; ".join(observed),
        expected=expected,
    )


def _nothing(seen: Seen, wanted: CoverageParameters) -> Iterator[Finding]:
    """That nothing is shown of a repository that holds code."""
    measured, unseen = lines_of(seen.measured.files.values()).all, sum(seen.unseen.values())
    if not seen.measured.reports and unseen < wanted.min_lines:
        return
    if seen.tests_run == 0:
        told = "the unit tests beside its coverage were not run"
    elif seen.measured.reports:
        told = f"{measured} lines in its coverage"
    else:
        told = f"no coverage is declared, of about {unseen} lines"
    if seen.measured.strangers:
        told += f", and what is no file of it: {cut(seen.measured.strangers)}"
    yield _shows_nothing(seen.subject, told, f"{wanted.min_lines} lines or more, by tests that were run")


def _shows_nothing(subject: str, observed: str, expected: str) -> Finding:
    return Finding.undecided(
        subject=subject,
        observed=observed,
        expected=expected,
        next_step="let the tool write paths of the repository, or declare what is shown where in environments.yaml",
    )


def _lines(seen: Seen, paths: frozenset[str] | set[str], unseen: frozenset[str] | set[str]) -> Share:
    return lines_of((seen.measured.files[path] for path in paths), sum(seen.unseen[path] for path in unseen))


def _largest(seen: Seen, paths: frozenset[str]) -> list[str]:
    return sorted(paths, key=lambda path: (-seen.unseen[path], path))
