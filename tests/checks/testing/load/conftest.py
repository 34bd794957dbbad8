"""One Prometheus that remembers the days on which the runs of these tests were."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest

from quub_audit.parsers import chaos, load
from quub_audit.sdk import PrometheusServer
from tests.checks.testing.load.runs import BEGIN_MS
from tests.parsers.sources import recorded
from tests.worlds.prometheus import remembering

SOAK_S = BEGIN_MS // 1000
DAY_S = 87_000
Series = tuple[str, Callable[[float], float | None], float, float, int]
"""A name with labels, values by seconds since 1970, and first, last and step of these."""


def _containers() -> Iterator[Series]:
    """Of a day in which one namespace is sound, and the others are as their names say."""
    ended = SOAK_S + DAY_S
    memory: dict[str, Callable[[float], float | None]] = {
        "sound": lambda at: 1e8 + at % 7000 * 100,
        "crashing": lambda at: 1e8,
        "growing": lambda at: 1e8 * (1 + 0.02 * (at - SOAK_S) / 3600),
        "first": lambda at: 1e8 if at < SOAK_S + DAY_S / 2 else None,
        "second": lambda at: 1e8 if at > SOAK_S + DAY_S / 2 else None,
    }
    for name, value in memory.items():
        labels = f'namespace="{"replaced" if name in ("first", "second") else name}",pod="{name}-1",container="web"'
        yield f"container_memory_working_set_bytes{{{labels}}}", value, SOAK_S, ended, 120
    for name in memory:
        labels = f'namespace="{"replaced" if name in ("first", "second") else name}",pod="{name}-1",container="web"'
        crashed_at = SOAK_S + 40_000 if name == "crashing" else math.inf
        yield f"kube_pod_container_status_restarts_total{{{labels}}}", _twice_from(crashed_at), SOAK_S, ended, 120


def _twice_from(moment: float) -> Callable[[float], float]:
    return lambda at: 3.0 if at > moment else 1.0


def _requests() -> Iterator[Series]:
    """Around the kept run of JMeter: one counter rose by what it sent, one did not; one had a busier hour before."""
    (run,) = load.read(recorded("jmeter-5.6.3-results.jtl"))
    assert run.started_at is not None
    at = run.started_at.timestamp()
    yield 'http_requests_total{job="orders"}', lambda now: 1000 + 220 * (now > at + 6), at - 7200, at + 600, 15
    yield 'http_requests_total{job="cached"}', lambda now: 1000, at - 7200, at + 600, 15
    busy = (lambda now: 1000 + 30 * min(max(now - at + 3600, 0), 900) + 220 * (now > at + 6)), at - 7200, at + 600, 15
    yield 'http_requests_total{job="busy"}', *busy


def _breakers() -> Iterator[Series]:
    """From the minute in which the kept journal's fault was done: when each breaker is in which state."""
    (done,) = chaos.read(recorded("chaostoolkit-1.44.0-journal.json"))
    assert done.fault_at is not None
    at = done.fault_at.timestamp() // 5 * 5
    shut = {"closed": [(135, 999)], "open": [(10, 60), (65, 125)], "half_open": [(60, 65), (125, 135)]}
    stories = {
        "sound": shut,
        "late": {**shut, "open": [(45, 125)]},
        "stuck": {"open": [(10, 999)], "half_open": [], "closed": []},
        "lost": {"open": [(10, 100)], "half_open": [], "closed": []},
        "idle": {"closed": [(0, 999)], "open": [], "half_open": []},
        "blinking": {"closed": [(130, 999)], "open": [(10, 130)], "half_open": []},
    }
    for name, story in stories.items():
        for state, times in story.items():

            def value(now: float, times: list[tuple[int, int]] = times) -> float:
                return float(any(begin <= now - at < end for begin, end in times))

            yield f'resilience4j_circuitbreaker_state{{name="{name}",state="{state}"}}', value, at, at + 600, 5


@pytest.fixture(scope="session")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    def points(series: Series) -> Iterator[tuple[float, float]]:
        _, value, begin, end, step = series
        for at in range(int(begin), int(end), step):
            found = value(at)
            if found is not None:
                yield at, found

    series = [*sorted(_containers()), *_requests(), *_breakers()]
    with remembering(tmp_path_factory.mktemp("remembered"), ((each[0], points(each)) for each in series)) as server:
        yield server
