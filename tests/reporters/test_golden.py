from __future__ import annotations

import pytest

from quub_audit.reporters import FORMATS
from tests.reporters.golden import FOLDER, names, produced

HELD = sorted(path.name for path in FOLDER.iterdir() if path.suffix.removeprefix(".") in FORMATS)


@pytest.mark.parametrize("name", HELD)
def test_report_equals_its_golden_file(name: str) -> None:
    assert produced(name) == (FOLDER / name).read_text(encoding="utf-8")


def test_every_case_has_a_golden_file_of_every_format_and_none_is_left_over() -> None:
    assert sorted(names()) == HELD
