"""Every address that a declared endpoint is reached at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quub_audit.facts.asking import Http
from quub_audit.model.environment import Endpoint
from quub_audit.sdk.declare import subjects


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointAddress:
    """One address of one endpoint. Its text is the endpoint's name: addresses come and go, waivers should not."""

    endpoint: Endpoint
    address: str
    """As `Http.addresses` gives it."""

    def __str__(self) -> str:
        return self.endpoint.name


@subjects(each=Endpoint)
def endpoint_addresses(endpoint: Endpoint, http: Http) -> Iterator[EndpointAddress]:
    """Each address of `endpoint`, so that one that cannot be asked keeps no other from being judged."""
    for address in http.addresses(endpoint):
        yield EndpointAddress(endpoint=endpoint, address=address)
