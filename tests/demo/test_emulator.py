"""First requests to a service of the emulator come one at a time, all others as they like."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from quub_audit.demo.emulator import one_at_first

PATIENCE_S = 30


class Service:
    """An application that says how many of its requests are under way at once."""

    def __init__(self) -> None:
        self.most = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self.second = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            if self._under_way == 2:
                self.second.set()
        self.second.wait(timeout=environ["patience_s"])
        with self._lock:
            self._under_way -= 1
        return [b"done"]


def request(service: str, path: str = "/", *, patience_s: float = 0.05) -> dict[str, Any]:
    authorization = f"AWS4-HMAC-SHA256 Credential=AKIA/20261124/eu-central-1/{service}/aws4_request, Signature=0"
    return {"HTTP_AUTHORIZATION": authorization, "PATH_INFO": path, "patience_s": patience_s}


def send(app: Callable[..., Iterable[bytes]], *requests: dict[str, Any]) -> list[bytes]:
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda r=r: answers.extend(app(r, lambda *_: None))) for r in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=PATIENCE_S)
    return answers


def test_first_requests_to_any_service_and_below_any_path_wait_for_one_another() -> None:
    service = Service()

    answers = send(one_at_first(service), request("rds"), request("iam"), request("apigateway", "/v2/apis"))

    assert answers == [b"done"] * 3
    assert service.most == 1


def test_another_path_of_a_known_service_is_a_first_request_too() -> None:
    service = Service()
    app = one_at_first(service)
    send(app, request("apigateway", "/restapis"))

    send(app, request("apigateway", "/v2/apis"), request("apigateway", "/domainnames"))

    assert service.most == 1


def test_later_requests_wait_for_nobody() -> None:
    service = Service()
    app = one_at_first(service)
    send(app, request("rds"))

    send(app, request("rds", patience_s=PATIENCE_S), request("rds", patience_s=PATIENCE_S))

    assert service.most == 2
