"""Artifacts that GitLab keeps: those of the newest finished jobs of a name, in the pipelines of the audited commit.

Where the newest job of a name did not succeed nothing of it counts, and no older success either: what it kept may be a
part of what should have been. Jobs that never started are as if they had not been.

https://docs.gitlab.com/api/pipelines, https://docs.gitlab.com/api/jobs and https://docs.gitlab.com/api/job_artifacts
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase

from quub_audit.connectors.artifacts import Kept
from quub_audit.connectors.artifacts_ci import Archive, CiApi, Row, number_of
from quub_audit.connectors.identity_http import one_line
from quub_audit.errors import Absent, Malformed, Stale
from quub_audit.model.environment import Artifact, Pipeline
from quub_audit.parsers.source import moment

PERMISSION = "read_api"
MAX_PIPELINES = 50
"""Of one commit."""

ENDED = ("success", "failed", "canceled")
"""Statuses of a job that was started and is over."""


@contextmanager
def kept_by_gitlab(artifact: Artifact, pipeline: Pipeline, commit: str) -> Iterator[tuple[Kept, ...]]:
    """The artifact's files of `commit`; they can be opened until the context ends.

    Raises Absent (no job, nothing kept, expired), Stale (a job did not succeed), and what `CiApi` raises.
    """
    api = CiApi(artifact, pipeline, permission=PERMISSION, headers={})
    project = f"/projects/{urllib.parse.quote(pipeline.project, safe='')}"
    jobs = _newest(api, project, commit)
    with ExitStack() as stack:
        yield tuple(
            kept
            for job in jobs
            for kept in stack.enter_context(api.opened(_archive(f"{project}/jobs", artifact, job, commit)))
        )


def _newest(api: CiApi, project: str, commit: str) -> list[Row]:
    """The newest job of each name that counts."""
    asked = f"{project}/pipelines?sha={urllib.parse.quote(commit)}"
    pipelines = [number_of(row) for row in api.rows(asked) if row.get("sha") == commit]
    if len(pipelines) > MAX_PIPELINES:
        raise Malformed(
            f"{api.artifact}: commit {commit[:12]} has {len(pipelines)} pipelines, too many to look through"
        )
    jobs = [job for number in sorted(pipelines) for job in api.rows(f"{project}/pipelines/{number}/jobs")]
    named = [job for job in jobs if _is_meant(str(job.get("name")), api.pipeline.artifact)]
    by_name = {str(job["name"]): job for job in sorted(named, key=number_of) if job.get("status") in ENDED}
    for name, job in by_name.items():
        if job["status"] != "success":
            raise Stale(
                f"{api.artifact}: job {number_of(job)} {one_line(name, 80)} of commit {commit[:12]} ended with "
                f"{job['status']}, so that what it kept may be incomplete",
                next_step="run it again until it succeeds",
            )
    if not by_name:
        going = ", and one is not finished" if named else ""
        raise Absent(
            f"{api.artifact}: no finished job {api.pipeline.artifact} of commit {commit[:12]} in "
            f"{api.pipeline.project}; {len(jobs)} jobs of {len(pipelines)} pipelines looked at{going}",
            next_step="run the pipeline for this commit; where the audit is a job of that pipeline, have it fetch the "
            "files and leave out `pipeline`",
        )
    return [by_name[name] for name in sorted(by_name)]


def _is_meant(name: str, wanted: str) -> bool:
    """Jobs of a matrix have brackets in their names, which mean something in a glob."""
    return name == wanted or fnmatchcase(name, wanted)


def _archive(path: str, artifact: Artifact, job: Row, commit: str) -> Archive:
    named = f"{one_line(job['name'], 80)}, job {number_of(job)}"
    if not isinstance(job.get("artifacts_file"), dict):
        expired = " (it expired)" if job.get("artifacts_expire_at") else ""
        raise Absent(f"{artifact}: {named} keeps no archive{expired}", next_step="set artifacts:paths and expire_in")
    return Archive(
        url=f"{path}/{number_of(job)}/artifacts", named=named, made_at=moment(job.get("finished_at")), commit=commit
    )
