"""WebAuthn, by the ``webauthn`` library: a passkey is asked for with user verification, and found without a user name.

The relying party is one host and one origin, from settings. What the authenticator shows is the neutral product name.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from smart_app.inbox_ports import Passkey, PasskeyError

LONGEST_ANSWER = 20_000  # characters; a passkey's answer has about a thousand
_VERIFIED = UserVerificationRequirement.REQUIRED


class WebAuthnPasskeys:
    """Implements ``inbox_ports.Passkeys``."""

    def __init__(self, *, host: str, origin: str, product_name: str) -> None:
        """``host``: "inbox.example.org"; ``origin``: with scheme and port, as a browser writes it."""
        self._host = host
        self._origin = origin
        self._product_name = product_name

    def options_to_register(self, member_id: str, known: Sequence[Passkey]) -> tuple[str, bytes]:
        """For a device that has none of this person's passkeys yet."""
        options = generate_registration_options(
            rp_id=self._host,
            rp_name=self._product_name,
            user_id=UUID(member_id).bytes,
            user_name=self._product_name,
            user_display_name=self._product_name,
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential_id) for one in known],
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_VERIFIED
            ),
        )
        return options_to_json(options), options.challenge

    def registered(self, answer: str, challenge: bytes, member_id: str) -> Passkey:
        """The new passkey. Raises ``PasskeyError``."""
        try:
            made = verify_registration_response(
                credential=_bounded(answer),
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError):
            raise PasskeyError from None
        return Passkey(member_id, made.credential_id, made.credential_public_key, made.sign_count)

    def options_to_sign_in(self) -> tuple[str, bytes]:
        """Without a list of passkeys: whoever asks does not learn who has one."""
        options = generate_authentication_options(rp_id=self._host, user_verification=_VERIFIED)
        return options_to_json(options), options.challenge

    def credential_id_of(self, answer: str) -> bytes:
        """Which passkey answers. Raises ``PasskeyError``."""
        try:
            return parse_authentication_credential_json(_bounded(answer)).raw_id
        except (WebAuthnException, ValueError, TypeError, KeyError):
            raise PasskeyError from None

    def signed_in(self, answer: str, challenge: bytes, passkey: Passkey) -> int:
        """The passkey's new count: one that does not grow is a copy. Raises ``PasskeyError``."""
        try:
            return verify_authentication_response(
                credential=_bounded(answer),
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            ).new_sign_count
        except (WebAuthnException, ValueError, TypeError, KeyError):
            raise PasskeyError from None


def _bounded(answer: str) -> str:
    if not 0 < len(answer) <= LONGEST_ANSWER:
        raise PasskeyError
    return answer
