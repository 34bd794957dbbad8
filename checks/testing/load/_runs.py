"""What the items of this group ask of runs of load generators: rates, errors and latencies of stretches of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pydantic import Field

from quub_audit.sdk import Artifact, Artifacts, Environment, Freshness, LoadRun, Parameters, Slice, cut

LOOPBACK = ("localhost", "127.", "[::1]", "::1")


class LoadParameters(Parameters):
    """What all items on load tests take."""

    max_age_days: float = Field(default=90, gt=0)
    """Days that a load test may be old; it need not be of the audited commit. House rule."""

    min_requests: int = Field(default=10_000, ge=1)
    """Requests below which a run shows nothing."""

    max_error: float = Field(default=0.01, ge=0, le=1)
    """Share of requests that may fail. The guide, Deployment: above 1 % a release is stopped."""

    @property
    def fresh(self) -> Freshness:
        """Of any commit, and no older."""
        return Freshness(max_age_days=self.max_age_days, is_of_commit=False)


def runs_of(artifact: Artifact, artifacts: Artifacts, fresh: Freshness) -> tuple[LoadRun, ...]:
    """The runs of an artifact; Locust's statistics and history of one run as one. Raises as `Artifacts`."""
    return tuple(joined(artifacts.load(artifact, fresh=fresh)))


def joined(runs: Sequence[LoadRun]) -> Iterator[LoadRun]:
    """Runs in order; a history of Locust's has the percentiles of the statistics beside it, which are left out."""
    stats = {run.origin.file: run for run in runs if run.origin.file.endswith("_stats.csv")}
    histories = {
        run.origin.file.removesuffix("_history.csv") + ".csv": run
        for run in runs
        if run.origin.file.endswith("_stats_history.csv")
    }
    for run in runs:
        if run.origin.file in histories:
            continue
        beside = stats.get(run.origin.file.removesuffix("_history.csv") + ".csv")
        is_history = beside is not None and run.origin.file.endswith("_stats_history.csv")
        if is_history and beside is not None:
            run = replace(run, p50_ms=beside.p50_ms, p95_ms=beside.p95_ms, p99_ms=beside.p99_ms)
        yield run


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Slices that follow one another, or a whole run that has none."""

    seconds: float
    requests: int
    errors: int
    slices: tuple[Slice, ...] = ()

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def lowest_rate(self) -> float:
        """Requests a second in its weakest slice."""
        seconds = self.seconds / (len(self.slices) or 1)
        return min((each.requests for each in self.slices), default=self.requests) / seconds if seconds else 0.0

    @property
    def error_share(self) -> float:
        """Of the requests, 0 to 1; 1 where there are none."""
        return self.errors / self.requests if self.requests else 1.0

    def share_above(self, limit_ms: float) -> float | None:
        """Share of the requests that took longer, by the percentiles of its slices; None where those have none."""
        timed = [each for each in self.slices if each.p95_ms is not None and each.requests]
        requests = sum(each.requests for each in timed)
        if not requests:
            return None
        return sum(each.requests * _share_above(each, limit_ms) for each in timed) / requests


def _share_above(part: Slice, limit_ms: float) -> float:
    """Between two known percentiles as many requests lie as lie evenly; above the last one, as few as it says."""
    known = ((part.p50_ms, 0.5), (part.p95_ms, 0.95), (part.p99_ms, 0.99), (part.max_ms, 1.0))
    points = [(0.0, 0.0), *((ms, share) for ms, share in known if ms is not None)]
    for (low_ms, low), (high_ms, high) in pairwise(points):
        if limit_ms < high_ms:
            return 1 - (low + (high - low) * (limit_ms - low_ms) / (high_ms - low_ms))
    return 1 - points[-1][1]


def stretches(run: LoadRun, seconds: float) -> Iterator[Stretch]:
    """Every stretch of whole slices that is as long or longer; the run itself where it has no slices."""
    if not run.slices:
        if run.duration_s >= seconds:
            yield Stretch(seconds=run.duration_s, requests=run.requests, errors=run.errors)
        return
    length = max(math.ceil(seconds / run.slice_s), 1)
    requests = sum(each.requests for each in run.slices[:length])
    errors = sum(each.errors for each in run.slices[:length])
    for end in range(length, len(run.slices) + 1):
        if end > length:
            arrived, left = run.slices[end - 1], run.slices[end - 1 - length]
            requests, errors = requests + arrived.requests - left.requests, errors + arrived.errors - left.errors
        yield Stretch(
            seconds=length * run.slice_s, requests=requests, errors=errors, slices=run.slices[end - length : end]
        )


def strangers(run: LoadRun, environment: Environment) -> tuple[str, ...]:
    """Targets of the run that no environment of the file declares; loopback alone where no endpoint is declared."""
    declared = {
        name
        for each in (environment, *environment.siblings)
        for endpoint in each.endpoints
        for name in (endpoint.host.lower(), f"{endpoint.host}:{endpoint.port}".lower(), endpoint.connect_to.lower())
        if name
    }
    if not declared:
        return tuple(target for target in run.targets if target.startswith(LOOPBACK))
    return tuple(
        target
        for target in run.targets
        if target.lower() not in declared and target.lower().rpartition(":")[0] not in declared
    )


def unsaid(run: LoadRun) -> str:
    """What a pass has to admit of a format that names no hosts."""
    return "" if run.targets else " (it does not say where to)"


def named(artifact: Artifact, run: LoadRun) -> str:
    """A run as findings name it: the artifact, and the last part of the file's path."""
    return f"{artifact}: {run.origin.file.rpartition('/')[2]}"


def listed(faults: Iterable[str], otherwise: str) -> str:
    """What was seen: the faults, else what there is to say without any."""
    found = list(faults)
    return cut(found) if found else otherwise
