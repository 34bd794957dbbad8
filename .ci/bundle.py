"""Adds checks, templates, checklist and sample service to the wheel, where the links of a checkout have them."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Bundle(BuildHookInterface):  # type: ignore[type-arg]
    """An editable install needs none of it: there the links are followed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"].update(
                {
                    "checks": "quub_audit/checks",
                    "reports/templates": "quub_audit/templates",
                    "checklist.yaml": "quub_audit/checklist.yaml",
                    "examples/quub-app": "quub_audit/demo/service",
                }
            )
