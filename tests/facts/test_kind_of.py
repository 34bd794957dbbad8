from __future__ import annotations

import pytest

from quub_audit.facts.seal import ValueKind, kind_of


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("${{ secrets.QUUB_API_KEY }}", "reference"),
        ("${{secrets.QUUB_API_KEY}}", "reference"),
        ("{{ vault_password }}", "reference"),
        ("${QUUB_API_KEY}", "reference"),
        ("$QUUB_API_KEY", "reference"),
        ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:quub", "reference"),
        ("vault:secret/quub#apiKey", "reference"),
        ("prefix-${{ secrets.QUUB_API_KEY }}", "text"),
        ("${{ secrets.QUUB_API_KEY }}-suffix", "text"),
        ("${{", "text"),
        ("{{ user }}:0c1d9f:{{ host }}", "text"),
        ("TRUE", "boolean"),
        ("-12.5", "number"),
        ("https://api.quub.example/v1", "url"),
        ("postgres://app:0c1d@db.internal/orders", "text"),
        ("0c1d9f", "text"),
    ],
)
def test_a_value_is_told_by_its_form(value: str, kind: ValueKind) -> None:
    assert kind_of(value) == kind
