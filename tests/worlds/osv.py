"""A service of advisories on loopback that speaks OSV's protocol: query, querybatch in pages, and single records.

It answers as https://google.github.io/osv.dev/api/ says, for what the tests and pip-audit ask; versions are those that
a record lists. It is a stand-in, not OSV.
"""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from quub_audit.model.environment import AdvisoryService

Record = Mapping[str, Any]


def advisory(
    name: str,
    ecosystem: str,
    package: str,
    version: str,
    *,
    fixed: str = "",
    vector: str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    **more: Any,
) -> Record:
    """A record of the OSV schema about one version of one package."""
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    affected = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
        "versions": [version],
    }
    severity = [{"type": "CVSS_V3", "score": vector}] if vector else []
    head = {"schema_version": "1.7.0", "id": name, "modified": "2026-09-01T10:00:00Z", "summary": f"about {package}"}
    return {**head, "severity": severity, "affected": [affected], **more}


@dataclass
class Advisories:
    """The running service; what it knows may be changed at any time."""

    address: str = ""
    records: list[Record] = field(default_factory=list)
    page: int = 1000
    """Vulnerabilities of one package in one answer."""
    status: int = 0
    """What is answered to everything, where it is not 0."""
    answers: dict[str, Any] = field(default_factory=dict)
    """Documents that are answered in place of the right ones, by path."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    """Paths and documents, in order."""
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def service(self, **fields: str) -> AdvisoryService:
        """The target as an environment would declare it."""
        return AdvisoryService(name="osv", url=self.address, **fields)

    def known(self, query: Mapping[str, Any]) -> list[Record]:
        """Records about the package and version of one query, by name or purl."""
        package, version = query["package"], query.get("version", "")
        name = package.get("name", "")
        if purl := package.get("purl"):
            kind, _, rest = purl.removeprefix("pkg:").partition("/")
            name, _, version = rest.rpartition("@")
            name = urllib.parse.unquote(name).replace("/", ":" if kind == "maven" else "/")
        return [
            record
            for record in self.records
            for affected in record["affected"]
            if affected["package"]["name"].lower() == name.lower() and version in affected["versions"]
        ]

    def answer(self, path: str, document: Any) -> tuple[int, Any]:
        if self.status:
            return self.status, {"message": "as the test wants it"}
        if path in self.answers:
            return 200, self.answers[path]
        match path.split("/")[1:]:
            case ["v1", "query"]:
                return 200, {"vulns": found} if (found := self.known(document)) else {}
            case ["v1", "querybatch"]:
                return 200, {"results": [self._result(query) for query in document["queries"]]}
            case ["v1", "vulns", name]:
                found = [record for record in self.records if record["id"] == name]
                return (200, found[0]) if found else (404, {"code": 5, "message": "Bug not found."})
        return 404, {"message": "no such path"}

    def _result(self, query: Mapping[str, Any]) -> Mapping[str, Any]:
        start = int(query.get("page_token") or 0)
        found = self.known(query)
        listed = [{"id": each["id"], "modified": each["modified"]} for each in found[start : start + self.page]]
        more = {"next_page_token": str(start + self.page)} if start + self.page < len(found) else {}
        return {**({"vulns": listed} if listed else {}), **more}


@contextlib.contextmanager
def advisories(*records: Record) -> Iterator[Advisories]:
    """A service that knows `records`."""
    world = Advisories(records=list(records))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self._answer(json.loads(self.rfile.read(length)))

        def do_GET(self) -> None:
            self._answer(None)

        def _answer(self, document: Any) -> None:
            world.asked.append((self.path, document))
            world.headers.append(dict(self.headers))
            status, answer = world.answer(urllib.parse.unquote(self.path), document)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    world.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
