"""One frozen object of settings, from ``config.toml`` and the environment. The only folder that opens either.

Environment names are ``WARM_REFERRAL_<KEY>``, nested with two underscores (``WARM_REFERRAL_SITE__PHONE``).
Start reports ALL bad keys at once, each with its remedy; unsafe values refuse start (R41). What merely expires (a
proof, an agreement) never does: it turns its feature off.
"""

from smart_app.settings.model import CLINICAL_ROLES, PLACEABLE, EhrSettings, Settings, SiteSettings
from smart_app.settings.sources import SettingsError, examined, load

__all__ = [
    "CLINICAL_ROLES",
    "PLACEABLE",
    "EhrSettings",
    "Settings",
    "SettingsError",
    "SiteSettings",
    "examined",
    "load",
]
