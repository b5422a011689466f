"""What is looked at last is looked at when the line is open: a real socket shows what had left by then."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from launch.backend_services import Client
from launch.keys import KeyRing, new_key

BODY = b'{"resourceType":"Bundle","canary":"canary-robin"}'


class StoppedError(Exception):
    """Somebody took it back."""


@dataclass
class Listener:
    """A partner's system on a bare socket; ``heard`` is every byte of each connection, ``opened`` counts them."""

    origin: str = ""
    opened: int = 0
    heard: list[bytes] = field(default_factory=list)

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.opened += 1
            with connection:
                connection.settimeout(10)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        said = b""
        while not self._is_whole(said):
            more = connection.recv(65_536)
            if not more:
                break
            said += more
        self.heard.append(said)
        if self._is_whole(said):
            answer = {"token_endpoint": f"{self.origin}/token", "token_type": "bearer", "access_token": "live"}
            content = json.dumps(answer).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))

    def _is_whole(self, said: bytes) -> bool:
        head, end, body = said.partition(b"\r\n\r\n")
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return bool(end) and len(body) >= int(lengths[0] if lengths else 0)


@pytest.fixture
def partner() -> Iterator[Listener]:
    made = Listener()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=made.serve, args=(listening,), daemon=True)
        thread.start()
        yield made
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.fixture(scope="module")
def client() -> Client:
    return Client(KeyRing([new_key("ES384", made_at=0, signs_from=0)]), allows_loopback_http=True)


def ways(partner: Listener) -> dict[str, str]:
    return {
        "fhir_address": f"{partner.origin}/fhir",
        "token_endpoint": f"{partner.origin}/token",
        "client_id": "care-connections",
        "scope": "system/Task.cu",
    }


def test_stopped_at_the_last_moment_no_byte_of_the_body_has_left(client: Client, partner: Listener) -> None:
    """The line to the program is open, and then it is taken back: the program has heard nothing of it.

    Break: call ``last_look`` before the request in Client._send.
    """
    opened_then: list[int] = []

    def stop() -> None:
        deadline = time.monotonic() + 5
        while partner.opened < 3 and time.monotonic() < deadline:  # discovery, token, and this one
            time.sleep(0.01)
        opened_then.append(partner.opened)
        raise StoppedError

    with pytest.raises(StoppedError):
        client.post(**ways(partner), body=lambda: BODY, last_look=stop)
    assert opened_then == [3]
    assert b"canary" not in b"".join(partner.heard)


def test_looked_at_last_and_then_sent_as_given(client: Client, partner: Listener) -> None:
    """What may leave leaves whole, byte for byte, and with its length."""
    looks: list[int] = []
    client.post(**ways(partner), body=lambda: BODY, last_look=lambda: looks.append(1))
    assert looks
    head, _, body = partner.heard[-1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /fhir HTTP/1.1\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == BODY


def test_a_change_names_the_resource_by_its_identifier(client: Client, partner: Listener) -> None:
    """A program finds the item by the number it got with it."""
    client.put(**ways(partner), path="Task", identifier="https://clinic.example/id/task|t 1", body=BODY)
    head, _, body = partner.heard[-1].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /fhir/Task?identifier=https%3A%2F%2Fclinic.example%2Fid%2Ftask%7Ct%201 HTTP/1.1\r\n")
    assert body == BODY


@pytest.mark.parametrize("path", ["Task/../Patient", "Task?identifier=x&y", "Task#1", "Task?other=1"])
def test_an_odd_path_is_refused_before_any_connection(client: Client, partner: Listener, path: str) -> None:
    """Nobody leads us to another place at the program."""
    with pytest.raises(ValueError, match="path"):
        client.post(**ways(partner), body=BODY, path=path)
    assert partner.opened == 0
