"""ZAP's traditional report, JSON and XML: one scan for all sites.

Requests, responses, attacks and evidence are left unread: they hold whatever the application answered.
Source: templates `traditional-json` and `traditional-xml` of ZAP's report add-on; its insights for the number of
endpoints, which reports of 2.16 and later have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal
from xml.etree.ElementTree import Element

from quub_audit.facts.artifacts import Level, Origin, Scan, ScanFinding
from quub_audit.parsers.scans.findings import cwes_in, each_once, many, place, short, shorts
from quub_audit.parsers.source import Format, Source, local_name, mapping, moment, text_of

LEVELS: Mapping[str, Level] = {"3": "high", "2": "medium", "1": "low", "0": "low"}
"""`riskcode`; 0 is informational."""

CONFIDENCES: Mapping[str, Literal["false positive", "low", "medium", "high", "confirmed"]] = {
    "0": "false positive",
    "1": "low",
    "2": "medium",
    "3": "high",
    "4": "confirmed",
}

MAX_PAGES = 500

ATTACKS = frozenset(
    {10045, 10047, 10048, 10051, 10053, 10058, 10095, 10104, 10106, 10107}
    | {*range(90017, 90030), *range(90034, 90040)} - {90022}
)
"""Active rules among the numbers of passive ones; those below 10 and from 20000 to 49999 are all active."""

Json = Mapping[str, Any]


def _read_json(source: Source) -> tuple[Scan, ...]:
    report = mapping(source.json(), source, "the report")
    sites = [mapping(each, source, "a site") for each in many(report.get("site"))]
    insights = [mapping(each, source, "an insight") for each in many(report.get("insights"))]
    return (_scan(report, sites, insights, source),)


def _read_xml(source: Source) -> tuple[Scan, ...]:
    root = source.xml()
    report = {f"@{key}": value for key, value in root.attrib.items()} | {"created": root.get("created")}
    sites: list[Json] = [
        {"@name": element.get("name"), "alerts": [_alert_of(each) for each in element.iter() if _is(each, "alertitem")]}
        for element in root
        if _is(element, "site")
    ]
    insights = [
        {local_name(part): (part.text or "").strip() for part in element}
        for element in root.iter()
        if _is(element, "insight")
    ]
    return (_scan(report, sites, insights, source),)


def _is(element: Element, name: str) -> bool:
    return local_name(element) == name


def _alert_of(element: Element) -> Json:
    found: dict[str, Any] = {local_name(part): (part.text or "").strip() for part in element}
    found["instances"] = [
        {local_name(part): (part.text or "").strip() for part in each}
        for each in element.iter()
        if _is(each, "instance")
    ]
    found["tags"] = [{local_name(part): part.text for part in each} for each in element.iter("tag") if len(each)]
    return found


def _scan(report: Json, sites: Iterable[Json], insights: Iterable[Json], source: Source) -> Scan:
    findings: list[ScanFinding] = []
    pages: set[str] = set()
    names: list[str] = []
    for site in sites:
        name = place(site.get("@name"))
        names.append(name)
        for alert in _alerts(site.get("alerts"), source):
            seen = [place(each.get("uri")) for each in _instances(alert.get("instances"), source)]
            pages.update(page for page in seen if page)
            findings.append(_finding(alert, next((page for page in seen if page), name), source))
    stated = sum(_count(each.get("statistic")) for each in insights if each.get("key") == "insight.endpoint.total")
    return Scan(
        origin=Origin(
            file=source.name,
            tool="ZAP",
            version=short(report.get("@version"), 100),
            produced_at=moment(report.get("created")) or moment(report.get("@generated")),
        ),
        covers="dynamic",
        volume=max(stated, len(pages)),
        volume_of="URLs",
        targets=shorts(names),
        findings=each_once(findings),
        unread=tuple(_unread(insights)),
        is_active=True if any(_is_attack(each.id) for each in findings) else None,
        pages=tuple(sorted(pages))[:MAX_PAGES],
    )


def _is_attack(rule: str) -> bool:
    """Whether the rule of that number sends attacks: a scan that only watched cannot have found it."""
    number = rule.partition("-")[0]
    if not number.isdecimal():
        return False
    of_old, known = int(number) < 10, 20000 <= int(number) < 50000
    return of_old or known or int(number) in ATTACKS


def _finding(alert: Json, page: str, source: Source) -> ScanFinding:
    risk, confidence = str(alert.get("riskcode")).strip(), str(alert.get("confidence")).strip()
    if risk not in LEVELS or confidence not in CONFIDENCES:
        raise source.malformed("an alert has no riskcode of 0 to 3 and confidence of 0 to 4")
    tags = [short(each.get("tag")) for each in many(alert.get("tags")) if isinstance(each, Mapping)]
    return ScanFinding(
        id=short(alert.get("alertRef") or alert.get("pluginid"), 40) or "an alert without a number",
        level=LEVELS[risk],
        title=short(alert.get("name") or alert.get("alert")),
        subject=page,
        cwes=cwes_in((f"CWE-{str(alert.get('cweid')).strip()}", *tags)),
        tags=(*(tag for tag in tags if tag), *(("informational",) if risk == "0" else ())),
        confidence=CONFIDENCES[confidence],
    )


def _alerts(value: object, source: Source) -> Iterator[Json]:
    for each in many(value):
        alert = mapping(each, source, "an alert")
        # Tools that turn XML into JSON keep the element around the alerts.
        yield from _alerts(alert["alertitem"], source) if "alertitem" in alert else (alert,)


def _instances(value: object, source: Source) -> Iterator[Json]:
    for each in many(value):
        instance = mapping(each, source, "an instance")
        yield from _instances(instance["instance"], source) if "instance" in instance else (instance,)


def _count(value: object) -> int:
    text = str(value).strip()
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _unread(insights: Iterable[Json]) -> Iterator[str]:
    """What the scanner says went wrong with more than half of it."""
    told = {"insight.network.failure": "requests got no answer", "insight.auth.failure": "log-ins failed"}
    for each in insights:
        what, share = told.get(text_of(each.get("key"))), _count(each.get("statistic"))
        if what and share >= 50:
            yield f"{share}% of {what}"


ZAP_JSON = Format(
    name="ZAP's traditional JSON",
    recognises=lambda source: (
        source.beginning.startswith("{")
        and '"site"' in source.beginning
        and ('"@version"' in source.beginning or '"@programName"' in source.beginning)
    ),
    read=_read_json,
)
ZAP_XML = Format(
    name="ZAP's traditional XML", recognises=lambda source: source.xml_root == "OWASPZAPReport", read=_read_xml
)
