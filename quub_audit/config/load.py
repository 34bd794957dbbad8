"""The four files, read together: every mistake of every file is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from quub_audit.config.mistakes import Mistakes, cleaned, nearest, shown_file
from quub_audit.errors import UsageError
from quub_audit.model.checklist import Checklist
from quub_audit.model.dispensation import Attestation, Waiver
from quub_audit.model.environment import Environment

if TYPE_CHECKING:  # these import pydantic, which is for whoever loads something
    from quub_audit.config.checklist import Policy, Stage
    from quub_audit.registry import Registry


@dataclass(frozen=True)
class Sources:
    """Where the four files are."""

    environments: Path
    checklist: Path | None = None
    """The shipped one for None."""
    waivers: Path | None = None
    attestations: Path | None = None

    @classmethod
    def beside(cls, environments: Path, checklist: Path | None = None) -> Sources:
        """With the waivers.yaml and attestations.yaml of the folder of environments.yaml, where they are there."""
        waivers, attestations = (environments.parent / name for name in ("waivers.yaml", "attestations.yaml"))
        return cls(
            environments=environments,
            checklist=checklist,
            waivers=waivers if waivers.exists() else None,
            attestations=attestations if attestations.exists() else None,
        )


@dataclass(frozen=True)
class Configuration:
    """What one run needs to know."""

    checklist: Checklist
    """With the overrides of the environment's stage."""
    environment: Environment
    """With the others of the file as its siblings."""
    waivers: tuple[Waiver, ...]
    """Expired ones too."""
    attestations: tuple[Attestation, ...]
    """Expired ones too."""


@dataclass(frozen=True)
class Summary:
    """What was found in order, by `validate`."""

    service: str
    environments: tuple[str, ...]
    """In the order of the file."""
    items: int
    waivers: int
    attestations: int
    unset_variables: tuple[str, ...]
    """Variables without a default that are not set here: what hangs on them was not looked at."""


def load(
    sources: Sources, *, environment: str, registry: Registry, environ: Mapping[str, str], today: date
) -> Configuration:
    """All that a run in `environment` needs.

    Variables of the other environments may be unset: what hangs on them is left out there (`build_environments`).
    Raises ConfigurationError with the mistakes of all files, and UsageError when there is no such environment.
    """
    from quub_audit.config.environments import build_environments, read_surroundings, refuse_strangers

    mistakes = Mistakes()
    surroundings = read_surroundings(sources.environments, mistakes)
    if surroundings is not None and surroundings.names and environment not in surroundings.names:
        raise UsageError(_no_such_environment(environment, sources.environments, surroundings.names))
    policy = _read_policy(sources.checklist, registry, mistakes)
    built: dict[str, Environment] = {}
    if surroundings is not None:
        built, _ = build_environments(surroundings, environment, environ, mistakes)
        for name in surroundings.names:
            refuse_strangers(name, surroundings.entry(name), policy, mistakes)
    stage: Stage = built[environment].stage if environment in built else "production"
    waivers, attestations = _read_dispensations(sources, policy, (stage,), today, mistakes)
    mistakes.raise_if_any()
    siblings = tuple(each for name, each in built.items() if name != environment)
    return Configuration(
        checklist=policy.checklist(stage),
        environment=replace(built[environment], siblings=siblings, attestations=attestations),
        waivers=waivers,
        attestations=attestations,
    )


def validate(sources: Sources, *, registry: Registry, environ: Mapping[str, str], today: date) -> Summary:
    """Look at all environments and stages, and touch no target.

    Unset variables are no mistakes here, since a pipeline that only validates has no credentials; the summary names
    them. Raises ConfigurationError with the mistakes of all files.
    """
    from quub_audit.config.checklist import STAGES
    from quub_audit.config.environments import build_environments, read_surroundings, refuse_strangers

    mistakes = Mistakes()
    surroundings = read_surroundings(sources.environments, mistakes)
    policy = _read_policy(sources.checklist, registry, mistakes)
    built: dict[str, Environment] = {}
    unset: tuple[str, ...] = ()
    if surroundings is not None:
        built, unset = build_environments(surroundings, None, environ, mistakes)
        for name in surroundings.names:
            refuse_strangers(name, surroundings.entry(name), policy, mistakes)
    stages = tuple(stage for stage in STAGES if any(each.stage == stage for each in built.values())) or STAGES
    waivers, attestations = _read_dispensations(sources, policy, stages, today, mistakes)
    mistakes.raise_if_any()
    return Summary(
        service=next(iter(built.values())).service,
        environments=tuple(built),
        items=len(policy.slots),
        waivers=len(waivers),
        attestations=len(attestations),
        unset_variables=unset,
    )


def load_checklist(
    path: Path | None,
    *,
    stage: Literal["production", "staging", "development"] = "production",
    registry: Registry | None,
) -> Checklist:
    """The checklist at `path` (the shipped one for None) as it is in `stage`.

    Without a registry, neither checks nor their parameters are looked at. Raises ConfigurationError.
    """
    mistakes = Mistakes()
    policy = _read_policy(path, registry, mistakes)
    mistakes.raise_if_any()
    return policy.checklist(stage)


def environment_names(path: Path) -> tuple[str, ...]:
    """The names of the environments, in the order of the file, whatever is wrong in them.

    Raises ConfigurationError when the file cannot be read at all.
    """
    from quub_audit.config.environments import read_surroundings

    mistakes = Mistakes()
    surroundings = read_surroundings(path, mistakes)
    if surroundings is None or not surroundings.names:
        mistakes.raise_if_any()
    return surroundings.names if surroundings else ()


def _read_policy(path: Path | None, registry: Registry | None, mistakes: Mistakes) -> Policy:
    from quub_audit.config.checklist import read_policy

    return read_policy(path, registry, mistakes)


def _read_dispensations(
    sources: Sources, policy: Policy, stages: tuple[Stage, ...], today: date, mistakes: Mistakes
) -> tuple[tuple[Waiver, ...], tuple[Attestation, ...]]:
    from quub_audit.config.dispensations import read_attestations, read_waivers

    waivers = read_waivers(sources.waivers, policy, stages, today, mistakes) if sources.waivers else ()
    attestations = read_attestations(sources.attestations, policy, today, mistakes) if sources.attestations else ()
    return waivers, attestations


def _no_such_environment(name: str, path: Path, names: tuple[str, ...]) -> str:
    text = f"there is no environment {name}{nearest(name, names)}; it has {', '.join(names)}"
    return cleaned(f"{shown_file(path)}: {text}")
