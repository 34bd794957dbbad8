"""The web side of a shop on loopback: a page with its scripts and source maps, as it should be and as it should not."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping

from tests.worlds.web import Script, Visit, answer

HTML = ("Content-Type", "text/html; charset=utf-8")
JS = ("Content-Type", "text/javascript")
JSON = ("Content-Type", "application/json")
TEXT = ("Content-Type", "text/plain")
HARDENED = (
    ("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
)
NOT_FOUND = answer(404, '{"error":"not found"}', JSON, *HARDENED)

PAGE = """<!doctype html><html><head><base href="/">
<link rel="modulepreload" href="/assets/vendor.js">
<script type="application/json">{"src": "/no-script.js"}</script>
</head><body><div id="app"></div><script type="module" src="assets/app.js"></script></body></html>"""


def made_up(prefix: str, name: str, length: int = 24) -> str:
    """A credential of nobody, the same each time; it stands nowhere as it is."""
    letters = base64.b64encode(hashlib.sha512(name.encode()).digest()).decode()
    return prefix + "".join(c for c in letters if c.isalnum())[:length]


QUUB_KEY = made_up("quub_live_", "the key of the shop")
PUBLISHABLE = made_up("AIza", "a browser's key", 35)


def page(*headers: tuple[str, str], body: str = PAGE) -> bytes:
    return answer(200, body, HTML, *headers)


def source_map(**sources: str) -> str:
    """A map whose sources are these."""
    return json.dumps({"version": 3, "sources": list(sources), "sourcesContent": list(sources.values())})


def good(**changes: bytes) -> dict[str, bytes]:
    """Every path that is there; `changes` have `__` for a slash and `_` for a dot."""
    scripts = {
        "/": page(*HARDENED),
        "/assets/app.js": answer(
            200, f'import("./chunk.js");const k="{PUBLISHABLE}";//# sourceMappingURL=app.js.map', JS
        ),
        "/assets/app.js.map": answer(200, source_map(app="export const start = () => 1\n"), JSON),
        "/assets/vendor.js": answer(200, "export const v = 1;", JS),
        "/assets/chunk.js": answer(200, "export const c = 2;", JS),
    }
    return {**scripts, **{f"/{name}".replace("__", "/").replace("_", "."): said for name, said in changes.items()}}


def shop(pages: Mapping[str, bytes], *, otherwise: bytes = NOT_FOUND) -> Script:
    """A page for each path; HEAD gets no body."""

    def serve(visit: Visit) -> None:
        said = pages.get(visit.path.partition("?")[0], otherwise)
        is_head = visit.head.startswith(b"HEAD ")
        visit.socket.sendall(said.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_head else said)

    return serve
