"""Whatever stands in a file, reading it gives a value or says what is wrong; nothing else ever comes out."""

from __future__ import annotations

import string
import time

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from quub_audit.errors import ConfigurationError, Mendable
from tests.config.folder import SMALLEST, Folder

NAMES = ["environments", "team", "waivers", "attestations"]
WORDS = [
    "service", "environments", "production", "stage", "aws", "vault", "quub", "secrets", "endpoints", "regions", "name",
    "url", "token", "item", "reason", "sections", "groups", "items", "id", "title", "severity", "with", "extends",
    "builtin", "change", "drop", "stages", "check", "checks", "version", "max_waiver_days", "waivers", "expires",
    "attestations", "performed_on", "not_applicable", "security.network.https-enforced", "critical", "2026-12-01",
    "${X}", "${Y:-z}", "$${", "${", "111122223333", "012", "1_0", "yes", "<<",
]  # fmt: skip
INDICATORS = [
    "[",
    "]",
    "{",
    "}",
    ": ",
    ", ",
    "- ",
    "? ",
    "& ",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "|",
    ">",
    "'",
    '"',
    "%",
    "@",
    "#",
]
PIECES = st.sampled_from(
    [*WORDS, *INDICATORS, "\n", "\n  ", "\n    ", "\t", "---\n", "...\n", "\\", "\ufeff", "\u2028", "é"]
)
KEYS = st.one_of(st.sampled_from(WORDS), st.text(max_size=5), st.integers(), st.none(), st.booleans())
SCALARS = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.none(),
    st.booleans(),
    st.dates(),
    st.binary(max_size=4),
)
TREES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=5), max_leaves=15
)

fuzz = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder: Folder, name: str, content: bytes) -> None:
    """Raises whatever reading raises, except that the file has mistakes or no such environment."""
    for path in folder.path.glob("*.yaml"):
        path.unlink()
    folder.write(**{"environments": SMALLEST, name: content})
    try:
        folder.load(environ={"X": "x"})
    except Mendable as refused:
        assert str(refused).startswith(f"{name}.yaml:")
        assert all(character.isprintable() or character == "\n" for character in str(refused))


@pytest.mark.parametrize("name", NAMES)
@fuzz
@given(content=st.binary(max_size=200))
def test_any_bytes(folder: Folder, name: str, content: bytes) -> None:
    read(folder, name, content)


@pytest.mark.parametrize("name", NAMES)
@fuzz
@given(text=st.lists(PIECES, max_size=60).map("".join))
@example(text="a: &a [*a]")
@example(text="? - a\n: b")
@example(text="&a a: *a")
@example(text="{*a : b}")
@example(text="&a : *a")
@example(text="!!binary |\n  AAAA")
@example(text="%YAML 9.9\n---\na: b")
def test_any_pieces_of_yaml(folder: Folder, name: str, text: str) -> None:
    read(folder, name, text.encode())


@pytest.mark.parametrize("name", NAMES)
@fuzz
@given(tree=TREES)
def test_any_tree(folder: Folder, name: str, tree: object) -> None:
    read(folder, name, yaml.dump(tree, allow_unicode=True).encode("utf-8", "replace"))


@pytest.mark.parametrize("name", NAMES)
@fuzz
@given(tree=TREES)
def test_any_tree_below_a_known_key(folder: Folder, name: str, tree: object) -> None:
    key = {"environments": "environments", "team": "sections", "waivers": "waivers", "attestations": "attestations"}[
        name
    ]
    read(folder, name, yaml.dump({"service": "s", "version": "1", "title": "t", key: tree}).encode("utf-8", "replace"))


@fuzz
@given(value=st.text(), default=st.text(string.printable))
def test_any_value_of_a_variable(folder: Folder, value: str, default: str) -> None:
    folder.write(environments=SMALLEST.replace("orders", '"${V}"'))
    try:
        environment = folder.load(environ={"V": value}).environment
    except ConfigurationError as refused:
        assert len(refused.mistakes) == 1
        assert value.strip() == "" or value not in str(refused)
    else:
        assert environment.service == value


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 5_000_000,
        b"{a: " * 1_000_000,
        b"- " * 2_000_000,
        b"? " * 2_000_000,
        b"a: " + b"x" * 5_000_000,
        b"a:\n" + b"  b: c\n" * 600_000,
        b"".join(b"k%d: v\n" % number for number in range(99_000)),
        b"a: '" + b"eyJ-" * 1_200_000 + b"'",
        b"a: " + b"aaaa://" * 600_000,
        b"#" + b"a" * 5_000_000,
        b"&a " * 1_000_000,
        b"a: |\n" + b" x\n" * 1_500_000,
    ],
    ids=["brackets", "braces", "dashes", "questions", "one long text", "one key", "many keys", "tokens", "addresses",
         "a comment", "anchors", "lines"],
)  # fmt: skip
def test_a_large_hostile_file_is_refused_in_bounded_time(folder: Folder, content: bytes) -> None:
    began = time.monotonic()

    with pytest.raises(ConfigurationError) as refused:
        read_environments(folder, content)

    assert time.monotonic() - began < 60
    assert len(refused.value.mistakes) <= 101
    assert all(len(mistake) < 500 for mistake in refused.value.mistakes)


def read_environments(folder: Folder, content: bytes) -> None:
    folder.write(environments=content)
    folder.load()
