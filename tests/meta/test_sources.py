"""What the source of a check may do, and what it asks: read, not run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import botocore.session
import pytest

import quub_audit
from quub_audit.connectors.aws_errors import action_of
from quub_audit.connectors.aws_guard import judge_read
from quub_audit.sdk import Check
from tests.meta.questions import LOG_EVENTS, SECRET_VALUES, check_modules, operations

CHECKS = Path(quub_audit.__file__).parent / "checks"
FILES = sorted(CHECKS.resolve().rglob("*.py"))

FORBIDDEN_MODULES = frozenset(
    "asyncio builtins ctypes fcntl ftplib glob http importlib io mmap multiprocessing os pickle pty runpy select "  # noqa: SIM905
    "shutil signal smtplib socket socketserver sqlite3 ssl subprocess sys tempfile threading time urllib "
    "webbrowser".split()
)
"""What reaches out of the process, or into it. `urllib.parse` alone is harmless."""
FORBIDDEN_CALLS = frozenset({"open", "exec", "eval", "compile", "__import__", "input", "print", "breakpoint"})
FORBIDDEN_METHODS = frozenset(
    "read_text read_bytes write_text write_bytes is_file is_dir iterdir glob rglob unlink mkdir touch environ getenv "  # noqa: SIM905
    "system popen utcnow today".split()
)
PERMISSION = re.compile(r"[a-z0-9-]+:[A-Z][A-Za-z0-9]+")

each_check = pytest.mark.parametrize(
    "check", [check for module in check_modules() for check in module.checks], ids=lambda check: check.id
)


def faults(source: str) -> list[str]:
    """Everything in a check's source that would be I/O of its own."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"imports {alias.name}" for alias in node.names if _is_forbidden(alias.name)]
        elif isinstance(node, ast.ImportFrom) and _is_forbidden(node.module or ""):
            found.append(f"imports {node.module}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(f"calls {node.func.id}()")
        elif isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_METHODS:
            found.append(f"uses .{node.attr}")
        elif isinstance(node, ast.ExceptHandler) and _is_everything(node.type):
            found.append("catches everything")
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found.append("imports for type checkers only")
    return found


def _is_forbidden(module: str) -> bool:
    return module != "urllib.parse" and module.partition(".")[0] in FORBIDDEN_MODULES


def _is_everything(caught: ast.expr | None) -> bool:
    return caught is None or (isinstance(caught, ast.Name) and caught.id in ("Exception", "BaseException"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(CHECKS.resolve()).as_posix())
def test_no_check_does_io_or_swallows_errors(file: Path) -> None:
    assert faults(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import os.path", "imports os.path"),
        ("from urllib.request import urlopen", "imports urllib.request"),
        ("from urllib.parse import urlsplit", None),
        ("open('x')", "calls open()"),
        ("from pathlib import Path\nPath('x').read_text()", "uses .read_text"),
        ("try:\n    1\nexcept Exception:\n    pass", "catches everything"),
        ("try:\n    1\nexcept:\n    pass", "catches everything"),
        ("try:\n    1\nexcept ValueError:\n    pass", None),
    ],
)
def test_the_reading_of_sources_sees_io_where_it_is(source: str, fault: str | None) -> None:
    assert faults(source) == ([fault] if fault else [])


@each_check
def test_a_check_declares_the_permissions_of_what_it_asks_and_no_other(check: Check) -> None:
    asked = {action_of(operation) for operation in operations(check) - {SECRET_VALUES}}

    assert sorted(check.permissions) == sorted(asked)


@each_check
def test_permissions_are_written_as_iam_spells_them(check: Check) -> None:
    assert [name for name in check.permissions if not PERMISSION.fullmatch(name)] == []


@each_check
def test_what_is_asked_is_an_operation_that_the_sdk_of_aws_knows_and_a_read(check: Check) -> None:
    session = botocore.session.get_session()
    unknown = []
    for operation in sorted(operations(check) - {SECRET_VALUES, LOG_EVENTS}):
        service, _, name = operation.partition(".")
        if name not in session.get_service_model(service).operation_names or judge_read(operation, {}):
            unknown.append(operation)

    assert unknown == []
