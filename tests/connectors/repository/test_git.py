"""Git on checkouts that nobody vouches for: what is checked out, and that nothing of theirs is run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from quub_audit.connectors.children import Children
from quub_audit.connectors.git import View, find_checkout, plain_environ
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.errors import Malformed
from quub_audit.facts.code import Head
from quub_audit.model.environment import Repository
from tests.connectors.repository.conftest import Connect
from tests.connectors.repository.corpus import Mint
from tests.worlds.checkout import Checkout

# What is checked out


def test_head_is_the_commit_that_is_checked_out(checkout: Checkout, connector: RepositoryConnector) -> None:
    assert connector.head(checkout.target) == Head(commit=checkout.git("rev-parse", "HEAD"))


def test_a_changed_tracked_file_makes_the_tree_dirty_and_a_new_file_does_not(
    checkout: Checkout, connect: Connect
) -> None:
    checkout.write({"new.ts": "1\n"})
    assert not connect().head(checkout.target).is_dirty

    checkout.write({"src/index.ts": "export const answer = 43;\n"})
    assert connect().head(checkout.target).is_dirty


def test_a_copied_checkout_with_other_times_is_not_dirty(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.git("config", "core.autocrlf", "true")
    checkout.write({"windows.txt": "one\r\ntwo\r\n"})
    checkout.commit({})
    os.utime(checkout.path / "windows.txt", (1, 1))
    os.utime(checkout.path / "README.md", (1, 1))

    assert not connector.head(checkout.target).is_dirty


def test_a_detached_head_is_known_by_its_commit(checkout: Checkout, connector: RepositoryConnector) -> None:
    first = checkout.git("rev-parse", "HEAD")
    checkout.commit({"a.ts": "1\n"})
    checkout.git("checkout", "--quiet", first)

    assert connector.head(checkout.target) == Head(commit=first)


def test_a_repository_without_commits_has_no_commit(tmp_path: Path, connector: RepositoryConnector) -> None:
    assert connector.head(Checkout(tmp_path / "new").init().target) == Head(commit="")


def test_files_of_commits_are_told_as_far_as_git_has_them_and_there_is_room(
    checkout: Checkout, children: Children
) -> None:
    names = {"small.ts": b"small\n", "empty": b"", "with space \u65e5.ts": b"\0\nabc", "large.ts": b"large" * 200}
    commit = checkout.commit(names)
    asked = [f"{commit}:{name}" for name in (*names, "missing.ts", "src", "two\nlines")]
    found = find_checkout(checkout.path)
    assert found
    view = View(found, children)

    try:
        assert view.contents(asked, max_bytes=2000) == {f"{commit}:{name}": held for name, held in names.items()}
        assert view.contents(asked, max_bytes=20).keys() == {f"{commit}:{name}" for name in names} - {asked[3]}
        assert view.contents([asked[4], f"{'f' * 40}:a"], max_bytes=2000) == {}
        assert view.contents([], max_bytes=2000) == {}
    finally:
        view.close()


def test_a_folder_without_git_says_so(tmp_path: Path, connector: RepositoryConnector) -> None:
    assert connector.head(Repository(name="x", path=str(tmp_path))) == Head(commit="", is_git=False)


def test_a_shallow_clone_says_so(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.commit({"a.ts": "1\n"})

    assert connector.head(checkout.shallow().target).is_shallow


def test_a_repository_with_longer_hashes_is_read(tmp_path: Path, connector: RepositoryConnector) -> None:
    longer = Checkout(tmp_path / "sha256")
    longer.path.mkdir()
    longer.git("init", "--quiet", "--object-format=sha256")
    commit = longer.commit({"a.ts": "1\n"})

    assert len(commit) == 64
    assert connector.head(longer.target).commit == commit
    assert [file.path for file in connector.files(longer.target)] == ["a.ts"]
    assert connector.secrets(longer.target).commits_scanned == 1


def test_packed_references_and_a_split_index_are_read(checkout: Checkout, connector: RepositoryConnector) -> None:
    commit = checkout.commit({"a.ts": "1\n"})
    checkout.git("pack-refs", "--all")
    checkout.git("gc", "--quiet")
    checkout.git("update-index", "--split-index")
    checkout.write({"b.ts": "1\n"})
    checkout.git("add", "b.ts")

    assert connector.head(checkout.target).commit == commit
    assert {file.path for file in connector.files(checkout.target) if file.is_tracked} >= {"a.ts", "b.ts"}


def test_a_checkout_of_another_user_is_read_all_the_same(checkout: Checkout, connector: RepositoryConnector) -> None:
    """As in a CI container; git on its own would refuse and ask for `safe.directory`."""
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    for path in (checkout.path, *checkout.path.rglob("*")):
        os.chown(path, 12345, 12345)

    assert connector.head(checkout.target).commit
    assert len(connector.files(checkout.target)) == 2


def test_a_broken_repository_is_malformed_with_what_git_said(
    checkout: Checkout, connector: RepositoryConnector
) -> None:
    (checkout.path / ".git/index").write_bytes(b"DIRC nonsense")

    with pytest.raises(Malformed, match=r"git ls-files in .* failed: .*index") as broken:
        connector.files(checkout.target)
    assert "git fsck" in broken.value.next_step


def test_a_git_file_that_points_nowhere_is_malformed(tmp_path: Path, connector: RepositoryConnector) -> None:
    (tmp_path / ".git").write_text("gitdir: /nonexistent/place\n")

    with pytest.raises(Malformed, match="which is no git folder"):
        connector.files(Repository(name="x", path=str(tmp_path)))


# Hostile checkouts


def armed(checkout: Checkout, tmp_path: Path) -> Path:
    """Arm everything in a checkout's settings with which git runs programs; the file that any of them would make."""
    trace = tmp_path / "was-run"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> {trace}\ncat "$@" 2>/dev/null\nexit 0\n')
    program.chmod(0o755)
    hooks = checkout.path / ".git/hooks"
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc"):
        (hooks / hook).write_text(program.read_text())
        (hooks / hook).chmod(0o755)
    included = checkout.path / ".git/more"
    included.write_text(f'[diff "armed"]\n\tcommand = {program}\n\ttextconv = {program}\n')
    settings = {
        "core.fsmonitor": str(program),
        "core.hooksPath": str(hooks),
        "core.sshCommand": str(program),
        "core.pager": str(program),
        "core.editor": str(program),
        "core.askPass": str(program),
        "core.gitProxy": str(program),
        "core.alternateRefsCommand": str(program),
        "pager.log": str(program),
        "pager.status": str(program),
        "diff.external": str(program),
        "diff.armed.textconv": str(program),
        "diff.armed.command": str(program),
        "filter.armed.clean": str(program),
        "filter.armed.smudge": str(program),
        "filter.armed.process": str(program),
        "filter.armed.required": "true",
        "credential.helper": f"!{program}",
        "gpg.program": str(program),
        "log.showSignature": "true",
        "uploadpack.packObjectsHook": str(program),
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "protocol.ext.allow": "always",
        "include.path": "more",
        "alias.ls-files": f"!{program}",
        "alias.log": f"!{program}",
    }
    for name, value in settings.items():
        checkout.git("config", name, value)
    checkout.write({".gitattributes": "* diff=armed filter=armed\n"})
    return trace


def test_nothing_that_a_hostile_checkout_configures_is_run(
    checkout: Checkout, connector: RepositoryConnector, tmp_path: Path, made_up: Mint
) -> None:
    value = made_up.github()
    checkout.commit({"src/a.ts": f'const token = "{value}";\n'})
    checkout.commit({"src/a.ts": "const token = 1;\n"})
    trace = armed(checkout, tmp_path)
    os.utime(checkout.path / "README.md", (1, 1))
    checkout.write({"src/index.ts": "changed, so that git must look at it\n"})

    head = connector.head(checkout.target)
    files = connector.files(checkout.target)
    scan = connector.secrets(checkout.target)

    assert not trace.exists(), trace.read_text()
    assert head.is_dirty
    assert {file.path for file in files} >= {"src/a.ts", ".gitattributes"}
    assert [(secret.location.file, secret.is_in_tree) for secret in scan.secrets] == [("src/a.ts", False)]


@pytest.mark.parametrize("attributes", ["* -diff\n", "*.ts binary\n", "* export-ignore\n", "* -text diff=none\n"])
def test_attributes_hide_nothing_from_the_history(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint, attributes: str
) -> None:
    checkout.commit({".gitattributes": attributes, "src/a.ts": f'const token = "{made_up.github()}";\n'})
    checkout.commit({"src/a.ts": None})
    (checkout.path / ".git/info/attributes").write_text(attributes)

    assert [secret.rule for secret in connector.secrets(checkout.target).secrets] == ["github-pat"]


def test_a_replaced_commit_hides_nothing(checkout: Checkout, connector: RepositoryConnector, made_up: Mint) -> None:
    before = checkout.git("rev-parse", "HEAD")
    leaking = checkout.commit({"src/a.ts": f'const token = "{made_up.github()}";\n'})
    checkout.commit({"src/a.ts": None})
    checkout.git("replace", leaking, before)

    assert [secret.location.commit for secret in connector.secrets(checkout.target).secrets] == [leaking]


def test_a_work_tree_that_is_set_elsewhere_is_not_followed(
    checkout: Checkout, connector: RepositoryConnector, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "private.txt").write_text("of somebody else\n")
    checkout.git("config", "core.worktree", str(other))

    assert [file.path for file in connector.files(checkout.target)] == ["README.md", "src/index.ts"]


def test_settings_of_the_user_and_their_variables_change_nothing(
    checkout: Checkout, connector: RepositoryConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignoring = tmp_path / "ignore"
    ignoring.write_text("*\n")
    (tmp_path / ".gitconfig").write_text(f"[core]\n\texcludesFile = {ignoring}\n")
    checkout.write({"new.ts": "1\n"})
    for name, value in {
        "HOME": str(tmp_path),
        "GIT_DIR": "/nowhere",
        "GIT_WORK_TREE": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.excludesFile",
        "GIT_CONFIG_VALUE_0": str(ignoring),
        "GIT_EXTERNAL_DIFF": "/bin/false",
    }.items():
        monkeypatch.setenv(name, value)

    assert [file.path for file in connector.files(checkout.target)] == ["README.md", "new.ts", "src/index.ts"]


def test_the_checkout_is_left_as_it_was(checkout: Checkout, connector: RepositoryConnector, made_up: Mint) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        files = (path for path in checkout.path.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    checkout.write({"src/a.ts": f'const token = "{made_up.github()}";\n'})
    os.utime(checkout.path / "README.md", (1, 1))
    before = state()

    connector.head(checkout.target)
    connector.files(checkout.target)
    connector.secrets(checkout.target)
    connector.assignments(checkout.target, names="token")

    assert state() == before


def test_the_folder_of_links_is_private_and_goes_with_the_connector(checkout: Checkout) -> None:
    children = Children()
    found = find_checkout(checkout.path)
    assert found is not None
    view = View(found, children)

    mode = view.folder.stat().st_mode
    view.close()
    children.close()

    assert stat.S_IMODE(mode) == 0o700
    assert not view.folder.exists()
    assert checkout.git("rev-parse", "HEAD")


def test_programs_get_a_home_in_which_not_even_root_can_leave_anything() -> None:
    with pytest.raises(NotADirectoryError):
        (Path(plain_environ()["HOME"]) / ".cache").mkdir()
