"""A key of Quub, and how a request shows it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What Quub would issue for one environment; made up for one run, and of no use anywhere."""

    org_id: str
    api_key: str = field(repr=False, default_factory=lambda: f"quub_{secrets.token_hex(24)}")
    api_secret: str = field(repr=False, default_factory=lambda: secrets.token_hex(32))

    def as_json(self) -> str:
        """As the service's code wants it in the store."""
        return json.dumps({"apiKey": self.api_key, "apiSecret": self.api_secret, "orgId": self.org_id})

    def signed(self, method: str, target: str, headers: Mapping[str, str]) -> bool:
        """Whether a request without a body is signed with this key; names of `headers` are in lower case."""
        text = f"{headers.get('x-timestamp', '')}{method}{target}"
        signature = hmac.new(self.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return (
            headers.get("x-api-key") == self.api_key
            and headers.get("x-org-id") == self.org_id
            and hmac.compare_digest(headers.get("x-signature", "").encode(), signature.encode())
        )
