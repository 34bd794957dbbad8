"""Failed requests are sent again with an end, growing pauses and jitter: libraries, and loops written by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.api_client.retries import Policy, RetryParameters, judge_policy
from quub_audit.model.finding import Location
from quub_audit.model.status import FindingStatus, Status
from tests.checks.performance.api_client.services import FAIL, PASS, WARNING, audit, committed, sample_service, told

AXIOS_RETRY = 'import axios from "axios";\nimport axiosRetry from "axios-retry";\n'
P_RETRY = 'import pRetry from "p-retry";\n'
TENACITY = "from tenacity import retry, stop_after_attempt, wait_fixed, wait_exponential, wait_random_exponential\n"
URLLIB3 = "from urllib3.util import Retry\n"
REQUESTS = "import time, random, requests\n"
GO = 'package quub\nimport (\n\t"net/http"\n\t"time"\n)\n'

GOOD = [
    ("a.ts", AXIOS_RETRY + "axiosRetry(axios, { retries: 3, retryDelay: axiosRetry.exponentialDelay });", "4 attempts"),
    ("a.ts", P_RETRY + "await pRetry(run, { retries: 3, randomize: true });", "4 attempts"),
    (
        "a.ts",
        P_RETRY + "const LIMIT_RETRIES = 2;\npRetry(run, { retries: LIMIT_RETRIES, randomize: true });",
        "3 attempts",
    ),
    ("a.js", "const retry = require('async-retry');\nretry(run, { retries: 2 });", "3 attempts"),
    (
        "a.ts",
        'import { retry, handleAll, ExponentialBackoff } from "cockatiel";\n'  # noqa: ISC004
        "const policy = retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() });",
        "4 attempts",
    ),
    ("a.ts", 'import got from "got";\nconst api = got.extend({ retry: { limit: 3 } });', "4 attempts"),
    (
        "a.py",
        TENACITY + "@retry(stop=stop_after_attempt(3), wait=wait_random_exponential())\ndef f(): ...",
        "3 attempts",
    ),
    (
        "a.py",
        URLLIB3 + "r = Retry(total=3, backoff_factor=0.5, backoff_jitter=0.3, status_forcelist=[502, 503])",
        "4 att",
    ),
    ("a.py", "import backoff\n@backoff.on_exception(backoff.expo, IOError, max_tries=4)\ndef f(): ...", "4 attempts"),
    ("a.py", "import stamina\n@stamina.retry(on=IOError, attempts=3)\ndef f(): ...", "3 attempts"),
    ("a.go", "package a\nfunc f() { retry.Do(run, retry.Attempts(3)) }", "3 attempts"),
    (
        "A.java",
        "class A { Object c = RetryConfig.custom().maxAttempts(3)"  # noqa: ISC004
        ".intervalFunction(IntervalFunction.ofExponentialRandomBackoff()).build(); }",
        "3 attempts",
    ),
    (
        "A.java",
        "class A { @Retryable(maxAttempts = 4, backoff = @Backoff(delay = 100, multiplier = 2, random = true))"  # noqa: ISC004
        " void f() {} }",
        "4 attempts",
    ),
    (
        "a.ts",
        "for (let attempt = 0; attempt < 3; attempt++) {\n  const answer = await fetch(url);\n"  # noqa: ISC004
        "  if (answer.ok) { return answer; }\n  await sleep(Math.random() * 100 * 2 ** attempt);\n}",
        "3 attempts",
    ),
    (
        "a.py",
        REQUESTS + "for attempt in range(4):\n    try:\n        requests.get(url)\n        break\n"
        "    except IOError:\n        time.sleep(random.random() * 2 ** attempt)",
        "4 attempts",
    ),
    (
        "a.go",
        GO + "func f() {\n\tfor i := 0; i < 3; i++ {\n\t\t_, err := http.Get(u)\n\t\tif err == nil { return }\n"
        "\t\ttime.Sleep(backoff(i)) // retry\n\t}\n}\n"
        "func backoff(i int) time.Duration { return time.Duration(rand.Int63n(100 << i)) }",
        "3 attempts",
    ),
]


@pytest.mark.parametrize(("name", "code", "attempts"), GOOD)
def test_a_policy_with_an_end_growing_pauses_and_jitter_passes(
    tmp_path: Path, name: str, code: str, attempts: str
) -> None:
    result = audit("retries", committed(tmp_path, {f"src/{name}": code + "\n"}))

    (finding,) = (each for each in result.findings if each.status is not WARNING)
    assert finding.status is PASS, finding
    assert f": {attempts}" in finding.observed


HAND_MADE = "for (let attempt = 0; attempt < 3; attempt++) {\n  const answer = await fetch(url);\n  %s\n"
PAUSE = "  await sleep(Math.random() * 100 * 2 ** attempt);\n}"


@pytest.mark.parametrize(
    ("name", "code", "is_warned_of"),
    [
        ("a.ts", HAND_MADE % "if (answer.ok) { return answer; }" + PAUSE, True),
        ("a.ts", HAND_MADE % "await sleep(answer.headers.get('Retry-After') * 1000);" + PAUSE, False),
        ("a.ts", P_RETRY + "await pRetry(run, { retries: 3, randomize: true });", True),
        ("a.ts", P_RETRY + "await pRetry(run, { retries: 3, randomize: true });\nconst retryAfterMs = 1;", False),
        ("a.ts", 'import got from "got";\nconst api = got.extend({ retry: { limit: 3 } });', False),
        ("a.ts", AXIOS_RETRY + "axiosRetry(axios, { retryDelay: axiosRetry.exponentialDelay });", False),
        ("a.ts", AXIOS_RETRY + "axiosRetry(axios, { retryDelay: (n) => Math.random() * 2 ** n });", True),
        ("a.py", URLLIB3 + "r = Retry(total=3, backoff_factor=1, backoff_jitter=1)", False),
        ("a.py", URLLIB3 + "r = Retry(3, backoff_factor=1, backoff_jitter=1, respect_retry_after_header=False)", True),
        ("a.py", TENACITY + "@retry(stop=stop_after_attempt(3), wait=wait_random_exponential())\ndef f(): ...", True),
        ("a.go", "package a\nfunc f() { retry.Do(run, retry.Attempts(3)) }", True),
        ("a.go", 'package a\nfunc f() { retry.Do(run, retry.Attempts(3)); h.Get("retry-after") }', False),
    ],
)
def test_a_policy_that_ignores_retry_after_is_warned_of(
    tmp_path: Path, name: str, code: str, is_warned_of: bool
) -> None:
    result = audit("retries", committed(tmp_path, {f"src/{name}": code + "\n"}))

    said = [finding.observed for finding in result.of_status(WARNING)]
    assert [text.endswith(": ignores Retry-After") for text in said] == [True] * is_warned_of
    assert result.status is Status.PASS


BAD = [
    ("a.ts", AXIOS_RETRY + "axiosRetry(axios, { retries: 3 });", 3, "waits the same time"),
    (
        "a.ts",
        AXIOS_RETRY + "axiosRetry(axios, { retries: 9, retryDelay: axiosRetry.exponentialDelay });",
        3,
        "10 times",
    ),
    (
        "a.ts",
        AXIOS_RETRY + "axiosRetry(axios, { retryDelay: axiosRetry.exponentialDelay, retryCondition: () => true });",
        3,
        "without an idempotency key",
    ),
    ("a.ts", P_RETRY + "await pRetry(run);", 2, "11 times"),
    ("a.ts", P_RETRY + "await pRetry(run, { retries: 3 });", 2, "no jitter"),
    ("a.ts", P_RETRY + "await pRetry(run, { retries: 3, factor: 1 });", 2, "waits the same time"),
    (
        "a.ts",
        'import { retry, handleAll, ConstantBackoff } from "cockatiel";\n'  # noqa: ISC004
        "const policy = retry(handleAll, { maxAttempts: 3, backoff: new ConstantBackoff(500) });",
        2,
        "waits the same time",
    ),
    (
        "a.ts",
        'import got from "got";\nconst api = got.extend({ retry: { limit: 3, methods: ["GET", "POST"] } });',
        2,
        "without an idempotency key",
    ),
    ("a.ts", 'import got from "got";\nconst api = got.extend({ retry: { statusCodes: [404, 503] } });', 2, "after 404"),
    ("a.py", TENACITY + "@retry\ndef f(): ...", 2, "has no end"),
    ("a.py", TENACITY + "@retry(wait=wait_random_exponential())\ndef f(): ...", 2, "has no end"),
    ("a.py", TENACITY + "@retry(stop=stop_after_attempt(3), wait=wait_fixed(2))\ndef f(): ...", 2, "the same time"),
    ("a.py", TENACITY + "@retry(stop=stop_after_attempt(3), wait=wait_exponential())\ndef f(): ...", 2, "no jitter"),
    ("a.py", URLLIB3 + "r = Retry(3)", 2, "waits the same time"),
    (
        "a.py",
        URLLIB3 + "r = Retry(3, backoff_factor=1, backoff_jitter=1, status_forcelist=[503], allowed_methods=None)",
        2,
        "without an idempotency key",
    ),
    ("a.py", "import backoff\n@backoff.on_exception(backoff.expo, IOError)\ndef f(): ...", 2, "has no end"),
    (
        "a.py",
        "import backoff\n@backoff.on_exception(backoff.constant, IOError, max_tries=3)\ndef f(): ...",
        2,
        "the same",
    ),
    ("A.java", "class A { Object c = RetryConfig.custom().maxAttempts(3).build(); }", 1, "waits the same time"),
    ("A.java", "class A { @Retryable\n void f() {} }", 1, "waits the same time"),
    (
        "a.ts",
        "while (true) {\n  try {\n    return await fetch(url);\n  } catch {\n    await sleep(1000);\n  }\n}",
        1,
        "has no end",
    ),
    (
        "a.ts",
        "for (let attempt = 0; attempt < 3; attempt++) {\n  try { return await fetch(url); } catch {}\n"  # noqa: ISC004
        "  await sleep(1000);\n}",
        1,
        "waits the same time",
    ),
    (
        "a.ts",
        "for (let attempt = 0; attempt < 3; attempt++) {\n  const a = await fetch(url, { method: 'POST', body });\n"  # noqa: ISC004
        "  if (a.ok) return a;\n  await sleep(Math.random() * 2 ** attempt);\n}",
        1,
        "without an idempotency key",
    ),
    (
        "a.py",
        REQUESTS + "while True:\n    try:\n        requests.get(url)\n        break\n    except IOError:\n"
        "        time.sleep(5)",
        2,
        "has no end",
    ),
    ("a.ts", "await fetch(url);", 1, "none is sent again"),
    ("a.ts", 'import pRetry from "p-retry";\nawait fetch(url);', 2, "none is sent again"),
]


@pytest.mark.parametrize(("name", "code", "line", "fault"), BAD)
def test_every_fault_of_a_policy_fails_with_its_place(
    tmp_path: Path, name: str, code: str, line: int, fault: str
) -> None:
    result = audit("retries", committed(tmp_path, {f"src/{name}": code + "\n"}))

    (finding,) = result.findings
    assert finding.status is FAIL, finding
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == (f"src/{name}", line)
    assert fault in finding.observed


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.ts", P_RETRY + "await pRetry(run, { retries: limits.of(api), randomize: true });"),
        ("a.ts", AXIOS_RETRY + "axiosRetry(axios, { retries: 2, retryDelay: pauses.quub });"),
    ],
)
def test_what_a_policy_takes_from_elsewhere_is_undecided(tmp_path: Path, name: str, code: str) -> None:
    result = audit("retries", committed(tmp_path, {name: code + "\n"}))

    assert [kind for kind, _ in told(result)] == ["undecided"]
    assert result.status is Status.INCONCLUSIVE


def test_a_pause_that_another_function_works_out_is_read_there(tmp_path: Path) -> None:
    code = (
        "import time, requests, random\nclass A:\n    def get(self):\n        for attempt in range(3):\n"
        "            try:\n                return requests.get(url)\n            except IOError:\n"
        "                delay_s = self._pause(attempt)\n                time.sleep(delay_s)\n\n"
        "    def _pause(self, attempt):\n        return random.random() * 2 ** attempt\n"
    )

    result = audit("retries", committed(tmp_path, {"a.py": code}))

    assert ("pass", "a.py:4") in told(result)


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def __init__(self, n):\n        self.max_tries = n or 0\n        self.max_tries = 0\n\n"  # noqa: ISC004
        "    def get(self):\n        while True:\n            attempt += 1\n            requests.get(url)\n"
        "            if attempt >= self.max_tries: raise\n            time.sleep(random.random() * 2 ** attempt)",
        "def send_with_retries():\n    requests.get(url)",
        "def f():\n    for attempt in range(3):\n        requests.get(url)\n        time.sleep(settings.pause)",
    ],
)
def test_what_repeats_in_a_way_that_was_not_understood_is_undecided(tmp_path: Path, code: str) -> None:
    result = audit("retries", committed(tmp_path, {"a.py": REQUESTS + code + "\n"}))

    assert [kind for kind, _ in told(result)] == ["undecided"]


def test_a_loop_that_keeps_a_connection_is_no_policy(tmp_path: Path) -> None:
    code = "while not self.stopped:\n    try:\n        requests.get(url)\n    except IOError:\n        time.sleep(5)  # retry"  # noqa: E501

    result = audit("retries", committed(tmp_path, {"a.py": REQUESTS + code + "\n"}))

    assert FAIL not in [finding.status for finding in result.findings if "has no end" in finding.observed]


@pytest.mark.parametrize(
    "code",
    [
        "while (true) {\n  await poll();\n  await sleep(60_000);\n}",
        "for (const order of orders) {\n  await sleep(10);\n}",
        "const retry = () => undefined;\nretry();",
    ],
)
def test_a_loop_that_works_off_things_is_no_policy(tmp_path: Path, code: str) -> None:
    assert audit("retries", committed(tmp_path, {"a.ts": code + "\n"})).findings == ()


def test_jitter_is_a_parameter(tmp_path: Path) -> None:
    app = committed(tmp_path, {"a.ts": P_RETRY + "await pRetry(run, { retries: 3 });\n"})

    assert audit("retries", app, jitter=False).status is Status.PASS


@given(attempts=st.one_of(st.integers(1, 50).map(float), st.just(math.inf)), more=st.integers(0, 10))
def test_more_attempts_are_never_judged_better(attempts: float, more: int) -> None:
    def status(count: float) -> FindingStatus:
        place = Location(file="a.ts", line=1, column=1)
        policy = Policy(location=place, shown="retry()", attempts=count, grows=True, is_jittered=True)
        return judge_policy("app", policy, RetryParameters()).status

    assert status(attempts) is PASS or status(attempts + more) is FAIL


# Four proofs


@pytest.mark.proof("pass")
def test_the_sample_service_repeats_three_times_with_full_jitter(tmp_path: Path) -> None:
    result = audit("retries", sample_service(tmp_path))

    assert result.status is Status.PASS
    (finding,) = result.findings
    assert finding.location is not None
    assert finding.location.file == "src/quub/client.ts"
    assert finding.observed.endswith("3 attempts, pauses grow, with jitter")


@pytest.mark.proof("fail")
def test_a_service_that_tries_for_ever_fails_with_file_line_and_loop(tmp_path: Path) -> None:
    app = sample_service(tmp_path)
    (app / "src" / "rates.ts").write_text(
        "export async function rates(url: string) {\n  while (true) {\n    try {\n      return await fetch(url);\n"
        "    } catch {\n      await new Promise((done) => setTimeout(done, 1000));\n    }\n  }\n}\n"
    )

    result = audit("retries", app)

    assert result.status is Status.FAIL
    (finding,) = result.of_status(FAIL)
    assert (finding.subject, finding.observed) == ("quub-app:src/rates.ts:2:3", "while (true) {: has no end")


@pytest.mark.proof("inconclusive")
def test_a_service_that_sends_nothing_and_no_repository_are_inconclusive(tmp_path: Path) -> None:
    app = committed(tmp_path, {"src/index.ts": "export const answer = 42;\n"})

    for result in (audit("retries", app), audit("retries")):
        assert (result.status, result.findings) == (Status.INCONCLUSIVE, ())


@pytest.mark.proof("error")
def test_a_repository_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert audit("retries", tmp_path / "nowhere").status is Status.ERROR


def test_a_file_that_could_not_be_read_is_an_error(tmp_path: Path) -> None:
    app = committed(tmp_path, {"huge.js": b"var a=1;" * 1_300_000, "a.py": "x = 1\n"})

    assert audit("retries", app).status is Status.ERROR
