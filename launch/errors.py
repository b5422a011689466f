"""Errors of the way in, each a small fact: the class is the sentence, the status and the OAuth or FHIR code.

LaunchError                            shown to a person, with what to do next; never echoes what was sent
├── UnknownIssuerError          400    before any network call
├── LaunchRequestError          400    ``iss`` or ``launch`` missing, doubled, empty or too long
│   └── StandaloneLaunchError   400    opened from outside the EHR: there is no ``launch`` at all
├── TooManyLaunchesError        429    from one network in a short time; says how long to wait
├── CookieLostError             400    this browser gives our frame no cookie; the same launch works in a window
├── BusyError                   503    all that may wait for an EHR at once are waiting; asked again in a second
├── StateError                  400    state missing, unknown, used, or of another browser or issuer
├── AuthorizationRefusedError   403    the EHR said no, or its answer cannot be trusted
├── TokenRefusedError           502    the code was not exchanged (expired, used, client not known)
├── IdentityError               403    the id_token or ``fhirUser`` does not hold
├── EhrUnreachableError         502    discovery or token endpoint did not answer
└── LaunchNotFoundError         404    not this browser's launch, ended, or expired

EhrError                               an authorised FHIR call failed; carries ``status`` (None: no answer), and
│                                      ``retry_after_seconds`` where the EHR asked us to wait
├── EhrOutcomeUnknownError             a create was sent and no answer came: never retried blindly
├── EhrStaleError                      409 or 412: somebody changed the resource meanwhile
├── EhrNotGrantedError                 the grant does not cover it: nothing was sent
└── EhrAuthorizationEndedError         401 after one refresh: launch again

BearerError                            a partner's access token does not open this: 401 or 403, raised, not rendered
TooManyCallsError                      429 from one network at the partner API, before any look-up
PartnerSystemError                     a partner's server did not take a delivery; ``retry_after_seconds`` if it said so
"""

from __future__ import annotations

from typing import ClassVar


class LaunchError(Exception):
    """The launch cannot go on. ``words`` says what happened, ``next_step`` what to do; both are constant text."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "launch"
    words: ClassVar[str] = "This launch could not be completed."
    next_step: ClassVar[str] = "Close this page and open the app again from the patient's chart."

    def __init__(self, reason: str = "") -> None:
        """``reason`` is a short event code for the log and audit, never a received value."""
        super().__init__(reason or self.code)
        self.reason = reason or self.code


class UnknownIssuerError(LaunchError):
    """The issuer is not on the allow-list."""

    code = "unknown-issuer"
    words = "This EHR is not registered here."
    next_step = "Ask your health-center IT to register this EHR, then open the app again from the chart."


class LaunchRequestError(LaunchError):
    """``iss`` or ``launch`` is missing, doubled, empty or too long."""

    code = "launch-request"
    words = "The EHR did not send what a launch needs."
    next_step = "Open the app from a patient's chart, not from a bookmark. If it happens again, tell your IT."


class StandaloneLaunchError(LaunchRequestError):
    """Opened from a bookmark, a portal or a link: no EHR sent a ``launch``."""

    code = "standalone-launch"
    words = "This app opens from inside the EHR only."
    next_step = (
        "Sign in to the EHR, open the patient's chart and choose the app there. Staff who work without a chart find it "
        "in the EHR's own menu. If it is in neither place, ask your health-center IT. The phone list works without it."
    )


class TooManyLaunchesError(LaunchError):
    """More launches from one network than any clinic makes. ``retry_after_seconds``: until the next is taken."""

    status = 429
    code = "too-many-launches"
    words = "Too many launches came from this network in a short time."
    next_step = "Wait some seconds and open the app again from the chart. The phone list works meanwhile."

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds
        # Shown with its own number: a promise that can be kept.
        seconds = "1 second" if retry_after_seconds == 1 else f"{retry_after_seconds} seconds"
        self.next_step = self.next_step.replace("some seconds", seconds)  # type: ignore[misc]


class CookieLostError(LaunchError):
    """The browser did not give back the cookie that a framed page needs. ``again`` is the address of the same launch,
    of which nothing is used up yet, for a window of its own."""

    code = "cookie-lost"
    words = "This browser keeps the app from working inside the EHR's page."
    next_step = (
        "Open it in a new window. To have it inside the EHR again, ask your IT to allow this app's cookies there. "
        "If the new window does not work either, this browser blocks all cookies."
    )

    def __init__(self, again: str) -> None:
        super().__init__()
        self.again = again


class BusyError(LaunchError):
    """As many sign-ins as may wait for an EHR at once are waiting. Nothing was used up: the same address works soon."""

    status = 503
    code = "busy"
    words = "Many people are signing in just now."
    next_step = "This page goes on by itself in a moment."
    retry_after_seconds: ClassVar[int] = 1


class StateError(LaunchError):
    """``state`` is missing, unknown, already used, or belongs to another browser or issuer."""

    code = "state"
    words = "This launch was started somewhere else, or it was already used."
    next_step = (
        "Open the app again from the chart. If it happens each time, choose to open it in a new window: "
        "this browser may be blocking the cookie that a framed page needs."
    )


class AuthorizationRefusedError(LaunchError):
    """The EHR answered with an error, or with something that cannot be trusted."""

    status = 403
    code = "authorization-refused"
    words = "The EHR did not allow this app to open."
    next_step = (
        "Open the app again from the chart. If it is refused again, ask your IT whether your account may use it."
    )


class TokenRefusedError(LaunchError):
    """The authorization code was not exchanged for a token."""

    status = 502
    code = "token-refused"
    words = "The EHR did not complete the sign-in. The link may have expired."
    next_step = "Open the app again from the chart."


class IdentityError(LaunchError):
    """The id_token or ``fhirUser`` does not hold, or the person is not staff."""

    status = 403
    code = "identity"
    words = "The EHR did not say who you are in a way this app can trust."
    next_step = "This app is for health-center staff. Open it again from the chart, or ask your IT."


class EhrUnreachableError(LaunchError):
    """Discovery or the token endpoint did not answer."""

    status = 502
    code = "ehr-unreachable"
    words = "The EHR did not answer."
    next_step = "Wait a minute and open the app again from the chart. The phone list works without it."


class LaunchNotFoundError(LaunchError):
    """Not this browser's launch, ended, or expired: one page for all three."""

    status = 404
    code = "launch-not-found"
    words = "Nothing to show here."
    next_step = "Open the app again from the patient's chart."


class EhrError(Exception):
    """An authorised FHIR call failed. ``status`` is the HTTP status, None when no answer came."""

    def __init__(self, reason: str, status: int | None = None, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class EhrOutcomeUnknownError(EhrError):
    """A create was sent and no answer came. It may exist: never send it again blindly."""


class EhrStaleError(EhrError):
    """The resource is not the version this change was made from. 409 at some EHRs, 412 at others."""


class EhrNotGrantedError(EhrError):
    """The grant of this launch does not cover the call, so it was not sent. ``status`` 403, as the EHR's would be."""

    def __init__(self) -> None:
        super().__init__("not-granted", 403)


class EhrAuthorizationEndedError(EhrError):
    """The EHR no longer accepts the session after one refresh."""


class TooManyCallsError(Exception):
    """More calls from one network than the partner API takes. ``retry_after_seconds``: until the next is taken."""

    status: ClassVar[int] = 429

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("too-many-calls")
        self.retry_after_seconds = retry_after_seconds


class BearerError(Exception):
    """A partner's token does not open this. ``status`` is 401 or 403; ``www_authenticate`` is the header to send."""

    def __init__(self, status: int, www_authenticate: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.www_authenticate = www_authenticate
        self.reason = reason


class PartnerSystemError(Exception):
    """A partner's server did not take it. ``is_permanent`` is true only when sending again cannot help."""

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after_seconds: int | None = None,
        is_permanent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.is_permanent = is_permanent
