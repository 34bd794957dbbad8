"""Traces of this service, in this environment, arrive at the APM now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quub_audit.checks.performance.monitoring.apm import ApmParameters, judge
from quub_audit.model.environment import ApmBackend, Environment
from quub_audit.model.result import ItemResult
from quub_audit.model.status import FindingStatus, Status
from quub_audit.sdk import Grade, Traces
from quub_audit.testing import audit_item
from tests.worlds.checkout import Checkout
from tests.worlds.cloud import Cloud
from tests.worlds.front import Asked, Told, front_of, json_answer
from tests.worlds.saas import PII, Reported, Saas

ITEM = "performance.monitoring.apm"
PASS, FAIL, WARNING = FindingStatus.PASS, FindingStatus.FAIL, FindingStatus.WARNING
TYPES = ("datadog", "newrelic", "jaeger", "tempo")


def traces(count: int, *versions: str, environment: str = "production") -> Traces:
    return Traces(service="orders", environment=environment, count=count, window_min=30, versions=versions)


@pytest.mark.parametrize(
    ("found", "earlier", "parameters", "kinds"),
    [
        (traces(5, "1"), traces(5), {}, ["pass"]),
        (traces(5, environment=""), traces(5), {}, ["pass", "warning"]),
        (traces(0), traces(0), {}, ["fail"]),
        (traces(0), traces(9), {}, ["undecided"]),
        (traces(5), traces(5), {"min_spans": 6}, ["undecided"]),
        (traces(5, "1"), traces(5), {"version": "1"}, ["pass"]),
        (traces(5, "1"), traces(5), {"version": "2"}, ["fail"]),
        (traces(5), traces(5), {"version": "2"}, ["undecided"]),
    ],
)
def test_spans_pass_silence_of_a_day_fails_and_silence_of_less_proves_nothing(
    found: Traces, earlier: Traces, parameters: dict[str, Any], kinds: list[str]
) -> None:
    told = list(judge("traces", found, earlier, "production", ApmParameters(**parameters)))

    assert [finding.kind for finding in told] == kinds


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5))
def test_a_pass_needs_the_spans_that_are_wanted(now: int, before: int, wanted: int) -> None:
    told = [f.status for f in judge("t", traces(now), traces(before), "p", ApmParameters(min_spans=wanted))]

    assert (PASS in told) is (now >= wanted)


# On stand-ins


def look(*backends: ApmBackend, **parameters: Any) -> ItemResult:
    environment = Environment(service="orders", name="production", stage="production", apm=backends)
    return audit_item(ITEM, environment, parameters=parameters, min_evidence=Grade.LIVE)


@pytest.mark.proof("pass")
@pytest.mark.parametrize("type_", TYPES)
def test_a_backend_that_took_spans_lately_passes_and_tells_nothing_of_them(saas: Saas, type_: Any) -> None:
    saas.spans = [Reported(), Reported(age_s=300)]

    result = look(saas.apm(type_))

    assert result.status is Status.PASS, result.reason
    assert "took 2 spans of orders" in result.of_status(PASS)[0].observed
    assert PII not in repr(result)


@pytest.mark.proof("fail")
@pytest.mark.parametrize("type_", ["datadog", "jaeger", "tempo"])
def test_spans_of_another_environment_alone_fail(saas: Saas, type_: Any) -> None:
    saas.spans = [Reported(environment="staging")]

    result = look(saas.apm(type_))

    assert result.status is Status.FAIL
    assert "nothing of orders in production" in result.of_status(FAIL)[0].observed


def test_spans_of_an_old_version_alone_fail_where_a_version_is_wanted(saas: Saas) -> None:
    saas.spans = [Reported(version="1.4.1")]

    assert look(saas.apm("jaeger"), version="1.4.2").status is Status.FAIL
    assert look(saas.apm("jaeger"), version="1.4.1").status is Status.PASS


@pytest.mark.proof("inconclusive")
def test_spans_of_some_hours_ago_and_no_backend_at_all_are_inconclusive(saas: Saas) -> None:
    saas.spans = [Reported(age_s=7200)]

    result = look(saas.apm("tempo"))

    assert result.status is Status.INCONCLUSIVE
    assert "1 in 24 h" in result.of_status(WARNING)[0].observed
    assert look().status is Status.INCONCLUSIVE


@pytest.mark.proof("error")
def test_a_key_that_is_refused_is_an_error_with_what_would_mend_it(saas: Saas) -> None:
    result = look(saas.apm("datadog", api_key="another-key-of-the-test"))

    assert result.status is Status.ERROR
    assert "apm.traces" in result.next_step


@pytest.mark.parametrize(
    ("services", "status"),
    [
        ([{"Name": "orders", "SummaryStatistics": {"TotalCount": 7}}], Status.PASS),
        ([{"Name": "web", "Names": ["web", "orders"], "SummaryStatistics": {"TotalCount": 1}}], Status.PASS),
        ([{"Name": "orders", "SummaryStatistics": {"TotalCount": 0}}, {"Name": "orders"}], Status.INCONCLUSIVE),
        ([{"Name": "others", "SummaryStatistics": {"TotalCount": 7}}], Status.INCONCLUSIVE),
        ([{"Name": "orders", "Type": "AWS::ECS::Fargate", "SummaryStatistics": {"TotalCount": 7}}], Status.PASS),
        ([{"Name": "orders", "Type": "remote", "SummaryStatistics": {"TotalCount": 7}}], Status.INCONCLUSIVE),
        ([{"Name": "orders", "Type": "client", "SummaryStatistics": {"TotalCount": 7}}], Status.INCONCLUSIVE),
        ([], Status.INCONCLUSIVE),
    ],
)
def test_x_ray_counts_where_it_knows_the_service(emulator: str, services: list[dict[str, Any]], status: Status) -> None:
    def graph(asked: Asked) -> Told:
        return json_answer({"Services": services})

    with front_of(emulator) as front:
        front.answers["xray POST /ServiceGraph"] = graph
        cloud = Cloud(front.address)
        environment = Environment(service="orders", name="production", stage="production", aws=(cloud.account(),))
        result = audit_item(ITEM, environment, environ=cloud.environ, min_evidence=Grade.LIVE)

        assert front.count("xray POST /ServiceGraph") == 1

    assert result.status is status, result.reason


# In a repository


def code(path: Path, files: dict[str, str | bytes | None]) -> ItemResult:
    checkout = Checkout(path / "app")
    checkout.commit(files)
    environment = Environment(service="orders", name="production", stage="production", repositories=(checkout.target,))
    return audit_item(ITEM, environment)


NODE = '{"dependencies": {"dd-trace": "^5", "express": "^4"}}'
FIRST = 'import tracer from "dd-trace";\nimport express from "express";\n'
LATE = 'import express from "express";\nimport tracer from "dd-trace";\n'
OTEL = '{"dependencies": {"@opentelemetry/sdk-node": "^1"}}'


@pytest.mark.parametrize(
    ("files", "fails"),
    [
        ({"package.json": NODE, "src/main.ts": 'import express from "express";\n'}, ["nothing loads dd-trace"]),
        ({"package.json": NODE, "src/main.ts": FIRST}, []),
        ({"package.json": NODE, "src/main.ts": LATE}, ["loaded after"]),
        ({"package.json": NODE, "src/main.ts": LATE, "Dockerfile": "CMD node -r dd-trace/init main.js\n"}, []),
        ({"package.json": NODE, "src/main.ts": LATE, "src/tracer.ts": 'import "dd-trace/init";\n'}, []),
        (
            {"package.json": NODE, "main.js": 'const pg = require("pg");\nrequire("dd-trace").init();\n'},
            ["loaded after"],
        ),
        ({"package.json": NODE, "main.js": 'require("dd-trace").init();\nconst pg = require("pg");\n'}, []),
        (
            {"package.json": NODE, "compose.yml": "command: [node, --require, dd-trace/init, main.js]\n"},
            [],
        ),
        (
            {"package.json": NODE, "main.ts": FIRST, "Dockerfile": "ENV DD_TRACE_ENABLED=false\n"},
            ["DD_TRACE_ENABLED is false"],
        ),
        ({"package.json": NODE, "main.ts": FIRST, "Dockerfile": "ENV DD_TRACE_SAMPLE_RATE=0.1\n"}, []),
        ({"package.json": NODE, "main.ts": FIRST, "compose.dev.yml": "DD_TRACE_ENABLED: 'false'\n"}, []),
        (
            {
                "package.json": OTEL,
                "a.ts": 'import { NodeSDK } from "@opentelemetry/sdk-node";',
                "k8s/app.yaml": "- name: OTEL_TRACES_SAMPLER\n  value: always_off\n",
            },
            ["always_off"],
        ),
        (
            {
                "package.json": OTEL,
                "a.ts": 'import { NodeSDK } from "@opentelemetry/sdk-node";',
                "app.tf": 'OTEL_TRACES_SAMPLER_ARG = "0"\n',
            },
            ["OTEL_TRACES_SAMPLER_ARG is 0"],
        ),
        ({"requirements.txt": "ddtrace>=2\nflask\n", "app.py": "import flask\n"}, ["nothing loads ddtrace"]),
        (
            {"requirements.txt": "ddtrace>=2\n", "app.py": "import flask\n", "Procfile": "web: ddtrace-run gunicorn\n"},
            [],
        ),
        ({"requirements.txt": "ddtrace>=2\n", "app.py": "import ddtrace.auto\nimport flask\n"}, []),
        (
            {"requirements.txt": "ddtrace>=2\n", "app.py": "from flask import Flask\nimport ddtrace.auto\n"},
            ["loaded after"],
        ),
        ({"package.json": '{"dependencies": {"express": "^4"}}'}, []),
        ({"package.json": "[]", "pyproject.toml": "\x00"}, []),
    ],
)
def test_an_agent_that_is_not_loaded_first_or_turned_off_fails_and_none_passes(
    tmp_path: Path, files: dict[str, str | bytes | None], fails: list[str]
) -> None:
    result = code(tmp_path, files)

    told = [finding.observed for finding in result.of_status(FAIL)]
    assert [words in said for words, said in zip(fails, told, strict=True)] == [True] * len(fails), told
    assert result.of_status(PASS) == ()
    assert result.status is (Status.FAIL if fails else Status.INCONCLUSIVE)


def test_a_checkout_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    missing = Checkout(tmp_path / "gone").target
    environment = Environment(service="orders", name="production", stage="production", repositories=(missing,))

    assert audit_item(ITEM, environment).status is Status.ERROR
