"""Documents of lock files, bounded: YAML without aliases, TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import yaml

from quub_audit.parsers.source import Source, mapping

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""A lock file of some megabytes takes the other one a minute."""


def yaml_mapping(source: Source) -> Mapping[str, Any]:
    """The one document, an empty one for none. Raises Malformed, also for aliases, which could unfold without end."""
    text = source.text()
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=_Loader)):
            raise source.malformed("it has aliases, which no such file needs")
        document = yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise source.malformed("it is no YAML") from error
    return mapping(document if document is not None else {}, source, "the document")


def toml_mapping(source: Source) -> Mapping[str, Any]:
    """The document. Raises Malformed."""
    try:
        return tomllib.loads(source.text())
    except (ValueError, RecursionError) as error:
        raise source.malformed("it is no TOML") from error
