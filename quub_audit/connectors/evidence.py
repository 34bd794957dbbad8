"""The evidence bundle: every question of a run with its answer, as gzipped JSON lines."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from quub_audit.connectors.base import Entry, Ledger, Question
from quub_audit.connectors.codec import decode, encode, known
from quub_audit.errors import Malformed, Reportable
from quub_audit.facts.seal import Redactor
from quub_audit.model.environment import Environment

FORMAT = "quub-audit/evidence/1"

LARGEST_BYTES = 1 << 30
"""Of a bundle when unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A recorded run: what was asked, and what it was asked for."""

    ledger: Ledger
    recorded_at: datetime
    """The audit's own time: a replay judges ages as of then."""
    environment: Environment
    """What was audited, its tokens left out."""
    commit: str


def digest(ledger: Ledger, redactor: Redactor) -> tuple[str, int]:
    """`sha256:` over every line that a bundle would hold, and the number of questions."""
    whole = hashlib.sha256()
    count = 0
    for line in _lines(ledger, redactor):
        whole.update(line.encode())
        count += 1
    return f"sha256:{whole.hexdigest()}", count


def write_bundle(
    path: Path, ledger: Ledger, redactor: Redactor, *, environment: Environment, recorded_at: datetime, commit: str
) -> None:
    """Write a bundle that holds no known secret, atomically. Raises OSError when it cannot be written."""
    head = {
        "format": FORMAT,
        "recorded_at": recorded_at.isoformat(),
        "commit": commit,
        "environment": encode(_without_credentials(environment, frozenset(environment.credentials))),
    }
    unfinished = path.with_name(path.name + ".part")
    try:
        with unfinished.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
            file.write((redactor.clean(json.dumps(head, sort_keys=True)) + "\n").encode())
            for line in _lines(ledger, redactor):
                file.write((line + "\n").encode())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_bundle(path: Path) -> Bundle:
    """Read a bundle. Raises Malformed for a file that is none, truncated, or over 1 GiB unpacked."""
    try:
        with gzip.open(path, "rb") as file:
            lines = _bounded_lines(file, path)
            head = json.loads(next(lines, b"null"))
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise Malformed(f"{path}: not an evidence bundle of this version; expected {FORMAT}")
            entries = dict(_entry(json.loads(line)) for line in lines)
            return Bundle(
                ledger=Ledger(recorded=entries),
                recorded_at=datetime.fromisoformat(head["recorded_at"]),
                environment=decode(head["environment"]),
                commit=head["commit"],
            )
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{path}: the evidence bundle cannot be read: {error}") from error


def _without_credentials(value: Any, credentials: frozenset[str]) -> Any:
    """A copy of a declaration in which no field holds one of `credentials`."""
    if isinstance(value, str) and value in credentials:
        return ""
    if isinstance(value, tuple):
        return tuple(_without_credentials(part, credentials) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: getattr(value, each.name) for each in fields(value)}
        return replace(value, **{name: _without_credentials(part, credentials) for name, part in parts.items()})
    return value


def _bounded_lines(file: Iterable[bytes], path: Path) -> Iterator[bytes]:
    total = 0
    for line in file:
        total += len(line)
        if total > LARGEST_BYTES:
            raise Malformed(f"{path}: over {LARGEST_BYTES >> 30} GiB when unpacked; no bundle of ours is")
        yield line


def _lines(ledger: Ledger, redactor: Redactor) -> Iterator[str]:
    for question, entry in ledger.answered():
        line: dict[str, Any] = {"question": encode(question_parts(question)), "attempts": entry.attempts}
        if entry.error is not None:
            error = entry.error
            line["error"] = [type(error).__name__, error.message, error.next_step]
        else:
            line["answer"] = encode(entry.answer)
        yield redactor.clean(json.dumps(line, sort_keys=True, ensure_ascii=False))


def question_parts(question: Question) -> list[str]:
    """As a bundle spells it: connector, target, name, arguments."""
    return [question.connector, question.target, question.name, question.arguments]


def _entry(line: dict[str, Any]) -> tuple[Question, Entry[Any]]:
    connector, target, name, arguments = line["question"]
    entry: Entry[Any] = Entry(attempts=line["attempts"])
    if "error" in line:
        kind, message, next_step = line["error"]
        error = known(kind)
        if not (isinstance(error, type) and issubclass(error, Reportable)):
            raise Malformed(f"the evidence bundle names {kind!r} as an error")
        entry.error = error(message, next_step=next_step)
    else:
        entry.answer = decode(line["answer"])
    entry.is_answered.set()
    return Question(connector=connector, target=target, name=name, arguments=arguments), entry
