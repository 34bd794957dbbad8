"""What real Prometheus servers and Alertmanagers tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from quub_audit.connectors.base import Ledger
from quub_audit.connectors.codec import encode
from quub_audit.connectors.prometheus import PrometheusConnector
from quub_audit.errors import Absent, Malformed, Unreachable
from quub_audit.facts.asking import Prometheus
from quub_audit.facts.prometheus import Receiver
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import AlertmanagerServer, PrometheusServer
from tests.worlds.prometheus import GOOD_RULES, HOOK_SECRET, Watches


def test_the_connector_is_what_checks_ask(connector: PrometheusConnector) -> None:
    assert isinstance(connector, Prometheus)


def test_every_rule_comes_with_what_it_asks_and_how_it_fares(connector: PrometheusConnector, watches: Watches) -> None:
    rules = connector.rules(watches.good.prometheus)

    assert [(rule.name, rule.kind, rule.health) for rule in rules] == [
        *((name, "alerting", "ok") for name in GOOD_RULES),
        ("job:up:sum", "recording", "ok"),
    ]
    assert {rule.group for rule in rules} == {"vital"}
    assert rules[0].labels == {"severity": "page"}
    for rule in rules:
        assert rule.last_evaluation is not None
        assert abs(datetime.now(UTC) - rule.last_evaluation) < timedelta(hours=1)


def test_a_rule_that_fails_says_why(connector: PrometheusConnector, watches: Watches) -> None:
    broken = [rule for rule in connector.rules(watches.poor.prometheus) if rule.health == "err"]

    assert [rule.name for rule in broken] == ["Ambiguous"]
    assert "duplicate series" in broken[0].last_error


def test_a_query_comes_to_series_with_labels_and_a_scalar_to_one_without(
    connector: PrometheusConnector, watches: Watches
) -> None:
    (up,) = connector.query(watches.good.prometheus, "up")
    (two,) = connector.query(watches.good.prometheus, "1 + 1")

    assert (up.labels["job"], up.value) == ("watch", 1.0)
    assert (two.labels, two.value) == ({}, 2.0)
    assert connector.query(watches.good.prometheus, "nothing_of_that_name") == ()


@pytest.mark.parametrize("expression", ["sum((", "up[5m]", '"text"', "", "up{"])
def test_an_expression_that_is_no_vector_is_malformed(
    connector: PrometheusConnector, watches: Watches, expression: str
) -> None:
    with pytest.raises(Malformed):
        connector.query(watches.good.prometheus, expression)


def test_targets_and_alertmanagers_are_those_that_are_active(connector: PrometheusConnector, watches: Watches) -> None:
    (target,) = connector.targets(watches.good.prometheus)

    assert (target.job, target.health, target.last_error) == ("watch", "up", "")
    assert f"http://{target.instance}" == watches.good.prometheus_url
    assert [f"http://{each}" for each in connector.alertmanagers(watches.good.prometheus)] == [
        watches.good.alertmanager_url
    ]
    assert connector.alertmanagers(watches.poor.prometheus) == ()


def test_receivers_come_by_kind_without_address_or_credential(connector: PrometheusConnector, watches: Watches) -> None:
    found = connector.receivers(watches.good.alertmanager)

    assert found == (
        Receiver(name="team", integrations=("webhook",), is_routed=True, is_default=True),
        Receiver(name="nobody", is_routed=True),
        Receiver(name="forgotten", integrations=("webhook",)),
    )
    assert HOOK_SECRET not in str(encode(found))


def test_active_silences_come_without_their_makers(connector: PrometheusConnector, watches: Watches) -> None:
    found = connector.silences(watches.poor.alertmanager)

    assert [silence.matchers for silence in found] == [('alertname=~".+"',), ('alertname=~"Full"',)]
    assert "somebody@example.com" not in str(encode(found))
    assert connector.silences(watches.good.alertmanager) == ()


def test_a_question_is_asked_once_and_answered_by_the_record_afterwards(watches: Watches) -> None:
    ledger = Ledger()
    first = PrometheusConnector((), ledger, Redactor()).rules(watches.good.prometheus)
    entries = dict(ledger.answered())
    nowhere = PrometheusServer(name="good", url="http://127.0.0.1:1")

    assert PrometheusConnector((), Ledger(recorded=entries), Redactor()).rules(nowhere) == first


def test_an_address_where_nothing_listens_is_unreachable_and_one_of_something_else_absent(
    connector: PrometheusConnector, watches: Watches
) -> None:
    with pytest.raises(Unreachable):
        connector.rules(PrometheusServer(name="nobody", url="http://127.0.0.1:1"))
    with pytest.raises(Absent) as raised:
        connector.receivers(AlertmanagerServer(name="other", url=watches.good.prometheus_url))
    assert "alertmanager.other.url" in raised.value.next_step
