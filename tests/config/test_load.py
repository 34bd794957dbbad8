"""All files together: every mistake at once, nothing that is not needed, and quickly."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from quub_audit.config import Sources, environment_names, load
from quub_audit.errors import ConfigurationError, UsageError
from quub_audit.registry import Registry
from tests.config.folder import SMALLEST, TODAY, Folder


def test_mistakes_of_all_files_are_told_at_once_file_by_file_from_top_to_bottom(folder: Folder) -> None:
    told = folder.mistakes(
        {
            "environments": SMALLEST + "    awz: {}\n  staging: {stage: stagin}\n",
            "team": "version: '1'\ntitle: T\nextends: builtin\ndorp: []\n",
            "waivers": "waivers: [{}]\n",
            "attestations": "attestation: []\n",
        }
    )

    assert [mistake.split(": ")[0] for mistake in told] == [
        "environments.yaml:5:5",
        "environments.yaml:6:20",
        "team.yaml:4:1",
        *["waivers.yaml:1:11"] * 6,
        *["attestations.yaml:1:1"] * 2,
    ]


def test_a_file_that_is_no_yaml_hides_no_mistake_of_another(folder: Folder) -> None:
    told = folder.mistakes({"environments": "a: [", "team": "a: {", "waivers": "a: b: c", "attestations": "- a"})

    assert [mistake.split(":")[0] for mistake in told] == [
        "environments.yaml",
        "team.yaml",
        "waivers.yaml",
        "attestations.yaml",
    ]


def test_of_very_many_mistakes_the_first_hundred_are_told(folder: Folder) -> None:
    told = folder.mistakes({"environments": SMALLEST + "".join(f"key{number}: a\n" for number in range(5000))})

    assert len(told) == 101
    assert told[0].startswith("environments.yaml:5:1: key0: unknown key")
    assert told[-1] == "and more; mend these first"


def test_validate_looks_at_every_environment_and_names_what_it_could_not_look_at(folder: Folder) -> None:
    folder.write(
        environments=SMALLEST
        + "    vault: {address: 'https://v.test', token: '${TOKEN}'}\n"
        + "  dev: {stage: development, endpoints: [{name: a, url: '${URL}'}]}\n",
        waivers="waivers: []\n",
    )

    summary = folder.validate()

    assert (summary.service, summary.environments) == ("orders", ("production", "dev"))
    assert (summary.items, summary.waivers, summary.attestations) == (len(folder.shipped("production").items), 0, 0)
    assert summary.unset_variables == ("TOKEN", "URL")


def test_validate_looks_at_the_values_of_variables_that_are_set(folder: Folder) -> None:
    folder.write(environments=SMALLEST + "    endpoints: [{name: a, url: '${URL}'}]\n")

    with pytest.raises(ConfigurationError) as refused:
        folder.validate(environ={"URL": "ftp://a.test"})

    assert [mistake.partition(", expected")[0] for mistake in refused.value.mistakes] == [
        "environments.yaml:5:32: production.endpoints[0].url: a value from the process environment that does not fit"
    ]


def test_validate_limits_waivers_by_every_stage_that_there_is(folder: Folder) -> None:
    change = "change: {security.network.firewall-rules: {stages: {development: {severity: low}}}}\n"
    folder.write(
        environments="service: s\nenvironments: {dev: {stage: development}}\n",
        team=f"version: '1'\ntitle: T\nextends: builtin\n{change}",
        waivers="waivers: [{item: security.network.firewall-rules, reason: a b c, requester: a, approver: b, "
        "ticket: t, expires: 2027-01-20}]\n",
    )
    assert folder.validate().waivers == 1

    folder.write(environments="service: s\nenvironments: {dev: {stage: development}, prod: {stage: production}}\n")

    with pytest.raises(
        ConfigurationError, match="57 days ahead, expected 2026-12-08 at the latest: 14 days for critical"
    ):
        folder.validate()


def test_names_of_environments_are_known_whatever_else_is_wrong(folder: Folder) -> None:
    folder.write(environments="service: 1\nenvironments: {b: {}, a: 3}\n")

    assert environment_names(Path("environments.yaml")) == ("b", "a")


def test_a_file_without_environments_names_none(folder: Folder) -> None:
    folder.write(environments="service: s\n")

    assert environment_names(Path("environments.yaml")) == ()


def test_an_unknown_environment_is_said_even_when_the_file_has_mistakes(folder: Folder) -> None:
    folder.write(environments="service: 1\nenvironments: {staging: {}}\n")

    with pytest.raises(UsageError, match=r"^environments\.yaml: there is no environment production; it has staging$"):
        folder.load()


def test_only_the_file_that_is_named_is_read(folder: Folder) -> None:
    folder.write(environments=SMALLEST, waivers="not: [valid\n")

    configuration = load(
        Sources(environments=Path("environments.yaml")),
        environment="production",
        registry=folder.registry,
        environ={},
        today=TODAY,
    )

    assert configuration.waivers == ()


def test_importing_the_configuration_imports_neither_yaml_nor_pydantic() -> None:
    code = "import sys, quub_audit.config; print(sorted({'yaml', 'pydantic', 'boto3'} & set(sys.modules)))"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout.strip() == "[]"


def test_reading_all_takes_well_under_a_tenth_of_a_second(folder: Folder, registry: Registry) -> None:
    folder.write(environments=SMALLEST)
    folder.load()

    took = []
    for _ in range(5):
        began = time.process_time()
        folder.load()
        took.append(time.process_time() - began)

    assert min(took) < 0.1
