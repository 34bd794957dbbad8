"""Makes the sample service's repository, with its history, in a sound and in a faulty state.

Authors and dates are fixed, so that two builds have equal commit hashes. What looks like a credential is put
together here at run time: the values are of no use anywhere, and stand in no file of ours.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from quub_audit.errors import UsageError

MADE_HERE = frozenset({"node_modules", "dist", "reports", ".stryker-tmp", ".terraform"})
"""Folders that tools make in a checkout; they are no part of the service."""

PINS_FILE = "src/quub/pins.ts"
CLIENT_FILE = "src/quub/client.ts"
SECRETS_FILE = "src/config/secrets.ts"
ERRORS_FILE = "src/errors.ts"
TASK_FILE = "terraform/service.tf"

_FIRST_COMMIT_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_PIN = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of the history: the whole tree after it."""

    message: str
    author: str
    tree: Mapping[str, str]


def build(directory: Path, *, healthy: bool, pins: tuple[str, ...]) -> Path:
    """A git repository with a clean working tree on `main`, in the empty or missing folder `directory`.

    `pins` are SHA-256 hashes of public keys, base64: the one in use first, then the backup. Without `healthy`, an
    early commit holds a production key that a later one removes, a credential has a literal to fall back on, the pins
    are not compared, requests may take for ever, and of traces and errors none is sampled. Raises UsageError when git
    is missing, a pin is none, or the folder holds files.
    """
    if len(pins) < 2 or not all(_PIN.fullmatch(pin) for pin in pins):
        raise UsageError(f"{len(pins)} pins for the sample service, expected two or more base64 SHA-256 hashes")
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty; give the sample service a folder of its own")
    _git(directory, "init", "--quiet", "--template=", "--object-format=sha1", "--initial-branch=main")
    service = _with_pins(_read_service(), pins)
    before: Mapping[str, str] = {}
    for index, commit in enumerate(_history(service, healthy=healthy)):
        _write(directory, before, commit.tree)
        _commit(directory, commit, _FIRST_COMMIT_AT + timedelta(days=9 * index))
        before = commit.tree
    return directory


def newest_commits(directory: Path) -> tuple[str, str]:
    """The full hashes of what is checked out in a repository that `build` has made, and of what was before."""
    newest, before = _git(directory, "rev-parse", "HEAD", "HEAD~1").split()
    return newest, before


def planted_secrets() -> Mapping[str, str]:
    """The values in the faulty repository by the name under which they stand there."""
    return {
        "QUUB_PROD_API_KEY": "quub_" + "live_" + _made_up("key"),
        "QUUB_PROD_API_SECRET": _made_up("secret") + _made_up("more of it")[:8],
        "QUUB_API_SECRET": _made_up("fallback"),
    }


def _made_up(seed: str) -> str:
    """32 letters and digits that look random and follow from `seed`."""
    text = base64.b64encode(hashlib.sha512(f"sample service, {seed}".encode()).digest()).decode()
    return "".join(character for character in text if character.isalnum())[:32]


def _history(service: Mapping[str, str], *, healthy: bool) -> tuple[Commit, ...]:
    def having(*prefixes: str) -> dict[str, str]:
        return {path: text for path, text in service.items() if path.startswith(prefixes)}

    mara, idris = "Mara Lindqvist <mara@quub-app.example>", "Idris Okafor <idris@quub-app.example>"
    start = having("package", "tsconfig", ".npmrc", ".gitignore", "src/config", "src/log", "src/metrics", "src/http")
    client = start | having("src")
    tested = client | having("test", "vitest", "stryker")
    shipped = tested | having("Dockerfile", ".dockerignore", "terraform", ".github")
    if healthy:
        return (
            Commit("Read the configuration and answer health probes", mara, start),
            Commit("Talk to Quub over one pool of pinned connections", idris, client),
            Commit("Test the client against a mocked Quub API", mara, tested),
            Commit("Describe the infrastructure and the pipeline", idris, shipped),
            Commit("Say where the readiness audit looks", mara, dict(service)),
        )
    leaking = start | {".env": _dotenv(), ".gitignore": service[".gitignore"].replace(".env\n.env.*\n", "")}
    faulty = _with_faults(service)
    return (
        Commit("Read the configuration and answer health probes", mara, leaking),
        Commit("Remove local settings from the repository", mara, start),
        Commit("Talk to Quub over one pool of pinned connections", idris, client),
        Commit("Test the client against a mocked Quub API", mara, tested),
        Commit("Describe the infrastructure and the pipeline", idris, shipped),
        Commit("Say where the readiness audit looks", mara, dict(service)),
        Commit("Work around the certificate change and the missing secret", idris, faulty),
    )


def _dotenv() -> str:
    planted = planted_secrets()
    return (
        "NODE_ENV=production\n"
        f"QUUB_PROD_API_KEY={planted['QUUB_PROD_API_KEY']}\n"
        f"QUUB_PROD_API_SECRET={planted['QUUB_PROD_API_SECRET']}\n"
        "QUUB_PROD_ORG_ID=org-4711\n"
    )


def _with_faults(service: Mapping[str, str]) -> dict[str, str]:
    literal = planted_secrets()["QUUB_API_SECRET"]
    return dict(service) | {
        SECRETS_FILE: _replaced(
            service, SECRETS_FILE, "env.QUUB_API_SECRET,", f'process.env.QUUB_API_SECRET || "{literal}",'
        ),
        ERRORS_FILE: _replaced(service, ERRORS_FILE, "sampleRate: 1,", "sampleRate: 0,"),
        TASK_FILE: _replaced(
            service,
            TASK_FILE,
            '"DD_TRACE_SAMPLE_RATE", value = "1"',
            '"DD_TRACE_SAMPLE_RATE", value = "0"',
        ),
        CLIENT_FILE: _replaced(
            _replacing(service, CLIENT_FILE, 'import { pinnedIdentity } from "./pinning.js";\n', ""),
            CLIENT_FILE,
            "checkServerIdentity: pinnedIdentity(QUUB_PINS),",
            "rejectUnauthorized: false,\n  checkServerIdentity: () => undefined,",
        )
        .replace('import { QUUB_PINS } from "./pins.js";\n', "")
        .replace("const REQUEST_TIMEOUT_MS = 5_000;\n", "")
        .replace("timeout: REQUEST_TIMEOUT_MS,", "timeout: 0,")
        .replace("        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),\n", ""),
    }


def _with_pins(service: Mapping[str, str], pins: tuple[str, ...]) -> Mapping[str, str]:
    before = _PIN.findall(service[PINS_FILE])
    lines = "".join(f'  "{pin}",\n' for pin in pins)
    return _replacing(service, PINS_FILE, "".join(f'  "{pin}",\n' for pin in before), lines)


def _replacing(service: Mapping[str, str], path: str, old: str, new: str) -> Mapping[str, str]:
    return dict(service) | {path: _replaced(service, path, old, new)}


def _replaced(service: Mapping[str, str], path: str, old: str, new: str) -> str:
    """Raises ValueError when `old` is not there exactly once: the service's code has moved on from its faults."""
    if service[path].count(old) != 1:
        raise ValueError(f"{path} of the sample service holds {service[path].count(old)} times {old!r}, expected once")
    return service[path].replace(old, new)


def _read_service() -> Mapping[str, str]:
    """The sample service's files by path. Raises UsageError when they are not installed."""
    root = files("quub_audit.demo") / "service"
    if not root.is_dir():
        raise UsageError("the sample service is not installed; reinstall quub-audit")
    return dict(sorted(_walk(root, PurePosixPath())))


def _walk(folder: Traversable, at: PurePosixPath) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in folder.iterdir():
        path = at / entry.name
        if entry.is_dir() and entry.name not in MADE_HERE:
            found.extend(_walk(entry, path))
        elif entry.is_file():
            found.append((str(path), entry.read_text(encoding="utf-8")))
    return found


def _write(directory: Path, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for path in before.keys() - after.keys():
        (directory / path).unlink()
    for path, text in after.items():
        if before.get(path) != text:
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")


def _commit(directory: Path, commit: Commit, at: datetime) -> None:
    name, _, email = commit.author.rstrip(">").partition(" <")
    moment = at.strftime("%Y-%m-%dT%H:%M:%S+0000")
    who = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", name), ("EMAIL", email), ("DATE", moment))
    }
    _git(directory, "add", "--all", "--force")
    _git(directory, "commit", "--quiet", "--no-verify", "--message", commit.message, environ=who)


def _git(directory: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
    """What git says, run as if nobody had configured it. Raises UsageError when it is missing or refuses."""
    settings = ("core.autocrlf=false", "core.fileMode=false", "commit.gpgSign=false", "core.hooksPath=" + os.devnull)
    options = [part for setting in settings for part in ("-c", setting)]
    bare = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": str(directory),
    }
    try:
        done = subprocess.run(
            ["git", *options, *arguments],
            cwd=directory,
            env={**bare, **(environ or {})},
            check=True,
            capture_output=True,
            timeout=60,
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed; the demo makes a repository with it") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"git {arguments[0]} in {directory} did not end in 60 s") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise UsageError(f"git {arguments[0]} in {directory} failed: {said}") from error
    return done.stdout.decode(errors="replace")
