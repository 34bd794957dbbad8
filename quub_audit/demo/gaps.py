"""What the emulator lacks, answered in front of it: what AWS says where there is nothing, or where all is well."""

from __future__ import annotations

import hashlib
import io
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""

LONGEST_FORM = 64 * 1024
"""Bytes. A question of the query protocol is short; what is longer is not looked into."""

_EC2 = "http://ec2.amazonaws.com/doc/2016-11-15/"

ANSWERS: Mapping[str, str] = {
    "DescribeDBClusterAutomatedBackups": (
        "<DescribeDBClusterAutomatedBackupsResponse><DescribeDBClusterAutomatedBackupsResult>"
        "<DBClusterAutomatedBackups/>"
        "</DescribeDBClusterAutomatedBackupsResult></DescribeDBClusterAutomatedBackupsResponse>"
    ),
    "DescribeServerlessCaches": (
        "<DescribeServerlessCachesResponse><DescribeServerlessCachesResult>"
        "<ServerlessCaches/>"
        "</DescribeServerlessCachesResult></DescribeServerlessCachesResponse>"
    ),
    "DescribeServerlessCacheSnapshots": (
        "<DescribeServerlessCacheSnapshotsResponse><DescribeServerlessCacheSnapshotsResult>"
        "<ServerlessCacheSnapshots/>"
        "</DescribeServerlessCacheSnapshotsResult></DescribeServerlessCacheSnapshotsResponse>"
    ),
    "GetSnapshotBlockPublicAccessState": (
        f'<GetSnapshotBlockPublicAccessStateResponse xmlns="{_EC2}">'
        "<state>block-all-sharing</state>"
        "</GetSnapshotBlockPublicAccessStateResponse>"
    ),
}
"""By action: operations that the emulator does not know."""

ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("GET", re.compile(r"/backup-vaults/[^/]+/recovery-points/?"), '{"RecoveryPoints": []}'),
    ("POST", re.compile(r"/ServiceGraph"), '{"Services": []}'),
)
"""By method and path, operations of other protocols that it does not know either: no vault holds a recovery point
(backup.ListRecoveryPointsByBackupVault), X-Ray traces nothing (xray.GetServiceGraph).
"""


def image_digest(image: str) -> str:
    """The digest of an image of the emulated registry, which follows from its name."""
    return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def _with_digest(image: re.Match[bytes]) -> bytes:
    return image[0] + f', "imageDigest": "{image_digest(image[1].decode())}"'.encode()


CORRECTIONS: Mapping[str, tuple[re.Pattern[bytes], bytes | Callable[[re.Match[bytes]], bytes]]] = {
    "GetAccountSummary": (re.compile(rb"(<key>AccountMFAEnabled</key>\s*<value>)0(?=</value>)"), rb"\g<1>1"),
    "DescribeDBInstanceAutomatedBackups": (
        re.compile(rb"(<DBInstanceAutomatedBackup>)"),
        rb"\1<Encrypted>true</Encrypted>",
    ),
    "DescribeTasks": (re.compile(rb'"image": ?"([^"]+)"'), _with_digest),
}
"""By action: what its answers leave out. Its missing root user has a second factor, backups are encrypted, and images
that run have digests.
"""


def filled(app: App) -> App:
    """`app`, the emulator's, with `ANSWERS` and `CORRECTIONS`."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        action = _action_of(environ)
        if action in ANSWERS:
            return _tell(start, ANSWERS[action], "text/xml")
        for method, path, text in ROUTES:
            if environ["REQUEST_METHOD"] == method and path.fullmatch(environ.get("PATH_INFO", "")):
                return _tell(start, text, "application/json")
        return _corrected(app, environ, start, *CORRECTIONS[action]) if action in CORRECTIONS else app(environ, start)

    return answer


def _action_of(environ: dict[str, Any]) -> str:
    """What JSON is asked for by a header, and the query protocol by a form, which is read and put back; else empty."""
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return target.rpartition(".")[2]
    if "form" not in environ.get("CONTENT_TYPE", ""):
        return ""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if not 0 < length <= LONGEST_FORM:
        return ""
    body: bytes = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    actions = urllib.parse.parse_qs(body.decode(errors="replace")).get("Action", [])
    return actions[0] if actions else ""


def _corrected(
    app: App,
    environ: dict[str, Any],
    start: Callable[..., Any],
    pattern: re.Pattern[bytes],
    text: bytes | Callable[[re.Match[bytes]], bytes],
) -> Iterable[bytes]:
    """The emulator's answer with `text` for `pattern`."""
    told: list[tuple[str, list[tuple[str, str]]]] = []

    def keep(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        told.append((status, [each for each in headers if each[0].lower() != "content-length"]))

    body = pattern.sub(text, b"".join(app(environ, keep)))
    status, headers = told[0]
    start(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def _tell(start: Callable[..., Any], text: str, content_type: str) -> Iterable[bytes]:
    body = text.encode()
    start("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]
