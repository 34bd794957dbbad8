"""The service whose tests made the kept files of pytest, coverage.py and mutmut, as a repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quub_audit.checks.testing.unit._code import Code
from quub_audit.checks.testing.unit._measured import Measured, measure
from quub_audit.model.environment import Environment, Repository
from quub_audit.sdk import CodeFile, Coverage, FileCoverage, Origin
from tests.checks.testing.integration.results import artifact, environment

SOURCES = {
    "pyproject.toml": "[project]\nname = 'orders'\n",
    "orders/__init__.py": "",
    "orders/money.py": '''"""Amounts."""


def fee(amount: int) -> int:
    if amount <= 0:
        raise ValueError("amount")
    if amount > 1000:
        return 5
    return 1


def refund(amount: int) -> int:
    return -amount
''',
    "orders/place.py": """from orders.money import fee


class Book:
    def __init__(self) -> None:
        self.orders: list[int] = []

    def place(self, amount: int) -> int:
        total = amount + fee(amount)
        self.orders.append(total)
        return total

    def cancel(self) -> None:
        if self.orders:
            self.orders.pop()

    def debug(self) -> None:  # pragma: no cover
        print(self.orders)
""",
    "orders/unused.py": "def never() -> int:\n    return 1\n",
    "tests/test_orders.py": "from orders.money import fee\n\n\ndef test_fee():\n    assert fee(1) == 1\n",
}


def write(folder: Path, files: Mapping[str, str]) -> Repository:
    """A folder with these files, which git need not know."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Repository(name="orders", path=str(folder))


def orders(
    folder: Path, run: str = "", *, purposes: tuple[Any, ...] = ("coverage", "unit-tests"), **more: Any
) -> Environment:
    """The service with the kept files of the run that is good (`-passed`) or, by default, of the one that is not."""
    good = bool(run)
    files = {
        "coverage": f"coverage-py-7.17.3{'-covered' if good else ''}.json",
        "unit-tests": f"pytest-9.2.0{run}.xml",
        "mutation": f"mutmut-3.8.1{'-passed' if good else ''}.json",
    }
    artifacts = [artifact(files[purpose], purpose=purpose) for purpose in purposes]
    return environment(*artifacts, repositories=(write(folder / "orders", SOURCES),), **more)


def file(path: str, lines: int, ran: int, **more: Any) -> FileCoverage:
    """A file whose first lines ran."""
    spans = {"covered": ((1, ran),) if ran else (), "missed": ((ran + 1, lines),) if ran < lines else ()}
    return FileCoverage(path=path, lines=lines, lines_covered=ran, **{**spans, **more})


def report(*files: FileCoverage, name: str = "coverage.json", **more: Any) -> Coverage:
    return Coverage(origin=Origin(file=name), files=files, **more)


def code(*paths: str, packages: tuple[str, ...] = ("",)) -> Code:
    """A repository of these files; those in `tests` do not run in production."""
    sources = {
        path: CodeFile(path=path, size_bytes=400, is_tracked=True) for path in paths if not path.startswith("tests/")
    }
    return Code(
        repository=Repository(name="orders", path="/srv/app"),
        all=paths,
        sources=sources,
        tests=frozenset(paths) - sources.keys(),
        packages=tuple(sorted(packages, key=len, reverse=True)),
    )


def measured(*reports: Coverage, of: Code) -> Measured:
    return measure(reports, of)
