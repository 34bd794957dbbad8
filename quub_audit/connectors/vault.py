"""HashiCorp Vault and OpenBao: key/value secrets, read and list.

The one place that sends anything sends GET: a list is asked as `GET ...?list=true`, which a policy calls `list`.
https://developer.hashicorp.com/vault/api-docs/secret/kv describes the answers of both versions.
"""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quub_audit.connectors.base import Ledger, Question, Unrecorded, count_attempts, seconds_left
from quub_audit.errors import (
    Absent,
    Denied,
    Malformed,
    NotTls,
    Refused,
    Reportable,
    Throttled,
    TimedOut,
    Unreachable,
    Unsupported,
)
from quub_audit.facts.seal import Fingerprint, Sealer
from quub_audit.facts.vault import SecretVersion, VaultSecret
from quub_audit.model.environment import SecretReference, VaultServer

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES = 1024 * 1024
"""Longest answer that is read."""

ATTEMPTS = 3
"""How often a question is sent when the server asks to slow down."""

STANDBY = (429, 472, 473, 474)
"""Standby, disaster-recovery secondary, performance standby, standby cut off (API documentation of `sys/health`)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret lies: its mount, the path below it, and the version of the KV engine there."""

    mount: str
    below: str
    version: int

    @property
    def metadata(self) -> str:
        """The path of the version 2 API that tells about the secret."""
        return f"{self.mount}/metadata/{self.below}"

    @property
    def value(self) -> str:
        """The path that gives the fields."""
        return f"{self.mount}/data/{self.below}" if self.version == 2 else f"{self.mount}/{self.below}"

    @property
    def folder(self) -> str:
        """The path whose list names the secret, for version 1."""
        return f"{self.mount}/{self.below}".rpartition("/")[0]


class VaultConnector:
    """Implements `quub_audit.facts.asking.Vault`. Built without I/O; connections are kept until `close`."""

    def __init__(self, servers: tuple[VaultServer, ...], ledger: Ledger, sealer: Sealer) -> None:
        self._servers = {server.name: server for server in servers}
        self._ledger = ledger
        self._sealer = sealer
        self._unrecorded = Unrecorded()
        self._clients: dict[VaultServer, httpx.Client] = {}
        self._lock = threading.Lock()
        for server in servers:
            sealer.redactor.add(server.token)

    def secret(self, server: VaultServer, path: str) -> VaultSecret | None:
        """Metadata of `mount/path`, or None when there is no such secret; no value is ever asked for.

        For KV version 2 the path may stand with `data` or `metadata` after the mount, as policies write it.
        For version 1 the folder is listed, since only that tells whether a secret exists without reading it.
        """
        place = self._place(server, path)
        return self._ledger.ask(
            Question.about("vault", server.name, f"metadata of {_trimmed(path)}"), lambda: self._describe(server, place)
        )

    def fingerprints(self, server: VaultServer, path: str) -> Mapping[str, Fingerprint] | None:
        """A fingerprint per field of the current version; None unless the server's `read_secret_values` is set.

        A field that is no text is fingerprinted as its JSON. Raises Absent when there is no current version.
        """
        if not server.read_secret_values:
            return None
        place = self._place(server, path)

        def seal() -> Mapping[str, Fingerprint]:
            return {name: self._sealer.seal(value) for name, value in self._values(server, place).items()}

        return self._ledger.ask(Question.about("vault", server.name, f"fingerprints of {_trimmed(path)}"), seal)

    def secret_values(self, secret: SecretReference) -> Mapping[str, str]:
        """The fields of the current version, for a connector that must present them; kept in no record.

        Every value is struck from outputs first. Raises Refused unless the server's `read_secret_values` is set.
        """
        server = self._server_of(secret)
        if not server.read_secret_values:
            raise Refused(
                f"{server}: the value of {secret} was not read, because read_secret_values is not set",
                next_step=f"set vault.{server}.read_secret_values to true and grant read on the secret",
            )
        values = self._values(server, self._find_place(server, secret.name))
        for value in values.values():
            self._sealer.seal(value)
        return values

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _server_of(self, secret: SecretReference) -> VaultServer:
        if secret.vault in self._servers:
            return self._servers[secret.vault]
        if not secret.vault and len(self._servers) == 1:
            return next(iter(self._servers.values()))
        known = ", ".join(sorted(self._servers)) or "none"
        raise Absent(f"{secret}: there is no Vault target named {secret.vault!r}; declared: {known}")

    # Where a secret lies

    def _place(self, server: VaultServer, path: str) -> Place:
        question = Question.about("vault", server.name, f"mount of {_trimmed(path)}")

        def find() -> tuple[str, str, int]:
            place = self._find_place(server, path)
            return place.mount, place.below, place.version

        return Place(*self._ledger.ask(question, find))

    def _find_place(self, server: VaultServer, path: str) -> Place:
        """By what the server says of its mounts; where the token may not read that, by what answers."""
        wanted = _trimmed(path)
        mount = self._find_mount(server, wanted)
        if mount is None:
            return self._guess_place(server, wanted)
        name, about = mount
        if about.get("type") not in ("kv", "generic"):
            raise Unsupported(f"{server}: the mount {name} is of type {_word(about.get('type'))}, expected kv")
        options = about.get("options")
        version = 2 if isinstance(options, Mapping) and str(options.get("version")) == "2" else 1
        below = wanted[len(name) + 1 :]
        if version == 2:
            below = _without_api_part(below)
        if not below:
            raise Malformed(f"{server}: {path!r} names no secret below the mount {name}; expected mount/path")
        return Place(name, below, version)

    def _find_mount(self, server: VaultServer, wanted: str) -> tuple[str, Mapping[str, Any]] | None:
        """The mount that holds the path and what is said of it; None when the token may read neither source."""
        try:
            about = self._get(server, f"sys/internal/ui/mounts/{wanted}", capability="read")
        except (Denied, Unsupported):
            about = None
        name = _trimmed_or_empty(about.get("path")) if about else ""
        if about and name and f"{wanted}/".startswith(f"{name}/"):
            return name, about
        try:
            mounts = self._get(server, "sys/mounts", capability="read")
        except (Denied, Unsupported):
            return None
        names = [_trimmed_or_empty(mount) for mount in mounts or ()]
        holding = [name for name in names if name and f"{wanted}/".startswith(f"{name}/")]
        if not mounts or not holding:
            return None
        name = max(holding, key=len)
        found = mounts.get(f"{name}/")
        return (name, found) if isinstance(found, Mapping) else None

    def _guess_place(self, server: VaultServer, wanted: str) -> Place:
        """Version 2, mounted before `data` or `metadata` or else at the first part; version 1 where that is listed."""
        parts = wanted.split("/")
        cut = next((i for i, part in enumerate(parts) if i and part in ("data", "metadata")), 1)
        below = _without_api_part("/".join(parts[cut:]))
        if not below:
            raise Malformed(f"{server}: {wanted!r} names no secret below a mount; expected mount/path")
        newer = Place("/".join(parts[:cut]), below, 2)
        older = Place(parts[0], "/".join(parts[1:]), 1)
        try:
            if self._get(server, newer.metadata, capability="read") is not None:
                return newer
        except Denied:
            pass
        try:
            return older if self._is_listed(server, older) else newer
        except (Denied, Unsupported):
            return newer

    # What a secret is

    def _describe(self, server: VaultServer, place: Place) -> VaultSecret | None:
        name = f"{place.mount}/{place.below}"
        if place.version == 1:
            return VaultSecret(path=name, kv_version=1) if self._is_listed(server, place) else None
        told = self._get(server, place.metadata, capability="read")
        if told is None:
            return None
        try:
            return VaultSecret(
                path=name,
                kv_version=2,
                current_version=int(told.get("current_version") or 0),
                versions=tuple(sorted(_read_versions(told.get("versions") or {}), key=lambda each: each.number)),
                custom_metadata={
                    str(key): str(value) for key, value in sorted((told.get("custom_metadata") or {}).items())
                },
            )
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise Malformed(f"{server}: the metadata of {name} cannot be read: {error}") from error

    def _is_listed(self, server: VaultServer, place: Place) -> bool:
        listed = self._get(server, place.folder, capability="list")
        keys = listed.get("keys") if listed else []
        if not isinstance(keys, list):
            raise Malformed(f"{server}: the list of {place.folder} holds no keys")
        return place.below.rpartition("/")[2] in keys

    def _values(self, server: VaultServer, place: Place) -> Mapping[str, str]:
        """The fields of the current version, fetched once however many want them."""
        question = Question.about("vault", server.name, f"value of {place.value}")
        return self._unrecorded.ask(question, lambda: self._fetch(server, place))

    def _fetch(self, server: VaultServer, place: Place) -> Mapping[str, str]:
        told = self._get(server, place.value, capability="read")
        fields = told.get("data") if told and place.version == 2 else told
        if fields is None:
            raise Absent(f"{server}: {place.mount}/{place.below} has no current version")
        if not isinstance(fields, Mapping):
            raise Malformed(f"{server}: {place.mount}/{place.below} holds no fields")
        for text in _texts(fields):
            self._sealer.redactor.add(text)
        return {str(name): value if isinstance(value, str) else _as_json(value) for name, value in fields.items()}

    # How the server is asked

    def _get(self, server: VaultServer, path: str, *, capability: str) -> Mapping[str, Any] | None:
        """The `data` of the answer; None for 404. `capability` is `read` or `list`, as a policy names it."""
        if not server.token:
            raise Denied(f"{server}: there is no token", next_step=f"set the token of vault.{server}")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status, headers, body = self._send(server, path, is_list=capability == "list")
                return _read_answer(server, path, capability, status, headers, body)
            except Throttled:
                if attempt == ATTEMPTS:
                    raise
                count_attempts(attempt + 1)
                pause = random.uniform(0.1, 0.4) * 2**attempt  # noqa: S311  jitter, nothing secret
                time.sleep(min(pause, seconds_left()))
        raise AssertionError("unreachable: the last attempt answers or raises")

    def _send(self, server: VaultServer, path: str, *, is_list: bool) -> tuple[int, Mapping[str, str], bytes]:
        import httpx

        client = self._client(server)
        wait_s = seconds_left()
        ends_at = time.monotonic() + wait_s
        url = f"{server.address.rstrip('/')}/v1/{urllib.parse.quote(path, safe='/')}"
        headers = {"X-Vault-Token": server.token, "X-Vault-Request": "true", "Accept-Encoding": "identity"}
        if server.namespace:
            headers["X-Vault-Namespace"] = server.namespace
        body = bytearray()
        try:
            query = {"list": "true"} if is_list else None
            with client.stream("GET", url, params=query, headers=headers, timeout=wait_s) as answer:
                for chunk in answer.iter_raw(65536):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise Malformed(f"{server}: the answer to {path} is longer than {MAX_BODY_BYTES} bytes")
                    if time.monotonic() > ends_at:
                        raise TimedOut(f"{server}: the answer to {path} was not complete in {wait_s:.0f} s")
                return answer.status_code, answer.headers, bytes(body)
        except httpx.TimeoutException as error:
            kind = Unreachable if isinstance(error, httpx.ConnectTimeout) else TimedOut
            raise kind(f"{server}: no answer from {server.address} in {wait_s:.0f} s") from error
        except httpx.ConnectError as error:
            raise _connect_error(server, error) from error
        except (httpx.ProtocolError, httpx.ReadError) as error:
            raise Malformed(f"{server}: the answer to {path} broke off or is no HTTP: {error}") from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise Unreachable(f"{server}: {server.address} could not be asked: {error}") from error

    def _client(self, server: VaultServer) -> httpx.Client:
        import httpx

        from quub_audit.connectors.wire import verified_trust

        with self._lock:
            if server not in self._clients:
                trust = verified_trust(str(server), server.ca_file, f"vault.{server}")
                # A redirect would carry the token to whatever host a standby names; a proxy would see the address.
                self._clients[server] = httpx.Client(verify=trust, follow_redirects=False, trust_env=False)
            return self._clients[server]


def _read_answer(
    server: VaultServer, path: str, capability: str, status: int, headers: Mapping[str, str], body: bytes
) -> Mapping[str, Any] | None:
    if 300 <= status < 400:
        host = urllib.parse.urlsplit(headers.get("location", "")).netloc
        raise Unreachable(
            f"{server}: {server.address} is a standby that redirects to {_word(host)}; the token was not sent there",
            next_step=f"set vault.{server}.address to the active node",
        )
    document = _as_document(body)
    if document is None or not ("errors" in document or "data" in document):
        if status == 400 and b"HTTP request to an HTTPS server" in body:
            raise Unreachable(f"{server}: {server.address} speaks TLS", next_step="use https:// in its address")
        kind = _word(headers.get("content-type", "").partition(";")[0])
        raise Malformed(
            f"{server}: {path} was answered with {status} and {kind}, which is no answer of Vault",
            next_step=f"look what stands at {server.address}",
        )
    if status == 200:
        return _data_of(server, path, document)
    reasons = _reasons(document)
    if status == 404:
        if "namespace not found" in reasons:
            raise Absent(f"{server}: there is no namespace {server.namespace!r}")
        return None
    raise _error_for(server, path, capability, status, reasons)


def _error_for(server: VaultServer, path: str, capability: str, status: int, reasons: str) -> Reportable:
    said = f" ({reasons})" if reasons else ""
    if status == 403 or (status == 400 and "missing client token" in reasons):
        line = f'path "{path}" {{ capabilities = ["{capability}"] }}'
        return Denied(
            f"{server}: {capability} of {path} was denied to the token",
            permission=line,
            next_step=f"add {line} to the token's policy, or renew the token if it has expired",
        )
    if status == 412 or (status == 429 and "quota" in reasons):
        return Throttled(f"{server}: {path} was put off {ATTEMPTS} times{said}")
    if status in STANDBY:
        return Unreachable(
            f"{server}: {server.address} is a standby and answers {status}{said}",
            next_step=f"set vault.{server}.address to the active node",
        )
    if status == 501:
        return Unreachable(f"{server}: the server at {server.address} is not initialised")
    if status == 503:
        return Unreachable(f"{server}: the server at {server.address} is sealed or not active{said}")
    if status >= 500:
        return Unreachable(f"{server}: {path} was answered with {status}{said}")
    return Unsupported(f"{server}: {path} was answered with {status}{said}")


def _connect_error(server: VaultServer, error: Exception) -> Reportable:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Unreachable(
            f"{server}: the certificate of {server.address} is not trusted: {text}",
            next_step=f"set vault.{server}.ca_file to the authority that signed it",
        )
    if "SSL" in text:
        return NotTls(f"{server}: {server.address} spoke no TLS that fits: {text}")
    return Unreachable(f"{server}: no connection to {server.address}: {text}")


def _as_document(body: bytes) -> Mapping[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _data_of(server: VaultServer, path: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    data = document.get("data")
    if not isinstance(data, dict):
        raise Malformed(f"{server}: the answer to {path} holds no data")
    return data


def _reasons(document: Mapping[str, Any]) -> str:
    errors = document.get("errors")
    texts = [str(error) for error in errors] if isinstance(errors, list) else []
    return " ".join(" ".join(texts).split())[:300]


def _read_versions(versions: Mapping[str, Mapping[str, Any]]) -> Iterator[SecretVersion]:
    for number, about in versions.items():
        deleted = about.get("deletion_time")
        yield SecretVersion(
            number=int(number),
            created_at=_as_time(about["created_time"]),
            deleted_at=_as_time(deleted) if deleted else None,
            is_destroyed=about.get("destroyed") is True,
        )


def _as_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text} has no zone")
    return moment.astimezone(UTC)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, at any depth."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _trimmed(path: str) -> str:
    return "/".join(part for part in path.split("/") if part)


def _trimmed_or_empty(path: object) -> str:
    return _trimmed(path) if isinstance(path, str) else ""


def _without_api_part(below: str) -> str:
    first, _, rest = below.partition("/")
    return rest if first in ("data", "metadata") else below


def _word(text: object) -> str:
    """Something that a server sent, fit for one line."""
    return "".join(c if c.isprintable() else "?" for c in str(text))[:120] or "nothing"
