"""Plain requests to endpoints: GET, HEAD and OPTIONS, each sent once per run and address.

- Redirects are observed, never followed; cookies are never sent back; proxies of the process environment are not used,
  since what is asked is what the declared address itself answers.
- `get` verifies no certificate and takes any protocol and suite: `Tls` judges those, and a server that is weak there
  still shows what it serves. It verifies both where it is told to, and `get_keyed` does, before the key is sent.
- A connection that ends without an answer, and 502, 503 and 504, are tried once more after a short pause; a refused or
  silent port is not: that is an answer.
- Query values never stand in a question or a message; those under a telling name are struck from all outputs.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import contextvars
import hashlib
import hmac
import random
import re
import secrets
import socket
import threading
import time
import urllib.parse
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from quub_audit import __version__
from quub_audit.connectors.base import Ledger, Question, count_attempts, seconds_left
from quub_audit.connectors.names import as_literal, join_host_port, resolve, split_host_port
from quub_audit.connectors.tcp import CONNECT_TIMEOUT_S, RESOLVE_TIMEOUT_S, connect
from quub_audit.errors import Malformed, Refused, Reportable, TimedOut, Unreachable
from quub_audit.facts.http import Burst, Cookie, HttpAnswer, Reach
from quub_audit.facts.seal import Sealer
from quub_audit.model.environment import Endpoint, Quub, SecretReference

if TYPE_CHECKING:
    import ssl

    from quub_audit.connectors.wire import NoAnswer, RawAnswer, Request

Method = Literal["GET", "HEAD", "OPTIONS"]

EXCHANGE_TIMEOUT_S = 15.0
"""Longest time from the connection to the end of the answer."""

ATTEMPTS = 2
TRANSIENT_STATUSES = (502, 503, 504)
"""What a gateway answers while the service behind it is being replaced."""

MAX_BURST = 200
BURST_AT_ONCE = 8
MAX_BURST_BODY = 64 * 1024
"""What `burst` may send, and take of each answer."""

WHEN_AGAIN = ("retry-after", "ratelimit", "ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset")
"""Headers that say when requests are let through again: RFC 9110, the IETF's draft of RateLimit fields, and habit."""

MAX_HEADERS = 256
MAX_BODY_CHARACTERS = 1024 * 1024
MAX_CODINGS = 2
MAX_GZIP_MEMBERS = 64

USER_AGENT = f"quub-audit/{__version__} (+readiness audit)"

COOKIE_ATTRIBUTES = (
    "expires",
    "max-age",
    "domain",
    "path",
    "secure",
    "httponly",
    "samesite",
    "partitioned",
    "priority",
)
"""RFC 6265bis and CHIPS. Anything else may be a piece of a value that holds a semicolon."""

_TELLING = re.compile(r"key|token|secret|sig|passw|auth|code|session|credential", re.IGNORECASE)
_TEXT_CHARSETS = re.compile(
    r"utf-(8|8-sig|16|16-le|16-be|32|32-le|32-be)|ascii|iso8859-\d+|cp\d+|mac-\w+|koi8-\w|shift_jis\w*|euc_\w+|big5\w*|"
    r"gb2312|gbk|gb18030|tis-620"
)
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peer:
    """Where a request goes, and under which name."""

    subject: str
    host: str
    """ASCII; an IP address without brackets."""
    port: int
    """As it stands in the URL."""
    address: str
    """IP address that is connected to."""
    address_port: int
    is_tls: bool

    @property
    def place(self) -> str:
        return join_host_port(self.address, self.address_port)

    @property
    def authority(self) -> str:
        """For the Host header and the URL: a default port is left out."""
        default = 443 if self.is_tls else 80
        whole = join_host_port(self.host, self.port)
        return whole if self.port != default else whole.removesuffix(f":{default}")

    @property
    def origin(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.authority}"


class HttpConnector:
    """Implements `quub_audit.facts.asking.Http`. Built without I/O; no connection outlives its request."""

    def __init__(
        self,
        ledger: Ledger,
        sealer: Sealer,
        *,
        secret_values: Callable[[SecretReference], Mapping[str, str]],
        allow_active: bool,
    ) -> None:
        self._ledger = ledger
        self._sealer = sealer
        self._secret_values = secret_values
        self._allow_active = allow_active

    def addresses(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Every address of the endpoint's name, IPv4 first; of the host in `connect_to` where that is set.

        IP addresses; with `connect_to` each as `address:port`. Raises Unreachable, TimedOut.
        """

        def find() -> tuple[str, ...]:
            if not endpoint.connect_to:
                return self._resolve(endpoint.name, endpoint.host)
            host, port = split_host_port(endpoint.connect_to, endpoint.port)
            return tuple(join_host_port(address, port) for address in self._resolve(endpoint.name, host))

        about = {"host": endpoint.host, "connect_to": endpoint.connect_to}
        return self._ledger.ask(Question.about("http", endpoint.name, "addresses", about), find)

    def get(
        self,
        endpoint: Endpoint,
        path: str = "/",
        *,
        address: str = "",
        method: Method = "GET",
        is_verified: bool = False,
        origin: str = "",
    ) -> HttpAnswer:
        """Over TLS, at `address` (one of `addresses`; the first when empty); with `origin` as its pages ask.

        Raises Unreachable (with `is_verified` for a chain that is not trusted too), TimedOut, NotTls, Malformed;
        Refused for any other method.
        """
        if method not in get_args(Method):
            raise Refused(f"{endpoint}: {method} was not sent; only {', '.join(get_args(Method))} are")
        peer = self._peer(endpoint, address)

        def find() -> HttpAnswer:
            from quub_audit.connectors.wire import open_trust, verified_trust

            named = f"endpoints.{endpoint}"
            trust = verified_trust(endpoint.name, endpoint.ca_file, named) if is_verified else open_trust()
            return self._ask(peer, method, path, {"Origin": origin} if origin else {}, trust)

        asked = " ".join((method, *(["verified"] if is_verified else []), *([f"from {origin}"] if origin else [])))
        return self._ledger.ask(self._question(peer, asked, path), find)

    def fetch(
        self,
        endpoint: Endpoint,
        path: str,
        *,
        address: str,
        method: Method = "GET",
        max_bytes: int = MAX_BODY_CHARACTERS,
    ) -> HttpAnswer:
        """As `get`, kept in no record: for a connector that looks through bodies itself, of `max_bytes` at most."""
        from quub_audit.connectors.wire import open_trust

        return self._ask(self._peer(endpoint, address), method, path, {}, open_trust(), max_bytes)

    def _peer(self, endpoint: Endpoint, address: str) -> _Peer:
        ip, port = split_host_port(address or self.addresses(endpoint)[0], endpoint.port)
        return _Peer(
            subject=endpoint.name,
            host=ascii_host(endpoint.host),
            port=endpoint.port,
            address=ip,
            address_port=port,
            is_tls=True,
        )

    def get_plain(
        self, endpoint: Endpoint, path: str = "/", *, address: str = "", is_upgrade: bool = False
    ) -> HttpAnswer | Reach:
        """GET over plain HTTP at port 80 of `address`, or at `connect_to_plain`; no credential is ever sent.

        REFUSED or FILTERED where no connection is to be had; OPEN where one was, and nothing of HTTP came back.
        With `is_upgrade`, status 101 says that a WebSocket was opened; it is closed at once, without a frame.
        Raises Unreachable, TimedOut, Malformed.
        """
        chosen = endpoint.connect_to_plain or split_host_port(address or self.addresses(endpoint)[0], 80)[0]
        host, port = split_host_port(chosen, 80)
        name = "upgrade" if is_upgrade else "GET"

        def find() -> HttpAnswer | Reach:
            peer = _Peer(
                subject=endpoint.name,
                host=ascii_host(endpoint.host),
                port=80,
                address=self._resolve(endpoint.name, host)[0],
                address_port=port,
                is_tls=False,
            )
            return self._ask_plain(peer, path, _upgrade_headers(endpoint) if is_upgrade else {})

        question = Question.about(
            "http",
            endpoint.name,
            f"plain {name} {shown_path(path)}",
            {"host": endpoint.host, "at": join_host_port(host, port), **query_mark(path)},
        )
        return self._ledger.ask(question, find)

    def get_keyed(self, quub: Quub, *, key: SecretReference | None) -> int:
        """Status with which `probe_path` is answered for the key in the store, or for a made-up key (None).

        Over TLS that is verified. The request is signed as the Quub API wants it where the secret has the fields for
        it: `apiKey`, and `apiSecret` and `orgId`; a secret that is one text is the key itself.
        Raises Refused unless active checks are allowed, what the store raises, and Unreachable, TimedOut, Malformed.
        """
        if not self._allow_active:
            raise Refused(
                f"{quub}: no key was sent, because active checks are not allowed", next_step="add --allow-active"
            )
        about = {"at": quub.api_connect_to, "key": str(key) if key else "", "store": repr(key)}
        named = f"with {key}" if key else "with a made-up key"
        question = Question.about("http", str(quub), f"GET {shown_path(quub.probe_path)} {named}", about)
        return self._ledger.ask(question, lambda: self._try_key(quub, key))

    def burst(self, endpoint: Endpoint, path: str, *, requests: int) -> Burst:
        """Send `requests` GETs (at most `MAX_BURST`), `BURST_AT_ONCE` at a time, as fast as they are answered.

        To the first address, with no credential and no second try. Raises Refused unless active checks are allowed,
        and where every request ended without an answer what the first one met.
        """
        if not self._allow_active:
            raise Refused(
                f"{endpoint}: no burst was sent, because active checks are not allowed", next_step="add --allow-active"
            )
        peer, count = self._peer(endpoint, ""), min(requests, MAX_BURST)
        question = self._question(peer, f"{count} GET", path)
        return self._ledger.ask(question, lambda: self._send_burst(peer, path, count))

    def _send_burst(self, peer: _Peer, path: str, count: int) -> Burst:
        from quub_audit.connectors.wire import NoAnswer, open_trust

        strike_query(self._sealer, path)
        request, trust = _make_request(peer, "GET", path, {}, MAX_BURST_BODY), open_trust()
        turns, began = iter(range(count)), time.monotonic()
        answers: list[HttpAnswer | Reach | Exception] = []

        def send() -> None:
            for _ in turns:
                try:
                    answers.append(self._exchange(peer, request, trust, path))
                except NoAnswer as error:
                    answers.append(error.error)
                except Reportable as error:
                    answers.append(error)

        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(send,), daemon=True)
            for _ in range(min(BURST_AT_ONCE, count))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answered = [each for each in answers if isinstance(each, HttpAnswer)]
        if not answered:
            raise next(
                (each for each in answers if isinstance(each, Exception)),
                Unreachable(f"{peer.subject}: {peer.place} takes no connection"),
            )
        statuses = Counter(str(each.status) for each in answered)
        unanswered = len(answers) - len(answered)
        return Burst(
            url=f"{peer.origin}{shown_path(path)}",
            seconds=round(time.monotonic() - began, 3),
            statuses={**dict(sorted(statuses.items())), **({"0": unanswered} if unanswered else {})},
            with_retry_after=sum(
                each.status == 429 and any(each.header(name) for name in WHEN_AGAIN) for each in answered
            ),
        )

    # How a server is asked

    def _ask(
        self,
        peer: _Peer,
        method: str,
        path: str,
        headers: Mapping[str, str],
        trust: ssl.SSLContext,
        max_bytes: int = MAX_BODY_CHARACTERS,
    ) -> HttpAnswer:
        answer = self._attempt(peer, method, path, headers, trust, max_bytes)
        if answer is Reach.REFUSED:
            raise Unreachable(f"{peer.subject}: {peer.place} refuses connections", next_step="look what listens there")
        if isinstance(answer, Reach):
            raise Unreachable(
                f"{peer.subject}: {peer.place} takes no connection within {CONNECT_TIMEOUT_S:.0f} s",
                next_step="let the address of the audit in, or audit from where clients are",
            )
        return answer

    def _ask_plain(self, peer: _Peer, path: str, headers: Mapping[str, str]) -> HttpAnswer | Reach:
        from quub_audit.connectors.wire import NoAnswer

        try:
            return self._attempt(peer, "GET", path, headers, None)
        except NoAnswer:
            return Reach.OPEN

    def _attempt(
        self,
        peer: _Peer,
        method: str,
        path: str,
        headers: Mapping[str, str],
        trust: ssl.SSLContext | None,
        max_bytes: int = MAX_BODY_CHARACTERS,
    ) -> HttpAnswer | Reach:
        """At most `ATTEMPTS` exchanges. Raises NoAnswer where only plain HTTP was spoken, its error otherwise."""
        from quub_audit.connectors.wire import NoAnswer

        strike_query(self._sealer, path)
        request = _make_request(peer, method, path, headers, max_bytes)
        for attempt in range(1, ATTEMPTS + 1):
            is_last = attempt == ATTEMPTS
            try:
                answer = self._exchange(peer, request, trust, path)
                if is_last or isinstance(answer, Reach) or answer.status not in TRANSIENT_STATUSES:
                    return answer
            except NoAnswer as silence:
                if is_last or not silence.is_transient:
                    raise _outcome(silence, peer) from silence.__cause__
            count_attempts(attempt + 1)
            time.sleep(min(random.uniform(0.2, 0.5), seconds_left()))  # noqa: S311  jitter, nothing secret
        raise AssertionError("unreachable: the last attempt answers or raises")

    def _exchange(self, peer: _Peer, request: Request, trust: ssl.SSLContext | None, path: str) -> HttpAnswer | Reach:
        from quub_audit.connectors.wire import ended_at_once, exchange

        began = time.monotonic()
        with _in_the_name_of(peer.subject):
            connection = connect(peer.address, peer.address_port)
        if connection is Reach.OPEN:
            raise ended_at_once(request)
        if not isinstance(connection, socket.socket):
            return connection
        raw = exchange(connection, request, trust, timeout_s=seconds_left(EXCHANGE_TIMEOUT_S))
        elapsed_s = round(time.monotonic() - began, 3)
        return self._read(peer, path, raw, elapsed_s=elapsed_s, max_bytes=request.max_body_bytes)

    def _read(self, peer: _Peer, path: str, raw: RawAnswer, *, elapsed_s: float, max_bytes: int) -> HttpAnswer:
        if len(raw.headers) > MAX_HEADERS:
            raise Malformed(f"{peer.subject}: {peer.place} sends {len(raw.headers)} headers, more than {MAX_HEADERS}")
        headers = tuple((_text(name).lower(), _text(value)) for name, value in raw.headers)
        body, is_cut = _read_body(f"{peer.subject}: {peer.place}", headers, raw, max_bytes)
        return HttpAnswer(
            url=f"{peer.origin}{shown_path(path)}",
            address=peer.place,
            status=raw.status,
            headers=tuple(header for header in headers if header[0] != "set-cookie"),
            cookies=tuple(self._read_cookie(value) for name, value in headers if name == "set-cookie"),
            body=body,
            is_truncated=is_cut,
            elapsed_s=elapsed_s,
        )

    def _read_cookie(self, text: str) -> Cookie:
        """Names and attributes; the value is struck from outputs, in case that it stands elsewhere too."""
        pair, *rest = text.split(";")
        name, separator, value = pair.partition("=")
        if not separator:
            name, value = "", pair  # as browsers do: a value without a name
        if len(value.strip()) >= 16:
            self._sealer.redactor.add(value)
        attributes = ((each.partition("=")[0].strip().lower(), each.partition("=")[2].strip()) for each in rest)
        known = tuple((name, value) for name, value in attributes if name in COOKIE_ATTRIBUTES)
        return Cookie(name=name.strip(), attributes=known)

    @staticmethod
    def _resolve(subject: str, host: str) -> tuple[str, ...]:
        with _in_the_name_of(subject):
            return resolve(host, timeout_s=seconds_left(RESOLVE_TIMEOUT_S))

    def _question(self, peer: _Peer, method: str, path: str) -> Question:
        about = {"origin": peer.origin, "at": peer.place, **query_mark(path)}
        return Question.about("http", peer.subject, f"{method} {shown_path(path)}", about)

    # How a key is tried

    def _try_key(self, quub: Quub, key: SecretReference | None) -> int:
        from quub_audit.connectors.wire import verified_trust

        try:
            url = urllib.parse.urlsplit(quub.api_url)
            port = url.port or 443
        except ValueError:
            url, port = urllib.parse.urlsplit(""), 0
        if url.scheme != "https" or not url.hostname:
            raise Refused(
                f"{quub}: no key was sent, because api_url is no https:// address", next_step="correct quub.api_url"
            )
        host, address_port = split_host_port(quub.api_connect_to or join_host_port(url.hostname, port), port)
        peer = _Peer(
            subject=str(quub),
            host=ascii_host(url.hostname),
            port=port,
            address=self._resolve(str(quub), host)[0],
            address_port=address_port,
            is_tls=True,
        )
        trust = verified_trust(str(quub), quub.ca_file, "quub")
        path = f"{url.path.rstrip('/')}/{quub.probe_path.lstrip('/')}"
        fields = _credential(quub, key, self._secret_values(key)) if key else _made_up_credential()
        for value in fields.values():
            self._sealer.redactor.add(value)
        return self._ask(peer, "GET", path, _sign(fields, "GET", target_of(path)), trust).status


@contextlib.contextmanager
def _in_the_name_of(subject: str) -> Iterator[None]:
    try:
        yield
    except (Unreachable, TimedOut) as error:
        raise type(error)(f"{subject}: {error.message}", next_step=error.next_step) from error


def _outcome(silence: NoAnswer, peer: _Peer) -> Exception:
    return silence.error if peer.is_tls else silence


# What is sent


def _make_request(peer: _Peer, method: str, path: str, headers: Mapping[str, str], max_bytes: int) -> Request:
    from quub_audit.connectors.wire import Request

    sent = {
        "Host": peer.authority,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Connection": "close",
        **headers,
    }
    return Request(
        subject=peer.subject,
        place=peer.place,
        method=method,
        is_tls=peer.is_tls,
        host=peer.host,
        target=target_of(path),
        headers=tuple(sent.items()),
        max_body_bytes=max_bytes,
    )


def _upgrade_headers(endpoint: Endpoint) -> Mapping[str, str]:
    """RFC 6455, section 4.1; the origin is the service's own, which is the one that a server admits if any."""
    host = ascii_host(endpoint.host)
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Origin": f"https://{f'[{host}]' if ':' in host else host}",
    }


def target_of(path: str) -> str:
    """Path and query for the request line: what may not stand there is percent-encoded, a fragment is left out."""
    whole = path.partition("#")[0]
    rooted = whole if whole.startswith("/") else f"/{whole}"
    return urllib.parse.quote(rooted, safe="/%:@!$&'()*+,;=-._~?")


def shown_path(path: str) -> str:
    """The path without the values of its query."""
    target, mark, query = target_of(path).partition("?")
    names = "&".join(f"{part.partition('=')[0]}=..." if "=" in part else "..." for part in query.split("&"))
    return f"{target}{mark}{names if mark else ''}"


def query_mark(path: str) -> Mapping[str, str]:
    """Tells queries apart in a question; 32 bits, too few to find a value by."""
    query = target_of(path).partition("?")[2]
    return {"query": hashlib.sha256(query.encode()).hexdigest()[:8]} if query else {}


def strike_query(sealer: Sealer, path: str) -> None:
    """Strike the query's values under telling names from all outputs."""
    for name, value in urllib.parse.parse_qsl(target_of(path).partition("?")[2]):
        if _TELLING.search(name):
            sealer.redactor.add(value)


def ascii_host(host: str) -> str:
    """A name as DNS and TLS carry it. Raises Malformed for what is no name."""
    literal = as_literal(host)
    if literal:
        return literal.partition("%")[0]  # a zone means something on this machine alone (RFC 6874)
    bare = host.removesuffix(".")
    try:
        name = bare if bare.isascii() else bare.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if len(name) > 253 or not _HOST_NAME.fullmatch(name):
        raise Malformed(f"{host!r} is no host name", next_step="correct the url that it stands in")
    return name


# What came back


def _read_body(named: str, headers: tuple[tuple[str, str], ...], raw: RawAnswer, max_bytes: int) -> tuple[str, bool]:
    """The body as text, and whether there is more of it than that; a coding that was not asked for is not read."""
    body, is_cut = raw.body, raw.is_cut
    codings = [
        coding.strip().lower()
        for name, value in headers
        if name == "content-encoding"
        for coding in value.split(",")
        if coding.strip().lower() not in ("", "identity")
    ]
    if body and codings:
        if len(codings) > MAX_CODINGS or any(coding not in ("gzip", "x-gzip", "deflate") for coding in codings):
            return "", True
        for coding in reversed(codings):
            body, is_longer = _inflate(named, coding, body, max_bytes)
            is_cut = is_cut or is_longer
    content_type = next((value for name, value in headers if name == "content-type"), "")
    return _decode(body, content_type), is_cut


def _inflate(named: str, coding: str, data: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """At most `max_bytes` of what was compressed, and whether there is more. Raises Malformed for what is not."""
    window = zlib.MAX_WBITS | 16
    if coding == "deflate":  # with the zlib header by the RFC, without by some servers
        window = (
            zlib.MAX_WBITS if len(data) > 1 and data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0 else -15
        )
    made = bytearray()
    for _ in range(MAX_GZIP_MEMBERS):
        engine = zlib.decompressobj(window)
        try:
            made += engine.decompress(data, max_bytes + 1 - len(made))
        except zlib.error as error:
            raise Malformed(f"{named} sends a body that is no {coding}: {error}") from error
        if not engine.eof or len(made) > max_bytes:
            return bytes(made[:max_bytes]), True
        data = engine.unused_data.lstrip(b"\0") if coding != "deflate" else b""
        if not data:
            return bytes(made), False
    return bytes(made), True


def _decode(body: bytes, content_type: str) -> str:
    """As text in the charset that the server names, or UTF-8; what does not fit becomes U+FFFD."""
    named = re.search(r"charset\s*=\s*\"?([A-Za-z0-9._:-]{1,40})", content_type, re.IGNORECASE)
    charset = "utf-8"
    if named:
        try:
            found = codecs.lookup(named[1]).name
        except LookupError:
            found = ""
        charset = found if _TEXT_CHARSETS.fullmatch(found) else charset
    if charset == "utf-8":
        charset = "utf-8-sig"
    return body.decode(charset, errors="replace")


def _text(value: bytes) -> str:
    """A header as text: UTF-8 where it is, else Latin-1; control characters become U+FFFD."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return _CONTROL.sub("\ufffd", text)


# Keys


def _credential(quub: Quub, key: SecretReference, values: Mapping[str, str]) -> Mapping[str, str]:
    """Of `key`, `secret` and `org` those that the secret has. Raises Malformed, which never quotes a value."""
    names = {"apikey": "key", "key": "key", "": "key", "apisecret": "secret", "secret": "secret", "orgid": "org"}
    found: dict[str, str] = {}
    for field, value in values.items():
        plain = re.sub(r"[^a-z]", "", field.lower()).removeprefix("quub")
        if plain in names and value.strip():
            found.setdefault(names[plain], value.strip())
    if "key" not in found:
        raise Malformed(
            f"{quub}: the secret {key} holds no apiKey", next_step="give it the fields apiKey and apiSecret"
        )
    if any(not re.fullmatch(r"[\x21-\x7e]+", value) for value in found.values()):
        raise Malformed(f"{quub}: the secret {key} holds characters that no header can carry")
    return found


def _made_up_credential() -> Mapping[str, str]:
    return {"key": secrets.token_hex(16), "secret": secrets.token_hex(32), "org": secrets.token_hex(8)}


def _sign(fields: Mapping[str, str], method: str, target: str) -> Mapping[str, str]:
    """The headers that prove who sends a request without a body."""
    headers = {"X-API-Key": fields["key"]}
    if "org" in fields:
        headers["X-Org-Id"] = fields["org"]
    if "secret" in fields:
        stamp = str(int(time.time() * 1000))
        signed = hmac.new(fields["secret"].encode(), f"{stamp}{method}{target}".encode(), hashlib.sha256)
        headers |= {"X-Timestamp": stamp, "X-Signature": signed.hexdigest()}
    return headers
