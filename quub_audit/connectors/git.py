"""Git, asked about a checkout that nobody vouches for.

Git is never shown the checkout's own settings. For each checkout a folder of links is made, the *view*: its objects,
references and shallow boundary, beside a configuration of ours. So no hook, filter, file system monitor, external
diff, text conversion, include, promisor remote or replaced object of a hostile checkout can take part, whatever names
git gives to such things in future. Since git is told where everything is, it does not ask who owns it either: a
checkout of another user in a CI container is read like any other.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from quub_audit.connectors.children import Children, Done
from quub_audit.connectors.scratch import Scratch
from quub_audit.errors import Absent, Denied, Malformed, Unsupported

GIT_TIMEOUT_S = 120.0
"""Longest time for one command of git where no deadline is nearer."""

KEPT_SETTINGS = (
    "core.autocrlf",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.symlinks",
    "extensions.objectformat",
    "extensions.refstorage",
)
"""Settings of a checkout that say how its files are to be understood; taken over where their value is one word."""

_LINKED = ("objects", "refs", "packed-refs", "reftable", "shallow")
_MAX_POINTER_BYTES = 4096
_BLOB = re.compile(r"([0-9a-f]{40,64}) blob ([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """Where the parts of one checkout are, as the files below `.git` say."""

    top: Path
    """The root of the working tree, without links."""
    prefix: str
    """The audited folder below it, with forward slashes and a slash at the end; empty for the whole tree."""
    git_dir: Path
    common_dir: Path
    """Where objects and references are; another folder than `git_dir` in a linked working tree."""

    @property
    def is_shallow(self) -> bool:
        """Whether the history was cut when it was cloned."""
        boundary = self.common_dir / "shallow"
        return boundary.is_file() and boundary.stat().st_size > 0

    @property
    def boundary(self) -> str:
        """A hash of where the history was cut; empty for a whole one."""
        if not self.is_shallow:
            return ""
        with (self.common_dir / "shallow").open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def find_checkout(folder: Path) -> Checkout | None:
    """The checkout that holds `folder`; None when there is none. Runs nothing.

    Raises Absent when there is no such folder, Denied when it may not be entered, Unsupported for a bare repository.
    """
    try:
        root = folder.resolve(strict=True)
        if not root.is_dir():
            raise Absent(f"{folder} is no folder", next_step="correct the path of the repository")
        next(root.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Absent(f"{folder} does not exist", next_step="correct the path of the repository") from error
    except PermissionError as error:
        raise Denied(f"{folder} may not be read by the user that runs the audit") from error
    except (OSError, RuntimeError) as error:
        raise Absent(f"{folder} cannot be opened: {error}") from error
    if _is_git_dir(root):
        raise Unsupported(
            f"{folder} is a bare repository and has no working tree", next_step="give the path of a checkout"
        )
    for top in (root, *root.parents):
        git_dir = _git_dir_of(top)
        if git_dir is not None:
            prefix = root.relative_to(top).as_posix()
            return Checkout(
                top=top,
                prefix="" if prefix == "." else f"{prefix}/",
                git_dir=git_dir,
                common_dir=_common_dir_of(git_dir),
            )
    return None


def _git_dir_of(top: Path) -> Path | None:
    """What `.git` in `top` is or points to."""
    entry = top / ".git"
    if entry.is_dir():
        return entry if _is_git_dir(entry) else None
    if not entry.is_file():
        return None
    said = _pointer(entry)
    if not said.startswith("gitdir:"):
        return None
    git_dir = (top / said.removeprefix("gitdir:").strip()).resolve()
    if not (git_dir / "HEAD").is_file():
        raise Malformed(f"{entry} points to {git_dir}, which is no git folder", next_step="clone the repository again")
    return git_dir


def _is_git_dir(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "config").is_file()


def _common_dir_of(git_dir: Path) -> Path:
    pointer = git_dir / "commondir"
    return (git_dir / _pointer(pointer)).resolve() if pointer.is_file() else git_dir


def _pointer(file: Path) -> str:
    with file.open("rb") as stream:
        return os.fsdecode(stream.read(_MAX_POINTER_BYTES)).strip()


def search_path() -> str:
    """The folders of PATH, without relative ones: a checkout must not lend its programs."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).is_absolute())


def find_git() -> str:
    """The path of git. Raises Unsupported when it is not installed."""
    found = shutil.which("git", path=search_path())
    if found is None:
        raise Unsupported("git is not installed, and the repository cannot be read without it", next_step="install git")
    return found


def plain_environ() -> Mapping[str, str]:
    """What programs see of the user's environment: where programs are, and where temporary files go.

    Home is a place where nothing can be made, by root either: a scanner would leave its cache there.
    """
    return {"PATH": search_path(), "HOME": os.devnull, "TMPDIR": tempfile.gettempdir(), "LC_ALL": "C"}


def _lines(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")


def _batch(output: bytes) -> Iterator[tuple[str, bytes]]:
    """Hash and content of each object that `git cat-file --batch` told."""
    start = 0
    while start < len(output):
        end = output.index(b"\n", start)
        name, _, size = output[start:end].decode().split(" ")
        start = end + 1 + int(size)
        yield name, output[end + 1 : start]
        start += 1


class View:
    """Git on one checkout, through a folder of links and settings of ours. `close` removes the folder."""

    def __init__(self, checkout: Checkout, children: Children) -> None:
        self.checkout = checkout
        self._children = children
        self._git = find_git()
        self._scratch = Scratch("git")
        self.folder = self._scratch.path
        try:
            self._build()
        except OSError as error:
            self.close()
            raise Malformed(f"the git folder of {checkout.top} cannot be read: {error}") from error
        except BaseException:
            self.close()
            raise

    @property
    def environ(self) -> Mapping[str, str]:
        """The whole environment of git, and of programs that start it."""
        return {
            **plain_environ(),
            "HOME": str(self.folder),
            "GIT_DIR": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_PAGER": "cat",
        }

    def run(
        self, *arguments: str, in_tree: bool = False, given: bytes = b"", timeout_s: float = GIT_TIMEOUT_S
    ) -> bytes:
        """What git says. With `in_tree` it sees the index and the working tree, and runs in the audited folder.

        `given` is its input. Raises Malformed when git refuses, TimedOut, Unsupported.
        """
        done = self._run(arguments, in_tree=in_tree, given=given, timeout_s=timeout_s)
        if done.code:
            raise self._failed(arguments[0], done)
        return done.output

    def _run(self, arguments: Sequence[str], *, in_tree: bool, given: bytes = b"", timeout_s: float) -> Done:
        checkout = self.checkout
        environ = dict(self.environ)
        if in_tree:
            environ |= {"GIT_WORK_TREE": str(checkout.top), "GIT_INDEX_FILE": str(checkout.git_dir / "index")}
        return self._children.run(
            [self._git, "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", *arguments],
            folder=checkout.top / checkout.prefix if in_tree else self.folder,
            environ=environ,
            label=f"git {arguments[0]} in {checkout.top}",
            given=given,
            timeout_s=timeout_s,
        )

    def _failed(self, command: str, done: Done) -> Malformed:
        return Malformed(
            f"git {command} in {self.checkout.top} failed: {done.said or f'exit code {done.code}'}",
            next_step="run git fsck in the checkout, or clone it again",
        )

    def commit(self) -> str:
        """The full hash of what is checked out; empty when there is no commit yet."""
        done = self._run(("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), in_tree=False, timeout_s=GIT_TIMEOUT_S)
        if done.code > 1:
            raise self._failed("rev-parse", done)
        return done.output.decode().strip()

    def is_dirty(self) -> bool:
        """Whether a tracked file differs from the commit. Submodules count by their commit alone."""
        options = ("--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames")
        return bool(self.run("status", *options, in_tree=True))

    def committed_at(self, path: Path) -> datetime | None:
        """When the file came to be as it is, in UTC, by the newest commit that touched it.

        None for a file that no commit holds as it is: an untracked, an ignored or a changed one. Raises ValueError for
        a file outside the audited folder.
        """
        name = path.relative_to(self.checkout.top / self.checkout.prefix).as_posix()
        if self.run("status", "--porcelain", "-z", "--ignored", "--", name, in_tree=True):
            return None
        said = self.run("log", "-1", "--format=%ct", "--", name, in_tree=True).decode().strip()
        return datetime.fromtimestamp(int(said), UTC) if said else None

    def commits(self, *, at_most: int) -> tuple[str, ...]:
        """Commits of every branch and tag, and of what is checked out, newest first."""
        return tuple(self.run("rev-list", "--all", f"--max-count={at_most}").decode().split())

    def contents(self, names: Iterable[str], *, max_bytes: int) -> Mapping[str, bytes]:
        """What files of commits hold, each named `commit:path`; as many as make up `max_bytes`, the small ones first.

        Left out is what git does not have, and a name that is no line of text. Raises as `run`.
        """
        asked = sorted({name for name in names if name.isprintable()})
        if not asked:
            return {}
        form = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
        said = self.run("cat-file", form, given=_lines(asked)).decode("utf-8", "replace").splitlines()
        about = (_BLOB.fullmatch(line) for line in said)
        named = {name: (int(blob[2]), blob[1]) for name, blob in zip(asked, about, strict=True) if blob}
        chosen: list[str] = []
        for size, blob in sorted(set(named.values())):
            max_bytes -= size
            if max_bytes < 0:
                break
            chosen.append(blob)
        held = dict(_batch(self.run("cat-file", "--batch", given=_lines(chosen)))) if chosen else {}
        return {name: held[blob] for name, (_, blob) in named.items() if blob in held}

    def ignored_folders(self) -> tuple[str, ...]:
        """Folders below the audited one that git ignores as a whole."""
        options = ("-z", "--others", "--ignored", "--exclude-standard", "--directory", "--no-empty-directory")
        entries = self.run("ls-files", *options, in_tree=True).split(b"\0")
        return tuple(os.fsdecode(entry) for entry in entries if entry.endswith(b"/"))

    def close(self) -> None:
        """Remove the folder of links; what they lead to stays."""
        self._scratch.close()

    def _build(self) -> None:
        checkout = self.checkout
        for name in _LINKED:
            source = checkout.common_dir / name
            if source.exists():
                (self.folder / name).symlink_to(source)
        for shared in checkout.git_dir.glob("sharedindex.*"):
            (self.folder / shared.name).symlink_to(shared)
        if not (self.folder / "refs").exists():
            (self.folder / "refs").mkdir()
        with (checkout.git_dir / "HEAD").open("rb") as head:
            (self.folder / "HEAD").write_bytes(head.read(_MAX_POINTER_BYTES))
        info = self.folder / "info"
        info.mkdir()
        (info / "attributes").write_text("* !diff !filter\n")
        exclude = checkout.common_dir / "info" / "exclude"
        if exclude.is_file():
            (info / "exclude").symlink_to(exclude)
        self._write_settings({})
        self._write_settings(self._kept_settings())

    def _kept_settings(self) -> Mapping[str, str]:
        file = self.checkout.common_dir / "config"
        if not file.is_file():
            return {}
        listed = self.run("config", "--file", str(file), "--no-includes", "--list", "-z").decode("utf-8", "replace")
        pairs = (entry.partition("\n") for entry in listed.split("\0"))
        return {
            name.lower(): value or "true"
            for name, _, value in pairs
            if name.lower() in KEPT_SETTINGS and re.fullmatch(r"[A-Za-z0-9]{0,16}", value)
        }

    def _write_settings(self, kept: Mapping[str, str]) -> None:
        version = int(any(name.startswith("extensions.") for name in kept))
        # Attributes of a commit could hide a file from the history (`* -diff`); this names no tree, so none are read.
        lines = ["[core]", f"repositoryformatversion = {version}", "bare = true", "[attr]", "tree = none"]
        for name, value in sorted(kept.items()):
            section, _, key = name.partition(".")
            lines += [f"[{section}]", f"{key} = {value}"]
        (self.folder / "config").write_text("\n".join(lines) + "\n")
