"""``doctor --watch``: wait for one launch of a listed test patient, and print what came of it, line by line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from launch.doctor.findings import ExitCode, Finding, Light, Stops, exit_code
from launch.doctor.report import lines_of, summary
from launch.doctor.site import DoctorSite, SetUpError
from launch.launch_lines import Line
from launch.launch_watch import BEGUN, COMPLETED, SOMEBODY_ELSE, LaunchWatches, Report
from launch.registrations import Registration

POLL_SECONDS = 0.5


def watch_one_launch(
    site: DoctorSite,
    registration: Registration,
    *,
    minutes: int,
    say: Callable[[str], Any],
    as_json: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """The exit code: as for a check-up; 3 when no launch came in time. ``SetUpError`` when it cannot begin."""
    patients = site.facts(registration).test_patients
    if not patients:
        raise SetUpError("List test_patients of this EHR in settings first: a watch never looks at anybody else.")
    if site.watches is None:
        raise SetUpError("This command needs the app's database: run it where `warm-referral serve` runs.")
    watches: LaunchWatches = site.watches()
    now = int(time.time())
    watch_id = watches.open(registration.id, now=now, seconds=minutes * 60)
    try:
        if not as_json:
            say(f"Open the app in {registration.ehr_name} from the chart of a listed test patient ({len(patients)}).")
            say(f"Waiting {minutes} minutes. Ctrl-C stops.")
        for report in _reports(watches, watch_id, until=time.monotonic() + minutes * 60, sleep=sleep):
            if report.step == BEGUN or report.step == SOMEBODY_ELSE:
                if not as_json:
                    say(_passing_words(report))
                continue
            return _finish(report, say, as_json)
    finally:
        watches.close(watch_id)
    say("No launch came. Is the app's launch address registered at the EHR? See doctor without --watch.")
    return ExitCode.UNREACHABLE


def findings_of(lines: tuple[Line, ...]) -> list[Finding]:
    """Lines of a launch as findings; a missing role is for our own settings to mend."""
    return [
        Finding(one.id, Light(one.light), one.words, one.ask, Stops.SETUP if one.id == "role" else Stops.LAUNCH)
        for one in lines
    ]


def _reports(
    watches: LaunchWatches, watch_id: str, *, until: float, sleep: Callable[[float], None]
) -> Iterator[Report]:
    last = 0
    while time.monotonic() < until:
        for number, report in watches.told(watch_id, after=last):
            last = number
            yield report
        sleep(POLL_SECONDS)


def _passing_words(report: Report) -> str:
    if report.step == BEGUN:
        return "A launch has begun; the EHR has the browser now."
    return "Somebody who is not a listed test patient was opened. Nothing of that launch is shown; still waiting."


def _finish(report: Report, say: Callable[[str], Any], as_json: bool) -> int:
    findings = findings_of(report.lines)
    code = exit_code(findings)
    if as_json:
        lines = [line.to_json() for line in report.lines]
        say(json.dumps({"step": report.step, "exit_code": code, "findings": lines}, indent=2))
        return code
    say("The launch came about." if report.step == COMPLETED else "The launch was refused.")
    for finding in findings:
        for text in lines_of(finding):
            say(text)
    say(summary(findings))
    return code
