from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.errors import ConfigurationError
from quub_audit.model.result import Result
from quub_audit.reporters import document, dump_result, load_result
from tests.reporters.results import CASES, large, not_ready, result_of, smallest

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("case", [case for case in CASES if case != "hostile"])
def test_what_is_written_is_read_back_equal(case: str) -> None:
    result = CASES[case]()

    assert load_result(dump_result(result)) == result


def test_hostile_text_is_written_readable_for_every_parser_and_then_stable() -> None:
    written = dump_result(CASES["hostile"]())

    assert b"\\ud800" not in written.lower()
    json.loads(written.decode("utf-8"))
    assert dump_result(load_result(written)) == written


def test_both_ways_of_writing_make_the_same_bytes() -> None:
    result = not_ready()
    odd = replace(result, service="\ud800")

    assert dump_result(odd).replace("\ufffd".encode(), b"orders", 1) == dump_result(result)


def test_the_keys_of_the_contract_stand_in_the_order_of_the_model() -> None:
    written = json.loads(dump_result(not_ready()))

    assert list(written)[:3] == ["schema", "verdict", "exit_code"]
    assert {"service", "environment", "stage", "commit", "started_at", "finished_at", "duration_s"} <= set(written)
    assert written["tool"]["version"] == "1.2.3"
    assert {"title", "digest"} <= set(written["checklist"])
    assert written["evidence"]["digest"].startswith("sha256:")
    assert written["summary"]["fail"] == 4
    assert written["started_at"] == "2026-03-02T09:30:00Z"
    item = written["items"][0]
    assert {
        *("id", "title", "section", "group", "severity", "blocking", "status", "waived_from", "reason", "duration_s"),
        *("findings", "remediation", "references", "waiver", "attestation"),
    } <= set(item)
    finding = item["findings"][0]
    assert {"status", "check", "subject", "grade", "source", "observed", "expected", "message"} <= set(finding)
    assert (finding["status"], finding["grade"]) == ("fail", "repository")
    assert finding["location"] == {"file": "src/config/secrets.ts", "line": 14, "column": 9, "commit": None}


def test_ten_thousand_findings_are_read_back_equal() -> None:
    result = large()

    assert load_result(dump_result(result)) == result


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_duration_that_is_no_number_is_not_written(number: float) -> None:
    with pytest.raises(ValueError, match="no finite number"):
        dump_result(replace(smallest(), duration_s=number))


def mistakes(data: bytes | Path) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_result(data)
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no complete JSON"),
        (b"\xff\xfe", "is no complete JSON"),
        (b"[" * 100_000, "is no complete JSON: recursion limit"),
        (b'{"schema": NaN}', "is no complete JSON"),
        (b"[]", "a JSON array, expected the object of a result"),
        (b'"text"', "a JSON string, expected the object of a result"),
        (b"null", "a JSON null, expected the object of a result"),
        (b"{}", "no schema is named"),
        (b'{"schema": "quub-audit/result/99"}', "the schema is 'quub-audit/result/99', this version reads"),
        (b'{"schema": ["quub-audit/result/1"]}', "the schema is ["),
        (b'{"schema": "quub-audit/result/1"}', "verdict: Field required"),
    ],
)
def test_a_document_that_is_no_result_is_refused_with_its_reason(data: bytes, said: str) -> None:
    assert any(said in mistake for mistake in mistakes(data))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda doc: doc.update(surprise=1), "surprise: unknown key"),
        (lambda doc: doc["items"][0].update(surprise=1), "items.0.surprise: unknown key"),
        (lambda doc: doc["items"][0].update(status="passed"), "items.0.status: Input should be 'pass', 'fail'"),
        (lambda doc: doc["items"][0].update(blocks="no"), "items.0.blocks: Input should be a valid boolean"),
        (lambda doc: doc["items"][0]["findings"][0].update(subject=" "), "a finding needs a subject"),
        (lambda doc: doc["items"][0]["findings"][0].update(attempts="2"), "attempts: Input should be a valid integer"),
        (lambda doc: doc.update(items={}), "items: Input should be a valid "),
        (lambda doc: doc.update(started_at="2026-03-02T09:30:00"), "started_at: no time zone"),
        (lambda doc: doc.update(exit_code=0), "exit_code: 0 does not go with the verdict not_ready"),
        (lambda doc: doc.update(exit_code=7), "exit_code: Input should be 0, 1, 2, 3 or 130"),
        (lambda doc: doc["summary"].update({"pass": 50}), "summary: does not count the items"),
        (lambda doc: doc.update(items=doc["items"][:-1]), "summary: does not count the items"),
        (lambda doc: doc["items"].append(doc["items"][0]), "stands 2 times"),
    ],
)
def test_a_result_that_was_tampered_with_is_refused_and_the_place_is_named(change: Change, said: str) -> None:
    written = json.loads(dump_result(not_ready()))
    change(written)

    assert any(said in mistake for mistake in mistakes(json.dumps(written).encode()))


def test_an_advisory_result_may_say_exit_code_0() -> None:
    assert load_result(dump_result(CASES["advisory"]())).exit_code.value == 0


def test_many_mistakes_are_cut_and_counted() -> None:
    written = json.loads(dump_result(large(items=60, findings=60)))
    for entry in written["items"]:
        entry["severity"] = "worst"

    said = mistakes(json.dumps(written).encode())

    assert len(said) == document.MISTAKES_SHOWN + 1
    assert said[-1] == "and 40 more mistakes"


def test_a_file_is_named_in_its_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text("{")

    assert mistakes(file)[0].startswith(f"{file}: is no complete JSON")
    assert mistakes(tmp_path / "absent.json") == (
        f"{tmp_path / 'absent.json'}: cannot be read: No such file or directory",
    )
    assert mistakes(tmp_path) == (f"{tmp_path}: cannot be read: Is a directory",)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.json"
    with file.open("wb") as out:
        out.truncate(document.MAX_BYTES + 1)

    assert mistakes(file) == (f"{file}: larger than 64 MiB, so it was not read",)


WRITTEN = dump_result(not_ready())


@given(st.integers(0, len(WRITTEN) - 3))
def test_a_truncated_result_is_refused(length: int) -> None:
    assert mistakes(WRITTEN[:length])


@given(st.integers(0, len(WRITTEN) - 1), st.binary(min_size=1, max_size=3))
def test_a_damaged_result_is_refused_or_whole_never_a_crash(at: int, damage: bytes) -> None:
    damaged = WRITTEN[:at] + damage + WRITTEN[at + len(damage) :]

    assert isinstance(attempt(damaged), Result | ConfigurationError)


def attempt(data: bytes) -> Result | ConfigurationError:
    """What reading comes to; any other exception escapes."""
    try:
        return load_result(data)
    except ConfigurationError as error:
        return error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(WRITTEN))), json_values)
def test_any_value_under_any_key_is_refused_or_read(key: str, value: object) -> None:
    written = json.loads(WRITTEN) | {key: value}

    assert isinstance(attempt(json.dumps(written).encode()), Result | ConfigurationError)


def test_an_empty_result_round_trips() -> None:
    result = CASES["refused"]()

    assert result.items == ()
    assert load_result(dump_result(result)) == result
    assert result_of([], result.verdict, "x").summary == {
        "pass": 0,
        "fail": 0,
        "error": 0,
        "inconclusive": 0,
        "waived": 0,
        "not_applicable": 0,
    }
