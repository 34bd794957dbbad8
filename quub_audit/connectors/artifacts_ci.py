"""What the APIs of GitHub and GitLab have in common: lists page by page, and archives that lie elsewhere.

Only GET is sent. The credential goes to the API's own host alone: an archive is fetched from wherever a redirect leads,
without it. It lies in a file without a name, which goes with the process, however that ends.
"""

from __future__ import annotations

import hashlib
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from quub_audit.connectors.artifacts import Kept
from quub_audit.connectors.artifacts_archive import members
from quub_audit.connectors.identity_github import is_put_off, put_off
from quub_audit.connectors.identity_http import Ask, Reply, origin_of, pages, send
from quub_audit.errors import Absent, Denied, Malformed, Reportable, Unsupported
from quub_audit.model.environment import Artifact, Pipeline

MAX_PAGE_BYTES = 16 << 20
"""A hundred runs of GitHub, each with its repository and commit, are two or three MiB."""

MAX_ARCHIVE_BYTES = 2 << 30
"""As it travels."""

MAX_REDIRECTS = 3
DOWNLOAD_TIMEOUT_S = 600.0

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One archive that CI keeps."""

    url: str
    named: str
    """As a person finds it: `ARTIFACT of run 123`."""
    made_at: datetime | None
    commit: str
    sha256: str = ""


class CiApi:
    """The API of the provider that keeps `artifact`."""

    def __init__(self, artifact: Artifact, pipeline: Pipeline, *, permission: str, headers: Mapping[str, str]) -> None:
        self.artifact = artifact
        self.pipeline = pipeline
        self.base = pipeline.url.rstrip("/")
        self._permission = permission
        self._headers = {**headers, **({"Authorization": f"Bearer {pipeline.token}"} if pipeline.token else {})}

    def rows(self, path: str, name: str = "") -> Iterator[Row]:
        """The objects of a list on all its pages, or of the list under `name` in an object.

        Raises Denied naming the permission, Throttled, Malformed for a row without a number, and what `send` raises.
        """
        for reply in pages(self._get, f"{self.base}{path}{'&' if '?' in path else '?'}per_page=100"):
            rows = reply.mapping().get(name) if name else reply.rows()
            if not isinstance(rows, list) or not all(isinstance(row, dict) and number_of(row) > 0 for row in rows):
                raise Malformed(f"{reply.subject}: {reply.asked} was answered with a list that cannot be read")
            yield from rows

    @contextmanager
    def opened(self, archive: Archive) -> Iterator[tuple[Kept, ...]]:
        """The archive's files that the artifact names; they can be opened until the context ends.

        Raises Absent for an archive that is gone, Malformed for one that is too large, that cannot be read or is not
        the one that CI has the digest of, and what `rows` raises.
        """
        named = f"{self.artifact}: {archive.named}"
        made_at = archive.made_at
        if made_at is None:
            raise Malformed(f"{named} has no date that can be read")
        with self._nameless_file() as file:
            self._download(archive, named, file)
            with members(file, self.artifact.files, named) as found:
                yield tuple(
                    Kept(
                        name=f"{archive.named}: {member.path}",
                        open=member.open,
                        made_at=made_at,
                        dated_by="pipeline",
                        commit=archive.commit,
                    )
                    for member in found
                )

    def _download(self, archive: Archive, named: str, file: IO[bytes]) -> None:
        digest = hashlib.sha256()

        def keep(block: bytes) -> None:
            digest.update(block)
            with self._writing():
                file.write(block)

        reply = self._fetch(f"{self.base}{archive.url}", keep)
        if reply.status in (404, 410):
            raise Absent(f"{named} is gone", next_step="run the pipeline again, or keep artifacts longer")
        if reply.status != 200:
            raise self._refusal(reply)
        if archive.sha256 and digest.hexdigest() != archive.sha256.lower():
            raise Malformed(f"{named} came with another digest than it was kept with", next_step="fetch it again")
        with self._writing():
            file.flush()

    def _fetch(self, url: str, keep: Callable[[bytes], None]) -> Reply:
        api = origin_of(url)
        for _ in range(MAX_REDIRECTS + 1):
            reply = send(
                Ask(
                    provider=self.artifact,
                    url=url,
                    headers=self._headers if origin_of(url) == api else {},
                    max_body_bytes=MAX_ARCHIVE_BYTES,
                    into=keep,
                    timeout_s=DOWNLOAD_TIMEOUT_S,
                    wants_redirect=True,
                )
            )
            location = reply.headers.get("location", "")
            if not (300 <= reply.status < 400 and location):
                return reply
            url = urllib.parse.urljoin(url, location)
        raise Malformed(f"{self.artifact}: {reply.asked} leads on and on, more than {MAX_REDIRECTS} times")

    def _get(self, url: str) -> Reply:
        if any(not 0x21 <= ord(c) <= 0x7E for c in self.pipeline.token):
            raise Denied(f"{self.artifact}: the token holds characters that no header can carry")
        reply = send(Ask(provider=self.artifact, url=url, headers=self._headers, max_body_bytes=MAX_PAGE_BYTES))
        if reply.status != 200:
            raise self._refusal(reply)
        return reply

    def _refusal(self, reply: Reply) -> Reportable:
        """What a status that is no success amounts to; nothing of the body is quoted."""
        named = f"{self.artifact}: {reply.asked}"
        place = f"artifacts.{self.artifact}.pipeline"
        if reply.status == 403 and is_put_off(reply):
            return put_off(reply)
        why = {
            401: "was not answered, because the token is not accepted",
            403: "was denied to the token",
            404: f"was answered with 404: there is no project {self.pipeline.project}, or the token may not see it",
        }.get(reply.status)
        if why is None:
            return Unsupported(f"{named} was answered with {reply.status}", next_step=f"look at {place}.url")
        return Denied(
            f"{named} {why}",
            permission=self._permission,
            next_step=f"give {place} a token with {self._permission}" if self.pipeline.token else f"set {place}.token",
        )

    @contextmanager
    def _nameless_file(self) -> Iterator[IO[bytes]]:
        with self._writing():
            file = tempfile.TemporaryFile(prefix="quub-audit-artifact-")  # noqa: SIM115  closed below
        with file:
            yield file

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unsupported(
                f"{self.artifact}: the archive cannot be kept here: {error.strerror or error}", next_step="set TMPDIR"
            ) from error


def number_of(row: Row) -> int:
    """The number of a run, a job or an artifact, which grows with time; 0 where there is none."""
    number = row.get("id")
    return number if isinstance(number, int) and not isinstance(number, bool) else 0
