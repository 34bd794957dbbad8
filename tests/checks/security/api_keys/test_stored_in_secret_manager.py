"""Workloads take their keys by reference from a secret store, and no copy lies in the code or its history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from ast_grep_py import SgRoot

from quub_audit.checks.security.api_keys._leaks import Allowed, identity_of, judge_scan, judge_states
from quub_audit.checks.security.api_keys.stored_in_secret_manager import (
    FALLBACKS,
    SecretManagerParameters,
    judge_assignments,
    judge_environment_file,
    judge_fallbacks,
    judge_parameter_type,
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
from quub_audit.model.environment import Environment, Repository
from quub_audit.model.finding import Finding, Location
from quub_audit.model.status import FindingStatus, Status
from quub_audit.testing import audit_item
from tests.checks.security.api_keys.scene import Seal, credentials, made_up_key
from tests.worlds.checkout import Checkout
from tests.worlds.cloud import Cloud

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
        ("QUUB_API_KEY", "default='k3Jx9Qw2Lz7R'", True),
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


@pytest.mark.parametrize(
    ("language", "code", "name", "value"),
    [
        ("typescript", 'const key = process.env.QUUB_API_KEY || "x";', "QUUB_API_KEY", '"x"'),
        ("typescript", "const key = process.env.QUUB_API_KEY ?? 'x';", "QUUB_API_KEY", "'x'"),
        ("tsx", 'const key = process.env["QUUB_API_KEY"] || `x`;', '"QUUB_API_KEY"', "`x`"),
        ("javascript", 'const key = process.env.A || process.env.QUUB_API_KEY || "x";', "QUUB_API_KEY", '"x"'),
        ("javascript", 'const key = import.meta.env.VITE_TOKEN || "x";', "VITE_TOKEN", '"x"'),
        ("python", 'key = os.environ.get("QUUB_API_KEY", "x")', '"QUUB_API_KEY"', '"x"'),
        ("python", 'key = os.getenv("QUUB_API_KEY", default="x")', '"QUUB_API_KEY"', 'default="x"'),
    ],
)
def test_the_search_finds_every_way_to_fall_back(language: str, code: str, name: str, value: str) -> None:
    (pattern,) = [each for each in FALLBACKS if language in each.languages]

    found = SgRoot(code, language).root().find_all(**yaml.safe_load(pattern.rule))

    captures = [tuple(each[key].text() for key in ("NAME", "VALUE")) for each in found]
    assert (name, value) in captures


# On AWS


def with_code(environment: Environment) -> Environment:
    """The half of the workload is judged only beside a repository; this test looks at the workload's checks alone."""
    return replace(environment, repositories=(Repository(name="app", path=str(Path.cwd())),))


@pytest.mark.proof("pass")
def test_references_to_a_secret_and_a_secure_string_pass(cloud: Cloud) -> None:
    cloud.parameter("/orders/token", made_up_key())
    arn = cloud.secret("production/quub/credentials", credentials())
    cloud.service(environment={"NODE_ENV": "production"}, secret={"QUUB_API_KEY": arn, "TOKEN": "/orders/token"})

    result = audit_item(ITEM, with_code(cloud.environment()), check="ecs", environ=cloud.environ)

    assert result.status is Status.PASS, result.reason
    assert {finding.subject for finding in result.of_status(PASS)} == {
        "orders:1/web/QUUB_API_KEY",
        "orders:1/web/TOKEN",
    }


@pytest.mark.proof("fail")
def test_a_literal_in_one_of_twelve_services_fails_and_is_named(cloud: Cloud) -> None:
    key = made_up_key()
    arn = cloud.secret("production/quub/credentials", credentials())
    for number in range(11):
        cloud.service(f"orders-{number}", secret={"QUUB_API_KEY": arn})
    cloud.service("payments", environment={"QUUB_API_SECRET": key})

    result = audit_item(ITEM, with_code(cloud.environment()), check="ecs", environ=cloud.environ)

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(FAIL)] == ["payments:1/web/QUUB_API_SECRET"]
    assert len(result.of_status(PASS)) == 11
    assert key not in repr(result)


@pytest.mark.proof("fail")
def test_a_reference_to_a_plain_parameter_fails_and_one_to_none_is_an_error(cloud: Cloud) -> None:
    cloud.parameter("/orders/plain", made_up_key(), "String")
    cloud.service(secret={"QUUB_API_KEY": "/orders/plain", "QUUB_API_SECRET": "/orders/none"})

    result = audit_item(ITEM, with_code(cloud.environment()), check="ecs", environ=cloud.environ)

    assert [finding.subject for finding in result.of_status(FAIL)] == ["orders:1/web/QUUB_API_KEY"]
    assert [finding.subject for finding in result.of_status(ERROR)] == ["orders:1/web/QUUB_API_SECRET"]


def test_without_a_repository_a_clean_workload_is_half_a_proof(cloud: Cloud) -> None:
    arn = cloud.secret("production/quub/credentials", credentials())
    cloud.service(secret={"QUUB_API_KEY": arn})

    result = audit_item(ITEM, cloud.environment(), environ=cloud.environ)

    assert result.status is Status.INCONCLUSIVE
    assert [finding.subject for finding in result.of_status(PASS)] == ["orders:1/web/QUUB_API_KEY"]
    assert "no repository is declared" in result.reason
    assert "`repositories:`" in result.next_step


@pytest.mark.proof("fail")
def test_a_literal_of_a_lambda_function_fails_and_is_named(cloud: Cloud) -> None:
    cloud.function("settle", {"QUUB_API_SECRET": made_up_key(), "STAGE": "production"})
    cloud.function("report", {"QUUB_API_SECRET": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:x"})

    result = audit_item(ITEM, with_code(cloud.environment()), check="lambda_", environ=cloud.environ)

    assert [finding.subject for finding in result.of_status(FAIL)] == ["settle/QUUB_API_SECRET"]
    assert [finding.subject for finding in result.of_status(PASS)] == ["report/QUUB_API_SECRET"]


@pytest.mark.proof("inconclusive")
def test_an_account_without_workloads_is_inconclusive(cloud: Cloud) -> None:
    assert audit_item(ITEM, cloud.environment(), environ=cloud.environ).status is Status.INCONCLUSIVE


def test_a_container_without_secret_like_variables_is_inconclusive(cloud: Cloud) -> None:
    cloud.service(environment={"NODE_ENV": "production"})

    assert audit_item(ITEM, cloud.environment(), environ=cloud.environ).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_denied_task_definition_is_an_error(cloud: Cloud) -> None:
    cloud.service(environment={"QUUB_API_SECRET": made_up_key()})
    cloud.allow_only("ecs:ListClusters", "ecs:ListServices", "ecs:DescribeServices")

    result = audit_item(ITEM, cloud.environment(), check="ecs", environ=cloud.environ)

    assert result.status is Status.ERROR
    assert "ecs:DescribeTaskDefinition" in result.reason + result.next_step


# In git


def of_code(checkout: Checkout) -> Environment:
    return Environment(service="orders", name="production", stage="production", repositories=(checkout.target,))


def planted() -> str:
    """A token of the form that GitHub gives out, which every scanner knows."""
    return "gh" + "p_" + (made_up_key() + made_up_key()).replace("_", "")[-36:]


@pytest.mark.proof("inconclusive")
def test_a_clean_repository_alone_proves_nothing_of_the_running_system(checkout: Checkout) -> None:
    result = audit_item(ITEM, of_code(checkout))

    assert result.status is Status.INCONCLUSIVE
    assert "repository" in result.reason


@pytest.mark.proof("fail")
def test_a_token_in_the_tree_fails_at_its_line(checkout: Checkout) -> None:
    token = planted()
    checkout.commit({"src/client.ts": f'// the client\nconst token = "{token}";\n'})

    result = audit_item(ITEM, of_code(checkout))

    assert result.status is Status.FAIL
    assert {(f.location.file, f.location.line) for f in result.of_status(FAIL) if f.location} == {("src/client.ts", 2)}
    assert token not in repr(result)


@pytest.mark.proof("fail")
def test_a_token_that_was_deleted_again_fails_with_its_commit(checkout: Checkout) -> None:
    checkout.commit({"src/client.ts": f'const token = "{planted()}";\n'})
    checkout.commit({"src/client.ts": None})

    result = audit_item(ITEM, of_code(checkout))

    assert result.status is Status.FAIL
    assert all(finding.location and finding.location.commit for finding in result.of_status(FAIL))


@pytest.mark.proof("error")
def test_a_shallow_clone_is_an_error(checkout: Checkout) -> None:
    checkout.commit({"README.md": "more\n"})

    result = audit_item(ITEM, of_code(checkout.shallow()))

    assert result.status is Status.ERROR
    assert [finding.subject for finding in result.of_status(ERROR)] == ["app history"]


@pytest.mark.proof("fail")
def test_a_literal_in_an_environment_file_a_fallback_and_a_state_fail(checkout: Checkout) -> None:
    checkout.commit(
        {
            ".env.production": f"PORT=3000\nQUUB_API_SECRET={made_up_key()}\n",
            "src/config.ts": f'export const key = process.env.QUUB_API_KEY || "{made_up_key()}";\n',
            "terraform/terraform.tfstate": "{}\n",
        }
    )

    result = audit_item(ITEM, of_code(checkout))

    assert {".env.production QUUB_API_SECRET", "src/config.ts QUUB_API_KEY", "app:terraform/terraform.tfstate"} <= {
        finding.subject for finding in result.of_status(FAIL)
    }
