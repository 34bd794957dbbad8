"""Which files a repository holds, and what stands in one.

In a checkout git decides: tracked files, and untracked ones that no `.gitignore` names; those of checked-out submodules
too. In a plain folder its `.gitignore` files are followed in the same way. Links are never followed, and nothing
outside the folder is opened. What others wrote or a machine made is left out: see `VENDORED` and `GENERATED`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from pathspec import GitIgnoreSpec

from quub_audit.connectors.base import QUESTION_TIMEOUT_S, seconds_left
from quub_audit.connectors.git import Checkout, View, find_checkout
from quub_audit.errors import Absent, Denied, Malformed
from quub_audit.facts.code import CodeFile
from quub_audit.model.environment import Repository

MAX_FILES = 200_000
"""A folder with more is no service's repository: most likely something that git should ignore."""

MAX_TEXT_BYTES = 1024 * 1024
"""Largest file that is read as text."""

HEAD_BYTES = 8000
"""What is looked at to tell text from other content, as git does."""

MAX_SUBMODULE_DEPTH = 4

VENDORED = frozenset(
    {
        ".next",
        ".nuxt",
        ".svelte-kit",
        ".terraform",
        ".venv",
        ".yarn",
        "__pycache__",
        "bower_components",
        "coverage",
        "dist",
        "jspm_packages",
        "node_modules",
        "Pods",
        "site-packages",
        "third_party",
        "vendor",
        "venv",
    }
)
"""Folders, at any depth, of code that others wrote or that a build made."""

GENERATED_NAMES = re.compile(r"\.(min|bundle)\.(js|mjs|cjs|css)$|\.(js|mjs|cjs|css)\.map$|\.pb\.go$|_pb2(_grpc)?\.py$")

GENERATED = re.compile(
    rb"^\s*(//|#|/\*|\*|--|<!--|;)?.{0,40}(Code generated .{0,200}DO NOT EDIT|@generated\b|<auto-?generated)",
    re.MULTILINE,
)
"""What generators write at the top of a file, in a comment."""

_GENERATED_WITHIN_BYTES = 1024
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One file, and whether it counts as the service's own."""

    file: CodeFile
    name: str
    """Its path in the folder as the operating system knows it; differs from `file.path` where it is not UTF-8."""
    is_left_out: bool
    """Vendored, generated or excluded by the environment."""
    is_excluded: bool
    """By the environment."""


class Tree:
    """The files of one repository at one moment, by path."""

    def __init__(self, root: Path, files: tuple[Listed, ...]) -> None:
        self.root = root
        self.files = files
        self._by_path: Mapping[str, Listed] = {listed.file.path: listed for listed in files}

    def find(self, path: str) -> Listed | None:
        """The file at `path`, spelled as in `CodeFile.path`."""
        return self._by_path.get(path)

    def own(self, globs: tuple[str, ...] = ("**",)) -> Iterator[Listed]:
        """The service's own files that match one of `globs` (gitignore syntax), by path."""
        matches = matcher(globs)
        return (listed for listed in self.files if not listed.is_left_out and matches(listed.file.path))


def list_tree(repository: Repository, view: View | None, open_view: Callable[[Checkout], View]) -> Tree:
    """Every file of the working tree. `view` is None for a folder without git; `open_view` is for submodules.

    Raises Absent, Denied, Malformed (more than `MAX_FILES`), TimedOut.
    """
    root = Path(repository.path).resolve()
    names = dict(_walk_git(view, open_view, "", 0) if view else _walk_plain(root))
    if len(names) > MAX_FILES:
        raise Malformed(
            f"{repository}: {root} holds more than {MAX_FILES} files",
            next_step="let .gitignore name what is no source, or audit a folder further down",
        )
    try:
        is_excluded = matcher(repository.exclude)
    except ValueError as error:
        raise Malformed(f"{repository}: exclude holds what is no glob: {error}") from error
    inside = Inside(root)
    found = (_look_at(inside, name, is_tracked, is_excluded) for name, is_tracked in sorted(names.items()))
    return Tree(root, tuple(sorted((listed for listed in found if listed), key=lambda listed: listed.file.path)))


def read_text(repository: Repository, tree: Tree, path: str) -> str:
    """The whole of one file. Raises Absent, Denied, Malformed (no text, more than `MAX_TEXT_BYTES`)."""
    listed = tree.find(path)
    if listed is None:
        raise Absent(f"{repository}:{path} is no file of the repository")
    return decode(read_bytes(tree.root, listed, MAX_TEXT_BYTES, f"{repository}:{path}"), f"{repository}:{path}")


def read_bytes(root: Path, listed: Listed, max_bytes: int, label: str, *, inside: Inside | None = None) -> bytes:
    """The content of a listed file; `inside` knows the folders of others that are read at about the same time.

    Raises Absent (gone, or a link by now), Denied, Malformed (too large).
    """
    if not (inside or Inside(root)).holds(listed.name):
        raise Absent(f"{label} is reached through a link")
    try:
        with _open(f"{root}/{listed.name}") as stream:
            content = stream.read(max_bytes + 1)
    except PermissionError as error:
        raise Denied(f"{label} may not be read by the user that runs the audit") from error
    except OSError as error:
        raise Absent(f"{label} cannot be opened: {error.strerror}") from error
    if len(content) > max_bytes:
        raise Malformed(f"{label} is too large: more than {max_bytes // 1024} KiB")
    return content


def chunks(inside: Inside, listed: Listed) -> Iterator[bytes]:
    """The content of a listed file, piece by piece. Raises OSError, also for what is a link by now."""
    if not inside.holds(listed.name):
        raise FileNotFoundError(listed.name)
    with _open(inside.root / listed.name) as stream:
        while chunk := stream.read(1 << 20):
            yield chunk


def decode(content: bytes, label: str) -> str:
    """Content as text: UTF-8, UTF-16 with its mark, or else Latin-1. Raises Malformed for what is no text."""
    if is_binary(content[:HEAD_BYTES]):
        raise Malformed(f"{label} is no text")
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("latin-1")


def is_binary(head: bytes) -> bool:
    """Whether a file that begins so is no text: it holds a zero byte and is not UTF-16."""
    return b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))


@lru_cache(maxsize=256)
def matcher(globs: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a path matches one of `globs`, in gitignore syntax. Raises ValueError for a glob that is none."""
    if "**" in globs:
        return lambda path: True
    return GitIgnoreSpec.from_lines(globs).match_file


def _open(path: Path | str) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


class Inside:
    """Tells paths whose folders are no links from those that lead elsewhere; each folder is looked at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, bool] = {"": True}

    @property
    def root(self) -> Path:
        """The folder that they should be in."""
        return self._root

    def holds(self, name: str) -> bool:
        """Whether no folder on the way to `name` is a link."""
        return self._is_plain(name.rpartition("/")[0])

    def _is_plain(self, folder: str) -> bool:
        known = self._known.get(folder)
        if known is None:
            known = self._is_plain(folder.rpartition("/")[0]) and _is_folder(self._root / folder)
            self._known[folder] = known
        return known


def _is_folder(path: Path) -> bool:
    """False for a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _look_at(inside: Inside, name: str, is_tracked: bool, is_excluded: Callable[[str], bool]) -> Listed | None:
    """None for what is no regular file below the root: links, submodules, devices, files that are gone."""
    seconds_left(QUESTION_TIMEOUT_S)
    if not inside.holds(name) or ".." in name.split("/"):
        return None
    path = f"{inside.root}/{name}"  # a Path for each of many files would cost as much as looking at it
    try:
        about = os.lstat(path)
        if not stat.S_ISREG(about.st_mode):
            return None
        with _open(path) as stream:
            head = stream.read(HEAD_BYTES)
    except FileNotFoundError:
        return None
    except OSError:
        head = b""
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    was_excluded = is_excluded(shown)
    return Listed(
        file=CodeFile(path=shown, size_bytes=about.st_size, is_tracked=is_tracked, is_binary=is_binary(head)),
        name=name,
        is_left_out=was_excluded or is_vendored(shown) or is_generated(shown, head),
        is_excluded=was_excluded,
    )


def is_vendored(path: str) -> bool:
    """Whether a file lies in a folder of code that others wrote or a build made."""
    return not VENDORED.isdisjoint(path.split("/")[:-1])


def is_generated(path: str, head: bytes) -> bool:
    """Whether a file was made by a program, by its name or by what it says at its top."""
    top = head[:_GENERATED_WITHIN_BYTES]
    return bool(GENERATED_NAMES.search(path) or (b"generated" in top and GENERATED.search(top)))


def _walk_git(view: View, open_view: Callable[[Checkout], View], below: str, depth: int) -> Iterator[tuple[str, bool]]:
    """Names and whether git tracks them; submodules in their places."""
    for entry in _split(view.run("ls-files", "-z", "--stage", in_tree=True)):
        about, _, name = entry.partition("\t")
        if not about.startswith("160000 "):
            yield below + name, True
        elif depth < MAX_SUBMODULE_DEPTH:
            yield from _walk_submodule(view, open_view, below, name, depth)
    for name in _split(view.run("ls-files", "-z", "--others", "--exclude-standard", in_tree=True)):
        yield below + name, False


def _walk_submodule(
    view: View, open_view: Callable[[Checkout], View], below: str, name: str, depth: int
) -> Iterator[tuple[str, bool]]:
    """Nothing where the submodule is not checked out."""
    folder = view.checkout.top / view.checkout.prefix / name
    if folder.is_symlink() or not (folder / ".git").exists():
        return
    inner = find_checkout(folder)
    if inner is not None and inner.top == folder:
        yield from _walk_git(open_view(inner), open_view, f"{below}{name}/", depth + 1)


def _split(output: bytes) -> Iterator[str]:
    return (os.fsdecode(entry) for entry in output.split(b"\0") if entry)


def _walk_plain(root: Path) -> Iterator[tuple[str, bool]]:
    """A folder without git: what no `.gitignore` in it names."""
    waiting: list[tuple[str, tuple[tuple[str, GitIgnoreSpec], ...]]] = [("", ())]
    seen = 0
    while waiting:
        below, specs = waiting.pop()
        try:
            entries = list(os.scandir(root / below))
        except PermissionError as error:
            raise Denied(f"{root / below} may not be read by the user that runs the audit") from error
        except FileNotFoundError:
            continue
        rules = [entry for entry in entries if entry.name == ".gitignore" and entry.is_file(follow_symlinks=False)]
        specs += tuple((below, _read_rules(Path(entry.path))) for entry in rules)
        for entry in entries:
            name = below + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name == ".git" or _is_ignored(name + "/" * is_folder, specs):
                continue
            if is_folder:
                waiting.append((f"{name}/", specs))
            else:
                seen += 1
                yield name, False
        if seen > MAX_FILES:
            return


def _read_rules(file: Path) -> GitIgnoreSpec:
    try:
        with _open(file) as stream:
            text = stream.read(MAX_TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        text = ""
    return GitIgnoreSpec.from_lines(line for line in text.splitlines() if _is_rule(line))


def _is_rule(line: str) -> bool:
    """Git passes over a line that is no pattern."""
    try:
        GitIgnoreSpec.from_lines((line,))
    except ValueError:
        return False
    return True


def _is_ignored(name: str, specs: tuple[tuple[str, GitIgnoreSpec], ...]) -> bool:
    """The innermost `.gitignore` that says anything decides."""
    shown = os.fsencode(name).decode("utf-8", "replace")
    for below, spec in reversed(specs):
        decided = spec.check_file(shown[len(os.fsencode(below).decode("utf-8", "replace")) :]).include
        if decided is not None:
            return decided
    return False
