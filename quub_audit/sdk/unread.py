"""Files of a repository that could not be looked into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quub_audit.model.finding import Finding


def unread(repository: str, files: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """An error for each of `files`, path and reason: what was not read may hold what is looked for."""
    for file, why in files:
        yield Finding.error(
            subject=f"{repository}:{file}",
            message=f"{repository}:{file} could not be read: {why}",
            next_step=f"mend the file, or name it under `exclude` of the repository {repository} in environments.yaml "
            "when it does not run in production",
        )
