"""Refusals of callers whom nobody has identified yet, told once a minute for each kind and address.

What anyone can cause without a key or a launch must not fill the audit log, which grows for good: a flood would bury
what matters and cost the disk. The first of each minute is told, with its reason; refusing and rate limits go on for
all. Each process counts for itself, so that a flood costs no write either.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable

from launch.context import LaunchEvent

MOST_ADDRESSES = 1000  # per minute; callers from more places than that are told of together
_IPV6_BITS = 64  # one subscriber's network: its owner may call from any address in it


class RefusalLog:
    """Hands at most one event per name, reason, address and minute on to ``on_event``."""

    def __init__(self, on_event: Callable[[LaunchEvent], None]) -> None:
        self._on_event = on_event
        self._lock = threading.Lock()
        self._minute = 0
        self._told: set[tuple[str, str, str]] = set()

    def tell(self, event: LaunchEvent) -> None:
        """Pass on the first of its kind. ``event.reason`` is one of a few constants, never the caller's words."""
        if not self._is_first(event.name, event.reason, network_of(event.address)):
            return
        self._on_event(event)

    def _is_first(self, name: str, reason: str, network: str) -> bool:
        minute = int(time.time()) // 60
        with self._lock:
            if minute != self._minute:
                self._minute, self._told = minute, set()
            is_crowd = len(self._told) >= MOST_ADDRESSES
            key = (name, reason, "everywhere" if is_crowd else network)
            is_first = key not in self._told and (name, reason, network) not in self._told
            self._told.add(key)
        return is_first


def network_of(address: str | None) -> str:
    """Whom an address belongs to, as far as it can be told: one IPv4 address, or one subscriber's IPv6 network."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network(f"{parsed}/{_IPV6_BITS}", strict=False))
