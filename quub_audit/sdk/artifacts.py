"""Artifacts of the pipeline, by what they are there to show."""

from __future__ import annotations

from collections.abc import Iterator

from quub_audit.model.environment import Artifact, Purpose
from quub_audit.sdk.declare import Subjects, subjects


def artifacts_for(*purposes: Purpose) -> Subjects[Artifact]:
    """The enumeration of the declared artifacts that serve one of `purposes`, in the order of the file."""

    @subjects(each=Artifact)
    def serving(artifact: Artifact) -> Iterator[Artifact]:
        if artifact.purpose in purposes:
            yield artifact

    return serving
