"""`quub-audit run`: the audit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quub_audit.cli.options import (
    DEFAULT_FORMATS,
    EXISTING_FILE,
    Seconds,
    checks_dir_option,
    files_options,
    report_options,
    verbosity_options,
)

if TYPE_CHECKING:
    from quub_audit.cli.auditing import Request

DEFAULT_OUT = "quub-audit-report"

EPILOG = """\
\b
Exit codes
  0    ready: nothing blocks this release
  1    not ready: at least one blocking item failed
  2    nothing was audited: a mistake in the command, the configuration or
       the target; or a report could not be written, or quub-audit has a bug
  3    inconclusive: no blocking item failed, but at least one could not be decided
  130  interrupted by SIGINT or SIGTERM

Reports are written in each of these cases. A second SIGINT or SIGTERM ends at once, without them.

Every option may also be set in the environment, as QUUB_AUDIT_RUN_ and its long name: QUUB_AUDIT_RUN_ENV,
QUUB_AUDIT_RUN_FAIL_ON. Values of options that may be given several times are separated by blanks there.
"""


class RunCommand(click.Command):
    """Where even the options are mistaken, the reports of an earlier run are replaced by ones that say so."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click does it."""
        given = list(args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            self._refuse(error, info_name, given, parent)
            raise

    def _refuse(
        self, error: click.UsageError, info_name: str | None, args: list[str], parent: click.Context | None
    ) -> None:
        from quub_audit.cli.auditing import refuse_usage, would_overwrite
        from quub_audit.cli.terminal import Terminal

        readable = super().make_context(info_name, args, parent, resilient_parsing=True).params
        out = readable.get("out") or Path(DEFAULT_OUT)
        if would_overwrite(out, readable.get("baseline")):
            return
        refuse_usage(
            error.format_message(),
            environment=readable.get("env") or "",
            out=out,
            formats=readable.get("format") or DEFAULT_FORMATS,
            terminal=Terminal.of_process(),
        )


@click.command("run", cls=RunCommand, epilog=EPILOG)
@click.option("--env", required=True, metavar="NAME", help="The environment to audit, as environments.yaml names it.")
@report_options(DEFAULT_OUT)
@files_options
@click.option("--only", multiple=True, metavar="GLOB", help="Only items whose id matches; may be given several times.")
@click.option("--skip", multiple=True, metavar="GLOB", help="No item whose id matches; may be given several times.")
@click.option("--tag", multiple=True, help="Only items that carry it; may be given several times.")
@click.option(
    "--section",
    multiple=True,
    help="Only items of this section, by its title or the first part of the ids; may be given several times.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["critical", "high", "medium", "low"]),
    default="low",
    show_default=True,
    help="The lowest severity that blocks.",
)
@click.option(
    "--gate",
    type=click.Choice(["all", "new", "none"]),
    default="all",
    show_default=True,
    help="What blocks: everything unsettled; only what is worse than in --baseline; nothing.",
)
@click.option("--baseline", type=EXISTING_FILE, metavar="FILE", help="The result.json of an earlier run, for --gate.")
@click.option(
    "--commit",
    metavar="HASH",
    default="",
    help="The commit that is released, 40 hexadecimal digits.  [default: what the CI system says, or what the first "
    "repository of the environment has checked out]",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep every answer that was judged in an evidence bundle.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    help="Checks that run at the same time.",
)
@click.option(
    "--check-timeout",
    type=Seconds(),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for one check of one subject, in seconds.",
)
@click.option(
    "--deadline",
    type=Seconds(),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for the audit, in seconds; items that are not finished then are errors.",
)
@click.option(
    "--allow-active",
    is_flag=True,
    help="Also run checks that do more than read: log in with a test user, provoke a 429.",
)
@checks_dir_option
@verbosity_options
def command(quiet: int, verbose: int, **options: Any) -> int:
    """Audit an environment against the checklist.

    Looks at what environments.yaml declares for the environment, judges every item of the checklist, writes the
    reports, and ends with the verdict as its exit code. The account, the cluster and the names are compared with the
    declared ones first: the wrong target audits nothing.

    The results go to stdout, everything else to stderr. A terminal shows what is under way; a log gets a line an item.
    """
    from quub_audit.cli.auditing import run_audit
    from quub_audit.cli.terminal import Terminal

    return run_audit(request_of(options), terminal=Terminal.of_process(verbosity=verbose - quiet))


def request_of(options: Mapping[str, Any]) -> Request:
    """What the options say, by the names that click gives them."""
    from quub_audit.cli.auditing import Request
    from quub_audit.model.status import Severity

    return Request(
        environment=options["env"],
        formats=options["format"],
        out=options["out"],
        environments=options["environments"],
        checklist=options["checklist"],
        waivers=options["waivers"],
        attestations=options["attestations"],
        only=options["only"],
        skip=options["skip"],
        tags=options["tag"],
        sections=options["section"],
        jobs=options["jobs"],
        check_timeout_s=options["check_timeout"],
        deadline_s=options["deadline"],
        fail_on=Severity(options["fail_on"]),
        gate=options["gate"],
        baseline=options["baseline"],
        record=options["record"],
        commit=options["commit"],
        allow_active=options["allow_active"],
        checks_dirs=options["checks_dir"],
    )
