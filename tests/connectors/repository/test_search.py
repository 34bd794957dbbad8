"""Structural search: what matches, where, with which captures; what is left out, and what is told as unreadable."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline
from quub_audit.connectors.children import Children
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.repository import RepositoryConnector
from quub_audit.connectors.repository_search import (
    MAX_CAPTURE_CHARACTERS,
    Searcher,
    is_not_production,
    language_of,
    words_of,
)
from quub_audit.errors import TimedOut
from quub_audit.facts.code import Language, Match, Pattern
from quub_audit.facts.seal import Redactor
from quub_audit.model.finding import Location
from tests.connectors.repository.conftest import Connect
from tests.connectors.repository.corpus import LETTERS, Mint
from tests.worlds.checkout import Checkout

SCRIPT: tuple[Language, ...] = ("javascript", "typescript", "tsx")
CALL = Pattern(name="call", languages=SCRIPT, rule="pattern: create($OPTIONS)")


@pytest.mark.parametrize(
    ("file", "code", "language", "rule"),
    [
        ("src/a.js", "create(1)", "javascript", "pattern: create($OPTIONS)"),
        ("src/a.mjs", "create(1)", "javascript", "pattern: create($OPTIONS)"),
        ("src/a.jsx", "x = <A>{create(1)}</A>", "javascript", "pattern: create($OPTIONS)"),
        ("src/a.ts", "create(1) as string", "typescript", "pattern: create($OPTIONS)"),
        ("src/A.TSX", "x = <A b={create(1)} />", "tsx", "pattern: create($OPTIONS)"),
        ("src/a.py", "create(1)", "python", "pattern: create($OPTIONS)"),
        ("src/a.go", "package a\nfunc f() { create(1) }", "go", "kind: call_expression"),
        ("src/A.java", "class A { void f() { create(1); } }", "java", "pattern: create($OPTIONS)"),
    ],
)
def test_every_language_is_searched_by_the_ends_of_its_files(
    checkout: Checkout, connector: RepositoryConnector, file: str, code: str, language: Language, rule: str
) -> None:
    checkout.write({file: code})

    found = connector.search(checkout.target, patterns=(Pattern(name="x", languages=(language,), rule=rule),))

    assert [(match.location.file, match.language, match.text) for match in found.matches] == [
        (file, language, "create(1)")
    ]
    assert language_of(file) == language


def test_a_match_has_its_place_in_characters_its_text_and_its_captures(
    checkout: Checkout, connector: RepositoryConnector
) -> None:
    checkout.write({"src/日本.ts": "// é\nconst 名 = '😀', client = create({ timeout: 5 });\n"})

    (match,) = connector.search(checkout.target, patterns=(CALL,)).matches

    assert match == Match(
        pattern="call",
        location=Location(file="src/日本.ts", line=2, column=25),
        language="typescript",
        text="create({ timeout: 5 })",
        captures=(("OPTIONS", "{ timeout: 5 }"),),
    )


def test_several_nodes_of_one_capture_come_as_they_stand(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.write({"src/a.ts": "create(é, 2,  /* three */ 3)\n"})
    many = Pattern(name="many", languages=("typescript",), rule="pattern: create($$$ARGUMENTS)")

    (match,) = connector.search(checkout.target, patterns=(many,)).matches

    assert match.capture("ARGUMENTS") == "é, 2,  /* three */ 3"


def test_matches_come_by_place_whatever_the_order_of_the_patterns(
    checkout: Checkout, connector: RepositoryConnector
) -> None:
    checkout.write({"src/b.ts": "two(1); create(1)\n", "src/a.ts": "create(1)\ntwo(1)\n"})
    other = Pattern(name="other", languages=SCRIPT, rule="pattern: two($A)")

    found = connector.search(checkout.target, patterns=(other, CALL))

    assert [(str(match.location), match.pattern) for match in found.matches] == [
        ("src/a.ts:1:1", "call"),
        ("src/a.ts:2:1", "other"),
        ("src/b.ts:1:1", "other"),
        ("src/b.ts:1:9", "call"),
    ]
    assert found.files_searched == 3


def test_rules_may_be_whole_objects(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.write({"src/a.ts": "const a = { pool: { max: 5 } };\nconst b = { pool: 5 };\n"})
    rule = "kind: pair\nall:\n  - has: {field: key, regex: '^pool$'}\n  - has: {field: value, kind: object}\n"

    found = connector.search(checkout.target, patterns=(Pattern(name="pool", languages=SCRIPT, rule=rule),))

    assert [match.text for match in found.matches] == ["pool: { max: 5 }"]


# What is searched


@pytest.mark.parametrize(
    ("path", "is_out"),
    [
        ("src/client.ts", False),
        ("src/latest/client.ts", False),
        ("src/contest.ts", False),
        ("src/specification.ts", False),
        ("docs.ts", False),
        ("test/unit/client.test.ts", True),
        ("src/__tests__/client.ts", True),
        ("src/client.spec.tsx", True),
        ("src/client.stories.tsx", True),
        ("examples/a.py", True),
        ("app/tests/x.py", True),
        ("app/test_client.py", True),
        ("app/client_test.py", True),
        ("app/conftest.py", True),
        ("pkg/client_test.go", True),
        ("src/test/java/A.java", True),
        ("src/main/java/ClientTest.java", True),
        ("src/main/java/ClientIT.java", True),
        ("src/main/java/AUDIT.java", False),
        ("e2e/a.ts", True),
        ("src/mocks/server.ts", True),
        ("bench/a.py", True),
        ("benchmarks/a.go", True),
        ("docs/snippets/a.js", True),
        ("fixtures/a.ts", True),
    ],
)
def test_tests_examples_and_documentation_are_no_production_code(path: str, is_out: bool) -> None:
    assert is_not_production(path) is is_out


def test_other_code_is_searched_only_when_it_is_asked_for(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.write({"src/a.ts": "create(1)\n", "test/a.test.ts": "create(2)\n", "node_modules/x/a.js": "create(3)\n"})

    production = connector.search(checkout.target, patterns=(CALL,))
    everything = connector.search(checkout.target, patterns=(CALL,), is_production_only=False)

    assert [match.text for match in production.matches] == ["create(1)"]
    assert [match.text for match in everything.matches] == ["create(1)", "create(2)"]


def test_a_file_with_an_error_of_syntax_is_searched_where_it_parses(
    checkout: Checkout, connector: RepositoryConnector
) -> None:
    checkout.write({"src/a.ts": "create(1);\nconst = = ;\nfunction f() { create(2); }\n"})

    found = connector.search(checkout.target, patterns=(CALL,))

    assert [match.text for match in found.matches] == ["create(1)", "create(2)"]
    assert found.unreadable == ()


def test_what_could_not_be_searched_is_told_with_the_reason(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.write(
        {
            "src/bundle.js": "create(1);" * 1_000_000,
            "src/prose.ts": "To create is no code, {{ but a sentence ((( in it `' and more of that ]] == so on\n" * 20,
            "src/binary.ts": b"\0\1\2create(1)",
            "src/good.ts": "create(1)\n",
        }
    )

    found = connector.search(checkout.target, patterns=(CALL,))

    assert [match.location.file for match in found.matches] == ["src/good.ts"]
    assert dict(found.unreadable) == {
        "src/binary.ts": "is no text",
        "src/bundle.js": "too large: 10.0 MB, at most 1.0 MB are parsed",
        "src/prose.ts": "most of it is no valid syntax",
    }
    assert found.files_searched == 2


def test_nesting_without_end_ends_no_search(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.write(
        {"src/deep.ts": "(" * 100_000, "src/nested.ts": "f(" * 20_000 + ")" * 20_000, "src/a.ts": "create(1)\n"}
    )

    found = connector.search(checkout.target, patterns=(CALL,))

    assert [match.location.file for match in found.matches] == ["src/a.ts"]


def test_a_search_past_its_deadline_is_timed_out(checkout: Checkout, connector: RepositoryConnector) -> None:
    connector.files(checkout.target)
    token = DEADLINE.set(Deadline(0))
    try:
        with pytest.raises(TimedOut):
            connector.search(checkout.target, patterns=(CALL,))
    finally:
        DEADLINE.reset(token)


def test_more_matches_than_anyone_can_read_end_the_search_and_say_so(
    checkout: Checkout, connector: RepositoryConnector, children: Children
) -> None:
    checkout.write({"src/b.ts": "create(1)\n" * 2, "src/a.ts": "create(1)\n" * 2, "src/c.js": "create(\n1)\n"})

    found = Searcher(children, Redactor(), max_matches=3).search(
        checkout.target, connector._tree(checkout.target), (CALL,), is_production_only=True
    )

    assert [str(match.location) for match in found.matches] == ["src/a.ts:1:1", "src/a.ts:2:1", "src/b.ts:1:1"]
    assert found.unreadable == (("src/b.ts", "the search ended here, at 3 matches"),)


# Secrets


def test_a_literal_given_to_a_secret_is_struck_though_nobody_has_looked_for_it(
    checkout: Checkout, connect: Connect, made_up: Mint
) -> None:
    values = [made_up.of(LETTERS, 30) + "7" for _ in range(3)]
    checkout.write(
        {
            "src/a.ts": f'create({{ apiSecret: "{values[0]}", retries: "not-a-secret-1" }});\n'
            f'create(process.env.QUUB_TOKEN || "{values[1]}");\n',
            "src/b.py": f'os.environ.get("DB_PASSWORD", "{values[2]}")\n',
        }
    )
    redactor = Redactor()
    python = Pattern(name="get", languages=("python",), rule="pattern: os.environ.get($NAME, $VALUE)")

    found = connect(redactor=redactor).search(checkout.target, patterns=(CALL, python))

    assert not [value for value in values if value in repr(found)]
    assert found.matches[0].text == 'create({ apiSecret: "[redacted]", retries: "not-a-secret-1" })'
    assert found.matches[2].capture("VALUE") == '"[redacted]"'
    assert redactor.clean(values[0]) == "[redacted]"


def test_pins_and_plain_settings_stay_as_they_are(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    pin = made_up.base64(32)
    checkout.write(
        {"src/a.ts": f'create({{ pins: ["sha256/{pin}"], tokenHeader: "x-api-token", secretName: "a/b" }})\n'}
    )

    (match,) = connector.search(checkout.target, patterns=(CALL,)).matches

    assert pin in match.text
    assert "x-api-token" in match.text


def test_a_long_match_is_cut_after_its_secrets_were_struck(
    checkout: Checkout, connector: RepositoryConnector, made_up: Mint
) -> None:
    value = made_up.of(LETTERS, 60)
    padding = "x" * (MAX_CAPTURE_CHARACTERS - 45)
    checkout.write({"src/a.ts": f'create({{ p: "{padding}", apiSecret: "{value}9" }})\n'})

    (match,) = connector.search(checkout.target, patterns=(CALL,)).matches

    assert len(match.text) <= MAX_CAPTURE_CHARACTERS
    assert value[:8] not in match.text


# Rules, and asking again


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("", "is no rule object"),
        ("- a", "is no rule object"),
        ("pattern: [", "is no YAML"),
        ("patern: a", "has unknown keys: patern"),
        ("any: [{patern: a}]", "has unknown keys: patern"),
        ("kind: no_such_kind", "is refused"),
        ("kind: pair\nregex: (", "is refused"),
        ("any: 3", "is refused"),
        ("regex: create", "fits nodes of any kind"),
        ("pattern: $A", "fits nodes of any kind"),
        ("any: [{kind: pair}, {regex: a}]", "fits nodes of any kind"),
        ("not: {kind: pair}", "fits nodes of any kind"),
        ("inside: {kind: pair}", "fits nodes of any kind"),
        ("pattern: {}", "is refused"),
    ],
)
def test_a_malformed_rule_is_the_programmers_error(
    checkout: Checkout, connector: RepositoryConnector, rule: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        connector.search(checkout.target, patterns=(replace(CALL, rule=rule),))
    assert "the pattern call" in str(refused.value)
    assert "backtrace" not in str(refused.value)


def test_a_language_that_is_none_is_the_programmers_error(checkout: Checkout, connector: RepositoryConnector) -> None:
    nothing: Any = ((), ("cobol",))
    for languages in nothing:
        with pytest.raises(ValueError, match="the pattern call is for"):
            connector.search(checkout.target, patterns=(replace(CALL, languages=languages),))


def test_an_answer_survives_the_evidence_bundle(checkout: Checkout, connector: RepositoryConnector) -> None:
    checkout.write({"src/a.ts": "create(1)\n", "src/b.ts": b"\0"})

    found = connector.search(checkout.target, patterns=(CALL,))

    assert decode(json.loads(json.dumps(encode(found)))) == found


def test_a_tree_is_kept_for_the_next_search_and_read_anew_when_the_file_changes(
    checkout: Checkout, connector: RepositoryConnector
) -> None:
    checkout.write({"src/a.ts": "create(1)\n"})
    first = connector.search(checkout.target, patterns=(CALL,))
    checkout.write({"src/a.ts": "create(1); create(22)\n"})

    second = connector.search(checkout.target, patterns=(replace(CALL, name="again"),))

    assert [len(found.matches) for found in (first, second)] == [1, 2]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("pattern: process.env.$NAME || $VALUE", [{"process"}]),
        ("pattern: axios.create($$$OPTIONS)", [{"axios", "create"}]),
        ("pattern: $A($_ARGUMENTS)", [set()]),
        ("kind: pair", [set()]),
        ("any: [{pattern: alpha()}, {pattern: beta()}]", [{"alpha"}, {"beta"}]),
        ("any: [{pattern: alpha()}, {kind: pair}]", [{"alpha"}, set()]),
        (
            "all: [{pattern: alpha($X)}, {any: [{pattern: beta}, {pattern: gamma}]}]",
            [{"alpha", "beta"}, {"alpha", "gamma"}],
        ),
        ("pattern: alpha()\nnot: {pattern: beta()}", [{"alpha"}]),
        ("pattern: alpha()\ninside: {pattern: beta()}", [{"alpha"}]),
        ("pattern: {context: alpha(), selector: call_expression}", [set()]),
    ],
)
def test_a_text_must_hold_the_names_that_a_rule_spells_out(rule: str, words: list[set[str]]) -> None:
    assert [set(each) for each in words_of(rule)] == words
