"""What forms of both surfaces offer, in English words: a voicemail, a language, how long a release lasts."""

from __future__ import annotations

from collections.abc import Mapping

VOICEMAIL_WORDS: Mapping[str, str] = {
    "none": "No voicemail",
    "silent": "Hang up without a word",
    "safe": "A voicemail is safe",
}
LANGUAGES: Mapping[str, str] = {
    "en": "English",
    "es": "Spanish",
    "ase": "American Sign Language",
    "ar": "Arabic",
    "fr": "French",
    "hmn": "Hmong",
    "ht": "Haitian Creole",
    "hy": "Armenian",
    "ko": "Korean",
    "pt": "Portuguese",
    "ru": "Russian",
    "so": "Somali",
    "tl": "Tagalog",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
RELEASE_DAYS = (7, 14, 30, 60, 90)


def language_name(code: str) -> str:
    """ "es" -> "Spanish"; what we have no name for stays as it is."""
    return LANGUAGES.get(code, code)
