from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import quub_audit
from quub_audit.cli import COMMANDS, group
from quub_audit.cli.options import FORMATS
from quub_audit.model.status import ExitCode, Severity
from quub_audit.reporters import FORMATS as REPORTS
from tests.cli.help_pages import FOLDER, PAGE, help_of, page
from tests.cli.shop import COMMAND, Shop, environ

NAMES = ["", *COMMANDS]
SDKS = ("boto3", "botocore", "httpx", "sslyze", "kubernetes", "moto", "jinja2", "ast_grep_py", "cryptography", "flask")
HEAVY = (*SDKS, "yaml", "pydantic", "pydantic_core", "importlib.metadata", "quub_audit.sdk", "quub_audit.engine")


def command_of(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def loaded_after(folder: Path, *arguments: str) -> set[str]:
    """Modules that a command has imported when it ends."""
    program = (
        "import sys\n"
        "from quub_audit.cli import _code_of\n"
        f"code = _code_of({list(arguments)!r})\n"
        "print('modules', *sys.modules, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environ(folder, {}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("name", NAMES)
def test_help_is_as_it_was_reviewed(name: str) -> None:
    golden = FOLDER / f"{name or 'quub-audit'}.txt"

    assert help_of(*filter(None, [name])) == golden.read_text(encoding="utf-8"), "see tests/cli/help_pages.py"


def test_the_page_of_the_commands_is_made_of_the_help() -> None:
    helps = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}

    assert PAGE.read_text(encoding="utf-8") == page(helps)
    assert set(helps) == {"quub-audit.txt", *(f"{name}.txt" for name in COMMANDS)}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = command_of(name)

    assert (command.help or "").splitlines()[0] == COMMANDS[name].summary
    assert command.name == name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text_that_is_a_sentence(name: str) -> None:
    options = [option for option in command_of(name).params if isinstance(option, click.Option)]

    for option in options:
        assert re.match(r"[A-Z].*[.\]]$", option.help or "", re.DOTALL), option.name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_variable_of_an_option_is_its_long_name(name: str) -> None:
    options = [option for option in command_of(name).params if isinstance(option, click.Option)]

    for option in options:
        long = next(text for text in option.opts if text.startswith("--"))
        assert option.name == long.removeprefix("--").replace("-", "_")


def test_what_is_written_out_for_speed_is_what_the_program_knows() -> None:
    assert set(FORMATS) == set(REPORTS)
    severities = next(option for option in command_of("run").params if option.name == "fail_on").type
    assert isinstance(severities, click.Choice)
    assert list(severities.choices) == [severity.value for severity in Severity]
    told = help_of("run")
    for code in ExitCode:
        assert re.search(rf"^ +{code.value} +\S", told, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"], ["demo", "--help"], ["-h"]])
def test_nothing_heavy_is_imported_to_tell_of_oneself(tmp_path: Path, arguments: list[str]) -> None:
    assert loaded_after(tmp_path, *arguments).isdisjoint(HEAVY)


@pytest.mark.parametrize("arguments", [["list"], ["explain", "holds"], ["validate"]])
def test_no_sdk_is_imported_to_read_files(shop: Shop, arguments: list[str]) -> None:
    shop.write("holds")

    loaded = loaded_after(shop.folder, *arguments, "--checklist", "checklist.yaml", "--checks-dir", "checks")

    assert loaded.isdisjoint(SDKS)
    assert "quub_audit_checks_dir_0.shop.facts.holds" in loaded


def cpu_seconds(home: Path, *command: str) -> float:
    """Of one process: what others do on the machine counts for little."""
    with subprocess.Popen(command, env=environ(home, {}), stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_telling_of_oneself_costs_little_more_than_click(tmp_path: Path, option: str) -> None:
    click_alone = [cpu_seconds(tmp_path, sys.executable, "-c", "import click") for _ in range(10)]
    own = [cpu_seconds(tmp_path, str(COMMAND), option) for _ in range(10)]

    assert min(own) < 1.3 * min(click_alone) + 0.005


def test_the_version_is_the_packages(shop: Shop) -> None:
    assert shop.run("--version", code=0).out == f"quub-audit, version {quub_audit.__version__}\n"


def test_the_module_is_the_command(shop: Shop) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "quub_audit", "nonsense"],
        env=environ(shop.folder, {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("Usage: quub-audit [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize(
    ("name", "said"),
    [("rnu", "No such command 'rnu'. Did you mean run?"), ("zzz", "No such command 'zzz'. There are run, demo,")],
)
def test_an_unknown_command_is_answered_with_the_nearest(shop: Shop, name: str, said: str) -> None:
    ran = shop.run(name, code=2)

    assert said in ran.err
    assert ran.last_line == "exit code 2, a mistake in the command or in a file"


@pytest.mark.parametrize("name", NAMES)
def test_help_can_be_read_on_any_terminal(shop: Shop, name: str) -> None:
    ran = shop.run(*filter(None, [name]), "--help", code=0, PYTHONIOENCODING="ascii:strict")

    assert ran.out.isascii()


def test_a_reader_of_the_help_that_goes_away_is_no_error(shop: Shop) -> None:
    with subprocess.Popen(
        ["sh", "-c", f"'{COMMAND}' run --help; echo \"code $?\" >&2"],
        env=environ(shop.folder, {"PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read().decode() == "code 0\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_lives_in_the_module_that_the_table_names(name: str) -> None:
    assert importlib.import_module(COMMANDS[name].module).command is command_of(name)
