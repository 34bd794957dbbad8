"""`list`, `explain`, `validate`, `schema`: what needs no target."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any, Literal

import jsonschema
import pytest

from quub_audit.cli.explain import type_name
from tests.cli.shop import COMMAND, Shop, environ

PLUGIN = '''"""Whether the shop keeps what it sold.

Pass          the ledger is kept for `min_days`
Fail          it is kept for less; the finding says for how long,
              and where
Inconclusive  there is no shop
Source        the shop's own rules

It is kept in two places.
"""
from quub_audit.sdk import *

class Wanted(Parameters):
    """What the checklist may set under `with:`."""

    min_days: int = 7
    """Days. The shop's own rules."""

    places: tuple[str, ...] = ("front", "back")
    """Where the ledger is."""

@check("The ledger is kept long enough", each=Environment, permissions=["shop:Read"])
def ledger(subject: Environment, wanted: Wanted) -> Finding:
    return Finding.of(True, subject="ledger", observed="there", expected="there")

@check("A sale finds its way into the ledger", each=Endpoint, active=True)
def sale(subject: Endpoint, http: Http) -> Finding:
    return Finding.of(True, subject="ledger", observed="there", expected="there")
'''
GIVEN = ("--checklist", "checklist.yaml", "--checks-dir", "checks")


@pytest.fixture
def ledger(shop: Shop) -> Shop:
    """A shop with one richly described item beside two plain ones."""
    (shop.folder / "checks" / "shop" / "facts" / "ledger.py").write_text(PLUGIN, encoding="utf-8")
    shop.write(
        "holds",
        "ledger",
        "fails",
        items={
            "ledger": "with: {min_days: 30}\nowner: keepers\nreferences: [the shop's own rules]\nwaivable: false\n"
            "stages:\n  staging:\n    severity: low\n    blocking: false",
            "fails": "check: shop.facts.fails/here",
        },
    )
    return shop


def test_items_are_listed_by_section_and_group_with_severity_floor_and_checks(ledger: Shop) -> None:
    ran = ledger.run("list", *GIVEN, code=0)

    assert ran.out == (
        "Shop\n"
        "  Facts\n"
        "    shop.facts.holds   high  control plane  The shop holds\n"
        "    shop.facts.ledger  high  control plane  The shop ledger\n"
        "    shop.facts.fails   high  control plane  The shop fails  (check shop.facts.fails/here)\n"
    )
    assert ran.err == "3 of 3 items of The shop, version 1\n"


def test_a_stage_shows_its_own_severity(ledger: Shop) -> None:
    ran = ledger.run("list", *GIVEN, "--stage", "staging", code=0)

    assert "    shop.facts.ledger  low   control plane  The shop ledger  (does not block)\n" in ran.out


def test_a_tag_narrows_the_list_and_an_unknown_one_is_a_mistake(ledger: Shop) -> None:
    assert "shop.facts.holds" not in ledger.run("list", *GIVEN, "--tag", "ledger", code=0).out
    assert (
        "--tag ledge: no item carries it; did you mean ledger?"
        in ledger.run("list", *GIVEN, "--tag", "ledge", code=2).err
    )


def test_the_list_is_json_for_programs(ledger: Shop) -> None:
    document = json.loads(ledger.run("list", *GIVEN, "--format", "json", code=0).out)

    assert [item["id"] for item in document["items"]] == ["shop.facts.holds", "shop.facts.ledger", "shop.facts.fails"]
    assert document["items"][1]["with"] == {"min_days": 30}
    assert document["items"][2]["checks"] == ["shop.facts.fails/here"]


def test_the_shipped_checklist_is_listed_by_default(shop: Shop) -> None:
    assert "security.network.https-enforced" in shop.run("list", code=0).out


def test_a_reader_of_the_list_that_goes_away_is_no_error(shop: Shop) -> None:
    with subprocess.Popen(
        [COMMAND, "list", "--format", "json"],
        env=environ(shop.folder, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()

    assert process.returncode == 0
    assert said == b""


def test_an_item_is_explained_with_all_that_is_known_of_it(ledger: Shop) -> None:
    ran = ledger.run("explain", "ledger", *GIVEN, code=0)

    assert ran.out == (
        "shop.facts.ledger\n"
        "The shop ledger\n"
        "\n"
        "Section       Shop, Facts\n"
        "Severity      high; blocks the release unless it passes; cannot be waived\n"
        "Evidence      control plane or more direct, about one subject or more\n"
        "Owner         keepers\n"
        "Tags          ledger\n"
        "\n"
        "Whether the shop keeps what it sold.\n"
        "\n"
        "Pass          the ledger is kept for `min_days`\n"
        "Fail          it is kept for less; the finding says for how long, and where\n"
        "Inconclusive  there is no shop\n"
        "Source        the shop's own rules\n"
        "\n"
        "It is kept in two places.\n"
        "\n"
        "Checks\n"
        "  shop.facts.ledger/ledger\n"
        "    The ledger is kept long enough\n"
        "    judges        the environment\n"
        "    evidence      control plane\n"
        "    permissions   shop:Read\n"
        "  shop.facts.ledger/sale\n"
        "    A sale finds its way into the ledger\n"
        "    judges        endpoints; needs endpoints in environments.yaml (active: only with --allow-active)\n"
        "    evidence      live\n"
        "\n"
        "Parameters, under `with:`\n"
        "  min_days: whole number = 7, set to 30\n"
        "    Days. The shop's own rules.\n"
        '  places: list of text = ["front", "back"]\n'
        "    Where the ledger is.\n"
        "\n"
        "How to mend it\n"
        "  Mend the shop.\n"
        "\n"
        "References\n"
        "  the shop's own rules\n"
    )


def test_the_explanation_is_json_for_programs(ledger: Shop) -> None:
    document = json.loads(ledger.run("explain", "shop.facts.ledger", *GIVEN, "--format", "json", code=0).out)

    (module,) = document["modules"]
    assert [check["active"] for check in module["checks"]] == [False, True]
    assert module["parameters"][0] == {
        "name": "min_days",
        "type": "whole number",
        "doc": "Days. The shop's own rules.",
        "default": 7,
        "value": 30,
    }


def test_one_check_of_a_module_is_explained_alone(ledger: Shop) -> None:
    document = json.loads(ledger.run("explain", "shop.facts.fails", *GIVEN, "--format", "json", code=0).out)

    assert [check["id"] for check in document["modules"][0]["checks"]] == ["shop.facts.fails/here"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop.facts.hold", "there is no item shop.facts.hold in The shop; did you mean shop.facts.holds?"),
        ("shop.fact.ledgers", "did you mean shop.facts.ledger?"),
        ("ledgr", "did you mean shop.facts.ledger?"),
        ("utterly-else", "see `quub-audit list`"),
    ],
)
def test_an_unknown_item_is_answered_with_the_nearest(ledger: Shop, name: str, said: str) -> None:
    ran = ledger.run("explain", name, *GIVEN, code=2)

    assert said in ran.err
    assert ran.out == ""
    assert ran.last_line == "exit code 2, a mistake in the command or in a file"


def test_a_plugin_that_cannot_be_imported_is_named_in_its_items_explanation(shop: Shop) -> None:
    shop.write("unreadable")

    ran = shop.run("explain", "unreadable", *GIVEN)

    assert "SystemExit: at import" in ran.out + ran.err


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "whole number"),
        (float, "number"),
        (bool, "true or false"),
        (str | None, "text or nothing"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[str, ...], "list of text"),
        (frozenset[int], "list of whole number"),
        (dict[str, int], "map from text to whole number"),
        (Mapping[str, Any], "map from text to Any"),
        (tuple[Literal["a"], ...] | None, "list of one of a or nothing"),
    ],
)
def test_types_are_named_as_people_write_them(annotation: Any, name: str) -> None:
    assert type_name(annotation) == name


def test_files_without_a_mistake_are_named_with_what_was_read(shop: Shop) -> None:
    shop.write("holds", "fails")

    ran = shop.run("validate", *GIVEN, code=0)

    assert ran.out == (
        "checklist     checklist.yaml: 2 items\n"
        "environments  environments.yaml: shop in production, staging\n"
        "waivers       no file: 0\n"
        "attestations  no file: 0\n"
    )
    assert ran.err == ""


def test_every_mistake_of_every_file_is_told_at_once(shop: Shop) -> None:
    shop.write("holds")
    (shop.folder / "environments.yaml").write_text("service: shop\nenvironments:\n  production:\n    stag: x\n")
    (shop.folder / "waivers.yaml").write_text("waivers:\n  - item: shop.facts.holds\n    wat: 1\n")

    ran = shop.run("validate", *GIVEN, code=2)

    *mistakes, last = ran.err.splitlines()
    assert all(re.match(r"(environments|waivers)\.yaml:\d+:\d+: \S", mistake) for mistake in mistakes), mistakes
    assert any(mistake.startswith("environments.yaml:4:") for mistake in mistakes)
    assert any(mistake.startswith("waivers.yaml:") for mistake in mistakes)
    assert last == "exit code 2, a mistake in the command or in a file"
    assert ran.out == ""


@pytest.mark.parametrize("name", ["checklist", "environments", "waivers", "attestations", "result"])
def test_a_schema_is_printed_that_is_one(shop: Shop, name: str) -> None:
    schema = json.loads(shop.run("schema", name, code=0).out)

    jsonschema.Draft202012Validator.check_schema(schema)


def test_an_unknown_schema_is_answered_with_the_nearest(shop: Shop) -> None:
    assert "there is no schema waiver; did you mean waivers?" in shop.run("schema", "waiver", code=2).err
    assert "there are checklist, environments, waivers" in shop.run("schema", "zzz", code=2).err
