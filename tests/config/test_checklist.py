"""checklist.yaml: what is shipped, what a team's own may say, and each mistake with its place."""
# ruff: noqa: E501  each message is a line

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from quub_audit.config import load_checklist
from quub_audit.config.checklist import builtin_path
from quub_audit.errors import ConfigurationError
from quub_audit.model.checklist import DroppedItem
from quub_audit.model.status import Grade, Severity
from quub_audit.registry import Registry
from tests.config.folder import SMALLEST, Folder

SHIPPED = yaml.safe_load(builtin_path().read_text(encoding="utf-8"))
ITEMS: list[str] = [
    item["id"] for section in SHIPPED["sections"] for group in section["groups"] for item in group["items"]
]
SECURITY = [
    "security.api-keys.production-keys-generated",
    "security.api-keys.stored-in-secret-manager",
    "security.api-keys.separate-per-environment",
    "security.api-keys.ip-allowlist",
    "security.api-keys.rotation-schedule",
    "security.authentication.admin-mfa",
    "security.authentication.jwt-lifetime",
    "security.authentication.refresh-token-rotation",
    "security.authentication.session-timeout",
    "security.network.https-enforced",
    "security.network.tls-minimum-version",
    "security.network.certificate-pinning",
    "security.network.firewall-rules",
    "security.network.ddos-protection",
    "security.data-protection.encryption-at-rest",
    "security.data-protection.pii-masked-in-logs",
    "security.data-protection.backup-encryption",
    "security.data-protection.retention-policy",
]
"""What other teams' files name; more may come after them, and none goes."""


def shipped_line(text: str) -> int:
    """Where `text` stands in the shipped checklist, counted from 1."""
    lines = builtin_path().read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if line.endswith(text))


def team(items: str = "", head: str = "") -> str:
    """A checklist of its own: `items` are lines of a list of items, counted from 8 (and the lines of `head`)."""
    return (
        f"version: '1'\ntitle: Team\n{head}sections:\n  - title: Orders\n    groups:\n      - title: Queues\n        items:\n"
        + "".join(f"          {line}\n" for line in items.strip("\n").splitlines())
    )


def extended(text: str) -> str:
    """A checklist that extends the shipped one; the lines of `text` are counted from 4."""
    return f"version: '1'\ntitle: Team\nextends: builtin\n{text.lstrip()}"


QUEUE = "id: team.orders.queue-depth, title: Depth, severity: low"
DEPTH = "check: team.orders.queue-depth/depth"

MISTAKES = {
    "neither items nor a base": (
        {"team": "version: '1'\ntitle: Team\n"},
        ["team.yaml:1:1: sections: missing, expected at least one section, or `extends`"],
    ),
    "a change of nothing": (
        {"team": team(f"- {{{QUEUE}, {DEPTH}}}", head="change: {a.b.c: {severity: low}}\n")},
        ["team.yaml:3:1: change: there is nothing to do this to, expected `extends`"],
    ),
    "a version that is a number": (
        {"team": extended("").replace("'1'", "1.0")},
        ["team.yaml:1:10: version: the number 1.0, expected one line of text: put it in quotes"],
    ),
    "waivers for longer than any may live": (
        {"team": extended("max_waiver_days: {critical: 91, hihg: 3, low: 0}\n")},
        [
            "team.yaml:4:29: max_waiver_days.critical: the number 91, expected a whole number from 1 to 90",
            "team.yaml:4:33: max_waiver_days.hihg: unknown key; did you mean high?",
            "team.yaml:4:47: max_waiver_days.low: the number 0, expected a whole number from 1 to 90",
        ],
    ),
    "an empty group": (
        {"team": "version: '1'\ntitle: Team\nsections: [{title: Orders, groups: [{title: Queues, items: []}]}]\n"},
        ["team.yaml:3:53: sections[0].groups[0].items: an empty list, expected a list of mappings, at least one"],
    ),
    "an item without what it needs": (
        {"team": team("- id: team.orders.queue-depth\n- {title: X, severity: low}")},
        [
            "team.yaml:8:13: team.orders.queue-depth.severity: missing, expected critical, high, medium or low",
            "team.yaml:8:13: team.orders.queue-depth.title: missing, expected one line of text",
            "team.yaml:9:13: sections[0].groups[0].items[1].id: missing, expected an item's id such as security.network.https-enforced",
        ],
    ),
    "ids of other forms": (
        {
            "team": team(
                "- {id: Queue Depth, title: X, severity: low}\n- {id: orders.queue_depth, title: X, severity: low}"
            )
        },
        [
            'team.yaml:8:18: ["Queue Depth"].id: "Queue Depth", expected an item\'s id such as security.network.https-enforced',
            'team.yaml:9:18: orders.queue_depth.id: "orders.queue_depth", expected an item\'s id such as security.network.https-enforced',
        ],
    ),
    "values of an item": (
        {
            "team": team(
                f"""
- id: team.orders.queue-depth
  title: Depth
  severity: hi
  {DEPTH}
  checks: [team.orders.queue-depth]
  min_evidence: control-plane
  at_least: 0
  blocking: no
  tags: queue
  references: [a, a]
  stages: {{prod: {{severity: low}}, staging: {{title: x, min_evidence: liv}}}}
"""
            )
        },
        [
            'team.yaml:10:23: team.orders.queue-depth.severity: "hi", expected critical, high, medium or low; did you mean high?',
            'team.yaml:13:27: team.orders.queue-depth.min_evidence: "control-plane", expected live, control plane, artifact, repository or human; did you mean control plane?',
            "team.yaml:14:23: team.orders.queue-depth.at_least: the number 0, expected a whole number from 1 to 100000",
            'team.yaml:15:23: team.orders.queue-depth.blocking: "no", expected true or false',
            'team.yaml:16:19: team.orders.queue-depth.tags: "queue", expected a list of texts',
            "team.yaml:17:29: team.orders.queue-depth.references[1]: the same value twice, expected each once",
            'team.yaml:18:22: team.orders.queue-depth.stages.prod: "prod", expected production, staging or development; did you mean production?',
            "team.yaml:18:55: team.orders.queue-depth.stages.staging.title: unknown key, expected at_least, attestable, blocking, min_evidence, severity, waivable or with",
            'team.yaml:18:79: team.orders.queue-depth.stages.staging.min_evidence: "liv", expected live, control plane, artifact, repository or human; did you mean live?',
        ],
    ),
    "check and checks": (
        {"team": team(f"- {{{QUEUE}, {DEPTH}, checks: [team.orders.queue-depth]}}")},
        ["team.yaml:8:79: team.orders.queue-depth.check: beside `checks`, expected one of the two"],
    ),
    "checks that do not exist": (
        {
            "team": team(
                """
- {id: security.network.https-enforcd, title: A, severity: low}
- {id: team.orders.a, title: A, severity: low, check: team.orders.queue-dept}
- {id: team.orders.b, title: A, severity: low, checks: [team.orders.queue-depth/age, team.orders.queue-depth/dept], with: {max_age_s: 1}}
- {id: team.orders.c, title: A, severity: low, check: ../../etc/passwd}
- {id: team.orders.d, title: A, severity: low, check: entirely.something.else}
"""
            )
        },
        [
            "team.yaml:8:18: security.network.https-enforcd: there is no check security.network.https-enforcd; did you mean security.network.https-enforced?",
            "team.yaml:9:65: team.orders.a.check: there is no check team.orders.queue-dept; did you mean team.orders.queue-depth?",
            "team.yaml:10:96: team.orders.b.checks[1]: team.orders.queue-depth has no check dept, expected depth or age; did you mean depth?",
            'team.yaml:11:65: team.orders.c.check: "../../etc/passwd", expected a check module, or a function of one after a slash',
            "team.yaml:12:65: team.orders.d.check: there is no check entirely.something.else",
        ],
    ),
    "parameters": (
        {
            "team": team(
                f"""
- id: team.orders.queue-depth
  title: Depth
  severity: low
  {DEPTH}
  with:
    max_dept: 5
    max_depth: 2000
    ratio: half
    mode: lose
    queues: [1]
    limits:
      - {{name: a, value: 0}}
      - {{name: b, valeu: 1}}
      - {{name: c, value: 1_0}}
  stages:
    staging:
      with: {{max_depth: "5", ratio: 1}}
"""
            )
        },
        [
            "team.yaml:13:15: team.orders.queue-depth.with.max_dept: unknown parameter; did you mean max_depth?",
            "team.yaml:14:26: team.orders.queue-depth.with.max_depth: the number 2000, expected a whole number from 0 to 1000",
            'team.yaml:15:22: team.orders.queue-depth.with.ratio: "half", expected a number',
            'team.yaml:16:21: team.orders.queue-depth.with.mode: "lose", expected strict or loose; did you mean loose?',
            "team.yaml:17:24: team.orders.queue-depth.with.queues[0]: the number 1, expected text: put it in quotes",
            "team.yaml:19:36: team.orders.queue-depth.with.limits[0].value: the number 0, expected a whole number of at least 1",
            "team.yaml:20:19: team.orders.queue-depth.with.limits[1].value: missing, expected a whole number of at least 1",
            "team.yaml:20:29: team.orders.queue-depth.with.limits[1].valeu: unknown key; did you mean value?",
            "team.yaml:21:36: team.orders.queue-depth.with.limits[2].value: a number that YAML readers understand differently, expected plain digits, or text in quotes",
            'team.yaml:24:35: team.orders.queue-depth.stages.staging.with.max_depth: "5", expected a whole number from 0 to 1000',
        ],
    ),
    "a text that is too long": (
        {"team": extended("").replace("Team", "x" * 2001)},
        ["team.yaml:2:8: title: text of 2001 characters, expected one line of text, at most 2000 characters"],
    ),
    "a list that is too short, and one that is too long": (
        {
            "team": team(
                f"- {{{QUEUE}, {DEPTH}, with: {{pair: [a]}}, stages: {{staging: {{with: {{pair: [a, b, c]}}}}}}}}"
            )
        },
        [
            "team.yaml:8:117: team.orders.queue-depth.with.pair: a list of 1, expected a list of texts, at least 2, at most 2",
            "team.yaml:8:155: team.orders.queue-depth.stages.staging.with.pair: a list of 3, expected a list of texts, at least 2, at most 2",
        ],
    ),
    "a parameter that must be there": (
        {"team": team(f"- {{{QUEUE}}}")},
        ["team.yaml:8:13: team.orders.queue-depth.with.max_age_s: missing, expected a whole number"],
    ),
    "one id twice in a file": (
        {"team": team(f"- {{{QUEUE}, {DEPTH}}}\n- {{{QUEUE}, {DEPTH}}}")},
        ["team.yaml:9:18: team.orders.queue-depth: the id is there twice, first in team.yaml:8"],
    ),
    "a base that does not exist": (
        {"team": "version: '1'\ntitle: Team\nextends: bultin\n"},
        ["team.yaml:3:10: extends: there is no such file, expected `builtin` or a path"],
    ),
    "a checklist that extends itself": (
        {"team": "version: '1'\ntitle: Team\nextends: ./team.yaml\n"},
        ["team.yaml:3:10: extends: the checklist extends itself, expected another one"],
    ),
    "checklists that extend each other": (
        {
            "team": "version: '1'\ntitle: Team\nextends: base.yaml\n",
            "base": "version: '1'\ntitle: Base\nextends: team.yaml\n",
        },
        ["base.yaml:3:10: extends: the checklist extends itself, expected another one"],
    ),
    "a mistake in the base": (
        {"team": "version: '1'\ntitle: Team\nextends: base.yaml\n", "base": "version: '1'\ntitle: Base\n"},
        ["base.yaml:1:1: sections: missing, expected at least one section, or `extends`"],
    ),
    "dropping what is not there, without a reason, and twice": (
        {
            "team": extended(
                """
drop:
  - {id: security.network.ddos-protecton, reason: nobody can reach it}
  - {id: security.network.https-enforced, reason: no}
  - {id: security.network.firewall-rules, reason: another team has them}
  - {id: security.network.firewall-rules, reason: another team has them}
  - {id: security.network.tls-minimum-version}
"""
            )
        },
        [
            "team.yaml:5:10: drop[0].id: there is no such item; did you mean security.network.ddos-protection?",
            'team.yaml:6:51: drop[1].reason: "no", expected a reason in at least three words',
            "team.yaml:8:10: drop[3].id: dropped twice",
            "team.yaml:9:5: drop[4].reason: missing, expected a reason in at least three words",
        ],
    ),
    "changes of what is not there, and to what cannot be": (
        {
            "team": extended(
                """
change:
  security.network.htps-enforced: {severity: low}
  security.network.https-enforced: {id: a.b.c, severity: lowest, with: {hsts_min_age: "1"}}
  security.network.ddos-protection: {with: {max_rat: 5}}
  security.network.firewall-rules: {with: {public_ports: [443, web]}, stages: {staging: {with: {admin_ports: 22}}}}
  other: {severity: low}
"""
            )
        },
        [
            'team.yaml:5:3: change["security.network.htps-enforced"]: there is no such item; did you mean security.network.https-enforced?',
            "team.yaml:6:37: security.network.https-enforced.id: unknown key, expected at_least, attestable, blocking, check, checks, min_evidence, owner, references, remediation, severity or 5 more",
            'team.yaml:6:58: security.network.https-enforced.severity: "lowest", expected critical, high, medium or low; did you mean low?',
            "team.yaml:7:45: security.network.ddos-protection.with.max_rat: unknown parameter; did you mean max_rate?",
            'team.yaml:8:64: security.network.firewall-rules.with.public_ports[1]: "web", expected a whole number',
            "team.yaml:8:110: security.network.firewall-rules.stages.staging.with.admin_ports: the number 22, expected a list of whole numbers",
            'team.yaml:9:3: change.other: "other", expected an item\'s id such as security.network.https-enforced',
            "team.yaml:9:3: change.other: there is no such item, expected an item of the extended checklist",
        ],
    ),
    "adding what is already there": (
        {
            "team": extended(
                """
sections:
  - title: Security
    groups:
      - title: Network Security
        items:
          - {id: security.network.https-enforced, title: A, severity: low}
"""
            )
        },
        [
            f"team.yaml:9:18: security.network.https-enforced: the id is there twice, first in {builtin_path()}:{shipped_line('id: security.network.https-enforced')}; what is to be otherwise goes under `change`"
        ],
    ),
}


@pytest.mark.parametrize(("files", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_was_expected(
    folder: Folder, files: Mapping[str, str], told: list[str]
) -> None:
    assert folder.mistakes(files) == told


def test_the_shipped_checklist_has_the_public_ids_in_their_order(registry: Registry) -> None:
    checklist = load_checklist(None, registry=registry)

    assert [item.id for item in checklist.items] == ITEMS
    assert [item.id for item in checklist.items if item.section == "Security"] == SECURITY
    assert list(dict.fromkeys((item.section, item.group) for item in checklist.items))[:4] == [
        ("Security", "API Keys"),
        ("Security", "Authentication"),
        ("Security", "Network Security"),
        ("Security", "Data Protection"),
    ]
    assert {(item.section.lower(), item.id.partition(".")[0]) for item in checklist.items} == {
        (section, section) for section in {id_.partition(".")[0] for id_ in ITEMS}
    }


@pytest.mark.parametrize("stage", ["production", "staging", "development"])
def test_every_shipped_item_says_how_to_mend_it_who_can_and_by_which_authority(registry: Registry, stage: str) -> None:
    checklist = load_checklist(None, stage=stage, registry=registry)  # type: ignore[arg-type]

    for item in checklist.items:
        assert item.remediation, item.id
        assert item.references, item.id
        assert item.tags, item.id
        assert item.owner, item.id


def test_only_what_people_can_know_better_is_attestable(registry: Registry) -> None:
    items = load_checklist(None, registry=registry).items

    of_security = [item for item in items if item.section == "Security"]
    assert [item.id.rpartition(".")[2] for item in of_security if item.attestable] == [
        "production-keys-generated",
        "ip-allowlist",
        "rotation-schedule",
        "admin-mfa",
        "refresh-token-rotation",
        "session-timeout",
        "ddos-protection",
    ]


def test_evidence_from_the_repository_is_enough_in_development(registry: Registry) -> None:
    development = load_checklist(None, stage="development", registry=registry)
    production = load_checklist(None, stage="production", registry=registry)

    of_tests = {item.id for item in production.items if item.section == "Testing"}
    assert {item.min_evidence for item in development.items if item.id not in of_tests} == {Grade.REPOSITORY}
    of_security = [item for item in production.items if item.section == "Security"]
    assert {item.min_evidence for item in of_security} == {Grade.CONTROL_PLANE, Grade.LIVE}


def test_the_digest_of_one_file_is_its_sha256(registry: Registry) -> None:
    checklist = load_checklist(None, registry=registry)

    assert checklist.digest == f"sha256:{hashlib.sha256(builtin_path().read_bytes()).hexdigest()}"


def test_the_digest_of_several_changes_with_each_of_them(folder: Folder) -> None:
    base = team(f"- {{{QUEUE}, {DEPTH}}}")
    texts = [
        (base, "version: '1'\ntitle: T\nextends: base.yaml\n"),
        (base + "# reviewed\n", "version: '1'\ntitle: T\nextends: base.yaml\n"),
        (base, "version: '1'\ntitle: T\nextends: base.yaml\n# reviewed\n"),
    ]

    digests = []
    for below, above in texts:
        folder.write(base=below, team=above)
        digests.append(folder.checklist().digest)

    assert len(set(digests)) == 3


def test_an_item_has_all_that_is_said_of_it(folder: Folder) -> None:
    folder.write(
        team=team(
            f"""
- id: team.orders.queue-depth
  title: Queues are short
  severity: medium
  {DEPTH}
  with: {{max_depth: 5, queues: [a, b], limits: [{{name: x, value: 1}}]}}
  min_evidence: artifact
  at_least: 2
  blocking: false
  waivable: false
  attestable: true
  remediation: >
    Add a worker.
  references: [RFC 0]
  tags: [queue]
  owner: orders
"""
        )
    )

    (item,) = folder.checklist().items

    assert (item.id, item.title, item.section, item.group) == (
        "team.orders.queue-depth",
        "Queues are short",
        "Orders",
        "Queues",
    )
    assert item.checks == ("team.orders.queue-depth/depth",)
    assert item.parameters == {"max_depth": 5, "queues": ["a", "b"], "limits": [{"name": "x", "value": 1}]}
    assert (item.severity, item.min_evidence, item.at_least) == (Severity.MEDIUM, Grade.ARTIFACT, 2)
    assert (item.blocking, item.waivable, item.attestable) == (False, False, True)
    assert (item.remediation, item.references, item.tags, item.owner) == (
        "Add a worker.",
        ("RFC 0",),
        ("queue",),
        "orders",
    )
    assert (item.file, item.line) == ("team.yaml", 8)


def test_without_a_check_the_id_names_it(folder: Folder) -> None:
    folder.write(team=team(f"- {{{QUEUE}, with: {{max_age_s: 3}}}}"))

    (item,) = folder.checklist().items

    assert item.checks == ("team.orders.queue-depth",)


def test_a_stage_overrides_single_parameters_and_keeps_the_rest(folder: Folder) -> None:
    folder.write(
        team=team(
            f"""
- id: team.orders.queue-depth
  title: Depth
  severity: high
  {DEPTH}
  with: {{max_depth: 5, ratio: 0.1}}
  stages:
    development: {{severity: low, with: {{max_depth: 50}}, blocking: false, min_evidence: repository}}
"""
        )
    )

    (production,), (development,) = folder.checklist().items, folder.checklist("development").items

    assert (production.severity, production.blocking, production.parameters) == (
        Severity.HIGH,
        True,
        {"max_depth": 5, "ratio": 0.1},
    )
    assert (development.severity, development.blocking, development.parameters) == (
        Severity.LOW,
        False,
        {"max_depth": 50, "ratio": 0.1},
    )


def test_a_plugin_that_cannot_be_imported_is_no_mistake_of_the_checklist(folder: Folder) -> None:
    folder.write(team=team("- {id: team.orders.broken, title: A, severity: low, with: {anything: 1}}"))

    assert [item.id for item in folder.checklist().items] == ["team.orders.broken"]


def test_without_a_registry_checks_are_not_looked_for(folder: Folder) -> None:
    folder.write(team=team("- {id: team.orders.other, title: A, severity: low, with: {anything: 1}}"))

    assert [item.id for item in load_checklist(Path("team.yaml"), registry=None).items] == ["team.orders.other"]


class TestExtending:
    """A team's own checklist over the shipped one."""

    def test_nothing_more_said_is_the_shipped_one_under_another_name(self, folder: Folder) -> None:
        folder.write(team=extended(""))

        checklist = folder.checklist()

        assert (checklist.title, checklist.version) == ("Team", "1")
        assert [item.id for item in checklist.items] == ITEMS
        assert checklist.items == load_checklist(None, registry=folder.registry).items
        assert checklist.max_waiver_days[Severity.CRITICAL] == 14

    def test_items_are_added_to_known_groups_and_to_new_ones(self, folder: Folder) -> None:
        folder.write(
            team=extended(
                f"""
sections:
  - title: Orders
    groups:
      - title: Queues
        items:
          - {{{QUEUE}, {DEPTH}}}
  - title: Security
    groups:
      - title: API Keys
        items:
          - {{id: team.orders.keys, title: Keys, severity: low, {DEPTH}}}
"""
            )
        )

        ids = [item.id for item in folder.checklist().items]

        assert ids == [*ITEMS[:5], "team.orders.keys", *ITEMS[5:], "team.orders.queue-depth"]

    def test_a_change_merges_parameters_and_stages_and_replaces_lists(self, folder: Folder) -> None:
        folder.write(
            team=extended(
                """
max_waiver_days: {critical: 7}
change:
  security.network.tls-minimum-version:
    severity: high
    with: {fail_days: 20}
    stages: {development: {blocking: false, with: {warn_days: 25}}}
    tags: [tls]
"""
            )
        )
        shipped = {item.id: item for item in load_checklist(None, registry=folder.registry).items}

        changed = {item.id: item for item in folder.checklist("development").items}

        item, before = (items["security.network.tls-minimum-version"] for items in (changed, shipped))
        assert (item.severity, item.blocking, item.tags) == (Severity.HIGH, False, ("tls",))
        assert item.parameters == {"floor": "TLSv1.2", "fail_days": 20, "warn_days": 25}
        assert item.min_evidence is Grade.REPOSITORY
        assert (item.title, item.references, item.line) == (before.title, before.references, before.line)
        assert folder.checklist().max_waiver_days == {
            Severity.CRITICAL: 7,
            Severity.HIGH: 30,
            Severity.MEDIUM: 60,
            Severity.LOW: 90,
        }

    def test_a_change_to_several_checks_takes_the_single_one_away(self, folder: Folder) -> None:
        folder.write(
            base=team(f"- {{{QUEUE}, {DEPTH}}}"),
            team="version: '1'\ntitle: T\nextends: base.yaml\nchange:\n  team.orders.queue-depth:\n"
            "    checks: [team.orders.queue-depth/depth, team.orders.queue-depth/age]\n    with: {max_age_s: 1}\n",
        )

        (item,) = folder.checklist().items

        assert item.checks == ("team.orders.queue-depth/depth", "team.orders.queue-depth/age")

    def test_what_is_dropped_is_listed_with_its_reason(self, folder: Folder) -> None:
        folder.write(
            team=extended(
                "drop: [{id: security.network.certificate-pinning, reason: Quub changes keys without notice}]\n"
            )
        )

        checklist = folder.checklist()

        assert [item.id for item in checklist.items] == [id_ for id_ in ITEMS if not id_.endswith("pinning")]
        assert checklist.dropped == (
            DroppedItem(
                id="security.network.certificate-pinning",
                title="Certificate pinning implemented",
                reason="Quub changes keys without notice",
            ),
        )

    def test_three_files_lie_over_one_another(self, folder: Folder) -> None:
        (folder.path / "company").mkdir()
        (folder.path / "company" / "policy.yaml").write_text(
            extended(
                "drop: [{id: security.network.firewall-rules, reason: the network team has them}]\n"
                "change: {security.network.https-enforced: {owner: company}}\n"
            )
        )
        folder.write(
            team="version: '2'\ntitle: Team\nextends: company/policy.yaml\n"
            "change: {security.network.https-enforced: {severity: low}}\n"
        )

        checklist = folder.checklist()

        item = next(item for item in checklist.items if item.id == "security.network.https-enforced")
        assert (item.owner, item.severity, len(checklist.items)) == ("company", Severity.LOW, len(ITEMS) - 1)
        assert [entry.id for entry in checklist.dropped] == ["security.network.firewall-rules"]


def test_load_gives_the_checklist_of_the_environments_stage(folder: Folder) -> None:
    folder.write(environments=SMALLEST + "  dev: {stage: development}\n")

    assert folder.load("dev").checklist == load_checklist(None, stage="development", registry=folder.registry)


def test_mistakes_of_a_checklist_are_raised_without_environments_too(folder: Folder) -> None:
    folder.write(team="version: '1'\n")

    with pytest.raises(ConfigurationError) as refused:
        folder.checklist()

    assert list(refused.value.mistakes) == ["team.yaml:1:1: title: missing, expected one line of text"]
