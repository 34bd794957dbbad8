"""Configuration files in a folder of their own, and what comes of reading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from quub_audit.config import Configuration, Sources, Summary, load, load_checklist, validate
from quub_audit.config.checklist import Stage
from quub_audit.errors import ConfigurationError
from quub_audit.model.checklist import Checklist
from quub_audit.registry import Registry

TODAY = date(2026, 11, 24)

PLUGIN = '''\
"""A plugin."""

from typing import Literal

from pydantic import Field

from quub_audit.sdk import Endpoint, Finding, Parameters, check


class Limit(Parameters):
    name: str
    value: int = Field(ge=1)


class QueueParameters(Parameters):
    max_depth: int = Field(default=10, ge=0, le=1000)
    ratio: float = 0.5
    mode: Literal["strict", "loose"] = "strict"
    queues: tuple[str, ...] = ()
    pair: tuple[str, ...] = Field(default=("a", "b"), min_length=2, max_length=2)
    limits: tuple[Limit, ...] = ()


class AgeParameters(Parameters):
    max_age_s: int


@check("Depth", each=Endpoint)
def depth(subject: Endpoint, wanted: QueueParameters) -> Finding:
    return Finding.of(True, subject=str(subject), observed="empty", expected="empty")


@check("Age", each=Endpoint)
def age(subject: Endpoint, wanted: AgeParameters) -> Finding:
    return Finding.of(True, subject=str(subject), observed="empty", expected="empty")
'''

SMALLEST = """\
service: orders
environments:
  production:
    stage: production
"""


@dataclass(frozen=True)
class Folder:
    path: Path
    registry: Registry

    def write(self, **files: str | bytes) -> None:
        """`environments="..."` is the text of environments.yaml."""
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (self.path / f"{name}.yaml").write_bytes(data)

    def sources(self) -> Sources:
        team = self.path / "team.yaml"
        return Sources.beside(Path("environments.yaml"), team if team.exists() else None)

    def load(self, environment: str = "production", environ: Mapping[str, str] | None = None) -> Configuration:
        return load(self.sources(), environment=environment, registry=self.registry, environ=environ or {}, today=TODAY)

    def validate(self, environ: Mapping[str, str] | None = None) -> Summary:
        return validate(self.sources(), registry=self.registry, environ=environ or {}, today=TODAY)

    def checklist(self, stage: Stage = "production") -> Checklist:
        return load_checklist(Path("team.yaml"), stage=stage, registry=self.registry)

    def shipped(self, stage: Stage) -> Checklist:
        return load_checklist(None, stage=stage, registry=self.registry)

    def mistakes(self, files: Mapping[str, str | bytes], environ: Mapping[str, str] | None = None) -> list[str]:
        """What is wrong with the files, in the order in which it is told; nothing when they can be used."""
        self.write(**{"environments": SMALLEST, **files})
        try:
            self.load(environ=environ)
        except ConfigurationError as error:
            return list(error.mistakes)
        return []
