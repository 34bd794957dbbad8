"""Reports of scanners, whatever wrote them."""

from __future__ import annotations

from quub_audit.facts.artifacts import Scan
from quub_audit.parsers.scans.checkov import CHECKOV
from quub_audit.parsers.scans.grype import GRYPE
from quub_audit.parsers.scans.leaks import BETTERLEAKS, DETECT_SECRETS, GITLEAKS, TRUFFLEHOG
from quub_audit.parsers.scans.npm_audit import NPM_AUDIT, YARN_AUDIT
from quub_audit.parsers.scans.osv import OSV_SCANNER
from quub_audit.parsers.scans.pip_audit import PIP_AUDIT
from quub_audit.parsers.scans.sarif import SARIF
from quub_audit.parsers.scans.trivy import TRIVY
from quub_audit.parsers.scans.vex import CYCLONEDX, OPENVEX
from quub_audit.parsers.scans.zap import ZAP_JSON, ZAP_XML
from quub_audit.parsers.source import Format, Source, read_as

FORMATS: tuple[Format[tuple[Scan, ...]], ...] = (
    ZAP_XML,
    SARIF,
    CYCLONEDX,
    OPENVEX,
    ZAP_JSON,
    TRIVY,
    GRYPE,
    BETTERLEAKS,
    DETECT_SECRETS,
    TRUFFLEHOG,
    GITLEAKS,
    CHECKOV,
    YARN_AUDIT,
    NPM_AUDIT,
    PIP_AUDIT,
    OSV_SCANNER,
)
"""Asked in this order; the first that knows a report reads it."""


def read(source: Source) -> tuple[Scan, ...]:
    """What the report holds; several where one file holds several. Raises Malformed."""
    return read_as(source, FORMATS, "scans")
