"""What every file has in common: encoding, syntax, sizes, and YAML that is read alike everywhere."""

# ruff: noqa: E501  each message is a line

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from quub_audit.config.tree import MAX_BYTES, Unclear, resolve
from tests.config.folder import SMALLEST, Folder

EXPECTED = "the environments of a service"
BOMB = "x0: &a0 [y, y, y, y, y, y, y, y, y, y]\n" + "".join(
    f"x{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)

MISTAKES = {
    "an empty file": (b"", [f"environments.yaml:1:1: an empty file, expected {EXPECTED}"]),
    "nothing but a comment": (b"# soon\n", [f"environments.yaml:1:1: an empty file, expected {EXPECTED}"]),
    "a root that is a list": (b"- a\n", [f"environments.yaml:1:1: no mapping, expected {EXPECTED}"]),
    "a root that is a text": (b"hello\n", [f"environments.yaml:1:1: no mapping, expected {EXPECTED}"]),
    "bytes that are not UTF-8": (
        b"service: a\nowner: caf\xe9\n",
        ["environments.yaml:2:11: byte 0xe9 is not UTF-8, expected UTF-8"],
    ),
    "a control character": (
        b"service: a\x1bb\n",
        ["environments.yaml:1:11: the control character U+001B, expected text without any"],
    ),
    "a tab as indentation": (
        b"service: s\nenvironments:\n\tproduction: {}\n",
        ["environments.yaml:3:1: environments: not YAML: a tab, expected spaces"],
    ),
    "a bracket that is never closed": (
        b"service: [a\n",
        ["environments.yaml:2:1: service[1]: not YAML: did not find expected ',' or ']'"],
    ),
    "two documents": (
        SMALLEST.encode() + b"---\na: b\n",
        ["environments.yaml:5:1: a second document, expected one document in the file"],
    ),
    "the same key twice": (
        SMALLEST.encode() + b"    stage: staging\n",
        ["environments.yaml:5:5: production.stage: the key is there twice, first in line 4"],
    ),
    "a key that is a list": (
        SMALLEST.encode() + b"? [a]\n: b\n",
        ["environments.yaml:5:3: a key that is a list or a mapping, expected text"],
    ),
    "an empty key": (SMALLEST.encode() + b'"": b\n', ["environments.yaml:5:1: an empty key, expected text"]),
    "a tag of Python": (
        SMALLEST.replace("orders", "!!python/object/apply:os.system [id]").encode(),
        [
            "environments.yaml:1:1: service: a list, expected one line of text",
            'environments.yaml:1:10: service: "!!python/object/apply:os.system" is a tag, expected a value without one',
        ],
    ),
    "a tag of YAML's own": (
        SMALLEST.replace("orders", "!!str 1").encode(),
        ['environments.yaml:1:10: service: "!!str" is a tag, expected a value without one'],
    ),
    "a merge key": (
        b"service: s\nenvironments:\n  a: &a {stage: production}\n  production: {<<: *a, stage: production}\n",
        [
            'environments.yaml:4:16: production["<<"]: merge keys are not supported, expected the keys themselves, written out'
        ],
    ),
    "an alias without an anchor": (
        b"service: *a\n",
        ["environments.yaml:1:10: service: an alias of an anchor that was not set before"],
    ),
    "an alias of what it stands in": (
        b"service: &a [*a]\n",
        ["environments.yaml:1:14: service[0]: an alias of the value that it stands in"],
    ),
    "aliases of aliases of aliases": (
        BOMB.encode(),
        [
            "environments.yaml:5:45: x4[7]: more than 100,000 values, those behind aliases included; the rest was not read"
        ],
    ),
    "brackets in brackets": (
        b"a: " + b"[" * 900,
        ["environments.yaml:1:35: a[0][0][0][0][0][0][0][0][0][0][0]...: more than 32 levels; the rest was not read"],
    ),
    "a deep chain of aliases": (
        ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 50))).encode(),
        ["environments.yaml:32:12: a31[0]: more than 32 levels; the rest was not read"],
    ),
    "a file over 5 MiB": (
        b"#" * (MAX_BYTES + 1),
        ["environments.yaml: larger than 5 MiB, so it was not read"],
    ),
}


@pytest.mark.parametrize(("content", "told"), MISTAKES.values(), ids=MISTAKES)
def test_yaml_that_is_refused_says_where_and_why(folder: Folder, content: bytes, told: list[str]) -> None:
    folder.write(environments=content)

    assert folder.mistakes({"environments": content}) == told


@pytest.mark.parametrize(
    "brackets", ["[" * 100_000, "{a: " * 100_000, "\n" + "- " * 100_000], ids=["lists", "mappings", "dashes"]
)
def test_depth_is_bounded_whatever_the_parser_would_take(folder: Folder, brackets: str) -> None:
    content = f"a: {brackets}".encode()
    folder.write(environments=content)

    (told,) = folder.mistakes({"environments": content})

    assert told.startswith("environments.yaml:")
    assert told.endswith(": more than 32 levels; the rest was not read")


def test_a_file_that_is_missing_is_named(folder: Folder) -> None:
    folder.write(waivers="waivers: []\n")

    with pytest.raises(Exception, match=rf"^environments\.yaml: there is no such file, expected {EXPECTED}$"):
        folder.load()


def test_a_folder_is_no_file(folder: Folder) -> None:
    (folder.path / "environments.yaml").mkdir()

    with pytest.raises(Exception, match=r"^environments\.yaml: not a file, expected"):
        folder.load()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(folder: Folder) -> None:
    folder.write(environments=SMALLEST)
    (folder.path / "environments.yaml").chmod(0)

    with pytest.raises(Exception, match=r"^environments\.yaml: could not be read: Permission denied$"):
        folder.load()


def test_a_pipe_without_a_writer_is_refused_at_once(folder: Folder) -> None:
    os.mkfifo(folder.path / "environments.yaml")

    with pytest.raises(Exception, match=r"^environments\.yaml: not a file"):
        folder.load()


def test_a_file_outside_the_working_directory_is_named_in_full(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    folder.write(team="nothing")
    path = folder.path / "team.yaml"

    from quub_audit.config import load_checklist

    with pytest.raises(Exception, match=rf"^{path}:1:1: no mapping, expected a checklist$"):
        load_checklist(path, registry=None)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(folder: Folder) -> None:
    folder.write(environments="\ufeff" + SMALLEST.replace("\n", "\r\n"))

    assert folder.load().environment.service == "orders"


def test_an_alias_stands_for_its_anchor(folder: Folder) -> None:
    text = SMALLEST + "    endpoints: [{name: a, url: &u 'https://a.test'}, {name: b, url: *u}]\n"

    folder.write(environments=text)

    assert [endpoint.url for endpoint in folder.load().environment.endpoints] == ["https://a.test", "https://a.test"]


def test_paths_of_files_are_made_of_the_folder_of_the_file(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(
        environments=SMALLEST
        + "    endpoints: [{name: a, url: 'https://a.test', ca_file: keys/ca.pem}]\n"
        + "    repositories: [{name: r, path: ../app}]\n"
    )
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    from quub_audit.config import Sources, load
    from tests.config.folder import TODAY

    environment = load(
        Sources.beside(folder.path / "environments.yaml"),
        environment="production",
        registry=folder.registry,
        environ={},
        today=TODAY,
    ).environment

    assert environment.endpoints[0].ca_file == str(folder.path / "keys" / "ca.pem")
    assert environment.repositories[0].path == str(folder.path.parent / "app")
    assert Path(environment.repositories[0].path).is_absolute()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("n", "n"),
        ("0", 0),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2026-11-24", "2026-11-24"),
        ("2026-11-24 10:00:00", "2026-11-24 10:00:00"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("0o17", Unclear("0o17")),
        ("017", Unclear("017")),
        ("012345678901", Unclear("012345678901")),
        ("0x1F", Unclear("0x1F")),
        ("0b101", Unclear("0b101")),
        ("1_000", Unclear("1_000")),
        ("12:30:45", Unclear("12:30:45")),
        ("12345678901234567890", Unclear("12345678901234567890")),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", Unclear("1e999")),
    ],
)
def test_an_unquoted_scalar_is_what_every_reader_takes_it_for(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)
