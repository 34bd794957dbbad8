"""Workloads take their keys by reference from a secret store, and no copy lies in the code or its history."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from quub_audit.checks.security.api_keys.stored_in_secret_manager import (
    Allowed,
    SecretManagerParameters,
    identity_of,
    judge_assignments,
    judge_environment_file,
    judge_fallbacks,
    judge_parameter_type,
    judge_scan,
    judge_states,
    judge_variables,
)
from quub_audit.facts.code import (
    Assignment,
    Assignments,
    CodeFile,
    LeakedSecret,
    Match,
    Search,
    SecretScan,
)
from quub_audit.model.finding import Finding, Location
from quub_audit.model.status import FindingStatus
from tests.checks.security.api_keys.scene import Seal, made_up_key

ITEM = "security.api-keys.stored-in-secret-manager"
WANTED = SecretManagerParameters()
PASS, FAIL, ERROR, WARNING = (
    FindingStatus.PASS,
    FindingStatus.FAIL,
    FindingStatus.ERROR,
    FindingStatus.WARNING,
)


def allowing(identity: str) -> SecretManagerParameters:
    return SecretManagerParameters(allow=(Allowed(identity=identity, reason="a public key, see OPS-1"),))


# Workloads


@pytest.mark.parametrize(
    ("name", "value", "statuses"),
    [
        ("QUUB_API_SECRET", "k3Jx9Qw2Lz7Rt5Vb", [FAIL]),
        ("quubApiKey", "k3Jx9Qw2Lz7Rt5Vb", [FAIL]),
        ("DATABASE_URL", "postgresql://orders:" + "k3Jx9Qw2" + "@db.invalid/orders", [FAIL]),
        ("DATABASE_URL", "postgresql://db.invalid/orders", []),
        ("SENTRY_DSN", "https://" + "k3Jx9Qw2Lz7R" + "@sentry.invalid/1", [FAIL]),
        ("DB_PASSWORD", "12345678", [FAIL]),
        ("DB_PASSWORD", "short", [WARNING]),
        ("DB_PASSWORD", "", []),
        ("QUUB_API_SECRET", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:x", [PASS]),
        ("QUUB_API_SECRET", "vault:secret/data/quub#apiSecret", [PASS]),
        ("TOKEN_CHECK", "true", []),
        ("JWT_TOKEN_TTL", "864000000", []),
        ("QUUB_SECRET_NAME", "production/quub/credentials", []),
        ("PASSWORD_FILE", "/run/secrets/password", []),
        ("NODE_ENV", "production", []),
        ("NEXT_PUBLIC_API_KEY", "k3Jx9Qw2Lz7Rt5Vb", [FAIL]),
        ("VITE_QUUB_TOKEN", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:x", [FAIL]),
        ("REACT_APP_SECRET", "short", [FAIL]),
    ],
)
def test_a_secret_like_variable_is_judged_by_what_its_value_is(
    seal: Seal, name: str, value: str, statuses: list[FindingStatus]
) -> None:
    found = list(judge_variables("orders:7/web", {name: seal(value)}, WANTED))

    assert [finding.status for finding in found] == statuses
    assert all(finding.subject == f"orders:7/web/{name}" for finding in found)
    assert not value or all(value not in finding.observed + finding.message for finding in found)


def test_an_allowed_variable_is_told_with_its_reason(seal: Seal) -> None:
    variables = {"MAPS_API_KEY": seal(made_up_key())}

    (finding,) = judge_variables("orders:7/web", variables, allowing("orders:7/web/MAPS_API_KEY"))

    assert (finding.status, finding.observed) == (WARNING, "is allowed: a public key, see OPS-1")


def test_an_environment_file_that_nobody_has_seen_is_an_error_until_it_is_allowed() -> None:
    subject = "orders:7/web/arn:aws:s3:::config/orders.env"

    assert judge_environment_file(subject, WANTED).status is ERROR
    assert judge_environment_file(subject, allowing(subject)).status is WARNING


@pytest.mark.parametrize(
    ("types", "status"), [(["SecureString"], PASS), (["String"], FAIL), (["StringList"], FAIL), ([], ERROR)]
)
def test_a_reference_to_a_plain_parameter_is_no_secret_store(types: list[str], status: FindingStatus) -> None:
    assert judge_parameter_type("orders:7/web/KEY", "/quub/key", types).status is status


# The tree and the history


def leak(seal: Seal, *, is_in_tree: bool = True, **changes: Any) -> LeakedSecret:
    parts: dict[str, Any] = {
        "rule": "generic-api-key",
        "description": "Generic API key",
        "location": Location(file="src/client.ts", line=12, commit=None if is_in_tree else "c" * 40),
        "fingerprint": seal(made_up_key()),
        "is_in_tree": is_in_tree,
    }
    return LeakedSecret(**{**parts, **changes})


def scanned(*leaks: LeakedSecret, **changes: Any) -> SecretScan:
    parts: dict[str, Any] = {"files_scanned": 40, "commits_scanned": 90, "is_shallow": False}
    return SecretScan(secrets=leaks, **{**parts, **changes})


def by_subject(findings: list[Finding]) -> dict[str, FindingStatus]:
    return {finding.subject: finding.status for finding in findings}


def test_a_clean_tree_and_a_clean_history_pass_each() -> None:
    assert by_subject(list(judge_scan("app", scanned(), WANTED))) == {"app": PASS, "app history": PASS}


def test_a_secret_in_the_tree_fails_at_its_line_and_the_history_is_judged_apart(seal: Seal) -> None:
    found = list(judge_scan("app", scanned(leak(seal)), WANTED))

    assert by_subject(found) == {"src/client.ts:12": FAIL, "app history": PASS}
    assert found[0].location == Location(file="src/client.ts", line=12)


def test_a_secret_that_was_deleted_still_fails_in_the_history(seal: Seal) -> None:
    found = by_subject(list(judge_scan("app", scanned(leak(seal, is_in_tree=False)), WANTED)))

    assert found == {"src/client.ts:12 @ cccccccccccc": FAIL, "app": PASS}


def test_a_shallow_clone_or_none_says_nothing_of_the_history() -> None:
    assert by_subject(list(judge_scan("app", scanned(is_shallow=True), WANTED)))["app history"] is ERROR
    assert by_subject(list(judge_scan("app", scanned(commits_scanned=0), WANTED)))["app history"] is ERROR


def test_a_history_that_was_cut_is_told() -> None:
    found = list(judge_scan("app", scanned(is_history_cut=True), WANTED))

    assert [finding.status for finding in found if finding.subject == "app history"] == [PASS, WARNING]


def test_a_repository_without_files_is_an_error_and_never_clean() -> None:
    assert by_subject(list(judge_scan("app", scanned(files_scanned=0), WANTED)))["app"] is ERROR


def test_a_documented_sample_is_told_and_not_judged(seal: Seal) -> None:
    sample = leak(seal, is_sample=True, sample_reason="an example of the AWS documentation")

    found = list(judge_scan("app", scanned(sample), WANTED))

    assert by_subject(found) == {"src/client.ts:12": WARNING, "app": PASS, "app history": PASS}


def test_an_allowed_leak_is_told_and_another_at_the_next_line_still_fails(seal: Seal) -> None:
    first = leak(seal)
    second = leak(seal, location=Location(file="src/client.ts", line=13))
    wanted = allowing(identity_of(first))

    found = by_subject(list(judge_scan("app", scanned(first, second), wanted)))

    assert found == {"src/client.ts:12": WARNING, "src/client.ts:13": FAIL, "app history": PASS}


def test_what_allow_calls_a_leak_of_the_history_names_its_commit(seal: Seal) -> None:
    assert identity_of(leak(seal)) == "src/client.ts:generic-api-key:12"
    assert identity_of(leak(seal, is_in_tree=False)) == f"{'c' * 40}:src/client.ts:generic-api-key:12"


# Configuration files


def assigned(
    seal: Seal,
    name: str,
    value: str,
    file: str = ".env.production",
    form: Literal["env", "dockerfile", "compose", "terraform", "kubernetes", "workflow"] = "env",
) -> Assignments:
    entry = Assignment(name=name, fingerprint=seal(value), location=Location(file=file, line=3), form=form)
    return Assignments(assignments=(entry,), files_read=4)


@pytest.mark.parametrize(
    ("name", "value", "file", "status"),
    [
        ("QUUB_API_SECRET", "k3Jx9Qw2Lz7Rt5Vb", ".env.production", FAIL),
        ("QUUB_API_SECRET", "sk_" + "test_" + "k3Jx9Qw2Lz7Rt5Vb", ".env", FAIL),
        ("apiSecret", "azNKeDlRdzJMejdSdDVWYg==", "k8s/secret.yaml", FAIL),
        ("NEXT_PUBLIC_QUUB_TOKEN", "${QUUB_TOKEN}", ".env.production", FAIL),
        ("QUUB_API_SECRET", "changeme-please", ".env", WARNING),
        ("QUUB_API_SECRET", "k3Jx9Qw2Lz7Rt5Vb", ".env.example", WARNING),
        ("QUUB_API_SECRET", "k3Jx9Qw2Lz7Rt5Vb", "tests/fixtures/.env", WARNING),
        ("QUUB_API_SECRET", "${QUUB_API_SECRET}", "compose.yaml", PASS),
        ("QUUB_API_SECRET", "", ".env", PASS),
        ("QUUB_SECRET_NAME", "production/quub/credentials", ".env", PASS),
    ],
)
def test_a_literal_in_a_configuration_file_fails_unless_it_is_a_sample(
    seal: Seal, name: str, value: str, file: str, status: FindingStatus
) -> None:
    found = list(judge_assignments("app", assigned(seal, name, value, file), WANTED))

    expected = {f"{file} {name}": status} if status is not PASS else {}
    clean = {} if status is FAIL else {"app configuration": PASS}
    assert by_subject(found) == {**expected, **clean}


def test_an_allowed_assignment_is_told(seal: Seal) -> None:
    found = assigned(seal, "MAPS_API_KEY", made_up_key())

    judged = by_subject(list(judge_assignments("app", found, allowing(".env.production:MAPS_API_KEY"))))

    assert judged == {".env.production MAPS_API_KEY": WARNING, "app configuration": PASS}


def test_no_configuration_file_is_no_pass_and_an_unreadable_one_is_an_error() -> None:
    assert not list(judge_assignments("app", Assignments(assignments=(), files_read=0), WANTED))

    broken = Assignments(assignments=(), files_read=1, unreadable=(("compose.yaml", "no YAML"),))
    assert by_subject(list(judge_assignments("app", broken, WANTED)))["app:compose.yaml"] is ERROR


# Fallbacks and state


def fallback(name: str, value: str) -> Search:
    match = Match(
        pattern="javascript",
        location=Location(file="src/config.ts", line=9),
        language="typescript",
        text=f"process.env.{name} || {value}",
        captures=(("NAME", name), ("VALUE", value)),
    )
    return Search(matches=(match,), files_searched=1)


@pytest.mark.parametrize(
    ("name", "value", "is_bad"),
    [
        ("QUUB_API_KEY", '"' + "sk_" + 'live_k3Jx9Qw2"', True),
        ("QUUB_API_KEY", "'[redacted]'", True),
        ("QUUB_API_KEY", "`k3Jx9Qw2Lz7R`", True),
        ('"QUUB_API_KEY"', '"k3Jx9Qw2Lz7R"', True),
        ("QUUB_API_KEY", '""', False),
        ("QUUB_API_KEY", "fail('missing')", False),
        ("QUUB_API_KEY", "config.key", False),
        ("QUUB_API_KEY", '"arn:aws:secretsmanager:eu-central-1:1:secret:x"', False),
        ("QUUB_SECRET_NAME", '"production/quub/credentials"', False),
        ("NODE_ENV", '"development"', False),
    ],
)
def test_a_literal_to_fall_back_on_is_a_secret_in_code(name: str, value: str, is_bad: bool) -> None:
    found = list(judge_fallbacks("app", fallback(name, value), WANTED))

    assert [finding.status for finding in found] == ([FAIL] if is_bad else [])
    assert all("k3Jx9Qw2" not in repr(finding) for finding in found)


def test_a_file_that_could_not_be_searched_is_an_error() -> None:
    found = Search(matches=(), files_searched=0, unreadable=(("src/big.ts", "too large"),))

    assert [finding.status for finding in judge_fallbacks("app", found, WANTED)] == [ERROR]


def test_a_tracked_terraform_state_fails() -> None:
    tracked = CodeFile(path="terraform/terraform.tfstate", size_bytes=9, is_tracked=True)
    local = CodeFile(path="terraform.tfstate", size_bytes=9, is_tracked=False)

    found = list(judge_states("app", [tracked, local]))

    assert by_subject(found) == {"app:terraform/terraform.tfstate": FAIL}
