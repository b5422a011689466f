"""A program's system in a process of its own, which writes down when each message arrived by the kernel's clock: a
machine under load delays a reader by seconds, and not the moment at which the bytes were there.

    python tests/support/timed_program.py PORT FILE [SECONDS]

FILE gets one JSON line for each message: its Task, status and ``at`` (Unix seconds of the last bytes). SECONDS: how
long it takes to answer one.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path

SO_TIMESTAMPNS = 35  # Linux; Python has no name for it


class Reader:
    """One connection: its requests, each with the moment of its last bytes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._bytes = b""
        self._at = 0.0

    def request(self) -> tuple[str, bytes, float] | None:
        """First line, body and moment; None at the end, also when it comes in the middle of a request."""
        while b"\r\n\r\n" not in self._bytes:
            if not self._more():
                return None
        head, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(headers.get("content-length", "0"))
        while len(self._bytes) < length:
            if not self._more():
                return None
        body, self._bytes = self._bytes[:length], self._bytes[length:]
        return lines[0], body, self._at

    def _more(self) -> bool:
        data, extras, _, _ = self._connection.recvmsg(65_536, 1_024)
        for level, kind, value in extras:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("qq", value)
                self._at = seconds + nanoseconds / 1e9
        self._bytes += data
        return bool(data)


def task_of(payload: dict) -> dict:
    """The Task itself, or the one in a bundle."""
    if payload["resourceType"] == "Task":
        return payload
    return next(entry["resource"] for entry in payload["entry"] if entry["resource"]["resourceType"] == "Task")


def serve(connection: socket.socket, origin: str, file: int, seconds: float) -> None:
    """Answer one connection until it ends."""
    with connection:
        reader = Reader(connection)
        while (found := reader.request()) is not None:
            line, body, at = found
            answer: dict = {}
            if line.startswith("GET /fhir/.well-known/smart-configuration "):
                answer = {"token_endpoint": f"{origin}/token"}
            elif line.startswith("POST /token "):
                answer = {"access_token": "live", "token_type": "bearer", "expires_in": 300}
            else:
                task = task_of(json.loads(body))
                said = {"task": task["id"], "status": task["status"], "at": at}
                os.write(file, json.dumps(said).encode() + b"\n")
                time.sleep(seconds)
            content = json.dumps(answer).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))


def say(words: str) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> None:
    port, path, *more = sys.argv[1:]
    file = os.open(Path(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    seconds = float(more[0]) if more else 0.0
    with socket.create_server(("127.0.0.1", int(port)), backlog=128) as listening:
        listening.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # what it accepts inherits this
        say("Ready")
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            threading.Thread(
                target=serve, args=(connection, f"http://127.0.0.1:{port}", file, seconds), daemon=True
            ).start()


if __name__ == "__main__":
    main()
