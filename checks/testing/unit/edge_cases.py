"""Tests of critical code try what is seldom: both sides of each condition, and values at the edges.

Pass          of each critical path `min_branches_percent` of the branches ran and tests noticed `min_mutants_percent` of the changes to it; or each of its modules has property tests and `min_branches_with_properties_percent` of the branches ran
Fail          fewer branches ran, or tests noticed fewer changes
Inconclusive  environments.yaml names no critical path; of one no coverage is declared, or its branches were not measured, or a mutation tester did not end; it was measured neither by a mutation tester nor are there property tests; reports are older than `max_age_days` or of another commit; names of tests alone show nothing
Error         a glob of a critical path matches no code; a report or the checkout cannot be read
Needs         the reports, and a checkout of the code
Source        the guide, Testing; NIST SP 800-218, PW.8
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from quub_audit.checks.testing.unit._code import CodeParameters, package_of, repository_named
from quub_audit.checks.testing.unit._measured import Share, branches_of, lines_of
from quub_audit.checks.testing.unit.critical_paths import Seen, judge_mutants, look, no_code, undeclared
from quub_audit.sdk import (
    Artifacts,
    CriticalPath,
    Environment,
    Finding,
    Pattern,
    Repositories,
    check,
    cut,
)

PROPERTIES = (
    Pattern(
        name="property",
        languages=("javascript", "typescript", "tsx"),
        rule=r"""
kind: call_expression
any:
  - pattern: fc.assert($$$ARGUMENTS)
  - regex: ^(test|it)\.prop\b
""",
    ),
    Pattern(
        name="property",
        languages=("python",),
        rule=r"""
kind: decorator
regex: ^@(hypothesis\.|st\.)?given\b
""",
    ),
    Pattern(
        name="property",
        languages=("go",),
        rule=r"""
kind: call_expression
regex: ^(\w+\.Fuzz|quick\.Check|rapid\.Check)\(
""",
    ),
    Pattern(
        name="property",
        languages=("java",),
        rule=r"""
any:
  - kind: annotation
  - kind: marker_annotation
regex: ^@(Property|ForAll)\b
""",
    ),
)
"""Tests that try values that nobody wrote down: fast-check, Hypothesis, Go's fuzzing, quick and rapid, jqwik."""


class EdgeParameters(CodeParameters):
    """What the checklist may set under `with:`."""

    min_branches_percent: float = Field(default=70, gt=0, le=100)
    """Percent of the branches of a path that have to be taken at least. House rule."""

    min_branches_with_properties_percent: float = Field(default=80, gt=0, le=100)
    """The same where property tests stand in for a mutation tester. House rule."""

    min_mutants_percent: float = Field(default=60, gt=0, le=100)
    """Percent of the changes that tests have to notice. House rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """One critical path, and which of its modules have property tests."""

    path: Seen
    with_properties: frozenset[str]


@check("Tests of critical code try its edges", each=CriticalPath)
def path(
    subject: CriticalPath,
    artifacts: Artifacts,
    repositories: Repositories,
    environment: Environment,
    wanted: EdgeParameters,
) -> Iterator[Finding]:
    """One finding for its branches, one for its mutants."""
    seen = look(subject, artifacts, repositories, environment, wanted)
    if seen is not None:
        tests = _property_tests(subject, repositories, environment)
        covered = frozenset(covered_by(seen.paths, tests, seen.code.packages))
        yield from judge(Edges(path=seen, with_properties=covered), wanted)


def _property_tests(path: CriticalPath, repositories: Repositories, environment: Environment) -> Mapping[str, str]:
    """The text of each file that holds one, by path."""
    repository = repository_named(path.repository, environment)
    if repository is None:
        return {}
    found = repositories.search(repository, patterns=PROPERTIES, is_production_only=False)
    return {file: repositories.read(repository, file).text for file in sorted({m.location.file for m in found.matches})}


def covered_by(paths: Iterable[str], tests: Mapping[str, str], packages: Sequence[str] = ("",)) -> Iterator[str]:
    """Those of `paths` that a property test imports, or, in Go and Java, stands beside or names.

    A test is about its own package and those below it: another one may have a module of the same name.
    """
    for path in paths:
        folder, _, name = path.rpartition("/")
        stem = name.partition(".")[0]
        if stem in ("index", "__init__", "mod"):
            stem = folder.rpartition("/")[2]
        imports = re.compile(rf"^.*\b(?:import|from|require|use)\b.*\b{re.escape(stem)}\b", re.MULTILINE)
        for test, text in tests.items():
            package = package_of(test, packages)
            if package and not path.startswith(f"{package}/"):
                continue
            if path.endswith(".go"):
                is_about = test.rpartition("/")[0] == folder
            elif path.endswith((".java", ".kt")):
                is_about = re.search(rf"\b{re.escape(stem)}\b", text) is not None
            else:
                is_about = bool(stem) and imports.search(text) is not None
            if is_about:
                yield path
                break


def judge(edges: Edges, wanted: EdgeParameters) -> Iterator[Finding]:
    """What was measured is judged each by itself; what takes a measurement that is not there is undecided."""
    seen = edges.path
    yield from (no_code(seen, glob) for glob, paths in seen.by_glob.items() if not paths)
    is_tried = seen.mutants.percent is not None
    modules = [path for path in seen.paths if _holds_code(path, seen)]
    without = [path for path in modules if path not in edges.with_properties]
    has_properties = bool(modules) and not without
    share = _branches(modules, seen)
    if seen.measured is None:
        yield undeclared(seen, "coverage")
    elif share is None:
        yield Finding.undecided(
            subject=seen.name,
            observed="its branches were not measured",
            next_step="have the tool measure branches: `--cov-branch`, `branch: true`",
        )
    else:
        by_properties = has_properties and not is_tried
        least = wanted.min_branches_with_properties_percent if by_properties else wanted.min_branches_percent
        beside = ", and every module has property tests" if by_properties else ""
        yield Finding.of(
            share.percent >= least,
            subject=seen.name,
            observed=f"{share} of the branches ran{beside}",
            expected=f"{least:g}% or more",
        )
    yield from judge_mutants(seen, wanted.min_mutants_percent)
    if not is_tried and not has_properties and not seen.mutants.pending:
        yield Finding.undecided(
            subject=seen.name,
            observed=f"no mutation tester was run, and no property test is about {cut(without) or 'its code'}",
            expected="one of both",
            next_step="declare what a mutation tester wrote, or write property tests of each module",
        )


def _holds_code(path: str, seen: Seen) -> bool:
    file = seen.measured.files.get(path) if seen.measured else None
    return path in seen.unseen or (file is not None and file.lines > 0)


def _branches(modules: Sequence[str], seen: Seen) -> Share | None:
    """Of code without branches its lines; lines that no report speaks of count as not taken. None if not measured."""
    if seen.measured is None or any(path in seen.measured.without_branches for path in modules):
        return None
    files = [seen.measured.files[path] for path in modules if path in seen.measured.files]
    found = branches_of(files) if branches_of(files).all else lines_of(files)
    whole = found.all + sum(seen.unseen.values())
    return Share(covered=found.covered, all=whole) if whole else None
