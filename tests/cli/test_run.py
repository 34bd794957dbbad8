from __future__ import annotations

import gzip
import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shop import COMMAND, Shop, environ

REPORTS = ["junit.xml", "report.html", "report.md", "result.json"]
HASH = "4f2a9c1e7b3d5f60718293a4b5c6d7e8f9012345"


def result_of(shop: Shop) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((shop.reports / "result.json").read_bytes())
    return document


UNDECIDED = "exit code 3, inconclusive: no blocking item failed, but at least one could not be decided"


def scrubbed(text: str) -> str:
    return re.sub(r"\d+\.\d s\b", "0.0 s", text)


@pytest.mark.parametrize(
    ("names", "code", "last_line"),
    [
        (["holds"], 0, "exit code 0, ready: nothing blocks this release"),
        (["holds", "fails"], 1, "exit code 1, not ready: at least one blocking item failed"),
        (["fails", "crashes"], 1, "exit code 1, not ready: at least one blocking item failed"),
        (["nothing"], 3, UNDECIDED),
        (["crashes"], 3, UNDECIDED),
        (["exits", "holds"], 3, UNDECIDED),
        (["unreadable"], 3, UNDECIDED),
    ],
)
def test_exit_code_last_line_and_every_report_tell_the_verdict(
    shop: Shop, names: list[str], code: int, last_line: str
) -> None:
    shop.write(*names)

    ran = shop.audit(code=code)

    assert ran.last_line == last_line
    assert sorted(path.name for path in shop.reports.iterdir()) == REPORTS
    assert result_of(shop)["exit_code"] == code
    assert len(result_of(shop)["items"]) == len(names)


def test_a_log_has_a_line_for_each_item_then_the_reports_then_the_exit_code(shop: Shop) -> None:
    shop.write("fails", "holds", "nothing")

    ran = shop.audit("--jobs", "1", code=1)

    assert scrubbed(ran.err) == (
        "[1/3] fail            shop.facts.fails  2 subjects  0.0 s\n"
        "[2/3] pass            shop.facts.holds  1 subject  0.0 s\n"
        "[3/3] inconclusive    shop.facts.nothing  0 subjects  0.0 s\n"
        "Reports\n"
        "  quub-audit-report/result.json\n"
        "  quub-audit-report/junit.xml\n"
        "  quub-audit-report/report.md\n"
        "  quub-audit-report/report.html\n"
        "exit code 1, not ready: at least one blocking item failed\n"
    )


def test_results_go_to_stdout_with_what_blocks_and_what_to_do_about_it(shop: Shop) -> None:
    shop.write("fails", "holds", "nothing")

    ran = shop.audit(code=1)

    assert ran.out == (
        "Shop  1 fail, 1 inconclusive, 1 pass\n"
        "  Facts\n"
        "    ✗ fail            shop.facts.fails    2 subjects  control plane  1 warning\n"
        "    ✓ pass            shop.facts.holds    1 subject   control plane\n"
        "    ? inconclusive    shop.facts.nothing  0 subjects\n"
        "\n"
        "What blocks this release: 2 items\n"
        "\n"
        "✗ fail  shop.facts.fails  high\n"
        "  The shop fails\n"
        "  shop-2\n"
        "    observed   retention is 1 day\n"
        "    expected   7 days or more\n"
        "  mend       Mend the shop.\n"
        "\n"
        "? inconclusive  shop.facts.nothing  high\n"
        "  The shop nothing\n"
        "  nothing could be looked at: the environment declares no `endpoints:`\n"
        "  next step  declare `endpoints:` in environments.yaml, or say under `not_applicable:` why there is nothing\n"
        "\n"
        "`quub-audit explain ITEM` says what an item looks at, and how to mend it.\n"
        "\n"
        "Does not block\n"
        "  warning  shop.facts.fails: shop-1: retention ends in 5 days\n"
        "\n"
        "Not ready: 1 blocking item failed, and 1 could not be decided\n"
    )


def test_a_log_begins_with_what_is_audited(shop: Shop) -> None:
    shop.write("holds")
    endpoint = "{name: api, url: 'https://api.shop.test'}"
    (shop.folder / "environments.yaml").write_text(
        f"service: shop\nenvironments: {{production: {{stage: production, endpoints: [{endpoint}]}}}}\n"
    )

    assert shop.audit(code=0).err.startswith("endpoint api https://api.shop.test\n[1/1] pass ")


def test_an_item_that_a_checklist_leaves_out_is_named_with_the_reason(shop: Shop) -> None:
    shop.write("holds", "fails")
    (shop.folder / "own.yaml").write_text(
        'version: "1"\ntitle: Own\nextends: checklist.yaml\ndrop:\n'
        "  - id: shop.facts.fails\n    reason: the second shop is closed\n"
    )

    ran = shop.run("run", "--env", "production", "--checklist", "own.yaml", "--checks-dir", "checks", code=0)

    assert "Left out of the checklist: shop.facts.fails: the second shop is closed" in ran.out


def test_a_waived_item_is_shown_with_what_it_would_be_and_until_when(shop: Shop) -> None:
    shop.write("fails")
    expires = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    (shop.folder / "waivers.yaml").write_text(
        "waivers:\n  - item: shop.facts.fails\n    reason: the second shop moves in March\n"
        f"    requester: ann\n    approver: bob\n    ticket: SHOP-1\n    expires: {expires}\n"
    )

    ran = shop.audit(code=0)

    assert scrubbed(ran.err).startswith("[1/1] waived          shop.facts.fails  2 subjects  0.0 s\n")
    assert f"accepted until {expires}: the second shop moves in March (SHOP-1)" in ran.out


def test_quiet_shows_what_blocks_and_twice_quiet_only_the_last_line(shop: Shop) -> None:
    shop.write("fails", "holds")

    once = shop.audit("-q", code=1)
    twice = shop.audit("-qq", code=1)

    assert once.out.startswith("What blocks this release: 1 item\n")
    assert once.err == "exit code 1, not ready: at least one blocking item failed\n"
    assert twice.out == ""
    assert twice.err == "exit code 1, not ready: at least one blocking item failed\n"


def test_verbose_shows_every_finding_below_its_item(shop: Shop) -> None:
    shop.write("fails")

    ran = shop.audit("-v", code=1)

    assert scrubbed(ran.err).startswith(
        "[1/1] fail            shop.facts.fails  2 subjects  0.0 s\n"
        "        fail  shop-2: retention is 1 day; expected 7 days or more\n"
        "        warning  shop-1: retention ends in 5 days\n"
        "        pass  shop-1: retention is 7 days; expected 7 days or more\n"
    )


def test_what_a_server_says_moves_no_cursor_and_forges_no_line(shop: Shop) -> None:
    shop.write("hostile")

    ran = shop.audit("-v", code=1)

    for text in (ran.out, ran.err):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "⟨U+202E⟩gnp.exe" in ran.out
    assert [line for line in ran.err.splitlines() if line.startswith("exit code")] == [ran.last_line]
    assert not any(line.startswith("exit code") for line in ran.out.splitlines())


def test_what_a_server_says_is_no_order_to_the_ci_system_that_reads_the_log(shop: Shop) -> None:
    """GitHub obeys `::` at the start of a line, blanks ignored; Azure Pipelines obeys `##vso[` anywhere."""
    shop.write("orders")

    ran = shop.audit("-v", code=1)

    for line in (ran.out + ran.err).splitlines():
        assert not re.match(r"\s*::", line)
        assert not re.search(r"##(vso|teamcity)?\[", line)
    assert ": :add-mask::shop" in ran.out


def test_a_secret_of_the_environment_is_struck_from_streams_and_reports(shop: Shop) -> None:
    shop.write("leaks")
    token = "hvs.wholly-made-up-token"

    ran = shop.audit("-v", "--format", "html,junit,markdown,json,sarif", code=1, VAULT_TOKEN=token)

    assert "[redacted]" in ran.out
    assert "[redacted]" in ran.err
    assert token not in ran.out + ran.err
    for report in shop.reports.iterdir():
        assert token not in report.read_text(encoding="utf-8")


def test_a_bug_of_ours_ends_with_2_and_reports_and_tells_where_only_when_asked(shop: Shop) -> None:
    """A plugin has broken the engine."""
    shop.write("sabotages")
    token = "hvs.wholly-made-up-token"

    brief = shop.audit(code=2, VAULT_TOKEN=token)
    full = shop.audit("-v", code=2, VAULT_TOKEN=token)

    assert "quub-audit has a bug: RuntimeError: folded with [redacted]\n" in brief.err
    assert brief.last_line == "exit code 2, nothing was audited: quub-audit has a bug"
    assert "Traceback" not in brief.err
    assert "Traceback (most recent call last):\n" in full.err
    assert token not in brief.err + full.err + (shop.reports / "result.json").read_text()
    assert result_of(shop)["verdict"] == "refused"


def test_colours_come_when_forced_and_never_where_they_are_not_wanted(shop: Shop) -> None:
    shop.write("fails")

    assert "\x1b[" not in shop.audit().out
    assert "\x1b[" in shop.audit(FORCE_COLOR="1").out
    assert "\x1b[" not in shop.audit(FORCE_COLOR="1", NO_COLOR="1").out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_gets_other_symbols(shop: Shop, encoding: str) -> None:
    shop.write("fails", "hostile", "holds")

    ran = shop.audit(code=1, PYTHONIOENCODING=encoding)

    assert "    x fail            shop.facts.fails" in ran.out
    assert "    + pass            shop.facts.holds" in ran.out
    assert "\\u6f22\\u5b57" in ran.out


def test_a_mistake_in_a_file_audits_nothing_and_replaces_old_reports_by_ones_that_say_so(shop: Shop) -> None:
    shop.write("holds")
    shop.audit(code=0)
    (shop.folder / "environments.yaml").write_text("service: shop\nenvironments: {production: {stage: prod, x: 1}}\n")

    ran = shop.audit(code=2)

    mistakes = [line for line in ran.err.splitlines() if line.startswith("environments.yaml:2:")]
    assert len(mistakes) == 2
    assert ran.out == ""
    assert ran.last_line == (
        "exit code 2, nothing was audited: a mistake in the command, the configuration or the target"
    )
    assert sorted(path.name for path in shop.reports.iterdir()) == REPORTS
    assert result_of(shop)["verdict"] == "refused"
    assert "\n".join(mistakes) in result_of(shop)["notices"][0]["text"]
    assert (shop.reports / "junit.xml").read_text().count("<error ") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "shop.fcts.*"], "--only shop.fcts.*: matches no item"),
        (["--skip", "*"], "no item of “The shop” is selected with --skip *"),
        (["--commit", "main"], "--commit main: no full commit hash; expected 40 hexadecimal digits"),
        (["--gate", "new"], "--gate new: there is nothing to compare with; name an earlier result with --baseline"),
        (["--env", "prod"], "prod"),
    ],
)
def test_a_mistake_in_the_command_audits_nothing(shop: Shop, arguments: list[str], said: str) -> None:
    shop.write("holds")

    ran = shop.audit(*arguments, code=2)

    assert said in ran.err
    assert "quub-audit has a bug" not in ran.err
    assert result_of(shop)["exit_code"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--jobs", "0"],
        ["--deadline", "nan"],
        ["--deadline", "-1"],
        ["--format", "pdf"],
        ["--format", ","],
        ["--fail-on", "worst"],
        ["--wat"],
        ["--waivers", "absent.yaml"],
        ["--checklist", "absent.yaml"],
        ["--baseline", "absent.json"],
        ["surplus"],
    ],
)
def test_an_option_that_cannot_be_read_replaces_old_reports_too(shop: Shop, arguments: list[str]) -> None:
    shop.write("holds")
    shop.audit("--out", "here", "--format", "json,sarif", code=0)

    ran = shop.audit("--out", "here", *arguments, code=2)

    assert "Usage: quub-audit run" in ran.err
    assert ran.last_line == "exit code 2, a mistake in the command or in a file"
    assert json.loads((shop.folder / "here" / "result.json").read_bytes())["verdict"] == "refused"
    assert not (shop.folder / "here" / "report.sarif").exists()


def test_without_an_environment_nothing_is_audited(shop: Shop) -> None:
    ran = shop.run("run", code=2)

    assert "Missing option '--env'" in ran.err
    assert result_of(shop)["verdict"] == "refused"


def test_options_may_be_set_in_the_environment(shop: Shop) -> None:
    shop.write("holds", "fails")

    ran = shop.run(
        "run",
        code=0,
        QUUB_AUDIT_RUN_ENV="production",
        QUUB_AUDIT_RUN_CHECKLIST="checklist.yaml",
        QUUB_AUDIT_RUN_CHECKS_DIR="checks",
        QUUB_AUDIT_RUN_SKIP="*.fails",
        QUUB_AUDIT_RUN_CHECK_TIMEOUT="5",
        QUUB_AUDIT_RUN_FORMAT="json",
        QUUB_AUDIT_VERSION="not a switch",
    )

    assert [path.name for path in shop.reports.iterdir()] == ["result.json"]
    assert ran.last_line.startswith("exit code 0")
    assert [item["id"] for item in result_of(shop)["items"]] == ["shop.facts.holds"]


def test_a_plugin_that_does_not_come_back_costs_its_own_item_and_the_process_ends(shop: Shop) -> None:
    shop.write("never", "chatters", "holds")

    ran = shop.audit("--check-timeout", "0.5", "-q", code=3)

    assert ran.last_line.startswith("exit code 3")
    assert [item["status"] for item in result_of(shop)["items"]] == ["error", "error", "pass"]


def test_a_run_ends_at_its_deadline_with_every_item_in_the_report(shop: Shop) -> None:
    shop.write("never", "holds")

    ran = shop.audit("--deadline", "2", code=3)

    assert [item["status"] for item in result_of(shop)["items"]] == ["error", "pass"]
    assert "[2/2] error           shop.facts.never" in ran.err
    assert "not finished: the run's 2 s were used up" in ran.out


def test_what_a_plugin_prints_is_no_result(shop: Shop) -> None:
    shop.write("prints")

    assert "printed by a plugin" not in shop.audit(code=0).out
    assert "printed by a plugin" in shop.audit("-v", code=0).err


def test_an_advisory_run_reports_and_lets_everything_through(shop: Shop) -> None:
    shop.write("fails")

    ran = shop.audit("--gate", "none", code=0)

    assert ran.last_line == "exit code 0, advisory run: the verdict stops nothing"


def test_only_what_is_worse_than_the_baseline_blocks(shop: Shop) -> None:
    shop.write("fails", "holds")
    shop.audit(code=1)
    baseline = shop.folder / "baseline.json"
    (shop.reports / "result.json").rename(baseline)

    same = shop.audit("--gate", "new", "--baseline", "baseline.json", code=0)
    shop.write("fails", "holds", "nothing")
    worse = shop.audit("--gate", "new", "--baseline", "baseline.json", code=3)

    assert "shop.facts.fails: shop-2: retention is 1 day" in same.out
    assert "no worse than in the baseline" in same.out
    assert "? inconclusive  shop.facts.nothing  high, new" in worse.out
    assert "Against the baseline\n  new        shop.facts.nothing: The shop nothing\n" in worse.out


def test_a_baseline_that_the_run_would_overwrite_is_refused_and_left_alone(shop: Shop) -> None:
    shop.write("fails")
    shop.audit(code=1)
    before = (shop.reports / "result.json").read_bytes()

    ran = shop.audit("--gate", "new", "--baseline", "quub-audit-report/result.json", code=2)

    shop.audit("--baseline", "quub-audit-report/result.json", "--jobs", "0", code=2)

    assert "this run would overwrite it; keep the baseline outside --out" in ran.err
    assert (shop.reports / "result.json").read_bytes() == before


def test_a_baseline_that_is_no_result_is_a_mistake(shop: Shop) -> None:
    shop.write("holds")
    (shop.folder / "baseline.json").write_text("{}")

    ran = shop.audit("--baseline", "baseline.json", code=2)

    assert "baseline.json: schema: no schema is named" in ran.err


@pytest.mark.parametrize("variable", ["GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "BUILD_SOURCEVERSION"])
def test_the_commit_is_what_the_ci_system_says(shop: Shop, variable: str) -> None:
    shop.write("holds")

    shop.audit(code=0, **{variable: HASH.upper()})

    assert result_of(shop)["commit"] == HASH


def test_the_commit_that_is_given_counts_more_and_one_that_nobody_knows_is_empty(shop: Shop) -> None:
    shop.write("holds")

    shop.audit(code=0, BUILDKITE_COMMIT="HEAD")
    assert result_of(shop)["commit"] == ""

    shop.audit("--commit", HASH, code=0, GITHUB_SHA="0" * 40)
    assert result_of(shop)["commit"] == HASH


def test_the_commit_is_else_what_the_first_repository_has_checked_out(shop: Shop) -> None:
    shop.write("holds")
    git = ["git", "-c", "user.name=shop", "-c", "user.email=shop@shop.test", "-C", str(shop.folder)]
    subprocess.run([*git, "init", "-q"], check=True, env=environ(shop.folder, {}))
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True, env=environ(shop.folder, {}))
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    declared = "{stage: production, repositories: [{name: shop, path: .}]}"
    (shop.folder / "environments.yaml").write_text(f"service: shop\nenvironments: {{production: {declared}}}\n")

    shop.audit(code=0)

    assert result_of(shop)["commit"] == head


def test_the_step_summary_of_github_is_appended_whatever_the_verdict(shop: Shop) -> None:
    shop.write("fails")
    summary = shop.folder / "summary.md"

    shop.audit(code=1, GITHUB_STEP_SUMMARY=str(summary))
    shop.audit("--only", "nothing.at.all", code=2, GITHUB_STEP_SUMMARY=str(summary))

    text = summary.read_text()
    assert "Not ready: 1 blocking item failed" in text
    assert "--only nothing.at.all: matches no item" in text


def test_the_evidence_bundle_is_recorded_and_an_old_one_never_stays(shop: Shop) -> None:
    shop.write("holds")

    ran = shop.audit("--record", "kept/evidence.gz", code=0)
    head = json.loads(gzip.decompress((shop.folder / "kept" / "evidence.gz").read_bytes()).splitlines()[0])
    shop.audit("--record", "kept/evidence.gz", "--only", "none.such.item", code=2)

    assert head["format"] == "quub-audit/evidence/1"
    assert "  kept/evidence.gz\n" in ran.err
    assert not (shop.folder / "kept" / "evidence.gz").exists()


def test_a_gate_whose_report_could_not_be_written_is_not_green(shop: Shop) -> None:
    shop.write("holds")
    (shop.folder / "taken").write_text("a file")

    ran = shop.audit("--out", "taken/reports", code=2)

    assert "taken/reports: the folder for the reports cannot be made: Not a directory" in ran.err
    assert ran.last_line == "exit code 2, nothing blocks this release, but not every report could be written"


def test_a_verdict_against_the_release_stays_when_a_report_could_not_be_written(shop: Shop) -> None:
    shop.write("fails")

    ran = shop.audit(code=1, GITHUB_STEP_SUMMARY="/nowhere/summary.md")

    assert "/nowhere/summary.md: the step summary cannot be written: No such file or directory" in ran.err


def test_an_old_report_that_cannot_be_deleted_keeps_everything_from_being_audited(shop: Shop) -> None:
    shop.write("holds")
    (shop.reports / "junit.xml").mkdir(parents=True)

    ran = shop.audit(code=2)

    assert "quub-audit-report/junit.xml: the old report cannot be deleted" in ran.err
    assert ran.last_line == "exit code 2, nothing was audited: an old report stands in the way"
    assert result_of(shop)["verdict"] == "refused"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_below_stdout_is_no_green_gate(shop: Shop) -> None:
    shop.write("holds")

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [COMMAND, *shop.arguments()],
            cwd=shop.folder,
            env=environ(shop.folder, {}),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert done.returncode == 2
    assert b"standard output: cannot be written: No space left on device\n" in done.stderr
    assert result_of(shop)["verdict"] == "ready"


def test_a_reader_that_goes_away_costs_neither_the_reports_nor_the_verdict(shop: Shop) -> None:
    shop.write("fails")

    with subprocess.Popen(
        [COMMAND, *shop.arguments()],
        cwd=shop.folder,
        env=environ(shop.folder, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read().decode()
        code = process.wait(timeout=60)

    assert code == 1
    assert err.splitlines()[-1] == "exit code 1, not ready: at least one blocking item failed"
    assert "Broken pipe" not in err
    assert result_of(shop)["exit_code"] == 1


def test_closed_streams_do_not_stop_an_audit(shop: Shop) -> None:
    shop.write("fails")

    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", COMMAND, *shop.arguments()],
        cwd=shop.folder,
        env=environ(shop.folder, {}),
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert result_of(shop)["exit_code"] == 1
