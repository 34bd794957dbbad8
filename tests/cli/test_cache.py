from __future__ import annotations

from pathlib import Path

import pytest

from quub_audit.cli.auditing import cache_folder


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_CACHE_HOME": "/caches", "HOME": "/home/ada"}, Path("/caches/quub-audit")),
        ({"HOME": "/home/ada"}, Path("/home/ada/.cache/quub-audit")),
        ({"XDG_CACHE_HOME": "caches", "HOME": "/home/ada"}, Path("/home/ada/.cache/quub-audit")),
        ({"XDG_CACHE_HOME": ""}, None),
        ({}, None),
    ],
)
def test_what_was_scanned_is_remembered_where_the_user_keeps_caches(
    environ: dict[str, str], folder: Path | None
) -> None:
    assert cache_folder(environ) == folder
