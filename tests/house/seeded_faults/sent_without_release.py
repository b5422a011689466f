"""The release is not looked at before a send."""

from __future__ import annotations

from typing import Any

from smart_app.gateways.consent_register import ConsentRegister

CHECK = "leaving: only under a release"


def seed(monkeypatch: Any, bench: Any) -> None:
    def any_of(_register: Any, consents: Any, *_: Any) -> str:
        return f"Consent/{consents[0]['id']}"

    monkeypatch.setattr(ConsentRegister, "release_of", any_of)
