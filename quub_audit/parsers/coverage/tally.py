"""What the readers of coverage share: one source file, gathered from wherever a report speaks of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import islice

from quub_audit.facts.artifacts import FileCoverage, Span

MAX_MISSED_FUNCTIONS = 100


class Tally:
    """Each line, branch and function of a source file once: what ran anywhere ran."""

    def __init__(self) -> None:
        self._lines: dict[int, bool] = {}
        self._branches: dict[Hashable, tuple[int, int]] = {}
        self._functions: dict[Hashable, tuple[str, bool]] = {}
        self.ignored_lines = 0

    def add_line(self, number: int, *, ran: bool) -> None:
        """Line `number`, counted from 1."""
        self._lines[number] = self._lines.get(number, False) or ran

    def add_branches(self, key: Hashable, covered: int, total: int = 1) -> None:
        """The branches of one place; of two reports of it, the one that saw more counts."""
        before, before_total = self._branches.get(key, (0, 0))
        self._branches[key] = (max(before, min(covered, total)), max(before_total, total))

    def add_function(self, key: Hashable, name: str, *, ran: bool) -> None:
        """A function, by whatever tells it from others of its name."""
        self._functions[key] = (name, ran or self._functions.get(key, ("", False))[1])

    def as_file(self, path: str) -> FileCoverage:
        """What was gathered, of the file at `path`."""
        ran = [number for number, has_run in self._lines.items() if has_run]
        missed = (name for name, has_run in self._functions.values() if not has_run)
        return FileCoverage(
            path=path,
            lines=len(self._lines),
            lines_covered=len(ran),
            branches=sum(total for _, total in self._branches.values()),
            branches_covered=sum(covered for covered, _ in self._branches.values()),
            functions=len(self._functions),
            functions_covered=sum(has_run for _, has_run in self._functions.values()),
            missed_functions=tuple(islice(missed, MAX_MISSED_FUNCTIONS)),
            covered=spans(ran),
            missed=spans(number for number, has_run in self._lines.items() if not has_run),
            ignored_lines=self.ignored_lines,
        )


class Tallies(dict[str, Tally]):
    """Source files by path as the report has it, forward slashes."""

    def __missing__(self, path: str) -> Tally:
        self[path] = Tally()
        return self[path]

    def of(self, path: str) -> Tally:
        """The file at `path`, in whatever way it is written."""
        return self[cleaned(path)]

    def as_files(self) -> tuple[FileCoverage, ...]:
        """By path."""
        return tuple(self[path].as_file(path) for path in sorted(self))


def cleaned(path: str) -> str:
    """With forward slashes, and none of `./` in front."""
    return path.strip().replace("\\", "/").removeprefix("./")


def spans(numbers: Iterable[int]) -> tuple[Span, ...]:
    """Lines as runs of lines that follow one another."""
    found: list[Span] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)


def percent(covered: int, total: int) -> float | None:
    """Of 100; None of nothing."""
    return 100 * covered / total if total else None
