"""Each vital sign of the service has an alert that sees data, can fire, and reaches people.

Pass          every sign of `signs` has an alert of CloudWatch or Prometheus that can fire and reaches somebody, and no alert of a vital sign is broken
Fail          a sign has no such alert; an alarm of a sign can never fire (its metric does not exist, it names no dimensions, no series has them, it has had no data for `hours_without_data`), is laxer than `max_errors_per_minute`, `max_latency_s` or `max_delay_s`, has its actions disabled, or leads to no confirmed subscription; a rule of Prometheus fails to evaluate, or has not been evaluated for as long; Prometheus has rules and knows no Alertmanager; no route of an Alertmanager leads to a receiver that tells anybody; a silence mutes everything
Inconclusive  neither CloudWatch nor Prometheus has an alert, and none is declared to have
Error         alarms, their topics, a Prometheus or an Alertmanager cannot be asked; an Alertmanager is declared without the Prometheus that feeds it
Needs         `cloudwatch:DescribeAlarms`, `ListMetrics`, `sns:ListSubscriptionsByTopic`; of Prometheus and Alertmanager read access to their HTTP APIs
Source        the guide, CloudWatch Alarms; AWS Well-Architected, REL 6 and OPS 8; OWASP ASVS v5.0.0-16.3.3 and 16.3.4

What an alert watches is told by its metrics, or by a label `category` of a rule. Alarms that only scale are none. Metrics of load balancers that are silent while nothing happens count as seen where requests are counted.
A rule that reads metrics of which there is no series counts for no sign.
Warned of: broken alerts of no vital sign, rules without series, an Alertmanager whose default receiver tells nobody, a mean where a percentile would show the tail, an alarm of availability that takes missing data for health. Whether a threshold of a rule or an expression is ever crossed is not judged here.
"""  # noqa: E501  each line is a paragraph of the page

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from quub_audit.checks.performance.monitoring._alarms import (
    MILLISECONDS,
    OF_ALARMS,
    OF_DEFECTS,
    SECONDS,
    Alarm,
    Limits,
    alarms_of,
    defects_of,
)
from quub_audit.checks.performance.monitoring._signs import Sign, metrics_of, sign_of_rule
from quub_audit.sdk import (
    AlertmanagerServer,
    Aws,
    Clock,
    Environment,
    Finding,
    FindingStatus,
    Parameters,
    Prometheus,
    PrometheusServer,
    Receiver,
    Region,
    Rule,
    Silence,
    check,
    cut,
    subjects,
)

METRICS_AT_ONCE = 20
"""Names of metrics in one query, which travels in a URL."""

GOOD_ALARM = "can fire in time and reaches somebody"
GOOD_RULE = "evaluates on data that is there"

_MATCHER = re.compile(r'(?P<label>[^=!~"]+)(?P<sign>=~|!~|!=|=)"(?P<value>.*)"')
_ANYTHING = frozenset({".*", ".+", "^.*$", "^.+$", "(.*)", "(.+)", ".*.*", ".*.+", ".+.*", "..*", "(?s).*", "(?s).+"})


class AlertParameters(Parameters):
    """What the checklist may set under `with:`."""

    signs: tuple[Sign, ...] = ("error_rate", "latency", "availability", "saturation")
    """Vital signs that need an alert each; `backup` and `certificate` may be added."""

    max_errors_per_minute: float = 10
    """Server errors per minute from which an alarm that counts them fires. The guide."""

    max_latency_s: float = 2
    """Seconds of latency from which an alarm of load balancers, APIs or functions fires. The guide."""

    max_delay_s: float = 120
    """Seconds that errors or latency may last before their alarm fires: period times periods. The guide: 60 s twice."""

    hours_without_data: float = 1
    """Hours for which an alarm may have insufficient data, and a rule of Prometheus may not have been evaluated."""

    @property
    def limits(self) -> Limits:
        """What alarms are compared with."""
        return Limits(
            errors_per_minute=self.max_errors_per_minute,
            latency_s=self.max_latency_s,
            delay_s=self.max_delay_s,
            without_data=timedelta(hours=self.hours_without_data),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of whatever origin, and what is wrong with it."""

    name: str
    sign: Sign | None
    defects: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    """What may be wrong, or may come right by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """An environment without AWS that declares Prometheus or Alertmanager."""

    environment: Environment

    def __str__(self) -> str:
        return str(self.environment)


# CloudWatch


@subjects(each=Region, permissions=OF_ALARMS)
def alarms(region: Region, aws: Aws) -> Iterator[Alarm]:
    """Metric alarms, but those that only scale."""
    yield from alarms_of(region, aws)


@check("Alarms of CloudWatch can fire and reach people", each=alarms, permissions=OF_DEFECTS)
def alarm(subject: Alarm, aws: Aws, clock: Clock, wanted: AlertParameters) -> Iterator[Finding]:
    """An alarm of no vital sign is only warned of."""
    defects = defects_of(subject, aws, clock.now(), wanted.limits)
    yield from judge_alert(Alert(name=subject.arn, sign=subject.sign, defects=defects), good=GOOD_ALARM)
    if takes_mean(subject):
        yield Finding.warning(
            subject=subject.arn,
            observed=f"takes the Average of {subject.entry['MetricName']}, which hides slow requests among quick ones",
            expected="an extended statistic, such as p99",
        )
    if takes_silence_for_health(subject):
        yield Finding.warning(
            subject=subject.arn,
            observed=f"takes missing data for health (TreatMissingData: {subject.entry['TreatMissingData']})",
            expected="TreatMissingData: breaching, since what is down sends nothing",
        )


def takes_mean(alarm: Alarm) -> bool:
    """Whether the tail of a latency is hidden."""
    metric = str(alarm.entry.get("Namespace")), str(alarm.entry.get("MetricName"))
    return metric in MILLISECONDS | SECONDS and alarm.entry.get("Statistic") == "Average"


def takes_silence_for_health(alarm: Alarm) -> bool:
    """Whether an alarm of availability stays quiet when nothing is left that sends data."""
    return alarm.sign == "availability" and alarm.entry.get("TreatMissingData") in ("notBreaching", "ignore")


# Prometheus


@check("Alerting rules of Prometheus evaluate on data", each=PrometheusServer)
def rules(
    subject: PrometheusServer, prometheus: Prometheus, clock: Clock, wanted: AlertParameters
) -> Iterator[Finding]:
    """Health, age of the last evaluation, and whether the metrics are there."""
    for alert in _rules_of(subject, prometheus, clock.now(), wanted):
        yield from judge_alert(alert, good=GOOD_RULE)


@check("Prometheus sends its alerts to an Alertmanager", each=PrometheusServer)
def alertmanagers(subject: PrometheusServer, prometheus: Prometheus) -> Finding | None:
    """A server without alerting rules needs none."""
    if not any(rule.kind == "alerting" for rule in prometheus.rules(subject)):
        return None
    found = prometheus.alertmanagers(subject)
    return Finding.of(
        bool(found),
        subject=str(subject),
        observed=f"sends to {cut(found)}" if found else "has alerting rules and knows no Alertmanager",
        expected="at least one Alertmanager",
    )


@check("Alertmanager has somebody to tell", each=AlertmanagerServer)
def receivers(subject: AlertmanagerServer, prometheus: Prometheus) -> Iterator[Finding]:
    """Receivers to which a route leads, and whether they tell anybody."""
    yield from judge_receivers(str(subject), prometheus.receivers(subject))


@check("No silence mutes everything", each=AlertmanagerServer)
def silences(subject: AlertmanagerServer, prometheus: Prometheus) -> Iterator[Finding]:
    """Active silences alone. That there is none proves nothing by itself."""
    yield from judge_silences(str(subject), prometheus.silences(subject))


def judge_receivers(manager: str, found: Sequence[Receiver]) -> Iterator[Finding]:
    """A receiver without integrations is a black hole; it may be meant for some alerts, and not for all."""
    heard = [f"{each.name} ({', '.join(each.integrations)})" for each in found if each.is_routed and each.integrations]
    holes = [each.name for each in found if each.is_routed and not each.integrations]
    yield Finding.of(
        bool(heard),
        subject=manager,
        observed=f"tells {cut(heard)}" if heard else f"tells nobody: routes lead to {cut(holes) or 'no receiver'}",
        expected="a route to a receiver with an integration",
    )
    if heard and any(each.is_default and not each.integrations for each in found):
        yield Finding.warning(
            subject=manager,
            observed=f"tells nobody of alerts that no route takes: they go to {cut(holes)}",
            expected="a default receiver with an integration",
        )


def judge_silences(manager: str, found: Iterable[Silence]) -> Iterator[Finding]:
    """A silence mutes everything when each of its matchers takes whatever comes."""
    for silence in found:
        if silence.matchers and all(takes_anything(matcher) for matcher in silence.matchers):
            until = f"{silence.ends_at:%Y-%m-%d %H:%M} UTC"
            yield Finding(
                status=FindingStatus.FAIL,
                subject=manager,
                observed=f"a silence on {cut(silence.matchers)} mutes everything until {until}",
                expected="no silence that takes every alert",
            )


def takes_anything(matcher: str) -> bool:
    """Whether a matcher takes all values, or all but one; as Alertmanager writes matchers."""
    found = _MATCHER.fullmatch(matcher)
    if found is None:
        return False
    return found["sign"] in ("!=", "!~") or (found["sign"] == "=~" and found["value"] in _ANYTHING)


def judge_alert(alert: Alert, *, good: str) -> Iterator[Finding]:
    """A defect fails where a vital sign is watched, and is a warning elsewhere."""
    watched = (alert.sign or "no vital sign").replace("_", " ")
    if alert.sign and not alert.defects and not alert.doubts:
        yield Finding.of(True, subject=alert.name, observed=f"watches {watched}: {good}", expected=good)
    elif alert.sign and alert.defects:
        observed = f"watches {watched}: {'; '.join(alert.defects)}"
        yield Finding.of(False, subject=alert.name, observed=observed, expected=good)
    elif alert.defects or alert.doubts:
        observed = f"watches {watched}: {'; '.join((*alert.defects, *alert.doubts))}"
        yield Finding.warning(subject=alert.name, observed=observed, expected=good)


def _rules_of(
    server: PrometheusServer, prometheus: Prometheus, now: datetime, wanted: AlertParameters
) -> tuple[Alert, ...]:
    alerting = [rule for rule in prometheus.rules(server) if rule.kind == "alerting"]
    names = sorted({name for rule in alerting for name in metrics_of(rule.query)})
    present: set[str] = set()
    for start in range(0, len(names), METRICS_AT_ONCE):
        # Names of metrics are made of word characters and colons: nothing in them means anything to a regex.
        one_of = "|".join(names[start : start + METRICS_AT_ONCE])
        found = prometheus.query(server, f'count by (__name__) ({{__name__=~"{one_of}"}})')
        present.update(sample.labels.get("__name__", "") for sample in found)
    return tuple(read_rule(str(server), rule, present, now, wanted) for rule in alerting)


def read_rule(server: str, rule: Rule, present: set[str], now: datetime, wanted: AlertParameters) -> Alert:
    """One alerting rule; `present` are the metrics that there are now."""
    sign = sign_of_rule(rule.query, rule.labels)
    defects, doubts = [], []
    age = now - rule.last_evaluation if rule.last_evaluation else None
    if rule.health == "err":
        defects.append(f"it fails to evaluate: {rule.last_error or 'no reason is given'}")
    elif rule.health != "ok" or age is None:
        doubts.append("it has not been evaluated yet")
    elif age > timedelta(hours=wanted.hours_without_data):
        defects.append(f"it was last evaluated {age.total_seconds() / 3600:.1f} h ago")
    needed = metrics_of(rule.query)
    if needed and not present.intersection(needed) and "absent" not in rule.query:
        # Stock rules cover what a system may not have, and many libraries make a counter when it first counts.
        doubts.append(f"there is no series of {cut(needed)}")
    return Alert(name=f"{server}: {rule.group}/{rule.name}", sign=sign, defects=tuple(defects), doubts=tuple(doubts))


# All together


@check("Each vital sign has an alert that works", each=Environment, permissions=[*OF_ALARMS, *OF_DEFECTS])
def coverage(
    subject: Environment, aws: Aws, prometheus: Prometheus, clock: Clock, wanted: AlertParameters
) -> Iterator[Finding]:
    """Alarms of every declared region, and rules of every declared Prometheus."""
    now = clock.now()
    regions = [region for account in subject.aws for region in account.regions]
    found = [
        Alert(name=each.arn, sign=each.sign, defects=defects_of(each, aws, now, wanted.limits))
        for region in regions
        for each in alarms_of(region, aws)
    ]
    yield from judge_signs(subject, [*found, *_heard_rules(subject, prometheus, now, wanted)], wanted)


@subjects(each=Environment)
def without_cloud(environment: Environment) -> Iterator[Uncounted]:
    """The environment where only Prometheus can have alerts."""
    if not environment.aws and (environment.prometheus or environment.alertmanager):
        yield Uncounted(environment=environment)


@check("Each vital sign has a rule that works", each=without_cloud)
def coverage_by_rules(
    subject: Uncounted, prometheus: Prometheus, clock: Clock, wanted: AlertParameters
) -> Iterator[Finding]:
    """Rules of every declared Prometheus."""
    found = _heard_rules(subject.environment, prometheus, clock.now(), wanted)
    yield from judge_signs(subject.environment, found, wanted)


def _heard_rules(
    environment: Environment, prometheus: Prometheus, now: datetime, wanted: AlertParameters
) -> list[Alert]:
    """Rules of all servers; those of a server that tells no Alertmanager have that as a defect."""
    heard: list[Alert] = []
    for server in environment.prometheus:
        found = _rules_of(server, prometheus, now, wanted)
        is_deaf = bool(found) and not prometheus.alertmanagers(server)
        of_server = (f"{server} sends to no Alertmanager",) if is_deaf else ()
        heard.extend(
            Alert(name=each.name, sign=each.sign, defects=(*each.defects, *of_server), doubts=each.doubts)
            for each in found
        )
    return heard


def judge_signs(environment: Environment, alerts: Sequence[Alert], wanted: AlertParameters) -> Iterator[Finding]:
    """One finding a sign. None where there is no alert, and nothing is declared that must have some."""
    if not alerts and not environment.prometheus:
        if environment.alertmanager:
            yield Finding.error(
                subject=str(environment),
                message=f"{environment}: an Alertmanager is declared and no Prometheus, so its alerts are not known",
                next_step="declare the server under prometheus in environments.yaml",
            )
        return
    for sign in wanted.signs:
        yield judge_sign(f"{environment}: {sign.replace('_', ' ')}", [each for each in alerts if each.sign == sign])


def judge_sign(subject: str, alerts: Sequence[Alert]) -> Finding:
    """At least one without a defect."""
    good = [each.name for each in alerts if not each.defects and not each.doubts]
    reasons = {each.name: "; ".join((*each.defects, *each.doubts)) for each in alerts}
    broken = cut(f"{name} ({why})" for name, why in reasons.items())
    return Finding.of(
        bool(good),
        subject=subject,
        observed=f"watched by {cut(good)}" if good else (f"watched only by {broken}" if alerts else "has no alert"),
        expected="an alert that can fire and reaches somebody",
    )
