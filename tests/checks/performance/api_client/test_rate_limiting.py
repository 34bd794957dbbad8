"""Requests stay below a rate that all replicas keep: limiters in four languages, outgoing and incoming."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.api_client._calls import Site
from quub_audit.checks.performance.api_client.rate_limiting import Limiter, RateParameters, judge_limiter
from quub_audit.model.finding import Location
from quub_audit.model.status import FindingStatus, Status
from tests.checks.performance.api_client.services import FAIL, PASS, audit, committed, told

BOTTLENECK = 'import Bottleneck from "bottleneck";\n'
EXPRESS = 'import rateLimit from "express-rate-limit";\n'
GO = 'package quub\nimport "golang.org/x/time/rate"\n'

RATES = [
    ("a.ts", BOTTLENECK + "const queue = new Bottleneck({ minTime: 100 });\nqueue.schedule(run);", "10"),
    (
        "a.ts",
        BOTTLENECK + "const queue = new Bottleneck({ reservoir: 20, reservoirRefreshAmount: 20,"
        " reservoirRefreshInterval: 2000 });\nqueue.wrap(run);",
        "10",
    ),
    (
        "a.ts",
        'import { RateLimiter } from "limiter";\n'  # noqa: ISC004
        'const bucket = new RateLimiter({ tokensPerInterval: 600, interval: "minute" });\n'
        "await bucket.removeTokens(1);",
        "10",
    ),
    (
        "a.ts",
        'import PQueue from "p-queue";\nconst q = new PQueue({ interval: 1000, intervalCap: 10 });\nq.add(run);',
        "10",
    ),
    ("a.ts", 'import limit from "axios-rate-limit";\nexport const http = limit(axios, { maxRPS: 10 });', "10"),
    (
        "a.py",
        "from aiolimiter import AsyncLimiter\nbucket = AsyncLimiter(10, 1)\nasync def f():\n    async with bucket:\n        pass",  # noqa: E501
        "10",
    ),
    ("a.py", "from ratelimit import limits\n@limits(calls=600, period=60)\ndef f(): ...", "10"),
    ("a.go", GO + "var bucket = rate.NewLimiter(10, 5)\nfunc f() { bucket.Wait(ctx) }", "10"),
    ("a.go", GO + "var b = rate.NewLimiter(rate.Every(100*time.Millisecond), 1)\nfunc f() { b.Allow() }", "10"),
    ("A.java", "class A { RateLimiter limiter = RateLimiter.create(10.0); }", "10"),
    (
        "A.java",
        "class A { Object c = RateLimiterConfig.custom().limitForPeriod(10)"  # noqa: ISC004
        ".limitRefreshPeriod(Duration.ofSeconds(1)).build(); }",
        "10",
    ),
]


@pytest.mark.parametrize(("name", "code", "rate"), RATES)
def test_the_rate_of_each_replica_is_compared_with_the_quota(tmp_path: Path, name: str, code: str, rate: str) -> None:
    app = committed(tmp_path, {f"src/{name}": code + "\n"})

    within = audit("rate-limiting", app, replicas=3, quota_per_s=30)
    above = audit("rate-limiting", app, replicas=3, quota_per_s=29)
    untold = audit("rate-limiting", app, replicas=3)

    assert [finding.status for finding in within.findings] == [PASS], within.findings
    assert f"{rate} requests a second by each of 3 replicas" in within.findings[0].observed
    assert above.status is Status.FAIL
    assert (untold.status, [status for status, _ in told(untold)]) == (Status.INCONCLUSIVE, ["undecided"])


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        (
            "a.ts",
            BOTTLENECK + "const q = new Bottleneck({ minTime: 100, datastore: 'ioredis' });\nq.schedule(run);",
            "pass",
        ),
        ("a.ts", BOTTLENECK + "const q = new Bottleneck({ minTime: 100 });", "fail"),
        ("a.ts", BOTTLENECK + "const q = new Bottleneck({ maxConcurrent: 5 });\nq.schedule(run);", "undecided"),
        ("a.ts", 'import pLimit from "p-limit";\nconst limit = pLimit(5);\nlimit(run);', "undecided"),
        ("a.go", GO + "var bucket = rate.NewLimiter(10, 5)", "fail"),
        ("a.ts", EXPRESS + "app.use(rateLimit({ windowMs: 60_000, limit: 100 }));", "fail"),
        ("a.ts", EXPRESS + "app.use(rateLimit({ limit: 100, store: new RedisStore({ sendCommand }) }));", "pass"),
        ("a.ts", EXPRESS + "app.use(rateLimit({ limit: 100, store: new MemoryStore() }));", "fail"),
        (
            "a.ts",
            'import { RateLimiterRedis } from "rate-limiter-flexible";\n'  # noqa: ISC004
            "const bucket = new RateLimiterRedis({ storeClient, points: 10, duration: 1 });\nbucket.consume(ip);",
            "pass",
        ),
        (
            "a.ts",
            'import { RateLimiterMemory } from "rate-limiter-flexible";\n'  # noqa: ISC004
            "const bucket = new RateLimiterMemory({ points: 10, duration: 1 });\nbucket.consume(ip);",
            "fail",
        ),
        (
            "a.py",
            "from slowapi import Limiter\nlimiter = Limiter(key_func=f)\n@limiter.limit('5/s')\ndef g(): ...",
            "fail",
        ),
        (
            "a.py",
            "from slowapi import Limiter\nlimiter = Limiter(key_func=f, storage_uri=REDIS)\n"  # noqa: ISC004
            "@limiter.limit('5/s')\ndef g(): ...",
            "pass",
        ),
        ("a.ts", 'await fetch("https://api.quub.example");', "fail"),
        ("a.ts", BOTTLENECK + 'await fetch("https://api.quub.example");', "fail"),
    ],
)
def test_shared_stores_pass_and_counters_of_each_process_do_not(
    tmp_path: Path, name: str, code: str, status: str
) -> None:
    result = audit("rate-limiting", committed(tmp_path, {name: code + "\n"}))

    assert [each for each, _ in told(result)] == [status], result.findings


def test_one_replica_needs_no_shared_store(tmp_path: Path) -> None:
    app = committed(tmp_path, {"a.ts": EXPRESS + "app.use(rateLimit({ limit: 100 }));\n"})

    assert audit("rate-limiting", app, replicas=1).status is Status.PASS


def test_a_limit_of_how_many_run_at_a_time_beside_a_rate_is_warned_of(tmp_path: Path) -> None:
    shared = "const q = new Bottleneck({ minTime: 100, datastore: 'ioredis' });\nq.schedule(run);\n"
    few = 'import pLimit from "p-limit";\nconst limit = pLimit(5);\nlimit(run);\n'

    result = audit("rate-limiting", committed(tmp_path, {"a.ts": BOTTLENECK + shared, "b.ts": few}))

    assert (result.status, sorted(kind for kind, _ in told(result))) == (Status.PASS, ["pass", "warning"])


@given(rate=st.floats(min_value=0.1, max_value=1000), replicas=st.integers(1, 50), quota=st.floats(0.1, 10_000))
def test_a_limiter_passes_exactly_when_all_replicas_stay_within_the_quota(
    rate: float, replicas: int, quota: float
) -> None:
    site = Site(
        location=Location(file="a.ts", line=1, column=1),
        language="typescript",
        text="new Bottleneck()",
        function="bottleneck",
        written="Bottleneck",
    )
    limiter = Limiter(site=site, library="bottleneck", direction="outgoing", rate_per_s=rate)

    status = judge_limiter("app", limiter, RateParameters(replicas=replicas, quota_per_s=quota), has_rate=True).status

    assert status is (FindingStatus.PASS if rate * replicas <= quota else FAIL)


# Four proofs


@pytest.mark.proof("pass")
def test_a_service_with_a_limiter_that_all_replicas_share_passes(tmp_path: Path) -> None:
    app = committed(
        tmp_path,
        {
            "src/quub.ts": BOTTLENECK + 'export const calls = new Bottleneck({ minTime: 50, datastore: "ioredis" });\n'
            "export const get = (url: string) => calls.schedule(() => fetch(url));\n"
        },
    )

    result = audit("rate-limiting", app, replicas=3, quota_per_s=25)

    assert result.status is Status.PASS
    (finding,) = result.findings
    assert finding.subject == "app:src/quub.ts:2:22"
    assert "20 requests a second by all replicas together, the quota is 25" in finding.observed


@pytest.mark.proof("fail")
def test_a_service_that_sends_at_any_rate_fails_with_file_line_and_call(tmp_path: Path) -> None:
    app = committed(tmp_path, {"src/quub.ts": "export const get = (url: string) => fetch(url);\n"})

    result = audit("rate-limiting", app)

    assert result.status is Status.FAIL
    (finding,) = result.of_status(FAIL)
    assert finding.subject == "app:src/quub.ts:1:37"
    assert finding.observed == "1 place sends requests, none is limited"


def test_a_limiter_with_a_fixed_key_counts_the_requests_that_the_service_sends(tmp_path: Path) -> None:
    code = (
        'import { RateLimiterRedis } from "rate-limiter-flexible";\n'
        "const bucket = new RateLimiterRedis({ storeClient, points: 10, duration: 1 });\n"
        'export const get = async (url: string) => { await bucket.consume("quub"); return fetch(url); };\n'
    )
    app = committed(tmp_path, {"a.ts": code})

    assert audit("rate-limiting", app, replicas=3, quota_per_s=10).status is Status.PASS
    assert audit("rate-limiting", app, replicas=3, quota_per_s=9).status is Status.FAIL


@pytest.mark.proof("inconclusive")
def test_a_service_that_sends_nothing_and_no_repository_are_inconclusive(tmp_path: Path) -> None:
    app = committed(tmp_path, {"src/index.ts": "export const answer = 42;\n"})

    for result in (audit("rate-limiting", app), audit("rate-limiting")):
        assert (result.status, result.findings) == (Status.INCONCLUSIVE, ())


@pytest.mark.proof("error")
def test_a_repository_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert audit("rate-limiting", tmp_path / "nowhere").status is Status.ERROR


def test_a_file_that_could_not_be_read_is_an_error(tmp_path: Path) -> None:
    app = committed(tmp_path, {"huge.js": b"var a=1;" * 1_300_000, "a.py": "x = 1\n"})

    assert audit("rate-limiting", app).status is Status.ERROR
