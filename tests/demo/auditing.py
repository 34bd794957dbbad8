"""Runs the installed command against a world of the demo, and keeps all that came out of it."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import re
import shutil
import subprocess
import sys
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from quub_audit.demo.cloud import PRODUCTION, REGION, STAGING
from quub_audit.demo.emulator import Emulator
from quub_audit.demo.postgres import find_programs, usual_folders
from quub_audit.demo.world import DemoWorld

HAS_REDIS = shutil.which("redis-server") is not None
HAS_POSTGRESQL = find_programs(usual_folders()) is not None
"""Whether this machine has the servers, which the demo then starts."""

COMMAND = Path(sys.executable).with_name("quub-audit")
FORMATS = "html,junit,markdown,json,sarif"


@dataclass(frozen=True)
class Audit:
    """One run of `quub-audit`."""

    code: int
    terminal: str
    """stdout and stderr."""
    out: Path

    @property
    def result(self) -> dict[str, Any]:
        """result.json."""
        read: dict[str, Any] = json.loads((self.out / "result.json").read_text(encoding="utf-8"))
        return read

    @property
    def statuses(self) -> dict[str, str]:
        """Of the items, by group and name: their ids without the section."""
        return {item["id"].partition(".")[2]: item["status"] for item in self.result["items"]}

    def findings(self, item: str, status: str) -> set[tuple[str, str]]:
        """Subject and observation of an item's findings of one status."""
        return {
            (finding["subject"], finding["observed"])
            for each in self.result["items"]
            if each["id"].endswith(f".{item}")
            for finding in each["findings"]
            if finding["status"] == status
        }

    def texts(self) -> dict[str, str]:
        """Everything that came out, by where it stands."""
        found = {"terminal": self.terminal}
        for path in sorted(self.out.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                unpacked = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
                found[path.name] = unpacked.decode(errors="replace")
        return found


def audit(world: DemoWorld, out: Path, *options: str) -> Audit:
    """`quub-audit run` with the world's own process environment; the evidence bundle lies beside the reports."""
    done = subprocess.run(
        [
            COMMAND,
            "run",
            f"--env={world.environment}",
            f"--environments={world.environments_file}",
            f"--checklist={world.checklist_file}",
            f"--format={FORMATS}",
            f"--out={out}",
            f"--record={out / 'evidence.jsonl.gz'}",
            *options,
        ],
        capture_output=True,
        text=True,
        env=dict(world.environ),
        cwd=world.environments_file.parent,
        timeout=120,
        check=False,
    )
    return Audit(code=done.returncode, terminal=done.stdout + done.stderr, out=out)


def emulator_of(world: DemoWorld) -> Emulator:
    """The emulated AWS of a world."""
    declared = yaml.safe_load(world.environments_file.read_text(encoding="utf-8"))
    return Emulator(address=declared["environments"][world.environment]["aws"][0]["endpoint_url"])


def secrets_in(world: DemoWorld) -> dict[str, str]:
    """Every secret value that the emulated accounts hold, or that the audit is given, by where it lies."""
    emulator = emulator_of(world)
    found = {name: value for name, value in world.environ.items() if re.search("_PASSWORD$|_TOKEN$|^DATADOG_", name)}
    for account in (PRODUCTION, STAGING):
        operator = emulator.operator(account, REGION)
        store, ecs = operator("secretsmanager"), operator("ecs")
        for secret in store.list_secrets()["SecretList"]:
            text = store.get_secret_value(SecretId=secret["Name"])["SecretString"]
            fields = json.loads(text) if text.startswith("{") else {"": text}
            found.update({f"{secret['Name']} {name}": value for name, value in fields.items() if name != "orgId"})
        for arn in ecs.list_task_definitions()["taskDefinitionArns"]:
            for container in ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]:
                found.update(
                    {
                        f"{container['name']} {variable['name']}": variable["value"]
                        for variable in container["environment"]
                        if "SECRET" in variable["name"]
                    }
                )
    return found


@contextlib.contextmanager
def recorded_requests(world: DemoWorld, folder: Path) -> Iterator[Counter[tuple[str, ...]]]:
    """Counts what the emulated AWS is asked meanwhile; filled at exit. Key: caller, region, address, target, body."""
    counted: Counter[tuple[str, ...]] = Counter()
    with contextlib.chdir(folder):
        _control(world, "reset-recording")
        _control(world, "start-recording")
        try:
            yield counted
        finally:
            _control(world, "stop-recording")
            for line in _control(world, "download-recording").splitlines():
                counted[_identity(json.loads(line))] += 1


def _control(world: DemoWorld, action: str) -> str:
    place = urllib.parse.urlsplit(emulator_of(world).address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET" if action.startswith("download") else "POST", f"/moto-api/recorder/{action}")
        answer = connection.getresponse()
        assert answer.status == 200, f"{action}: {answer.status}"
        return answer.read().decode()


def _identity(request: dict[str, Any]) -> tuple[str, ...]:
    headers = {name.lower(): value for name, value in request["headers"].items()}
    scope = headers.get("authorization", "").partition("Credential=")[2].partition(",")[0].split("/")
    body = base64.b64decode(request["body"] or "") if request["body_encoded"] else (request["body"] or "").encode()
    caller, region, service = (scope[0], scope[2], scope[3]) if len(scope) > 3 else ("", "", "")
    target = headers.get("x-amz-target", "")
    return (caller, region, service, request["method"], request["url"], target, body.decode(errors="replace"))
