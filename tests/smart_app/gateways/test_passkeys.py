"""Whatever a browser sends in place of a passkey's answer is refused in one way; a real one is tried in a real browser
(``tests/browser/test_inbox.py``)."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_app.gateways.passkeys import LONGEST_ANSWER, WebAuthnPasskeys
from smart_app.inbox_ports import Passkey, PasskeyError

HOST, ORIGIN = "inbox.example.org", "https://inbox.example.org"
PASSKEYS = WebAuthnPasskeys(host=HOST, origin=ORIGIN, product_name="Care Connections")
KNOWN = Passkey(str(uuid.uuid4()), b"id", b"not a key")
SHAPED = {
    "id": "AA",
    "rawId": "AA",
    "type": "public-key",
    "response": {"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA", "attestationObject": "oA"},
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SHAPED, *SHAPED["response"]]), inner),
    max_leaves=8,
)


def refused_everywhere(answer: str) -> None:
    for ask in (
        lambda: PASSKEYS.signed_in(answer, b"challenge", KNOWN),
        lambda: PASSKEYS.registered(answer, b"challenge", KNOWN.member_id),
    ):
        with pytest.raises(PasskeyError):
            ask()


@pytest.mark.parametrize("answer", ["", "{", "null", "[]", "0", "{}", "x" * (LONGEST_ANSWER + 1), json.dumps(SHAPED)])
def test_what_is_no_answer_is_refused(answer: str) -> None:
    """Empty, broken, too long or made up: one refusal, never an error page."""
    refused_everywhere(answer)


@settings(max_examples=150, deadline=None)
@given(change=st.dictionaries(st.sampled_from([*SHAPED]), VALUES))
def test_no_shape_breaks_it(change: dict[str, Any]) -> None:
    """Any JSON in any place of an answer ends in the same refusal. Break: catch ``ValueError`` alone."""
    answer = json.dumps({**SHAPED, **change})
    refused_everywhere(answer)
    with contextlib.suppress(PasskeyError):
        assert isinstance(PASSKEYS.credential_id_of(answer), bytes)


def test_a_passkey_is_asked_for_this_host_with_its_owner_verified() -> None:
    """The device checks who holds it (finger, face, PIN), and shows the neutral name and nothing else."""
    register, challenge = PASSKEYS.options_to_register(KNOWN.member_id, [KNOWN])
    options = json.loads(register)
    assert options["rp"] == {"name": "Care Connections", "id": HOST}
    assert options["user"]["name"] == options["user"]["displayName"] == "Care Connections"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert len(options["excludeCredentials"]) == 1
    sign_in, other = PASSKEYS.options_to_sign_in()
    assert json.loads(sign_in)["userVerification"] == "required"
    assert json.loads(sign_in).get("allowCredentials", []) == [], "nobody learns who has a passkey"
    assert challenge != other
    assert min(len(challenge), len(other)) >= 32
