"""The demo's audit beside its slowest item alone, and its AWS part beside a bare script that asks the same."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.peers import Surroundings, relayed, requests_since
from bench.timing import Comparison, medians, peak_mib, process
from quub_audit.connectors.base import Question
from quub_audit.connectors.evidence import read_bundle

DELAY_MS = 50
WHOLE_LIMIT = 1.5
AWS_LIMIT = 1.3
FINGERPRINTS = "fingerprints of "
CREDENTIAL_REPORT = "iam.GetCredentialReport"
SELECTIONS = {
    "all items": ("--skip", "*.pii-masked-in-logs"),
    "keys and network": ("--only", "security.api-keys.*", "--only", "security.network.*"),
}
"""How many pages a sample of logs takes depends on what is in them, so that no script knows them beforehand."""
HOME = "us-east-1"
ANY_VERDICT = (0, 1, 3)


def command(environments: Path, out: Path, *options: str) -> tuple[str, ...]:
    """The whole command, reports included."""
    program = str(Path(sys.executable).with_name("quub-audit"))
    return (program, "run", "--env", "production", "--environments", str(environments), "--out", str(out), *options)


def audit(world: Surroundings, environments: Path, out: Path, *options: str) -> Callable[[], object]:
    return process(*command(environments, out, "-q", *options), env=world.environ, codes=ANY_VERDICT)


def compare_whole(world: Surroundings, folder: Path, rounds: int) -> Iterator[Comparison | str]:
    out = folder / "report"
    audit(world, world.environments, out)()
    ids = [item["id"] for item in json.loads((out / "result.json").read_text(encoding="utf-8"))["items"]]
    calls = {id_: audit(world, world.environments, folder / "alone", "--only", id_) for id_ in ids}
    alone = medians(calls, rounds=3)
    slowest = max(alone, key=lambda id_: alone[id_])
    taken = medians(
        {
            "whole": audit(world, world.environments, out),
            "alone": calls[slowest],
        },
        rounds=rounds,
    )
    yield Comparison(
        name=f"demo audit, all {len(ids)} items",
        seconds=taken["whole"],
        against=f"{slowest} alone",
        against_seconds=taken["alone"],
        limit=WHOLE_LIMIT,
    )
    peak = peak_mib(*command(world.environments, out), env=world.environ)
    yield f"Peak memory of the demo's audit: {peak:.0f} MiB, sslyze and the secret scanner not counted"


def compare_aws(world: Surroundings, folder: Path, rounds: int) -> Iterator[Comparison | str]:
    with relayed(world.address, delay_ms=DELAY_MS) as relay:
        environments, bundle = world.only_aws(relay), folder / "evidence.jsonl.gz"
        for name, selection in SELECTIONS.items():
            requests_since(relay)
            audit(world, environments, folder / "aws", *selection, "--record", str(bundle))()
            asked = requests_since(relay)
            yield _say_requests(name, asked)

            script = folder / "calls.json"
            script.write_text(json.dumps({"endpoint": relay, "roles": world.roles(), "calls": _calls(bundle)}))
            ideal = process(sys.executable, "-m", "bench.ideal", str(script), env=world.environ)
            ideal()
            yield _say_difference(asked, requests_since(relay))

            whole = audit(world, environments, folder / "aws", *selection)
            taken = medians({"audit": whole, "ideal": ideal}, rounds=rounds)
            yield Comparison(
                name=f"AWS part of {name}, {DELAY_MS} ms added",
                seconds=taken["audit"],
                against="bare boto3 script, 16 threads",
                against_seconds=taken["ideal"],
                limit=AWS_LIMIT,
            )


def _calls(bundle: Path) -> list[list[object]]:
    """Account, region, operation and arguments of every question to AWS that was sent."""
    calls: list[list[object]] = []
    for question, _ in read_bundle(bundle).ledger.answered():
        if question.connector == "aws":
            account, _, region = question.target.partition("/")
            operation, arguments = _sent(question)
            if operation == CREDENTIAL_REPORT:
                calls.append([account, region or HOME, "iam.GenerateCredentialReport", {}])
            calls.append([account, region or HOME, operation, arguments])
    return calls


def _sent(question: Question) -> tuple[str, dict[str, object]]:
    """The operation and arguments behind a question; that for a secret's fingerprints reads its value."""
    if question.name.startswith(CREDENTIAL_REPORT):
        return CREDENTIAL_REPORT, {}
    if not question.name.startswith(FINGERPRINTS):
        return question.name, json.loads(question.arguments or "{}")
    store, _, name = question.name.removeprefix(FINGERPRINTS).partition(":")
    if store == "ssm":
        return "ssm.GetParameter", {"Name": name, "WithDecryption": True}
    return "secretsmanager.GetSecretValue", {"SecretId": name}


def _say_requests(name: str, asked: list[str]) -> str:
    repeated = {request: times for request, times in Counter(asked).items() if times > 1}
    lines = [
        f"AWS requests of {name}: {len(asked)}, of them sent twice: {sum(repeated.values()) - len(repeated)} (want 0)"
    ]
    return "\n".join([*lines, *(f"  {times} times {request}" for request, times in sorted(repeated.items()))])


def _say_difference(audit: list[str], ideal: list[str]) -> str:
    return (
        f"AWS requests of the bare script: {len(ideal)}; the audit sends {len(audit) - len(ideal):+d} (want at most +2)"
    )
