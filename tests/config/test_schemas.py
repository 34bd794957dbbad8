"""The JSON Schemas: they take what is shipped, and refuse nothing that the loaders take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quub_audit.config import SCHEMA_NAMES, json_schema
from quub_audit.config.checklist import builtin_path
from quub_audit.errors import ConfigurationError, UsageError
from quub_audit.reporters.document import dump_result
from tests.config.folder import SMALLEST, Folder
from tests.config.trees import ATTESTATIONS, CHECKLIST, EXAMPLE, VARIABLES, WAIVERS, Way, places, put, renamed, without
from tests.reporters.results import CASES as RESULTS

ROOT = builtin_path().parent
FILES = {"checklist": CHECKLIST, "environments": EXAMPLE, "waivers": WAIVERS, "attestations": ATTESTATIONS}
VALIDATORS = {name: jsonschema.Draft202012Validator(json_schema(name)) for name in SCHEMA_NAMES}


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_a_schema_is_one_of_the_draft_that_it_names(name: str) -> None:
    schema = json_schema(name)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"quub-audit/{name}.json"
    assert schema["description"]


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        json_schema("findings")


@pytest.mark.parametrize("name", ["checklist", "environments", "waivers", "attestations"])
def test_every_key_says_what_it_is(name: str) -> None:
    for definition in [json_schema(name), *json_schema(name).get("$defs", {}).values()]:
        for key, schema in definition.get("properties", {}).items():
            assert schema.get("title") or schema.get("description") or "$ref" in schema, key


def test_the_shipped_checklist_fits() -> None:
    VALIDATORS["checklist"].validate(yaml.safe_load(builtin_path().read_text()))


def test_the_sample_services_environments_fit() -> None:
    path = ROOT / "examples" / "quub-app" / "environments.yaml"
    if not path.exists():
        pytest.skip("installed without the examples")
    VALIDATORS["environments"].validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("name", FILES)
def test_a_full_file_fits_its_schema_and_its_loader(folder: Folder, name: str) -> None:
    VALIDATORS[name].validate(FILES[name])
    assert _mistakes(folder, name, FILES[name]) == []


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_every_result_fits(result: Any) -> None:
    VALIDATORS["result"].validate(json.loads(dump_result(result())))


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (
            ("environments", "production", "aws"),
            {"account_id": "111122223333", "regions": ["eu-central-1"], "name": "production"},
        ),
        (("environments", "production", "aws", 0, "account_id"), "${ACCOUNT}"),
        (("environments", "production", "aws", 0, "read_secret_values"), "${READ:-false}"),
        (("environments", "production", "stage"), "${STAGE:-production}"),
        (("environments", "production", "endpoints", 0, "url"), "https://${HOST}:8443"),
    ],
)
def test_variables_and_single_accounts_fit(folder: Folder, way: Way, value: Any) -> None:
    tree = put(EXAMPLE, way, value)

    VALIDATORS["environments"].validate(tree)
    assert _mistakes(folder, "environments", tree) == []


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 100_000),
    st.sampled_from([0.5, "", " ", "a", "a b c", "111122223333", "eu-central-1", "/x", "https://a.test", "2026-12-01"]),
    st.sampled_from(["low", "production", "repository", "vault", "10.0.0.0/8", "a.b.c", "main", "${X}", "yes", "1_0"]),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from(["name", "id", "item", "stage", "url", "x"]), SCALARS, max_size=3),
)


@pytest.mark.parametrize("name", FILES)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_the_schema_refuses_the_loader_refuses(folder: Folder, name: str, data: st.DataObject) -> None:
    tree = FILES[name]
    way = data.draw(st.sampled_from(list(places(tree))))
    change = data.draw(st.sampled_from(["put", "without", "renamed"]))
    if change == "put":
        tree = put(tree, way, data.draw(VALUES))
    elif change == "without":
        tree = without(tree, way)
    else:
        tree = renamed(tree, way, data.draw(st.sampled_from(["x", "name", "with", "nmae", "checks", "a.b.c"])))

    is_refused = not VALIDATORS[name].is_valid(tree)
    mistakes = _mistakes(folder, name, tree)

    assert mistakes or not is_refused
    for mistake in mistakes:
        assert mistake.startswith(f"{'team' if name == 'checklist' else name}.yaml:"), mistake


def _mistakes(folder: Folder, name: str, tree: Any) -> list[str]:
    """What the loader says; JSON is YAML."""
    for path in folder.path.glob("*.yaml"):
        path.unlink()
    files: dict[str, str] = {"environments": SMALLEST, "team" if name == "checklist" else name: json.dumps(tree)}
    folder.write(**files)
    try:
        folder.load(environ={**VARIABLES, "X": "x", "ACCOUNT": "111122223333", "HOST": "orders.test"})
    except ConfigurationError as error:
        return list(error.mistakes)
    except UsageError as error:
        return [str(error)]
    return []


def test_paths_in_this_file_lead_to_the_repository() -> None:
    assert Path(ROOT, "checklist.yaml").samefile(builtin_path())
