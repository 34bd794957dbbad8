"""Every request has a limit of time: the call, its client and the library's defaults, in four languages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.api_client._calls import Site
from quub_audit.checks.performance.api_client._limits import Limit
from quub_audit.checks.performance.api_client._source import (
    Names,
    arguments,
    chained,
    java_seconds,
    keywords,
    number,
    pairs,
    split,
    uncommented,
)
from quub_audit.checks.performance.api_client.timeouts import TimeoutParameters, judge_limit
from quub_audit.model.finding import Location
from quub_audit.model.status import FindingStatus, Status
from tests.checks.performance.api_client.services import ERROR, FAIL, PASS, audit, committed, sample_service, told

AXIOS = 'import axios from "axios";\n'
REQUESTS = "import requests\n"
HTTPX = "import httpx\n"
AIOHTTP = "import aiohttp\n"
GO = 'package quub\nimport (\n\t"net/http"\n\t"time"\n)\n'


BOUNDED = [
    ("a.ts", AXIOS + "await axios.get(url, { timeout: 5000 });", "5 s"),
    ("a.ts", AXIOS + "await axios.get(url, { timeout: 5 * 1000 });", "5 s"),
    ("a.ts", AXIOS + "await axios({ url, timeout: 2_500 });", "2.5 s"),
    ("a.ts", AXIOS + "const TIMEOUT_MS = 4_000;\nawait axios.post(url, body, { timeout: TIMEOUT_MS });", "4 s"),
    ("a.ts", AXIOS + "const options = { timeout: 1000 };\nawait axios.get(url, options);", "1 s"),
    ("a.ts", AXIOS + "const api = axios.create({ timeout: 3000 });\nawait api.get('/a');", "3 s"),
    ("a.ts", AXIOS + "const api = axios.create({ baseURL });\nawait api.get('/a', { timeout: 3000 });", "3 s"),
    ("a.ts", AXIOS + "axios.defaults.timeout = 6000;\nawait axios.get('/a');", "6 s"),
    ("a.js", "const axios = require('axios');\nmodule.exports = () => axios.get(u, { timeout: 1e3 });", "1 s"),
    ("a.js", "const { default: http } = require('axios');\nhttp.get(u, { timeout: 1000 });", "1 s"),
    (
        "a.ts",
        AXIOS + "class A {\n  private readonly http = axios.create({ timeout: 3000 });\n"
        "  read() { return this.http.get<Order>('/a'); }\n}",
        "3 s",
    ),
    (
        "a.js",
        AXIOS + "class A {\n  #http = axios.create({ timeout: 3000 });\n  read() { return this.#http.get('/a'); }\n}",
        "3 s",
    ),
    ("a.ts", AXIOS + "await axios.get(url, { timeout: Number(process.env.T ?? 7000) });", "7 s"),
    ("a.ts", "await fetch(url, { signal: AbortSignal.timeout(5000) });", "5 s"),
    ("a.ts", "await fetch(url, { signal: AbortSignal.any([given, AbortSignal.timeout(5000)]) });", "5 s"),
    ("a.ts", "const signal = AbortSignal.timeout(8000);\nawait fetch(url, { method: 'POST', signal });", "8 s"),
    (
        "a.ts",
        (
            "const stop = new AbortController();\nconst timer = setTimeout(() => stop.abort(), 9000);\n"
            "await fetch(url, { signal: stop.signal });"
        ),
        "9 s",
    ),
    ("a.ts", "async function send(o) {\n  return fetch(u, { ...o, signal: AbortSignal.timeout(5000) });\n}", "5 s"),
    (
        "a.ts",
        (
            'import { Agent, request } from "undici";\n'
            "const agent = new Agent({ headersTimeout: 5000, bodyTimeout: 9000, connect: { timeout: 2000 } });\n"
            "await request(url, { dispatcher: agent });"
        ),
        "9 s",
    ),
    (
        "a.ts",
        (
            'import { Agent, setGlobalDispatcher } from "undici";\n'
            "setGlobalDispatcher(new Agent({ headersTimeout: 5000, bodyTimeout: 9000, connect: { timeout: 2000 } }));\n"
            "await fetch(url);"
        ),
        "9 s",
    ),
    ("a.ts", 'import got from "got";\nawait got(url, { timeout: { request: 10000 } });', "10 s"),
    ("a.ts", 'import got from "got";\nconst api = got.extend({ timeout: { request: 9000 } });\nawait api("a");', "9 s"),
    ("a.ts", 'import ky from "ky";\nawait ky.get(url);', "10 s"),
    ("a.ts", 'import https from "node:https";\nhttps.get(url, { timeout: 5000 }, done);', "5 s"),
    ("a.ts", 'import https from "node:https";\nconst r = https.get(url, done);\nr.setTimeout(5000);', "5 s"),
    ("a.py", REQUESTS + "requests.get(url, timeout=5)", "5 s"),
    ("a.py", REQUESTS + "requests.get(url, timeout=(3.05, 27))", "27 s"),
    ("a.py", REQUESTS + "TIMEOUT = (3.05, 27)\nrequests.get(url, timeout=TIMEOUT)", "27 s"),
    ("a.py", REQUESTS + "TIMEOUT_S = float(os.getenv('T', '12'))\nrequests.get(url, timeout=TIMEOUT_S)", "12 s"),
    ("a.py", "import requests as r\nr.post(url, json=body, timeout=5)", "5 s"),
    ("a.py", "from requests import Session\nsession = Session()\nsession.get(url, timeout=4)", "4 s"),
    ("a.py", HTTPX + "httpx.get(url)", "5 s"),
    ("a.py", HTTPX + "client = httpx.Client()\nclient.get(url)", "5 s"),
    ("a.py", HTTPX + "client = httpx.AsyncClient(timeout=httpx.Timeout(10.0, connect=2.0))\nclient.get(url)", "10 s"),
    (
        "a.py",
        HTTPX + "async def f():\n    async with httpx.AsyncClient(timeout=8) as c:\n        await c.get(u)",
        "8 s",
    ),
    (
        "a.py",
        HTTPX + "class A:\n    def __init__(self):\n        self._http = httpx.Client(timeout=6)\n\n"
        "    def read(self):\n        return self._http.get('/a')",
        "6 s",
    ),
    (
        "a.py",
        AIOHTTP + "session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))\n"
        "async def f():\n    async with session.get(url) as answer:\n        return answer",
        "20 s",
    ),
    (
        "a.py",
        "import urllib3\nhttp = urllib3.PoolManager(timeout=urllib3.Timeout(total=9))\nhttp.request('GET', u)",
        "9 s",
    ),
    ("a.py", "from urllib.request import urlopen\nurlopen(url, timeout=3)", "3 s"),
    (
        "a.py",
        "from urllib.request import urlopen\nclass A:\n    def __init__(self, timeout: int = 12):\n"  # noqa: ISC004
        "        self.timeout = timeout\n\n    def read(self):\n        urlopen(url, timeout=self.timeout)",
        "12 s",
    ),
    ("a.py", REQUESTS + "def read(timeout: int = 11):\n    return requests.get(url, timeout=timeout)", "11 s"),
    ("a.go", GO + "var c = &http.Client{Timeout: 10 * time.Second}\nfunc f(r *http.Request) { c.Do(r) }", "10 s"),
    (
        "a.go",
        GO + "const limit = 500 * time.Millisecond\nvar c = http.Client{Timeout: limit}\nfunc f() { c.Get(u) }",
        "0.5 s",
    ),
    (
        "a.go",
        GO + "type Api struct { http *http.Client }\n"
        "func New() *Api { return &Api{http: &http.Client{Timeout: time.Minute / 2}} }\n"
        "func (a *Api) Read(ctx context.Context) {\n\tctx, stop := context.WithTimeout(ctx, 4*time.Second)\n"
        "\tdefer stop()\n\ta.http.Do(r)\n}",
        "4 s",
    ),
    (
        "A.java",
        (
            "class A { OkHttpClient c = new OkHttpClient.Builder().connectTimeout(2, TimeUnit.SECONDS)"
            ".callTimeout(Duration.ofSeconds(9)).build(); }"
        ),
        "9 s",
    ),
    (
        "A.java",
        "class A { Object a = HttpRequest.newBuilder(uri).timeout(Duration.ofMillis(1500)).GET().build(); }",
        "1.5 s",
    ),
    (
        "A.java",
        (
            "class A { RestTemplate t(RestTemplateBuilder builder) { return builder.setConnectTimeout(Duration.ofSeconds(2))"  # noqa: E501
            ".setReadTimeout(Duration.ofSeconds(7)).build(); } Object x = new RestTemplateBuilder()"
            ".connectTimeout(Duration.ofSeconds(2)).readTimeout(Duration.ofSeconds(7)).build(); }"
        ),
        "7 s",
    ),
    (
        "A.java",
        (
            "class A { RestTemplate t() { var f = new SimpleClientHttpRequestFactory(); f.setConnectTimeout(2000);"
            " f.setReadTimeout(6000); return new RestTemplate(f); } }"
        ),
        "6 s",
    ),
]


@pytest.mark.parametrize(("name", "code", "limit"), BOUNDED)
def test_a_limit_within_what_is_wanted_passes_and_is_told(tmp_path: Path, name: str, code: str, limit: str) -> None:
    result = audit("timeouts", committed(tmp_path, {f"src/{name}": code + "\n"}))

    (finding,) = result.findings
    assert finding.status is PASS, finding
    assert f"ends within {limit} " in finding.observed


UNBOUNDED = [
    ("a.ts", AXIOS + "await axios.get(url);", 2),
    ("a.ts", AXIOS + "\nawait axios.get(url, { headers });", 3),
    ("a.ts", AXIOS + "await axios.get(url, { timeout: 0 });", 2),
    ("a.ts", AXIOS + "await axios.get(url, { timeout: 120_000 });", 2),
    ("a.ts", AXIOS + "await axios.get(url, { timeout: 30 * MINUTE });\nconst MINUTE = 60_000;", 2),
    ("a.ts", AXIOS + "const api = axios.create({ timeout: 3000 });\nawait api.get('/a', { timeout: 0 });", 3),
    ("a.ts", AXIOS + "const api = axios.create({ baseURL });\nawait api.get('/a');", 3),
    ("a.ts", "await fetch(url);", 1),
    ("a.ts", "await fetch(url, { method: 'POST', body });", 1),
    ("a.tsx", "export const a = <T,>(x: T) => globalThis.fetch(url);", 1),
    ("a.ts", 'import { request } from "undici";\nawait request(url);', 2),
    ("a.ts", 'import got from "got";\nawait got(url);', 2),
    ("a.ts", 'import got from "got";\nawait got.post(url, { json });', 2),
    ("a.js", "const https = require('https');\nhttps.request({ host, path }, done);", 2),
    ("a.py", REQUESTS + "requests.get(url)", 2),
    ("a.py", REQUESTS + "requests.get(url, timeout=None)", 2),
    ("a.py", REQUESTS + "requests.get(url, timeout=90)", 2),
    ("a.py", REQUESTS + "requests.get(url, timeout=(60, 10))", 2),
    ("a.py", REQUESTS + "session = requests.Session()\nsession.post(url, json=body)", 3),
    ("a.py", HTTPX + "httpx.get(url, timeout=None)", 2),
    ("a.py", HTTPX + "client = httpx.Client(timeout=None)\nclient.get(url)", 3),
    ("a.py", HTTPX + "client = httpx.Client(timeout=httpx.Timeout(None))\nclient.get(url)", 3),
    ("a.py", HTTPX + "client = httpx.Client()\nclient.timeout = httpx.Timeout(60)\nclient.get(url)", 4),
    ("a.py", AIOHTTP + "session = aiohttp.ClientSession()\nasync def f():\n    await session.get(url)", 4),
    ("a.py", "import urllib3\nhttp = urllib3.PoolManager()\nhttp.request('GET', u)", 3),
    ("a.py", "from urllib.request import urlopen\nurlopen(url)", 2),
    ("a.go", GO + "func f() { http.Get(url) }", 6),
    ("a.go", GO + "func f(r *http.Request) { http.DefaultClient.Do(r) }", 6),
    ("a.go", GO + "var c = &http.Client{}\nfunc f(r *http.Request) { c.Do(r) }", 7),
    ("a.go", GO + "var c = &http.Client{Timeout: 5 * time.Minute}\nfunc f(r *http.Request) { c.Do(r) }", 7),
    ("A.java", "class A {\n  OkHttpClient c = new OkHttpClient();\n}", 2),
    ("A.java", "class A {\n  Object c = new OkHttpClient.Builder().callTimeout(2, TimeUnit.MINUTES).build();\n}", 2),
    ("A.java", "class A {\n  Object a = HttpRequest.newBuilder(uri).GET().build();\n}", 2),
    ("A.java", "class A {\n  RestTemplate t = new RestTemplate();\n}", 2),
    ("A.java", "class A {\n  WebClient c = WebClient.create(url);\n}", 2),
    ("A.java", "class A {\n  RestClient c = RestClient.builder().baseUrl(url).build();\n}", 2),
]


@pytest.mark.parametrize(("name", "code", "line"), UNBOUNDED)
def test_no_limit_and_one_that_is_too_long_fail_with_their_place(
    tmp_path: Path, name: str, code: str, line: int
) -> None:
    result = audit("timeouts", committed(tmp_path, {f"src/{name}": code + "\n"}))

    assert told(result) == [("fail", f"src/{name}:{line}")]


UNTOLD = [
    ("a.ts", AXIOS + "export const get = (url, options) => axios.get(url, options);"),
    ("a.ts", AXIOS + "await axios.get(url, { timeout: config.limits.slow });"),
    ("a.ts", "export const send = (init) => fetch(url, { ...init });"),
    ("a.ts", "export const send = (signal) => fetch(url, { signal });"),
    ("a.ts", 'import type { AxiosInstance } from "axios";\nconst read = (http: AxiosInstance) => http.get("/a");'),
    ("a.py", REQUESTS + "def f(**more):\n    return requests.get(url, **more)"),
    ("a.py", REQUESTS + "def f(timeout):\n    return requests.get(url, timeout=timeout)"),
    ("a.py", HTTPX + "def f(client: httpx.Client):\n    return client.get(url)"),
    ("a.go", GO + "func f(c *http.Client, r *http.Request) { c.Do(r) }"),
    ("A.java", "class A { RestTemplate t(ClientHttpRequestFactory f) { return new RestTemplate(f); } }"),
]


@pytest.mark.parametrize(("name", "code"), UNTOLD)
def test_a_limit_that_comes_from_elsewhere_is_undecided(tmp_path: Path, name: str, code: str) -> None:
    result = audit("timeouts", committed(tmp_path, {f"src/{name}": code + "\n"}))

    assert [kind for kind, _ in told(result)] == ["undecided"]
    assert result.status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("told_calls", "kind", "status"),
    [(3, "undecided", Status.INCONCLUSIVE), (4, "warning", Status.PASS)],
)
def test_one_call_of_many_that_is_not_told_is_warned_of_and_one_of_few_holds_back(
    tmp_path: Path, told_calls: int, kind: str, status: Status
) -> None:
    lines = [*["requests.get(url, timeout=5)"] * told_calls, "def f(**more):", "    requests.get(url, **more)"]

    result = audit("timeouts", committed(tmp_path, {"a.py": REQUESTS + "\n".join(lines) + "\n"}))

    assert sorted(told(result))[-1][0] == kind
    assert result.status is status


def test_a_repository_of_which_nothing_is_told_holds_back_the_pass_of_another(tmp_path: Path) -> None:
    sound = committed(tmp_path, {"a.py": REQUESTS + "requests.get(url, timeout=5)\n"}).rename(tmp_path / "sound")
    code = REQUESTS + "def f(**more):\n    return requests.get(url, **more)\n"
    untold = committed(tmp_path, {"a.py": code})

    held, raised = (audit("timeouts", sound, untold, max_untold=share) for share in (0.2, 1))

    assert (held.status, len(held.of_status(PASS))) == (Status.INCONCLUSIVE, 1)
    assert "max_untold" in held.next_step
    assert raised.status is Status.PASS


SILENT = [
    ("a.ts", "const orders = new Map();\norders.get(id);\nrouter.get('/a', handler);"),
    ("a.ts", "// axios.get(url)\nconst text = 'fetch(url)';"),
    ("a.ts", 'import { get } from "lodash";\nget(a, "b");'),
    ("a.py", "config = {}\nconfig.get('requests')\nsession.get(Order, 1)"),
    ("a.py", "from sqlalchemy.orm import Session\ndef f(session: Session):\n    session.get(Order, 1)"),
    ("a.go", 'package a\nimport "example.org/http"\nfunc f() { http.Get(url) }'),
    ("test/a.ts", AXIOS + "await axios.get(url);"),
    ("a_test.go", GO + "func f() { http.Get(url) }"),
    ("OrderTest.java", "class OrderTest { RestTemplate t = new RestTemplate(); }"),
]


@pytest.mark.parametrize(("name", "code"), SILENT)
def test_what_sends_no_request_in_production_is_not_told(tmp_path: Path, name: str, code: str) -> None:
    assert audit("timeouts", committed(tmp_path, {f"src/{name}": code + "\n"})).findings == ()


SHARED: list[tuple[str, Mapping[str, str]]] = [
    (
        "src/orders.ts:2",
        {
            "src/http.ts": AXIOS + "export const api = axios.create({ timeout: 3000 });\n",
            "src/orders.ts": 'import { api } from "./http.js";\nexport const read = () => api.get("/orders");\n',
        },
    ),
    (
        "src/orders.ts:2",
        {
            "src/http.ts": AXIOS + "const api = axios.create({ timeout: 3000 });\nexport default api;\n",
            "src/orders.ts": 'import api from "./http";\nexport const read = () => api.get("/orders");\n',
        },
    ),
    (
        "src/orders.ts:3",
        {
            "src/http.ts": AXIOS + "export function makeApi() {\n  return axios.create({ timeout: 3000 });\n}\n",
            "src/orders.ts": 'import { makeApi } from "./http";\nconst api = makeApi();\napi.get("/orders");\n',
        },
    ),
    (
        "src/orders.ts:2",
        {
            "src/http.ts": AXIOS + "export const api = axios.create({ timeout: 3000 });\n",
            "src/orders.ts": 'import type { AxiosInstance } from "axios";\n'
            "export const read = (http: AxiosInstance) => http.get('/orders');\n",
        },
    ),
    (
        "app/orders.py:2",
        {
            "app/clients.py": HTTPX + "quub = httpx.Client(timeout=4)\n",
            "app/orders.py": "from app.clients import quub\nquub.get('/orders')\n",
        },
    ),
    (
        "app/orders.py:2",
        {
            "app/clients.py": HTTPX + "quub = httpx.Client(timeout=4)\n",
            "app/orders.py": "from app import clients\nclients.quub.get('/orders')\n",
        },
    ),
    (
        "quub/orders.go:3",
        {
            "quub/client.go": GO + "var client = &http.Client{Timeout: 3 * time.Second}\n",
            "quub/orders.go": 'package quub\nimport "net/http"\nfunc Read(r *http.Request) { client.Do(r) }\n',
        },
    ),
]


@pytest.mark.parametrize(("place", "files"), SHARED)
def test_the_limit_of_a_client_that_another_module_makes_counts_for_its_calls(
    tmp_path: Path, place: str, files: Mapping[str, str]
) -> None:
    result = audit("timeouts", committed(tmp_path, files))

    assert told(result) == [("pass", place)]


# The readers of source text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5_000", 5000.0),
        ("5 * 1000", 5000.0),
        ("(2 * 3)", 6.0),
        ("LIMIT_MS", 7.0),
        ("a.LIMIT_MS", 7.0),
        ("nothing", None),
    ],
)
def test_a_number_is_read_through_products_and_names(text: str, value: float | None) -> None:
    assert number(text, Names({("a.ts", "LIMIT_MS"): "7"}), "a.ts") == value


def test_a_name_with_two_values_in_other_files_stands_for_neither() -> None:
    names = Names({("a.ts", "LIMIT"): "7", ("b.ts", "LIMIT"): "8"})

    assert (number("LIMIT", names, "a.ts"), number("LIMIT", names, "c.ts")) == (7.0, None)


def test_a_parameter_is_not_taken_for_a_value_of_another_file() -> None:
    names = Names({("a.py", "timeout"): "7", ("a.py", "TIMEOUT_S"): "8"})

    assert number("timeout", names, "b.py") is None
    assert number("self.timeout", names, "b.py") is None
    assert number("limits.timeout", names, "b.py") == 7
    assert number("TIMEOUT_S", names, "b.py") == 8


def test_a_name_that_stands_for_itself_comes_to_nothing() -> None:
    assert number("a", Names({("a.ts", "a"): "b", ("a.ts", "b"): "a"}), "a.ts") is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("Duration.ofSeconds(5)", 5.0), ("5, TimeUnit.SECONDS", 5.0), ("5000", 5.0), ("x", None)]
)
def test_java_says_durations_in_three_ways(text: str, seconds: float | None) -> None:
    assert java_seconds(text, Names(), "A.java") == seconds


def test_commas_in_strings_brackets_and_comments_part_nothing() -> None:
    assert split("a(b, c), 'd, e', [f, g] /* h, i */, j") == ("a(b, c)", "'d, e'", "[f, g] /* h, i */", "j")


def test_comments_of_python_go_and_what_only_looks_like_one_stays() -> None:
    assert uncommented("f(a,  # don't, ever\n  b='#c', # d\n)") == "f(a,  \n  b='#c', \n)"


def test_options_are_read_with_short_forms_and_spreads() -> None:
    assert pairs("{ a: 1, 'b': { c: 2 }, signal, ...more }") == {
        "a": "1",
        "b": "{ c: 2 }",
        "signal": "signal",
        "...": "more",
    }
    assert pairs("{ ...(x ? {} : { data: body }) }") == {"data": "body"}
    assert keywords(("url", "timeout=5", "**more")) == {"timeout": "5", "...": "more"}
    assert chained("a.b(1).c(d.e(2)).build()") == {"b": "1", "c": "d.e(2)", "build": ""}


def test_arguments_that_are_cut_are_not_taken_for_all() -> None:
    assert arguments("axios.get(url, { timeout", "axios.get") is None


@given(st.text(max_size=200))
def test_no_text_stops_the_readers(text: str) -> None:
    assert all(split(text))
    assert all(pairs("{" + text + "}").values())
    assert uncommented(uncommented(text)) == uncommented(text)
    chained(text)
    number(text, Names(), "a.ts")


@given(total=st.floats(min_value=0.001, max_value=1000), connect=st.floats(min_value=0.001, max_value=1000))
def test_a_shorter_limit_is_never_judged_worse(total: float, connect: float) -> None:
    site = Site(
        location=Location(file="a.ts", line=1, column=1),
        language="typescript",
        text="axios.get(u)",
        function="axios.get",
        written="axios.get",
    )
    wanted = TimeoutParameters()

    now = judge_limit("app", site, Limit(total_s=total, connect_s=connect), wanted)
    shorter = judge_limit("app", site, Limit(total_s=total / 2, connect_s=connect / 2), wanted)

    assert (now.status is FindingStatus.PASS) == (total <= wanted.total_s and connect <= wanted.connect_s)
    assert shorter.status is FindingStatus.PASS or now.status is FAIL


def test_the_limits_are_parameters(tmp_path: Path) -> None:
    app = committed(tmp_path, {"a.py": REQUESTS + "requests.get(url, timeout=40)\n"})

    assert audit("timeouts", app).status is Status.FAIL
    assert audit("timeouts", app, total_s=60).status is Status.PASS


# Four proofs


@pytest.mark.proof("pass")
def test_the_sample_service_limits_every_request_to_quub(tmp_path: Path) -> None:
    result = audit("timeouts", sample_service(tmp_path))

    assert result.status is Status.PASS
    (finding,) = result.findings
    assert finding.location is not None
    assert (finding.location.file, finding.observed.endswith("ends within 5 s by timeout of axios.create")) == (
        "src/quub/client.ts",
        False,
    )
    assert "ends within 5 s by AbortSignal.timeout" in finding.observed


@pytest.mark.proof("fail")
def test_a_service_with_one_call_without_a_limit_fails_with_file_line_and_call(tmp_path: Path) -> None:
    app = sample_service(tmp_path)
    (app / "src" / "rates.ts").write_text(AXIOS + "export const rates = () => axios.get(`${base}/rates`);\n")

    result = audit("timeouts", app)

    assert result.status is Status.FAIL
    (finding,) = result.of_status(FAIL)
    assert finding.subject == "quub-app:src/rates.ts:2:28"
    assert finding.observed == "axios.get(`${base}/rates`): no limit by its options or its client"
    assert "may wait for an answer for ever" in finding.message


@pytest.mark.proof("inconclusive")
def test_a_service_that_sends_nothing_and_no_repository_are_inconclusive(tmp_path: Path) -> None:
    app = committed(tmp_path, {"src/index.ts": "export const answer = 42;\n"})

    for result in (audit("timeouts", app), audit("timeouts")):
        assert (result.status, result.findings) == (Status.INCONCLUSIVE, ())


@pytest.mark.proof("error")
def test_a_repository_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert audit("timeouts", tmp_path / "nowhere").status is Status.ERROR


def test_a_file_of_ten_megabytes_and_one_that_is_no_code_are_told_beside_what_was_read(tmp_path: Path) -> None:
    app = committed(
        tmp_path,
        {
            "src/huge.js": b"var a=1;" * 1_300_000,
            "src/broken.ts": "%%% ((( <<< ]]] {{{ ??? \x00\x01\n" * 50,
            "src/a.py": REQUESTS + "requests.get(url, timeout=5)\nrequests.get(url\n",
            "src/b.py": REQUESTS + "requests.get(url, timeout=5)\n",
        },
    )

    result = audit("timeouts", app)

    assert result.status is Status.ERROR
    assert any("huge.js" in finding.subject for finding in result.of_status(ERROR))
    assert ("pass", "src/b.py:2") in told(result)
