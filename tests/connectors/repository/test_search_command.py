"""ast-grep's own command as a process: it finds what the library finds, or it is not believed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.performance.api_client._calls import CONSTANTS, SETTINGS, TYPED, import_patterns, occurrences
from quub_audit.checks.performance.caching import _writes
from quub_audit.checks.security.authentication import jwt_lifetime, refresh_token_rotation
from quub_audit.checks.security.data_protection import pii_masked_in_logs
from quub_audit.checks.security.network import certificate_pinning
from quub_audit.connectors.base import DEADLINE, Deadline
from quub_audit.connectors.children import Children, Done
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.connectors.repository_files import Tree
from quub_audit.connectors.repository_grep import (
    MAX_FILES_BYTES,
    MAX_NAMES_BYTES,
    Found,
    Grep,
    Rule,
    batches,
    find_program,
    read_output,
)
from quub_audit.connectors.repository_search import FEW_FILES, Searcher, error_share, language_of, search_text
from quub_audit.errors import Malformed, Reportable, TimedOut, Unsupported
from quub_audit.facts.code import Language, Pattern, Search
from quub_audit.facts.seal import Redactor
from tests.worlds.checkout import Checkout

SCRIPT: tuple[Language, ...] = ("javascript", "typescript", "tsx")
CALL = Pattern(name="call", languages=SCRIPT, rule="pattern: create($$$OPTIONS)")
MANY = {f"src/filler{number}.ts": f"create({number})\n" for number in range(FEW_FILES + 1)}
"""Too many files for the library."""

ALL = (
    *(*import_patterns("axios|requests|net/http"), *CONSTANTS, *TYPED, *SETTINGS),
    *occurrences(
        {"javascript": "get|create", "typescript": "get|create", "python": "get", "go": "Get", "java": "build"}
    ),
    *(*certificate_pinning.PATTERNS, *_writes.PATTERNS, *pii_masked_in_logs.PATTERNS),
    *(*jwt_lifetime.PATTERNS, *refresh_token_rotation.PATTERNS),
)
"""Rules that checks ask with."""

SOURCES: dict[str, str] = {
    "a.ts": """import axios, { type AxiosInstance as Client } from 'axios';
export const LIMIT_MS = 5_000, 名 = '😀é';
const client = axios.create({ baseURL: `https://${host}/é`, timeout: LIMIT_MS, /* über */ retries: 3, });
export class Orders { private readonly http: Client = client;
  async load(id: string) { for (let n = 0; n < 3; n++) { try { return await this.http.get(`/o/${id}`) } catch { } } }
  sign(user: User) { return jwt.sign({ sub: user.id }, key, { expiresIn: '15m' }); } }
const tls = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
""",
    "b.tsx": "export const A = () => <B onClick={() => redis.set('k', create(get('é')), 'EX', 60)} />;\n",
    "c.js": "const https = require('https');\r\nhttps.get({ host, rejectUnauthorized: false }, (r) => {\r\n});\r\n",
    "d.py": """import requests as r
from datetime import timedelta
TIMEOUT_S = 5
def get(url: str) -> dict:
    logger.info("user %s", user.email)
    token = jwt.encode({"exp": now + timedelta(minutes=15)}, key)
    return r.get(url, timeout=TIMEOUT_S, verify=False).json()  # 名前
""",
    "e.go": """package a
import ( "net/http"; "crypto/tls" )
var limit = 5 * time.Second
func Get(ctx context.Context) { client := &http.Client{Timeout: limit, Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}; client.Get("é") }
""",
    "F.java": """package a; import okhttp3.*;
class F { private final OkHttpClient c = new OkHttpClient.Builder().certificatePinner(
  new CertificatePinner.Builder().add("é.example.com", "sha256/AAAA").build()).readTimeout(5, SECONDS).build(); }
""",
    "broken.ts": "const = = ; create(1); if (((\n",
    "cut_off.ts": "import a from 'b';\nexport class A { f() { return create(1); }\n g() {",
    "prose.ts": "this is no code (((] at all ''' but é\n" * 5,
}


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """A program in place of ast-grep's command, which it finds at `$REAL`."""

    def make(script: str) -> str:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\nREAL='{find_program()}'\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def tree_of(checkout: Checkout, connector: RepositoryConnector) -> Tree:
    return connector._tree(checkout.target)


@pytest.fixture
def searched(checkout: Checkout, connector: RepositoryConnector, children: Children) -> Callable[..., Search]:
    """Search a checkout of many files, by a program of the test."""

    def search(program: str = "", patterns: Sequence[Pattern] = (CALL,), **options: Any) -> Search:
        checkout.write(MANY)
        return Searcher(children, Redactor(), program=program).search(
            checkout.target, tree_of(checkout, connector), patterns, is_production_only=True, **options
        )

    return search


# It finds what the library finds


def test_the_command_finds_what_the_library_finds_with_the_rules_of_the_checks(
    tmp_path: Path, children: Children
) -> None:
    rules = tuple(dict.fromkeys(Rule(language, pattern.rule) for pattern in ALL for language in pattern.languages))
    for name, text in SOURCES.items():
        (tmp_path / name).write_bytes(text.encode())

    with closing(Grep(children, rules, tmp_path, "the search")) as grep:
        seen = grep.read(grep.run(list(SOURCES)))

    for name, text in SOURCES.items():
        language = language_of(name)
        assert language is not None
        found = search_text(text, language, [rule for rule in rules if rule.language == language])
        assert sorted(seen[name].found) == sorted(found), name
        assert not seen[name].is_sound or error_share(text, language) == 0, name
    assert {name for name in SOURCES if seen[name].is_sound} == {"a.ts", "c.js", "d.py", "e.go", "F.java"}
    assert sum(len(each.found) for each in seen.values()) > 50
    assert {rule.language for each in seen.values() for rule, _ in each.found} == {rule.language for rule in rules}


ODD = {
    "src/-x y.ts": b"create(1)",
    "src/--config=evil.ts": b"create(1)",
    "src/two\nlines.ts": b"create(1)",
    "src/quote'\".ts": b"create(1)",
    "src/UPPER.TS": b"create(1)",
    "src/\udcff.ts": b"create(1)",
    ".hidden/.a.ts": b"create(1)",
    "src/bom.ts": b"\xef\xbb\xbfcreate(1)",
    "src/wide.ts": "create(1)".encode("utf-16"),
    "src/latin.ts": b"create(1) // caf\xe9",
    "src/told.ts": b"create(1) // ast-grep-ignore",
    "src/told_all.ts": b"// ast-grep-ignore\n\ncreate(1)",
    "src/long.js": b"create(1);" + b"x;" * 15_000,
}
"""Files that the command would not name, not know, not read or print badly."""


def test_no_name_encoding_or_comment_hides_a_match(checkout: Checkout, searched: Callable[..., Search]) -> None:
    checkout.write({**ODD, ".gitattributes": "*.ts ident\n", ".ignore": "*\n"})

    found = searched()

    odd = [match for match in found.matches if match.location.file not in MANY]
    assert {match.location.file for match in odd} == {
        os.fsencode(name).decode("utf-8", "backslashreplace") for name in ODD
    }
    assert {(match.location.column, match.text, match.captures) for match in odd} == {
        (1, "create(1)", (("OPTIONS", "1"),))
    }
    assert {match.location.line for match in odd if "told_all" not in match.location.file} == {1}
    assert found.files_searched == len(ODD) + len(MANY) + 1
    assert found.unreadable == ()


def test_settings_of_the_repository_are_not_read(checkout: Checkout, searched: Callable[..., Search]) -> None:
    settings = "ruleDirs: [gone]\ncustomLanguages: {evil: {libraryPath: evil.so, extensions: [ts]}}\n"
    checkout.write({"sgconfig.yml": settings, "src/sgconfig.yml": settings})

    assert len(searched().matches) == len(MANY)


def test_links_are_not_followed_and_end_nowhere(checkout: Checkout, searched: Callable[..., Search]) -> None:
    checkout.write({"src/a.ts": "create(1)\n"})
    (checkout.path / "src/loop").symlink_to("..")
    (checkout.path / "src/b.ts").symlink_to("a.ts")

    assert len(searched().matches) == len(MANY) + 1


@pytest.mark.parametrize(
    ("count", "size"), [(0, 1), (1, 1), (5000, 1), (100, MAX_FILES_BYTES // 3), (3, MAX_FILES_BYTES * 2)]
)
def test_files_come_in_batches_in_their_order(count: int, size: int) -> None:
    names = [f"src/{'é' * 20}/{number}.ts" for number in range(count)]

    made = list(batches((name, size) for name in names))

    assert [name for batch in made for name in batch] == names
    assert all(sum(len(os.fsencode(name)) + 9 for name in batch) <= MAX_NAMES_BYTES for batch in made)
    assert all(len(batch) * size <= MAX_FILES_BYTES or len(batch) == 1 for batch in made)
    assert all(made)


# What goes wrong


def test_a_file_that_vanishes_is_told_and_the_others_are_searched(
    checkout: Checkout, searched: Callable[..., Search], program: Callable[[str], str]
) -> None:
    found = searched(program('rm -f src/filler3.ts; exec "$REAL" "$@"'))

    assert len(found.matches) == len(MANY) - 1
    assert found.unreadable == (("src/filler3.ts", "cannot be opened: No such file or directory"),)


def test_a_file_that_breaks_the_program_off_is_told_and_the_others_are_searched(
    searched: Callable[..., Search], program: Callable[[str], str]
) -> None:
    found = searched(program('case "$*" in *filler3*) kill -SEGV $$;; esac; exec "$REAL" "$@"'))

    assert len(found.matches) == len(MANY) - 1
    assert found.unreadable == (("src/filler3.ts", "broke off with signal 11: nothing was said"),)


def test_calls_within_calls_by_the_thousand_cost_only_their_own_file(tmp_path: Path, children: Children) -> None:
    (tmp_path / "deep.ts").write_text("create(\n" * 3200 + ")\n" * 3200)
    (tmp_path / "a.ts").write_text("create(1)\n")

    with closing(Grep(children, [Rule("typescript", CALL.rule)], tmp_path, "the search")) as grep:
        seen = grep.read(grep.run(["a.ts", "deep.ts"]))

    assert seen["deep.ts"].failure == "wrote more than 128 MiB of matches"
    assert len(seen["a.ts"].found) == 1


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "did not read all files: nothing was said, again and again"),
        ("kill -KILL $$", "broke off with signal 9: nothing was said, again and again"),
        ("echo \"thread 'main' panicked at x\" >&2", "broke off: thread 'main' panicked at x, again"),
        ('echo garbage; exec "$REAL" "$@"', "printed what is no match: garbage"),
        ("echo 'Error: no rule' >&2; exit 8", "failed with code 8: Error: no rule"),
    ],
)
def test_a_program_that_does_not_do_its_work_is_an_error(
    checkout: Checkout, searched: Callable[..., Search], program: Callable[[str], str], script: str, said: str
) -> None:
    checkout.write({f"src/more{number}.ts": "create(1)" for number in range(60)})

    with pytest.raises(Malformed, match="app: the search ") as refused:
        searched(program(script))
    assert said in refused.value.message


def test_a_program_that_is_not_there_is_told(searched: Callable[..., Search], tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="the search could not be started"):
        searched(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"file": "b.ts", "ruleId": "0"}',
        b'{"file": "a.ts", "ruleId": "7"}',
        b'{"file": "a.ts", "ruleId": 0}',
        b'{"file": "a.ts", "ruleId": "0", "text": 3, "range": {}}',
        b'{"file": ["a.ts"], "ruleId": "0"}',
        b'{"file": "a.ts", "ruleId": "0", "text"',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_match_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed, match="the search printed what is no match"):
        read_output(Done(0, line + b"\n", ""), ["a.ts"], [Rule("typescript", "kind: pair")], "the search")


def test_a_match_is_read_with_what_it_captured() -> None:
    line = (
        b'{"file":"a.ts","ruleId":"0","text":"f(\xc3\xa9, 2)","range":{"byteOffset":{"start":9,"end":17},"start":'
        b'{"line":1,"column":2}},"metaVariables":{"single":{"F":{"text":"f"}},"multi":{"A":['
        b'{"range":{"byteOffset":{"start":11,"end":13}}},{"range":{"byteOffset":{"start":15,"end":16}}}],"B":[]}}}'
    )
    rule = Rule("typescript", "pattern: $F($$$A, $$$B, $_NOT)")

    seen = read_output(Done(0, line, ""), ["a.ts", "b.ts"], [rule], "the search")

    assert seen["a.ts"].found == [(rule, Found(2, 3, "f(é, 2)", (("F", "f"), ("A", "é, 2"))))]
    assert seen["b.ts"].found == []


# Several who ask


class Asked(threading.Thread):
    """One search in a thread of its own."""

    def __init__(self, searcher: Searcher, checkout: Checkout, tree: Tree, pattern: Pattern) -> None:
        super().__init__(daemon=True)
        self._ask = partial(searcher.search, checkout.target, tree, (pattern,), is_production_only=True)
        self._answer: Search | Reportable | None = None
        self.deadline = Deadline(60)
        self.start()

    def run(self) -> None:
        DEADLINE.set(self.deadline)
        try:
            self._answer = self._ask()
        except Reportable as error:
            self._answer = error

    def wait(self) -> Search | Reportable | None:
        """The answer, or the error that came instead."""
        self.join(60)
        return self._answer


def waits(searcher: Searcher, tree: Tree, count: int) -> None:
    """Until so many wait for the next pass."""
    for _ in range(3000):
        if len(searcher._waiting.get(tree, ())) == count:
            return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits")


class Gate:
    """Holds each run of a program until it is opened."""

    def __init__(self, folder: Path) -> None:
        self._begun, self._gate, self._runs = folder / "begun", folder / "gate", folder / "runs"
        os.mkfifo(self._begun)
        os.mkfifo(self._gate)
        self.script = f"echo run >> {self._runs}; echo > {self._begun}; cat {self._gate}"

    def wait(self) -> None:
        """Until the next run has begun."""
        self._begun.read_text()

    def open(self) -> None:
        """Let the run go on."""
        self._gate.write_text("")

    @property
    def runs(self) -> int:
        return self._runs.read_text().count("run")


def numbered(number: int) -> Pattern:
    return Pattern(name=str(number), languages=SCRIPT, rule=f"pattern: create({number})")


def test_those_who_ask_during_a_search_share_the_next_one(
    checkout: Checkout,
    connector: RepositoryConnector,
    children: Children,
    program: Callable[[str], str],
    tmp_path: Path,
) -> None:
    checkout.write(MANY)
    gate = Gate(tmp_path)
    searcher = Searcher(children, Redactor(), program=program(f'{gate.script}; exec "$REAL" "$@"'))
    tree = tree_of(checkout, connector)

    first = Asked(searcher, checkout, tree, CALL)
    gate.wait()
    later = [Asked(searcher, checkout, tree, numbered(number)) for number in range(3)]
    waits(searcher, tree, 3)
    gate.open()
    gate.wait()
    gate.open()

    answers = [each.wait() for each in (first, *later)]
    assert [len(answer.matches) for answer in answers if isinstance(answer, Search)] == [len(MANY), 1, 1, 1]
    assert gate.runs == 2


def test_a_rule_that_the_program_refuses_spoils_no_search_of_others(
    checkout: Checkout,
    connector: RepositoryConnector,
    children: Children,
    program: Callable[[str], str],
    tmp_path: Path,
) -> None:
    checkout.write(MANY)
    gate = Gate(tmp_path)
    refusing = 'rules="$(dirname "${2#--config=}")/rules/rules.yml"; ! grep -q "create(1)" "$rules" || exit 8'
    searcher = Searcher(
        children,
        Redactor(),
        program=program(f'[ -e {tmp_path}/open ] || {{ {gate.script}; }}; {refusing}; exec "$REAL" "$@"'),
    )
    tree = tree_of(checkout, connector)

    first = Asked(searcher, checkout, tree, CALL)
    gate.wait()
    later = [Asked(searcher, checkout, tree, numbered(number)) for number in (1, 2)]
    waits(searcher, tree, 2)
    (tmp_path / "open").touch()
    gate.open()

    assert isinstance(first.wait(), Search)
    assert str(later[0].wait()) == "app: the search failed with code 8: nothing was said"
    assert isinstance(later[1].wait(), Search)


def test_one_whose_time_is_over_does_not_wait_for_those_who_have_more(
    checkout: Checkout,
    connector: RepositoryConnector,
    children: Children,
    program: Callable[[str], str],
    tmp_path: Path,
) -> None:
    checkout.write(MANY)
    gate = Gate(tmp_path)
    searcher = Searcher(children, Redactor(), program=program(f'{gate.script}; exec "$REAL" "$@"'))
    tree = tree_of(checkout, connector)

    patient = Asked(searcher, checkout, tree, CALL)
    gate.wait()
    hurried = Asked(searcher, checkout, tree, numbered(1))
    waits(searcher, tree, 1)
    hurried.deadline.cancel()
    told = hurried.wait()
    gate.open()

    assert isinstance(told, TimedOut)
    assert isinstance(patient.wait(), Search)
    assert gate.runs == 1


def test_the_end_of_the_run_ends_the_search(
    checkout: Checkout,
    connector: RepositoryConnector,
    children: Children,
    program: Callable[[str], str],
    tmp_path: Path,
) -> None:
    checkout.write(MANY)
    gate = Gate(tmp_path)
    searcher = Searcher(children, Redactor(), program=program(gate.script))

    asked = Asked(searcher, checkout, tree_of(checkout, connector), CALL)
    gate.wait()
    children.close()

    assert isinstance(asked.wait(), TimedOut)
