"""One request to a declared server with its credential: over TLS that is verified, bounded, followed nowhere else.

- Plain HTTP goes to loopback alone. A redirect is an error that names where it leads, unless the question wants to know
  it: a credential goes where it was meant to go.
- `connect_to` stands for the host of the issuer (or of `admin_url` where there is no issuer); other hosts, such as
  that of a `jwks_uri`, are connected to by their own names.
"""

from __future__ import annotations

import json
import random
import re
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quub_audit import __version__
from quub_audit.connectors.base import count_attempts, seconds_left
from quub_audit.connectors.names import as_literal, join_host_port, resolve, split_host_port
from quub_audit.connectors.tcp import CONNECT_TIMEOUT_S, RESOLVE_TIMEOUT_S, connect
from quub_audit.errors import Malformed, Refused, Reportable, Throttled, TimedOut, Unreachable
from quub_audit.model.environment import (
    AdvisoryService,
    AlertmanagerServer,
    ApmBackend,
    Artifact,
    ErrorTracker,
    IdentityProvider,
    PrometheusServer,
    Repository,
)

if TYPE_CHECKING:
    from quub_audit.connectors.wire import Request

EXCHANGE_TIMEOUT_S = 15.0
"""Longest time from the connection to the end of the answer."""

ATTEMPTS = 3
"""How often a question is sent when the provider asks to slow down, or a gateway before it fails."""

LONGEST_PAUSE_S = 5.0
"""A longer `Retry-After` is not waited for."""

TRANSIENT_STATUSES = (429, 502, 503, 504)
_TOLD_TO_WAIT = ("retry-after", "x-ratelimit-reset", "x-sentry-rate-limit-reset")
USER_AGENT = f"quub-audit/{__version__} (+readiness audit)"

MAX_PAGES = 200

_NEXT = re.compile(r'<([^<>]{1,2000})>\s*;[^,]*\brel="next"')
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")


Server = (
    IdentityProvider
    | PrometheusServer
    | AlertmanagerServer
    | ApmBackend
    | ErrorTracker
    | Artifact
    | Repository
    | AdvisoryService
)
"""Whoever may be asked: targets with a name, a kind and a `ca_file`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `form` is sent as `application/x-www-form-urlencoded`, `document` as JSON."""

    provider: Server
    url: str
    form: Mapping[str, str] | None = None
    document: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    attempts: int = ATTEMPTS
    """1 for what must not be sent twice."""
    max_body_bytes: int = 1024 * 1024
    into: Callable[[bytes], None] | None = None
    """Takes the body of a 200 piece by piece; the reply then has none."""
    timeout_s: float = EXCHANGE_TIMEOUT_S
    wants_redirect: bool = False
    """Whether a redirect is a reply."""

    @property
    def method(self) -> str:
        """`POST` where something is sent, else `GET`."""
        return "GET" if self.form is None and self.document is None else "POST"

    @property
    def shown(self) -> str:
        """Method and URL for messages: without query, without user."""
        return f"{self.method} {_shown(self.url)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back; a redirect only where it was wanted."""

    subject: str
    asked: str
    status: int
    headers: Mapping[str, str]
    """Names in lower case; of several headers of a name the first."""
    body: bytes

    def document(self) -> Any:
        """The body as JSON. Raises Malformed, which quotes nothing of it."""
        try:
            return json.loads(self.body, object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError):
            kind = one_line(self.headers.get("content-type", "").partition(";")[0], 60)
            raise Malformed(
                f"{self.subject}: {self.asked} was answered with {self.status} and {kind or 'no type'}, "
                "which is no JSON",
                next_step="look what stands at that address",
            ) from None

    def mapping(self) -> Mapping[str, Any]:
        """The JSON object. Raises Malformed for anything else."""
        document = self.document()
        if not isinstance(document, dict):
            raise Malformed(f"{self.subject}: {self.asked} was answered with JSON that is no object")
        return document

    def rows(self) -> list[Mapping[str, Any]]:
        """The JSON array of objects. Raises Malformed for anything else."""
        document = self.document()
        if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
            raise Malformed(f"{self.subject}: {self.asked} was answered with JSON that is no list of objects")
        return document


def send(ask: Ask) -> Reply:
    """The reply of whatever status, except redirects and those that ask to come again, which are tried again.

    Raises Throttled (429 to the last), Unreachable (no connection, a redirect, a certificate that is not trusted, 502
    to 504 to the last), TimedOut, NotTls, Malformed (no HTTP, a body that is too long), Refused (plain HTTP to anywhere
    but loopback).
    """
    for attempt in range(1, ask.attempts + 1):
        reply = _send_once(ask)
        if reply.status not in TRANSIENT_STATUSES:
            return reply
        pause_s = _pause_s(reply, attempt)
        if attempt == ask.attempts or pause_s > min(LONGEST_PAUSE_S, seconds_left()):
            raise _put_off(reply, pause_s)
        count_attempts(attempt + 1)
        time.sleep(pause_s)
    raise AssertionError("unreachable: the last attempt answers or raises")


def pages(get: Callable[[str], Reply], url: str) -> Iterator[Reply]:
    """The reply to every page of a list, by the links to the next (RFC 8288), which must stay at the same host.

    Raises what `get` raises; Malformed for a link that leads elsewhere or round in a circle, and for too many pages.
    """
    origin = origin_of(url)
    seen: set[str] = set()
    while len(seen) < MAX_PAGES:
        seen.add(url)
        reply = get(url)
        yield reply
        found = _NEXT.search(reply.headers.get("link", ""))
        if found is None:
            return
        url = found[1]
        if origin_of(url) != origin:
            where = one_line(url.partition("?")[0], 80)
            raise Malformed(f"{reply.subject}: the next page is at another host, {where}")
        if url in seen:
            raise Malformed(f"{reply.subject}: the pages of {reply.asked} go round in a circle")
    raise Malformed(f"{reply.subject}: {reply.asked} has more than {MAX_PAGES} pages")


def one_line(text: object, longest: int = 160) -> str:
    """Something that a server sent, fit for one line."""
    joined = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return joined if len(joined) <= longest else f"{joined[:longest]}..."


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL, lower case. Raises Malformed for what is no http:// or https:// address."""
    try:
        parts = urllib.parse.urlsplit(url)
        scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
        port = parts.port or (443 if scheme == "https" else 80)
    except ValueError:
        scheme, host, port = "", "", 0
    is_name = bool(as_literal(host) or _HOST_NAME.fullmatch(host))
    if scheme not in ("http", "https") or not is_name or "\\" in url or any(c.isspace() for c in url):
        raise Malformed(f"{one_line(url, 80)!r} is no http:// or https:// address")
    return scheme, host, port


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its own word."""
    return host == "localhost" or _is_loopback_address(as_literal(host))


def _is_loopback_address(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


def _send_once(ask: Ask) -> Reply:
    provider = ask.provider
    scheme, host, port = origin_of(ask.url)
    if scheme == "http" and not is_loopback(host):
        raise Refused(
            f"{provider}: {ask.shown} was not sent, because it would travel in clear",
            next_step="give it an https:// address",
        )
    connection, place = _connect(ask, host, port, is_plain=scheme == "http")
    return _exchange(ask, connection, place, host=host, port=port, is_tls=scheme == "https")


def _connect(ask: Ask, host: str, port: int, *, is_plain: bool) -> tuple[socket.socket, str]:
    """A connection to the first address that takes one, and its name."""
    provider = ask.provider
    to_host, to_port = _destination(provider, host, port)
    problem = f"{provider}: {to_host} has no address"
    for address in _resolved(provider, to_host):
        place = join_host_port(address, to_port)
        if is_plain and not _is_loopback_address(address):
            raise Refused(f"{provider}: {ask.shown} was not sent, because {place} is not this machine")
        try:
            made = connect(address, to_port)
        except (Unreachable, TimedOut) as error:
            problem = f"{provider}: {error.message}"
            continue
        if isinstance(made, socket.socket):
            return made, place
        problem = f"{provider}: {place} takes no connection ({made.value}) within {CONNECT_TIMEOUT_S:.0f} s"
    raise Unreachable(problem, next_step="look whether it is up, and whether the audit may reach it from here")


def _destination(provider: Server, host: str, port: int) -> tuple[str, int]:
    if not isinstance(provider, IdentityProvider):
        return host, port
    own = provider.issuer or provider.admin_url
    if provider.connect_to and own and origin_of(own)[1:] == (host, port):
        return split_host_port(provider.connect_to, port)
    return host, port


def _resolved(provider: Server, host: str) -> tuple[str, ...]:
    try:
        return resolve(host, timeout_s=seconds_left(RESOLVE_TIMEOUT_S))
    except (Unreachable, TimedOut) as error:
        raise type(error)(f"{provider}: {error.message}", next_step=error.next_step) from error


def _exchange(ask: Ask, connection: socket.socket, place: str, *, host: str, port: int, is_tls: bool) -> Reply:
    from quub_audit.connectors.wire import NoAnswer, exchange, verified_trust

    provider = ask.provider
    try:
        trust = verified_trust(str(provider), provider.ca_file, f"{provider.kind}.{provider}") if is_tls else None
        request = _request(ask, place, host=host, port=port, is_tls=is_tls)
        raw = exchange(connection, request, trust, timeout_s=seconds_left(ask.timeout_s))
    except NoAnswer as silence:
        raise silence.error from silence.__cause__
    finally:
        connection.close()
    headers: dict[str, str] = {}
    for name, value in raw.headers:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    if 300 <= raw.status < 400 and not ask.wants_redirect:
        raise _redirected(ask, raw.status, headers.get("location", ""))
    if raw.is_cut:
        raise Malformed(f"{ask.provider}: the answer to {ask.shown} is longer than {ask.max_body_bytes} bytes")
    return Reply(subject=str(ask.provider), asked=ask.shown, status=raw.status, headers=headers, body=raw.body)


def _request(ask: Ask, place: str, *, host: str, port: int, is_tls: bool) -> Request:
    from quub_audit.connectors.wire import Request

    parts = urllib.parse.urlsplit(ask.url)
    target = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    if parts.query:
        target += "?" + urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=-._~?")
    whole = join_host_port(host, port)
    content, content_type = _content(ask)
    headers = {
        "Host": whole.removesuffix(f":{443 if is_tls else 80}"),
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **({"Content-Type": content_type} if content_type else {}),
        **(ask.headers or {}),
    }
    return Request(
        subject=str(ask.provider),
        place=place,
        method=ask.method,
        is_tls=is_tls,
        host=host,
        target=target,
        headers=tuple(headers.items()),
        content=content,
        max_body_bytes=ask.max_body_bytes,
        into=ask.into,
    )


def _content(ask: Ask) -> tuple[bytes, str]:
    """The body and its type; both empty where nothing is sent."""
    if ask.form is not None:
        return urllib.parse.urlencode(ask.form).encode(), "application/x-www-form-urlencoded"
    if ask.document is not None:
        return json.dumps(ask.document).encode(), "application/json"
    return b"", ""


def _redirected(ask: Ask, status: int, location: str) -> Reportable:
    leads_to = f" to {_shown(location)}" if location else ""
    return Unreachable(
        f"{ask.provider}: {ask.shown} was answered with {status}, a redirect{leads_to}; it was not followed",
        next_step="declare the address that answers by itself",
    )


def _put_off(reply: Reply, pause_s: float) -> Reportable:
    if reply.status == 429:
        return Throttled(
            f"{reply.subject}: {reply.asked} was put off with 429; it asks to wait {pause_s:.0f} s",
            next_step="run again later",
        )
    return Unreachable(f"{reply.subject}: {reply.asked} was answered with {reply.status} by a gateway")


def _pause_s(reply: Reply, attempt: int) -> float:
    """What the server asks to wait: seconds, or (`reset`, above a billion) a moment in seconds since 1970."""
    for name in _TOLD_TO_WAIT:
        told = reply.headers.get(name, "").strip()
        if told.isascii() and told.isdigit() and len(told) <= 11:
            seconds = float(told)
            return max(seconds - time.time(), 0.0) if seconds > 1e9 else seconds
    return random.uniform(0.1, 0.3) * (1 << attempt)  # noqa: S311  jitter, nothing secret


def _shown(url: str) -> str:
    """Scheme, host and path alone."""
    bare = url.partition("?")[0].partition("#")[0]
    head, mark, rest = bare.partition("://")
    if mark:
        authority, slash, path = rest.partition("/")
        bare = f"{head}://{authority.rpartition('@')[2]}{slash}{path}"
    return one_line(bare, 120)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259 leaves open which of two members of a name counts: neither does."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")
    return made
