"""Logs, sampled and classified here: what leaves is kinds and counts, never an event.

The newest events come first, spread over windows of time, bounded in number and bytes. Each value that is found is
struck from every output before it is forgotten.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from quub_audit.connectors.base import Ledger, Question, seconds_left
from quub_audit.connectors.found_files import FoundFile, NotRead, find_files
from quub_audit.connectors.log_detector import find_hits
from quub_audit.connectors.log_files import read_tail
from quub_audit.connectors.log_text import MAX_CHARACTERS, Hit
from quub_audit.errors import Malformed
from quub_audit.facts.logs import LogSample, PiiKind, Sighting
from quub_audit.facts.seal import Sealer, is_ordinary
from quub_audit.model.environment import LogSource, Region

MAX_PAGES = 25
"""Of one window; most of them may be empty where events are rare."""

MAX_STRUCK = 2000
"""Values of one run that are struck from outputs; what leaves holds none of them anyway."""

MAX_FORMS = 1000
"""Of events that are told apart."""

_VARYING = re.compile(r"[0-9A-Fa-f-]{0,40}\d[0-9A-Fa-f.:-]{0,40}")
"""Numbers, times and ids."""

_LIMIT = 10_000
"""Most events that CloudWatch Logs gives in one page."""


class LogPages(Protocol):
    """Asks `logs.FilterLogEvents`, page by page."""

    def __call__(self, region: Region, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        """Pages, each asked for when it is wanted."""


class LogsConnector:
    """Implements `quub_audit.facts.asking.Logs`. `at` is the time of the audit: the end of the newest window."""

    def __init__(self, ledger: Ledger, sealer: Sealer, *, log_pages: LogPages, at: datetime) -> None:
        self._ledger = ledger
        self._striker = _Striker(sealer)
        self._log_pages = log_pages
        self._at = at

    def sample_group(
        self, region: Region, group: str, *, window_h: float, slices: int, max_events: int, max_bytes: int
    ) -> LogSample:
        """Events of one group of CloudWatch Logs, spread over `slices` windows of the last `window_h` hours.

        What one window leaves of its share of the bounds is for the older ones. Masked parts stay masked.
        Raises as `Aws.ask`; Denied names logs:FilterLogEvents.
        """
        bounds = _Bounds(max_events=max_events, max_bytes=max_bytes)
        asked = {
            "logGroupName": group,
            "window_h": window_h,
            "slices": slices,
            "max_events": max_events,
            "max_bytes": max_bytes,
        }

        def sample() -> LogSample:
            tally = _Tally(self._striker)
            windows = 0
            for start, end, left in _windows(self._at, window_h, slices):
                if bounds.are_used_up(tally):
                    tally.is_cut = True
                    break
                self._sample_window(region, group, (start, end), bounds.share(tally, left), tally)
                windows += 1
            return tally.sample(group, windows)

        return self._ledger.ask(Question.about("logs", str(region), "logs.FilterLogEvents", asked), sample)

    def sample_files(self, source: LogSource, *, max_events: int, max_bytes: int) -> tuple[LogSample, ...]:
        """One sample per file that `source.files` matches, the newest file and the newest lines first.

        The bounds are for all files together; every file is looked at for a line or more.
        Raises Absent when a glob matches nothing, Malformed when globs are no logs' (see `log_files`), TimedOut.
        """
        asked = {"files": source.files, "max_events": max_events, "max_bytes": max_bytes}

        def sample() -> tuple[LogSample, ...]:
            files = find_files(source.files, target=str(source), key="logs.files")
            bounds = _Bounds(max_events=max_events, max_bytes=max_bytes)
            whole = _Spent()
            samples = []
            for position, file in enumerate(files):
                share = bounds.share(whole, len(files) - position)
                found = self._sample_file(file, share)
                whole.events += found.events
                whole.bytes_read += found.bytes_read
                samples.append(found)
            return tuple(samples)

        return self._ledger.ask(Question.about("logs", source.name, "lines of files", asked), sample)

    def _sample_window(
        self, region: Region, group: str, window: tuple[int, int], share: _Bounds, tally: _Tally
    ) -> None:
        begun = _Spent(events=tally.events, bytes_read=tally.bytes_read)
        pages = self._log_pages(
            region,
            logGroupName=group,
            startTime=window[0],
            endTime=window[1],
            limit=min(share.max_events, _LIMIT),
        )
        for number, page in enumerate(pages, start=1):
            events = page.get("events") or []
            if not isinstance(events, list):
                raise Malformed(f"{region}: the answer to logs.FilterLogEvents of {group} holds no list of events")
            for position, event in enumerate(events):
                tally.add_event(event)
                spent = _Spent(events=tally.events - begun.events, bytes_read=tally.bytes_read - begun.bytes_read)
                if share.are_used_up(spent):
                    tally.is_cut = tally.is_cut or position + 1 < len(events) or bool(page.get("nextToken"))
                    # Whether there is more is not worth another page: a window that filled its share is cut.
                    tally.is_cut = tally.is_cut or spent.events >= share.max_events
                    return
            if number == MAX_PAGES:
                tally.is_cut = True
                return

    def _sample_file(self, file: FoundFile, share: _Bounds) -> LogSample:
        tally = _Tally(self._striker)
        name = plain_place(str(file.path))
        try:
            tail = read_tail(file, max_lines=share.max_events, max_bytes=share.max_bytes)
        except NotRead as error:
            return LogSample(source=name, events=0, bytes_read=0, slices=0, unread=str(error))
        for line, number in zip(tail.lines, tail.numbers, strict=True):
            where = f"{name}, line {number} from the end" if tail.is_from_end else f"{name}:{number}"
            tally.add(line, at=_time_in(line), place=where, is_plain=True)
        tally.bytes_read = tail.bytes_read
        tally.is_cut = tally.is_cut or tail.is_cut
        return tally.sample(name, 1)


@dataclass(slots=True, kw_only=True)
class _Spent:
    events: int = 0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    max_events: int
    max_bytes: int

    def are_used_up(self, spent: _Spent | _Tally) -> bool:
        return spent.events >= self.max_events or spent.bytes_read >= self.max_bytes

    def share(self, spent: _Spent | _Tally, parts: int) -> _Bounds:
        """What one of `parts` equal parts of the rest may take; an event, and a line's worth of bytes, at least."""
        return _Bounds(
            max_events=max(1, -(-(self.max_events - spent.events) // parts)),
            max_bytes=max(4096, -(-(self.max_bytes - spent.bytes_read) // parts)),
        )


@dataclass(slots=True)
class _Seen:
    count: int = 0
    at: datetime | None = None
    place: str = ""


@dataclass(slots=True)
class _Tally:
    """What the events so far come to."""

    striker: _Striker
    events: int = 0
    bytes_read: int = 0
    is_cut: bool = False
    seen: dict[tuple[PiiKind, str], _Seen] = field(default_factory=dict)
    forms: set[int] = field(default_factory=set)
    """Hashes, so that nothing of an event is kept."""

    def add_event(self, event: Any) -> None:
        """One event of CloudWatch Logs. Raises Malformed for what is none."""
        message = event.get("message") if isinstance(event, Mapping) else None
        if not isinstance(message, str):
            raise Malformed("an event of logs.FilterLogEvents holds no message")
        self.bytes_read += len(message.encode("utf-8", "surrogatepass"))
        self.add(message, at=_time_of(event.get("timestamp")), place=str(event.get("logStreamName") or ""))

    def add(self, text: str, *, at: datetime | None, place: str, is_plain: bool = False) -> None:
        """Count what `text` holds, once per kind and reason."""
        seconds_left()
        self.events += 1
        self.is_cut = self.is_cut or len(text) > MAX_CHARACTERS
        if len(self.forms) < MAX_FORMS:
            self.forms.add(hash(_VARYING.sub("", text[:400])))
        hits = find_hits(text)
        self.striker.strike(hits)
        for kind, detail in dict.fromkeys((hit.kind, hit.detail) for hit in hits):
            seen = self.seen.setdefault((kind, detail), _Seen())
            seen.count += 1
            is_newest = seen.count == 1 or (at is not None and (seen.at is None or at > seen.at))
            if is_newest:
                seen.at, seen.place = at, place if is_plain else plain_place(place)

    def sample(self, source: str, slices: int) -> LogSample:
        """The fact, most frequent sightings first."""
        sightings = [
            Sighting(kind=kind, count=seen.count, first_at=seen.at, place=seen.place, detail=detail)
            for (kind, detail), seen in self.seen.items()
        ]
        return LogSample(
            source=source,
            events=self.events,
            bytes_read=self.bytes_read,
            slices=slices,
            sightings=tuple(sorted(sightings, key=lambda each: (-each.count, each.kind, each.detail))),
            is_cut=self.is_cut,
            forms=len(self.forms),
        )


class _Striker:
    """Strikes values from every output, a bounded number of them: each makes the redactor's work longer."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._struck: set[str] = set()
        self._lock = threading.Lock()

    def strike(self, hits: tuple[Hit, ...]) -> None:
        for hit in hits:
            digest = self._sealer.seal(hit.value, is_struck=False).digest
            with self._lock:
                if digest in self._struck or len(self._struck) >= MAX_STRUCK:
                    continue
                self._struck.add(digest)
            # A word that somebody took for a password must not vanish from every report.
            if hit.kind != "password" or not is_ordinary(hit.value):
                self._sealer.redactor.add(hit.value)


_ID = re.compile(r"(?=[A-Fa-f-]{0,40}\d)[0-9A-Fa-f]{8,}(?:-[0-9A-Fa-f]{4,12}){0,4}|\d{6,}")


_ENDINGS = re.compile(r"(?:\.(?:log|gz|bz2|xz|txt|json|jsonl|out|err|old|\d{1,8})){1,4}$")


def plain_place(name: str) -> str:
    """The name of a stream or file without ids and personal data, at most 160 characters."""
    if any(find_hits(_ENDINGS.sub("", part)) for part in (name, *name.split("/"))):
        return "a name that holds personal data"
    plain = "".join(c if c.isprintable() else "?" for c in _ID.sub("\u2026", name))
    return plain if len(plain) <= 160 else f"{plain[:157]}..."


def _windows(at: datetime, window_h: float, slices: int) -> Iterator[tuple[int, int, int]]:
    """Start and end in milliseconds since 1970, both inclusive, newest first; and how many are left with it."""
    end = at
    width = timedelta(hours=window_h) / slices
    for left in range(slices, 0, -1):
        start = end - width
        yield _milliseconds(start), _milliseconds(end) - 1, left
        end = start


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _time_of(milliseconds: Any) -> datetime | None:
    if not isinstance(milliseconds, int) or not 0 <= milliseconds < 10**14:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)")


def _time_in(line: str) -> datetime | None:
    """The time that a line gives itself, where it names its zone."""
    found = _TIME.search(line, 0, 300)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[0].replace(",", ".")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
