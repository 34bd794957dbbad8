"""Keys are looked for in the code, its history, the pipeline's scans, and in what is served to anybody."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quub_audit.checks.security.api_keys._leaks import Allowed
from quub_audit.checks.testing.security.api_key_exposure import (
    ExposureParameters,
    judge_alerts,
    judge_artifact,
    judge_leaks,
    judge_surface,
    tell_ignored,
)
from quub_audit.facts.artifacts import Acceptance, Leaks, Origin, Scan, ScanFinding
from quub_audit.facts.code import LeakedSecret, SecretScan
from quub_audit.facts.hosting import SecretAlert, SecretAlerts
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.facts.web import ExposureKind, WebAsset, WebExposure, WebSecret, WebSurface
from quub_audit.model.environment import Artifact, Endpoint, Environment, GitHubProject, Repository
from quub_audit.model.finding import Finding, Location
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Grade, Status
from quub_audit.testing import audit_item
from tests.connectors.identity.saying import Says, saying
from tests.worlds.checkout import Checkout
from tests.worlds.shopfront import JS, TEXT, good, made_up, page, shop
from tests.worlds.web import Names, Script, answer, closed_port, endpoint_at, serve

ITEM = "testing.security.api-key-exposure"
DATA = Path(__file__).parents[3] / "parsers" / "data"
WANTED = ExposureParameters()
PASS, FAIL, ERROR, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.WARNING
UNDECIDED = "undecided"
SEALER = Sealer(b"salt", Redactor())
PAGE_AT = Endpoint(name="shop", url="https://shop.test", host="shop.test", port=443, audience="browser")
API_AT = replace(PAGE_AT, audience="api")


def statuses(findings: Iterator[Finding]) -> list[FindingStatus | str]:
    return [UNDECIDED if finding.is_undecided else finding.status for finding in findings]


def surface(**changes: Any) -> WebSurface:
    assets = (WebAsset(path="/", kind="page", characters=10), WebAsset(path="/a.js", kind="script", characters=10))
    return WebSurface(**{"page_status": 200, "assets": assets, "paths_tried": 28, **changes})


def secret(**changes: Any) -> WebSecret:
    told = {"rule": "quub-api-key", "description": "A key", "path": "/a.js", "line": 1, "column": 7}
    return WebSecret(**{**told, "fingerprint": SEALER.seal(made_up("quub_live_", "a")), **changes})


def exposed(kind: ExposureKind) -> WebExposure:
    return WebExposure(path="/there", kind=kind, observed="what is there")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, [PASS]),
        ({"page_status": 404}, [ERROR]),
        ({"secrets": (secret(),)}, [FAIL]),
        ({"secrets": (secret(is_publishable=True),)}, [WARNING, PASS]),
        ({"secrets": (secret(is_certain=False),)}, [WARNING, PASS]),
        ({"secrets": (secret(rule="own-key"),)}, [FAIL]),
        ({"exposures": (exposed("git"),)}, [FAIL]),
        ({"exposures": (exposed("environment"), exposed("backup"))}, [FAIL, FAIL]),
        ({"exposures": (exposed("api"), exposed("metrics"), exposed("diagnostics"))}, [PASS]),
        ({"skipped": ("/b.js",)}, [ERROR]),
        ({"unanswered": ("/.env",)}, [ERROR]),
        ({"unread_keys": (("the secret", "denied"),)}, [ERROR]),
        ({"assets": (WebAsset(path="/a.js", kind="script", characters=1, is_truncated=True),)}, [ERROR]),
        ({"assets": (WebAsset(path="/a.js.map", kind="source map", characters=1, is_truncated=True),)}, [PASS]),
    ],
)
def test_a_surface_passes_only_where_all_was_seen_and_nothing_is_bad(
    seen: Mapping[str, Any], expected: list[FindingStatus | str]
) -> None:
    assert statuses(judge_surface(PAGE_AT, surface(**seen), WANTED)) == expected


def test_an_endpoint_for_programs_needs_no_page() -> None:
    assert statuses(judge_surface(API_AT, surface(page_status=404, assets=()), WANTED)) == [PASS]


def test_an_allowed_place_is_told_with_its_reason_whatever_the_build_calls_its_script() -> None:
    allow = (
        Allowed(identity="shop/assets/app-*.js:quub-api-key", reason="a key of the sandbox"),
        Allowed(identity="shop/there:environment", reason="no secrets"),
    )
    seen = surface(secrets=(secret(path="/assets/app-7f3c.js"),), exposures=(exposed("environment"),))

    found = list(judge_surface(PAGE_AT, seen, ExposureParameters(allow=allow)))

    assert [finding.status for finding in found] == [WARNING, WARNING, PASS]
    assert "a key of the sandbox" in found[0].observed


def scan(*findings: ScanFinding, **changes: Any) -> Scan:
    told = {"origin": Origin(file="x", tool="gitleaks"), "covers": "secrets", "volume": 3, "volume_of": "rules"}
    return Scan(**{**told, "findings": findings, **changes})


def leak(**changes: Any) -> ScanFinding:
    return ScanFinding(**{"id": "stripe-access-token", "level": "high", "file": "a.js", "line": 3, **changes})


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (scan(), [PASS]),
        (scan(volume=0), [UNDECIDED]),
        (scan(unread=("something",)), [UNDECIDED]),
        (scan(leak()), [FAIL]),
        (scan(leak(), volume=0), [FAIL, UNDECIDED]),
        (scan(leak(acceptance=Acceptance(by="the baseline"))), [WARNING, PASS]),
        (scan(leak(confidence="false positive")), [WARNING, PASS]),
        (scan(leak(id="generic-api-key")), [WARNING, PASS]),
        (scan(leak(id="Hex High Entropy String")), [WARNING, PASS]),
        (scan(leak(id="generic-api-key", is_verified=True)), [FAIL]),
        (scan(leak(id="Secret Keyword", confidence="confirmed")), [FAIL]),
    ],
)
def test_a_scan_passes_only_where_it_looked_and_nothing_is_open(
    seen: Scan, expected: list[FindingStatus | str]
) -> None:
    assert statuses(judge_artifact("secrets", seen)) == expected


def test_what_ignore_lists_swallow_is_counted() -> None:
    leaks = tuple(
        LeakedSecret(
            rule="generic-api-key",
            description="A key",
            location=Location(file="a.js", line=number),
            fingerprint=SEALER.seal("x"),
            is_in_tree=True,
            is_sample=number < 3,
            sample_reason="listed in .gitleaksignore" if number < 3 else "",
        )
        for number in range(4)
    )

    (told,) = tell_ignored("app", SecretScan(secrets=leaks, files_scanned=1, commits_scanned=1, is_shallow=False))

    assert told.observed == "3 of 4 findings do not count: listed in .gitleaksignore (3)"


def leaks(*reasons: str, files_scanned: int = 5) -> Leaks:
    """What one image holds: a value for each reason not to count it, none for one that counts."""
    return Leaks(
        origin=Origin(file="/ci/image.tar"),
        secrets=tuple(
            LeakedSecret(
                rule="quub-api-key",
                description="A key",
                location=Location(file="/ci/image.tar!blobs/sha256/f00!app/.env", line=1),
                fingerprint=SEALER.seal("x"),
                is_in_tree=True,
                is_sample=bool(reason),
                sample_reason=reason,
            )
            for reason in reasons
        ),
        files_scanned=files_scanned,
    )


ALLOWING = ExposureParameters(
    allow=(Allowed(identity="image:*/image.tar!*!app/.env:quub-api-key", reason="a key of the sandbox"),)
)


@pytest.mark.parametrize(
    ("seen", "wanted", "expected"),
    [
        (leaks(), WANTED, []),
        (leaks(""), WANTED, [FAIL]),
        (leaks("made for browsers"), WANTED, [WARNING]),
        (leaks("", "made for browsers"), WANTED, [FAIL, WARNING]),
        (leaks(""), ALLOWING, [WARNING]),
        (leaks(files_scanned=0), WANTED, [UNDECIDED]),
    ],
)
def test_a_published_file_fails_by_what_it_holds_and_passes_nothing(
    seen: Leaks, wanted: ExposureParameters, expected: list[FindingStatus | str]
) -> None:
    assert statuses(judge_leaks("image", seen, wanted)) == expected


ON = {"project": "acme/orders", "is_enabled": True, "is_push_protected": True}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (ON, [PASS]),
        ({**ON, "is_enabled": False}, [WARNING]),
        ({**ON, "is_push_protected": False}, [WARNING, PASS]),
        ({**ON, "is_push_protected": None}, [WARNING, PASS]),
        ({**ON, "closed": (("false_positive", 3), ("revoked", 1))}, [WARNING, PASS]),
        ({**ON, "open": (SecretAlert(number=1, kind="k", validity="active"),)}, [FAIL]),
        ({**ON, "open": (SecretAlert(number=1, kind="k"),)}, [FAIL]),
        ({**ON, "open": (SecretAlert(number=1, kind="k", validity="inactive"),)}, [WARNING, PASS]),
    ],
)
def test_alerts_fail_unless_they_are_known_to_be_revoked(
    told: Mapping[str, Any], expected: list[FindingStatus | str]
) -> None:
    assert statuses(judge_alerts("acme/orders at GitHub", SecretAlerts(**told))) == expected


# On real peers


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clean checkout with a history."""
    checkout = Checkout(tmp_path_factory.mktemp("work") / "app").init()
    checkout.write({"src/client.ts": "export const key = process.env.QUUB_API_KEY\n", "README.md": "Orders\n"})
    checkout.git("add", "-A")
    checkout.git("commit", "--quiet", "-m", "Take the key from the environment")
    return checkout


@contextmanager
def serving(names: Names, script: Script) -> Iterator[Endpoint]:
    with serve(script, tls=names.context("www.shop.test")) as server:
        yield endpoint_at(server, "127.0.0.1:1", host="www.shop.test", name="shop", audience="browser")


def audit(
    *repositories: Repository, endpoints: tuple[Endpoint, ...] = (), artifacts: tuple[Artifact, ...] = (), **asked: Any
) -> ItemResult:
    environment = Environment(
        service="orders",
        name="production",
        stage="production",
        repositories=repositories,
        endpoints=endpoints,
        artifacts=artifacts,
    )
    return audit_item(ITEM, environment, min_evidence=Grade.ARTIFACT, **asked)


def bad(result: ItemResult, status: FindingStatus = FAIL) -> set[str]:
    return {finding.subject for finding in result.findings if finding.status is status}


@pytest.mark.proof("pass")
def test_clean_scripts_and_a_clean_history_pass(names: Names, app: Checkout) -> None:
    with serving(names, shop(good())) as endpoint:
        result = audit(app.target, endpoints=(endpoint,))

    assert (result.status, result.best_evidence) == (Status.PASS, Grade.LIVE), result.reason


@pytest.mark.proof("fail")
def test_a_key_in_a_script_and_a_git_folder_fail_and_are_named(names: Names, app: Checkout) -> None:
    key = made_up("quub_live_", "the leaked one")
    leaks = {
        "/assets/vendor.js": answer(200, f'const k="{key}"', JS),
        "/.git/HEAD": answer(200, "ref: refs/heads/main\n", TEXT),
    }
    with serving(names, shop({**good(), **leaks}, otherwise=page())) as endpoint:
        result = audit(app.target, endpoints=(endpoint,))

    assert (result.status, bad(result)) == (Status.FAIL, {"shop/assets/vendor.js", "shop/.git/HEAD"})
    assert key not in str(result)


@pytest.mark.proof("fail")
def test_a_key_that_was_once_committed_fails(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "app").init()
    for content in (f'KEY = "{made_up("quub_live_", "once committed")}"\n', "KEY = read()\n"):
        checkout.write({"keys.py": content})
        checkout.git("add", "-A")
        checkout.git("commit", "--quiet", "-m", "Change")

    result = audit(checkout.target)

    assert result.status is Status.FAIL
    assert any("keys.py" in subject for subject in bad(result))


@pytest.mark.proof("fail")
def test_findings_of_a_scanner_fail(tmp_path: Path, app: Checkout) -> None:
    result = audit(app.target, artifacts=(artifact(app, tmp_path, "gitleaks-8.30.1.json"),), **SAME_DAY)

    assert result.status is Status.FAIL
    assert all(subject.startswith("secrets: ") for subject in bad(result))


@pytest.mark.proof("inconclusive")
def test_nothing_declared_is_inconclusive() -> None:
    assert audit().status is Status.INCONCLUSIVE


@pytest.mark.proof("inconclusive")
def test_clean_scripts_alone_are_inconclusive(names: Names) -> None:
    with serving(names, shop(good())) as endpoint:
        result = audit(endpoints=(endpoint,))

    assert result.status is Status.INCONCLUSIVE
    assert {finding.subject for finding in result.findings if finding.is_undecided} == {"code and history"}
    assert {finding.subject for finding in result.findings if finding.status is PASS} == {"shop"}


@pytest.mark.proof("inconclusive")
def test_a_scan_that_names_nothing_holds_back_the_pass_of_what_is_served(
    names: Names, tmp_path: Path, app: Checkout
) -> None:
    (tmp_path / "empty.sarif").write_text(
        json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "gitleaks"}}, "results": []}]})
    )
    empty = Artifact(
        name="secrets",
        purpose="secret-scan",
        files=(str(tmp_path / "empty.sarif"),),
        commit=app.git("rev-parse", "HEAD"),
    )
    with serving(names, shop(good())) as endpoint:
        result = audit(app.target, endpoints=(endpoint,), artifacts=(empty,), **SAME_DAY)

    assert result.status is Status.INCONCLUSIVE
    assert {finding.subject for finding in result.findings if finding.is_undecided} == {"secrets"}


@pytest.mark.proof("inconclusive")
def test_a_clean_repository_alone_is_inconclusive(app: Checkout) -> None:
    assert audit(app.target).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_an_endpoint_that_is_not_there_is_an_error(app: Checkout) -> None:
    with closed_port() as place:
        result = audit(app.target, endpoints=(endpoint_at(place, place, name="shop"),))

    assert (result.status, bad(result, ERROR)) == (Status.ERROR, {"shop"})


@pytest.mark.proof("error")
def test_a_shallow_clone_never_passes(names: Names, app: Checkout, tmp_path: Path) -> None:
    app.git("commit", "--quiet", "--allow-empty", "-m", "Another")
    app.git("clone", "--quiet", "--depth=1", f"file://{app.path}", str(tmp_path / "shallow"))

    with serving(names, shop(good())) as endpoint:
        result = audit(Repository(name="app", path=str(tmp_path / "shallow")), endpoints=(endpoint,))

    assert (result.status, bad(result, ERROR)) == (Status.ERROR, {"app history"})


@pytest.mark.proof("fail")
def test_an_open_alert_of_github_fails_in_a_stand_in(app: Checkout) -> None:
    with saying() as github:
        github.answer("/repos/acme/orders", Says(body={"full_name": "acme/orders"}))
        github.answer("/repos/acme/orders/secret-scanning/alerts", Says(body=[{"number": 7, "secret_type": "quub"}]))
        project = GitHubProject(project="acme/orders", url=github.address)
        result = audit(app.declared(github=project))

    assert bad(result) == {"acme/orders at GitHub, alert 7"}


@pytest.mark.proof("error")
def test_alerts_that_are_denied_are_an_error_that_names_the_permission(app: Checkout) -> None:
    with saying() as github:
        github.answer("/repos/acme/orders", Says(403, {"message": "no"}))
        result = audit(app.declared(github=GitHubProject(project="acme/orders", url=github.address, token="a-token")))

    assert result.status is Status.ERROR
    assert "secret_scanning_alerts: read" in result.next_step


SAME_DAY: dict[str, Any] = {"parameters": {"max_age_days": 36500}}


def artifact(app: Checkout, folder: Path, name: str) -> Artifact:
    shutil.copy(DATA / name, folder / name)
    return Artifact(
        name="secrets", purpose="secret-scan", files=(str(folder / name),), commit=app.git("rev-parse", "HEAD")
    )


def test_an_artifact_of_another_commit_is_inconclusive(tmp_path: Path, app: Checkout) -> None:
    other = replace(artifact(app, tmp_path, "gitleaks-8.30.1.sarif"), commit="f" * 40)

    assert audit(app.target, artifacts=(other,), **SAME_DAY).status is Status.INCONCLUSIVE


def published(app: Checkout, folder: Path, env: str) -> Artifact:
    """A saved image whose configuration sets a variable."""
    config = json.dumps({"config": {"Env": [env]}}).encode()
    with tarfile.open(folder / "image.tar", "w") as archive:
        info = tarfile.TarInfo("blobs/sha256/f00")
        info.size = len(config)
        archive.addfile(info, io.BytesIO(config))
    return Artifact(
        name="image",
        purpose="published",
        files=(str(folder / "image.tar"),),
        commit=app.git("rev-parse", "HEAD"),
    )


@pytest.mark.proof("fail")
def test_a_key_in_the_environment_of_a_published_image_fails(tmp_path: Path, app: Checkout) -> None:
    key = made_up("quub_live_", "in an image")

    result = audit(app.target, artifacts=(published(app, tmp_path, f"QUUB_API_KEY={key}"),), **SAME_DAY)

    (subject,) = bad(result)
    assert subject.endswith("image.tar!blobs/sha256/f00:1:35")
    assert key not in str(result)


@pytest.mark.proof("inconclusive")
def test_a_clean_published_image_adds_nothing_to_a_clean_repository(tmp_path: Path, app: Checkout) -> None:
    image = published(app, tmp_path, "PATH=/usr/bin")

    assert audit(app.target, artifacts=(image,), **SAME_DAY).status is Status.INCONCLUSIVE
    assert audit(artifacts=(image,), commit=image.commit, **SAME_DAY).status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_published_image_that_is_cut_off_is_an_error(tmp_path: Path, app: Checkout) -> None:
    image = published(app, tmp_path, "PATH=/usr/bin")
    path = tmp_path / "image.tar"
    path.write_bytes(path.read_bytes()[:700])

    assert audit(app.target, artifacts=(image,), **SAME_DAY).status is Status.ERROR
