"""What GitHub and GitLab keep for a commit, as their documentation shapes it: stand-ins, since neither can run here."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from quub_audit.connectors.artifacts import ArtifactsConnector, by_commit
from quub_audit.connectors.base import Ledger
from quub_audit.errors import Denied, Malformed, Refused, Reportable, Stale, Throttled, Unreachable, Unsupported
from quub_audit.facts.artifacts import Freshness, Origin, TestCase, TestReport
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Artifact, Pipeline
from quub_audit.parsers.source import Source
from tests.connectors.identity.saying import Saying, Says, saying

COMMIT = "a" * 40
TOKEN = "token-of-the-test-world-0123456789"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

RUNS = "/repos/acme/orders/actions/runs"
ZIP = "/repos/acme/orders/actions/artifacts/31/zip"
PIPELINES = "/projects/acme%2Forders/pipelines"
JOB_ZIP = "/projects/acme%2Forders/jobs/41/artifacts"


def packed(**files: str | bytes) -> bytes:
    """A ZIP archive; names have `__` for a slash and `_` for a dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


GOOD = packed(reports__junit_xml="<a/>", reports__other_txt="not wanted")


def run(number: int = 21, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "head_sha": COMMIT,
        "event": "push",
        "status": "completed",
        "conclusion": "success",
        "workflow_id": 7,
        "run_attempt": 1,
        "run_started_at": f"2026-11-24T08:{number}:00Z",
        "updated_at": "2026-11-24T09:00:00Z",
        **changes,
    }


def artifact(number: int = 31, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": "junit",
        "size_in_bytes": len(GOOD),
        "expired": False,
        "created_at": "2026-11-24T08:30:00Z",
        "digest": f"sha256:{hashlib.sha256(GOOD).hexdigest()}",
        **changes,
    }


def job(number: int = 41, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": "test",
        "status": "success",
        "finished_at": "2026-11-24T08:30:00Z",
        "artifacts_file": {"filename": "artifacts.zip", "size": len(GOOD)},
        "artifacts_expire_at": "2026-12-24T08:30:00Z",
        **changes,
    }


@pytest.fixture
def storage() -> Iterator[Saying]:
    """Where the archives lie: another host than the API."""
    with saying() as server:
        server.answer("/blob", Says(body=GOOD))
        yield server


@pytest.fixture
def github(storage: Saying) -> Iterator[Saying]:
    with saying() as server:
        keep_runs(server, run())
        server.answer(f"{RUNS}/21/artifacts", Says(body={"total_count": 1, "artifacts": [artifact()]}))
        server.answer(ZIP, Says(302, headers={"Location": f"{storage.address}/blob?sig=hush"}))
        yield server


@pytest.fixture
def gitlab(storage: Saying) -> Iterator[Saying]:
    with saying() as server:
        server.answer(PIPELINES, Says(body=[{"id": 51, "sha": COMMIT, "status": "success"}]))
        server.answer(f"{PIPELINES}/51/jobs", Says(body=[job()]))
        server.answer(JOB_ZIP, Says(302, headers={"Location": f"{storage.address}/blob"}))
        yield server


def keep_runs(github: Saying, *runs: dict[str, Any]) -> None:
    github.answer(RUNS, Says(body={"total_count": len(runs), "workflow_runs": list(runs)}))


def declared(provider: Any, url: str, *files: str, token: str = TOKEN, name: str = "") -> Artifact:
    pipeline = Pipeline(
        provider=provider,
        project="acme/orders",
        artifact=name or {"github": "junit*", "gitlab": "test"}[provider],
        url=url,
        token=token,
    )
    return Artifact(name="unit", purpose="unit-tests", files=files or ("**/*.xml",), pipeline=pipeline)


def read(source: Source) -> tuple[TestReport, ...]:
    case = TestCase(suite="", name=source.text(), outcome="passed")
    return (TestReport(origin=Origin(file=source.name), cases=(case,)),)


def ask(of: Artifact, *, commit: str = COMMIT) -> tuple[TestReport, ...]:
    connector = ArtifactsConnector(
        (of,),
        Ledger(),
        Sealer(b"salt", Redactor()),
        at=NOW,
        commit_of=lambda of: commit,
        store_of=lambda of: by_commit,
    )
    return connector._reports(of, "test results", read, Freshness(max_age_days=7))


def test_the_files_of_the_commit_come_from_github_dated_and_bound(github: Saying, storage: Saying) -> None:
    (report,) = ask(declared("github", github.address))

    assert report.cases[0].name == "<a/>"
    assert report.origin == Origin(
        file="junit of run 21: reports/junit.xml",
        produced_at=datetime(2026, 11, 24, 8, 30, tzinfo=UTC),
        dated_by="pipeline",
        commit=COMMIT,
    )
    assert github.seen[0].path == f"{RUNS}?head_sha={COMMIT}&per_page=100"
    assert {request.method for request in (*github.seen, *storage.seen)} == {"GET"}
    assert {request.headers["authorization"] for request in github.seen} == {f"Bearer {TOKEN}"}


def test_the_files_of_the_commit_come_from_gitlab_dated_and_bound(gitlab: Saying) -> None:
    (report,) = ask(declared("gitlab", gitlab.address))

    assert report.origin == Origin(
        file="test, job 41: reports/junit.xml",
        produced_at=datetime(2026, 11, 24, 8, 30, tzinfo=UTC),
        dated_by="pipeline",
        commit=COMMIT,
    )


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_the_token_does_not_go_where_a_redirect_leads(
    provider: str, request: pytest.FixtureRequest, storage: Saying
) -> None:
    ask(declared(provider, request.getfixturevalue(provider).address))

    assert [seen.path.partition("?")[0] for seen in storage.seen] == ["/blob"]
    assert "authorization" not in storage.seen[0].headers


def test_the_token_goes_along_where_the_api_leads_to_itself(github: Saying) -> None:
    github.answer(ZIP, Says(307, headers={"Location": "/elsewhere"}))
    github.answer("/elsewhere", Says(body=GOOD))

    assert ask(declared("github", github.address))
    assert github.seen[-1].headers["authorization"] == f"Bearer {TOKEN}"


def test_every_page_of_runs_is_read(github: Saying) -> None:
    link = f'<{github.address}{RUNS}?page=2>; rel="next"'
    github.answer(RUNS, Says(body={"workflow_runs": [run(20, workflow_id=1)]}, headers={"Link": link}))
    github.answer(f"{RUNS}?page=2", Says(body={"workflow_runs": [run()]}))

    assert ask(declared("github", github.address))


def test_of_an_artifact_that_a_rerun_made_again_the_newest_counts(github: Saying) -> None:
    body = {"artifacts": [artifact(31), artifact(30, digest="sha256:00"), artifact(29, name="lint")]}
    github.answer(f"{RUNS}/21/artifacts", Says(body=body))

    assert len(ask(declared("github", github.address))) == 1


def test_all_artifacts_of_a_matrix_are_read(github: Saying, storage: Saying) -> None:
    github.answer(f"{RUNS}/21/artifacts", Says(body={"artifacts": [artifact(), artifact(32, name="junit-2")]}))
    github.answer(ZIP.replace("31", "32"), Says(302, headers={"Location": f"{storage.address}/blob"}))

    files = [report.origin.file for report in ask(declared("github", github.address))]

    assert files == ["junit of run 21: reports/junit.xml", "junit-2 of run 21: reports/junit.xml"]


def test_the_newest_attempt_counts_though_its_run_has_the_lower_number(github: Saying) -> None:
    keep_runs(github, run(22, conclusion="failure"), run(21, run_attempt=2, run_started_at="2026-11-24T10:00:00Z"))

    assert ask(declared("github", github.address))


def test_a_workflow_without_the_artifact_is_none_of_its_business(github: Saying) -> None:
    keep_runs(github, run(23, workflow_id=8, conclusion="failure"), run())
    github.answer(f"{RUNS}/23/artifacts", Says(body={"artifacts": [artifact(name="lint")]}))

    assert ask(declared("github", github.address))


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        pytest.param([], "no finished run of commit aaaaaaaaaaaa in acme/orders keeps junit", id="none"),
        pytest.param([run(head_sha="b" * 40)], "0 looked at", id="of-another-commit"),
        pytest.param([run(event="pull_request")], "0 looked at", id="of-a-pull-request"),
        pytest.param([run(conclusion="skipped")], "0 looked at", id="skipped"),
        pytest.param([run(status="in_progress", conclusion=None)], "another is not finished", id="going-on"),
        pytest.param([run(conclusion="failure")], "run 21 of commit aaaaaaaaaaaa ended with failure", id="failed"),
        pytest.param([run(), run(22, conclusion="cancelled")], "ended with cancelled", id="older-success"),
    ],
)
def test_without_a_run_that_succeeded_there_is_no_evidence(
    github: Saying, runs: list[dict[str, Any]], why: str
) -> None:
    keep_runs(github, *runs)
    github.answer(f"{RUNS}/22/artifacts", Says(body={"artifacts": [artifact()]}))

    with pytest.raises(Stale, match=why):
        ask(declared("github", github.address))


@pytest.mark.parametrize(
    ("jobs", "why"),
    [
        pytest.param([], "no finished job test of commit aaaaaaaaaaaa in acme/orders; 0 jobs of 1 pip", id="none"),
        pytest.param([job(name="lint")], "1 jobs of 1 pipelines looked at$", id="of-another-name"),
        pytest.param([job(status="running")], "and one is not finished", id="going-on"),
        pytest.param([job(status="failed")], "job 41 test of commit aaaaaaaaaaaa ended with failed", id="failed"),
        pytest.param([job(40), job(status="canceled")], "ended with canceled", id="older-success"),
        pytest.param([job(artifacts_file=None)], r"keeps no archive \(it expired\)", id="expired"),
    ],
)
def test_without_a_job_that_succeeded_there_is_no_evidence(
    gitlab: Saying, jobs: list[dict[str, Any]], why: str
) -> None:
    gitlab.answer(f"{PIPELINES}/51/jobs", Says(body=jobs))

    with pytest.raises(Stale, match=why):
        ask(declared("gitlab", gitlab.address))


def test_jobs_of_a_matrix_are_named_by_a_glob_or_by_their_very_name(gitlab: Saying, storage: Saying) -> None:
    gitlab.answer(f"{PIPELINES}/51/jobs", Says(body=[job(name="test: [20]"), job(42, name="test: [22]")]))
    gitlab.answer(JOB_ZIP.replace("41", "42"), Says(302, headers={"Location": f"{storage.address}/blob"}))

    assert len(ask(declared("gitlab", gitlab.address, name="test: *"))) == 2
    assert len(ask(declared("gitlab", gitlab.address, name="test: [22]"))) == 1


def test_an_expired_artifact_and_one_that_is_gone_are_no_evidence(github: Saying) -> None:
    github.answer(ZIP, Says(410, {"message": "Artifact has expired"}))
    with pytest.raises(Stale, match="junit of run 21 is gone"):
        ask(declared("github", github.address))

    github.answer(f"{RUNS}/21/artifacts", Says(body={"artifacts": [artifact(expired=True)]}))
    with pytest.raises(Stale, match="junit of run 21 has expired"):
        ask(declared("github", github.address))


def test_an_unknown_commit_finds_nothing_and_asks_nobody(github: Saying) -> None:
    with pytest.raises(Stale, match="the audited commit is not known"):
        ask(declared("github", github.address), commit="")
    assert not github.seen


@pytest.mark.parametrize(
    ("says", "error", "text"),
    [
        pytest.param(Says(401, {"message": "Bad credentials"}), Denied, "the token is not accepted", id="401"),
        pytest.param(Says(403, {"message": "Resource not accessible"}), Denied, "was denied to the token", id="403"),
        pytest.param(Says(404, {"message": "Not Found"}), Denied, "there is no project acme/orders, or", id="404"),
        pytest.param(Says(403, {}, {"X-RateLimit-Remaining": "0"}), Throttled, "put off by GitHub", id="limit"),
        pytest.param(Says(429, b"", {"Retry-After": "900"}), Throttled, "asks to wait 900 s", id="429"),
        pytest.param(Says(418, b""), Unsupported, "was answered with 418", id="418"),
        pytest.param(Says(301, headers={"Location": "/x"}), Unreachable, "a redirect to /x", id="moved"),
        pytest.param(Says(body=b"<html>"), Malformed, "which is no JSON", id="html"),
        pytest.param(Says(body=[]), Malformed, "JSON that is no object", id="list"),
        pytest.param(Says(body={"workflow_runs": "many"}), Malformed, "a list that cannot be read", id="no-list"),
        pytest.param(Says(body={"workflow_runs": [{"id": True}]}), Malformed, "cannot be read", id="no-number"),
    ],
)
def test_what_github_refuses_is_said_with_what_would_mend_it(
    github: Saying, says: Says, error: type[Reportable], text: str
) -> None:
    github.answer(RUNS, says)

    with pytest.raises(error, match=text) as raised:
        ask(declared("github", github.address))

    assert TOKEN not in str(raised.value)
    if isinstance(raised.value, Denied):
        assert raised.value.permission == "actions: read"


def test_what_gitlab_denies_names_its_scope_and_an_absent_token_is_asked_for(gitlab: Saying) -> None:
    gitlab.answer(JOB_ZIP, Says(403, {"message": "403 Forbidden"}))

    with pytest.raises(Denied) as raised:
        ask(declared("gitlab", gitlab.address, token=""))

    assert raised.value.permission == "read_api"
    assert raised.value.next_step == "set artifacts.unit.pipeline.token"
    assert "authorization" not in gitlab.seen[0].headers


def test_a_token_that_no_header_can_carry_is_not_sent(github: Saying) -> None:
    with pytest.raises(Denied, match="characters that no header can carry"):
        ask(declared("github", github.address, token="two\nlines"))
    assert not github.seen


@pytest.mark.parametrize(
    ("location", "error", "text"),
    [
        ("http://storage.invalid/blob", Refused, "would travel in clear"),
        ("ftp://storage.invalid/blob", Malformed, "is no http:// or https:// address"),
        (ZIP, Malformed, "leads on and on, more than 3 times"),
    ],
)
def test_a_redirect_that_leads_nowhere_good_is_not_followed(
    github: Saying, location: str, error: type[Reportable], text: str
) -> None:
    github.answer(ZIP, Says(302, headers={"Location": location}))

    with pytest.raises(error, match=text):
        ask(declared("github", github.address))


def test_another_archive_than_the_one_that_was_kept_is_refused(github: Saying, storage: Saying) -> None:
    storage.answer("/blob", Says(body=packed(junit_xml="<forged/>")))

    with pytest.raises(Malformed, match="came with another digest than it was kept with"):
        ask(declared("github", github.address))


def twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("junit.xml", "<a/>")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("junit.xml", "<b/>")
    return buffer.getvalue()


def flagged_encrypted() -> bytes:
    content = bytearray(packed(junit_xml="<a/>"))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def of_a_wrong_sum() -> bytes:
    content = bytearray(packed(junit_xml="<a/>"))
    struct.pack_into("<L", content, content.index(b"PK\x01\x02") + 16, 1)
    return bytes(content)


def of_an_unknown_method() -> bytes:
    content = bytearray(packed(junit_xml="<a/>"))
    struct.pack_into("<H", content, content.index(b"PK\x01\x02") + 10, 77)
    return bytes(content)


def of_endless_members() -> bytes:
    content = bytearray(packed(junit_xml="<a/>"))
    struct.pack_into("<L", content, content.rindex(b"PK\x05\x06") + 12, 0x7FFFFFFF)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        pytest.param(lambda: b"", Malformed, "no ZIP archive that can be read: it has no end", id="empty"),
        pytest.param(lambda: b"<html>sign in</html>", Malformed, "it has no end", id="html"),
        pytest.param(lambda: GOOD[:-30], Malformed, "it has no end", id="truncated"),
        pytest.param(lambda: GOOD[40:], Malformed, "no ZIP archive that can be read|cannot be read", id="beheaded"),
        pytest.param(twice, Malformed, "two files of one name", id="twice"),
        pytest.param(flagged_encrypted, Malformed, "junit.xml is encrypted", id="encrypted"),
        pytest.param(of_a_wrong_sum, Malformed, "junit.xml cannot be read: Bad CRC-32", id="wrong-sum"),
        pytest.param(of_an_unknown_method, Malformed, "compression", id="unknown-method"),
        pytest.param(of_endless_members, Malformed, "lists more files than can be read", id="endless"),
        pytest.param(lambda: packed(a_txt=""), Stale, r"holds no file that \*\*/\*\.xml names, among 1", id="others"),
    ],
)
def test_an_archive_that_is_none_is_refused_in_words(
    gitlab: Saying, storage: Saying, content: Callable[[], bytes], error: type[Reportable], text: str
) -> None:
    storage.answer("/blob", Says(body=content()))

    with pytest.raises(error, match=text):
        ask(declared("gitlab", gitlab.address))


def test_every_glob_has_to_name_a_file(gitlab: Saying) -> None:
    with pytest.raises(Stale, match=r"holds no file that coverage\.xml names"):
        ask(declared("gitlab", gitlab.address, "**/junit.xml", "coverage.xml"))


def test_a_name_that_leads_out_of_the_archive_leads_nowhere(gitlab: Saying, storage: Saying) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../etc/\x1b[31mjunit.xml", "<a/>")
    storage.answer("/blob", Says(body=buffer.getvalue()))

    (report,) = ask(declared("gitlab", gitlab.address))

    assert report.origin.file == "test, job 41: ../../etc/ [31mjunit.xml"
    assert report.cases[0].name == "<a/>"


def test_a_bomb_is_refused_by_what_it_says_that_it_unpacks_to(gitlab: Saying, storage: Saying) -> None:
    content = bytearray(packed(a_xml=" ", b_xml=" ", c_xml=" "))
    at = 0
    for _ in range(3):
        at = content.index(b"PK\x01\x02", at + 1)
        struct.pack_into("<L", content, at + 24, 0xFFFFFFF0)
    storage.answer("/blob", Says(body=bytes(content)))

    with pytest.raises(Malformed, match="unpacks to 12287 MiB, more than 8192"):
        ask(declared("gitlab", gitlab.address))
