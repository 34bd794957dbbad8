"""Secrets in trees and histories: found, sealed, placed, weighed; and never a clean scan that was none."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline
from quub_audit.connectors.children import Children, Done
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.git import View, find_checkout
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.connectors.repository_cache import MAX_BYTES, ScannedFiles, TreeCache
from quub_audit.connectors.repository_files import list_tree
from quub_audit.connectors.repository_scanner import FOUND, Scanner, find_scanner, read_report, scanner_path
from quub_audit.connectors.repository_secrets import Caches, scan_secrets
from quub_audit.demo.repository import build, planted_secrets
from quub_audit.errors import Malformed, TimedOut, Unsupported
from quub_audit.facts.code import LeakedSecret, SecretScan
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Repository
from quub_audit.model.finding import Location
from tests.connectors.repository import corpus
from tests.connectors.repository.conftest import Connect
from tests.connectors.repository.corpus import Mint
from tests.worlds.checkout import Checkout

PINS = tuple(base64.b64encode(hashlib.sha256(name).digest()).decode() for name in (b"live", b"backup"))


def places(scan: SecretScan) -> list[Location]:
    return [secret.location for secret in scan.secrets]


def token_line(mint: Mint, value: str = "") -> str:
    return f'const token = "{value or mint.github()}";\n'


# What is found


def test_credentials_of_many_vendors_are_found_and_nothing_that_only_looks_like_one(
    tmp_path: Path, connector: RepositoryConnector
) -> None:
    checkout = Checkout(tmp_path / "app").init()
    known = corpus.planted()
    checkout.write({each.file: each.text for each in known})
    harmless = corpus.harmless()
    checkout.write(harmless)

    scan = connector.secrets(checkout.target)

    judged = {secret.location.file for secret in scan.secrets if not secret.is_sample}
    missed = {each.kind for each in known if each.file not in judged}
    assert missed == {"aws-access-key"}, "an identifier that opens nothing without its secret"
    assert not judged & harmless.keys()


def test_a_secret_in_a_new_file_stands_at_its_line_and_column_in_characters(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    checkout.write({"src/日本.ts": f"// first\n/* é😀 */ {token_line(made_up)}"})

    (secret,) = connector.secrets(checkout.target).secrets

    assert secret.location == Location(file="src/日本.ts", line=2, column=25)
    assert (secret.rule, secret.is_in_tree, secret.is_sample) == ("github-pat", True, False)
    assert secret.fingerprint.length == 40


def test_a_removed_secret_stands_in_the_newest_commit_that_added_it(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    line = token_line(made_up)
    checkout.commit({"src/a.ts": line})
    checkout.commit({"src/a.ts": "1\n"})
    again = checkout.commit({"src/a.ts": f"// moved\n{line}"})
    checkout.commit({"src/a.ts": None})

    scan = connector.secrets(checkout.target)

    assert places(scan) == [Location(file="src/a.ts", line=2, column=16, commit=again)]
    assert scan.commits_scanned == 5
    assert not scan.secrets[0].is_in_tree


def test_each_value_is_told_once_per_file_and_rule_and_the_tree_comes_first(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    here, gone = token_line(made_up), token_line(made_up)
    old = checkout.commit({"src/b.ts": here + here, "src/a.ts": gone})
    checkout.commit({"src/b.ts": "// one more line\n" + here, "src/a.ts": None, "src/c.ts": here})

    scan = connector.secrets(checkout.target)

    assert [(str(place), secret.is_in_tree) for place, secret in zip(places(scan), scan.secrets, strict=True)] == [
        ("src/b.ts:2:16", True),
        ("src/c.ts:1:16", True),
        (f"src/a.ts:1:16 @ {old[:12]}", False),
    ]
    assert scan.secrets[0].fingerprint == scan.secrets[1].fingerprint != scan.secrets[2].fingerprint


def test_every_branch_and_tag_counts_as_history(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    checkout.git("checkout", "--quiet", "-b", "other")
    on_branch = checkout.commit({"branch.ts": token_line(made_up)})
    checkout.git("checkout", "--quiet", "--detach")
    tagged = checkout.commit({"tag.ts": token_line(made_up)})
    checkout.git("tag", "v1")
    checkout.git("checkout", "--quiet", "main")

    assert {place.commit for place in places(connector.secrets(checkout.target))} == {on_branch, tagged}


def test_files_that_git_ignores_are_not_judged_and_whole_folders_of_them_not_looked_at(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    line = token_line(made_up)
    checkout.commit({".gitignore": "local/\n.env\n"})
    checkout.write({"local/a.ts": line, ".env": line, "src/local.ts": line})

    assert [place.file for place in places(connector.secrets(checkout.target))] == ["src/local.ts"]


def test_a_secret_in_code_that_is_left_out_of_searches_is_a_secret_all_the_same(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    checkout.commit({"web/dist/bundle.js": token_line(made_up)})

    assert [place.file for place in places(connector.secrets(checkout.target))] == ["web/dist/bundle.js"]


def test_a_folder_of_a_repository_is_judged_by_its_own_files_and_their_history(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    old = checkout.commit({"orders/a.ts": token_line(made_up), "other/b.ts": token_line(made_up)})
    checkout.commit({"orders/a.ts": None, "other/b.ts": None})
    service = Repository(name="orders", path=str(checkout.path / "orders" / ".." / "orders"))
    checkout.write({"orders/c.ts": token_line(made_up)})

    scan = connector.secrets(service)

    assert [(place.file, place.commit) for place in places(scan)] == [("c.ts", None), ("a.ts", old)]


def test_names_that_are_not_utf_8_are_placed(checkout: Checkout, connector: RepositoryConnector, made_up: Mint) -> None:
    Path(os.fsdecode(os.fsencode(checkout.path) + b"/caf\xe9 1.ts")).write_text(token_line(made_up))

    assert [place.file for place in places(connector.secrets(checkout.target))] == ["caf\\xe9 1.ts"]


@pytest.mark.parametrize(("name", "spelled"), [("a.ts", "a.ts"), ("caf\udce9.ts", "caf\ufffd.ts"), ("日.ts", "日.ts")])
def test_paths_are_compared_as_the_scanner_spells_them(name: str, spelled: str) -> None:
    assert scanner_path(name) == spelled


def test_no_value_is_in_the_answer_and_each_is_struck_from_outputs(
    checkout: Checkout, connect: Connect, made_up: Mint
) -> None:
    redactor = Redactor()
    in_tree, in_history = made_up.github(), made_up.of(corpus.HEX, 40)
    checkout.commit({".env": f"CLIENT_SECRET={in_history}\n"})
    checkout.commit({".env": None, "src/a.ts": token_line(made_up, in_tree)})

    scan = connect(redactor=redactor).secrets(checkout.target)

    assert len(scan.secrets) == 2
    assert in_tree not in repr(scan)
    assert in_history not in repr(scan)
    assert redactor.clean(f"{in_tree} {in_history}") == "[redacted] [redacted]"


def test_an_answer_survives_the_evidence_bundle(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    checkout.write({"src/a.ts": token_line(made_up)})

    scan = connector.secrets(checkout.target)

    assert decode(json.loads(json.dumps(encode(scan)))) == scan


# The demo's repository


def test_the_healthy_sample_service_is_clean(tmp_path: Path, connector: RepositoryConnector) -> None:
    path = build(tmp_path / "healthy", healthy=True, pins=PINS)

    scan = connector.secrets(Repository(name="app", path=str(path)))

    files = [each for each in path.rglob("*") if each.is_file() and ".git" not in each.relative_to(path).parts]
    assert scan.secrets == ()
    assert (scan.files_scanned, scan.commits_scanned) == (len(files), 5)
    assert scan.tool.startswith("betterleaks 2.")


def test_the_faulty_sample_service_shows_what_was_planted_and_no_more(tmp_path: Path, connect: Connect) -> None:
    path = build(tmp_path / "faulty", healthy=False, pins=PINS)
    redactor = Redactor()

    scan = connect(redactor=redactor).secrets(Repository(name="app", path=str(path)))

    assert [(secret.location.file, secret.is_in_tree, secret.is_sample) for secret in scan.secrets] == [
        ("src/config/secrets.ts", True, False),
        (".env", False, False),
        (".env", False, False),
    ]
    assert all(redactor.clean(value) == "[redacted]" for value in planted_secrets().values())
    assert {secret.rule for secret in scan.secrets} == {"quub-secret-fallback", "quub-api-key", "generic-api-key"}


# Samples


def sampled(scan: SecretScan) -> dict[str, str]:
    return {secret.location.file: secret.sample_reason for secret in scan.secrets}


def test_a_vendors_documented_example_is_a_sample_wherever_it_stands(
    checkout: Checkout, connector: RepositoryConnector
) -> None:
    documented = ".".join(
        (
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
            "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ",
            "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        )
    )
    checkout.write({"src/a.ts": f'const session = "{documented}";\n'})

    assert sampled(connector.secrets(checkout.target)) == {"src/a.ts": "an example of the vendor's documentation"}


def test_made_up_values_of_tests_are_samples_and_a_vendors_token_in_a_test_is_not(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    checkout.write(
        {
            "tests/login.test.ts": f'const clientSecret = "{made_up.of(corpus.HEX, 40)}";\n',
            "tests/server.key": made_up.pem("RSA PRIVATE KEY", 1190),
            "tests/real.ts": token_line(made_up),
            "src/login.ts": f'const clientSecret = "{made_up.of(corpus.HEX, 40)}";\n',
            "config/.env.example": "DATABASE_URL=postgresql://user:" + "password@db.internal/app\n",
        }
    )

    reasons = sampled(connector.secrets(checkout.target))

    fixture = "a fixture of a test, an example or documentation"
    assert reasons == {
        "config/.env.example": fixture,
        "src/login.ts": "",
        "tests/login.test.ts": fixture,
        "tests/real.ts": "",
        "tests/server.key": fixture,
    }


def test_files_that_the_environment_excludes_are_samples(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    checkout.write({"tools/a.ts": token_line(made_up)})

    assert sampled(connector.secrets(checkout.declared(exclude=("tools/",)))) == {
        "tools/a.ts": "the environment excludes the file"
    }


def test_what_the_team_lists_as_harmless_is_told_with_where_it_is_listed(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    values = [made_up.github() for _ in range(4)]
    gone = checkout.commit({"gone.ts": token_line(made_up, values[2])})
    checkout.commit({"gone.ts": None})
    checkout.write(
        {
            "by-value.ts": token_line(made_up, values[0]),
            "by-place.ts": token_line(made_up, values[1]),
            "other.ts": token_line(made_up, values[3]),
            ".betterleaksignore": f"# reviewed\n{hashlib.sha256(values[0].encode()).hexdigest()} # in OPS-1\n",
            ".gitleaksignore": f"by-place.ts:github-pat:1\n{gone}:gone.ts:github-pat:1\n",
        }
    )

    assert sampled(connector.secrets(checkout.target)) == {
        "by-place.ts": "listed in .gitleaksignore",
        "by-value.ts": "listed in .betterleaksignore",
        "gone.ts": "listed in .gitleaksignore",
        "other.ts": "",
    }


@pytest.mark.parametrize("mark", ["gitleaks:allow", "betterleaks:allow"])
def test_a_mark_in_the_code_hides_nothing(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint, mark: str
) -> None:
    checkout.write({"a.ts": f'const token = "{made_up.github()}"; // {mark}\n'})

    assert sampled(connector.secrets(checkout.target)) == {"a.ts": ""}


@pytest.mark.parametrize("name", [".betterleaks.toml", ".gitleaks.toml", "betterleaks.toml"])
def test_rules_that_a_checkout_brings_along_are_not_read(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint, name: str
) -> None:
    checkout.write({name: "title = 'nothing is a secret'\n", "a.ts": token_line(made_up)})

    assert sampled(connector.secrets(checkout.target)) == {"a.ts": ""}


# How much was looked at


def test_a_history_longer_than_wanted_is_cut_and_says_so(checkout: Checkout, connect: Connect, made_up: Mint) -> None:
    checkout.commit({"old.ts": token_line(made_up)})
    newer = checkout.commit({"old.ts": None, "newer.ts": token_line(made_up)})
    checkout.commit({"newer.ts": None})

    cut = connect().secrets(checkout.declared(history_depth=2))
    whole = connect().secrets(checkout.declared(history_depth=4))

    assert (cut.commits_scanned, cut.is_history_cut) == (2, True)
    assert [place.commit for place in places(cut)] == [newer]
    assert (whole.commits_scanned, whole.is_history_cut, len(whole.secrets)) == (4, False, 2)


def test_a_shallow_clone_says_so(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.commit({"a.ts": "1\n"})

    scan = connector.secrets(checkout.shallow().target)

    assert (scan.is_shallow, scan.commits_scanned) == (True, 1)


def test_a_repository_without_commits_has_no_history(
    tmp_path: Path, connector: RepositoryConnector, made_up: Mint
) -> None:
    checkout = Checkout(tmp_path / "new").init()
    checkout.write({"a.ts": token_line(made_up)})

    scan = connector.secrets(checkout.target)

    assert (scan.commits_scanned, scan.files_scanned, scan.is_history_cut) == (0, 1, False)
    assert [place.file for place in places(scan)] == ["a.ts"]


def test_a_folder_without_git_is_looked_at_without_history(
    tmp_path: Path, connector: RepositoryConnector, made_up: Mint
) -> None:
    folder = Checkout(tmp_path / "plain")
    folder.write({"a.ts": token_line(made_up), ".gitignore": "b.ts\n", "b.ts": token_line(made_up)})

    scan = connector.secrets(folder.target)

    assert (scan.commits_scanned, scan.files_scanned) == (0, 2)
    assert [place.file for place in places(scan)] == ["a.ts"]


# Failures


def test_a_history_with_a_missing_object_is_malformed_and_never_clean(
    checkout: Checkout, connector: RepositoryConnector
) -> None:
    checkout.commit({"a.ts": "1\n"})
    missing = checkout.git("rev-parse", "HEAD^{tree}")
    (checkout.path / ".git/objects" / missing[:2] / missing[2:]).unlink()

    with pytest.raises(Malformed, match=r"app: the scan of the history is incomplete, .*unable to read tree"):
        connector.secrets(checkout.target)


def test_objects_that_only_a_server_has_are_not_fetched(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.commit({"a.ts": "something\n"})
    checkout.commit({"a.ts": "something else\n"})
    checkout.git("config", "uploadpack.allowFilter", "true")
    partial = Checkout(checkout.path.with_name("partial"))
    checkout.git("clone", "--quiet", "--filter=blob:none", checkout.path.as_uri(), str(partial.path))

    with pytest.raises(Malformed, match="the scan of the history is incomplete"):
        connector.secrets(partial.target)


def test_a_scan_past_its_deadline_is_timed_out(checkout: Checkout, connector: RepositoryConnector) -> None:
    connector.files(checkout.target)
    token = DEADLINE.set(Deadline(0.02))
    try:
        with pytest.raises(TimedOut):
            connector.secrets(checkout.target)
    finally:
        DEADLINE.reset(token)


def report(state: str = "complete", findings: int = 0, **changes: object) -> bytes:
    scan = {"state": state, "betterleaks_version": "2.0.0", "num_findings": findings}
    return json.dumps({"findings": [], "scan": {**scan, **changes}}).encode()


@pytest.mark.parametrize(
    ("done", "message"),
    [
        (Done(1, b"", "FTL unable to load config"), "failed with code 1: FTL unable to load config"),
        (Done(0, b"", ""), "failed with code 0: no report"),
        (Done(-9, report()[:40], ""), "failed with code -9"),
        (Done(0, b"[]", ""), "failed with code 0"),
        (Done(0, b"\xff\xfe", ""), "failed with code 0"),
        (Done(0, b'{"findings": [{}], "scan": {"state": "complete", "betterleaks_version": "2"}}', ""), "failed with"),
        (Done(1, report("incomplete"), "1 file"), "incomplete, not complete, and ended with code 1: 1 file"),
        (Done(0, report("incomplete"), ""), "incomplete, not complete"),
        (Done(1, report(), ""), "ended with code 1"),
        (Done(FOUND, report(), ""), f"ended with code {FOUND}"),
        (Done(-11, report(), ""), "ended with code -11"),
        (Done(0, report(findings=3), ""), "ended with code 0"),
        (Done(0, b"[" * 100_000, ""), "failed with code 0"),
    ],
)
def test_a_report_that_is_not_whole_is_malformed(done: Done, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        read_report(done, "app: the scan")


def test_a_whole_report_without_findings_is_clean() -> None:
    assert read_report(Done(0, report(), ""), "app: the scan").hits == ()


def test_a_missing_scanner_is_unsupported(checkout: Checkout, connector: RepositoryConnector, tmp_path: Path) -> None:
    children = Children()
    scanner = Scanner(children, {"PATH": "/nonexistent"}, program=str(tmp_path / "nothing"))

    with pytest.raises(Unsupported, match="the scan of the working tree could not be started"):
        scanner.scan_tree(checkout.path, pruned=(), label="app")
    children.close()


# The cache


def test_a_second_run_on_an_unchanged_history_gives_the_same_answer(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    names = ["a.ts", 'it\'s a "name" $HOME *.ts', "日本.ts", "line\nbreak.ts", "-x.ts", "caf\udce9.ts"]
    checkout.commit({name: token_line(made_up) for name in names})
    moved = "\n".join(f"line {number}" for number in range(50))
    checkout.commit({"moved.ts": f"{moved}\n{token_line(made_up)}"})
    checkout.git("mv", "moved.ts", "to-here.ts")
    checkout.commit({"other.ts": token_line(made_up)})
    checkout.commit(dict.fromkeys([*names, "to-here.ts", "other.ts"]))
    cache = tmp_path / "cache"

    runs = [connect(cache_dir=cache).secrets(checkout.target) for _ in range(2)]

    assert len(runs[0].secrets) == len(names) + 2
    assert places(runs[1]) == places(runs[0])
    assert runs[0].commits_scanned == runs[1].commits_scanned == 5


def test_a_second_run_seals_with_its_own_salt_and_strikes_the_values(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    value, redactor = made_up.github(), Redactor()
    checkout.commit({"a.ts": token_line(made_up, value)})
    checkout.commit({"a.ts": None})

    first = connect(cache_dir=tmp_path / "cache").secrets(checkout.target)
    second = connect(cache_dir=tmp_path / "cache", redactor=redactor).secrets(checkout.target)

    assert first.secrets[0].fingerprint.digest != second.secrets[0].fingerprint.digest
    assert redactor.clean(value) == "[redacted]"


def test_the_cache_is_private_and_holds_no_value(
    checkout: Checkout, connector: RepositoryConnector, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    value = made_up.github()
    leaking = checkout.commit({"a.ts": token_line(made_up, value)})
    connect(cache_dir=tmp_path / "cache").secrets(checkout.target)

    files = sorted((tmp_path / "cache").iterdir())

    kept = "".join(file.read_text() for file in files)
    assert [file.name.partition("-")[0] for file in files] == ["history", "tree"]
    assert leaking in kept
    assert value not in kept
    assert hashlib.sha256(value.encode()).hexdigest() not in kept
    assert (
        stat.S_IMODE((tmp_path / "cache").stat().st_mode),
        *(stat.S_IMODE(file.stat().st_mode) for file in files),
    ) == (*(0o700, 0o600, 0o600),)


def only_commits_of(checkout: Checkout, cache: Path, connect: Connect, change: dict[str, object]) -> SecretScan:
    """A run for which the cache was changed by hand."""
    (file,) = cache.glob("history-*")
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    return connect(cache_dir=cache).secrets(checkout.target)


def test_only_new_commits_and_those_that_held_something_are_scanned_again(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache = tmp_path / "cache"
    old = checkout.commit({"old.ts": token_line(made_up)})
    unseen = checkout.commit({"old.ts": None, "unseen.ts": token_line(made_up)})
    checkout.commit({"unseen.ts": None})
    connect(cache_dir=cache).secrets(checkout.target)
    new = checkout.commit({"new.ts": token_line(made_up)})
    checkout.commit({"new.ts": None})

    scan = only_commits_of(checkout, cache, connect, {"places": [[old, "old.ts", 1, "github-pat"]]})

    assert [place.commit for place in places(scan)] == [new, old]
    assert unseen not in repr(scan)
    assert scan.commits_scanned == 6


@pytest.mark.parametrize(
    "change",
    [
        {"rules": "others"},
        {"commits": []},
        {"commits": ["f" * 40]},
        {"commits": ["--output=x"]},
        {"commits": "no list"},
        {"places": "no list"},
        {"places": [3]},
        {"places": [["f" * 40, "a.ts", "1", "x"]]},
        {"places": [["f" * 40, "a.ts", 1, "x", "1"]]},
        {"places": [["f" * 40, "a.ts", 1, "x", 1, 1, "x", "x", "x"]]},
        {"places": [["--all", "a.ts", 1, "x"]]},
    ],
)
def test_a_cache_that_does_not_fit_is_not_believed(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint, change: dict[str, object]
) -> None:
    cache = tmp_path / "cache"
    checkout.commit({"a.ts": token_line(made_up)})
    checkout.commit({"a.ts": None})
    connect(cache_dir=cache).secrets(checkout.target)

    scan = only_commits_of(checkout, cache, connect, {"places": [], **change})

    assert [place.file for place in places(scan)] == ["a.ts"]


def test_a_commit_that_should_have_held_something_and_does_not_voids_the_cache(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache = tmp_path / "cache"
    checkout.commit({"a.ts": token_line(made_up)})
    clean = checkout.commit({"a.ts": None})
    connect(cache_dir=cache).secrets(checkout.target)

    scan = only_commits_of(checkout, cache, connect, {"places": [[clean, "a.ts", 1, "github-pat"]]})

    assert [place.file for place in places(scan)] == ["a.ts"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"commits": 3}', "[" * 100_000])
def test_a_cache_that_is_broken_is_scanned_over_and_mended(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint, content: str
) -> None:
    cache = tmp_path / "cache"
    checkout.commit({"a.ts": token_line(made_up)})
    connect(cache_dir=cache).secrets(checkout.target)
    (file,) = cache.glob("history-*")
    file.write_text(content)

    assert len(connect(cache_dir=cache).secrets(checkout.target).secrets) == 1
    assert json.loads(file.read_text())["places"]


def test_a_cache_that_others_can_write_is_not_believed(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache = tmp_path / "cache"
    checkout.commit({"a.ts": token_line(made_up)})
    checkout.commit({"a.ts": None})
    connect(cache_dir=cache).secrets(checkout.target)
    cache.chmod(0o777)

    scan = only_commits_of(checkout, cache, connect, {"places": []})

    assert len(scan.secrets) == 1


def test_a_branch_that_was_removed_takes_its_secrets_along(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache = tmp_path / "cache"
    checkout.git("checkout", "--quiet", "-b", "other")
    checkout.commit({"a.ts": token_line(made_up)})
    checkout.git("checkout", "--quiet", "main")
    assert len(connect(cache_dir=cache).secrets(checkout.target).secrets) == 1
    checkout.git("branch", "--quiet", "-D", "other")

    assert connect(cache_dir=cache).secrets(checkout.target).secrets == ()


def test_a_cache_folder_that_cannot_be_made_costs_nothing_but_time(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    (tmp_path / "file").touch()
    checkout.write({"a.ts": token_line(made_up)})

    scan = connect(cache_dir=tmp_path / "file" / "cache").secrets(checkout.target)

    assert isinstance(scan.secrets[0], LeakedSecret)


def test_files_that_were_clean_are_scanned_again_only_when_they_change(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache, leak = tmp_path / "cache", token_line(made_up)
    checkout.write({"clean.ts": "1\n", "leaky.ts": leak, "moves.ts": "2\n"})
    runs = [connect(cache_dir=cache).secrets(checkout.target) for _ in range(2)]
    checkout.write({"clean.ts": leak, "leaky.ts": "3\n", "moves.ts": None, "moved.ts": "2\n"})
    runs += [connect(cache_dir=cache).secrets(checkout.target) for _ in range(2)]

    assert [[place.file for place in places(run)] for run in runs] == [
        ["leaky.ts"],
        ["leaky.ts"],
        ["clean.ts"],
        ["clean.ts"],
    ]
    assert len({run.tool for run in runs}) == 1


def test_a_tree_without_secrets_needs_no_scanner_the_second_time_and_says_the_same(
    checkout: Checkout, connect: Connect, tmp_path: Path
) -> None:
    runs = [connect(cache_dir=tmp_path / "cache").secrets(checkout.target) for _ in range(2)]

    assert runs[0] == runs[1]
    assert runs[1].files_scanned == 2


@pytest.mark.parametrize(
    "change",
    [
        {"clean": "x"},
        {"clean": [3]},
        {"clean": ["x"]},
        {"leaky": []},
        {"leaky": {"x": []}},
        {"leaky": {"f" * 32: 3}},
        {"leaky": {"f" * 32: [[]]}},
        {"tool": 1},
        {"rules": "others"},
    ],
)
def test_a_cache_of_files_that_does_not_fit_is_not_believed(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint, change: dict[str, object]
) -> None:
    cache = tmp_path / "cache"
    checkout.write({"leaky.ts": token_line(made_up)})
    connect(cache_dir=cache).secrets(checkout.target)
    (file,) = cache.glob("tree-*")
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))

    assert len(connect(cache_dir=cache).secrets(checkout.target).secrets) == 1


def scan_with(program: Path, checkout: Checkout, cache: Path) -> SecretScan:
    """A run with another program for a scanner."""
    children, found = Children(), find_checkout(checkout.path)
    assert found
    view = View(found, children)
    try:
        tree = list_tree(checkout.target, view, lambda inner: View(inner, children))
        return scan_secrets(
            checkout.target,
            tree,
            view,
            scanner=Scanner(children, view.environ, program=str(program)),
            sealer=Sealer(b"another", Redactor()),
            caches=Caches.below(cache, checkout=found, root=tree.root),
        )
    finally:
        view.close()
        children.close()


def test_a_second_run_reads_the_values_where_they_stand_and_needs_no_scanner(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache = tmp_path / "cache"
    key, line = made_up.pem("RSA PRIVATE KEY", 1190), token_line(made_up)
    checkout.commit({"gone.key": f"first\n{key}", "gone.ts": f"/* é😀 */ {line}\r\n", 'a "b".ts': line * 2})
    checkout.commit({"gone.key": None, "gone.ts": None, 'a "b".ts': None})
    checkout.write({f"src/{number}.ts": token_line(made_up) for number in range(30)} | {"日/server.key": key})

    first = connect(cache_dir=cache).secrets(checkout.target)
    second = scan_with(tmp_path / "nothing", checkout, cache)

    assert len(first.secrets) == 34
    for before, after in zip(first.secrets, second.secrets, strict=True):
        assert replace(after, fingerprint=before.fingerprint) == before
        assert replace(after.fingerprint, digest="") == replace(before.fingerprint, digest="")
    assert (second.files_scanned, second.commits_scanned, second.tool) == (33, 3, first.tool)


def test_an_encoded_value_is_found_by_the_scanner_each_time(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache, value = tmp_path / "cache", made_up.github()
    encoded = {"a.ts": base64.b64encode(f"token = {value}".encode()).decode() + "\n"}
    checkout.commit(encoded)
    checkout.commit({"a.ts": None})
    checkout.write({"b.ts": encoded["a.ts"]})

    for _ in range(2):
        redactor = Redactor()
        scan = connect(cache_dir=cache, redactor=redactor).secrets(checkout.target)
        assert [place.file for place in places(scan)] == ["b.ts", "a.ts"]
        assert redactor.clean(value) == "[redacted]"

    with pytest.raises(Unsupported):
        scan_with(tmp_path / "nothing", checkout, cache)


@pytest.mark.parametrize(
    ("line", "column", "length"), [(1, 0, 40), (1, -5, 40), (1, 10**9, 40), (1, 16, 10**9), (1, 16, -1), (1, 16, 0)]
)
def test_a_value_that_is_not_where_the_cache_says_is_looked_for_by_the_scanner(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint, line: int, column: int, length: int
) -> None:
    cache, redactor, value = tmp_path / "cache", Redactor(), made_up.github()
    leaking = checkout.commit({"a.ts": token_line(made_up, value)})
    checkout.commit({"a.ts": None})
    connect(cache_dir=cache).secrets(checkout.target)
    (file,) = cache.glob("history-*")
    wrong = [leaking, "a.ts", line, "github-pat", column, length, "", ""]
    file.write_text(json.dumps({**json.loads(file.read_text()), "places": [wrong]}))

    assert len(connect(cache_dir=cache, redactor=redactor).secrets(checkout.target).secrets) == 1
    assert redactor.clean(value) == "[redacted]"


def test_a_file_that_changes_under_the_scan_is_not_taken_for_clean(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache, leak = tmp_path / "cache", {"a.ts": token_line(made_up)}
    checkout.write(leak)
    swapping = tmp_path / "scanner"
    swapping.write_text(f"#!/bin/sh\n: > '{checkout.path}/a.ts'\nexec '{find_scanner()}' \"$@\"\n")
    swapping.chmod(0o700)
    assert scan_with(swapping, checkout, cache).secrets == ()
    checkout.write(leak)

    assert [place.file for place in places(connect(cache_dir=cache).secrets(checkout.target))] == ["a.ts"]


def test_commits_that_come_to_light_when_a_branch_moves_back_are_scanned(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache, newest = tmp_path / "cache", checkout.declared(history_depth=2)
    leaking = checkout.commit({"a.ts": token_line(made_up)})
    checkout.commit({"a.ts": None})
    checkout.git("tag", "v1")
    checkout.commit({"b.ts": "1\n"})
    assert connect(cache_dir=cache).secrets(newest).secrets == ()
    checkout.git("reset", "--quiet", "--hard", "v1")

    assert [place.commit for place in places(connect(cache_dir=cache).secrets(newest))] == [leaking]


def test_a_clone_that_was_shallow_is_scanned_down_to_its_first_commit(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache = tmp_path / "cache"
    leaking = checkout.commit({"a.ts": token_line(made_up)})
    checkout.commit({"a.ts": None})
    clone = checkout.shallow()
    assert connect(cache_dir=cache).secrets(clone.target).secrets == ()
    clone.git("fetch", "--quiet", "--unshallow")

    assert [place.commit for place in places(connect(cache_dir=cache).secrets(clone.target))] == [leaking]


def test_what_nobody_used_for_months_is_removed_from_the_cache_and_nothing_else(
    checkout: Checkout, connect: Connect, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    for name in ("history-old.json", "tree-old.json", ".kept-old", "notes.json", "history-new.json"):
        (cache / name).touch()
        if "new" not in name:
            os.utime(cache / name, (1, 1))

    connect(cache_dir=cache).secrets(checkout.target)

    left = {file.name for file in cache.iterdir()}
    assert len(left) == 4
    assert {"history-new.json", "notes.json"} < left


def test_a_cache_in_use_stays(checkout: Checkout, connect: Connect, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    connect(cache_dir=cache).secrets(checkout.target)
    files = sorted(cache.iterdir())
    for file in files:
        os.utime(file, (1, 1))

    connect(cache_dir=cache).secrets(checkout.target)

    assert all(file.stat().st_mtime > 1 for file in files)


def test_the_cache_is_bounded_in_size(tmp_path: Path) -> None:
    cache = TreeCache(tmp_path / "cache", identity="a")
    cache.save(ScannedFiles(places={"f" * 32: ()}, tool="x"))
    assert cache.load() == ScannedFiles(places={"f" * 32: ()}, tool="x")

    cache.save(ScannedFiles(places={}, tool="x" * MAX_BYTES))

    assert cache.load() is None
    assert not list((tmp_path / "cache").iterdir())


def test_many_changed_files_and_odd_names_are_scanned_as_a_tree(
    checkout: Checkout, connect: Connect, tmp_path: Path, made_up: Mint
) -> None:
    cache = tmp_path / "cache"
    connect(cache_dir=cache).secrets(checkout.target)
    checkout.write({f"src/{number}.ts": "1\n" for number in range(30)})
    checkout.write({"-odd\nname.ts": token_line(made_up), "caf\udce9.ts": token_line(made_up)})

    assert len(connect(cache_dir=cache).secrets(checkout.target).secrets) == 2
