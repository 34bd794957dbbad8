"""pip-audit as a process of its own, over the pinned lines of a file of requirements.

Nothing is resolved or installed (`--no-deps --disable-pip`), and the service is the declared one. It sees a copy that
holds nothing but pinned lines: an include or an address in the file would have it read, or ask, elsewhere. It is
believed only by its report: it ends with 0 where it skipped every package, and with 1 both where it found something and
where it failed.
"""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from urllib.parse import unquote

from quub_audit.connectors.children import Children, Done
from quub_audit.connectors.scratch import Scratch
from quub_audit.errors import Malformed, Reportable, Unreachable, Unsupported
from quub_audit.facts.artifacts import Scan
from quub_audit.model.environment import AdvisoryService
from quub_audit.parsers.manifests.python import requirements
from quub_audit.parsers.scans.findings import short
from quub_audit.parsers.scans.pip_audit import PIP_AUDIT
from quub_audit.parsers.source import HEAD_BYTES, Source

TIMEOUT_S = 300.0
SOCKET_TIMEOUT_S = 15
MAX_REPORT_BYTES = 64 << 20


def audit(service: AdvisoryService, source: Source, children: Children) -> Scan:
    """What pip-audit finds; lines that pin nothing are `unread`.

    Raises Unreachable (the service did not answer), Malformed, TimedOut, Unsupported.
    """
    label = f"{service}: pip-audit of {source.name}"
    if service.token:
        raise Unsupported(f"{label}: pip-audit sends no token", next_step="scan the file in the pipeline instead")
    pinned: dict[str, str] = {}
    unread: list[str] = []
    for package, why in requirements(source):
        name, _, version = unquote(package).rpartition("/")[2].partition("@")
        if why or pinned.setdefault(name, version) != version:
            unread.append(why or f"{name} is pinned to {version} too")
    scratch = Scratch("pip-audit")
    try:
        listed = scratch.path / "requirements.txt"
        # Without markers: pip-audit would leave out what is not for this machine.
        listed.write_text("".join(f"{name}=={version}\n" for name, version in pinned.items()), encoding="utf-8")
        done = children.run(
            [
                *(sys.executable, "-P", "-m", "pip_audit"),
                *("--requirement", str(listed), "--no-deps", "--disable-pip"),
                *("--vulnerability-service", "osv", "--osv-url", f"{service.url.rstrip('/')}/v1/query"),
                *("--format", "json", "--aliases", "on", "--desc", "off"),
                *("--progress-spinner", "off", "--timeout", str(SOCKET_TIMEOUT_S)),
                *("--cache-dir", str(scratch.path / "cache")),
            ],
            folder=scratch.path,
            environ={
                "HOME": str(scratch.path),
                "PATH": "",
                "PYTHONUTF8": "1",
                "NO_PROXY": "*",
                **({"REQUESTS_CA_BUNDLE": service.ca_file} if service.ca_file else {}),
            },
            label=label,
            timeout_s=TIMEOUT_S,
            max_bytes=MAX_REPORT_BYTES,
        )
    except OSError as error:
        raise Malformed(f"{label}: the copy of the file could not be written: {error.strerror}") from error
    finally:
        scratch.close()
    scan = read_report(done, label)
    return replace(scan, unread=(*scan.unread, *unread))


def read_report(done: Done, label: str) -> Scan:
    """The scan by its report. Raises Malformed where there is none, or it does not go with the exit code."""
    document = Source(name=label, open=lambda: io.BytesIO(done.output), head=done.output[:HEAD_BYTES])
    if not done.output.strip():
        raise _failed(done, label)
    (scan,) = PIP_AUDIT.read(document)
    if done.code != (1 if scan.findings else 0):
        raise _failed(done, label)
    return scan


def _failed(done: Done, label: str) -> Reportable:
    is_network = any(
        word in done.errors for word in (b"ConnectionError", b"Max retries", b"ConnectTimeout", b"HTTPError")
    )
    if is_network:
        return Unreachable(
            f"{label}: the service did not answer", next_step="look whether it is up and reachable from here"
        )
    last = done.errors.decode("utf-8", "replace").rstrip().rpartition("\n")[2]
    return Malformed(f"{label} ended with {done.code} and no report: {short(last, 200) or 'it said nothing'}")
