"""Coverage of the files of a repository, joined from every report that speaks of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from quub_audit.checks.testing.unit._code import Code, located
from quub_audit.sdk import Coverage, FileCoverage, FileMutants, MutationReport, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What of a repository is covered."""

    files: Mapping[str, FileCoverage]
    """What has to be covered and is spoken of, by path in the repository."""
    without_branches: frozenset[str]
    """Files of which no report counts branches; blocks of statements, as Go has them, count for branches."""
    reports: Mapping[str, frozenset[str]]
    """By the name of a report, the files of `files` that it speaks of."""
    strangers: tuple[str, ...]
    """Paths of reports that are no file of the repository, or that could be several."""
    doubts: tuple[str, ...]
    """Reports whose own percentage is another than their lines give, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of several files ran."""

    covered: int
    all: int

    @property
    def percent(self) -> float:
        """0 to 100; 0 of nothing."""
        return 100 * self.covered / self.all if self.all else 0.0

    def __str__(self) -> str:
        return f"{self.percent:.1f}% ({self.covered} of {self.all})"


def measure(reports: Sequence[Coverage], code: Code) -> Measured:
    """Join the reports by file: what ran in one of them ran."""
    files: dict[str, FileCoverage] = {}
    with_branches: set[str] = set()
    by_report: dict[str, frozenset[str]] = {}
    strangers: list[str] = []
    for report in reports:
        places = located((file.path for file in report.files), report.origin.file, code.all)
        counts_branches = report.counts == "statements" or any(file.branches for file in report.files)
        for file in report.files:
            path = places.get(file.path)
            if path is None:
                strangers.append(file.path)
            elif path in code.sources:
                files[path] = joined(files[path], file) if path in files else replace(file, path=path)
                with_branches.update((path,) if counts_branches else ())
        own = frozenset(path for path in places.values() if path in code.sources)
        by_report[report.origin.file] = by_report.get(report.origin.file, frozenset()) | own
    return Measured(
        files=files,
        without_branches=frozenset(files.keys() - with_branches),
        reports=by_report,
        strangers=tuple(dict.fromkeys(strangers)),
        doubts=tuple(doubt for report in reports for doubt in _doubts(report)),
    )


def joined(one: FileCoverage, other: FileCoverage) -> FileCoverage:
    """The same file in two reports: the union of lines where both name them, else what the better one saw."""
    covered, missed = _lines(one.covered) | _lines(other.covered), _lines(one.missed) | _lines(other.missed)
    are_named = all(file.covered or file.missed or not file.lines for file in (one, other))
    better = max(one, other, key=lambda file: (file.lines_covered, -file.lines))
    branches = max(one, other, key=lambda file: (file.branches_covered, file.branches))
    functions = max(one, other, key=lambda file: (file.functions_covered, file.functions))
    return replace(
        one,
        lines=len(covered | missed) if are_named else max(one.lines, other.lines),
        lines_covered=len(covered) if are_named else better.lines_covered,
        branches=max(one.branches, other.branches),
        branches_covered=branches.branches_covered,
        functions=max(one.functions, other.functions),
        functions_covered=functions.functions_covered,
        missed_functions=tuple(name for name in one.missed_functions if name in other.missed_functions),
        covered=_spans(covered) if are_named else better.covered,
        missed=_spans(missed - covered) if are_named else better.missed,
        ignored_lines=max(one.ignored_lines, other.ignored_lines),
    )


def lines_of(files: Iterable[FileCoverage], unseen: int = 0) -> Share:
    """Lines that ran, of all and of `unseen` ones that no report speaks of."""
    listed = tuple(files)
    return Share(covered=sum(file.lines_covered for file in listed), all=sum(file.lines for file in listed) + unseen)


def branches_of(files: Iterable[FileCoverage]) -> Share:
    """Branches that were taken, of all."""
    listed = tuple(files)
    return Share(covered=sum(file.branches_covered for file in listed), all=sum(file.branches for file in listed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutants:
    """What tests noticed of changes to some files."""

    killed: int
    tried: int
    """Those that no test reaches among them."""
    pending: int

    @property
    def percent(self) -> float | None:
        """0 to 100; None where nothing was tried, or the run did not end."""
        return 100 * self.killed / self.tried if self.tried and not self.pending else None


def mutants_of(reports: Sequence[MutationReport], paths: frozenset[str], code: Code) -> Mutants:
    """The mutants of `paths`, and of whole runs of tools that count no files."""
    found: list[FileMutants] = []
    for report in reports:
        places = located((file.path for file in report.files if file.path), report.origin.file, code.all)
        found.extend(file for file in report.files if not file.path or places.get(file.path) in paths)
    return Mutants(
        killed=sum(file.killed for file in found),
        tried=sum(file.killed + file.survived + file.uncovered for file in found),
        pending=sum(file.pending for file in found),
    )


def _doubts(report: Coverage) -> Iterable[str]:
    counted = lines_of(report.files)
    if report.stated_percent is not None and counted.all and abs(report.stated_percent - counted.percent) > 0.1:
        yield f"{report.origin.file} says {report.stated_percent:.1f}%, its lines give {counted}"


def _lines(spans: Iterable[Span]) -> set[int]:
    return {line for first, last in spans for line in range(first, last + 1)}


def _spans(lines: Iterable[int]) -> tuple[Span, ...]:
    return tuple((line, line) for line in sorted(lines))
