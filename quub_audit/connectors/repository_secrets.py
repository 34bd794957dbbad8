"""Secrets in a working tree and its history: what the scanner finds, sealed, weighed and put in order.

What has not changed is not scanned again: commits of the history, and files of the tree by a hash of their content.
The cache keeps no value, only the places where anything was found: each value is read from there again, since it is
sealed anew in each run. What only the scanner can read, such as an encoded value, is scanned anew.
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
from quub_audit.connectors.repository_cache import HistoryCache, ScannedFiles, ScannedHistory, TreeCache
from quub_audit.connectors.repository_files import MAX_TEXT_BYTES, Inside, Listed, Tree, chunks, read_bytes
from quub_audit.connectors.repository_places import Content, Place, hit_at, place_of
from quub_audit.connectors.repository_scanner import Hit, Report, Scanner, scanner_path
from quub_audit.connectors.repository_search import is_not_production
from quub_audit.errors import Reportable
from quub_audit.facts.code import LeakedSecret, SecretScan
from quub_audit.facts.seal import Fingerprint, Sealer
from quub_audit.model.environment import Repository
from quub_audit.model.finding import Location

T = TypeVar("T")

COMMITS_PER_SCAN = 2000
"""Commits that one call of the scanner names; they stand in one argument."""

PLACES_PER_SCAN = 500
"""Places that one call of the scanner names; they stand in its arguments."""

FILES_PER_SCAN = 20
"""Files that are scanned one by one; the scanner takes some 20 ms for each, and less for a whole tree of more."""

MAX_NAMED_BYTES = 80_000
"""Longest list of paths in an argument of the scanner; Linux allows 128 KiB for one."""

MAX_READ_BYTES = 32 * 1024 * 1024
"""Most that is read to find known values again; what lies beyond is scanned anew."""

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
        return cls(
            HistoryCache(folder, identity=str(checkout.common_dir), boundary=checkout.boundary),
            TreeCache(folder, identity=str(root)),
        )


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
    """What stands in the files of the tree; those that were scanned before are not scanned again."""
    pruned = view.ignored_folders if view else tuple
    label = str(repository)
    if cache is None:
        return scanner.scan_tree(tree.root, pruned=pruned(), label=label)
    inside = Inside(tree.root)
    digests = {listed.name: digest_of(inside, listed) for listed in tree.files}
    before = cache.load() or ScannedFiles(places={}, tool="")
    known = {
        listed.name: hits
        for listed in tree.files
        if (hits := _hits_again(inside, listed, digests[listed.name], before)) is not None
    }
    changed = [listed for listed in tree.files if listed.name not in known]
    again = [hit for hits in known.values() for hit in hits]
    if before.tool and not changed:
        return Report(tuple(again), before.tool)
    if before.tool and len(changed) <= FILES_PER_SCAN and all(is_sayable(listed.name) for listed in changed):
        report = scanner.scan_files(tree.root, [listed.name for listed in changed], label=label)
    else:
        report = scanner.scan_tree(tree.root, pruned=pruned(), label=label)
        known, again, changed = {}, [], list(tree.files)
    places = {digests[name]: before.places[digests[name]] for name in known}
    found = by_path(report.hits)
    for listed in changed:
        digest = digests[listed.name]
        placed = _placed_in_file(inside, listed, digest, found.get(scanner_path(listed.name), ()))
        if placed is not None:
            places[digest] = placed
    cache.save(ScannedFiles(places=places, tool=report.tool))
    return Report((*again, *report.hits), report.tool)


def digest_of(inside: Inside, listed: Listed) -> str:
    """A hash over path and content; empty for a file that cannot be read."""
    seconds_left(QUESTION_TIMEOUT_S)
    try:
        return _digest(listed, chunks(inside, listed))
    except OSError:
        return ""


def _digest(listed: Listed, content: Iterable[bytes]) -> str:
    digest = hashlib.sha256(os.fsencode(listed.name) + b"\0")
    for chunk in content:
        digest.update(chunk)
    return digest.hexdigest()[:32]


def _content_of(inside: Inside, listed: Listed, digest: str) -> Content | None:
    """A file as it was when `digest` was made; None where it is not, or is too large."""
    try:
        content = read_bytes(inside.root, listed, MAX_READ_BYTES, listed.name, inside=inside)
    except Reportable:
        return None
    return Content(content) if _digest(listed, (content,)) == digest else None


def _hits_again(inside: Inside, listed: Listed, digest: str, before: ScannedFiles) -> Sequence[Hit] | None:
    """What an earlier run found in a file; None where only the scanner can tell."""
    places = before.places.get(digest)
    if places is None:
        return None
    if not places:
        return ()
    content = _content_of(inside, listed, digest)
    hits = [hit for place in places if content and (hit := hit_at(place, content))]
    return hits if len(hits) == len(places) else None


def _placed_in_file(inside: Inside, listed: Listed, digest: str, hits: Sequence[Hit]) -> tuple[Place, ...] | None:
    """Places of all that was found; None where they do not tell it all, or the file changed under the scan."""
    if not hits:
        return () if digest and digest_of(inside, listed) == digest else None
    content = _content_of(inside, listed, digest)
    places = tuple(place_of(hit, content) for hit in hits)
    return places if all(place.length for place in places) else None


def by_path(hits: Iterable[Hit]) -> Mapping[str, Sequence[Hit]]:
    """Hits of each file."""
    found: dict[str, list[Hit]] = {}
    for hit in hits:
        found.setdefault(hit.path, []).append(hit)
    return found


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
    history = _History(order, view, scanner, label=str(repository))
    before = cache.load() if cache else None
    since = history.scan_since(before) if before else None
    if since is None:
        options = f"--all --max-count={depth}" if is_cut else ""
        placed = history.scan(options, is_remembered=cache is not None)
    else:
        placed = since
    if cache and (before is None or since is None or before.commits != order.keys()):
        places = tuple({place for place, _ in placed})
        cache.save(ScannedHistory(commits=frozenset(order), places=places))
    return Found(tuple(hit for _, hit in placed), order, is_cut)


Placed = list[tuple[Place, Hit]]


@dataclass(frozen=True, slots=True)
class _History:
    """Scans commits of one history, and finds again what was found in them before."""

    order: Mapping[str, int]
    view: View
    scanner: Scanner
    label: str

    def scan(self, options: str, *, is_remembered: bool = True) -> Placed:
        """Commits that `options` of git log choose. Nothing is read for a place that nobody will remember."""
        report = self.scanner.scan_history(self.view.folder, options=options, label=self.label)
        hits = [hit for hit in report.hits if hit.commit in self.order]
        contents = self._contents(hits) if is_remembered else {}
        return [(place_of(hit, contents.get(_name(hit))), hit) for hit in hits]

    def scan_since(self, before: ScannedHistory) -> Placed | None:
        """Commits that are new, and of the old ones just the places that held something.

        None when one of them does not now, so that what was remembered cannot be right.
        """
        wanted = [place for place in before.places if place.commit in self.order]
        contents = self._contents(place for place in wanted if place.length)
        placed: Placed = []
        left: dict[tuple[str, str, int, str], Place] = {}
        for place in wanted:
            content = contents.get(_name(place))
            hit = hit_at(place, content) if content else None
            if hit:
                placed.append((place, hit))
            else:
                left[place.spot] = place
        again = self._scan_places(left.values())
        if {place.spot for place, _ in again} != left.keys():
            return None
        new = [commit for commit in self.order if commit not in before.commits]
        for start in range(0, len(new), COMMITS_PER_SCAN):
            again += self.scan(f"--no-walk=unsorted {' '.join(new[start : start + COMMITS_PER_SCAN])}")
        return placed + again

    def _scan_places(self, places: Iterable[Place]) -> Placed:
        wanted = {place.spot for place in places}
        # A path alone is shown in full where the whole commit would have shown a file that moved: keep what is wanted.
        return [
            (place, hit)
            for options in _options(sorted(places))
            for place, hit in self.scan(options)
            if place.spot in wanted
        ]

    def _contents(self, spots: Iterable[Hit | Place]) -> Mapping[str, Content]:
        names = {_name(spot) for spot in spots if is_sayable(spot.path)}
        held = self.view.contents(names, max_bytes=MAX_READ_BYTES)
        return {name: Content(content) for name, content in held.items()}


def _name(spot: Hit | Place) -> str:
    """What git calls the file as it was in the commit."""
    return f"{spot.commit}:{spot.path}"


def _options(places: Sequence[Place]) -> Iterator[str]:
    """Options of git log that choose the commits and files of `places`, as many at once as an argument may hold."""
    for start in range(0, len(places), PLACES_PER_SCAN):
        chosen = places[start : start + PLACES_PER_SCAN]
        commits = " ".join(dict.fromkeys(place.commit for place in chosen))
        paths = sorted({place.path for place in chosen})
        named = " ".join(map(shlex.quote, paths))
        files = f" -- {named}" if all(map(is_sayable, paths)) and len(named.encode()) < MAX_NAMED_BYTES else ""
        yield f"--no-walk=unsorted {commits}{files}"


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
        if path in self._excluded:
            return "the environment excludes the file"
        return sample_reason(hit, path, fingerprint)


def sample_reason(hit: Hit, path: str, fingerprint: Fingerprint) -> str:
    """Why a value in the file at `path` is a sample, or an empty text."""
    if DOCUMENTED.search(hit.value):
        return "an example of the vendor's documentation"
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
