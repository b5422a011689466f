"""Loopback sockets and threads: one WSGI app per port, on 127.0.0.1 and on ::1, in one small process."""

from __future__ import annotations

import errno
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
REQUEST_TIMEOUT_SECONDS = 30


class QuietHandler(WSGIRequestHandler):
    """No access log (a query may hold a launch value or a code), no waiting for a peer that went silent."""

    disable_nagle_algorithm = True
    timeout = REQUEST_TIMEOUT_SECONDS
    server_version = "sandbox"
    _headers_buffer: list[bytes]
    sys_version = ""

    def send_header(self, keyword: str, value: str) -> None:
        """The app's own Date, where it gives one, stands in place of the server's."""
        if keyword.lower() == "date":
            sent = self._headers_buffer
            sent[:] = [line for line in sent if not line.lower().startswith(b"date:")]
        super().send_header(keyword, value)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Write nothing."""


class PortBusyError(OSError):
    """A port is taken. The text is one sentence for a person."""


def sockets(port: int) -> list[socket.socket]:
    """Listening sockets on 127.0.0.1 and, where the machine has it, ::1. Never on any other address."""
    opened: list[socket.socket] = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            opened.append(_listening(family, host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                for one in opened:
                    one.close()
                raise PortBusyError(
                    f"Port {port} on {host} is in use: stop what runs there or choose another port."
                ) from error
            if family == socket.AF_INET:
                raise
    return opened


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


class Sites:
    """Several (app, port) pairs served by threads until ``stop``."""

    def __init__(self, sites: Sequence[tuple[WsgiApp, int]]) -> None:
        self._servers: list[BaseWSGIServer] = []
        self._listeners: list[socket.socket] = []
        try:
            for app, port in sites:
                for listener in sockets(port):
                    self._listeners.append(listener)
                    self._servers.append(_server(app, port, listener))
        except OSError:
            self.stop()
            raise
        self._threads = [threading.Thread(target=one.serve_forever, daemon=True) for one in self._servers]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop accepting, finish what runs, close the sockets."""
        for server in self._servers:
            if hasattr(self, "_threads"):
                server.shutdown()
            server.server_close()
        for listener in self._listeners:
            with suppress(OSError):
                listener.close()


def _server(app: WsgiApp, port: int, listener: socket.socket) -> BaseWSGIServer:
    host = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
    return make_server(host, port, app, threaded=True, request_handler=QuietHandler, fd=listener.fileno())


def run(sites: Sequence[tuple[WsgiApp, int]], ready: str) -> int:
    """Serve until SIGTERM or SIGINT. Prints ``ready`` when listening; returns the process exit code."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        served = Sites(sites)
    except PortBusyError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{ready}\n")
    sys.stdout.flush()
    while not stopping.wait(timeout=1.0):
        pass
    served.stop()
    return 0
