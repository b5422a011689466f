"""A health center's own proxy, as a door in front of a server: it passes everything on, and can be told to spoil it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlsplit

NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length", "accept-encoding", "host", "keep-alive"}


@dataclass
class Passing:
    """One answer on its way out. ``path`` is what was asked, without its query."""

    path: str
    status: int
    headers: list[tuple[str, str]]
    body: str

    def value(self, name: str) -> str:
        """A header, or ""."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def put(self, name: str, value: str | None) -> None:
        """Set a header; None takes it away."""
        self.headers = [one for one in self.headers if one[0].lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


Spoil = Callable[[Passing], None]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that does not trust our certificate hangs up: that is what is tested."""


class FrontProxy:
    """Listens on this computer at ``url`` and passes on to ``behind``; its own address stands wherever that one stood.

    ``spoil`` may change each answer. ``certificate``: a PEM file with key and chain, for https.
    """

    def __init__(self, behind: str, certificate: str | None = None, name: str = "127.0.0.1") -> None:
        self.behind = behind
        self.spoil: Spoil = lambda passing: None
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if certificate else 'http'}://{name}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def inwards(self, text: str) -> str:
        """What was said of our address, as the server behind knows it."""
        return _renamed(text, self.url, self.behind)

    def outwards(self, text: str) -> str:
        """What the server behind says of itself, as the world knows it."""
        return _renamed(text, self.behind, self.url)

    def passed(self, method: str, target: str, headers: Any, body: bytes) -> Passing:
        """The answer of the server behind."""
        connection = HTTPConnection(urlsplit(self.behind).netloc, timeout=30)
        sent = {name: self.inwards(value) for name, value in headers.items() if name.lower() not in NOT_PASSED_ON}
        content = self.inwards(body.decode()).encode() if body else None
        try:
            connection.request(method, self.inwards(target), body=content, headers=sent)
            answer = connection.getresponse()
            told = [(k, self.outwards(v)) for k, v in answer.getheaders() if k.lower() not in NOT_PASSED_ON]
            text = self.outwards(answer.read().decode("utf-8", "replace"))
        finally:
            connection.close()
        return Passing(target.partition("?")[0], answer.status, told, text)


def _renamed(text: str, one: str, other: str) -> str:
    return text.replace(one, other).replace(quote(one, safe=""), quote(other, safe=""))


def _handler(proxy: FrontProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            passing = proxy.passed(self.command, self.path, self.headers, body)
            proxy.spoil(passing)
            content = passing.body.encode()
            self.send_response_only(passing.status)
            for name, value in passing.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None: ...

    return Handler
