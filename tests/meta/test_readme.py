"""README and the other pages, held against the program: help, commands, exit codes, examples, the tests they name."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quub_audit.cli import COMMANDS, group
from quub_audit.model.status import ExitCode
from tests.meta.test_items import docs
from tests.meta.test_tree import ROOT, markdown

README = (ROOT / "README.md").read_text(encoding="utf-8")
FILE = re.compile(r"<!-- file: (?P<name>\S+) -->\n```\w+\n(?P<content>.*?)```\n", re.DOTALL)
TEST = re.compile(r"tests/[\w/]+\.py(?:::\w+)?")


def test_the_help_is_what_the_program_says() -> None:
    assert docs().readme() == README, "run `make docs`"


def test_the_exit_codes_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)

    assert [int(code) for code in rows] == sorted(code.value for code in ExitCode)


def test_the_example_is_valid(tmp_path: Path) -> None:
    for file in FILE.finditer(README):
        (tmp_path / file["name"]).write_text(file["content"], encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, "-m", "quub_audit", "validate"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "environments.yaml").exists()


def test_each_guarantee_names_tests_and_each_named_test_is_there() -> None:
    section = README.partition("## What you can rely on")[2].partition("## Install")[0]
    guarantees = re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]

    assert len(guarantees) == 8
    assert [text[:40] for text in guarantees if not TEST.search(text)] == []
    assert [name for text in guarantees for name in TEST.findall(text) if not exists(name)] == []


def exists(name: str) -> bool:
    """Whether `file::test` or `file` is there."""
    file, _, test = name.partition("::")
    if not (ROOT / file).is_file():
        return False
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return not test or test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", [page for page in markdown() if not page.startswith(("docs/items", "CHANGELOG"))])
def test_every_command_of_a_page_has_the_options_that_it_is_shown_with(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8").partition("<!-- help")[0]
    wrong = [f"{line}: {fault}" for line in commands(text) if (fault := fault_of(line))]

    assert wrong == []


def commands(text: str) -> Iterator[str]:
    """Command lines in inline code, fences and indented blocks, less comments; not what a program prints (`text`)."""
    text = re.sub(r"^```text\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    fences = re.compile(r"^```\w*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
    prose = fences.sub("", text)
    yield from re.findall(r"`(quub-audit [a-z-][^`\n]*)`", prose)
    blocks = fences.findall(text) + re.findall(r"^(?:    .*\n?)+", prose, flags=re.MULTILINE)
    for line in "\n".join(blocks).splitlines():
        yield from re.findall(r"(?<![\w-])quub-audit [a-z-].*", line.partition(" #")[0])


def fault_of(line: str) -> str:
    """Why the program would not understand a command line, when it would not."""
    _, name, *words = shlex.split(line.replace("'", "").replace('"', ""))
    if name.startswith("-"):
        return "" if name in ("--help", "--version") else f"there is no option {name}"
    if name not in COMMANDS:
        return f"there is no command {name}"
    command = group.commands.get(name) or group.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("-") and word not in known | {"--help", "-h"}]
    return f"there is no option {', '.join(unknown)}" if unknown else ""
