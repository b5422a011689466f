"""``python -m launch.sandbox ehr|program``: the two outside systems a newcomer can try the app against."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The command line of both sandboxes."""
    top = argparse.ArgumentParser(prog="python -m launch.sandbox", description=__doc__)
    which = top.add_subparsers(dest="which", required=True)
    ehr = which.add_parser("ehr", help="a strict SMART on FHIR EHR with synthetic people")
    ehr.add_argument("--port", type=int, default=9000)
    ehr.add_argument("--control", type=int, default=None, help="port of the switches; off when not given")
    ehr.add_argument("--app", default="http://127.0.0.1:8000", help="origin of the app registered at this EHR")
    ehr.add_argument("--database", type=Path, required=True, help="SQLite file; made when absent")
    ehr.add_argument("--data", type=Path, default=None, help="folder of Synthea R4 bundles to load as well")
    program = which.add_parser("program", help="a program that receives and sends referrals")
    program.add_argument("--port", type=int, default=9100)
    program.add_argument("--control", type=int, default=None, help="port of the switches; off when not given")
    program.add_argument("--clinic", default="http://127.0.0.1:8000", help="origin of the clinic's app")
    program.add_argument("--database", type=Path, required=True, help="SQLite file; made when absent")
    program.add_argument("--keys", type=Path, required=True, help="private key file; made when absent")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sandbox until it is told to stop. Exit code 2: wrong arguments or a busy port."""
    args = parser().parse_args(arguments)
    if args.which == "program":
        from launch.sandbox import partner_program

        return int(partner_program.main(args) or 0)
    from launch.sandbox import app

    return app.main(args)


if __name__ == "__main__":
    sys.exit(main())
