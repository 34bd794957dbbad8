"""The page about the files says what is so."""

from __future__ import annotations

import re

import pytest

from quub_audit.config.checklist import builtin_path
from quub_audit.config.targets import EnvironmentEntry
from quub_audit.model.status import Severity
from tests.config.folder import Folder

PAGE = builtin_path().parent / "docs" / "configuration.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="installed without the docs")


def examples() -> dict[str, str]:
    """The files on the page, by the name in their first line."""
    blocks = re.findall(r"```yaml\n# (\w+)\.yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return dict(blocks)


def test_the_examples_can_be_used_together(folder: Folder) -> None:
    files = examples()
    assert sorted(files) == ["attestations", "checklist", "environments", "waivers"]
    folder.write(team=files.pop("checklist"), **files)

    environment = files["environments"]
    variables = set(re.findall(r"\$\{([A-Z_]+)\}", environment)) - {"NAME"}

    configuration = folder.load(environ=dict.fromkeys(variables, "t"))

    kinds = set(EnvironmentEntry.model_fields) - {"stage", "not_applicable"}
    assert configuration.environment.kinds == kinds
    assert configuration.checklist.max_waiver_days[Severity.CRITICAL] == 7
    ids = [item.id for item in configuration.checklist.items]
    assert ids[ids.index("security.network.partner-tls") - 1].startswith("security.network.")
    assert (len(configuration.waivers), len(configuration.attestations)) == (1, 2)


def test_every_key_of_the_files_is_on_the_page() -> None:
    from quub_audit.config import json_schema

    text = PAGE.read_text()

    for name in ("checklist", "environments", "waivers", "attestations"):
        for definition in [json_schema(name), *json_schema(name).get("$defs", {}).values()]:
            for key in definition.get("properties", {}):
                assert re.search(rf"\b{key}\b", text), key
