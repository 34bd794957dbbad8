"""Files that a pipeline made: found on this machine or where CI keeps them, read by their content, dated, bound to a
commit.

Each is read once, whatever is asked of it. Whether it is fresh enough depends on who asks, and is decided each time.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.children import Children
from quub_audit.connectors.found_files import BROKEN, FoundFile, NotRead, find_files, is_packed, open_regular, unpacked
from quub_audit.errors import Absent, Malformed, Reportable, Stale
from quub_audit.facts.artifacts import (
    Coverage,
    Dating,
    Experiment,
    Freshness,
    Leaks,
    LoadRun,
    MutationReport,
    Origin,
    Report,
    Scan,
    TestReport,
)
from quub_audit.facts.seal import Sealer
from quub_audit.model.environment import Artifact, credentials_of
from quub_audit.parsers.source import HEAD_BYTES, Source

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far in the future a report may have been made: clocks of build machines differ."""

MAX_UNPACKED_BYTES = 8 << 30
"""Of a compressed file; a report is less."""

R = TypeVar("R", bound=Report)

_COMMIT_IN_NAME = re.compile(r"(?<![0-9a-f])([0-9a-f]{40}|[0-9a-f]{64})(?![0-9a-f])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One file of an artifact, wherever it is kept."""

    name: str
    """As a person finds it."""
    open: Callable[[], BinaryIO]
    """The stream from its beginning, packed as it is. Raises NotRead, OSError."""
    made_at: datetime
    dated_by: Dating
    commit: str = ""
    """Of the run that made it, where CI says so."""


Store = Callable[[Artifact, str], AbstractContextManager[tuple[Kept, ...]]]
"""Finds the files of an artifact, by the commit that they have to be of; they can be opened until the context ends.

Raises Absent when there are none, Malformed, TimedOut, and what CI answers.
"""


def by_commit(artifact: Artifact, commit: str) -> AbstractContextManager[tuple[Kept, ...]]:
    """The store of CI. Raises Absent where the audited commit is not known, by which everything is found there."""
    from quub_audit.connectors.artifacts_github import kept_by_github
    from quub_audit.connectors.artifacts_gitlab import kept_by_gitlab

    if artifact.pipeline is None:
        raise ValueError(f"{artifact} is kept on this machine")
    if not commit:
        raise Absent(f"{artifact}: the audited commit is not known", next_step="give --commit")
    kept_by = {"github": kept_by_github, "gitlab": kept_by_gitlab}[artifact.pipeline.provider]
    return kept_by(artifact, artifact.pipeline, commit)


def on_this_machine(dated: Callable[[Path], datetime | None]) -> Store:
    """The store of files on disk. `dated` says when git brought a file, None for one that it does not know."""

    def kept(file: FoundFile) -> Kept:
        # A file that git brought has the time of the checkout, which says nothing of its age.
        committed_at = dated(file.path)
        return Kept(
            name=str(file.path),
            open=lambda: _opened(file),
            made_at=committed_at or datetime.fromtimestamp(file.modified_at, UTC),
            dated_by="history" if committed_at else "file",
        )

    @contextmanager
    def find(artifact: Artifact, commit: str) -> Iterator[tuple[Kept, ...]]:
        yield tuple(kept(file) for file in find_files(artifact.files, target=str(artifact), key="files"))

    return find


class ArtifactsConnector:
    """Implements `quub_audit.facts.asking.Artifacts`. `at` is the time of the audit; `close` ends what was started.

    `commit_of` says which commit an artifact has to be of (empty when nobody knows), `store_of` where it is kept.
    """

    def __init__(
        self,
        artifacts: Iterable[Artifact],
        ledger: Ledger,
        sealer: Sealer,
        *,
        at: datetime,
        commit_of: Callable[[Artifact], str],
        store_of: Callable[[Artifact], Store],
    ) -> None:
        self._ledger = ledger
        self._sealer = sealer
        self._children = Children()
        self._at = at
        self._commit_of = commit_of
        self._store_of = store_of
        for artifact in artifacts:
            for credential in credentials_of(artifact):
                sealer.redactor.add(credential)

    def tests(self, artifact: Artifact, *, fresh: Freshness) -> tuple[TestReport, ...]:
        """Results of tests, as `Artifacts` promises them."""
        from quub_audit.parsers import tests

        return self._reports(artifact, "test results", tests.read, fresh)

    def coverage(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Coverage, ...]:
        """Coverage, as `Artifacts` promises it."""
        from quub_audit.parsers import coverage

        return self._reports(artifact, "coverage", coverage.read, fresh)

    def load(self, artifact: Artifact, *, fresh: Freshness) -> tuple[LoadRun, ...]:
        """Runs of load generators, as `Artifacts` promises them."""
        from quub_audit.parsers import load

        return self._reports(artifact, "load tests", load.read, fresh)

    def scans(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Scan, ...]:
        """Runs of scanners, as `Artifacts` promises them."""
        from quub_audit.parsers import scans

        return self._reports(artifact, "scans", scans.read, fresh)

    def mutation(self, artifact: Artifact, *, fresh: Freshness) -> tuple[MutationReport, ...]:
        """Runs of mutation testers, as `Artifacts` promises them."""
        from quub_audit.parsers import mutation

        return self._reports(artifact, "mutation testing", mutation.read, fresh)

    def experiments(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Experiment, ...]:
        """Chaos experiments, as `Artifacts` promises them."""
        from quub_audit.parsers import chaos

        return self._reports(artifact, "chaos experiments", chaos.read, fresh)

    def leaks(self, artifact: Artifact, *, fresh: Freshness) -> tuple[Leaks, ...]:
        """Credentials in the files themselves, as `Artifacts` promises them."""
        from quub_audit.connectors.artifacts_leaks import read_leaks
        from quub_audit.connectors.git import plain_environ
        from quub_audit.connectors.repository_scanner import Scanner

        read = partial(read_leaks, scanner=Scanner(self._children, plain_environ()), sealer=self._sealer)
        return self._reports(artifact, "leaks", read, fresh)

    def close(self) -> None:
        """End the scanner where it still runs."""
        self._children.close()

    def _reports(
        self, artifact: Artifact, what: str, read: Callable[[Source], tuple[R, ...]], fresh: Freshness
    ) -> tuple[R, ...]:
        try:
            return self._ask(artifact, what, read, fresh)
        except Reportable as error:
            error.about = str(artifact)
            raise

    def _ask(
        self, artifact: Artifact, what: str, read: Callable[[Source], tuple[R, ...]], fresh: Freshness
    ) -> tuple[R, ...]:
        def find() -> tuple[R, ...]:
            with self._store_of(artifact)(artifact, self._commit_of(artifact)) as files:
                return tuple(_completed(report, kept, artifact) for kept in files for report in _read(kept, read))

        try:
            reports = self._ledger.ask(Question.about("artifacts", artifact.name, what, {"of": artifact.files}), find)
        except Absent as error:
            raise Stale(error.message, next_step=error.next_step) from error
        commit = self._commit_of(artifact) if fresh.is_of_commit else ""
        for report in reports:
            self._require_fresh(f"{artifact}: {report.origin.file}", report.origin, fresh, commit)
        return reports

    def _require_fresh(self, where: str, origin: Origin, fresh: Freshness, commit: str) -> None:
        if fresh.is_of_commit:
            if not commit:
                raise Stale(f"{where}: the audited commit is not known", next_step="give --commit")
            if not origin.commit:
                raise Stale(
                    f"{where} does not say of which commit it is, expected {commit[:12]}",
                    next_step="set `commit` of the artifact to the variable in which the pipeline has it",
                )
            if not (commit.startswith(origin.commit) or origin.commit.startswith(commit)):
                raise Stale(
                    f"{where} is of commit {origin.commit[:12]}, expected {commit[:12]}",
                    next_step="run the pipeline for the commit that is released",
                )
        if origin.produced_at is None:
            raise Stale(f"{where} does not say when it was made")
        age = self._at - origin.produced_at
        if age < -MAX_CLOCK_SKEW:
            raise Stale(f"{where} was made in the future, at {origin.produced_at:%Y-%m-%d %H:%M} UTC")
        if age > timedelta(days=fresh.max_age_days):
            days = age / timedelta(days=1)
            raise Stale(
                f"{where} is {days:.1f} days old, expected {fresh.max_age_days:g} or less",
                next_step="run it again",
            )


def _read(kept: Kept, read: Callable[[Source], tuple[R, ...]]) -> tuple[R, ...]:
    seconds_left()
    with _reading(kept.name):
        with _unpacked(kept) as stream:
            head = stream.read(HEAD_BYTES)
        return read(Source(name=kept.name, open=lambda: _unpacked(kept), head=head))


def _completed(report: R, kept: Kept, artifact: Artifact) -> R:
    """The report with what its store knows of its origin, where it says nothing itself."""
    in_name = _COMMIT_IN_NAME.search(kept.name)
    origin = replace(
        report.origin,
        commit=(report.origin.commit or kept.commit or (in_name[1] if in_name else "") or artifact.commit).lower(),
    )
    if origin.produced_at is None:
        origin = replace(origin, produced_at=kept.made_at, dated_by=kept.dated_by)
    return replace(report, origin=origin)


def _opened(file: FoundFile) -> BinaryIO:
    if file.refusal:
        raise NotRead(file.refusal)
    return cast("BinaryIO", open_regular(file.path))


def _unpacked(kept: Kept) -> BinaryIO:
    raw = kept.open()
    head = raw.read(6)
    raw.seek(0)
    return cast("BinaryIO", io.BufferedReader(_Bounded(raw, head, kept.name))) if is_packed(head) else raw


class _Bounded(io.RawIOBase):
    """A stream that ends with an error where a bomb would go on."""

    def __init__(self, raw: BinaryIO, head: bytes, name: str) -> None:
        self._raw = raw
        self._stream = unpacked(raw, head)
        self._name = name
        self._left = MAX_UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise Malformed(f"{self._name}: it unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB")
        return count

    def close(self) -> None:
        self._stream.close()
        self._raw.close()
        super().close()


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Whatever the disk or a compressed stream comes up with, in words."""
    try:
        yield
    except (NotRead, OSError, *BROKEN, zipfile.BadZipFile) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Malformed(f"{name} cannot be read: {words}") from error
