"""What is fetched, what counts as exposed, and what is found in it; with real servers and the real scanner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import decode, encode
from quub_audit.connectors.http import HttpConnector
from quub_audit.connectors.web_assets import PROBES, WebAssetsConnector
from quub_audit.demo.authority import Authority
from quub_audit.errors import Denied, Refused, Throttled, Unreachable
from quub_audit.facts.seal import STRUCK, Redactor, Sealer
from quub_audit.facts.web import WebSurface
from quub_audit.model.environment import SecretReference
from tests.worlds.shopfront import (
    HTML,
    JS,
    JSON,
    PAGE,
    PUBLISHABLE,
    QUUB_KEY,
    TEXT,
    good,
    made_up,
    page,
    shop,
    source_map,
)
from tests.worlds.web import Names, Script, Server, answer, closed_port, endpoint_at, saying, serve

OWN = SecretReference(store="vault", name="secret/production/quub")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    return Names(Authority(), tmp_path_factory.mktemp("names"))


class Looker:
    """Looks at servers that it starts."""

    def __init__(self, names: Names, values: Mapping[str, str] | Exception) -> None:
        self.redactor = Redactor()
        self.servers: list[Server] = []
        self._names = names
        self._values = values

    def look(self, script: Script, **asked: object) -> WebSurface:
        sealer = Sealer(b"salt", self.redactor)
        http = HttpConnector(Ledger(), sealer, secret_values=self.values, allow_active=False)
        connector = WebAssetsConnector(Ledger(), sealer, http=http, secret_values=self.values, own=(OWN,))
        with serve(script, tls=self._names.context("www.shop.test")) as server:
            self.servers.append(server)
            try:
                return connector.surface(endpoint_at(server, "127.0.0.1:1", host="www.shop.test"), **asked)  # type: ignore[arg-type]
            finally:
                connector.close()

    def values(self, secret: SecretReference) -> Mapping[str, str]:
        if isinstance(self._values, Exception):
            raise self._values
        return self._values

    @property
    def asked(self) -> list[str]:
        return [head.split(b"\r\n")[0].decode() for server in self.servers for head in server.heads]


@pytest.fixture
def looker(names: Names) -> Looker:
    return Looker(names, {"apiKey": QUUB_KEY, "orgId": "5f2b8c1e-7a34-4a53-9d1f-000000000000"})


@pytest.fixture(scope="module")
def clean(names: Names) -> tuple[WebSurface, Looker]:
    looker = Looker(names, {})
    return looker.look(shop(good())), looker


def test_the_page_all_its_scripts_chunks_and_maps_are_read(clean: tuple[WebSurface, Looker]) -> None:
    surface, _ = clean

    assert [(asset.path, asset.kind) for asset in surface.assets] == [
        ("/", "page"),
        ("/assets/vendor.js", "script"),
        ("/assets/app.js", "script"),
        ("/assets/app.js.map", "source map"),
        ("/assets/chunk.js", "script"),
    ]
    assert (surface.page_status, surface.paths_tried, surface.skipped) == (200, len(PROBES), ())
    assert surface.tool.startswith("betterleaks ")


def test_only_get_and_head_are_sent_and_no_credential(clean: tuple[WebSurface, Looker]) -> None:
    _, looker = clean

    assert {line.split()[0] for line in looker.asked} == {"GET", "HEAD"}
    assert not any(b"cookie" in head.lower() or b"authorization" in head.lower() for head in looker.servers[0].heads)
    assert not any("no-script" in line for line in looker.asked)


def test_a_publishable_key_is_marked_as_such(clean: tuple[WebSurface, Looker]) -> None:
    surface, looker = clean

    assert [(secret.path, secret.is_publishable) for secret in surface.secrets] == [("/assets/app.js", True)]
    assert looker.redactor.clean(PUBLISHABLE) == PUBLISHABLE


def test_a_surface_survives_the_evidence_bundle(clean: tuple[WebSurface, Looker]) -> None:
    assert decode(encode(clean[0])) == clean[0]


EXPOSED = {
    "/.git/HEAD": answer(200, "ref: refs/heads/main\n", TEXT),
    "/.git/config": answer(200, "[core]\n\tbare = false\n", TEXT),
    "/.env": answer(200, "# of production\nexport DB_URL=postgres://db\nKEY=1\n", TEXT),
    "/.env.local": answer(200, "KEY=1\n", HTML),
    "/actuator": answer(200, '{"_links":{"self":{},"env":{"href":"x"}}}', JSON),
    "/actuator/env": answer(200, '{"propertySources":[]}', JSON),
    "/actuator/heapdump": answer(200, b"JAVA PROFILE", ("Content-Type", "application/octet-stream")),
    "/server-status": page(body="<html><head><title>Apache Status</title></head><h1>Apache Server Status for x</h1>"),
    "/debug/pprof/": page(body="<html><title>/debug/pprof/</title>\n<a href='goroutine'>goroutine</a>"),
    "/backup.zip": answer(200, b"PK\x03\x04\x14\x00", ("Content-Type", "application/zip")),
    "/backup.tar.gz": answer(200, b"\x1f\x8b\x08\x00", ("Content-Type", "application/gzip")),
    "/dump.sql": answer(200, "-- PostgreSQL database dump\n", TEXT),
    "/metrics": answer(200, "# HELP up x\n# TYPE up gauge\nup 1\n", TEXT),
    "/openapi.json": answer(200, '{"openapi":"3.1.0","paths":{}}', JSON),
    "/id_rsa": answer(200, "-----BEGIN OPENSSH PRIVATE KEY-----\n", TEXT),
}


def test_known_paths_are_recognised_by_their_content(looker: Looker) -> None:
    surface = looker.look(shop({**good(), **EXPOSED}))

    assert {exposure.path for exposure in surface.exposures} == set(EXPOSED)


def test_known_paths_are_exposed_where_everything_else_is_the_page_too(looker: Looker) -> None:
    surface = looker.look(shop({**good(), "/.git/HEAD": EXPOSED["/.git/HEAD"]}, otherwise=page()))

    assert surface.answers_everything
    assert [exposure.path for exposure in surface.exposures] == ["/.git/HEAD"]


CATCH_ALL = [
    page(),
    answer(200, PAGE, TEXT),
    answer(200, '{"status":"ok","env":{}}', JSON),
    answer(200, b"\x1f\x8b\x08", ("Content-Type", "application/octet-stream")),
    answer(200, "A=1\nB=2\n", TEXT),
    answer(302, "", ("Location", "/login")),
    answer(403, "ref: refs/heads/main\n", TEXT),
]


@pytest.mark.parametrize("otherwise", CATCH_ALL)
def test_an_answer_to_everything_exposes_nothing(looker: Looker, otherwise: bytes) -> None:
    assert looker.look(shop({"/": page()}, otherwise=otherwise)).exposures == ()


def test_keys_are_found_wherever_they_stand_and_struck(looker: Looker) -> None:
    keys = [made_up("quub_live_", place) for place in ("page", "script", "map", "a map that nothing names", "settings")]
    leaks = {
        "/": page(body=f'<script>window.config={{key:"{keys[0]}"}}</script>{PAGE}'),
        "/assets/chunk.js": answer(200, f'const k="{keys[1]}"', JS),
        "/assets/app.js.map": answer(200, source_map(config=f'export const key = "{keys[2]}"\n'), JSON),
        "/assets/vendor.js.map": answer(200, source_map(v=f"k = '{keys[3]}'"), JSON),
        "/config.json": answer(200, f'{{"key":"{keys[4]}"}}', JSON),
    }

    surface = looker.look(shop({**good(), **leaks}))

    found = [secret for secret in surface.secrets if secret.rule == "quub-api-key"]
    assert {secret.path for secret in found} == set(leaks)
    assert {secret.source for secret in found} == {"", "config", "v"}
    assert all(secret.is_certain and not secret.is_publishable for secret in found)
    assert looker.redactor.clean(" ".join(keys)) == " ".join([STRUCK] * len(keys))
    assert not any(key in repr(surface) for key in keys)


def test_an_own_key_is_found_without_a_pattern_and_the_id_of_an_organisation_is_none(names: Names) -> None:
    plain = made_up("", "a key without any form", 20)
    looker = Looker(
        names, {"apiKey": plain, "orgId": "an-organisation-is-public", "publicKey": made_up("", "public", 20)}
    )
    script = answer(200, f"go({plain!r},'an-organisation-is-public','{made_up('', 'public', 20)}')", JS)

    surface = looker.look(shop({**good(), "/assets/vendor.js": script}))

    own = [secret for secret in surface.secrets if secret.rule == "own-key"]
    assert [(secret.path, secret.line, secret.column) for secret in own] == [("/assets/vendor.js", 1, 5)]
    assert own[0].description == "the value of secret/production/quub apiKey"
    assert (surface.own_keys, surface.unread_keys) == (1, ())


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (Refused("not set"), ()),
        (Denied("vault: denied", permission="read"), (("secret/production/quub", "vault: denied"),)),
    ],
)
def test_keys_that_must_not_or_cannot_be_read_are_told(
    names: Names, refusal: Exception, told: tuple[tuple[str, str], ...]
) -> None:
    surface = Looker(names, refusal).look(shop({}))

    assert (surface.own_keys, surface.unread_keys) == (0, told)


def test_scripts_beyond_the_bound_are_named(looker: Looker) -> None:
    assert looker.look(shop(good()), max_scripts=1).skipped == ("/assets/app.js",)


def test_scripts_and_paths_that_do_not_answer_are_named(looker: Looker) -> None:
    surface = looker.look(
        shop({**good(), "/assets/app.js": answer(500, "no"), "/.env": b"no HTTP\r\n\r\n"}),
    )

    assert (surface.skipped, surface.unanswered) == (("/assets/app.js",), ("/.env",))
    assert surface.paths_tried == len(PROBES) - 1


def test_redirects_are_followed_on_the_same_origin_alone(looker: Looker) -> None:
    here = looker.look(shop({**good(), "/": answer(302, "", ("Location", "/shop/")), "/shop/": page()}))
    there = looker.look(shop({**good(), "/": answer(302, "", ("Location", "https://elsewhere.test/"))}))

    assert (here.page_status, here.assets[0].path) == (200, "/shop/")
    assert (there.page_status, there.assets) == (302, ())


def test_scripts_of_others_are_not_fetched_and_told_where_nothing_guards_them(looker: Looker) -> None:
    body = (
        '<script src="https://cdn.test/a.js?v=1"></script><script src="//cdn.test/b.js" integrity="sha384-x"></script>'
        '<script src="https://www.shop.test:8443/c.js"></script>'
    )

    surface = looker.look(shop({"/": page(body=body)}))

    assert surface.foreign_scripts == ("https://cdn.test/a.js", "https://www.shop.test:8443/c.js")
    assert not any(".js " in line for line in looker.asked)


HOSTILE_MAPS = (
    b"",
    b"{",
    b"[" * 100_000,
    b'{"sources":1,"sourcesContent":[null,3]}',
    b'{"sourcesContent":{"a":1}}',
    b"\xff\xfe",
)


def test_broken_source_maps_cost_nothing_else(looker: Looker) -> None:
    pages = {"/": page(body="".join(f"<script src=/{number}.js></script>" for number in range(len(HOSTILE_MAPS))))}
    for number, content in enumerate(HOSTILE_MAPS):
        pages[f"/{number}.js"] = answer(200, "go()", JS)
        pages[f"/{number}.js.map"] = answer(200, content, JSON)

    surface = looker.look(shop(pages))

    assert [asset.path for asset in surface.assets if asset.kind == "script"] == [p for p in pages if p.endswith(".js")]


def test_a_bundle_of_several_megabytes_is_read_and_one_that_is_larger_is_marked(looker: Looker) -> None:
    filler = "a();" * 1024
    large = answer(200, f'{filler * 512}"{QUUB_KEY}"', JS)
    too_large = answer(200, filler * 2200, JS)

    surface = looker.look(shop({**good(), "/assets/vendor.js": large, "/assets/chunk.js": too_large}))

    assert "quub-api-key" in {secret.rule for secret in surface.secrets}
    assert [asset.path for asset in surface.assets if asset.is_truncated] == ["/assets/chunk.js"]


def test_a_server_that_asks_to_slow_down_is_an_error(looker: Looker) -> None:
    with pytest.raises(Throttled, match="429"):
        looker.look(saying(answer(429, "slow")))


def test_nobody_there_is_an_error(names: Names, tmp_path: Path) -> None:
    sealer = Sealer(b"salt", Redactor())
    http = HttpConnector(Ledger(), sealer, secret_values=lambda _: {}, allow_active=False)
    with closed_port() as place, pytest.raises(Unreachable):
        WebAssetsConnector(Ledger(), sealer, http=http, secret_values=lambda _: {}).surface(endpoint_at(place, place))
