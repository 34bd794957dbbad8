"""How a check, and the enumeration of its subjects, are declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict

from quub_audit.facts.asking import CONNECTORS, TARGET_KIND
from quub_audit.model.dispensation import Attestations
from quub_audit.model.environment import (
    Account,
    AdvisoryService,
    AlertmanagerServer,
    ApmBackend,
    Artifact,
    BackupBucket,
    Cache,
    CriticalPath,
    Database,
    Endpoint,
    Environment,
    ErrorTracker,
    Flow,
    IdentityProvider,
    LogSource,
    PrometheusServer,
    Quub,
    Region,
    Repository,
    SecretReference,
    VaultServer,
)
from quub_audit.model.finding import Finding
from quub_audit.model.status import Grade

S = TypeVar("S")
T = TypeVar("T")
P = ParamSpec("P")

TARGETS: tuple[type, ...] = (
    Account,
    AdvisoryService,
    AlertmanagerServer,
    ApmBackend,
    Artifact,
    BackupBucket,
    Cache,
    CriticalPath,
    Database,
    Endpoint,
    Environment,
    ErrorTracker,
    Flow,
    IdentityProvider,
    LogSource,
    PrometheusServer,
    Quub,
    Region,
    Repository,
    SecretReference,
    VaultServer,
)
"""What the environment itself declares, and so what every enumeration starts from."""


class Parameters(BaseModel):
    """What the checklist may set under `with:`; unknown names are mistakes. Each field has a docstring below it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One argument that the engine fills."""

    name: str
    type: type


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects(Generic[S]):
    """An enumeration: from one target (or another enumeration's subject) to the things judged."""

    name: str
    each: type[Any] | Subjects[Any]
    function: Callable[..., Iterable[S]]
    permissions: tuple[str, ...]
    needs: tuple[Need, ...]

    def __call__(self, *args: Any, **kwargs: Any) -> Iterable[S]:
        """What the function lists; for tests."""
        return self.function(*args, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One way to prove an item. `id` is `<item id of the module>/<function name>`."""

    name: str
    title: str
    each: type[Any] | Subjects[Any]
    function: Callable[..., Finding | Iterable[Finding] | None]
    permissions: tuple[str, ...]
    """Its own and those of its enumeration, as their owners spell them; sorted."""
    needs: tuple[Need, ...]
    grade: Grade
    is_active: bool
    """It does more than read, and runs only with `--allow-active`."""
    module: str = ""
    """`security.network.https-enforced`; set by the registry."""

    @property
    def id(self) -> str:
        """Unique among all checks."""
        return f"{self.module}/{self.name}"

    @property
    def judges_attestations(self) -> bool:
        """Whether it weighs what people attested, so that their word alone passes nothing."""
        return any(need.type is Attestations for need in _needs(self))

    @property
    def parameters(self) -> type[Parameters] | None:
        """The model of its parameters, or else of its enumeration's, when there are any."""
        own_first = (*self.needs, *_needs(self))
        return next((need.type for need in own_first if issubclass(need.type, Parameters)), None)

    @property
    def target(self) -> type[Any]:
        """The target class that its enumeration starts from."""
        return root_of(self.each)

    @property
    def target_kinds(self) -> frozenset[str]:
        """Sections of environments.yaml without which it has nothing to look at."""
        kinds = {self.target.kind, *(TARGET_KIND.get(need.type, "") for need in _needs(self))}
        return frozenset(kinds - {""})


def root_of(each: type[Any] | Subjects[Any]) -> type[Any]:
    """The target class at the start of an enumeration."""
    while isinstance(each, Subjects):
        each = each.each
    return each


def check(
    title: str,
    *,
    each: type[S] | Subjects[S],
    permissions: Sequence[str] = (),
    grade: Grade | None = None,
    active: bool = False,
) -> Callable[
    [Callable[Concatenate[S, P], Finding | Iterable[Finding] | None]],
    Callable[Concatenate[S, P], Finding | Iterable[Finding] | None],
]:
    """Declare that the function judges one subject of `each`: a target class, or an enumeration.

    The function comes back unchanged, so that tests can call it. `grade` is the target's own unless given.
    `permissions` are those of the function itself; those of its enumeration are added.
    Raises TypeError when an argument's type is none that the engine can fill.
    """

    def declare(
        function: Callable[Concatenate[S, P], Finding | Iterable[Finding] | None],
    ) -> Callable[Concatenate[S, P], Finding | Iterable[Finding] | None]:
        declared = Check(
            name=function.__name__,
            title=title,
            each=each,
            function=function,
            permissions=tuple(sorted({*permissions, *_permissions(each)})),
            needs=_read_needs(function),
            grade=grade or root_of(each).grade,
            is_active=active,
        )
        function.__quub_check__ = declared  # type: ignore[attr-defined]
        return function

    _require_target(each)
    return declare


def subjects(
    *, each: type[T] | Subjects[T], permissions: Sequence[str] = ()
) -> Callable[[Callable[Concatenate[T, ...], Iterable[S]]], Subjects[S]]:
    """Declare that the function lists the things to judge, from one target (or subject) of `each`.

    A subject is a frozen dataclass whose text (`str()`) is the name its owner uses. What the function yielded
    before it raised is kept, and the error stands beside it.
    """

    def declare(function: Callable[Concatenate[T, ...], Iterable[S]]) -> Subjects[S]:
        return Subjects(
            name=function.__name__,
            each=each,
            function=function,
            permissions=tuple(sorted({*permissions, *_permissions(each)})),
            needs=_read_needs(function),
        )

    _require_target(each)
    return declare


def _require_target(each: type[Any] | Subjects[Any]) -> None:
    if root_of(each) not in TARGETS:
        names = ", ".join(target.__name__ for target in TARGETS)
        raise TypeError(f"each={each!r} starts from no target; expected one of {names}, or an enumeration of @subjects")


def _permissions(each: type[Any] | Subjects[Any]) -> tuple[str, ...]:
    return each.permissions if isinstance(each, Subjects) else ()


def _needs(declared: Check | Subjects[Any]) -> tuple[Need, ...]:
    upstream = _needs(declared.each) if isinstance(declared.each, Subjects) else ()
    return (*upstream, *declared.needs)


def _read_needs(function: Callable[..., Any]) -> tuple[Need, ...]:
    """The arguments after the first, each of a type that the engine can fill."""
    hints: Mapping[str, Any] = get_type_hints(function)
    names = list(inspect.signature(function).parameters)
    if not names:
        raise TypeError(f"{function.__qualname__} takes no subject; its first argument is the thing judged")
    needs = []
    for name in names[1:]:
        wanted = hints.get(name)
        is_known = isinstance(wanted, type) and (
            wanted in CONNECTORS or wanted in (Environment, Attestations) or issubclass(wanted, Parameters)
        )
        if not is_known or not isinstance(wanted, type):
            known = ", ".join(connector.__name__ for connector in CONNECTORS)
            raise TypeError(
                f"{function.__qualname__}: nothing fills the argument {name}: {wanted!r}; "
                f"expected {known}, Environment, Attestations or a Parameters model"
            )
        needs.append(Need(name=name, type=wanted))
    return tuple(needs)
