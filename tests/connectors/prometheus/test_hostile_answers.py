"""Answers that no Prometheus gives on demand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.prometheus import PrometheusConnector
from quub_audit.errors import Absent, Denied, Malformed, Refused, Reportable, Throttled, Unreachable, Unsupported
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import AlertmanagerServer, PrometheusServer
from tests.connectors.identity.saying import Saying, Says

TOKEN = "token-of-the-test-that-nobody-may-see"
RULES, STATUS, SILENCES, QUERY = "/api/v1/rules", "/api/v2/status", "/api/v2/silences", "/api/v1/query"
HTML = Says(200, b"<html><script>alert(1)</script></html>", {"Content-Type": "text/html"})


def prometheus(server: Saying, token: str = TOKEN) -> PrometheusServer:
    return PrometheusServer(name="watch", url=f"{server.address}/", token=token)


def manager(server: Saying) -> AlertmanagerServer:
    return AlertmanagerServer(name="pager", url=server.address, token=TOKEN)


def success(data: Any) -> Says:
    return Says(200, {"status": "success", "data": data})


def test_the_token_goes_in_a_header_and_is_struck_from_every_output(server: Saying) -> None:
    server.answer(RULES, success({"groups": []}))
    redactor = Redactor()
    target = prometheus(server)

    assert PrometheusConnector((target,), Ledger(), redactor).rules(target) == ()
    assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in server.seen[0].path
    assert TOKEN not in redactor.clean(f"said {TOKEN}")


def test_a_server_without_a_token_is_asked_without_one(connector: PrometheusConnector, server: Saying) -> None:
    server.answer(RULES, success({"groups": None}))

    assert connector.rules(prometheus(server, token="")) == ()
    assert "authorization" not in server.seen[0].headers


@pytest.mark.parametrize(
    ("says", "error", "words"),
    [
        (Says(401, b""), Denied, "prometheus.watch.token"),
        (Says(403, HTML.body, HTML.headers), Denied, "403"),
        (Says(404, b"404 page not found"), Absent, "not there"),
        (Says(429, b"", {"Retry-After": "600"}), Throttled, "600 s"),
        (Says(503, b"", {"Retry-After": "600"}), Unreachable, "503"),
        (Says(500, b"{}"), Unreachable, "500"),
        (Says(405, b"{}"), Unsupported, "405"),
        (Says(302, b"", {"Location": "http://127.0.0.1:1/elsewhere?x=y"}), Unreachable, "redirect"),
        (Says(422, {"status": "error", "errorType": "execution", "error": "too\nmany\x1b[31m"}), Malformed, "too many"),
        (HTML, Malformed, "text/html"),
        (Says(200, b'{"status": "success", "data": {"groups": ['), Malformed, "no JSON"),
        (Says(200, b'{"status": "success", "status": "error"}'), Malformed, "no JSON"),
        (Says(200, b"[" * 100_000), Malformed, "no JSON"),
        (Says(200, b"[]"), Malformed, "no object"),
        (Says(200, {"status": "error", "error": "x"}), Malformed, "no success"),
        (success([]), Malformed, "no success"),
        (success({"groups": "all"}), Malformed, "groups"),
        (success({"groups": [1]}), Malformed, "groups"),
        (success({"groups": [{"rules": {}}]}), Malformed, "rules"),
        (success({"groups": [{"rules": [{"name": 1, "query": "up"}]}]}), Malformed, "a rule"),
        (success({"groups": [{"rules": [{"name": "a", "query": "up", "duration": "1"}]}]}), Malformed, "a rule"),
        (success({"groups": [{"rules": [{"name": "a", "query": "up", "labels": {"a": 1}}]}]}), Malformed, "labels"),
        (
            success({"groups": [{"rules": [{"name": "a", "query": "up", "lastEvaluation": "soon"}]}]}),
            Malformed,
            "a moment",
        ),
    ],
)
def test_every_bad_answer_is_one_sentence_without_the_token(
    connector: PrometheusConnector, server: Saying, says: Says, error: type[Reportable], words: str
) -> None:
    server.answer(RULES, says)

    with pytest.raises(error) as raised:
        connector.rules(prometheus(server))

    told = f"{raised.value.message} {raised.value.next_step}"
    assert words in told
    assert told.isprintable()
    assert TOKEN not in told
    assert "<script>" not in told


def test_pages_of_rules_are_followed_and_a_circle_is_an_error(connector: PrometheusConnector, server: Saying) -> None:
    def page(name: str, token: str) -> Says:
        group = {"name": "g", "rules": [{"name": name, "query": "up", "type": "alerting"}]}
        return success({"groups": [group], **({"groupNextToken": token} if token else {})})

    server.answer(RULES, page("one", "t1"), page("two", ""))
    assert [rule.name for rule in connector.rules(prometheus(server))] == ["one", "two"]
    assert "group_next_token=t1" in server.seen[1].path

    server.answer(RULES, page("one", "t1"))
    with pytest.raises(Malformed, match="circle"):
        PrometheusConnector((), Ledger(), Redactor()).rules(prometheus(server))


def test_a_large_answer_is_read_and_a_boundless_one_is_not(connector: PrometheusConnector, server: Saying) -> None:
    rule = {"name": "a", "query": "up", "type": "alerting", "annotations": {"text": "x" * 1000}}
    server.answer(RULES, success({"groups": [{"name": "g", "rules": [rule] * 3000}]}))
    server.answer("/api/v1/targets", Says(200, b" " * (17 * 1024 * 1024)))

    assert len(connector.rules(prometheus(server))) == 3000
    with pytest.raises(Malformed, match="longer than"):
        connector.targets(prometheus(server))


@pytest.mark.parametrize(
    "data",
    [
        {"resultType": "matrix", "result": []},
        {"resultType": "string", "result": [1, "x"]},
        {"resultType": "vector", "result": [{"metric": {}, "value": [1]}]},
        {"resultType": "vector", "result": [{"metric": {}, "value": [1, "much"]}]},
        {"resultType": "vector", "result": [{"metric": {}, "value": [1e300, "1"]}]},
        {"resultType": "vector", "result": [{"metric": [], "value": [1, "1"]}]},
        {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}] * 10_001},
        {"resultType": "scalar", "result": None},
    ],
)
def test_what_is_no_vector_of_samples_is_malformed(
    connector: PrometheusConnector, server: Saying, data: dict[str, Any]
) -> None:
    server.answer(QUERY, success(data))

    with pytest.raises(Malformed):
        connector.query(prometheus(server), "up")


def test_values_may_be_infinite_or_none_at_all(connector: PrometheusConnector, server: Saying) -> None:
    rows = [{"metric": {}, "value": [1, text]} for text in ("NaN", "+Inf", "-Inf")]
    server.answer(QUERY, success({"resultType": "vector", "result": rows}))

    assert [str(sample.value) for sample in connector.query(prometheus(server), "up")] == ["nan", "inf", "-inf"]


def test_a_rule_that_was_never_evaluated_has_no_moment(connector: PrometheusConnector, server: Saying) -> None:
    rule = {"name": "a", "query": "up", "type": "alerting", "lastEvaluation": "0001-01-01T00:00:00Z"}
    server.answer(RULES, success({"groups": [{"name": "g", "rules": [rule]}]}))

    (found,) = connector.rules(prometheus(server))

    assert (found.last_evaluation, found.health) == (None, "unknown")


def test_an_address_of_an_alertmanager_is_kept_without_credentials(
    connector: PrometheusConnector, server: Saying
) -> None:
    active = [{"url": "https://user:secret@pager.example:9093/api/v2/alerts"}]
    server.answer("/api/v1/alertmanagers", success({"activeAlertmanagers": active}))

    assert connector.alertmanagers(prometheus(server)) == ("pager.example:9093",)


@pytest.mark.parametrize(
    "config",
    [
        None,
        "",
        "receivers: [",
        "just text",
        "route: {receiver: a}\nreceivers: all",
        "route: [a]\nreceivers: []",
        "route: {receiver: a, routes: 7}\nreceivers: []",
        "route: {receiver: a}\nreceivers: [{webhook_configs: [{url: 'http://secret-address'}]}]",
        "route: {receiver: a}\nreceivers: [!!python/object/apply:os.system ['true']]",
        "&a [" * 5000,
    ],
)
def test_what_is_no_configuration_is_malformed_and_never_quoted(
    connector: PrometheusConnector, server: Saying, config: str | None
) -> None:
    server.answer(STATUS, Says(200, {"config": {"original": config}}))

    with pytest.raises(Malformed) as raised:
        connector.receivers(manager(server))

    assert "secret-address" not in raised.value.message


def test_a_configuration_that_unfolds_without_end_is_not_followed(
    connector: PrometheusConnector, server: Saying
) -> None:
    levels = ["a0: &a0 {receiver: x, match: {a: b}}"]
    levels += [
        f"a{n}: &a{n} {{receiver: x, match: {{a: b}}, routes: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)
    ]
    text = "\n".join([*levels, "route: *a11", "receivers: [{name: x}]"])
    server.answer(STATUS, Says(200, {"config": {"original": text}}))

    with pytest.raises(Malformed, match="more routes"):
        connector.receivers(manager(server))


@pytest.mark.parametrize(
    "silence",
    [
        {"status": {"state": "active"}, "matchers": [], "endsAt": None},
        {"status": {"state": "active"}, "matchers": [{"name": "a"}], "endsAt": "2026-01-01T00:00:00Z"},
        {"status": {"state": "active"}, "matchers": "all", "endsAt": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_silence_that_cannot_be_read_is_malformed(
    connector: PrometheusConnector, server: Saying, silence: dict[str, Any]
) -> None:
    server.answer(SILENCES, Says(200, [silence]))

    with pytest.raises(Malformed):
        connector.silences(manager(server))


def test_expired_silences_are_left_out_and_matchers_are_written_as_alertmanager_does(
    connector: PrometheusConnector, server: Saying
) -> None:
    kinds = [(True, True), (True, False), (False, True), (False, False)]
    matchers = [{"name": f"l{n}", "value": "v", "isRegex": r, "isEqual": e} for n, (r, e) in enumerate(kinds)]
    old = {"name": "l4", "value": "v", "isRegex": False}  # before 0.22 there was no isEqual
    active = {"status": {"state": "active"}, "matchers": [*matchers, old], "endsAt": "2026-01-01T00:00:00.123456789Z"}
    expired = {"status": {"state": "expired"}, "matchers": [], "endsAt": "2026-01-01T00:00:00Z"}
    server.answer(SILENCES, Says(200, [active, expired]))

    (found,) = connector.silences(manager(server))

    assert found.matchers == ('l0=~"v"', 'l1!~"v"', 'l2="v"', 'l3!="v"', 'l4="v"')


def test_nothing_is_sent_in_clear_to_another_machine(connector: PrometheusConnector) -> None:
    with pytest.raises(Refused):
        connector.rules(PrometheusServer(name="watch", url="http://192.0.2.1:9090", token=TOKEN))


def test_a_token_that_no_header_can_carry_is_not_sent(connector: PrometheusConnector, server: Saying) -> None:
    with pytest.raises(Denied):
        connector.rules(prometheus(server, token="line\nbreak"))
    assert server.seen == []


def test_answers_are_json_to_the_last_byte() -> None:
    assert json.loads(success({"groups": []}).raw)["status"] == "success"
