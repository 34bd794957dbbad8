"""Golden reports: `python -m tests.reporters.golden` writes them anew; review the difference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from quub_audit.reporters import FORMATS, render
from tests.reporters.results import CASES

FOLDER = Path(__file__).parent.parent / "golden"
KEPT = tuple(case for case in CASES if case != "hostile")
"""What the hostile case must not do is proven case by case; half a megabyte of it would be read by nobody."""


def name_of(case: str, format_name: str) -> str:
    return f"{case}.{CASES[case]().exit_code.value}.{format_name}"


def names() -> Iterator[str]:
    """Every golden file there should be."""
    return (name_of(case, format_name) for case in KEPT for format_name in FORMATS)


def produced(name: str) -> str:
    """What the program makes of the case now, without the style and script that every HTML report carries."""
    case, _, format_name = name.rsplit(".", 2)
    report = render(CASES[case](), format_name)
    text = report.decode() if isinstance(report, bytes) else report
    text = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", text, flags=re.DOTALL)
    return re.sub(r"'sha256-[^']+'", "'sha256-…'", text)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = set(names())
    for old in FOLDER.iterdir():
        if old.suffix.removeprefix(".") in FORMATS and old.name not in wanted:
            old.unlink()
    for name in wanted:
        (FOLDER / name).write_text(produced(name), encoding="utf-8")


if __name__ == "__main__":
    main()
