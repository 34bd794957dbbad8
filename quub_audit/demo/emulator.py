"""An emulated AWS (moto) in this process, on a free port of 127.0.0.1: nothing of it leaves the machine.

What moto does not know is answered in front of it, by `quub_audit.demo.gaps`.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from quub_audit.demo.gaps import App, filled
from quub_audit.errors import MissingExtra

_INSTALL = "the demo emulates AWS with moto, which is not or not wholly installed; pip install 'quub-audit[demo]'"

_SETTINGS: Mapping[str, str] = {
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""500 images that nobody here looks at are not loaded, and no AWS file of the user's is read."""

_LASTING_TASKS: Mapping[str, Any] = {
    "model_name": "ecs::task",
    "transition": {"progression": "manual", "times": 1_000_000},
}
"""Tasks of ECS stay as they are, and do not end when they are looked at for the second time."""

_SERVICE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/")
_IDLE_S = 10.0
"""How long a connection may say nothing."""


def _make_session() -> Any:
    import boto3

    return boto3.Session()


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """The emulated AWS while it is up."""

    address: str
    """`http://127.0.0.1:port`, the endpoint of every service."""
    _session: Any = field(default_factory=_make_session, repr=False)
    """One for all accounts: the descriptions of services that it keeps are large."""

    def operator(self, account_id: str, region: str) -> Operator:
        """Who may do everything in an account."""
        nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody"}
        role = f"arn:aws:iam::{account_id}:role/operator"
        answer = self._client("sts", region, nobody).assume_role(RoleArn=role, RoleSessionName="demo")
        issued = {
            "aws_access_key_id": answer["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": answer["Credentials"]["SecretAccessKey"],
            "aws_session_token": answer["Credentials"]["SessionToken"],
        }
        return Operator(account_id, lambda service: self._client(service, region, issued))

    def _client(self, service: str, region: str, credentials: Mapping[str, str]) -> Any:
        """It talks to this emulator, whatever proxy and endpoints the process environment names."""
        from botocore.config import Config

        config = Config(
            proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False, retries={"total_max_attempts": 1}
        )
        return self._session.client(
            service, region_name=region, endpoint_url=self.address, config=config, **credentials
        )


class Operator:
    """Who builds one account."""

    def __init__(self, account_id: str, make_client: Callable[[str], Any]) -> None:
        self.account_id = account_id
        self._make_client = make_client
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        """The boto3 client of a service; the same one each time."""
        if service not in self._clients:
            self._clients[service] = self._make_client(service)
        return self._clients[service]


@contextlib.contextmanager
def emulated_aws() -> Iterator[Emulator]:
    """An AWS without anything in it; at exit its port is closed, and what stood in the accounts is forgotten.

    Meanwhile the process environment holds no AWS setting of the user's: the emulator reads it with each new service,
    and a profile that does not exist would break it. Raises MissingExtra when the emulator is not installed.
    """
    with _process_environment(_SETTINGS, without=("AWS_", "MOTO_")):
        server = _make_server()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            _say(server.server_port, "state-manager/set-transition", _LASTING_TASKS)
            yield Emulator(address=f"http://127.0.0.1:{server.server_port}")
        finally:
            try:
                _forget(server.server_port)
            finally:
                server.shutdown()
                thread.join()
                server.server_close()


def _make_server() -> Any:
    """A server on a port of its own that logs no request, and that waits for the last answer when it is closed."""
    if importlib.util.find_spec("openapi_spec_validator") is None:
        raise MissingExtra(_INSTALL)  # moto alone is no moto[apigateway]
    try:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
    except ImportError as error:
        raise MissingExtra(_INSTALL) from error

    class Silent(WSGIRequestHandler):
        timeout = _IDLE_S

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the base class's own name
            pass

    app = filled(one_at_first(DomainDispatcherApplication(create_backend_app)))
    server = ThreadedWSGIServer("127.0.0.1", 0, app, handler=Silent)
    server.daemon_threads = False
    return server


def one_at_first(app: App) -> App:
    """`app`, whose first requests to each service, and below each path, wait for one another.

    The emulator imports a service when it is first asked, and two such imports at once see each other half done. It
    makes its routes then too, by `ast.parse`, which fails in two threads at once (CPython 3.11, gh-106905).
    """
    known: set[tuple[str, str]] = set()
    alone = threading.Lock()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        scope = _SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
        place = (scope[1] if scope else "", environ.get("PATH_INFO", "").lstrip("/").partition("/")[0])
        if place in known:
            return app(environ, start)
        with alone:
            answered = app(environ, start)
            known.add(place)
        return answered

    return answer


def _forget(port: int) -> None:
    """Everything in every account."""
    _say(port, "state-manager/unset-transition", {"model_name": _LASTING_TASKS["model_name"]})
    _say(port, "reset")


def _say(port: int, action: str, told: Mapping[str, Any] | None = None) -> None:
    """To the emulator itself, as its documentation wants it: over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_IDLE_S)
    with contextlib.closing(connection):
        body = json.dumps(told) if told else None
        connection.request("POST", f"/moto-api/{action}", body=body, headers={"Content-Type": "application/json"})
        connection.getresponse().read()


@contextlib.contextmanager
def _process_environment(changes: Mapping[str, str], *, without: tuple[str, ...]) -> Iterator[None]:
    """The process environment with `changes` and without what begins with `without`; as it was, at exit."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith(without)}
    for name in hidden:
        del os.environ[name]
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            os.environ.pop(name, None)
        os.environ.update(hidden)
