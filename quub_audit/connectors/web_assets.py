"""What an endpoint shows to anybody who asks: its page, the scripts that it names, their source maps, known paths.

- Only GET and HEAD are sent, one after the other, without cookie or credential; redirects of the page are followed
  on the same origin alone. Requests and bytes are bounded; what was named and not fetched is told.
- A known path counts as exposed by its content. Where everything is answered like a page, as applications of one page
  do, it also has to differ from what a path that does not exist is answered with.
- Bodies are scanned by the scanner and rules of repositories, and searched for the values of the declared secret store
  where those may be read. They lie in a temporary folder for as long as that takes, and in no record.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Literal

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.children import Children
from quub_audit.connectors.git import plain_environ
from quub_audit.connectors.http import HttpConnector, shown_path
from quub_audit.connectors.names import join_host_port
from quub_audit.connectors.repository_scanner import Scanner
from quub_audit.connectors.repository_secrets import GENERIC_RULES
from quub_audit.connectors.scratch import Scratch
from quub_audit.errors import NotTls, Refused, Reportable, Throttled, Unreachable
from quub_audit.facts.http import HttpAnswer
from quub_audit.facts.seal import STRUCK, Redactor, Sealer, is_ordinary, kind_of
from quub_audit.facts.web import ExposureKind, WebAsset, WebExposure, WebSecret, WebSurface
from quub_audit.model.environment import Endpoint, SecretReference

MAX_ASSET_BYTES = 8 * 1024 * 1024
MAX_MAP_BYTES = 32 * 1024 * 1024
MAX_TOTAL_CHARACTERS = 128 * 1024 * 1024
"""Of all assets of an endpoint; what is named after that is skipped."""

PROBE_BYTES = 64 * 1024
"""Longest body of a known path that is read."""

MAX_REDIRECTS = 3
SHORTEST_OWN_KEY = 12

PUBLISHABLE = re.compile(
    r"pk_(?:live|test)_|AIza[\w-]{35}$|https://[0-9a-f]{32}@[\w.-]+/\d+$|phc_\w+$|pk\.eyJ|NRJS-|pub[0-9a-f]{32}$|6L[\w-]{38}$"
)
"""Stripe, Google and Firebase, Sentry, PostHog, Mapbox, New Relic and Datadog in browsers, reCAPTCHA."""

_SECRET_FIELD = re.compile(r"(?i)^$|key|secret|token|passw|passphrase|credential")
_PUBLIC_FIELD = re.compile(r"(?i)public|publishable")
_SOURCE_MAP = re.compile(r"(?m)^\s*(?://|/\*)[#@]\s*sourceMappingURL=([^\s*]+)")
_CHUNK = re.compile(r"""["'`]((?:\.{0,2}/)?[\w@~-][\w@~./-]{0,200}\.m?js)["'`]""")
_HTML = re.compile(r"(?i)\s*(?:<!--[\s\S]{0,2000}?-->\s*)?<(?:!doctype html|html)\b")
_SCRIPT_TYPES = ("", "module", "text/javascript", "application/javascript", "text/ecmascript", "application/ecmascript")


@dataclass(frozen=True, slots=True)
class Probe:
    """A path that should not answer, and how its content is recognised."""

    path: str
    kind: ExposureKind
    content: str
    """Regular expression, searched in the body; of a JSON body in its text."""
    words: str
    """What it is, for people."""
    method: Literal["GET", "HEAD"] = "GET"


_VARIABLES = r"(?m)\A(?:\s*#[^\n]*\n|\s*\n)*(?:export[ ]+)?[A-Za-z_][A-Za-z0-9_]*[ ]?=(?!=)[^\n<]*$"
_SQL = r"(?i)\A\s*(?:--|/\*|SET |CREATE |INSERT |DROP |BEGIN|PRAGMA )|PostgreSQL database dump|MySQL dump"

PROBES = (
    Probe("/.git/HEAD", "git", r"\A(?:ref: refs/|[0-9a-f]{40}\s*\Z)", "the head of a git repository"),
    Probe("/.git/config", "git", r"(?m)^\s*\[(?:core|remote|branch)\b", "the settings of a git repository"),
    Probe("/.svn/entries", "git", r"\A\d+\s+(?:dir\b|\Z)", "a checkout of Subversion"),
    Probe("/.env", "environment", _VARIABLES, "variables of the process"),
    Probe("/.env.local", "environment", _VARIABLES, "variables of the process"),
    Probe("/.env.production", "environment", _VARIABLES, "variables of the process"),
    Probe("/.env.bak", "environment", _VARIABLES, "variables of the process"),
    Probe("/.npmrc", "configuration", r"(?m)^\s*(?:@[\w-]+:)?(?:registry|//[^\n]*:_\w+)\s*=", "settings of npm"),
    Probe("/.aws/credentials", "configuration", r"(?m)^\s*\[[^\]\n]+\]\s*\n\s*aws_", "credentials of AWS"),
    Probe("/.htpasswd", "configuration", r"\A[\w.@-]+:(?:\$|\{SHA\})", "passwords of the web server"),
    Probe("/id_rsa", "configuration", r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key"),
    Probe("/docker-compose.yml", "configuration", r"(?m)^services:\s*$", "a Compose file"),
    Probe("/config.php.bak", "backup", r"\A\s*<\?php", "source code"),
    Probe("/web.config", "configuration", r"<configuration[\s>]", "settings of IIS"),
    Probe("/backup.zip", "backup", r"\APK\x03\x04", "a ZIP archive"),
    Probe("/backup.tar.gz", "backup", "\\A\x1f", "a compressed archive"),
    Probe("/backup.sql", "backup", _SQL, "a dump of a database"),
    Probe("/dump.sql", "backup", _SQL, "a dump of a database"),
    Probe("/actuator", "actuator", r'"(?:env|heapdump|configprops|threaddump|loggers)"\s*:\s*\{', "Spring's actuator"),
    Probe("/actuator/env", "actuator", r'"propertySources"\s*:', "the environment by Spring's actuator"),
    Probe("/actuator/heapdump", "actuator", "", "a dump of the memory by Spring's actuator", "HEAD"),
    Probe("/server-status", "diagnostics", r"(?m)Apache Server Status|^Total Accesses:", "Apache's status"),
    Probe("/debug/pprof/", "diagnostics", r"/debug/pprof/[\s\S]*goroutine", "Go's profiler"),
    Probe("/phpinfo.php", "diagnostics", r"<title>(?:PHP [\d.]+ - )?phpinfo\(\)</title>", "phpinfo"),
    Probe("/metrics", "metrics", r"(?m)^# (?:HELP|TYPE) \w+", "metrics of Prometheus"),
    Probe("/swagger.json", "api", r'"swagger"\s*:', "a description of the API"),
    Probe("/openapi.json", "api", r'"openapi"\s*:', "a description of the API"),
    Probe("/config.json", "api", "", "settings of the page"),
)
"""`/config.json` is scanned and no exposure by itself: many pages load their settings from there."""


class WebAssetsConnector:
    """Implements `quub_audit.facts.asking.WebAssets`. Built without I/O; `close` ends what it started."""

    def __init__(
        self,
        ledger: Ledger,
        sealer: Sealer,
        *,
        http: HttpConnector,
        secret_values: Callable[[SecretReference], Mapping[str, str]],
        own: tuple[SecretReference, ...] = (),
    ) -> None:
        self._ledger = ledger
        self._sealer = sealer
        self._http = http
        self._own = own
        self._secret_values = secret_values
        self._children = Children()

    def surface(self, endpoint: Endpoint, *, max_scripts: int = 100) -> WebSurface:
        """One look from outside, as `WebAssets` promises it."""
        about = {"url": endpoint.url, "at": endpoint.connect_to, "paths": endpoint.paths, "max_scripts": max_scripts}
        question = Question.about("web", endpoint.name, "surface", about)
        return self._ledger.ask(question, lambda: self._look(endpoint, max_scripts))

    def close(self) -> None:
        """End the scanner where it still runs."""
        self._children.close()

    def _look(self, endpoint: Endpoint, max_scripts: int) -> WebSurface:
        visit = _Visit(self._http, endpoint, self._http.addresses(endpoint)[0])
        visit.page()
        visit.scripts(max_scripts)
        visit.known_paths()
        values, unread = self._own_values()
        found, tool = self._scan(endpoint, visit.pieces)
        secrets_found = [*self._own_keys(visit.pieces, values), *found]
        return WebSurface(
            page_status=visit.page_status,
            assets=tuple(visit.assets),
            exposures=tuple(visit.exposures),
            secrets=tuple(secrets_found),
            paths_tried=visit.paths_tried,
            skipped=tuple(visit.skipped),
            unanswered=tuple(visit.unanswered),
            foreign_scripts=tuple(visit.foreign),
            own_keys=len(values),
            unread_keys=tuple(unread),
            answers_everything=visit.nowhere.status < 300,
            tool=tool,
        )

    def _own_values(self) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """Values by `secret field`, and the secrets that could not be read; none of those that must not be."""
        values: dict[str, str] = {}
        unread: list[tuple[str, str]] = []
        for secret in self._own:
            try:
                fields = self._secret_values(secret)
            except Refused:
                continue
            except Reportable as error:
                unread.append((str(secret), error.message))
                continue
            for name, value in fields.items():
                is_told = bool(_SECRET_FIELD.search(name)) and not _PUBLIC_FIELD.search(name)
                is_long = len(value.strip()) >= SHORTEST_OWN_KEY and kind_of(value) == "text"
                if is_told and is_long and not is_ordinary(value):
                    values[f"{secret} {name}".strip()] = value.strip()
        return values, unread

    def _own_keys(self, pieces: Sequence[_Piece], values: Mapping[str, str]) -> Iterator[WebSecret]:
        """Values of the store in whatever form they travel in; no pattern is needed to know them."""
        for name, value in values.items():
            forms = Redactor()
            forms.add(value)
            for piece in pieces:
                clean = forms.clean(piece.text)
                if clean != piece.text:
                    before = clean.partition(STRUCK)[0]
                    yield WebSecret(
                        rule="own-key",
                        description=f"the value of {name}",
                        path=piece.path,
                        source=piece.source,
                        line=before.count("\n") + 1,
                        column=len(before) - before.rfind("\n"),
                        fingerprint=self._sealer.seal(value),
                    )

    def _scan(self, endpoint: Endpoint, pieces: Sequence[_Piece]) -> tuple[list[WebSecret], str]:
        with closing(Scratch("web")) as scratch:
            # Neutral names: the scanner passes over some kinds of files, by their names.
            files = {f"{number:05}.txt": piece for number, piece in enumerate(pieces)}
            for name, piece in files.items():
                (scratch.path / name).write_text(piece.text, encoding="utf-8", errors="replace")
            label = f"{endpoint}: the scan of what it serves"
            report = Scanner(self._children, plain_environ()).scan_tree(scratch.path, pruned=(), label=label)
        found: dict[tuple[str, str, str], WebSecret] = {}
        precise = {(hit.path, hit.value) for hit in report.hits if not GENERIC_RULES.match(hit.rule)}
        for hit in sorted(report.hits, key=lambda hit: (hit.path, hit.line, hit.column, hit.rule)):
            piece = files[hit.path]
            is_generic = bool(GENERIC_RULES.match(hit.rule))
            if is_generic and (hit.path, hit.value) in precise:
                continue
            is_publishable = bool(PUBLISHABLE.match(hit.value))
            fingerprint = self._sealer.seal(hit.value, is_struck=not is_publishable)
            found.setdefault(
                (piece.path, hit.rule, fingerprint.digest),
                WebSecret(
                    rule=hit.rule,
                    description=self._sealer.redactor.clean(hit.description),
                    path=piece.path,
                    source=piece.source,
                    line=hit.line,
                    column=hit.column,
                    fingerprint=fingerprint,
                    is_publishable=is_publishable,
                    is_certain=hit.confidence == "high" and not is_generic,
                ),
            )
        return list(found.values()), report.tool


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text that is scanned: an asset, or one source of a source map."""

    path: str
    text: str = field(repr=False)
    source: str = ""


class _Visit:
    """One walk over an endpoint; everything it saw."""

    def __init__(self, http: HttpConnector, endpoint: Endpoint, address: str) -> None:
        self._http = http
        self._endpoint = endpoint
        self._address = address
        self._left = MAX_TOTAL_CHARACTERS
        self._named: dict[str, bool] = {}
        """Scripts to fetch, in order; whether the page or a script says that they are there."""
        self.assets: list[WebAsset] = []
        self.pieces: list[_Piece] = []
        self.exposures: list[WebExposure] = []
        self.skipped: list[str] = []
        self.unanswered: list[str] = []
        self.foreign: list[str] = []
        self.page_status = 0
        self.paths_tried = 0
        self.nowhere = self._get(f"/{secrets.token_hex(12)}", PROBE_BYTES)

    def page(self) -> None:
        """The page behind `/` and every declared path, after redirects on the same origin."""
        for number, start in enumerate(dict.fromkeys(("/", *self._endpoint.paths))):
            path = start
            answer = self._get(path, MAX_ASSET_BYTES)
            for _ in range(MAX_REDIRECTS):
                location = answer.header("location")
                onward = self._own_path(location, path) if 300 <= answer.status < 400 and location else ""
                if not onward:
                    break
                path = onward
                answer = self._get(path, MAX_ASSET_BYTES)
            if number == 0:
                self.page_status = answer.status
            if answer.status < 400 and answer.body and self._keep(path, "page", answer):
                self._read_page(path, answer.body)

    def _read_page(self, path: str, text: str) -> None:
        page = _Page()
        page.feed(text)
        base = self._own_path(page.base, path) or path
        for address, is_guarded in page.scripts:
            own = self._own_path(address, base)
            if own:
                self._named.setdefault(own, True)
            elif not is_guarded and address and not address.lower().startswith(("data:", "blob:")):
                self.foreign.append(address.partition("?")[0][:200])
        self.foreign = list(dict.fromkeys(self.foreign))

    def scripts(self, at_most: int) -> None:
        """Every script that the page names, those that scripts name, and the source map of each."""
        fetched = 0
        seen: set[str] = set()
        while waiting := [path for path in self._named if path not in seen]:
            for path in waiting:
                seen.add(path)
                is_said = self._named[path]
                if fetched >= at_most or self._left <= 0:
                    if is_said:
                        self.skipped.append(shown_path(path))
                    continue
                fetched += 1
                self._fetch_script(path, is_said=is_said)

    def _fetch_script(self, path: str, *, is_said: bool) -> None:
        answer = self._try(path, MAX_ASSET_BYTES)
        is_there = answer is not None and answer.status == 200 and not _is_page(answer)
        if not is_there or answer is None:
            if is_said and (answer is None or answer.status >= 500):
                self.skipped.append(shown_path(path))
            return
        if not self._keep(path, "script", answer):
            return
        for name in _CHUNK.findall(answer.body):
            # Names inside scripts are relative to the script, to the page or to a root that the build tool knows.
            for guess in dict.fromkeys((self._own_path(name, path), self._own_path(name, "/"))):
                if guess:
                    self._named.setdefault(guess, False)
        said = answer.header("sourcemap") or answer.header("x-sourcemap")
        said = said or next(reversed(_SOURCE_MAP.findall(answer.body)), "")
        if said.startswith("data:"):
            self.pieces += _sources(shown_path(path), _inline(said))
            return
        where = self._own_path(said, path) if said else f"{path.partition('?')[0]}.map"
        found = self._try(where, MAX_MAP_BYTES) if where else None
        if found is not None and found.status == 200 and not _is_page(found) and self._keep(where, "source map", found):
            whole = self.pieces.pop()
            self.pieces += _sources(whole.path, whole.text) or [whole]

    def known_paths(self) -> None:
        """Each of `PROBES`; a path that gives no answer is told."""
        for probe in PROBES:
            answer = self._try(probe.path, PROBE_BYTES, probe.method)
            if answer is None or answer.status >= 500:
                self.unanswered.append(probe.path)
                continue
            self.paths_tried += 1
            if answer.status != 200 or self._is_nowhere(answer):
                continue
            if probe.method == "HEAD":
                if _is_dump(answer):
                    self.exposures.append(WebExposure(path=probe.path, kind=probe.kind, observed=probe.words))
                continue
            self._keep(probe.path, "file", answer)
            # Not by its type: servers call files that they know nothing of text/html too.
            is_other = probe.kind != "diagnostics" and _HTML.match(answer.body)
            if probe.content and not is_other and re.search(probe.content, answer.body):
                self.exposures.append(WebExposure(path=probe.path, kind=probe.kind, observed=probe.words))

    def _is_nowhere(self, answer: HttpAnswer) -> bool:
        """Whether it is what a path that does not exist is answered with: the same type, and the same content."""
        if self.nowhere.status != answer.status or _type_of(self.nowhere) != _type_of(answer):
            return False
        return not answer.body or _shape(self.nowhere.body) == _shape(answer.body)

    def _keep(self, path: str, kind: Literal["page", "script", "source map", "file"], answer: HttpAnswer) -> bool:
        """Whether there is room for it."""
        shown = shown_path(path)
        if any(asset.path == shown for asset in self.assets):
            return False
        if self._left <= 0:
            self.skipped.append(shown)
            return False
        self._left -= len(answer.body)
        self.assets.append(
            WebAsset(path=shown, kind=kind, characters=len(answer.body), is_truncated=answer.is_truncated)
        )
        self.pieces.append(_Piece(shown, answer.body))
        return True

    def _own_path(self, address: str, base: str) -> str:
        """Path and query of an address on this origin; empty for any other, and for what is none."""
        home = f"https://{join_host_port(self._endpoint.host.lower(), self._endpoint.port)}"
        try:
            whole = urllib.parse.urlsplit(urllib.parse.urljoin(f"{home}{base}", address.strip()))
            is_own = whole.scheme == "https" and (whole.hostname or "", whole.port or 443) == (
                self._endpoint.host.lower(),
                self._endpoint.port,
            )
        except ValueError:
            return ""
        return f"{whole.path or '/'}{f'?{whole.query}' if whole.query else ''}" if is_own and address.strip() else ""

    def _get(self, path: str, max_bytes: int, method: Literal["GET", "HEAD"] = "GET") -> HttpAnswer:
        seconds_left()
        answer = self._http.fetch(self._endpoint, path, address=self._address, method=method, max_bytes=max_bytes)
        if answer.status == 429:
            raise Throttled(
                f"{self._endpoint}: {self._address} answers 429 to {shown_path(path)}",
                next_step="let the address of the audit ask some two hundred times in a minute, or run again later",
            )
        return answer

    def _try(self, path: str, max_bytes: int, method: Literal["GET", "HEAD"] = "GET") -> HttpAnswer | None:
        """As `_get`; None where this one path gets no answer."""
        try:
            return self._get(path, max_bytes, method)
        except (Throttled, Unreachable, NotTls):
            raise
        except Reportable:
            seconds_left()
            return None


class _Page(HTMLParser):
    """Scripts that a page names, each with whether an integrity attribute guards it; and its `<base>`."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[tuple[str, bool]] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        is_script = tag == "script" and told.get("type", "").strip().lower() in _SCRIPT_TYPES and "src" in told
        relations = told.get("rel", "").lower().split()
        is_loaded = "modulepreload" in relations or (
            {"preload", "prefetch"} & set(relations) and told.get("as", "").lower() == "script"
        )
        if is_script:
            self.scripts.append((told["src"], bool(told.get("integrity", "").strip())))
        elif tag == "link" and is_loaded and told.get("href"):
            # A guarded script whose preload bears no integrity is still guarded: only scripts are judged.
            self.scripts.append((told["href"], True))
        elif tag == "base" and not self.base:
            self.base = told.get("href", "")


def _is_page(answer: HttpAnswer) -> bool:
    """Whether HTML came where something else was asked for."""
    return _type_of(answer) in ("text/html", "application/xhtml+xml") or bool(_HTML.match(answer.body))


def _is_dump(answer: HttpAnswer) -> bool:
    return _type_of(answer) in ("application/octet-stream", "application/x-gzip", "application/gzip", "application/zip")


def _type_of(answer: HttpAnswer) -> str:
    return answer.header("content-type").partition(";")[0].strip().lower()


def _shape(body: str) -> str:
    """A body without what differs from answer to answer: numbers, nonces, the path itself."""
    return re.sub(r"[0-9a-fA-F-]{8,}|\d+|/[\w./-]+", "", body)


def _sources(path: str, text: str) -> list[_Piece]:
    """Each source of a source map on its own: inside the JSON, quotes are escaped and rules see no names."""
    try:
        told = json.loads(text)
        names, contents = list(told.get("sources") or ()), list(told.get("sourcesContent") or ())
    except (ValueError, TypeError, AttributeError, RecursionError):
        return []
    named = [str(name)[:200] for name in names] + ["a source without a name"] * len(contents)
    return [
        _Piece(path, content, name) for content, name in zip(contents, named, strict=False) if isinstance(content, str)
    ]


def _inline(address: str) -> str:
    """The content of a data: URL; empty for what cannot be read."""
    head, _, content = address.partition(",")
    try:
        raw = base64.b64decode(content) if head.endswith(";base64") else urllib.parse.unquote_to_bytes(content)
    except (binascii.Error, ValueError):
        return ""
    return raw[:MAX_MAP_BYTES].decode("utf-8", "replace")
