"""Repositories: files, structural search, secrets, configuration and the commit that is checked out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.children import Children
from quub_audit.connectors.git import Checkout, View, find_checkout, plain_environ
from quub_audit.connectors.repository_assignments import find_assignments
from quub_audit.connectors.repository_files import Tree, list_tree, matcher, read_bytes, read_text
from quub_audit.connectors.repository_scanner import Scanner
from quub_audit.connectors.repository_search import Searcher, check_rule, is_not_production
from quub_audit.connectors.repository_secrets import Caches, scan_secrets
from quub_audit.errors import Absent, Reportable, TimedOut
from quub_audit.facts.code import Assignments, CodeFile, Head, Pattern, Search, SecretScan, Text
from quub_audit.facts.seal import Sealer
from quub_audit.model.environment import Repository

T = TypeVar("T")


class RepositoryConnector:
    """Implements `quub_audit.facts.asking.Repositories`. Built without I/O; `close` ends what it started.

    Nothing of a repository is run or changed, and its git settings are never read: see `quub_audit.connectors.git`.
    """

    def __init__(self, ledger: Ledger, sealer: Sealer, *, cache_dir: Path | None = None) -> None:
        self._ledger = ledger
        self._sealer = sealer
        self._cache_dir = cache_dir
        self._children = Children()
        self._searcher = Searcher(self._children, sealer.redactor)
        self._views: dict[Path, View] = {}
        self._trees: dict[Repository, Tree] = {}
        self._lock = threading.RLock()

    def head(self, repository: Repository) -> Head:
        """The checked-out commit, whether tracked files differ from it, and whether the history was cut.

        Raises Absent when the folder does not exist, Denied, Malformed (a broken checkout), Unsupported (no git, a
        bare repository), TimedOut.
        """
        return self._ask(repository, "head", lambda: self._find_head(repository))

    def files(self, repository: Repository, *, globs: tuple[str, ...] = ("**",)) -> tuple[CodeFile, ...]:
        """Files that match one of `globs` (gitignore syntax), by path; raises as `head`, ValueError for a bad glob.

        Vendored and generated code, and what the environment excludes, is left out: see `repository_files`. A path
        that is not UTF-8 is spelled with an escape for each such byte.
        """
        matcher(globs)

        def find() -> tuple[CodeFile, ...]:
            files = (listed.file for listed in self._tree(repository).own(globs))
            return tuple(replace(file, is_production=not is_not_production(file.path)) for file in files)

        return self._ask(repository, "files", find, globs=globs)

    def read(self, repository: Repository, path: str) -> Text:
        """One file of the working tree as text, known secrets struck; raises as `head`.

        Absent is also what is no regular file below the repository: a link, or a path that leads out of it. Malformed
        is what is no text or larger than 1 MiB.
        """

        def find() -> Text:
            text = read_text(repository, self._tree(repository), path)
            return Text(path=path, text=self._sealer.redactor.clean(text))

        return self._ask(repository, "read", find, path=path)

    def search(
        self, repository: Repository, *, patterns: tuple[Pattern, ...], is_production_only: bool = True
    ) -> Search:
        """Every match of `patterns`, by place; raises as `head`, and ValueError for a rule that is none.

        Literals that are given to something named like a secret are struck even where nothing else knows them yet.
        """
        for pattern in patterns:
            check_rule(pattern)
        asked = [[pattern.name, list(pattern.languages), pattern.rule] for pattern in patterns]
        return self._ask(
            repository,
            "search",
            lambda: self._searcher.search(
                repository, self._tree(repository), patterns, is_production_only=is_production_only
            ),
            patterns=asked,
            is_production_only=is_production_only,
        )

    def secrets(self, repository: Repository) -> SecretScan:
        """Secrets in the tree (vendored and excluded files too) and in the history of all branches and tags.

        Raises as `head`. A scan that is not complete raises Malformed, TimedOut or Unsupported: it is never clean.
        """
        return self._ask(repository, "secrets", lambda: self._find_secrets(repository))

    def assignments(self, repository: Repository, *, names: str) -> Assignments:
        """Names that match `names` and are given a value in configuration files, by place; raises as `head`.

        Raises ValueError when `names` is no regular expression.
        """
        return self._ask(
            repository,
            "assignments",
            lambda: find_assignments(repository, self._tree(repository), names, self._sealer),
            names=names,
        )

    def content(self, repository: Repository, path: str, *, at_most: int) -> bytes:
        """One file as it is, for connectors that read it; raises as `read`, Malformed beyond `at_most` bytes."""
        tree = self._tree(repository)
        listed = tree.find(path)
        if listed is None:
            raise Absent(f"{repository}: there is no file {path}")
        return read_bytes(tree.root, listed, at_most, f"{repository}:{path}")

    def close(self) -> None:
        """End git and the scanner where they still run, and remove the folders of links."""
        self._children.close()
        with self._lock:
            views = list(self._views.values())
            self._views.clear()
        for view in views:
            view.close()

    def _ask(self, repository: Repository, name: str, find: Callable[[], T], **arguments: object) -> T:
        question = Question.about("repository", repository.name, name, arguments or None)
        return self._ledger.ask(question, find)

    def _find_head(self, repository: Repository) -> Head:
        view = self._view_of(repository)
        if view is None:
            return Head(commit="", is_git=False)
        commit = view.commit()
        return Head(commit=commit, is_dirty=bool(commit) and view.is_dirty(), is_shallow=view.checkout.is_shallow)

    def _find_secrets(self, repository: Repository) -> SecretScan:
        view = self._view_of(repository)
        tree = self._tree(repository)
        caches = None
        if view is not None and self._cache_dir is not None:
            caches = Caches.below(self._cache_dir, checkout=view.checkout, root=tree.root)
        return scan_secrets(
            repository,
            tree,
            view,
            scanner=Scanner(self._children, view.environ if view else plain_environ()),
            sealer=self._sealer,
            caches=caches,
        )

    def _tree(self, repository: Repository) -> Tree:
        """Listed once per run; others wait for the one that lists."""
        with self._alone():
            if repository not in self._trees:
                self._trees[repository] = list_tree(repository, self._view_of(repository), self._open_view)
            return self._trees[repository]

    def committed_at(self, path: Path) -> datetime | None:
        """When git brought the file at `path` as it is; None where it did not, or cannot tell."""
        try:
            checkout = find_checkout(path.parent)
            return self._open_view(checkout).committed_at(path.resolve()) if checkout else None
        except (Reportable, ValueError):
            return None

    def _view_of(self, repository: Repository) -> View | None:
        checkout = find_checkout(Path(repository.path))
        return self._open_view(checkout) if checkout is not None else None

    def _open_view(self, checkout: Checkout) -> View:
        with self._alone():
            key = checkout.top / checkout.prefix
            if key not in self._views:
                self._views[key] = View(checkout, self._children)
            return self._views[key]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread at a time; the others wait no longer than their deadlines let them."""
        if not self._lock.acquire(timeout=seconds_left(at_most=3600)):
            raise TimedOut("the repository was still being listed for another check")
        try:
            yield
        finally:
            self._lock.release()
