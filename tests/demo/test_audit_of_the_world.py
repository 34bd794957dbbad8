from __future__ import annotations

import base64
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from quub_audit.demo import repository
from quub_audit.demo.cloud import PRODUCTION, REGION
from quub_audit.demo.data import PERSONAL
from quub_audit.demo.declarations import OF_CACHE, OF_DATABASE
from quub_audit.demo.stores import NO_POSTGRESQL, NO_REDIS
from quub_audit.demo.world import DemoWorld
from tests.demo.auditing import (
    HAS_POSTGRESQL,
    HAS_REDIS,
    Audit,
    audit,
    recorded_requests,
    secrets_in,
)

FAULTY = {
    "api-keys.production-keys-generated": "pass",
    "api-keys.stored-in-secret-manager": "fail",
    "api-keys.separate-per-environment": "pass",
    "api-keys.ip-allowlist": "pass",
    "api-keys.rotation-schedule": "pass",
    "authentication.admin-mfa": "fail",
    "authentication.jwt-lifetime": "fail",
    "authentication.refresh-token-rotation": "fail",
    "authentication.session-timeout": "pass",
    "network.https-enforced": "fail",
    "network.tls-minimum-version": "fail",
    "network.certificate-pinning": "fail",
    "network.firewall-rules": "fail",
    "network.ddos-protection": "waived",
    "data-protection.encryption-at-rest": "pass",
    "data-protection.pii-masked-in-logs": "fail",
    "data-protection.backup-encryption": "fail",
    "data-protection.retention-policy": "fail",
    "caching.layer-configured": "fail",
    "caching.invalidation-strategy": "pass",
    "caching.ttl-values": "fail",
    "caching.hit-rate-monitored": "pass",
    "database.indexes": "fail",
    "database.connection-pooling": "fail",
    "database.query-performance": "fail",
    "database.backup-strategy": "fail",
    "api-client.connection-pooling": "pass",
    "api-client.timeouts": "fail",
    "api-client.retries": "pass",
    "api-client.rate-limiting": "pass",
    "monitoring.apm": "fail",
    "monitoring.centralized-logging": "pass",
    "monitoring.error-tracking": "fail",
    "monitoring.alerts": "fail",
    "unit.critical-paths": "fail",
    "unit.coverage": "fail",
    "unit.api-mocks": "pass",
    "unit.edge-cases": "fail",
    "integration.sandbox": "fail",
    "integration.end-to-end": "fail",
    "integration.error-scenarios": "pass",
    "integration.websocket": "pass",
    "load.peak": "fail",
    "load.sustained": "fail",
    "load.rate-limits": "pass",
    "load.circuit-breakers": "inconclusive",
    "security.penetration-test": "fail",
    "security.dependency-scan": "fail",
    "security.api-key-exposure": "fail",
    "security.owasp-top-10": "fail",
}
"""What each item comes to in the faulty world, on a machine that has servers of Redis and PostgreSQL."""

ABSENT = {
    item.partition(".")[2]
    for items, is_installed in ((OF_CACHE, HAS_REDIS), (OF_DATABASE, HAS_POSTGRESQL))
    for item in items
    if not is_installed
}
needs_redis = pytest.mark.skipif(not HAS_REDIS, reason="redis-server is not installed")
needs_postgresql = pytest.mark.skipif(not HAS_POSTGRESQL, reason="PostgreSQL is not installed")


@dataclass(frozen=True)
class Scene:
    """A world, its audit at every verbosity, and what the emulated AWS was asked by the first."""

    world: DemoWorld
    loud: Audit
    others: tuple[Audit, ...]
    requests: Counter[tuple[str, ...]]
    secrets: dict[str, str]


@pytest.fixture(scope="class")
def faulty(faulty_world: DemoWorld, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return _scene(faulty_world, tmp_path_factory, (), ("-q",), ("-qq",))


@pytest.fixture(scope="class")
def healthy(healthy_world: DemoWorld, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return _scene(healthy_world, tmp_path_factory, ())


def _scene(world: DemoWorld, folders: pytest.TempPathFactory, *verbosities: tuple[str, ...]) -> Scene:
    secrets = secrets_in(world)
    with recorded_requests(world, folders.mktemp("requests")) as requests:
        loud = audit(world, folders.mktemp("loud"), "-vv")
    others = tuple(audit(world, folders.mktemp("other"), *options) for options in verbosities)
    return Scene(world=world, loud=loud, others=others, requests=requests, secrets=secrets)


def _leaks(scene: Scene, values: dict[str, str]) -> list[str]:
    """Places where a value stands, whole or in part, plain or in the forms in which values travel."""
    return [
        f"{name} in {place} of {run.out}"
        for run in (scene.loud, *scene.others)
        for place, text in run.texts().items()
        for name, value in values.items()
        for form in _forms(value)
        if form in text
    ]


def _forms(value: str) -> set[str]:
    return {
        value[:16],
        value[-16:],
        value[8:24],
        urllib.parse.quote(value, safe=""),
        base64.b64encode(value.encode()).decode()[:24],
    }


def _named(findings: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without what differs between two worlds: ports, and ids that AWS gives."""
    return {(_settled(subject), _settled(observed)) for subject, observed in findings}


def _settled(text: str) -> str:
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"port \d+ of 127", "port N of 127", text)
    text = re.sub(r"\(eu-central-1_\w+/\w+\)", "(POOL)", text)
    text = re.sub(r"\b(sg|vpc|eni)-[0-9a-f]{17}", r"\1", text)
    return re.sub(r"arn:aws:elasticloadbalancing:\S*?/app/([a-z-]+)/\S+", r"\1", text)


class TestHealthy:
    def test_every_item_passes_and_the_release_is_ready(self, healthy: Scene) -> None:
        assert healthy.loud.code == 0, healthy.loud.terminal
        assert {item for item, status in healthy.loud.statuses.items() if status != "pass"} == ABSENT

    def test_nothing_but_a_cookie_is_warned_of_and_people_vouch_for_the_penetration_test_alone(
        self, healthy: Scene
    ) -> None:
        """A cookie proves nothing of the session on the server, however good it is."""
        others = {
            finding["subject"]
            for item in healthy.loud.result["items"]
            for finding in item["findings"]
            if finding["status"] != "pass"
        }

        assert others == {"console /login, cookie __Host-session"}
        vouched_for = [item["id"] for item in healthy.loud.result["items"] if item["attestation"] or item["waiver"]]
        assert vouched_for == ["testing.security.penetration-test"]

    def test_every_item_of_the_checklist_is_in_the_demo(self, healthy: Scene) -> None:
        assert set(healthy.loud.statuses) == set(FAULTY)

    def test_every_verbosity_comes_to_the_same(self, healthy: Scene) -> None:
        assert [(run.code, run.statuses) for run in healthy.others] == [(0, healthy.loud.statuses)]

    def test_no_question_reaches_aws_twice(self, healthy: Scene) -> None:
        assert len(healthy.requests) >= 40
        assert _asked_again(healthy) == []

    def test_only_reads_and_the_assumed_role_reach_aws(self, healthy: Scene) -> None:
        asked = {_operation(request) for request in healthy.requests}

        others = sorted(each for each in asked if not re.match(r"(Get|List|Describe|GET |HEAD )", each))
        assert others == ["AssumeRole", "FilterLogEvents", "GenerateCredentialReport"]

    def test_no_secret_value_comes_out(self, healthy: Scene) -> None:
        assert len(healthy.secrets) == 8 + HAS_REDIS + HAS_POSTGRESQL
        assert _leaks(healthy, healthy.secrets) == []

    def test_an_active_audit_has_the_key_accepted_by_quub(self, healthy: Scene, tmp_path: Path) -> None:
        active = audit(healthy.world, tmp_path, "--allow-active", "--only=*.production-keys-generated")

        accepted = {
            observed
            for subject, observed in active.findings("production-keys-generated", "pass")
            if subject.startswith("https://api.quub.example")
        }
        assert accepted == {"the key is answered with 200, a made-up one with 401"}
        assert _leaks(Scene(healthy.world, active, (), healthy.requests, {}), healthy.secrets) == []


def _asked_again(scene: Scene) -> list[tuple[str, ...]]:
    """Without the question whether the credential report is ready, which is asked until it is."""
    return [
        request
        for request, count in scene.requests.items()
        if count > 1 and _operation(request) != "GenerateCredentialReport"
    ]


def _operation(request: tuple[str, ...]) -> str:
    _, _, _, method, url, target, body = request
    action = re.search(r"(?:^|&)Action=(\w+)", body)
    if action:
        return action[1]
    return target.rpartition(".")[2] or f"{method} {url}"


class TestFaulty:
    def test_exactly_the_faulty_items_fail(self, faulty: Scene) -> None:
        assert faulty.loud.statuses == {**FAULTY, **dict.fromkeys(ABSENT, "not_applicable")}, faulty.loud.terminal
        assert faulty.loud.code == 1

    def test_the_secret_in_clear_is_named(self, faulty: Scene) -> None:
        found = _named(faulty.loud.findings("stored-in-secret-manager", "fail"))

        assert (
            "quub-app-settlement:1/quub-app-settlement/QUUB_API_SECRET",
            "is a literal of 64 characters of lower+digit",
        ) in found

    def test_secrets_in_the_history_and_in_the_code_are_named(self, faulty: Scene) -> None:
        subjects = {subject for subject, _ in faulty.loud.findings("stored-in-secret-manager", "fail")}

        assert {re.sub(r":\d.*", "", subject) for subject in subjects} == {
            ".env",
            "src/config/secrets.ts",
            "src/config/secrets.ts QUUB_API_SECRET",
            "quub-app-settlement",
        }
        assert any(subject.startswith(".env:2:") and " @ " in subject for subject in subjects)

    def test_plain_http_and_a_short_hsts_are_named(self, faulty: Scene) -> None:
        found = _named(faulty.loud.findings("https-enforced", "fail"))

        assert {subject for subject, _ in found} == {"console", "partners", "quub-app-partners"}
        assert ("quub-app-partners", "HTTP:80 rule default has the action forward") in found
        assert (
            "partners",
            "plain HTTP of partners.quub-app.example at 127.0.0.1:PORT: /health answers 200 with content",
        ) in found

    def test_old_protocols_and_a_certificate_near_its_end_are_named(self, faulty: Scene) -> None:
        assert _named(faulty.loud.findings("tls-minimum-version", "fail")) == {
            ("partners", "accepts TLSv1, TLSv1.1 at 127.0.0.1:PORT"),
            ("partners", "the certificate ends in 9 days at 127.0.0.1:PORT"),
            ("quub-app-partners", "policy ELBSecurityPolicy-2016-08 accepts TLSv1"),
        }
        assert _named(faulty.loud.findings("tls-minimum-version", "warning")) == {
            ("console", "the certificate ends in 21 days at 127.0.0.1:PORT")
        }

    def test_a_client_that_compares_no_pins_is_named(self, faulty: Scene) -> None:
        assert {subject for subject, _ in faulty.loud.findings("certificate-pinning", "fail")} == {"src/quub/client.ts"}

    def test_the_open_database_is_named_by_its_group_its_address_and_the_endpoint(self, faulty: Scene) -> None:
        assert _named(faulty.loud.findings("firewall-rules", "fail")) == {
            ("quub-app-production", "is publicly accessible, sg opens tcp 5432 from 0.0.0.0/0"),
            ("sg (quub-app-database)", "opens tcp 5432 from 0.0.0.0/0"),
            ("orders", "port N of 127.0.0.1 takes connections"),
        }

    def test_the_rule_that_only_counts_is_waived_and_would_fail(self, faulty: Scene) -> None:
        waived = next(item for item in faulty.loud.result["items"] if item["status"] == "waived")

        assert (waived["waived_from"], waived["waiver"]["ticket"]) == ("fail", "OPS-412")
        assert _named(faulty.loud.findings("ddos-protection", "fail")) == {
            ("quub-app-partners", "rule rate only has the action Count")
        }

    def test_the_key_that_is_renewed_by_hand_is_vouched_for(self, faulty: Scene) -> None:
        attested = next(item for item in faulty.loud.result["items"] if item["attestation"])

        assert (attested["id"], attested["status"]) == ("security.api-keys.rotation-schedule", "pass")
        assert {subject for subject, _ in faulty.loud.findings("rotation-schedule", "warning")} == {
            "production/quub/credentials"
        }

    def test_the_administrator_without_a_second_factor_is_named_and_the_other_passes(self, faulty: Scene) -> None:
        assert faulty.loud.findings("admin-mfa", "fail") == {
            (
                f"arn:aws:iam::{PRODUCTION}:user/idris",
                "administers (every action by AdministratorAccess) with a console password and no second factor",
            )
        }
        assert {subject for subject, _ in faulty.loud.findings("admin-mfa", "pass")} == {
            f"arn:aws:iam::{PRODUCTION}:root",
            f"arn:aws:iam::{PRODUCTION}:user/mara",
        }

    @pytest.mark.parametrize(
        ("item", "observed"),
        [
            ("jwt-lifetime", "24 h by AccessTokenValidity, 24 h by IdTokenValidity"),
            ("refresh-token-rotation", "does not rotate"),
        ],
    )
    def test_the_client_whose_tokens_live_too_long_is_named(self, faulty: Scene, item: str, observed: str) -> None:
        assert _named(faulty.loud.findings(item, "fail")) == {("mobile (POOL)", observed)}
        assert {subject for subject, _ in _named(faulty.loud.findings(item, "pass"))} == {"console (POOL)"}

    def test_the_log_that_shows_customers_is_named_with_what_it_shows(self, faulty: Scene) -> None:
        ((subject, observed),) = faulty.loud.findings("pii-masked-in-logs", "fail")

        assert subject.endswith("/ecs/quub-app-settlement")
        assert re.search(r"\d+ . payment card .* \d+ . e-mail address .* in 1200 events", observed)

    def test_the_log_that_never_expires_is_named(self, faulty: Scene) -> None:
        ((subject, observed),) = faulty.loud.findings("retention-policy", "fail")

        assert subject == f"/ecs/quub-app-settlement (production/{REGION})"
        assert observed.startswith("events never expire")

    def test_the_plain_snapshot_of_a_database_that_is_gone_is_named(self, faulty: Scene) -> None:
        assert faulty.loud.findings("backup-encryption", "fail") == {
            (
                f"arn:aws:rds:{REGION}:{PRODUCTION}:snapshot:quub-app-before-migration",
                "this RDS snapshot is not encrypted",
            )
        }

    def test_the_dump_that_holds_nothing_is_named_and_the_database_passes(self, faulty: Scene) -> None:
        assert faulty.loud.findings("backup-strategy", "fail") == {
            (
                "s3://quub-app-production-dumps/daily/quub-app-#-#-#.sql.gz",
                "the newest of 30 is 0 min old and has 20 bytes; it holds nothing",
            )
        }
        assert {subject for subject, _ in faulty.loud.findings("backup-strategy", "pass")} == {
            f"arn:aws:rds:{REGION}:{PRODUCTION}:db:quub-app-production"
        }

    def test_the_alarm_that_can_never_fire_is_named_with_the_metric_that_there_is(self, faulty: Scene) -> None:
        told = {subject.rpartition(":")[2].strip(): text for subject, text in faulty.loud.findings("alerts", "fail")}

        assert set(told) == {"quub-app-production-errors", "error rate"}
        assert "there is HTTPCode_Target_5XX_Count" in told["quub-app-production-errors"]

    def test_the_request_that_may_take_for_ever_is_named_by_its_line(self, faulty: Scene) -> None:
        ((subject, _),) = faulty.loud.findings("timeouts", "fail")

        assert re.fullmatch(r"quub-app:src/quub/client\.ts:\d+:\d+", subject)

    @needs_redis
    def test_the_cache_that_evicts_nothing_and_its_keys_that_never_expire_are_named(self, faulty: Scene) -> None:
        assert _named(faulty.loud.findings("layer-configured", "fail")) == {
            ("orders", "127.0.0.1:PORT: the policy is noeviction")
        }
        ((subject, observed),) = faulty.loud.findings("ttl-values", "fail")
        assert subject == "orders session:*"
        assert re.fullmatch(r"(\d+) of \1 keys never expire", observed)

    @needs_postgresql
    def test_the_missing_index_is_named_by_its_foreign_key_and_by_how_the_table_is_read(self, faulty: Scene) -> None:
        found = dict(faulty.loud.findings("indexes", "fail"))

        assert found["orders: public.orders (customer)"] == "no index; about 100000 rows"
        assert "of scans are sequential" in found["orders: public.orders"]
        assert len(found) == 2

    @needs_postgresql
    def test_the_statement_for_which_everybody_waits_is_named_and_its_literals_are_not(self, faulty: Scene) -> None:
        ((subject, observed),) = faulty.loud.findings("query-performance", "fail")

        assert re.fullmatch(r"orders: statement -?\d+ of quub_app", subject)
        assert re.search(r"30 calls: UPDATE numbers SET last = last \+ \$\d WHERE name = \$\d", observed)

    @needs_postgresql
    def test_the_pool_that_takes_nearly_all_connections_is_named(self, faulty: Scene) -> None:
        assert faulty.loud.findings("database.connection-pooling", "fail") == {
            ("orders: connections of the server", "15 of 17 are taken")
        }

    def test_traces_that_are_not_sampled_are_named_by_the_setting_and_by_what_arrives(self, faulty: Scene) -> None:
        assert faulty.loud.findings("apm", "fail") == {
            ("datadog", "took nothing of quub-app in production in 24 h"),
            ("quub-app:terraform/service.tf", "DD_TRACE_SAMPLE_RATE is 0"),
        }

    def test_errors_that_are_not_sampled_are_named_by_the_line_and_by_what_arrives(self, faulty: Scene) -> None:
        found = {
            re.sub(r":\d+:\d+$", "", subject): text for subject, text in faulty.loud.findings("error-tracking", "fail")
        }

        assert found == {
            "sentry: quub-app/quub-app": "has never seen production; it knows staging",
            "quub-app:src/errors.ts": "init sends no error (a sample rate of 0)",
        }

    def test_the_module_that_no_test_runs_is_named_where_it_is_critical(self, faulty: Scene) -> None:
        found = dict(faulty.loud.findings("critical-paths", "fail"))

        assert found["credentials: src/config/secrets.ts"].startswith("0.0% (0 of 15) of the lines")
        assert {subject.partition(":")[0] for subject in found} == {"credentials"}
        assert {subject for subject, _ in faulty.loud.findings("critical-paths", "pass")} == {"orders"}
        assert {subject for subject, _ in faulty.loud.findings("edge-cases", "fail")} == {"credentials"}

    def test_exactly_80_percent_of_the_lines_are_not_enough(self, faulty: Scene) -> None:
        assert faulty.loud.findings("unit.coverage", "fail") == {("quub-app", "80.0% (200 of 250) of the lines")}

    def test_the_suite_that_skips_itself_without_a_key_is_named(self, faulty: Scene) -> None:
        assert faulty.loud.findings("sandbox", "fail") == {("sandbox", "all 6 tests were skipped")}

    def test_the_flow_that_nobody_walked_is_named(self, faulty: Scene) -> None:
        assert faulty.loud.findings("end-to-end", "fail") == {("cancel-order", "1 test, and none was run")}
        walked = {subject for subject, _ in faulty.loud.findings("end-to-end", "pass")}
        assert walked == {"place-order", "follow-orders"}

    def test_the_peak_that_was_planned_and_not_reached_is_told_by_what_was_reached(self, faulty: Scene) -> None:
        ((subject, observed),) = faulty.loud.findings("peak", "fail")

        assert subject == "peak: peak.json"
        assert observed.startswith("900.2 requests a second at most for 600 s, 107880 requests were due and never sent")

    def test_the_day_in_which_answers_got_slower_is_told_and_drawn(self, faulty: Scene) -> None:
        ((_, observed),) = faulty.loud.findings("sustained", "fail")

        assert re.match(r"p95 grows by \d\d% over the run, from 18\d(\.\d)? to 27\d(\.\d)? ms", observed)
        assert "<svg" in (faulty.loud.out / "report.html").read_text(encoding="utf-8")

    def test_the_experiment_that_did_nothing_and_calls_that_completed_shows_nothing(self, faulty: Scene) -> None:
        ((subject, observed),) = faulty.loud.findings("circuit-breakers", "warning")

        assert subject == "chaos"
        assert observed.endswith("the steady state did not hold before it, so nothing was done")

    def test_the_endpoint_that_no_penetration_test_was_about_is_named(self, faulty: Scene) -> None:
        assert {subject for subject, _ in faulty.loud.findings("penetration-test", "fail")} == {"partners"}
        assert {subject for subject, _ in faulty.loud.findings("penetration-test", "pass")} == {
            "orders",
            "console",
            "stream",
        }

    def test_the_critical_advisory_is_named_with_the_version_that_mends_it(self, faulty: Scene) -> None:
        ((subject, observed),) = faulty.loud.findings("dependency-scan", "fail")

        assert subject == "GHSA-fjxv-7rqg-78g4 in pkg:npm/form-data"
        assert observed.endswith("fixed in 4.0.4")

    def test_the_checkout_that_is_served_and_the_key_in_the_history_are_named(self, faulty: Scene) -> None:
        found = dict(faulty.loud.findings("api-key-exposure", "fail"))

        assert found["console/.git/HEAD"] == "serves the head of a git repository"
        assert found["betterleaks: .env:2"] == "quub-api-key"
        assert any(subject.startswith(".env:2:") and " @ " in subject for subject in found)

    def test_open_faults_are_told_by_category_of_the_top_10(self, faulty: Scene) -> None:
        assert {subject for subject, _ in faulty.loud.findings("owasp-top-10", "fail")} == {
            "A01:2025 Broken Access Control, console",
            "A03:2025 Software Supply Chain Failures, npm-audit",
            "A04:2025 Cryptographic Failures, partners",
        }

    def test_the_scan_of_another_commit_counts_for_nothing(self, faulty: Scene) -> None:
        told = [
            finding["message"]
            for item in faulty.loud.result["items"]
            if item["id"].endswith("owasp-top-10")
            for finding in item["findings"]
            if finding["is_undecided"]
        ]

        assert any(re.search(r"zap\.json is of commit [0-9a-f]{12}, expected [0-9a-f]{12}", text) for text in told), (
            told
        )

    def test_what_is_sound_passes_beside_what_is_not(self, faulty: Scene) -> None:
        assert {"orders", "stream", "quub-app-production"} <= {
            subject for subject, _ in _named(faulty.loud.findings("tls-minimum-version", "pass"))
        }
        assert {"orders", "stream", "quub-app-production"} <= {
            subject for subject, _ in _named(faulty.loud.findings("https-enforced", "pass"))
        }

    def test_every_verbosity_comes_to_the_same(self, faulty: Scene) -> None:
        assert [(run.code, run.statuses) for run in faulty.others] == [(1, faulty.loud.statuses)] * 3

    def test_no_question_reaches_aws_twice(self, faulty: Scene) -> None:
        assert len(faulty.requests) >= 40
        assert _asked_again(faulty) == []

    def test_no_secret_value_comes_out(self, faulty: Scene) -> None:
        planted = {**faulty.secrets, **repository.planted_secrets(), **PERSONAL}

        assert len(planted) == 14 + HAS_REDIS + HAS_POSTGRESQL
        assert _leaks(faulty, planted) == []

    def test_words_that_are_no_secrets_stay_readable(self, faulty: Scene) -> None:
        report = (faulty.loud.out / "report.html").read_text(encoding="utf-8")

        assert "production/quub/credentials" in report
        assert "eu-central-1" in report


class TestWithoutServers:
    """On a machine that has neither Redis nor PostgreSQL."""

    @pytest.mark.parametrize("healthy", [True, False])
    def test_what_is_about_them_does_not_apply_and_the_rest_is_as_elsewhere(
        self, bare_worlds: Callable[..., AbstractContextManager[DemoWorld]], tmp_path: Path, healthy: bool
    ) -> None:
        with bare_worlds(healthy=healthy) as world:
            done = audit(world, tmp_path / "reports")

        absent = {item.partition(".")[2] for item in (*OF_CACHE, *OF_DATABASE)}
        others = dict.fromkeys(FAULTY, "pass") if healthy else FAULTY
        assert done.code == (0 if healthy else 1), done.terminal
        assert done.statuses == {item: "not_applicable" if item in absent else others[item] for item in FAULTY}
        reasons = {item["id"]: item["reason"] for item in done.result["items"] if item["status"] == "not_applicable"}
        assert reasons == dict.fromkeys(OF_CACHE, NO_REDIS) | dict.fromkeys(OF_DATABASE, NO_POSTGRESQL)
