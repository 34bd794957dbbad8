"""waivers.yaml and attestations.yaml: what they say, and each mistake with its place."""
# ruff: noqa: E501  each message is a line

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.config.dispensations import _person
from quub_audit.model.dispensation import OpenFindings
from tests.config.folder import SMALLEST, TODAY, Folder

HTTPS = "security.network.https-enforced"
ROTATION = "security.api-keys.rotation-schedule"


def waiver(**otherwise: str) -> str:
    """A list of one waiver, its keys on lines of their own, counted from 2: item, reason, requester ..."""
    entry = {
        "item": ROTATION,
        "reason": "the vendor rotates in January",
        "requester": "Ada Lovelace",
        "approver": "grace@example.com",
        "ticket": "OPS-7",
        "expires": "2026-12-10",
    } | otherwise
    lines = [f"{key}: {value}" for key, value in entry.items() if value]
    return "  - " + "\n    ".join(lines) + "\n"


def attestation(**otherwise: str) -> str:
    """A list of one attestation, its keys on lines of their own, counted from 2."""
    entry = {
        "item": ROTATION,
        "statement": "The key was rotated by hand.",
        "by": "Ada Lovelace",
        "performed_on": "2026-11-01",
        "expires": "2027-02-01",
        "reference": "OPS-8",
    } | otherwise
    lines = [f"{key}: {value}" for key, value in entry.items() if value]
    return "  - " + "\n    ".join(lines) + "\n"


WAIVERS = {
    "no list": ("waivers: none\n", ['waivers.yaml:1:10: waivers: "none", expected a list of mappings']),
    "another root": (
        "waiver: []\n",
        [
            "waivers.yaml:1:1: waiver: unknown key; did you mean waivers?",
            "waivers.yaml:1:1: waivers: missing, expected a list of mappings",
        ],
    ),
    "an approver who is the requester, written otherwise": (
        "waivers:\n" + waiver(requester="ada@Example.com", approver='"  ADA@example.COM "'),
        ["waivers.yaml:5:15: waivers[0].approver: the requester, expected somebody else"],
    ),
    "an approver who is the requester, with other spaces": (
        "waivers:\n" + waiver(approver="ada  lovelace"),
        ["waivers.yaml:5:15: waivers[0].approver: the requester, expected somebody else"],
    ),
    "nothing but an item": (
        f"waivers: [{{item: {ROTATION}}}]\n",
        [
            "waivers.yaml:1:11: waivers[0].approver: missing, expected one line of text",
            "waivers.yaml:1:11: waivers[0].expires: missing, expected a date such as 2026-12-31",
            "waivers.yaml:1:11: waivers[0].reason: missing, expected a reason in at least three words",
            "waivers.yaml:1:11: waivers[0].requester: missing, expected one line of text",
            "waivers.yaml:1:11: waivers[0].ticket: missing, expected one line of text",
        ],
    ),
    "a key that is written otherwise": (
        "waivers:\n" + waiver(expiry="2026-12-01", expires=""),
        [
            "waivers.yaml:2:5: waivers[0].expires: missing, expected a date such as 2026-12-31",
            "waivers.yaml:7:5: waivers[0].expiry: unknown key; did you mean expires?",
        ],
    ),
    "more days ahead than the severity allows": (
        "waivers:\n" + waiver(expires="2026-12-25") + waiver(item=HTTPS, expires="2026-12-09"),
        [
            "waivers.yaml:7:14: waivers[0].expires: 31 days ahead, expected 2026-12-24 at the latest: 30 days for high",
            "waivers.yaml:13:14: waivers[1].expires: 15 days ahead, expected 2026-12-08 at the latest: 14 days for critical",
        ],
    ),
    "the end of time": (
        "waivers:\n" + waiver(expires="9999-12-31"),
        [
            "waivers.yaml:7:14: waivers[0].expires: 2912115 days ahead, expected 2026-12-24 at the latest: 30 days for high"
        ],
    ),
    "an item that does not exist": (
        "waivers:\n" + waiver(item="security.network.https"),
        [
            "waivers.yaml:2:11: waivers[0].item: there is no such item in the checklist; did you mean security.network.https-enforced?"
        ],
    ),
    "two valid waivers for one thing": (
        "waivers:\n" + waiver() + waiver(ticket="OPS-9") + waiver(subject="one key"),
        [
            "waivers.yaml:8:11: waivers[1].item: waived twice, first in waivers.yaml:2, expected one valid waiver for an item and subject"
        ],
    ),
    "a subject that is not looked at": (
        "waivers:\n" + waiver(subject="one key", run="false"),
        ["waivers.yaml:9:10: waivers[0].run: false beside a subject, expected true: an item is evaluated as a whole"],
    ),
}


def dates(value: str, shown: str) -> tuple[str, list[str]]:
    return (
        "waivers:\n" + waiver(expires=value),
        [
            f"waivers.yaml:7:{5 if value[0] == '[' else 14}: waivers[0].expires: {shown}, expected a date such as 2026-12-31"
        ],
    )


WAIVERS |= {
    f"the date {value}": dates(value, shown)
    for value, shown in [
        ("2026-12-1", '"2026-12-1"'),
        ("20261201", "the number 20261201"),
        ('"20261201"', "8 digits"),
        ("2026-W49-2", '"2026-W49-2"'),
        ("2026-02-30", '"2026-02-30"'),
        ("01.12.2026", '"01.12.2026"'),
        ("2026-12-01 10:00:00", '"2026-12-01 10:00:00"'),
        ("2026-12-01T00:00:00Z", '"2026-12-01T00:00:00Z"'),
        ("tomorrow", '"tomorrow"'),
        ("true", "true"),
        ("~", "nothing"),
        ("[2026-12-01]", "a list"),
        ("\u0662\u0660\u0662\u0666-12-01", '"\u0662\u0660\u0662\u0666-12-01"'),
    ]
}

ATTESTATIONS = {
    "valid for longer than a year": (
        "attestations:\n" + attestation(expires="2027-11-02"),
        [
            "attestations.yaml:6:14: attestations[0].expires: more than 365 days after performed_on, expected 2027-11-01 at the latest"
        ],
    ),
    "ended before it was done": (
        "attestations:\n" + attestation(expires="2026-10-31"),
        ["attestations.yaml:6:14: attestations[0].expires: before performed_on, expected a later day"],
    ),
    "done in the future": (
        "attestations:\n" + attestation(performed_on="2026-11-25"),
        ["attestations.yaml:5:19: attestations[0].performed_on: in the future, expected 2026-11-24 at the latest"],
    ),
    "an item that does not exist, and nothing said of it by nobody": (
        "attestations:\n" + attestation(item="security.api-keys.rotation", statement="''", by="", reference="' '"),
        [
            "attestations.yaml:2:5: attestations[0].by: missing, expected one line of text",
            "attestations.yaml:2:11: attestations[0].item: there is no such item in the checklist; did you mean security.api-keys.rotation-schedule?",
            'attestations.yaml:3:16: attestations[0].statement: "", expected text',
            'attestations.yaml:6:16: attestations[0].reference: " ", expected one line of text',
        ],
    ),
    "retested before it was done, with a digest that is none, hosts that are none, and findings that are not counted": (
        "attestations:\n"
        + attestation(
            report_sha256="ABC", scope="[https://a.example, a.example]", open_findings="{critical: -1, hig: 0}"
        )
        + attestation(by="grace", retested_on="2026-10-31")
        + attestation(by="lin", retested_on="2026-11-25"),
        [
            'attestations.yaml:8:20: attestations[0].report_sha256: "ABC", expected 64 hexadecimal digits in lower case',
            'attestations.yaml:9:13: attestations[0].scope[0]: "https://a.example", expected a host name such as api.example.com',
            "attestations.yaml:10:5: attestations[0].open_findings.high: missing, expected a whole number of at least 0",
            "attestations.yaml:10:31: attestations[0].open_findings.critical: the number -1, expected a whole number of at least 0",
            "attestations.yaml:10:35: attestations[0].open_findings.hig: unknown key; did you mean high?",
            "attestations.yaml:17:18: attestations[1].retested_on: before performed_on, expected that day or a later one",
            "attestations.yaml:24:18: attestations[2].retested_on: in the future, expected 2026-11-24 at the latest",
        ],
    ),
    "said twice": (
        "attestations:\n" + attestation() + attestation(by="ADA  Lovelace", reference="OPS-9"),
        ["attestations.yaml:8:11: attestations[1].item: attested twice, first in attestations.yaml:2"],
    ),
}

MISTAKES = {f"waiver: {name}": ({"waivers": text}, told) for name, (text, told) in WAIVERS.items()} | {
    f"attestation: {name}": ({"attestations": text}, told) for name, (text, told) in ATTESTATIONS.items()
}


@pytest.mark.parametrize(("files", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_was_expected(
    folder: Folder, files: dict[str, str], told: list[str]
) -> None:
    assert folder.mistakes(dict(files)) == told


def test_a_waiver_has_all_that_is_said_of_it(folder: Folder) -> None:
    folder.write(
        environments=SMALLEST, waivers="# reviewed\nwaivers:\n" + waiver(run="false") + waiver(subject="'a: b'")
    )

    first, second = folder.load().waivers

    assert (first.item, first.subject, first.reason) == (ROTATION, "", "the vendor rotates in January")
    assert (first.requester, first.approver, first.ticket) == ("Ada Lovelace", "grace@example.com", "OPS-7")
    assert (first.expires, first.run, first.place) == (date(2026, 12, 10), False, "waivers.yaml:3")
    assert (second.subject, second.run, second.place) == ("a: b", True, "waivers.yaml:10")


def test_the_last_day_that_is_allowed_is_allowed(folder: Folder) -> None:
    files = {
        "waivers": "waivers:\n" + waiver(expires="2026-12-24"),
        "attestations": "attestations:\n" + attestation(performed_on=TODAY.isoformat(), expires="2027-11-24"),
    }

    assert folder.mistakes(dict(files)) == []


def test_expired_ones_are_kept_for_the_engine_to_name(folder: Folder) -> None:
    folder.write(
        environments=SMALLEST,
        waivers="waivers:\n" + waiver(expires="2020-01-01") + waiver(),
        attestations="attestations:\n" + attestation(performed_on="2020-01-01", expires="2020-02-01") + attestation(),
    )

    configuration = folder.load()

    assert [entry.is_valid_on(TODAY) for entry in configuration.waivers] == [False, True]
    assert [entry.is_valid_on(TODAY) for entry in configuration.attestations] == [False, True]


def test_an_attestation_has_all_that_is_said_of_it(folder: Folder) -> None:
    folder.write(environments=SMALLEST, attestations="attestations:\n" + attestation(organisation="Example Ltd"))

    (entry,) = folder.load().attestations

    assert (entry.item, entry.statement, entry.by) == (ROTATION, "The key was rotated by hand.", "Ada Lovelace")
    assert (entry.performed_on, entry.expires) == (date(2026, 11, 1), date(2027, 2, 1))
    assert (entry.organisation, entry.reference, entry.place) == ("Example Ltd", "OPS-8", "attestations.yaml:2")
    assert (entry.method, entry.scope, entry.report_sha256, entry.open_findings) == ("", (), "", None)


def test_a_test_is_attested_with_its_scope_and_what_is_open_and_the_environment_has_it(folder: Folder) -> None:
    told = {
        "method": "WSTG",
        "scope": "[api.example.com, '*.example.net']",
        "report_sha256": f"'{'0' * 64}'",
        "open_findings": "{critical: 0, high: 1, low: 3}",
        "retested_on": "2026-11-20",
    }
    folder.write(environments=SMALLEST, attestations="attestations:\n" + attestation(**told))

    configuration = folder.load()

    (entry,) = configuration.environment.attestations
    assert configuration.attestations == (entry,)
    assert (entry.method, entry.scope, entry.report_sha256) == ("WSTG", ("api.example.com", "*.example.net"), "0" * 64)
    assert (entry.open_findings, entry.retested_on) == (OpenFindings(critical=0, high=1, low=3), date(2026, 11, 20))


def test_an_item_that_nobody_may_waive_is_waived_by_nobody(folder: Folder) -> None:
    files = {
        "team": f"version: '1'\ntitle: T\nextends: builtin\nchange: {{{ROTATION}: {{waivable: false}}}}\n",
        "waivers": "waivers:\n" + waiver(),
    }

    assert folder.mistakes(dict(files)) == [
        "waivers.yaml:2:11: waivers[0].item: the checklist lets nobody waive this item"
    ]


def test_an_item_that_was_dropped_needs_no_waiver(folder: Folder) -> None:
    files = {
        "team": f"version: '1'\ntitle: T\nextends: builtin\ndrop: [{{id: {ROTATION}, reason: it is done elsewhere}}]\n",
        "waivers": "waivers:\n" + waiver(),
    }

    assert folder.mistakes(dict(files)) == [
        "waivers.yaml:2:11: waivers[0].item: the checklist has dropped this item, expected one that it has"
    ]


def test_the_severity_of_the_audited_stage_limits_a_waiver(folder: Folder) -> None:
    folder.write(
        environments=SMALLEST + "  dev: {stage: development}\n",
        team=f"version: '1'\ntitle: T\nextends: builtin\nchange: {{{ROTATION}: {{stages: {{development: {{severity: low}}}}}}}}\n",
        waivers="waivers:\n" + waiver(expires="2027-02-20"),
    )

    assert len(folder.load("dev").waivers) == 1
    assert folder.mistakes({}) == [
        "waivers.yaml:7:14: waivers[0].expires: 88 days ahead, expected 2026-12-24 at the latest: 30 days for high"
    ]


def test_files_beside_environments_are_found_and_their_absence_is_fine(folder: Folder) -> None:
    folder.write(environments=SMALLEST)
    alone = folder.load()
    folder.write(waivers="waivers:\n" + waiver(), attestations="attestations: []\n")

    together = folder.load()

    assert (alone.waivers, alone.attestations) == ((), ())
    assert (len(together.waivers), together.attestations) == (1, ())


@given(name=st.text(min_size=1), spaces=st.sampled_from([" ", "  ", "\t", "\u3000"]))
def test_case_and_spaces_make_no_other_person(name: str, spaces: str) -> None:
    assert _person(f"{spaces}{name.upper()}{spaces}{spaces}x") == _person(f"{name.upper().lower()} X")
