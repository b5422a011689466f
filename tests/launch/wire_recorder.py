"""Writes down what a site of the sandbox hears and says, byte for byte, for tests that judge the wire themselves."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Heard:
    """One request as it reached the other side, and how it was answered."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answer: bytes = b""

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode(), keep_blank_values=True)


class Recorder:
    """A WSGI app that writes down what another one hears and says."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.heard = inner, list[Heard]()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        headers = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
        headers["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "")
        query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        one = Heard(environ["REQUEST_METHOD"], environ["PATH_INFO"], query, headers, body)
        self.heard.append(one)

        def started(status: str, sent: Any, *rest: Any) -> Any:
            one.status = int(status.split()[0])
            return start_response(status, sent, *rest)

        parts = list(self.inner(environ, started))
        one.answer = b"".join(parts)
        return parts
