"""What stand-ins of the services that watch are asked, what they tell, and what of it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import encode
from quub_audit.connectors.telemetry import TelemetryConnector
from quub_audit.connectors.telemetry_traces import NERDGRAPH
from quub_audit.errors import (
    Absent,
    Denied,
    Malformed,
    Refused,
    Reportable,
    Throttled,
    Unreachable,
    Unsupported,
)
from quub_audit.facts.asking import Telemetry
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import ApmBackend, ErrorTracker
from tests.connectors.identity.saying import Saying, Says, saying
from tests.worlds.saas import APP_KEY, KEY, PII, TOKEN, Reported, Saas, saas

TYPES = ("datadog", "newrelic", "jaeger", "tempo")
LABELLED = ("datadog", "jaeger", "tempo")
each_type = pytest.mark.parametrize("type_", TYPES)


@pytest.fixture
def world() -> Iterator[Saas]:
    with saas() as running:
        yield running


@pytest.fixture
def server() -> Iterator[Saying]:
    with saying() as running:
        yield running


def connect(redactor: Redactor | None = None, *targets: Any) -> TelemetryConnector:
    return TelemetryConnector(targets, Ledger(), redactor or Redactor(), at=datetime.now(UTC))


def test_the_connector_is_what_checks_ask() -> None:
    assert isinstance(connect(), Telemetry)


@each_type
def test_spans_of_the_window_are_counted_and_nothing_of_their_content_is_kept(world: Saas, type_: Any) -> None:
    world.spans = [Reported(), Reported(age_s=120), Reported(age_s=3600), Reported(service="other")]

    found = connect().traces(world.apm(type_), environment="production", window_min=30)

    assert (found.service, found.count, found.window_min) == ("orders", 2, 30)
    assert found.newest_at is not None
    assert 30 < (datetime.now(UTC) - found.newest_at).total_seconds() < 110
    assert PII not in str(encode(found))


@pytest.mark.parametrize("type_", LABELLED)
def test_spans_of_another_environment_are_none_of_ours(world: Saas, type_: Any) -> None:
    world.spans = [Reported(environment="staging"), Reported(version="2"), Reported(version="10")]

    found = connect().traces(world.apm(type_), environment="production", window_min=30)

    assert (found.environment, found.count, found.versions) == ("production", 2, ("10", "2"))


@pytest.mark.parametrize("type_", ["jaeger", "tempo"])
def test_spans_without_any_environment_are_counted_as_such(world: Saas, type_: Any) -> None:
    world.spans = [Reported(environment="")]

    found = connect().traces(world.apm(type_), environment="production", window_min=30)

    assert (found.environment, found.count) == ("", 1)


@each_type
def test_a_service_that_sent_nothing_has_none(world: Saas, type_: Any) -> None:
    found = connect().traces(world.apm(type_), environment="production", window_min=30)

    assert (found.count, found.newest_at, found.versions) == (0, None, ())


def test_nerdgraph_is_sent_one_fixed_query_and_the_rest_is_get(world: Saas) -> None:
    for type_ in TYPES:
        connect().traces(world.apm(type_), environment="production", window_min=30)  # type: ignore[arg-type]

    posts = [json.loads(body) for method, _, body in world.asked if method != "GET"]
    assert [post["query"] for post in posts] == [NERDGRAPH]
    assert NERDGRAPH.startswith("query(")
    assert "mutation" not in NERDGRAPH


def test_credentials_travel_in_headers_and_are_struck_from_every_output(world: Saas) -> None:
    redactor = Redactor()
    backend, tracker = world.apm("datadog"), world.tracker()
    connector = connect(redactor, backend, tracker)

    connector.traces(backend, environment="production", window_min=30)
    connector.project(tracker, environment="production")

    assert all(secret not in path for _, path, _ in world.asked for secret in (KEY, APP_KEY, TOKEN))
    assert all(secret not in redactor.clean(f"said {secret}") for secret in (KEY, APP_KEY, TOKEN))


def test_a_project_tells_its_keys_environments_releases_and_newest_event(world: Saas) -> None:
    world.events = [Reported(environment="staging"), Reported(age_s=7200), Reported(age_s=90000)]
    world.sessions = 12
    world.keys.append({"isActive": False, "rateLimit": None})

    found = connect().project(world.tracker(), environment="production")

    assert (found.is_known, found.active_keys, found.is_rate_limited_to_zero, found.sessions) == (True, 1, False, 12)
    assert found.environments == ("production", "staging")
    assert found.releases == ("orders@1.4.2", "orders@1.4.1")
    assert found.newest_event_at is not None
    assert 7100 < (datetime.now(UTC) - found.newest_event_at).total_seconds() < 7300
    assert PII not in str(encode(found))


def test_a_project_without_events_or_sessions_tells_none(world: Saas) -> None:
    world.sessions = None
    world.keys = [{"isActive": True, "rateLimit": {"window": 60, "count": 0}}]

    found = connect().project(world.tracker(), environment="production")

    assert (found.newest_event_at, found.sessions, found.is_rate_limited_to_zero) == (None, None, True)


def test_a_project_that_is_not_there_is_an_answer(world: Saas) -> None:
    assert not connect().project(world.tracker(project="gone"), environment="production").is_known


@each_type
@pytest.mark.parametrize(
    ("status", "headers", "error", "words"),
    [
        (401, {}, Denied, "401"),
        (403, {}, Denied, "403"),
        (404, {}, Absent, "not there"),
        (429, {"Retry-After": "90"}, Throttled, "90 s"),
        (429, {"X-RateLimit-Reset": "120"}, Throttled, "120 s"),
        (500, {}, Unreachable, "500"),
        (418, {}, Unsupported, "418"),
        (302, {"Location": "http://127.0.0.1:1/"}, Unreachable, "redirect"),
    ],
)
def test_every_refusal_is_one_sentence_that_quotes_nothing(
    world: Saas, type_: Any, status: int, headers: dict[str, str], error: type[Reportable], words: str
) -> None:
    world.status, world.headers = status, headers

    with pytest.raises(error) as raised:
        connect().traces(world.apm(type_), environment="production", window_min=30)

    told = f"{raised.value.message} {raised.value.next_step}"
    assert words in told
    assert all(secret not in told for secret in (PII, KEY, APP_KEY))


@pytest.mark.parametrize(
    ("status", "headers", "error", "words"),
    [
        (401, {}, Denied, "project:read"),
        (403, {}, Denied, "project:read"),
        (429, {"X-Sentry-Rate-Limit-Reset": "4102444800"}, Throttled, "asks to wait"),
        (500, {}, Unreachable, "500"),
    ],
)
def test_a_tracker_that_refuses_names_the_scopes_or_the_wait(
    world: Saas, status: int, headers: dict[str, str], error: type[Reportable], words: str
) -> None:
    world.status, world.headers = status, headers

    with pytest.raises(error) as raised:
        connect().project(world.tracker(), environment="production")

    told = f"{raised.value.message} {raised.value.next_step}"
    assert words in told
    assert PII not in told


def test_a_wrong_key_and_a_foreign_account_are_denied(world: Saas) -> None:
    for backend in (
        world.apm("datadog", api_key="wrong-key-of-the-test"),
        world.apm("datadog", app_key="wrong-key-of-the-test"),
        world.apm("newrelic", account="4712"),
        world.apm("jaeger", api_key="line\nbreak"),
    ):
        with pytest.raises(Denied) as raised:
            connect().traces(backend, environment="production", window_min=30)
        assert PII not in raised.value.message


def test_names_that_would_mean_something_in_a_query_are_not_sent(world: Saas) -> None:
    for backend in (
        world.apm("newrelic", service="x' OR 'a' = 'a"),
        world.apm("newrelic", account="4711) {"),
        world.apm("datadog", service='x" OR *'),
    ):
        with pytest.raises(Unsupported):
            connect().traces(backend, environment="production", window_min=30)


def told_by(server: Saying, type_: Any, says: Says) -> Callable[[], object]:
    path = {"jaeger": "/api/traces", "tempo": "/api/search", "newrelic": "/graphql", "datadog": "/api/v2/spans/events"}
    server.answer("/api/v1/validate", Says(200, {"valid": True}))
    server.answer(path[type_], says)
    backend = ApmBackend(name="traces", type=type_, url=server.address, service="orders", account="1", api_key=KEY)
    return lambda: connect().traces(backend, environment="production", window_min=30)


@each_type
@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"[]", b'{"data": 1, "traces": 1}', b'{"data": [1], "traces": [1]}', b"{}", b'{"data": null}x'],
)
def test_what_is_no_such_answer_is_malformed(server: Saying, type_: Any, body: bytes) -> None:
    ask = told_by(server, type_, Says(200, body))

    with pytest.raises(Malformed):
        ask()


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("datadog", {"data": [{"attributes": None}]}),
        ("datadog", {"data": [{"attributes": {"start_timestamp": "soon"}}]}),
        ("jaeger", {"data": [{"spans": []}]}),
        (
            "jaeger",
            {
                "data": [
                    {"spans": [{"processID": "p", "startTime": "x"}], "processes": {"p": {"serviceName": "orders"}}}
                ]
            },
        ),
        ("tempo", {"traces": [{"spanSets": [{"spans": [{"startTimeUnixNano": "1e999"}]}]}]}),
        ("newrelic", {"data": {"actor": {"account": {"nrql": {"results": [{"count": "many"}]}}}}}),
        ("newrelic", {"data": {"actor": {"account": {"nrql": {"results": []}}}}}),
        ("newrelic", {"data": {"actor": {"account": {"nrql": {"results": [{"count": True}]}}}}}),
    ],
)
def test_a_span_that_cannot_be_read_is_malformed(server: Saying, type_: Any, body: Any) -> None:
    ask = told_by(server, type_, Says(200, body))

    with pytest.raises(Malformed):
        ask()


def test_the_next_page_of_events_is_not_followed_to_another_host(server: Saying) -> None:
    base = "/api/0/projects/acme/orders"
    for path in ("keys", "environments"):
        server.answer(f"{base}/{path}/", Says(200, []))
    server.answer(f"{base}/", Says(200, {"id": "1"}))
    server.answer("/api/0/organizations/acme/releases/", Says(200, []))
    link = '<https://elsewhere.example/events>; rel="next"; results="true"'
    server.answer(f"{base}/events/", Says(200, [], {"Link": link}))
    tracker = ErrorTracker(name="errors", url=server.address, organisation="acme", project="orders", token=TOKEN)

    with pytest.raises(Malformed, match="another host"):
        connect().project(tracker, environment="production")


def test_nothing_is_sent_in_clear_to_another_machine() -> None:
    tracker = ErrorTracker(name="errors", url="http://192.0.2.1", organisation="a", project="b", token=TOKEN)

    with pytest.raises(Refused):
        connect().project(tracker, environment="production")
