"""The four files that say what must hold, where to look, what is accepted and what people vouch for.

Cheap to import; YAML and pydantic are imported by whoever loads something.
"""

from quub_audit.config.load import (
    Configuration,
    Sources,
    Summary,
    environment_names,
    load,
    load_checklist,
    validate,
)
from quub_audit.config.schemas import SCHEMA_NAMES, json_schema

__all__ = [
    "SCHEMA_NAMES",
    "Configuration",
    "Sources",
    "Summary",
    "environment_names",
    "json_schema",
    "load",
    "load_checklist",
    "validate",
]
