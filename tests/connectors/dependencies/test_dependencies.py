"""Manifests of a checkout, what a service of advisories knows of them, and pip-audit as its own process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quub_audit.connectors import dependencies as module
from quub_audit.connectors.children import Done
from quub_audit.connectors.dependencies_pip import read_report
from quub_audit.connectors.world import World
from quub_audit.errors import Absent, Denied, Malformed, Refused, Reportable, Unreachable, Unsupported
from quub_audit.facts.artifacts import Scan
from quub_audit.facts.asking import Dependencies
from quub_audit.model.environment import AdvisoryService, Environment, Repository
from tests.worlds.osv import Advisories, advisories, advisory
from tests.worlds.web import closed_port

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
LOCK = {
    "lockfileVersion": 3,
    "packages": {f"node_modules/{name}": {"version": "1.0.0"} for name in ("lodash", "express", "@acme/money")},
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "package-lock.json").write_text(json.dumps(LOCK))
    (tmp_path / "requirements.txt").write_text('jinja2==3.1.2 ; sys_platform == "win32"\nflask>=2\n')
    (tmp_path / "tests" / "fixtures").mkdir(parents=True)
    (tmp_path / "tests" / "fixtures" / "yarn.lock").write_text('evil@1:\n  version "1.0.0"\n')
    (tmp_path / "node_modules" / "a").mkdir(parents=True)
    (tmp_path / "node_modules" / "a" / "yarn.lock").write_text('evil@1:\n  version "1.0.0"\n')
    return tmp_path


@pytest.fixture
def osv() -> Iterator[Advisories]:
    with advisories() as world:
        yield world


class Asking:
    """The connector over a checkout, and its subjects."""

    def __init__(self, checkout: Path, service: AdvisoryService) -> None:
        self.repository = Repository(name="app", path=str(checkout))
        self.service = service
        environment = Environment(
            service="orders",
            name="production",
            stage="production",
            repositories=(self.repository,),
            advisories=(service,),
        )
        self.world = World(environment, at=AT, environ={})
        self.connector: Any = self.world.connector(Dependencies)

    def advisories(self) -> Scan:
        found: Scan = self.connector.advisories(self.service, self.repository)
        return found

    def requirements(self) -> Scan:
        found: Scan = self.connector.audit_requirements(self.service, self.repository, "requirements.txt")
        return found


def test_manifests_are_those_that_run_in_production(checkout: Path, osv: Advisories) -> None:
    asking = Asking(checkout, osv.service())

    assert [each.path for each in asking.connector.manifests(asking.repository)] == [
        "package-lock.json",
        "requirements.txt",
    ]


def test_packages_are_looked_up_by_version_and_findings_name_their_manifest(checkout: Path, osv: Advisories) -> None:
    osv.records = [
        advisory("GHSA-1", "npm", "lodash", "1.0.0", fixed="1.0.1", aliases=["CVE-2026-1"]),
        advisory("CVE-2026-1", "npm", "lodash", "1.0.0", vector=""),
        advisory("GHSA-2", "npm", "@acme/money", "1.0.0", vector="", database_specific={"severity": "MODERATE"}),
        advisory("GHSA-3", "npm", "express", "1.0.0", withdrawn="2026-01-01T00:00:00Z"),
        advisory("MAL-2026-4", "npm", "express", "1.0.0", vector=""),
        advisory("GHSA-5", "npm", "express", "2.0.0"),
    ]

    scan = Asking(checkout, osv.service()).advisories()

    assert [(f.id, f.level, f.subject, f.fixed_in, f.file) for f in scan.findings] == [
        ("GHSA-1", "critical", "pkg:npm/lodash@1.0.0", ("1.0.1",), "package-lock.json"),
        ("MAL-2026-4", "critical", "pkg:npm/express@1.0.0", (), "package-lock.json"),
        ("GHSA-2", "medium", "pkg:npm/%40acme/money@1.0.0", (), "package-lock.json"),
    ]
    assert (scan.volume, scan.targets) == (3, ("package-lock.json",))


def test_nothing_but_names_and_versions_is_sent_and_a_token_only_where_there_is_one(
    checkout: Path, osv: Advisories
) -> None:
    asking = Asking(checkout, osv.service(token="token-of-the-test"))
    asking.advisories()

    assert osv.asked == [
        (
            "/v1/querybatch",
            {
                "queries": [
                    {"package": {"purl": "pkg:npm/lodash@1.0.0"}},
                    {"package": {"purl": "pkg:npm/express@1.0.0"}},
                    {"package": {"purl": "pkg:npm/%40acme/money@1.0.0"}},
                ]
            },
        )
    ]
    assert osv.headers[0]["Authorization"] == "Bearer token-of-the-test"
    with pytest.raises(Unsupported, match="sends no token"):
        asking.requirements()


def test_every_page_of_every_package_is_asked_for(checkout: Path, osv: Advisories) -> None:
    osv.page = 1
    osv.records = [advisory(f"GHSA-{n}", "npm", "lodash", "1.0.0") for n in range(3)]

    scan = Asking(checkout, osv.service()).advisories()

    assert {finding.id for finding in scan.findings} == {"GHSA-0", "GHSA-1", "GHSA-2"}
    assert [len(document["queries"]) for path, document in osv.asked if path == "/v1/querybatch"] == [3, 1, 1]


def test_many_packages_are_asked_in_several_batches(checkout: Path, osv: Advisories) -> None:
    many = {f"node_modules/p{n}": {"version": "1.0.0"} for n in range(module.BATCH + 1)}
    (checkout / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": many}))

    assert Asking(checkout, osv.service()).advisories().volume == module.BATCH + 1
    assert [len(document["queries"]) for _, document in osv.asked] == [module.BATCH, 1]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Denied), (403, Denied), (404, Absent), (405, Unsupported), (500, Unreachable), (302, Unreachable)],
)
def test_what_the_service_refuses_is_an_error(
    checkout: Path, osv: Advisories, status: int, error: type[Reportable]
) -> None:
    osv.status = status

    with pytest.raises(error, match="osv"):
        Asking(checkout, osv.service()).advisories()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/querybatch", []),
        ("/v1/querybatch", {}),
        ("/v1/querybatch", {"results": [{}]}),
        ("/v1/querybatch", {"results": [{"vulns": {"id": "x"}}, {}, {}]}),
        ("/v1/querybatch", {"results": [{"vulns": [{"id": "../../etc"}]}, {}, {}]}),
        ("/v1/querybatch", {"results": [{"next_page_token": "1"}, {}, {}]}),
        ("/v1/vulns/GHSA-1", {"id": "GHSA-2"}),
        ("/v1/vulns/GHSA-1", {"id": "GHSA-1", "affected": "all"}),
    ],
)
def test_what_cannot_be_read_is_never_clean(checkout: Path, osv: Advisories, path: str, answer: Any) -> None:
    osv.records = [advisory("GHSA-1", "npm", "lodash", "1.0.0")]
    osv.answers[path] = answer

    with pytest.raises(Malformed):
        Asking(checkout, osv.service()).advisories()


def test_no_name_is_sent_in_clear_across_a_network(checkout: Path) -> None:
    with pytest.raises(Refused):
        Asking(checkout, AdvisoryService(name="osv", url="http://osv.test")).advisories()


# pip-audit


def test_pip_audit_looks_up_what_is_pinned_whatever_machine_it_is_for(checkout: Path, osv: Advisories) -> None:
    osv.records = [advisory("GHSA-7", "PyPI", "jinja2", "3.1.2", fixed="3.1.3", aliases=["CVE-2024-22195"])]

    scan = Asking(checkout, osv.service()).requirements()

    assert [(f.subject, {f.id, *f.aliases}, f.fixed_in) for f in scan.findings] == [
        ("pkg:pypi/jinja2@3.1.2", {"GHSA-7", "CVE-2024-22195"}, ("3.1.3",))
    ]
    assert (scan.volume, scan.unread) == (1, ("line 2: flask is not pinned to one version of a registry",))
    assert [path for path, _ in osv.asked] == ["/v1/query"]


def test_a_file_that_leads_elsewhere_leads_nowhere(checkout: Path, osv: Advisories) -> None:
    (checkout / "requirements.txt").write_text(
        f"-r {osv.address}/other.txt\n--extra-index-url {osv.address}/simple\n-r /etc/hostname\njinja2==3.1.2\n"
        "jinja2==3.1.3\n"
    )

    scan = Asking(checkout, osv.service()).requirements()

    assert [path for path, _ in osv.asked] == ["/v1/query"]
    assert len(scan.unread) == 3
    assert "jinja2 is pinned to 3.1.3 too" in scan.unread


def test_a_service_that_is_down_is_an_error_of_pip_audit_too(checkout: Path) -> None:
    with closed_port() as place:
        asking = Asking(checkout, AdvisoryService(name="osv", url=f"http://{place}"))

        with pytest.raises(Unreachable):
            asking.requirements()


@pytest.mark.parametrize(
    ("code", "output"),
    [(0, b""), (1, b""), (1, b'{"dependencies": [], "fixes": []}'), (0, b"{"), (2, b"usage")],
)
def test_an_exit_code_is_never_believed_alone(code: int, output: bytes) -> None:
    with pytest.raises(Malformed):
        read_report(Done(code, output, "", b""), "pip-audit")


def test_packages_that_were_skipped_were_not_looked_up() -> None:
    skipped = b'{"dependencies": [{"name": "a", "skip_reason": "not found"}], "fixes": []}'

    scan = read_report(Done(0, skipped, "", b""), "pip-audit")

    assert (scan.volume, scan.unread) == (0, ("a: not found",))


# What is accepted


def test_lists_and_vex_documents_of_the_tree_are_read(checkout: Path, osv: Advisories) -> None:
    (checkout / ".trivyignore").write_text("CVE-2020-1 exp:2026-12-31\n")
    statement = {"vulnerability": {"name": "CVE-2020-2"}, "status": "fixed", "products": ["pkg:npm/a@1"]}
    document = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [statement]}
    (checkout / "app.openvex.json").write_text(json.dumps(document))
    asking = Asking(checkout, osv.service())

    assert [(s.ids, s.acceptance.by) for s in asking.connector.accepted(asking.repository)] == [
        (("CVE-2020-1",), ".trivyignore"),
        (("CVE-2020-2",), "app.openvex.json"),
    ]


def test_a_broken_list_is_an_error(checkout: Path, osv: Advisories) -> None:
    (checkout / "osv-scanner.toml").write_text("[[")
    asking = Asking(checkout, osv.service())

    with pytest.raises(Malformed, match=r"osv-scanner\.toml"):
        asking.connector.accepted(asking.repository)
