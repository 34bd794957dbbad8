"""The same questions to AWS from a bare script with 16 threads: `python -m bench.ideal FILE`.

It knows all questions beforehand, judges nothing and writes nothing: nothing that asks with boto3 can be much quicker.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

THREADS = 16


class Script:
    def __init__(self, endpoint: str, roles: dict[str, str]) -> None:
        self.settings: dict[str, Any] = {
            "endpoint_url": endpoint,
            "config": Config(max_pool_connections=THREADS, proxies={}, retries={"total_max_attempts": 1}),
        }
        self.sessions = {name: self.assume(role) for name, role in roles.items()}
        self.clients: dict[tuple[str, str, str], Any] = {}
        self.lock = threading.Lock()

    def assume(self, role: str) -> Any:
        session = boto3.Session(region_name="us-east-1")
        answer = session.client("sts", **self.settings).assume_role(RoleArn=role, RoleSessionName="ideal")
        given = answer["Credentials"]
        return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def client(self, account: str, region: str, service: str) -> Any:
        with self.lock:
            key = (account, region, service)
            if key not in self.clients:
                self.clients[key] = self.sessions[account].client(service, region_name=region, **self.settings)
            return self.clients[key]

    def ask(self, call: list[Any]) -> None:
        account, region, operation, arguments = call
        service, _, name = operation.partition(".")
        client = self.client(account, region, service)
        method = next(each for each, api in client.meta.method_to_api_mapping.items() if api == name)
        try:
            if client.can_paginate(method):
                list(client.get_paginator(method).paginate(**arguments))
            else:
                getattr(client, method)(**arguments)
        except ClientError:
            return  # an absence that the API tells by an error code


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    script = Script(told["endpoint"], told["roles"])
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(script.ask, told["calls"]))


if __name__ == "__main__":
    main()
