"""A field that is declared as a credential is known as one to whatever strikes and strips them."""

from __future__ import annotations

from pydantic import BaseModel

from quub_audit.config import targets
from quub_audit.model.environment import CREDENTIALS


def declared_credentials() -> set[str]:
    """Names of fields of environments.yaml that only the process environment may fill."""
    models = [each for each in vars(targets).values() if isinstance(each, type) and issubclass(each, BaseModel)]
    found = set()
    for model in models:
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and "in the process environment" in str(extra.get("patternErrorMessage", "")):
                found.add(name)
    return found


def test_every_credential_of_the_file_is_struck_from_outputs_and_stripped_from_bundles() -> None:
    assert declared_credentials() == CREDENTIALS
