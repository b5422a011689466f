"""What an observer can notice beside an answer: SQL statements, log lines, outgoing calls, mails."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

from smart_app import logs
from smart_app.proofs.wire import Wire


class Statements:
    """Counts the SQL statements of every engine in this process."""

    def __init__(self) -> None:
        self.total = 0
        self._since = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """From here on."""

        def count(*_: Any) -> None:
            self.total += 1
            self._since += 1

        event.listen(Engine, "before_cursor_execute", count)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", count)

    def take(self) -> int:
        """How many since the last time."""
        since, self._since = self._since, 0
        return since


@dataclass
class Senses:
    """Shared by all instances of one run: only one of them is asked at a time."""

    wire: Wire = field(default_factory=Wire)
    statements: Statements = field(default_factory=Statements)
    log: io.StringIO = field(default_factory=io.StringIO)
    requests: int = 0
    bytes_read: int = 0
    _log_read: int = 0

    @contextmanager
    def open(self) -> Iterator[Senses]:
        """Nothing leaves the process meanwhile, and everything is counted."""
        root, handler = logging.getLogger(), logging.StreamHandler(self.log)
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)  # what a library would tell an operator who looks for a fault
        with self.wire.holding(), self.statements.counted():
            try:
                yield self
            finally:
                root.removeHandler(handler)
                root.setLevel(level)
                logs.configure()

    def listen(self) -> None:
        """Log lines come here from now on; putting an app together points them elsewhere."""
        logs.configure(stream=self.log)

    def settle(self) -> None:
        """What happened before the next request belongs to nobody."""
        self.wire.take()
        self.statements.take()
        self.log_since()

    def log_since(self) -> str:
        """Log lines since the last time."""
        text = self.log.getvalue()
        since, self._log_read = text[self._log_read :], len(text)
        return since
