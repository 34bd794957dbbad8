"""A credential that environments.yaml takes from the process environment comes out nowhere, whatever a check does."""

from __future__ import annotations

import gzip
from textwrap import dedent

import pytest

from tests.cli.shop import Shop

ENVIRONMENTS = """\
service: shop

environments:
  production:
    stage: production
    vault: {address: "https://vault.test", token: "${VAULT_OF_SHOP}"}
    identity:
      - name: login
        type: keycloak
        issuer: https://login.test/realms/shop
        admin_client_id: audit
        admin_client_secret: ${ADMIN_SECRET}
        test_client:
          client_id: probe
          client_secret: ${PROBE_SECRET}
          grant: password
          username: probe
          password: ${PROBE_PASSWORD}
      - {name: partners, type: oidc, issuer: "https://partners.test", access_token: "${ACCESS}", id_token: "${ID}"}
      - {name: code, type: github, organisation: shop, admin_token: "${CODE}"}
  staging:
    stage: staging
    identity:
      - {name: code, type: github, organisation: shop, admin_token: "${CODE_OF_STAGING}"}
"""
NAMES = ("VAULT_OF_SHOP", "ADMIN_SECRET", "PROBE_SECRET", "PROBE_PASSWORD", "ACCESS", "ID", "CODE", "CODE_OF_STAGING")
VALUES = {name: f"wholly-made-up-for-{name.lower().replace('_', '-')}" for name in NAMES}

TELLS = f"""\
    \"\"\"The shop tells.\"\"\"
    import os
    from collections.abc import Iterator
    from quub_audit.sdk import *

    @check("It is so", each=Environment)
    def here(subject: Environment) -> Iterator[Finding]:
        for name in {NAMES!r}:
            yield Finding.of(False, subject=f"shop {{name}}", observed=os.environ[name], expected="nothing")
        for provider in subject.identity:
            yield Finding.error(subject=provider.name, message=repr(provider))
        raise RuntimeError(repr(subject))
"""


@pytest.fixture
def telling(shop: Shop) -> Shop:
    """Its only plugin tells all that it finds, and breaks."""
    (shop.folder / "environments.yaml").write_text(ENVIRONMENTS, encoding="utf-8")
    (shop.folder / "checks" / "shop" / "facts" / "tells.py").write_text(dedent(TELLS), encoding="utf-8")
    shop.write("tells")
    return shop


def test_no_declared_credential_comes_out_of_streams_reports_or_the_bundle(telling: Shop) -> None:
    ran = telling.audit(
        *("-vv", "--format", "html,junit,markdown,json,sarif", "--record", "evidence.gz"), code=1, **VALUES
    )

    told = {path.name: path.read_text(encoding="utf-8") for path in telling.reports.iterdir()}
    told |= {"streams": ran.out + ran.err}
    told |= {"bundle": gzip.decompress((telling.folder / "evidence.gz").read_bytes()).decode()}
    assert "shop ADMIN_SECRET" in told["result.json"]
    assert told["result.json"].count("[redacted]") >= len(NAMES)
    assert [(place, name) for place, text in told.items() for name, value in VALUES.items() if value in text] == []
