"""A real Prometheus that watches a real Redis, through an exporter of the two counters that it is about."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from quub_audit.model.environment import PrometheusServer
from tests.worlds.redis import RedisServer, free_port, wait_until


@dataclass(frozen=True)
class RedisWatch:
    """The running Prometheus."""

    url: str

    @property
    def target(self) -> PrometheusServer:
        """As an environment would declare it."""
        return PrometheusServer(name="watch", url=self.url)

    def value(self, expression: str) -> float:
        """The one value of an instant query; 0 where there is none."""
        query = urllib.parse.urlencode({"query": expression})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/api/v1/query?{query}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0


@contextlib.contextmanager
def redis_watch(folder: Path, redis: RedisServer | None, rules: Mapping[str, str]) -> Iterator[RedisWatch]:
    """A server on a free port of 127.0.0.1, with alerting rules by name, that scrapes `redis` five times a second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    port = free_port()
    alerts = [{"alert": name, "expr": expression} for name, expression in rules.items()]
    (folder / "rules.yml").write_text(
        json.dumps({"groups": [{"name": "cache", "interval": "200ms", "rules": alerts}]} if alerts else {})
    )
    with contextlib.ExitStack() as stack:
        jobs = []
        if redis is not None:
            exporter = stack.enter_context(_exporter(redis))
            jobs.append({"job_name": "redis", "static_configs": [{"targets": [exporter]}]})
        settings: dict[str, Any] = {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
            "rule_files": ["rules.yml"],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'series'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            env={"PATH": os.environ.get("PATH", "")},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        watch = RedisWatch(f"http://127.0.0.1:{port}")
        try:
            wait_until(lambda: watch.value("vector(1)") == 1, at_most_s=40)
            yield watch
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)


@contextlib.contextmanager
def _exporter(redis: RedisServer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's own name
            pass

        def do_GET(self) -> None:
            told = str(redis.send(("INFO", "stats"))[0]).splitlines()
            fields = dict(line.partition(":")[::2] for line in told)
            lines = [f"redis_keyspace_{kind}_total {fields[f'keyspace_{kind}']}\n" for kind in ("hits", "misses")]
            body = "".join(lines).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
