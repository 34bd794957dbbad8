"""One frozen result behind all: what every format says of it is the same, and the same as the exit code."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pytest

from quub_audit.model.result import Result
from quub_audit.model.status import Status
from quub_audit.reporters import FORMATS, render
from tests.reporters.results import CASES, large

EVERY = {**{case: make for case, make in CASES.items() if case != "hostile"}, "large": large}
LABELS = {status.value.replace("_", " ").capitalize(): status.value for status in Status}


@dataclass(frozen=True)
class Said:
    """What a report says: its exit code, its counts, and the status of each item by id or title."""

    exit_code: int
    counts: dict[str, int] | None
    statuses: dict[str, str]


def text_of(result: Result, format_name: str) -> str:
    report = render(result, format_name)
    return report.decode() if isinstance(report, bytes) else report


def read_json(result: Result) -> Said:
    document = json.loads(text_of(result, "json"))
    return Said(
        document["exit_code"], document["summary"], {entry["id"]: entry["status"] for entry in document["items"]}
    )


def read_sarif(result: Result) -> Said:
    run = json.loads(text_of(result, "sarif"))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    return Said(
        run["invocations"][0]["exitCode"],
        run["properties"]["summary"],
        {rule["id"]: rule["properties"]["status"] for rule in rules},
    )


def read_html(result: Result) -> Said:
    html = text_of(result, "html")
    shares = re.findall(r'<li class="(\w+)(?: none)?"><b>(\d+)</b>', html)
    items = re.findall(r'<details class="item (\w+)" id="([^"]+)"', html)
    (code,) = set(re.findall(r"exit code (\d+)", html))
    return Said(
        int(code), {key: int(number) for key, number in shares} or None, {name: status for status, name in items}
    )


def read_markdown(result: Result) -> Said:
    text = text_of(result, "markdown")
    (code,) = re.findall(r"exit code (\d+)", text.split("\n\n")[1])
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("| ")]
    counts = (
        {LABELS[label]: int(number) for label, number in zip(rows[0][:-1], rows[2][:-1], strict=True)} if rows else None
    )
    titles = {entry.title: entry.id for entry in result.items}
    return Said(int(code), counts, {titles[row[2]]: LABELS[row[0]] for row in rows[5:]})


def read_junit(result: Result) -> Said:
    root = ET.fromstring(text_of(result, "junit"))
    code = {entry.get("value") for entry in root.iter("property") if entry.get("name") == "exit_code"}
    statuses = {}
    for case in root.iter("testcase"):
        if case.get("classname") == "quub_audit.run":
            continue
        line = re.search(r"^Status: (\w+)", case[0].text or "", re.MULTILINE) if len(case) else None
        statuses[case.get("name", "").split(" ")[0]] = line[1] if line else "pass"
    return Said(int(code.pop() or ""), None, statuses)


READERS = {
    "json": read_json,
    "junit": read_junit,
    "sarif": read_sarif,
    "markdown": read_markdown,
    "html": read_html,
}


def test_every_format_has_its_reader_here() -> None:
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("format_name", sorted(READERS))
@pytest.mark.parametrize("case", sorted(EVERY))
def test_ids_statuses_counts_and_exit_code_are_those_of_the_result(case: str, format_name: str) -> None:
    result = EVERY[case]()

    said = READERS[format_name](result)

    assert said.exit_code == result.exit_code.value
    assert said.statuses == {entry.id: entry.status.value for entry in result.items}
    assert said.counts in (None, dict(result.summary))
    assert Counter(said.statuses.values()) == Counter({key: number for key, number in result.summary.items() if number})


@pytest.mark.parametrize("format_name", ["html", "markdown", "json", "sarif"])
def test_the_counts_are_told_wherever_there_are_items(format_name: str) -> None:
    assert READERS[format_name](large()).counts == dict(large().summary)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("format_name", sorted(READERS))
def test_each_status_appears_in_each_format(format_name: str, status: Status) -> None:
    assert status.value in READERS[format_name](CASES["not-ready"]()).statuses.values()


@pytest.mark.parametrize("format_name", sorted(FORMATS))
@pytest.mark.parametrize("case", [*sorted(EVERY), "hostile"])
def test_the_same_result_gives_the_same_bytes(case: str, format_name: str) -> None:
    make = {**EVERY, **CASES}[case]

    assert render(make(), format_name) == render(make(), format_name)
