"""What botocore knows of services: how each is asked, and how its answers continue. Read once for all accounts."""

from __future__ import annotations

import contextlib
import gzip
import os
import threading
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from quub_audit.connectors.aws_pages import Pagination, pagination_of

_OPENERS: Mapping[str, Any] = {".json": open, ".json.gz": gzip.open}


class Models:
    """The descriptions that botocore brings along. Thread-safe; nothing is imported or read before it is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loader: Any = None
        self._paginations: dict[str, Pagination] = {}

    @property
    def loader(self) -> Any:
        """Botocore's loader, of the descriptions that it brings along and no others."""
        from botocore.loaders import Loader

        with self._lock:
            if self._loader is None:
                # Without ~/.aws/models, where anybody may describe a service otherwise than AWS does.
                files: Any = _JsonFiles()  # typed by a class of which botocore uses these two methods
                self._loader = Loader(
                    file_loader=files,
                    extra_search_paths=[Loader.BUILTIN_DATA_PATH],
                    include_default_search_paths=False,
                )
            return self._loader

    def pagination(self, question: str, model: Any) -> Pagination:
        """How `service.Operation` continues."""
        if question not in self._paginations:
            self._paginations[question] = pagination_of(model, self._described(question))
        return self._paginations[question]

    def _described(self, question: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import DataNotFoundError

        service, _, operation = question.partition(".")
        try:
            described = self.loader.load_service_model(service, "paginators-1")["pagination"]
        except DataNotFoundError:
            return None
        found: Mapping[str, Any] | None = described.get(operation)
        return found


class _JsonFiles:
    """Reads files for botocore's loader, in a third of the time that its own reader takes for ordered dictionaries."""

    def exists(self, path: str) -> bool:
        """Whether there is one; `path` is without its extension."""
        return any(os.path.isfile(path + extension) for extension in _OPENERS)  # noqa: PTH113  a thousand times

    def load_file(self, path: str) -> Any:
        """What it holds; None where there is none."""
        for extension, open_file in _OPENERS.items():
            with contextlib.suppress(FileNotFoundError), open_file(path + extension, "rb") as file:
                return from_json(file.read())
        return None
