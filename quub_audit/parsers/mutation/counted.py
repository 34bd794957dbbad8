"""What the readers of mutation testing share."""

from __future__ import annotations

from collections.abc import Mapping

from quub_audit.facts.artifacts import FileMutants


def counted(path: str, counts: Mapping[str, int]) -> FileMutants:
    """The mutants of a file by the names of the fields of `FileMutants`; what is not named is none."""
    return FileMutants(path=path.replace("\\", "/"), **{"killed": 0, "survived": 0, "uncovered": 0, **counts})
