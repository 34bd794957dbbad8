"""What botocore knows of services is read by a reader of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader

from quub_audit.connectors.aws_models import Models


@pytest.mark.parametrize(
    ("service", "kind"),
    [("ec2", "service-2"), ("s3", "service-2"), ("s3", "endpoint-rule-set-1"), ("iam", "paginators-1")],
)
def test_a_description_is_what_botocore_reads(service: str, kind: str) -> None:
    assert Models().loader.load_service_model(service, kind) == Loader().load_service_model(service, kind)


@pytest.mark.parametrize("name", ["endpoints", "partitions", "sdk-default-configuration"])
def test_so_is_what_is_of_no_service(name: str) -> None:
    assert Models().loader.load_data(name) == Loader().load_data(name)


def test_a_service_that_botocore_does_not_know_is_said_so() -> None:
    with pytest.raises(UnknownServiceError):
        Models().loader.load_service_model("tea-kettle", "service-2")


def test_descriptions_in_the_home_folder_are_not_read() -> None:
    assert Models().loader.search_paths == [Loader.BUILTIN_DATA_PATH]


@pytest.mark.parametrize("extension", [".json", ".json.gz", ""])
def test_a_file_is_there_for_us_where_it_is_for_botocore(tmp_path: Path, extension: str) -> None:
    path = str(tmp_path / "kettle")
    if extension:
        (tmp_path / f"kettle{extension}").touch()

    assert Models().loader.file_loader.exists(path) == JSONFileLoader().exists(path) == bool(extension)


def test_a_file_that_is_not_there_is_none() -> None:
    assert Models().loader.file_loader.load_file("/nowhere/kettle") is None
