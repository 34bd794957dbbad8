"""Code that must not fail unnoticed is run by tests that pass, line by line and branch by branch.

Pass          of each file of each critical path `min_lines_percent` of the lines and `min_branches_percent` of the branches ran, and every function; the unit tests passed; tests noticed `min_mutants_percent` of the changes to it where a mutation tester was run
Fail          a file has less, or no report speaks of it; a unit test failed, none was run, or none of those with the tag of the path passed; tests noticed fewer changes
Inconclusive  environments.yaml names no critical path, no coverage or no unit tests of the repository, or they are older than `max_age_days` or of another commit, or hold no test; no report counts branches of a file; a mutation tester did not end
Error         a glob of a critical path matches no code that could run; a report or the checkout cannot be read
Needs         the reports, and a checkout of the code
Source        the guide, Testing; NIST SP 800-218, PW.8
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from quub_audit.checks.testing.unit._code import (
    LEFT_OUT,
    Code,
    CodeParameters,
    artifacts_about,
    code_of,
    lines_unseen,
    repository_named,
    unit_tests_of,
)
from quub_audit.checks.testing.unit._measured import Measured, Mutants, branches_of, lines_of, measure, mutants_of
from quub_audit.sdk import (
    Artifact,
    Artifacts,
    CriticalPath,
    Environment,
    FileCoverage,
    Finding,
    Location,
    Repositories,
    TestCase,
    artifacts_for,
    check,
    cut,
)


class PathParameters(CodeParameters):
    """What the checklist may set under `with:`."""

    min_lines_percent: float = Field(default=95, gt=0, le=100)
    """Percent of the lines of each file that have to run at least. House rule."""

    min_branches_percent: float = Field(default=90, gt=0, le=100)
    """Percent of the branches of each file that have to be taken at least. House rule."""

    min_mutants_percent: float = Field(default=70, gt=0, le=100)
    """Percent of the changes that tests have to notice, where a mutation tester was run. House rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of one critical path."""

    name: str
    code: Code
    by_glob: Mapping[str, frozenset[str]]
    """Files of the service's code that each glob matches."""
    measured: Measured | None
    """None where no coverage is declared."""
    unseen: Mapping[str, int]
    """Lines by path of its files that no report speaks of, or that comments keep out of them; none without any."""
    cases: Sequence[TestCase] | None
    """None where no unit tests are declared."""
    mutants: Mutants

    @property
    def paths(self) -> list[str]:
        """Its files, by path."""
        return sorted(frozenset().union(*self.by_glob.values()))


@check("No unit test of critical code fails", each=artifacts_for("unit-tests"))
def suite(
    subject: Artifact, artifacts: Artifacts, environment: Environment, wanted: PathParameters
) -> Iterator[Finding]:
    """Says only what is wrong: which path a test runs is told by coverage."""
    repository = repository_named(subject.repository, environment)
    if any(repository_named(each.repository, environment) == repository for each in environment.testing.critical_paths):
        reports = artifacts.tests(subject, fresh=wanted.fresh)
        yield from judge_suite(subject.name, [case for report in reports for case in report.cases])


def judge_suite(subject: str, cases: Sequence[TestCase]) -> Iterator[Finding]:
    """A fail for tests that failed, or where all were skipped; undecided where there is none."""
    failed = [case for case in cases if case.outcome in ("failed", "error")]
    expected = "tests that pass, and none that fails"
    if failed:
        names = cut(f"{case.suite} {case.name}" for case in failed)
        yield Finding.of(False, subject=subject, observed=f"{len(failed)} tests failed: {names}", expected=expected)
    elif not cases:
        yield Finding.undecided(
            subject=subject, observed="it holds no test", expected=expected, next_step="look why the runner found none"
        )
    elif not any(case.outcome == "passed" for case in cases):
        observed = f"none of {len(cases)} tests was run"
        yield Finding.of(False, subject=subject, observed=observed, expected=expected)


@check("Critical paths are covered by tests that pass", each=CriticalPath)
def path(
    subject: CriticalPath,
    artifacts: Artifacts,
    repositories: Repositories,
    environment: Environment,
    wanted: PathParameters,
) -> Iterator[Finding]:
    """One finding for the files of the path that are covered, one for each that is not, one for the mutants."""
    seen = look(subject, artifacts, repositories, environment, wanted)
    if seen is not None:
        yield from judge(seen, wanted)


def look(
    subject: CriticalPath,
    artifacts: Artifacts,
    repositories: Repositories,
    environment: Environment,
    wanted: CodeParameters,
) -> Seen | None:
    """Ask for all that is to be known of the path; None where its repository is not declared."""
    repository = repository_named(subject.repository, environment)
    if repository is None:
        return None
    # What is declared as critical has to be covered, whatever is excluded elsewhere.
    code = code_of(repository, repositories, ())
    by_glob = {
        glob: frozenset(file.path for file in repositories.files(repository, globs=(glob,))) & code.sources.keys()
        for glob in subject.files
    }
    paths = frozenset[str]().union(*by_glob.values())
    declared = artifacts_about(repository, "coverage", environment)
    found = [report for each in declared for report in artifacts.coverage(each, fresh=wanted.fresh)]
    measured = measure(found, code) if declared else None
    left_out = repositories.search(repository, patterns=(LEFT_OUT,)).matches
    hidden = {match.location.file for match in left_out}
    spoken_of = {path for path, file in measured.files.items() if file.lines or path not in hidden} if measured else ()
    unseen = lines_unseen(code, sorted(paths.difference(spoken_of)), repositories) if measured else {}
    mutation = [
        report
        for each in artifacts_about(repository, "mutation", environment)
        for report in artifacts.mutation(each, fresh=wanted.fresh)
    ]
    return Seen(
        name=subject.id,
        code=code,
        by_glob=by_glob,
        measured=measured,
        unseen={path: lines for path, lines in unseen.items() if lines},
        cases=unit_tests_of(repository, environment, artifacts, wanted.fresh),
        mutants=mutants_of(mutation, paths, code),
    )


def judge(seen: Seen, wanted: PathParameters) -> Iterator[Finding]:
    """Globs that match nothing first, then tests, files and mutants."""
    empty = [glob for glob, paths in seen.by_glob.items() if not paths]
    yield from (no_code(seen, glob) for glob in empty)
    if seen.measured is None or seen.cases is None:
        kind = "coverage" if seen.measured is None else "unit tests"
        yield undeclared(seen, kind)
        return
    tagged = [case for case in seen.cases if f"critical:{seen.name}" in case.tags]
    if tagged and not any(case.outcome == "passed" for case in tagged):
        observed = f"none of {len(tagged)} tests with the tag critical:{seen.name} passed"
        yield Finding.of(False, subject=seen.name, observed=observed, expected="one that passes")
    if seen.paths:
        yield from _judge_files(seen, seen.measured, wanted)
    yield from judge_mutants(seen, wanted.min_mutants_percent)


def undeclared(seen: Seen, kind: str) -> Finding:
    """That nothing of that kind is declared of the repository."""
    return Finding.undecided(
        subject=str(seen.code.repository),
        observed=f"no artifact with its {kind} is declared",
        next_step="declare what the pipeline keeps under `artifacts:` of environments.yaml",
    )


def no_code(seen: Seen, glob: str) -> Finding:
    """The error of a glob that matches no code that runs in production."""
    return Finding.error(
        subject=seen.name,
        message=f"{seen.name}: {glob} matches no code of {seen.code.repository}",
        next_step="mend it under `testing.critical_paths` of environments.yaml",
    )


def judge_mutants(seen: Seen, min_percent: float) -> Iterator[Finding]:
    """What tests noticed of changes to the path; nothing where nothing was tried."""
    percent = seen.mutants.percent
    if percent is not None:
        yield Finding.of(
            percent >= min_percent,
            subject=seen.name,
            observed=f"tests noticed {percent:.1f}% of {seen.mutants.tried} changes",
            expected=f"{min_percent:g}% or more",
        )
    elif seen.mutants.pending:
        yield Finding.undecided(
            subject=seen.name,
            observed=f"{seen.mutants.pending} changes were never tried",
            expected="a run that ended",
            next_step="let the mutation tester run to its end",
        )


def _judge_files(seen: Seen, measured: Measured, wanted: PathParameters) -> Iterator[Finding]:
    expected = (
        f"{wanted.min_lines_percent:g}% of the lines, {wanted.min_branches_percent:g}% of the branches, every function"
    )
    files = [measured.files[path] for path in seen.paths if path in measured.files]
    good: list[FileCoverage] = []
    for path in seen.paths:
        file = measured.files.get(path)
        name, location = f"{seen.name}: {path}", Location(file=path)
        if path in seen.unseen:
            told = f"in no report, so none of about {seen.unseen[path]} lines ran"
            yield Finding.of(False, subject=name, observed=told, expected=expected, location=location)
        elif file is None or not file.lines:
            continue
        elif not _is_covered(file, wanted):
            first = min((line for line, _ in file.missed), default=None)
            location = Location(file=path, line=first)
            yield Finding.of(False, subject=name, observed=_told(file), expected=expected, location=location)
        elif path in measured.without_branches:
            yield Finding.undecided(
                subject=name,
                observed="no report counts its branches",
                expected=expected,
                location=location,
                next_step="have the tool measure branches: `--cov-branch`, `branch: true`",
            )
        else:
            good.append(file)
    if good:
        observed = f"{lines_of(good)} of the lines, {branches_of(good)} of the branches of {len(good)} files"
        yield Finding.of(True, subject=seen.name, observed=observed, expected=f"of each {expected}")
    elif not seen.unseen and not any(file.lines for file in files):
        yield Finding.error(
            subject=seen.name,
            message=f"{seen.name}: its files hold nothing that could run",
            next_step="name the code itself under `testing.critical_paths` of environments.yaml",
        )


def _is_covered(file: FileCoverage, wanted: PathParameters) -> bool:
    return (
        100 * file.lines_covered >= wanted.min_lines_percent * file.lines
        and 100 * file.branches_covered >= wanted.min_branches_percent * file.branches
        and file.functions_covered == file.functions
    )


def _told(file: FileCoverage) -> str:
    told = f"{lines_of((file,))} of the lines"
    if file.branches:
        told += f", {branches_of((file,))} of the branches"
    if file.functions > file.functions_covered:
        names = cut(file.missed_functions) or f"{file.functions - file.functions_covered} functions"
        told += f", never {names}"
    return told
