"""No log of the service holds personal data or a secret in clear."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.security.data_protection.pii_masked_in_logs import (
    LogParameters,
    is_clean,
    judge_coverage,
    judge_files,
    judge_protection,
    judge_sample,
    masks,
)
from quub_audit.connectors.evidence import write_bundle
from quub_audit.connectors.world import World
from quub_audit.errors import Reportable
from quub_audit.model.environment import Environment, LogSource, Repository
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.sdk import Logs, LogSample, PiiKind, Sighting
from quub_audit.testing import audit_item
from tests.worlds.checkout import Checkout
from tests.worlds.cloud import Cloud
from tests.worlds.front import Front, json_answer

ITEM = "security.data-protection.pii-masked-in-logs"
WANTED = LogParameters(min_events=10)
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)
AT = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
HARMLESS = "GET /orders/81723 200 12ms request_id=5f2b1c9e-7d34-4a51-9c43-1b0f2f9b7a11 card=****1111"


def sample(*sightings: Sighting, events: int = 1000, source: str = "orders", forms: int = 40) -> LogSample:
    return LogSample(source=source, events=events, bytes_read=events * 80, slices=12, sightings=sightings, forms=forms)


def sighting(kind: PiiKind = "payment card", count: int = 3, at: datetime | None = AT) -> Sighting:
    return Sighting(kind=kind, count=count, first_at=at, place="web/1", detail="Luhn and issuer's range")


# Samples


@pytest.mark.parametrize(
    "kind",
    ["payment card", "IBAN", "national id", "JSON Web Token", "bearer token", "API key", "private key", "password"],
)
def test_one_secret_in_a_thousand_events_fails_whatever_the_rate(kind: PiiKind) -> None:
    (finding,) = judge_sample("orders", sample(sighting(kind, 1)), LogParameters(max_email_rate=1.0))

    assert finding.status is FAIL
    assert f"1 × {kind}" in finding.observed  # noqa: RUF001
    assert "the newest in web/1 at 2026-11-24 06:30 UTC" in finding.message


@pytest.mark.parametrize(
    ("count", "rate", "status"),
    [(1, 0.0, FAIL), (1, 0.001, WARNING), (2, 0.001, FAIL), (1000, 1.0, WARNING)],
)
def test_addresses_fail_above_the_rate_that_the_checklist_allows(
    count: int, rate: float, status: FindingStatus
) -> None:
    (finding,) = judge_sample("orders", sample(sighting("e-mail address", count)), LogParameters(max_email_rate=rate))

    assert finding.status is status


def test_kinds_that_are_not_looked_for_are_not_told() -> None:
    wanted = LogParameters(kinds=("payment card",))

    assert list(judge_sample("orders", sample(sighting("password")), wanted)) == []


def test_the_place_is_told_without_a_time_where_lines_have_none() -> None:
    (finding,) = judge_sample("orders", sample(sighting(at=None)), WANTED)

    assert "the newest in web/1; " in finding.message


# Coverage


@pytest.mark.parametrize(
    ("events", "percent", "kind"),
    [
        ((10, 10), 100, "pass"),
        ((10, 9), 100, "undecided"),
        ((10, 10, 10, 10, 0), 80, "pass"),
        ((10, 10, 10, 0, 0), 80, "undecided"),
        ((0,), 1, "undecided"),
    ],
)
def test_a_source_passes_when_enough_of_its_groups_had_enough_events(
    events: Sequence[int], percent: int, kind: str
) -> None:
    samples = [sample(events=count, source=f"g{index}") for index, count in enumerate(events)]

    (finding,) = judge_coverage("source", samples, LogParameters(min_events=10, coverage_percent=percent))

    assert finding.kind == kind


def test_a_group_whose_events_all_look_alike_is_warned_of() -> None:
    warning, passes = judge_coverage("source", [sample(forms=1, source="health"), sample()], WANTED)

    assert (warning.status, passes.status) == (WARNING, PASS)
    assert "look alike in health, as those of health checks do" in warning.observed


def test_nothing_passes_where_one_group_holds_something_and_no_sample_is_no_pass() -> None:
    assert list(judge_coverage("source", [sample(), sample(sighting())], WANTED)) == []
    assert list(judge_files("source", [sample(), sample(sighting())], WANTED)) == []
    assert (
        list(judge_files("source", [LogSample(source="a", events=0, bytes_read=0, slices=0, unread="x")], WANTED)) == []
    )
    with pytest.raises(ValueError, match="no sample"):
        list(judge_coverage("source", [], WANTED))
    with pytest.raises(ValueError, match="no sample"):
        list(judge_files("source", [], WANTED))


KINDS = st.sampled_from(["e-mail address", "phone number", "payment card", "password"])


@given(kinds=st.lists(KINDS, max_size=4), counts=st.integers(1, 50), rate=st.sampled_from([0.0, 0.01, 1.0]))
def test_a_sample_passes_exactly_when_it_gives_no_fail(kinds: list[PiiKind], counts: int, rate: float) -> None:
    seen = sample(*(sighting(kind, counts) for kind in kinds))
    wanted = LogParameters(max_email_rate=rate)

    has_failed = any(finding.status is FAIL for finding in judge_sample("g", seen, wanted))

    assert has_failed is not is_clean(seen, wanted)


# Policies


def policy(*operations: str) -> str:
    return json.dumps({"Version": "2021-06-01", "Statement": [{"Operation": {each: {}}} for each in operations]})


@pytest.mark.parametrize(
    ("document", "is_masking"),
    [
        (policy("Audit", "Deidentify"), True),
        (json.loads(policy("Deidentify")), True),
        (policy("Audit"), False),
        ("{", False),
        ("[]", False),
        (None, False),
        (json.dumps({"Statement": ["Deidentify"]}), False),
    ],
)
def test_a_policy_masks_by_a_statement_with_deidentify(document: Any, is_masking: bool) -> None:
    assert masks(document) is is_masking


def test_a_policy_that_counts_only_is_a_warning_and_a_subscription_that_ships_raw_copies_is_one() -> None:
    (audits,) = judge_protection("g", [policy("Audit")], [])
    ships, passes = judge_protection("g", [policy("Audit"), policy("Deidentify")], ["arn:aws:firehose:a:b:c"])

    assert audits.status is WARNING
    assert (ships.status, passes.status) == (WARNING, PASS)
    assert "arn:aws:firehose:a:b:c" in ships.observed


# On an emulated account


def write(cloud: Cloud, group: str, messages: Sequence[str], *, stream: str = "web/1") -> None:
    client = cloud.client("logs")
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000) - 3_600_000
    events = [{"timestamp": now + index, "message": message} for index, message in enumerate(messages)]
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def environment(cloud: Cloud, *prefixes: str, repositories: tuple[Repository, ...] = ()) -> Environment:
    account = cloud.account(name="production")
    source = LogSource(name="app", region=account.regions[0], groups=prefixes)
    return Environment(
        service="orders",
        name="production",
        stage="production",
        aws=(account,),
        logs=(source,),
        repositories=repositories,
    )


def audited(cloud: Cloud, *prefixes: str, **parameters: Any) -> ItemResult:
    return audit_item(
        ITEM,
        environment(cloud, *prefixes),
        parameters={"min_events": 20, **parameters},
        min_evidence=Grade.LIVE,
        environ=cloud.environ,
    )


@pytest.mark.proof("pass")
def test_groups_with_enough_harmless_events_pass(cloud: Cloud) -> None:
    write(cloud, "/ecs/orders", [HARMLESS, "order placed", "cart emptied"] * 10)
    write(cloud, "/ecs/other", ["password=hunter2"])

    result = audited(cloud, "/ecs/orders")

    assert result.status is Status.PASS, result.reason
    assert [finding.observed for finding in result.findings] == ["no personal data and no secret in clear in 30 events"]


@pytest.mark.proof("fail")
def test_a_card_in_one_event_of_one_group_fails_and_names_kind_group_stream_and_count(cloud: Cloud) -> None:
    write(cloud, "/ecs/orders", [HARMLESS] * 30)
    write(
        cloud, "/ecs/orders-worker", [HARMLESS, '{"body":"{\\"card\\":\\"4111 1111 1111 1111\\"}"}'], stream="worker/7"
    )

    result = audited(cloud, "/ecs/orders")

    assert result.status is Status.FAIL
    (finding,) = [each for each in result.findings if each.status is FAIL]
    assert finding.subject == "production/eu-central-1:/ecs/orders-worker"
    assert "1 × payment card" in finding.observed  # noqa: RUF001
    assert "in worker/7" in finding.message


@pytest.mark.proof("inconclusive")
def test_a_quiet_group_proves_nothing(cloud: Cloud) -> None:
    write(cloud, "/ecs/orders", [HARMLESS] * 3)

    result = audited(cloud, "/ecs/orders")

    assert result.status is Status.INCONCLUSIVE
    assert "too few events in /ecs/orders (3)" in result.findings[0].observed


@pytest.mark.proof("error")
def test_a_denied_read_names_the_action_that_is_missing(cloud: Cloud) -> None:
    write(cloud, "/ecs/orders", [HARMLESS] * 30)
    cloud.allow_only("logs:DescribeLogGroups", "sts:GetCallerIdentity")

    result = audited(cloud, "/ecs/orders")

    assert result.status is Status.ERROR
    assert {"logs:FilterLogEvents" in finding.message for finding in result.findings} == {True}


def test_a_prefix_that_names_no_group_is_an_error_and_not_silence(cloud: Cloud) -> None:
    write(cloud, "/ecs/orders", [HARMLESS] * 30)

    result = audited(cloud, "/ecs/orders", "/ecs/ordres")

    assert result.status is Status.ERROR
    assert "no log group of production/eu-central-1 begins with /ecs/ordres" in result.reason


def test_events_before_the_window_are_not_looked_at(cloud: Cloud) -> None:
    write(cloud, "/ecs/orders", ["password=hunter2"] * 30)

    result = audited(cloud, "/ecs/orders", window_h=0.5)

    assert result.status is Status.INCONCLUSIVE


# Policies, which the emulator does not know


def protect(front: Front, *, own: str = "", account: str = "", subscription: str = "") -> None:
    """`/ecs/orders` with a data protection policy of its own, of the account, or both."""
    group = {
        "logGroupName": "/ecs/orders",
        **({"dataProtectionStatus": "ACTIVATED"} if own else {}),
        **({"inheritedProperties": ["ACCOUNT_DATA_PROTECTION"]} if account else {}),
    }
    by_type = {
        "DATA_PROTECTION_POLICY": [{"policyName": "all", "policyDocument": account}] if account else [],
        "SUBSCRIPTION_FILTER_POLICY": [{"policyName": subscription}] if subscription else [],
    }
    front.answers |= {
        "logs.DescribeLogGroups": lambda asked: json_answer({"logGroups": [group]}),
        "logs.GetDataProtectionPolicy": lambda asked: json_answer({"policyDocument": own}),
        "logs.DescribeAccountPolicies": lambda asked: json_answer(
            {"accountPolicies": by_type[asked.parameters["policyType"]]}
        ),
    }


@pytest.mark.parametrize("level", ["own", "account"])
def test_a_policy_alone_is_no_proof_and_what_it_hides_here_may_be_shipped_as_it_is(
    cloud: Cloud, front: Front, level: str
) -> None:
    write(cloud, "/ecs/orders", [HARMLESS])
    masking = policy("Audit", "Deidentify")
    protect(
        front, own=masking if level == "own" else "", account=masking if level == "account" else "", subscription="all"
    )

    result = audited(cloud, "/ecs/orders")

    assert result.status is Status.INCONCLUSIVE
    told = {finding.observed for finding in result.findings}
    assert "a policy masks" in told
    assert "subscriptions ship events to the account's all" in told


def test_a_policy_that_only_audits_is_told_and_a_group_without_one_is_not_asked_about(
    cloud: Cloud, front: Front
) -> None:
    write(cloud, "/ecs/orders", [HARMLESS] * 30)
    protect(front, own=policy("Audit"))

    result = audited(cloud, "/ecs/orders")

    assert result.status is Status.PASS
    assert "the data protection policy audits and masks nothing" in {finding.observed for finding in result.findings}
    protect(front)
    asked = len(front.asked)
    audited(cloud, "/ecs/orders")
    assert {each.operation for each in front.asked[asked:]} & {
        "logs.GetDataProtectionPolicy",
        "logs.DescribeAccountPolicies",
        "logs.DescribeSubscriptionFilters",
    } == set()


# On files


def audited_files(*globs: Path, **parameters: Any) -> ItemResult:
    source = LogSource(name="app", files=tuple(str(each) for each in globs))
    environment = Environment(service="orders", name="production", stage="production", logs=(source,))
    return audit_item(ITEM, environment, parameters={"min_events": 5, **parameters}, min_evidence=Grade.LIVE)


def test_files_pass_together_and_one_bad_line_of_a_packed_one_fails(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(f"{HARMLESS}\n" * 4, encoding="utf-8")
    packed = tmp_path / "app.log.1.gz"
    packed.write_bytes(gzip.compress(f"{HARMLESS}\n".encode() * 4))

    assert audited_files(tmp_path / "app.log*").status is Status.PASS

    packed.write_bytes(gzip.compress(f"{HARMLESS}\nuser=maija.meikalainen@orders.fi\n".encode()))
    result = audited_files(tmp_path / "app.log*")

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.findings] == [str(packed)]
    assert f"the newest in {packed}:2" in result.findings[0].message


def test_a_source_with_enough_lines_hides_no_quiet_one(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text(f"{HARMLESS}\n" * 9, encoding="utf-8")
    (tmp_path / "worker.log").write_text(f"{HARMLESS}\n", encoding="utf-8")
    sources = tuple(LogSource(name=name, files=(str(tmp_path / f"{name}.log"),)) for name in ("web", "worker"))
    environment = Environment(service="orders", name="production", stage="production", logs=sources)

    result = audit_item(ITEM, environment, parameters={"min_events": 5}, min_evidence=Grade.LIVE)

    assert result.status is Status.INCONCLUSIVE
    assert [finding.subject for finding in result.of_status(PASS)] == ["web: 1 files"]
    assert "lower `min_events`" in result.next_step


def test_a_file_that_is_no_text_and_a_glob_without_a_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(bytes(range(256)) * 16)

    assert audited_files(tmp_path / "core").status is Status.ERROR
    missing = audited_files(tmp_path / "*.log")
    assert missing.status is Status.ERROR
    assert "matches no file" in missing.reason


# In code


def test_code_that_sends_personal_data_fails_with_its_place_and_named_fields_do_not(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "app").init()
    checkout.write(
        {
            "src/a.js": "Sentry.init({ dsn, sendDefaultPii: true });\n",
            "src/b.ts": "console.log('in', req.body);\nconsole.log(req.body.orderId, Object.keys(req.body));\n",
            "src/c.ts": "logger.info({ body: req.body });\nlogger.info(redact(req.body));\n"
            "logger.info(req.body['id']);\n",
            "src/d.py": "sentry_sdk.init(send_default_pii=True)\nlogger.info('x %s', request.json)\n"
            "print(request.json['a'])\n",
            "src/e.go": "package e\n\nvar o = sentry.ClientOptions{SendDefaultPII: true}\n",
            "src/E.java": "class E { void a(O o) { o.setSendDefaultPii(true); o.setSendDefaultPii(false); } }\n",
            "test/a.test.js": "console.log(req.body);\n",
        }
    )
    environment = Environment(service="orders", name="production", stage="production", repositories=(checkout.target,))

    result = audit_item(ITEM, environment, min_evidence=Grade.LIVE)

    told = sorted((finding.status.value, finding.subject) for finding in result.findings)
    assert told == [
        ("fail", "app:src/E.java:1"),
        ("fail", "app:src/a.js:1"),
        ("fail", "app:src/b.ts:1"),
        ("fail", "app:src/d.py:1"),
        ("fail", "app:src/e.go:3"),
        ("warning", "app:src/c.ts:1"),
        ("warning", "app:src/d.py:2"),
    ]


def test_clean_code_alone_proves_nothing(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "app").init()
    checkout.write({"src/a.js": "Sentry.init({ sendDefaultPii: false });\n"})
    environment = Environment(service="orders", name="production", stage="production", repositories=(checkout.target,))

    assert audit_item(ITEM, environment, min_evidence=Grade.LIVE).status is Status.INCONCLUSIVE


# Nothing of it leaves

PLANTED = (
    "maija.meikalainen@orders.fi",
    "4532015112830366",
    "DE89370400440532013000",
    "131052-308T",
    "hunter2-zebra",
    "quub_live_9f3kd02ka8dk20dkal3",
    "+358 40 123 4567",
)


def test_no_planted_value_is_in_findings_bundle_or_exceptions(tmp_path: Path, cloud: Cloud) -> None:
    email, card, iban, hetu, password, key, phone = PLANTED
    lines = [
        f"user={email} card={card} iban={iban}",
        f"hetu={hetu} password={password} phone={phone}",
        json.dumps({"authorization": f"Bearer {key}", "mail": email}),
    ]
    write(cloud, "/ecs/orders", [*lines, *[HARMLESS] * 30], stream=f"web/{email}")
    file = tmp_path / f"{email}.log"
    file.write_text("\n".join(lines), encoding="utf-8")
    source = LogSource(name="files", files=(str(tmp_path / "*.log"),))
    declared = environment(cloud, "/ecs/orders")
    world = World(declared, at=datetime.now(UTC), environ=cloud.environ)
    logs = world.connector(Logs)
    assert isinstance(logs, Logs)
    bounds = {"max_events": 100, "max_bytes": 1 << 20}

    samples = [
        logs.sample_group(declared.aws[0].regions[0], "/ecs/orders", window_h=24, slices=2, **bounds),
        *logs.sample_files(source, **bounds),
    ]
    with pytest.raises(Reportable) as absent:
        logs.sample_files(LogSource(name="files", files=("/nowhere/*.log",)), **bounds)
    bundle = tmp_path / "run.evidence"
    write_bundle(bundle, world.ledger, world.redactor, environment=declared, recorded_at=datetime.now(UTC), commit="")
    world.close()
    result = audited(cloud, "/ecs/orders")

    assert {each.kind for found in samples for each in found.sightings} >= {
        "e-mail address",
        "payment card",
        "IBAN",
        "national id",
        "password",
        "API key",
        "phone number",
    }
    assert result.status is Status.FAIL
    outputs = [repr(result), repr(samples), repr(absent.value), gzip.decompress(bundle.read_bytes()).decode()]
    assert [value for value in PLANTED for output in outputs if value in output] == []
