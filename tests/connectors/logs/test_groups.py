"""Groups of CloudWatch Logs: windows, bounds, pages, and what the service should never send."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quub_audit.connectors.base import DEADLINE, Deadline, Ledger
from quub_audit.connectors.codec import encode
from quub_audit.connectors.logs import MAX_PAGES, LogsConnector, plain_place
from quub_audit.errors import Malformed, TimedOut
from quub_audit.facts.logs import LogSample
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Region

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
REGION = Region(account="production", name="eu-central-1")


class Service:
    """Answers as CloudWatch Logs does: the oldest first, in pages, between two times inclusive."""

    def __init__(self, events: Sequence[tuple[datetime, str]] = (), *, empty_pages: int = 0) -> None:
        self.events = sorted(events)
        self.empty_pages = empty_pages
        self.asked: list[dict[str, Any]] = []

    def pages(self, region: Region, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        self.asked.append(parameters)
        for number in range(self.empty_pages):
            yield {"events": [], "nextToken": str(number)}
        start, end, limit = parameters["startTime"], parameters["endTime"], parameters["limit"]
        found = [
            {"timestamp": int(at.timestamp() * 1000), "message": message, "logStreamName": "web/1"}
            for at, message in self.events
            if start <= int(at.timestamp() * 1000) <= end
        ]
        for begin in range(0, max(len(found), 1), limit):
            has_more = begin + limit < len(found)
            yield {"events": found[begin : begin + limit], **({"nextToken": "more"} if has_more else {})}


def sampled(service: Service, *, ledger: Ledger | None = None, **bounds: Any) -> LogSample:
    logs = LogsConnector(ledger or Ledger(), Sealer(b"salt", Redactor()), log_pages=service.pages, at=AT)
    wanted = {"window_h": 24.0, "slices": 12, "max_events": 1000, "max_bytes": 1 << 20, **bounds}
    return logs.sample_group(REGION, "app", **wanted)


def test_windows_cover_the_hours_once_the_newest_first_without_a_gap() -> None:
    service = Service()

    sample = sampled(service, slices=4)

    spans = [(each["startTime"], each["endTime"]) for each in service.asked]
    assert sample.slices == 4
    assert spans[0][1] == int(AT.timestamp() * 1000) - 1
    assert [newer[0] - older[1] for newer, older in itertools.pairwise(spans)] == [1, 1, 1]
    assert spans[0][1] + 1 - spans[-1][0] == 24 * 3600 * 1000
    assert [each for each in service.asked if "unmask" in each] == []


def test_a_busy_hour_does_not_use_up_the_share_of_the_others() -> None:
    busy = [(AT - timedelta(minutes=1, milliseconds=n), "ok") for n in range(500)]
    quiet = [(AT - timedelta(hours=23), "password=hunter2")]
    sample = sampled(Service(busy + quiet), max_events=120)

    assert sample.is_cut
    assert [(each.kind, each.count) for each in sample.sightings] == [("password", 1)]
    assert sample.events == 11  # the share of one window of twelve, and the event of another


def test_what_quiet_windows_leave_is_for_older_ones() -> None:
    old = [(AT - timedelta(hours=23, milliseconds=n), "ok") for n in range(500)]

    assert sampled(Service(old), max_events=120).events == 120


def test_bytes_are_bounded_as_events_are() -> None:
    large = [(AT - timedelta(minutes=1, milliseconds=n), "x" * 5000) for n in range(50)]
    sample = sampled(Service(large), slices=1, max_bytes=20_000)

    assert (sample.events, sample.bytes_read, sample.is_cut) == (4, 20_000, True)


def test_empty_pages_are_followed_and_endless_ones_are_left() -> None:
    events = [(AT - timedelta(minutes=1), "password=hunter2")]

    assert sampled(Service(events, empty_pages=MAX_PAGES - 1), slices=1).events == 1
    endless = sampled(Service(events, empty_pages=MAX_PAGES + 5), slices=1)
    assert (endless.events, endless.is_cut) == (0, True)


def test_events_that_differ_in_numbers_and_ids_alone_are_of_one_form() -> None:
    health = [
        (AT - timedelta(minutes=n + 1), f"GET /health 200 {n}ms id=5f2b1c9e-7d34-4a51-{n:04x}") for n in range(40)
    ]

    assert sampled(Service(health)).forms == 1
    assert sampled(Service([*health, (AT - timedelta(minutes=2), "order placed")])).forms == 2


def test_a_group_without_an_event_is_an_empty_sample_and_not_cut() -> None:
    assert sampled(Service()) == LogSample(source="app", events=0, bytes_read=0, slices=12)


def test_one_event_counts_once_for_a_kind_and_the_newest_place_is_told() -> None:
    older = (AT - timedelta(hours=5), "a.one@orders.fi b.two@orders.fi")
    newer = (AT - timedelta(minutes=5), "a.one@orders.fi")

    (sighting,) = sampled(Service([older, newer])).sightings

    assert (sighting.count, sighting.first_at, sighting.place) == (2, newer[0], "web/1")


@pytest.mark.parametrize(
    "page",
    [
        {"events": "none"},
        {"events": ["text"]},
        {"events": [{"timestamp": 1}]},
        {"events": [{"timestamp": 1, "message": b"bytes"}]},
    ],
)
def test_an_answer_of_another_shape_is_malformed(page: Mapping[str, Any]) -> None:
    class Wrong(Service):
        def pages(self, region: Region, **parameters: Any) -> Iterator[Mapping[str, Any]]:
            yield page

    with pytest.raises(Malformed, match=r"logs\.FilterLogEvents"):
        sampled(Wrong())


@pytest.mark.parametrize("timestamp", [None, -1, 10**20, "now", 1.5])
def test_an_event_without_a_sensible_time_is_read_and_has_none(timestamp: Any) -> None:
    class Timeless(Service):
        def pages(self, region: Region, **parameters: Any) -> Iterator[Mapping[str, Any]]:
            yield {"events": [{"timestamp": timestamp, "message": "password=hunter2"}]}

    (sighting,) = sampled(Timeless(), slices=1).sightings

    assert (sighting.first_at, sighting.place) == (None, "")


def test_a_group_is_asked_once_and_the_record_holds_the_sample_alone() -> None:
    ledger = Ledger()
    service = Service([(AT - timedelta(minutes=1), "user=maija@orders.fi card=4532015112830366")])

    assert sampled(service, ledger=ledger) == sampled(service, ledger=ledger)

    assert len(service.asked) == 12
    ((question, entry),) = ledger.answered()
    assert question.label == "logs.FilterLogEvents production/eu-central-1"
    assert "maija" not in str(encode(entry.answer))
    assert "4532015112830366" not in str(encode(entry.answer))


def test_the_deadline_of_the_check_ends_a_sample() -> None:
    token = DEADLINE.set(Deadline(0.0))
    try:
        with pytest.raises(TimedOut):
            sampled(Service([(AT - timedelta(minutes=1), "ok")]))
    finally:
        DEADLINE.reset(token)


def test_found_values_are_struck_from_every_output_and_words_are_not() -> None:
    redactor = Redactor()
    service = Service([(AT - timedelta(minutes=1), "user=maija@orders.fi DB_PASSWORD=production")])
    logs = LogsConnector(Ledger(), Sealer(b"salt", redactor), log_pages=service.pages, at=AT)

    logs.sample_group(REGION, "app", window_h=1, slices=1, max_events=10, max_bytes=4096)

    assert redactor.clean("maija@orders.fi in production") == "[redacted] in production"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ecs/web/0f3c9b1a7d2e4f609a1b2c3d4e5f6071", "ecs/web/…"),
        ("2026/11/24/[$LATEST]0f3c9b1a7d2e4f609a1b2c3d4e5f6071", "2026/11/24/[$LATEST]…"),
        ("i-0abc1234def567890", "i-…"),
        ("web/1", "web/1"),
        ("users/maija@orders.fi", "a name that holds personal data"),
        ("a\x1b[31mb\n", "a?[31mb?"),
        ("feedback", "feedback"),
    ],
)
def test_places_are_told_without_ids_people_and_control_characters(name: str, told: str) -> None:
    assert plain_place(name) == told
