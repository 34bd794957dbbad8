"""Connections are used again: clients made once, agents that keep alive, in four languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from quub_audit.checks.performance.api_client.connection_pooling import node_release
from quub_audit.model.status import Status
from tests.checks.performance.api_client.services import ERROR, FAIL, audit, committed, sample_service, told

AXIOS = 'import axios from "axios";\n'
HTTPS = 'import https from "node:https";\n'
REQUESTS = "import requests\n"
HTTPX = "import httpx\n"
GO = 'package quub\nimport (\n\t"net/http"\n\t"time"\n)\n'
NODE_20 = {"Dockerfile": "FROM node:20-alpine\n"}

GOOD = [
    ("a.ts", HTTPS + "export const agent = new https.Agent({ keepAlive: true, maxSockets: 50 });", ["pass"]),
    ("a.ts", HTTPS + "class A {\n  private agent = new https.Agent({ keepAlive: true });\n}", ["pass"]),
    ("a.js", HTTPS + "class A {\n  agent = new https.Agent({ keepAlive: true });\n}", ["pass"]),
    (
        "a.ts",
        HTTPS + AXIOS + "const agent = new https.Agent({ keepAlive: true });\naxios.get(url, { httpsAgent: agent });",
        ["pass", "pass"],
    ),
    ("a.ts", AXIOS + "axios.get(url);", ["pass"]),
    ("a.ts", "fetch(url);", ["pass"]),
    ("a.ts", 'import { Pool } from "undici";\nconst pool = new Pool(origin, { connections: 50 });', ["pass"]),
    ("a.ts", 'import { Agent } from "undici";\nlet a;\nconst get = () => { a ??= new Agent(); return a; };', ["pass"]),
    ("a.py", REQUESTS + "session = requests.Session()\nsession.get(url)", ["pass"]),
    ("a.py", HTTPX + "class A:\n    def __init__(self):\n        self.http = httpx.Client()", ["pass"]),
    ("a.py", HTTPX + "c = None\ndef connect():\n    global c\n    c = httpx.Client()", ["pass"]),
    ("a.py", HTTPX + "@lru_cache\ndef client():\n    return httpx.Client()", ["pass"]),
    ("a.py", HTTPX + "async def lifespan(app):\n    async with httpx.AsyncClient() as c:\n        yield", ["pass"]),
    ("a.go", GO + "var t = &http.Transport{MaxIdleConnsPerHost: 20}", ["pass"]),
    ("a.go", GO + "func f() { http.Get(url) }", ["pass"]),
    ("a.go", GO + "func New() *Api { return &Api{t: &http.Transport{}} }", ["pass"]),
    ("A.java", "class A { static final OkHttpClient C = new OkHttpClient(); }", ["pass"]),
    ("A.java", "class A { @Bean OkHttpClient c() { return new OkHttpClient(); } }", ["pass"]),
    ("A.java", "class A { HttpClient c; A() { this.c = HttpClient.newHttpClient(); } }", ["pass"]),
]


@pytest.mark.parametrize(("name", "code", "statuses"), GOOD)
def test_what_is_made_once_and_keeps_connections_passes(
    tmp_path: Path, name: str, code: str, statuses: list[str]
) -> None:
    result = audit("connection-pooling", committed(tmp_path, {f"src/{name}": code + "\n", **NODE_20}))

    assert [status for status, _ in told(result)] == statuses


BAD = [
    ("a.ts", HTTPS + "export const agent = new https.Agent({ keepAlive: false });", 2, "no keepAlive"),
    ("a.ts", HTTPS + "export const agent = new https.Agent({ maxSockets: 50 });", 2, "no keepAlive"),
    (
        "a.ts",
        HTTPS + "app.get('/a', async (req, res) => {\n  const agent = new https.Agent({ keepAlive: true });\n});",
        3,
        "is made anew",
    ),
    ("a.ts", HTTPS + "https.get(url, { agent: false }, done);", 2, "agent: false"),
    ("a.ts", AXIOS + "axios.get(url, { headers: { Connection: 'close' } });", 2, "Connection: close"),
    (
        "a.ts",
        'import { Pool } from "undici";\nexport function send() {\n  const p = new Pool(origin);\n  p.request({});\n}',
        3,
        "is made anew by each call of send",
    ),
    ("a.py", REQUESTS + "def f():\n    return requests.get(url)", 3, "a connection of its own"),
    ("a.py", HTTPX + "httpx.post(url)", 2, "a connection of its own"),
    ("a.py", REQUESTS + "def f():\n    s = requests.Session()\n    return s.get(url)", 3, "each call of f"),
    (
        "a.py",
        HTTPX + "async def f():\n    async with httpx.AsyncClient() as c:\n        await c.get(u)",
        3,
        "each call of f",
    ),
    ("a.py", HTTPX + "for url in urls:\n    client = httpx.Client()\n    client.get(url)", 3, "in a loop"),
    ("a.go", GO + "var t = &http.Transport{DisableKeepAlives: true}", 6, "DisableKeepAlives"),
    ("a.go", GO + "func send() {\n\tt := &http.Transport{}\n\tuse(t)\n}", 7, "each call of send"),
    ("A.java", "class A { void send() { OkHttpClient c = new OkHttpClient(); } }", 1, "each call of send"),
    ("A.java", "class A { void send() {\n  var c = HttpClient.newBuilder().build();\n} }", 2, "each call of send"),
]


@pytest.mark.parametrize(("name", "code", "line", "fault"), BAD)
def test_what_is_made_for_each_call_or_closes_fails_with_its_place(
    tmp_path: Path, name: str, code: str, line: int, fault: str
) -> None:
    result = audit("connection-pooling", committed(tmp_path, {f"src/{name}": code + "\n", **NODE_20}))

    (failed,) = result.of_status(FAIL)
    assert failed.location is not None
    assert (failed.location.file, failed.location.line) == (f"src/{name}", line)
    assert fault in failed.observed


def test_the_global_agent_counts_by_the_release_of_node(tmp_path: Path) -> None:
    code = {"src/a.ts": AXIOS + "axios.get(url);\n"}

    for name, more, status in (
        ("old", {"Dockerfile": "FROM node:18\n"}, Status.FAIL),
        ("new", {".nvmrc": "v22.1.0\n"}, Status.PASS),
        ("untold", {"README.md": "a service\n"}, Status.INCONCLUSIVE),
    ):
        (tmp_path / name).mkdir()
        assert audit("connection-pooling", committed(tmp_path / name, {**code, **more})).status is status


@pytest.mark.parametrize(
    ("texts", "release"),
    [
        (
            [
                ("Dockerfile", "FROM docker.io/library/node:22-slim AS b\n"),
                ("package.json", '{"engines":{"node":">=18"}}'),
            ],
            22,
        ),
        ([("package.json", '{"engines": {"node": ">=20.19"}}')], 20),
        ([("package.json", '{"name": "a"}'), ("Dockerfile", "FROM alpine:3\n")], None),
        ([], None),
    ],
)
def test_the_release_of_node_is_read_from_what_runs(texts: list[tuple[str, str]], release: int | None) -> None:
    assert node_release(texts) == release


def test_a_client_that_a_function_returns_is_undecided(tmp_path: Path) -> None:
    app = committed(tmp_path, {"a.py": HTTPX + "def make():\n    return httpx.Client()\n"})

    result = audit("connection-pooling", app)

    assert told(result) == [("undecided", "a.py:3")]
    assert result.status is Status.INCONCLUSIVE


def test_a_pool_of_an_odd_size_is_warned_of(tmp_path: Path) -> None:
    app = committed(tmp_path, {"a.ts": HTTPS + "const a = new https.Agent({ keepAlive: true, maxSockets: 1 });\n"})

    result = audit("connection-pooling", app)

    assert (result.status, sorted(status for status, _ in told(result))) == (Status.PASS, ["pass", "warning"])


# Four proofs


@pytest.mark.proof("pass")
def test_the_sample_service_sends_everything_over_one_agent(tmp_path: Path) -> None:
    result = audit("connection-pooling", sample_service(tmp_path))

    assert result.status is Status.PASS
    assert [
        finding.observed.partition(": ")[2].partition(": ")[2][:9] or finding.subject for finding in result.findings
    ]
    assert any("goes over the agent of src/quub/client.ts" in finding.observed for finding in result.findings)


@pytest.mark.proof("fail")
def test_a_handler_with_an_agent_of_its_own_fails_with_file_line_and_call(tmp_path: Path) -> None:
    app = sample_service(tmp_path)
    (app / "src" / "rates.ts").write_text(
        HTTPS + "export function rates(url: string) {\n  const agent = new https.Agent({ keepAlive: true });\n"
        "  return https.get(url, { agent });\n}\n"
    )

    result = audit("connection-pooling", app)

    assert result.status is Status.FAIL
    assert [finding.subject for finding in result.of_status(FAIL)] == [
        "quub-app:src/rates.ts:3:17",
        "quub-app:src/rates.ts:4:10",
    ]
    assert "is made anew by each call of rates; make one for the process" in result.of_status(FAIL)[0].message


@pytest.mark.proof("inconclusive")
def test_a_service_that_sends_nothing_and_no_repository_are_inconclusive(tmp_path: Path) -> None:
    app = committed(tmp_path, {"src/index.ts": "export const answer = 42;\n"})

    for result in (audit("connection-pooling", app), audit("connection-pooling")):
        assert (result.status, result.findings) == (Status.INCONCLUSIVE, ())


@pytest.mark.proof("error")
def test_a_repository_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert audit("connection-pooling", tmp_path / "nowhere").status is Status.ERROR


def test_a_file_that_could_not_be_read_is_an_error(tmp_path: Path) -> None:
    app = committed(tmp_path, {"huge.js": b"var a=1;" * 1_300_000, "a.py": REQUESTS + "s = requests.Session()\n"})

    result = audit("connection-pooling", app)

    assert result.status is Status.ERROR
    assert [finding.subject for finding in result.of_status(ERROR)] == ["app:huge.js"]
