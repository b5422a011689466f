"""Servers that ``bench/inbound.py`` compares: each a process group of its own on loopback, with the CPU time it used.

    python bench/serving.py app CONFIG     the whole app under gunicorn, as ``warm-referral serve`` runs it, one worker
    python bench/serving.py ceiling URL    ``bench/ceiling.py`` under the same gunicorn

A process prints its port on the first line. CPU time is what the kernel counted for every process of the group, user
and system, so waiting for the disk or for a busy machine is no part of it.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
THREADS = 4
NO_LIMIT = 1e9


class Server:
    """A running server. Leave it by ``stop``."""

    def __init__(self, command: list[str], given: bytes = b"") -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(given)
        self._process.stdin.close()
        line = self._process.stdout.readline().strip()
        if not line.isdigit():
            raise SystemExit(f"{Path(command[1]).name} did not start")
        self.port = int(line)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def reconnect(self) -> None:
        """A server closes a connection that had nothing to do for some seconds."""
        self._connection.close()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """One request on the one connection that is kept."""
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def cpu_seconds(self) -> float:
        """Of every process of this group until now."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self._process.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._connection.close()
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(timeout=30)


def main(what: str, where: str) -> None:
    """Serve until a signal comes."""
    from gunicorn.app.base import BaseApplication

    listening = socket.create_server(("127.0.0.1", 0))
    os.set_inheritable(listening.fileno(), True)
    port = listening.getsockname()[1]

    class Served(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            options: dict[str, Any] = {
                "bind": f"fd://{listening.fileno()}",
                "worker_class": "gthread",
                "workers": 1,
                "threads": THREADS,
                "loglevel": "error",
                "control_socket_disable": True,
                "post_worker_init": lambda worker: print(port, flush=True),
            }
            for key, value in options.items():
                if key in self.cfg.settings:
                    self.cfg.set(key, value)

        def load(self) -> Any:
            if what == "ceiling":
                from ceiling import Ceiling, PostgresRows, SqliteRows

                rows = PostgresRows(where) if where.startswith("postgresql:") else SqliteRows(Path(where))
                return Ceiling(rows).app
            from smart_app.app import create_app
            from smart_app.settings import load

            return create_app(load(Path(where)), threads=THREADS, partner_calls_per_second=NO_LIMIT)

    Served().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
