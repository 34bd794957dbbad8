"""Finds the check modules that a checklist names: ours, installed ones, and those of a folder.

`security.network.https-enforced` is the module `security/network/https_enforced.py` below a root package.
No list is kept anywhere; a module is imported only when an item names it.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from quub_audit.sdk.declare import Check, Parameters

ENTRY_POINT_GROUP = "quub_audit.checks"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckModule:
    """The code behind one or more items."""

    id: str
    doc: str
    """The module's docstring: what passes, fails, is inconclusive, and the sources of the rule."""
    checks: tuple[Check, ...]
    """In the order of the source."""
    file: str

    @property
    def parameters(self) -> tuple[type[Parameters], ...]:
        """The parameter models of its checks, each once."""
        return tuple(dict.fromkeys(check.parameters for check in self.checks if check.parameters))


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenModule:
    """A check module that exists but cannot be imported; its items become errors."""

    id: str
    problem: str


@dataclass(slots=True)
class Registry:
    """Check modules by id. `roots` are folders that mirror the ids, first match wins: plugins cannot replace ours."""

    roots: tuple[tuple[str, Path], ...]
    """Package name and folder."""
    _loaded: dict[str, CheckModule | BrokenModule] = field(default_factory=dict)

    @classmethod
    def discover(cls, checks_dirs: tuple[Path, ...] = ()) -> Registry:
        """Ours, then installed plugins by the name of their entry point, then `checks_dirs` in order."""
        import quub_audit

        ours = Path(quub_audit.__file__).parent / "checks"
        roots = [("quub_audit.checks", ours)]
        for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
            spec = importlib.util.find_spec(entry.value)
            locations = spec.submodule_search_locations if spec else None
            roots.extend((entry.value, Path(location)) for location in locations or ())
        roots.extend((f"quub_audit_checks_dir_{index}", path.resolve()) for index, path in enumerate(checks_dirs))
        return cls(roots=tuple(roots))

    def ids(self) -> tuple[str, ...]:
        """Every module id there is, sorted; nothing is imported."""
        return tuple(sorted({id_ for _, folder in self.roots for id_, _ in _modules_below(folder)}))

    def load(self, module_id: str) -> CheckModule | BrokenModule | None:
        """The module with that id, imported now if need be; None when there is no such file."""
        if module_id not in self._loaded:
            loaded = self._import(module_id)
            if loaded is None:
                return None
            self._loaded[module_id] = loaded
        return self._loaded[module_id]

    def _import(self, module_id: str) -> CheckModule | BrokenModule | None:
        for package, folder in self.roots:
            parts = module_id.replace("-", "_").split(".")
            file = folder.joinpath(*parts).with_suffix(".py")
            if not file.is_file():
                continue
            try:
                module = _import_file(".".join([package, *parts]), file)
                return _read(module_id, module, file)
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001  a plugin may raise anything when imported, SystemExit too
                return BrokenModule(id=module_id, problem=f"{type(error).__name__}: {error}{_place(error, file)}")
        return None


def _modules_below(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*.py")) if folder.is_dir() else ():
        parts = file.relative_to(folder).with_suffix("").parts
        if not any(part.startswith(("_", ".")) for part in parts):
            yield ".".join(parts).replace("_", "-"), file


def _import_file(name: str, file: Path) -> ModuleType:
    if name.startswith("quub_audit_checks_dir_"):
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is no Python module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    return importlib.import_module(name)


def _place(error: BaseException, file: Path) -> str:
    """The line of `file` that raised, as ` (rotation.py, line 31)`; empty where the error tells it, or none did."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f" ({file.name}, line {lines[-1]})" if lines else ""


def _read(module_id: str, module: ModuleType, file: Path) -> CheckModule:
    members: Mapping[str, Any] = vars(module)
    checks = tuple(
        dataclasses.replace(member.__quub_check__, module=module_id)
        for member in members.values()
        if isinstance(getattr(member, "__quub_check__", None), Check) and member.__module__ == module.__name__
    )
    if not checks:
        raise ImportError(f"{file.name} declares no check; decorate a function with @check")
    return CheckModule(id=module_id, doc=inspect.getdoc(module) or "", checks=checks, file=str(file))
