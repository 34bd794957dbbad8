"""Whatever stands in a file, reading it gives a value or says what is wrong; nothing else ever comes out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import date
from random import Random

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
TEXTS = [*WORDS, "", " ", "a: b", "- a", "#", "'", '"', "\n", "\x07", "é", "\u2028", "😀", "-", "0x1F", "1e999", ".nan"]
VALUES = [*TEXTS, 0, 1, -1, 10**30, 0.5, float("inf"), float("nan"), None, True, False, date(2026, 12, 1), b"\xff"]


def grown(seed: int, depth: int = 4) -> object:
    """A tree of known and unknown words, another for every seed."""
    chance = Random(seed)
    kind = chance.random() * (1 if depth else 0)
    below = [grown(chance.getrandbits(64), depth - 1) for _ in range(chance.randrange(4) if kind > 0.4 else 0)]
    if kind > 0.7:
        return below
    if kind > 0.4:
        return {chance.choice(VALUES[:-1] if chance.random() < 0.2 else TEXTS): each for each in below}
    return chance.choice(VALUES)


TREES = st.integers(0, 2**32).map(grown)

fuzz = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder: Folder, name: str, content: bytes) -> None:
    """Raises whatever reading raises, except that the file has mistakes or no such environment."""
    for path in folder.path.glob("*.yaml"):
        path.unlink()
    folder.write(**{"environments": SMALLEST.encode(), name: content})
    told = refusal(folder, {"X": "x"})
    assert not told or told.startswith(f"{name}.yaml:")
    assert all(character.isprintable() or character == "\n" for character in told)


def refusal(folder: Folder, environ: Mapping[str, str]) -> str:
    """What is wrong; nothing when all can be read."""
    try:
        folder.load(environ=environ)
    except Mendable as refused:
        return str(refused)
    return ""


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
@given(value=st.text())
def test_any_value_of_a_variable(folder: Folder, value: str) -> None:
    folder.write(environments=SMALLEST.replace("orders", '"${V}"'))

    told = refusal(folder, {"V": value})

    assert told.count("\n") == 0
    if len(value) > 3:
        assert value not in told
    if not told:
        assert folder.load(environ={"V": value}).environment.service == value


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
