"""Artifacts that GitHub Actions keeps: those of the newest finished run of the audited commit.

- Of each workflow the newest finished run counts; of those that kept the artifact, the newest. Where it did not succeed
  nothing of it counts, and no older success either: what was uploaded may be a part of what should have been.
- Runs of pull requests are left out: they test a merge, not the commit.
- After a re-run an artifact of one name is there several times: the newest counts.

https://docs.github.com/en/rest/actions/workflow-runs and https://docs.github.com/en/rest/actions/artifacts
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from quub_audit.connectors.artifacts import Kept
from quub_audit.connectors.artifacts_ci import Archive, CiApi, Row, number_of
from quub_audit.connectors.identity_http import one_line
from quub_audit.errors import Absent, Stale
from quub_audit.model.environment import Artifact, Pipeline
from quub_audit.parsers.source import moment

PERMISSION = "actions: read"

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@contextmanager
def kept_by_github(artifact: Artifact, pipeline: Pipeline, commit: str) -> Iterator[tuple[Kept, ...]]:
    """The artifact's files of `commit`; they can be opened until the context ends.

    Raises Absent (no run, no artifact, an expired one), Stale (the run did not succeed), and what `CiApi` raises.
    """
    api = CiApi(artifact, pipeline, permission=PERMISSION, headers=_HEADERS)
    actions = f"/repos/{urllib.parse.quote(pipeline.project)}/actions"
    run, found = _newest(api, actions, commit)
    with ExitStack() as stack:
        yield tuple(
            kept
            for row in found
            for kept in stack.enter_context(api.opened(_archive(f"{actions}/artifacts", artifact, run, row)))
        )


def _newest(api: CiApi, actions: str, commit: str) -> tuple[Row, list[Row]]:
    """The run that counts, and its artifacts by name."""
    runs = [
        run
        for run in api.rows(f"{actions}/runs?head_sha={urllib.parse.quote(commit)}", "workflow_runs")
        if run.get("head_sha") == commit and not str(run.get("event")).startswith("pull_request")
    ]
    # A run that was skipped had no job: it is as if it had not been.
    finished = [run for run in runs if run.get("status") == "completed" and run.get("conclusion") != "skipped"]
    by_workflow: dict[Any, Row] = {run.get("workflow_id"): run for run in sorted(finished, key=_age)}
    for run in sorted(by_workflow.values(), key=_age, reverse=True):
        found = _artifacts(api, f"{actions}/runs/{number_of(run)}/artifacts")
        if found and run.get("conclusion") != "success":
            raise Stale(
                f"{api.artifact}: run {number_of(run)} of commit {commit[:12]} ended with "
                f"{one_line(run.get('conclusion'), 40)}, so that what it kept may be incomplete",
                next_step="run it again until it succeeds",
            )
        if found:
            return run, found
    going = ", and another is not finished" if any(run.get("status") != "completed" for run in runs) else ""
    raise Absent(
        f"{api.artifact}: no finished run of commit {commit[:12]} in {api.pipeline.project} keeps "
        f"{api.pipeline.artifact}; {len(by_workflow)} looked at{going}",
        next_step="run the pipeline for this commit; where the audit is a job of that run, have it fetch the files and "
        "leave out `pipeline`",
    )


def _age(run: Row) -> tuple[datetime, int]:
    """By the start of the newest attempt: a re-run keeps its number."""
    return moment(run.get("run_started_at")) or moment(run.get("created_at")) or _LONG_AGO, number_of(run)


def _artifacts(api: CiApi, path: str) -> list[Row]:
    by_name = {str(row.get("name")): row for row in sorted(api.rows(path, "artifacts"), key=number_of)}
    return [by_name[name] for name in sorted(by_name) if fnmatchcase(name, api.pipeline.artifact)]


def _archive(path: str, artifact: Artifact, run: Row, row: Row) -> Archive:
    named = f"{one_line(row.get('name'), 80)} of run {number_of(run)}"
    if row.get("expired") is True:
        raise Absent(f"{artifact}: {named} has expired", next_step="run it again, or keep artifacts longer")
    algorithm, _, digest = str(row.get("digest") or "").partition(":")
    return Archive(
        url=f"{path}/{number_of(row)}/zip",
        named=named,
        made_at=moment(row.get("created_at")) or moment(run.get("updated_at")),
        commit=str(run["head_sha"]),
        sha256=digest if algorithm == "sha256" else "",
    )
