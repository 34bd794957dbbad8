"""Secrets in a working tree and its history: what the scanner finds, sealed, weighed and put in order.

A history that has not changed is not scanned again. The cache keeps no value, only which commits were scanned and at
which places they held anything: those few are scanned anew each time, since a value is sealed only when it is read.
In the same way a file of the tree in which nothing was found is not scanned again until its content changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from quub_audit.connectors.base import QUESTION_TIMEOUT_S, seconds_left
from quub_audit.connectors.git import Checkout, View
from quub_audit.connectors.repository_cache import CleanFiles, HistoryCache, Place, Scanned, TreeCache
from quub_audit.connectors.repository_files import MAX_TEXT_BYTES, Listed, Tree, chunks, read_bytes
from quub_audit.connectors.repository_scanner import Hit, Report, Scanner, scanner_path
from quub_audit.connectors.repository_search import is_not_production
from quub_audit.errors import Reportable
from quub_audit.facts.code import LeakedSecret, SecretScan
from quub_audit.facts.seal import Fingerprint, Sealer
from quub_audit.model.environment import Repository
from quub_audit.model.finding import Location

T = TypeVar("T")

PLACES_PER_SCAN = 500
"""Places that one call of the scanner names; they stand in its arguments."""

FILES_PER_SCAN = 20
"""Files that are scanned one by one; the scanner takes some 20 ms for each, and less for a whole tree of more."""

MAX_NAMED_BYTES = 80_000
"""Longest list of paths in an argument of the scanner; Linux allows 128 KiB for one."""

IGNORE_FILES = (".betterleaksignore", ".gitleaksignore")
"""Where a team lists what was looked at and found harmless: hashes of values, or places."""

GENERIC_RULES = re.compile(r"^(generic-|hashicorp-tf-password|curl-auth|jwt)")
"""Rules that go by a name or a form that many harmless things have."""

SAMPLE_NAMES = re.compile(r"(?i)[._-](example|sample|template|dist)(\.[^/.]*)?$")
"""Names of files that are there to be copied and filled in."""

DOCUMENTED = re.compile(
    r"EXAMPLE(KEY)?$|^AKIAIOSFODNN7|^(ASIA|AKIA)I44QH8DHB|^sk_test_(4eC39HqLyjWDarjtT1zdp7dc|BQokikJOvBiI2HlWgH4olfQ2)"
    r"|^eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwi"
)
"""Values that vendors print in their documentation: AWS, Stripe, jwt.io."""


@dataclass(frozen=True, slots=True)
class Found:
    """All hits of a history, and how much of it they come from."""

    hits: tuple[Hit, ...]
    order: Mapping[str, int]
    """Commits that were looked at, the newest is 0."""
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Caches:
    """What earlier runs saw of a repository."""

    history: HistoryCache
    tree: TreeCache

    @classmethod
    def below(cls, folder: Path, *, checkout: Checkout, root: Path) -> Caches:
        """Those of one repository in the cache folder."""
        return cls(HistoryCache(folder, identity=str(checkout.common_dir)), TreeCache(folder, identity=str(root)))


NOTHING = Found((), {}, is_cut=False)


class Beside(Generic[T]):
    """Work in a thread of its own, under the deadline of the caller's check."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._errors.append(error)

    def wait(self) -> None:
        """Until it ends; what it runs ends by the deadline."""
        self._thread.join()

    def result(self) -> T:
        """What the work returned; raises what it raised."""
        self.wait()
        for error in self._errors:
            raise error
        return self._results[0]


def scan_secrets(
    repository: Repository,
    tree: Tree,
    view: View | None,
    *,
    scanner: Scanner,
    sealer: Sealer,
    caches: Caches | None,
) -> SecretScan:
    """Scan tree and history side by side. Raises Malformed, TimedOut, Unsupported when either is not complete."""
    beside = Beside(
        lambda: scan_history(repository, view, scanner, caches.history if caches else None) if view else NOTHING
    )
    try:
        report = scan_tree(repository, tree, view, scanner, caches.tree if caches else None)
    finally:
        beside.wait()
    found = beside.result()
    prefix = view.checkout.prefix if view else ""
    shown = {scanner_path(listed.name): listed.file.path for listed in tree.files}
    weigh = _Weigher(sealer, tree)
    secrets = [
        *weigh.weigh(_by_place(report.hits, shown), path_of=lambda hit: shown[hit.path]),
        *weigh.weigh(_newest_first(found, prefix), path_of=lambda hit: hit.path.removeprefix(prefix)),
    ]
    return SecretScan(
        secrets=tuple(secrets),
        files_scanned=sum(not listed.file.is_binary for listed in tree.files),
        commits_scanned=len(found.order),
        is_shallow=view is not None and view.checkout.is_shallow,
        is_history_cut=found.is_cut,
        tool=report.tool,
    )


def scan_tree(
    repository: Repository, tree: Tree, view: View | None, scanner: Scanner, cache: TreeCache | None
) -> Report:
    """What stands in the files of the tree; those in which nothing was found before are not scanned again."""
    label = str(repository)
    if cache is None:
        return scanner.scan_tree(tree.root, pruned=view.ignored_folders() if view else (), label=label)
    digests = {listed.name: digest_of(tree.root, listed) for listed in tree.files}
    before = cache.load()
    changed = [name for name, digest in digests.items() if before is None or digest not in before.digests]
    if before is not None and not changed:
        return Report((), before.tool)
    if len(changed) <= FILES_PER_SCAN and all(map(is_sayable, changed)):
        report = scanner.scan_files(tree.root, changed, label=label)
    else:
        report = scanner.scan_tree(tree.root, pruned=view.ignored_folders() if view else (), label=label)
    leaky = {hit.path for hit in report.hits}
    clean = frozenset(digest for name, digest in digests.items() if digest and scanner_path(name) not in leaky)
    cache.save(CleanFiles(digests=clean, tool=report.tool))
    return report


def digest_of(root: Path, listed: Listed) -> str:
    """A hash over path and content; empty for a file that cannot be read."""
    seconds_left(QUESTION_TIMEOUT_S)
    digest = hashlib.sha256(os.fsencode(listed.name) + b"\0")
    try:
        for chunk in chunks(root, listed):
            digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()[:32]


def is_sayable(path: str) -> bool:
    """Whether a path may stand in an argument of the scanner."""
    return path.isprintable() and "\N{REPLACEMENT CHARACTER}" not in path


def scan_history(repository: Repository, view: View, scanner: Scanner, cache: HistoryCache | None) -> Found:
    """What stands in the newest `history_depth` commits of all branches and tags."""
    depth = repository.history_depth
    commits = view.commits(at_most=depth + 1)
    is_cut = len(commits) > depth
    order = {commit: position for position, commit in enumerate(commits[:depth])}
    if not order:
        return Found((), order, is_cut=False)
    before = cache.load(depth=depth, is_known=order.__contains__) if cache else None
    hits = _scan_again(before, order, scanner, view, repository) if before else None
    if before is None or hits is None:
        options = f"--all --max-count={depth}" if is_cut else ""
        hits = scanner.scan_history(view.folder, options=options, label=str(repository)).hits
    else:
        hits += _scan_new(before, view, scanner, repository)
    hits = tuple(hit for hit in hits if hit.commit in order)
    if cache:
        places = tuple(sorted({place_of(hit) for hit in hits}))
        cache.save(Scanned(depth=depth, is_cut=is_cut, tips=view.tips(), places=places))
    return Found(hits, order, is_cut)


def place_of(hit: Hit) -> Place:
    """What the cache remembers of a hit."""
    return Place(hit.commit, hit.path, hit.line, hit.rule)


def _scan_again(
    before: Scanned, order: Mapping[str, int], scanner: Scanner, view: View, repository: Repository
) -> tuple[Hit, ...] | None:
    """Just the places that held something; None when one of them does not now, so that the cache cannot be right."""
    wanted = {place for place in before.places if place.commit in order}
    hits: list[Hit] = []
    for options in _options(sorted(wanted)):
        hits.extend(scanner.scan_history(view.folder, options=options, label=str(repository)).hits)
    # A path alone is shown in full where the whole commit would have shown a file that moved: keep what is wanted.
    hits = [hit for hit in hits if place_of(hit) in wanted]
    return tuple(hits) if {place_of(hit) for hit in hits} == wanted else None


def _options(places: Sequence[Place]) -> Iterator[str]:
    """Options of git log that choose the commits and files of `places`, as many at once as an argument may hold."""
    for start in range(0, len(places), PLACES_PER_SCAN):
        chosen = places[start : start + PLACES_PER_SCAN]
        commits = " ".join(dict.fromkeys(place.commit for place in chosen))
        paths = sorted({place.path for place in chosen})
        named = " ".join(map(shlex.quote, paths))
        files = f" -- {named}" if all(map(is_sayable, paths)) and len(named.encode()) < MAX_NAMED_BYTES else ""
        yield f"--no-walk=unsorted {commits}{files}"


def _scan_new(before: Scanned, view: View, scanner: Scanner, repository: Repository) -> tuple[Hit, ...]:
    """Commits that came since."""
    old = " ".join(before.tips)
    if not view.has_commits_beside(before.tips):
        return ()
    options = f"--all --max-count={repository.history_depth} --not {old}"
    return scanner.scan_history(view.folder, options=options, label=str(repository)).hits


def _by_place(hits: Iterable[Hit], shown: Mapping[str, str]) -> list[Hit]:
    """Hits in files that are in the list of the tree: not those that git ignores."""
    listed = (hit for hit in hits if hit.path in shown)
    return sorted(listed, key=lambda hit: (shown[hit.path], hit.line, hit.column, hit.rule))


def _newest_first(found: Found, prefix: str) -> list[Hit]:
    inside = (hit for hit in found.hits if hit.path.startswith(prefix))
    return sorted(inside, key=lambda hit: (found.order[hit.commit], hit.path, hit.line, hit.column, hit.rule))


class _Weigher:
    """Seals hits, each value once per file and rule, and tells samples from the rest."""

    def __init__(self, sealer: Sealer, tree: Tree) -> None:
        self._sealer = sealer
        self._allowed = _Allowed.read(tree)
        self._excluded = frozenset(listed.file.path for listed in tree.files if listed.is_excluded)
        self._seen: set[tuple[str, str, str]] = set()

    def weigh(self, hits: Sequence[Hit], path_of: Callable[[Hit], str]) -> Iterator[LeakedSecret]:
        """Secrets in the order of `hits`."""
        named = {(path_of(hit), hit.value) for hit in hits if not GENERIC_RULES.match(hit.rule)}
        for hit in hits:
            path = path_of(hit)
            fingerprint = self._sealer.seal(hit.value)
            key = (path, hit.rule, fingerprint.digest)
            is_said_better = bool(GENERIC_RULES.match(hit.rule)) and (path, hit.value) in named
            if key in self._seen or is_said_better:
                continue
            self._seen.add(key)
            reason = self._sample_reason(hit, path, fingerprint)
            yield LeakedSecret(
                rule=hit.rule,
                description=self._sealer.redactor.clean(hit.description),
                location=Location(file=path, line=hit.line, column=hit.column, commit=hit.commit or None),
                fingerprint=fingerprint,
                is_in_tree=not hit.commit,
                is_sample=bool(reason),
                sample_reason=reason,
            )

    def _sample_reason(self, hit: Hit, path: str, fingerprint: Fingerprint) -> str:
        reason = self._allowed.reason_for(hit, path)
        if reason:
            return reason
        if DOCUMENTED.search(hit.value):
            return "an example of the vendor's documentation"
        if path in self._excluded:
            return "the environment excludes the file"
        is_weak = hit.confidence != "high" or hit.rule == "private-key" or bool(fingerprint.markers)
        if is_weak and (is_not_production(path) or SAMPLE_NAMES.search(path)):
            return "a fixture of a test, an example or documentation"
        return ""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What the repository's own ignore files list."""

    entries: Mapping[str, str]
    """A hash of a value, `file:rule:line` or `commit:file:rule:line`, and the file that lists it."""

    @classmethod
    def read(cls, tree: Tree) -> _Allowed:
        entries: dict[str, str] = {}
        for name in IGNORE_FILES:
            listed = tree.find(name)
            if listed is None:
                continue
            try:
                text = read_bytes(tree.root, listed, MAX_TEXT_BYTES, name).decode("utf-8", "replace")
            except Reportable:
                continue
            lines = (line.partition(" #")[0].strip() for line in text.splitlines())
            entries.update((line, name) for line in lines if line and not line.startswith("#"))
        return cls(entries)

    def reason_for(self, hit: Hit, path: str) -> str:
        if not self.entries:
            return ""
        digest = hashlib.sha256(hit.value.encode("utf-8", "surrogatepass")).hexdigest()
        place = f"{path}:{hit.rule}:{hit.line}"
        for entry in (digest, place, f"{hit.commit}:{place}"):
            if entry in self.entries:
                return f"listed in {self.entries[entry]}"
        return ""
