"""Two real Prometheus servers, each with a real Alertmanager: one pair as it should be, one as it should not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quub_audit.model.environment import AlertmanagerServer, PrometheusServer

PROGRAMS = ("prometheus", "prometheus-alertmanager")
HOOK_SECRET = "hook-secret-of-the-test-world"

GOOD_RULES = {
    "TooManyErrors": 'sum(rate(prometheus_http_requests_total{code=~"5.."}[1m])) > 0.1',
    "Slow": "histogram_quantile(0.99, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[1m]))) > 2",
    "Down": "up == 0",
    "Full": "process_open_fds / process_max_fds > 0.8",
}
POOR_RULES = {
    "Ambiguous": "up == on (job) prometheus_http_requests_total",
    "Slow": "histogram_quantile(0.99, sum by (le) (rate(request_seconds_bucket_of_nobody[1m]))) > 2",
    "Full": "process_open_fds / process_max_fds > 0.8",
}
GOOD_ROUTES: Mapping[str, Any] = {
    "route": {"receiver": "team", "routes": [{"receiver": "nobody", "matchers": ['alertname="Watchdog"']}]},
    "receivers": [
        {"name": "team", "webhook_configs": [{"url": f"http://127.0.0.1:1/{HOOK_SECRET}"}]},
        {"name": "nobody"},
        {"name": "forgotten", "webhook_configs": [{"url": "http://127.0.0.1:1/"}]},
    ],
}
POOR_ROUTES: Mapping[str, Any] = {
    "route": {"receiver": "nobody"},
    "receivers": [
        {"name": "nobody"},
        {"name": "team", "webhook_configs": [{"url": "http://127.0.0.1:1/"}]},
    ],
}


@dataclass(frozen=True)
class Watch:
    """One pair; the methods are the operator's."""

    name: str
    prometheus_url: str
    alertmanager_url: str

    @property
    def prometheus(self) -> PrometheusServer:
        """The target as an environment would declare it."""
        return PrometheusServer(name=self.name, url=self.prometheus_url)

    @property
    def alertmanager(self) -> AlertmanagerServer:
        """The target as an environment would declare it."""
        return AlertmanagerServer(name=f"{self.name}-pager", url=self.alertmanager_url)

    def silence(self, matchers: Mapping[str, str], *, minutes: float = 60) -> None:
        """Mute what matches all these regular expressions, by label."""
        now = datetime.now(UTC)
        wanted = [{"name": name, "value": value, "isRegex": True, "isEqual": True} for name, value in matchers.items()]
        body = {
            "matchers": wanted,
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=minutes)).isoformat(),
            "createdBy": "somebody@example.com",
            "comment": "for the test",
        }
        request = urllib.request.Request(f"{self.alertmanager_url}/api/v2/silences", data=json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with _open(request) as answer:
            answer.read()


@dataclass(frozen=True)
class Watches:
    """Both pairs."""

    good: Watch
    poor: Watch
    """A rule that fails, one without data, two vital signs without any; nobody is told, and a silence mutes it all."""


@contextlib.contextmanager
def watches(folder: Path) -> Iterator[Watches]:
    """Both pairs on free ports of 127.0.0.1, ready to be asked, ended at exit. Skips where they are not installed."""
    if not all(shutil.which(program) for program in PROGRAMS):
        pytest.skip("Prometheus and Alertmanager are not installed: see .ci/system-packages")
    with contextlib.ExitStack() as stack:
        good = stack.enter_context(_pair(folder / "good", GOOD_RULES, GOOD_ROUTES, is_sending=True))
        poor = stack.enter_context(_pair(folder / "poor", POOR_RULES, POOR_ROUTES, is_sending=False))
        _wait_until(lambda: bool(_get(f"{poor.alertmanager_url}/api/v2/status")))
        poor.silence({"alertname": ".+"})
        poor.silence({"alertname": "Full"})
        # Alertmanagers are discovered five seconds after the start, at the earliest.
        _wait_until(lambda: bool(_data(good, "alertmanagers")["activeAlertmanagers"]))
        _wait_until(lambda: _healths(good) == {"ok"} and _healths(poor) == {"ok", "err"})
        yield Watches(good=good, poor=poor)


@contextlib.contextmanager
def remembering(
    folder: Path, series: Iterable[tuple[str, Iterable[tuple[float, float]]]]
) -> Iterator[PrometheusServer]:
    """A server that scrapes nothing and remembers `series`: a name with labels, and seconds since 1970 with values.

    Each name of a metric has to stand in one run, as OpenMetrics wants it. Skips where it is not installed.
    """
    if not all(shutil.which(program) for program in ("prometheus", "promtool")):
        pytest.skip("Prometheus is not installed: see .ci/system-packages")
    lines = [f"{name} {value:g} {at:.0f}" for name, points in series for at, value in points]
    (folder / "series.txt").write_text("\n".join([*lines, "# EOF", ""]))
    block = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        str(folder / "series.txt"),
        str(folder / "series"),
    ]
    subprocess.run(block, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)
    _write(folder / "prometheus.yml", {})
    place = f"127.0.0.1:{_free_port()}"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={place}",
    ]
    with _running(command, folder / "prometheus.log"):
        _wait_until(lambda: bool(_get(f"http://{place}/api/v1/query?query=1")))
        yield PrometheusServer(name="watch", url=f"http://{place}")


@contextlib.contextmanager
def _pair(folder: Path, rules: Mapping[str, str], routes: Mapping[str, Any], *, is_sending: bool) -> Iterator[Watch]:
    folder.mkdir()
    own, manager = f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}"
    alerting = [
        {"alert": name, "expr": expression, "labels": {"severity": "page"}} for name, expression in rules.items()
    ]
    recording = {"record": "job:up:sum", "expr": "sum by (job) (up)"}
    _write(folder / "rules.yml", {"groups": [{"name": "vital", "rules": [*alerting, recording]}]})
    sending = {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]}
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [{"job_name": "watch", "static_configs": [{"targets": [own]}]}],
        **({"alerting": sending} if is_sending else {}),
    }
    _write(folder / "prometheus.yml", configuration)
    _write(folder / "alertmanager.yml", routes)
    prometheus = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address={own}",
    ]
    alertmanager = [
        "prometheus-alertmanager",
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alerts'}",
        f"--web.listen-address={manager}",
        "--cluster.listen-address=",
    ]
    with _running(alertmanager, folder / "alertmanager.log"), _running(prometheus, folder / "prometheus.log"):
        yield Watch(folder.name, f"http://{own}", f"http://{manager}")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content))  # YAML holds JSON


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    environ = {"PATH": os.environ.get("PATH", ""), "HOME": str(log.parent)}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=15)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _open(request: urllib.request.Request) -> Any:
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)


def _get(url: str) -> Any:
    with _open(urllib.request.Request(url)) as answer:
        return json.loads(answer.read())


def _data(watch: Watch, name: str) -> Any:
    return _get(f"{watch.prometheus_url}/api/v1/{name}")["data"]


def _healths(watch: Watch) -> set[str]:
    """Of all rules, once there is something that they look at."""
    requests = _get(f"{watch.prometheus_url}/api/v1/query?query=prometheus_http_requests_total")["data"]["result"]
    rules = [rule for group in _data(watch, "rules")["groups"] for rule in group["rules"]]
    return {rule["health"] for rule in rules} if requests else set()


def _wait_until(is_so: Callable[[], bool], *, at_most_s: float = 60.0) -> None:
    ends_at = time.monotonic() + at_most_s
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if is_so():
                return
        if time.monotonic() > ends_at:
            raise TimeoutError(f"Prometheus and Alertmanager were not ready in {at_most_s:.0f} s")
        time.sleep(0.25)
