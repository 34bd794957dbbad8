"""One audit from the options to the exit code: `run` and `demo` are this, and whoever wants to embed one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import quub_audit
from quub_audit.cli.interrupt import Interruption
from quub_audit.cli.mistakes import last_line, messages, trace
from quub_audit.cli.muting import muted
from quub_audit.cli.progress import Judge, Progress
from quub_audit.cli.terminal import Styled, Terminal
from quub_audit.errors import Mendable, NotWritten, UsageError
from quub_audit.model.environment import Environment
from quub_audit.model.finding import Finding
from quub_audit.model.result import ChecklistReference, ItemResult, Notice, Result
from quub_audit.model.status import ExitCode, Severity, Verdict

if TYPE_CHECKING:
    from quub_audit.config import Configuration, Sources
    from quub_audit.connectors.world import World
    from quub_audit.engine.audit import Settings
    from quub_audit.engine.plan import Plan, PlannedItem
    from quub_audit.facts.seal import Redactor
    from quub_audit.registry import Registry

COMMIT_VARIABLES = (
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "GIT_COMMIT",
    "BUILD_SOURCEVERSION",
    "BITBUCKET_COMMIT",
    "BUILDKITE_COMMIT",
    "CIRCLE_SHA1",
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "DRONE_COMMIT_SHA",
    "TRAVIS_COMMIT",
)
"""Where CI systems say which commit they build; the first that holds a full hash counts."""

SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "VAULT_TOKEN", "GITHUB_TOKEN", "CI_JOB_TOKEN")
"""Struck from every output from the start, whatever else is."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the options of `run` say."""

    environment: str
    formats: tuple[str, ...]
    out: Path
    environments: Path = Path("environments.yaml")
    checklist: Path | None = None
    """The built-in one when None."""
    waivers: Path | None = None
    """waivers.yaml beside `environments` when None, if it is there; so for attestations."""
    attestations: Path | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    jobs: int = 16
    check_timeout_s: float = 60.0
    deadline_s: float = 900.0
    fail_on: Severity = Severity.LOW
    gate: Literal["all", "new", "none"] = "all"
    baseline: Path | None = None
    record: Path | None = None
    """Where the evidence bundle goes."""
    commit: str = ""
    """40 hexadecimal digits; found out when empty."""
    allow_active: bool = False
    checks_dirs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """What an audit came to, and what is to be said and kept of it."""

    result: Result
    messages: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    meaning: str = ""
    """Of the exit code, where it is not the result's own."""
    world: World | None = None
    environment: Environment | None = None


def now() -> datetime:
    """Aware, UTC."""
    return datetime.now(UTC)


def run_audit(
    request: Request,
    *,
    terminal: Terminal,
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = now,
) -> int:
    """Audit, write every report, and show what it came to; the exit code.

    Reports are written in every case: also when nothing was audited (code 2), after SIGINT and SIGTERM (code 130),
    and after a bug of ours (code 2). One that cannot be written turns code 0 into 2. The only exception is a baseline
    that the reports would overwrite: then nothing is touched.
    """
    from quub_audit.connectors.children import kill_all

    environ = os.environ if environ is None else environ
    if would_overwrite(request.out, request.baseline):
        terminal.say(f"--baseline {request.baseline}: this run would overwrite it; keep the baseline outside --out")
        last_line(terminal, ExitCode.REFUSED, ExitCode.REFUSED.meaning)
        return ExitCode.REFUSED
    with Interruption(kill_all) as interruption, muted(terminal) as talk:
        ending = _Audit(request, terminal, environ, clock, interruption).carry_out()
        talk.end()
        for line in ending.messages:
            terminal.say(line)
        if terminal.verbosity > 0:
            for line in ending.trace:
                terminal.say(Styled(line, "faint"))
        return _conclude(ending, request, terminal, environ)


def would_overwrite(out: Path, baseline: Path | None) -> bool:
    """Whether the reports of this run would take the place of its baseline."""
    return baseline is not None and baseline.resolve() == (out / "result.json").resolve()


def refuse_usage(message: str, *, environment: str, out: Path, formats: Sequence[str], terminal: Terminal) -> None:
    """Put reports that say why in the place of an earlier run's, when the options themselves cannot be read."""
    from quub_audit.reporters import clear_stale, write

    result = _refusal(message, service="", environment=environment, at=now(), checklist=None)
    try:
        clear_stale(out)
        write(result, formats, out)
    except NotWritten as error:
        for problem in error.problems:
            terminal.say(problem)


class _Audit:
    """The part of a run that may be refused, interrupted or have a bug; every way out is an `_Ending`."""

    def __init__(
        self,
        request: Request,
        terminal: Terminal,
        environ: Mapping[str, str],
        clock: Callable[[], datetime],
        interruption: Interruption,
    ) -> None:
        self._request = request
        self._terminal = terminal
        self._environ = environ
        self._clock = clock
        self._interruption = interruption
        self._started_at = clock()
        self._redactor: Redactor | None = None
        self._configuration: Configuration | None = None

    def carry_out(self) -> _Ending:
        try:
            return self._audit()
        except (Mendable, NotWritten) as error:
            said = messages(error)
            meaning = "nothing was audited: an old report stands in the way" if isinstance(error, NotWritten) else ""
            return _Ending(result=self._refused("\n".join(said)), messages=said, meaning=meaning)
        except KeyboardInterrupt:
            text = f"{self._interruption.name or 'a signal'} came before anything was audited"
            return _Ending(result=self._interrupted(text), messages=(text,))
        except Exception as error:  # noqa: BLE001  a bug of ours must leave a report too, and not end with code 1
            said = (*messages(error), "run it again with -v to see where, and report it")
            return _Ending(
                result=self._refused(said[0]),
                messages=said,
                trace=tuple(trace(error)),
                meaning="nothing was audited: quub-audit has a bug",
            )
        finally:
            self._interruption.defer()

    def _audit(self) -> _Ending:
        from quub_audit.reporters import clear_stale, load_result

        request = self._request
        baseline = load_result(request.baseline) if request.baseline else None
        if request.gate == "new" and baseline is None:
            raise UsageError("--gate new: there is nothing to compare with; name an earlier result with --baseline")
        clear_stale(request.out)
        if request.record:
            _delete(request.record)
        return self._audit_against(baseline)

    def _audit_against(self, baseline: Result | None) -> _Ending:
        from quub_audit.connectors.world import World
        from quub_audit.engine.audit import Settings, audit
        from quub_audit.engine.plan import Selection, make_plan

        request, terminal, interruption = self._request, self._terminal, self._interruption
        redactor = self._redactor_of_run()
        configuration, registry = self._load()
        environment = configuration.environment
        for credential in environment.credentials:
            redactor.add(credential)
        plan = make_plan(
            configuration.checklist,
            environment,
            registry,
            selection=Selection(only=request.only, skip=request.skip, tags=request.tags, sections=request.sections),
            waivers=configuration.waivers,
            today=self._started_at.date(),
            allow_active=request.allow_active,
        )

        class InterruptibleWorld(World):
            """Until its targets are verified, nobody watches `stop`, so that a signal must raise."""

            def verify_targets(self) -> tuple[str, ...]:
                targets = super().verify_targets()
                interruption.defer()
                if terminal.verbosity >= 0:
                    for target in targets:
                        terminal.say(Styled(target, "faint"))
                return targets

        world = InterruptibleWorld(
            environment,
            at=self._started_at,
            permissions=plan.permissions,
            allow_active=request.allow_active,
            redactor=redactor,
            environ=self._environ,
            cache_dir=cache_folder(self._environ),
            commit=commit_said(request.commit, self._environ),
        )
        settings = Settings(
            jobs=request.jobs,
            check_timeout_s=request.check_timeout_s,
            deadline_s=request.deadline_s,
            fail_on=request.fail_on,
            gate=request.gate,
            commit=world.audited_commit(),
            tool_version=quub_audit.__version__,
            waivers=configuration.waivers,
            attestations=configuration.attestations,
            baseline=baseline,
        )
        progress = Progress(terminal, total=len(plan.items), judge=_judge(plan, settings, started_at=self._started_at))
        try:
            result = audit(plan, world, settings, clock=self._clock, stop=interruption.stop, observer=progress)
        finally:
            terminal.erase()
        progress.finish(result)
        return _Ending(result=result, world=world, environment=environment)

    def _redactor_of_run(self) -> Redactor:
        from quub_audit.facts.seal import Redactor

        self._redactor = redactor = Redactor()
        self._terminal.redact = redactor.clean
        for name in SECRET_VARIABLES:
            redactor.add(self._environ.get(name, ""))
        return redactor

    def _load(self) -> tuple[Configuration, Registry]:
        from quub_audit.config import load
        from quub_audit.registry import Registry

        request = self._request
        registry = Registry.discover(request.checks_dirs)
        self._configuration = load(
            sources_of(
                request.environments,
                checklist=request.checklist,
                waivers=request.waivers,
                attestations=request.attestations,
            ),
            environment=request.environment,
            registry=registry,
            environ=self._environ,
            today=self._started_at.date(),
        )
        return self._configuration, registry

    def _refused(self, message: str) -> Result:
        checklist = None
        if self._configuration:
            loaded = self._configuration.checklist
            checklist = ChecklistReference(title=loaded.title, version=loaded.version, digest=loaded.digest)
        result = _refusal(
            message,
            service=self._configuration.environment.service if self._configuration else "",
            environment=self._request.environment,
            at=self._started_at,
            checklist=checklist,
        )
        if self._redactor is None:
            return result
        from quub_audit.engine.redact import redact

        return redact(result, self._redactor)

    def _interrupted(self, text: str) -> Result:
        return replace(
            self._refused(text),
            verdict=Verdict.INTERRUPTED,
            exit_code=ExitCode.INTERRUPTED,
            headline="Interrupted: nothing was audited",
            notices=(Notice(kind="run", text=text),),
        )


def sources_of(
    environments: Path, *, checklist: Path | None, waivers: Path | None, attestations: Path | None
) -> Sources:
    """The four files: what was named, and beside `environments` what was not."""
    from quub_audit.config import Sources

    beside = Sources.beside(environments, checklist=checklist)
    return replace(beside, waivers=waivers or beside.waivers, attestations=attestations or beside.attestations)


def cache_folder(environ: Mapping[str, str]) -> Path | None:
    """Where it is remembered which history was scanned: below XDG_CACHE_HOME, else ~/.cache; None without a home."""
    base = environ.get("XDG_CACHE_HOME", "")
    if base and Path(base).is_absolute():  # the XDG specification has relative ones ignored
        return Path(base) / "quub-audit"
    home = environ.get("HOME", "")
    return Path(home) / ".cache" / "quub-audit" if home else None


def commit_said(given: str, environ: Mapping[str, str]) -> str:
    """The commit that was given, else what CI says; empty where neither does.

    Raises UsageError when `given` is no full hash.
    """
    if given and not _COMMIT.fullmatch(given.lower()):
        raise UsageError(f"--commit {given}: no full commit hash; expected 40 hexadecimal digits")
    said = (given, *(environ.get(name, "") for name in COMMIT_VARIABLES))
    return next((commit.lower() for commit in said if _COMMIT.fullmatch(commit.lower())), "")


def _judge(plan: Plan, settings: Settings, *, started_at: datetime) -> Judge:
    """Folds one item as the whole run will be folded, so that a line in a log never says another status."""
    from quub_audit.engine.collect import Circumstances, collect
    from quub_audit.engine.execute import ItemRun, Run
    from quub_audit.model.result import EvidenceReference

    circumstances = Circumstances(
        today=started_at.date(),
        started_at=started_at,
        finished_at=started_at,
        commit=settings.commit,
        tool_version=settings.tool_version,
        evidence=EvidenceReference(digest=""),
        waivers=settings.waivers,
        attestations=settings.attestations,
    )

    def judge(item: PlannedItem, findings: tuple[Finding, ...]) -> ItemResult:
        run = Run(items=(ItemRun(planned=item, findings=findings),))
        return collect(replace(plan, items=(item,)), run, circumstances).items[0]

    return judge


def _refusal(
    message: str, *, service: str, environment: str, at: datetime, checklist: ChecklistReference | None
) -> Result:
    from quub_audit.engine.collect import refuse

    return refuse(
        message=message,
        service=service,
        environment=environment,
        at=at,
        tool_version=quub_audit.__version__,
        checklist=checklist or ChecklistReference(title="", version="", digest=""),
    )


def _conclude(ending: _Ending, request: Request, terminal: Terminal, environ: Mapping[str, str]) -> int:
    """Write everything, show everything; the exit code."""
    from quub_audit.cli.summary import show_summary
    from quub_audit.reporters.view import outcome

    result = ending.result
    written, problems = _write(ending, request, environ)
    if result.items:
        show_summary(terminal, result)
    try:
        terminal.check()
    except NotWritten as error:
        problems += error.problems
    if written and terminal.verbosity >= 0:
        terminal.say(Styled("Reports", "strong"))
        for path in written:
            terminal.say(f"  {path}")
    for problem in problems:
        terminal.say(problem)
    if problems and result.exit_code is ExitCode.READY:
        last_line(terminal, ExitCode.REFUSED, "nothing blocks this release, but not every report could be written")
        return ExitCode.REFUSED
    _, _, meaning = outcome(result).partition(", ")
    last_line(terminal, result.exit_code, ending.meaning or meaning)
    return result.exit_code


def _write(ending: _Ending, request: Request, environ: Mapping[str, str]) -> tuple[list[Path], list[str]]:
    """Reports, evidence bundle, step summary; what was written, and what could not be."""
    from quub_audit.reporters import write, write_step_summary

    written: list[Path] = []
    problems: list[str] = []
    try:
        written += write(ending.result, request.formats, request.out)
    except NotWritten as error:
        written += error.written
        problems += error.problems
    if request.record and ending.world and ending.environment:
        try:
            _record(request.record, ending.world, ending.environment, ending.result)
            written.append(request.record)
        except OSError as error:
            problems.append(f"{request.record}: the evidence bundle cannot be written: {error.strerror or error}")
    if step_summary := environ.get("GITHUB_STEP_SUMMARY"):
        try:
            write_step_summary(ending.result, Path(step_summary))
        except NotWritten as error:
            problems += error.problems
    return written, problems


def _record(path: Path, world: World, environment: Environment, result: Result) -> None:
    from quub_audit.connectors.evidence import write_bundle

    path.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(
        path,
        world.ledger,
        world.redactor,
        environment=environment,
        recorded_at=result.started_at,
        commit=result.commit,
    )


def _delete(path: Path) -> None:
    """An old evidence bundle must not be taken for this run's."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritten([f"{path}: the old evidence bundle cannot be deleted: {error.strerror or error}"]) from error
