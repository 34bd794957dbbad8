"""VEX: what somebody says of vulnerabilities, in CycloneDX 1.4 to 1.7 or OpenVEX 0.2.

A statement counts where it says that the product is not affected and why, or that it is fixed. CycloneDX that Grype
wrote is a scan as well: all that was looked at stands in it. An inventory of any other tool looked at nothing.
Source: CycloneDX, `vulnerabilities[].analysis`; OpenVEX, the specification's section "Statement Fields".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from quub_audit.facts.artifacts import Acceptance, Origin, Scan, ScanFinding, Statement
from quub_audit.parsers.scans.findings import (
    each_once,
    known,
    level_of_score,
    level_of_vectors,
    level_of_word,
    plain_purl,
    short,
    shorts,
    speaks_of,
)
from quub_audit.parsers.source import Format, Source, list_in, mapping, moment, text_of

VERSIONS = ("1.4", "1.5", "1.6", "1.7")
SCANNERS = ("grype",)
"""Tools whose CycloneDX is the result of a scan, whatever they were told."""

FIXED = ("resolved", "resolved_with_pedigree", "fixed")

Json = Mapping[str, Any]


def _document(source: Source, tool: str, version: str, at: datetime | None, statements: tuple[Statement, ...]) -> Scan:
    return Scan(
        origin=Origin(file=source.name, tool=tool, version=version, produced_at=at),
        covers="acceptances",
        volume=len(statements),
        volume_of="statements",
        statements=statements,
    )


def _read_cyclonedx(source: Source) -> tuple[Scan, ...]:
    bom = mapping(source.json(), source, "the BOM")
    if bom.get("specVersion") not in VERSIONS:
        said = short(bom.get("specVersion"), 20) or "not given"
        raise source.malformed(f"its specVersion is {said}, expected one of {', '.join(VERSIONS)}")
    metadata = mapping(bom.get("metadata") or {}, source, "metadata")
    at = moment(metadata.get("timestamp"))
    tools = [*_tools(metadata, source)]
    components = {ref: name for each in _components(bom, source) for ref, name in (_component(each),)}
    found = [mapping(each, source, "a vulnerability") for each in list_in(bom, "vulnerabilities", source)]
    scanner = next(((name, version) for name, version in tools if name.lower() in SCANNERS), None)
    if scanner is None:
        statements = tuple(statement for each in found for statement in _stated(each, components, source))
        name, version = tools[0] if tools else ("CycloneDX", "")
        return (_document(source, name, version, at, statements),)
    # The manifests that were found are components too.
    files = [text_of(c.get("name")).lstrip("/") for c in _components(bom, source) if c.get("type") == "file"]
    packages = {name for name in components.values() if name.startswith("pkg:")}
    return (
        Scan(
            origin=Origin(file=source.name, tool=scanner[0], version=scanner[1], produced_at=at),
            covers="image" if _is_image(metadata) else "dependencies",
            volume=len(packages),
            volume_of="packages",
            targets=shorts((mapping(metadata.get("component") or {}, source, "component").get("name"), *files)),
            ecosystems=tuple(sorted({name[4:].partition("/")[0] for name in packages})),
            findings=each_once(finding for each in found for finding in _findings(each, components, source)),
        ),
    )


def _is_image(metadata: Json) -> bool:
    component = metadata.get("component")
    return isinstance(component, Mapping) and component.get("type") == "container"


def _tools(metadata: Json, source: Source) -> Iterator[tuple[str, str]]:
    """Names and versions; a list before 1.5, since then the components of a mapping."""
    tools = metadata.get("tools") or []
    listed = list_in(tools, "components", source) if isinstance(tools, Mapping) else list_in(metadata, "tools", source)
    for each in listed:
        tool = mapping(each, source, "a tool")
        yield short(tool.get("name"), 100), short(tool.get("version"), 100)


def _components(holder: Json, source: Source, depth: int = 0) -> Iterator[Json]:
    if depth > 100:
        raise source.malformed("its components are nested too deeply")
    for each in list_in(holder, "components", source):
        component = mapping(each, source, "a component")
        yield component
        yield from _components(component, source, depth + 1)


def _component(component: Json) -> tuple[str, str]:
    """What others refer to it by, and its purl or name."""
    name = plain_purl(component.get("purl")) or "@".join(shorts((component.get("name"), component.get("version"))))
    return text_of(component.get("bom-ref")) or name, name


def _names(found: Json, source: Source) -> tuple[str, ...]:
    """Its identifier, and those under which others know it."""
    references = [mapping(each, source, "a reference") for each in list_in(found, "references", source)]
    return shorts((found.get("id"), *(each.get("id") for each in references)))


def _subjects(found: Json, components: Mapping[str, str], source: Source) -> Iterator[str]:
    for each in list_in(found, "affects", source):
        ref = text_of(mapping(each, source, "affects").get("ref"))
        # A BOM-Link names a component of another document: urn:cdx:SERIAL/VERSION#REF.
        ref = unquote(ref.partition("#")[2]) if ref.startswith("urn:cdx:") else ref
        yield plain_purl(components.get(ref, ref))


def _accepted(found: Json, source: Source) -> Acceptance | None:
    analysis = mapping(found.get("analysis") or {}, source, "analysis")
    state, why = text_of(analysis.get("state")), short(analysis.get("justification"), 60)
    if state in FIXED or state == "false_positive":
        return Acceptance(by=source.name, reason=state)
    return Acceptance(by=source.name, reason=f"not affected: {why}") if state == "not_affected" and why else None


def _stated(found: Json, components: Mapping[str, str], source: Source) -> Iterator[Statement]:
    accepted, names = _accepted(found, source), _names(found, source)
    subjects = shorts(_subjects(found, components, source))
    if accepted and names and (subjects or not list_in(found, "affects", source)):
        yield Statement(ids=names, subjects=subjects, acceptance=accepted)


def _findings(found: Json, components: Mapping[str, str], source: Source) -> Iterator[ScanFinding]:
    names = _names(found, source)
    ratings = [mapping(each, source, "a rating") for each in list_in(found, "ratings", source)]
    new = [each for each in ratings if text_of(each.get("method")).startswith(("CVSSv3", "CVSSv4"))]
    level = known(
        level_of_vectors(each.get("vector") for each in new),
        *(level_of_score(each.get("score")) for each in new),
        *(level_of_word(each.get("severity")) for each in ratings),
    )
    for subject in shorts(_subjects(found, components, source)) or ("",):
        yield ScanFinding(
            id=names[0] if names else "a vulnerability without a number",
            level=level,
            aliases=names[1:],
            subject=subject,
            cwes=tuple(sorted(n for n in list_in(found, "cwes", source) if isinstance(n, int) and 0 < n < 100_000)),
            acceptance=_accepted(found, source),
        )


def _read_openvex(source: Source) -> tuple[Scan, ...]:
    document = mapping(source.json(), source, "the document")
    if not text_of(document.get("@context")).startswith("https://openvex.dev/ns"):
        raise source.malformed("its @context is not that of OpenVEX")
    at = moment(document.get("last_updated")) or moment(document.get("timestamp"))
    statements = tuple(
        statement
        for each in list_in(document, "statements", source)
        for statement in _openvex(mapping(each, source, "a statement"), source)
    )
    return (_document(source, "OpenVEX", text_of(document.get("@context")).rpartition("/v")[2][:20], at, statements),)


def _openvex(stated: Json, source: Source) -> Iterator[Statement]:
    named = stated.get("vulnerability")
    found = named if isinstance(named, Mapping) else {"name": named}
    names = shorts((found.get("name"), *list_in(found, "aliases", source)))
    status = text_of(stated.get("status"))
    why = short(stated.get("justification") or stated.get("impact_statement"), 100)
    if not names or not (status == "fixed" or (status == "not_affected" and why)):
        return
    subjects = shorts(_products(stated, source))
    reason = status if status == "fixed" else f"not affected: {why}"
    yield Statement(ids=names, subjects=subjects, acceptance=Acceptance(by=source.name, reason=reason))


def _products(stated: Json, source: Source) -> Iterator[str]:
    """The components that are spoken of, else the products themselves."""
    for each in list_in(stated, "products", source):
        product = each if isinstance(each, Mapping) else {"@id": each}
        parts = list_in(product, "subcomponents", source)
        for part in parts or [product]:
            one = part if isinstance(part, Mapping) else {"@id": part}
            identifiers = mapping(one.get("identifiers") or {}, source, "identifiers")
            yield plain_purl(identifiers.get("purl") or one.get("@id"))


CYCLONEDX = Format(
    name="CycloneDX JSON (VEX)",
    recognises=lambda source: speaks_of(source, "bomFormat") or speaks_of(source, "specVersion", "vulnerabilities"),
    read=_read_cyclonedx,
)
OPENVEX = Format(
    name="OpenVEX",
    recognises=lambda source: speaks_of(source, "@context") and "openvex.dev/ns" in source.beginning,
    read=_read_openvex,
)
