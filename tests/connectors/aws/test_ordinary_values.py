"""What stands in a plain variable and is no secret must not be struck from reports."""

from __future__ import annotations

import pytest

from quub_audit.connectors.aws_seal import as_fact
from quub_audit.facts.seal import Fingerprint, Redactor, Sealer, is_ordinary


def struck(name: str, value: str) -> bool:
    """Whether the value of a container's variable is struck from then on."""
    redactor = Redactor()
    answer = {"taskDefinition": {"containerDefinitions": [{"environment": [{"name": name, "value": value}]}]}}
    fact = as_fact("ecs.DescribeTaskDefinition", answer, Sealer(b"salt", redactor))
    assert isinstance(fact["taskDefinition"]["containerDefinitions"][0]["environment"][0]["value"], Fingerprint)
    return redactor.clean(f"saw {value}.") != f"saw {value}."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE_ENV", "production"),
        ("AWS_REGION", "eu-central-1"),
        ("LOG_LEVEL", "WARNING"),
        ("TZ", "Europe/Berlin"),
        ("CACHE_HOST", "cache.internal:6379"),
    ],
)
def test_ordinary_words_in_a_variable_stay_readable(name: str, value: str) -> None:
    assert not struck(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "production"),
        ("DB_PASS", "sunshine"),
        ("QUUB_API_KEY", "orders-live"),
        ("PEPPER_AND_SALT", "sunshine"),
        ("SETTINGS", "d03bcf3b2a1bf3f2"),
        ("SETTINGS", "hunter2hunter2"),
        ("SETTINGS", "kJxPqRsTuVwXyZaB"),
        ("CACHE_URL", "rediss://app:0c1d@cache.internal:6379"),
    ],
)
def test_what_may_be_a_secret_is_struck(name: str, value: str) -> None:
    assert struck(name, value.strip())


def test_a_variable_of_a_function_is_judged_by_its_name_too() -> None:
    redactor = Redactor()
    variables = {"STAGE": "production", "TOKEN": "sunshine"}

    as_fact("lambda.ListFunctions", {"Functions": [{"Environment": {"Variables": variables}}]}, Sealer(b"", redactor))

    assert redactor.clean("production sunshine") == "production [redacted]"


def test_an_api_key_is_struck_whatever_it_is_called() -> None:
    redactor = Redactor()
    key = {"id": "a1", "name": "orders", "value": "sunshine"}

    as_fact("apigateway.GetApiKeys", {"items": [key]}, Sealer(b"", redactor))

    assert redactor.clean("orders sunshine") == "orders [redacted]"


@pytest.mark.parametrize("value", ["", "x" * 61, "a" * 21, "123456", "word_", "ä", "two  words", "-word"])
def test_anything_else_is_not_ordinary(value: str) -> None:
    assert not is_ordinary(value)
