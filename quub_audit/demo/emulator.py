"""An emulated AWS (moto) in this process, on a free port of 127.0.0.1: nothing of it leaves the machine."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quub_audit.errors import MissingExtra

_INSTALL = "the demo emulates AWS with moto, which is not or not wholly installed; pip install 'quub-audit[demo]'"

_LEAN: Mapping[str, str] = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
"""The emulator reads it when it makes the EC2 of a region: 500 images that nobody here looks at."""

_IDLE_S = 10.0
"""How long a connection may say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """The emulated AWS while it is up."""

    address: str
    """`http://127.0.0.1:port`, the endpoint of every service."""

    def session(self, account_id: str, region: str) -> Any:
        """A boto3 session of an operator of the account; the operator may do everything."""
        role = f"arn:aws:iam::{account_id}:role/operator"
        nobody = _session(region, aws_access_key_id="operator", aws_secret_access_key="operator")
        issued = self.client(nobody, "sts").assume_role(RoleArn=role, RoleSessionName="demo")["Credentials"]
        return _session(
            region,
            aws_access_key_id=issued["AccessKeyId"],
            aws_secret_access_key=issued["SecretAccessKey"],
            aws_session_token=issued["SessionToken"],
        )

    def client(self, session: Any, service: str) -> Any:
        """A client of `session` that talks to this emulator, whatever proxy the process environment names."""
        from botocore.config import Config

        config = Config(
            proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False, retries={"total_max_attempts": 1}
        )
        return session.client(service, endpoint_url=self.address, config=config)


def _session(region: str, **credentials: str) -> Any:
    """A session that reads none of the user's own AWS files and profiles."""
    import boto3
    import botocore.session

    bare = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return boto3.Session(botocore_session=bare, region_name=region, **credentials)


@contextlib.contextmanager
def emulated_aws(account_ids: Sequence[str], region: str) -> Iterator[Emulator]:
    """An AWS without anything in it; at exit its port is closed, and what stood in the accounts is forgotten.

    Raises MissingExtra when the emulator is not installed.
    """
    application, handler = _load(account_ids, region)
    from werkzeug.serving import ThreadedWSGIServer

    server = ThreadedWSGIServer("127.0.0.1", 0, application, handler=handler)
    server.daemon_threads = False  # so that closing it waits for the last answer
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Emulator(address=f"http://127.0.0.1:{server.server_port}")
    finally:
        try:
            _forget(server.server_port)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _load(account_ids: Sequence[str], region: str) -> tuple[Any, Any]:
    """The emulator's WSGI application, and a handler of requests that logs none."""
    if importlib.util.find_spec("openapi_spec_validator") is None:
        raise MissingExtra(_INSTALL)  # moto alone is no moto[apigateway]
    try:
        with _process_environment(_LEAN):
            from moto.backends import get_backend
            from moto.moto_server.werkzeug_app import (
                DomainDispatcherApplication,
                MotoRequestHandler,
                create_backend_app,
            )

            for account_id in account_ids:
                get_backend("ec2")[account_id][region]
    except ImportError as error:
        raise MissingExtra(_INSTALL) from error

    class Silent(MotoRequestHandler):
        timeout = _IDLE_S

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the base class's own name
            pass

    return DomainDispatcherApplication(create_backend_app), Silent


def _forget(port: int) -> None:
    """Everything in every account, as its documentation wants it: over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_IDLE_S)
    with contextlib.closing(connection):
        connection.request("POST", "/moto-api/reset")
        connection.getresponse().read()


@contextlib.contextmanager
def _process_environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
