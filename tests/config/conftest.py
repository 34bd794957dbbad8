"""What the tests of the configuration share: a folder with files, and a plugin to name in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from quub_audit.registry import Registry
from tests.config.folder import PLUGIN, Folder


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The shipped checks, one plugin that takes every kind of parameter, and one that cannot be imported."""
    plugins = tmp_path_factory.mktemp("plugins") / "team" / "orders"
    plugins.mkdir(parents=True)
    (plugins / "queue_depth.py").write_text(PLUGIN)
    (plugins / "broken.py").write_text("raise RuntimeError('no')\n")
    return Registry.discover((plugins.parent.parent,))


@pytest.fixture
def folder(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path, registry)
