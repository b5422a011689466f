"""Delivery workers by the dozen: all is imported and warm once, and each worker is a fork that works until nothing is
due.

    python tests/support/worker_farm.py DATABASE KEYS FOLDER

A line on stdin is a number of workers to run at once; the answer is a JSON list of how each ended: 0, or -9 for one
that was killed. A worker that comes to a point of ``kill_points.py`` kills itself while FOLDER holds a file of its
name; the file is taken away, so that one dies of it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from delivery_worker import die_at, make_worker

from fhir_profiles import r4, validation
from smart_app import logs
from smart_app.delivery.worker import Worker

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))

from kill_points import KILL_POINTS

EMPTY_ROUNDS = 3


def work(worker: Worker) -> None:
    """Until nothing is due, some rounds in a row."""
    empty = 0
    while empty < EMPTY_ROUNDS:
        empty = 0 if worker.run_once() else empty + 1


def start(worker: Worker) -> int:
    """Fork a worker."""
    pid = os.fork()
    if pid:
        return pid
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    code = 1
    try:
        work(worker)
        code = 0
    finally:
        os._exit(code)


def say(words: str) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> None:
    database, keys, folder = sys.argv[1:]
    logs.configure()  # to stderr: stdout is for answers
    for point in KILL_POINTS:
        if point.process == "worker":
            die_at(point.target, point.when, Path(folder) / point.name)
    r4.load()
    validation.load()
    worker, engine = make_worker(database, keys)
    work(worker)  # what waits now makes every statement known
    engine.dispose()  # no child may share a connection
    say("Ready")
    for line in sys.stdin:
        running = [start(worker) for _ in range(int(line))]
        ended = [os.waitpid(pid, 0)[1] for pid in running]
        say(json.dumps([os.waitstatus_to_exitcode(status) for status in ended]))


if __name__ == "__main__":
    main()
