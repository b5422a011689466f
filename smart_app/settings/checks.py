"""All about settings that must not start (R41, R6): each bad key with what to write instead, all of them at once.

What merely expires is not here: it turns its own feature off. No sentence holds a secret.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from launch.registrations import RegistrationsError, is_loopback, keys_file_problem, parse
from smart_app.settings.model import CLINICAL_ROLES, PLACEABLE, EhrSettings, Settings, SiteSettings

MASTER_KEY_BYTES = 32
# Keys that people look for and that this app does not have, because each would be a way to switch a protection off.
NEVER_A_SETTING: Mapping[str, str] = {
    "debug": "debug pages show data to anyone; there is no such setting, remove it",
    "audit": "the audit is always on; there is no such setting, remove it",
    "scope": "scopes follow from placement and are never written by hand; remove it",
    "scopes": "scopes follow from placement and are never written by hand; remove it",
    "redirect_uri": "it is always {public_base_url}/callback, without a wildcard; remove it",
    "redirect_uris": "it is always {public_base_url}/callback, without a wildcard; remove it",
    "labels": "labels are set by the app and are never weakened; remove it",
    "client_secret": "a secret never stands in config.toml; put it into a file and name that in client_secret_file",
}
MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}")
_OAUTH_KEY = re.compile(r"ehr\[(\d+)\]")


def unsafe(settings: Settings) -> list[str]:
    """Every reason why these settings must not start, as "key: what is wrong; what to do"."""
    problems = [*_mode_problems(settings), *_proxy_problems(settings), *_key_problems(settings)]
    problems += _inbox_problems(settings)
    problems += _site_problems("site", settings.site)
    for e in settings.ehr:
        problems += _ehr_problems(settings, e)
    known = {e.id.replace("-", "_") for e in settings.ehr}
    problems += [
        f"WARM_REFERRAL_CLIENT_SECRETS__{name.upper()}: no registration has this id; unset it, or mend ehr.id"
        for name in sorted(set(settings.client_secrets) - known)
        if re.fullmatch(r"\w{1,64}", name, re.ASCII)
    ]
    problems += _oauth_problems(settings)
    return list(dict.fromkeys(problems))


def _mode_problems(settings: Settings) -> list[str]:
    problems: list[str] = []
    if settings.mode == "demo":
        hosts = {}
        if settings.demo is not None:
            hosts = {f"demo.{name}": getattr(settings.demo, name) for name in ("ehr_control", "program_control")}
        problems += [
            f'{key}: mode "demo" is for this computer only; use a loopback host, or set mode = "production"'
            for key, url in hosts.items()
            if not _is_loopback_url(url)
        ]
        if not is_loopback(settings.bind_host):
            problems.append('bind_host: mode "demo" listens on loopback only; use 127.0.0.1')
    elif settings.demo is not None:
        problems.append('demo: belongs to mode "demo" only; remove the block')
    if os.environ.get("FLASK_DEBUG", "0") not in ("", "0", "false"):
        problems.append("FLASK_DEBUG: debug pages show data to anyone; unset it")
    return problems


def _inbox_problems(settings: Settings) -> list[str]:
    """A passkey is bound to the inbox's host name, and the browser gives it to https only, or to localhost."""
    problems = []
    if settings.inbox is not None:
        url = urlsplit(settings.inbox.public_base_url)
        is_plain = not (url.path or url.query or url.fragment or url.username) and "*" not in url.netloc
        is_demo = settings.mode == "demo" and url.scheme == "http" and url.hostname == "localhost"
        if not is_plain or not url.hostname or not (url.scheme == "https" or is_demo) or _is_address(url.hostname):
            problems.append("inbox.public_base_url: write https, a host name and nothing after it")
        if settings.inbox.public_base_url == settings.public_base_url:
            problems.append("inbox.public_base_url: must be another address than public_base_url")
        if settings.mode == "demo" and not is_loopback(settings.inbox.bind_host):
            problems.append('inbox.bind_host: mode "demo" listens on loopback only; use 127.0.0.1')
    if settings.mail is not None:
        if settings.mail.security == "none" and not is_loopback(settings.mail.host):
            problems.append("mail.security: none is for a server on this computer only; use starttls or tls")
        if not MAIL_ADDRESS.fullmatch(settings.mail.sender):
            problems.append("mail.sender: write one address such as office@example.org")
    return problems


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback_url(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _proxy_problems(settings: Settings) -> list[str]:
    problems = []
    for number, text in enumerate(settings.trusted_proxies):
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            problems.append(
                f"trusted_proxies[{number}]: not an address or network; write the proxy's own, such as 10.20.0.5"
            )
            continue
        if network.prefixlen == 0:
            problems.append(
                f"trusted_proxies[{number}]: anybody could claim any address; name your own proxies, one by one"
            )
    return problems


AGE_PUBLIC_KEY = re.compile(r"age1[a-z0-9]{58}")


def _key_problems(settings: Settings) -> list[str]:
    problems = []
    if settings.master_key_file is None and settings.key_ring_file is None:
        problems.append("key_ring_file: name a place for the key ring; it is kept, and shared where you run several")
    if settings.master_key_plugin is not None:
        if settings.master_key is not None or settings.master_key_file is not None:
            problems.append("master_key_plugin: holds the master key alone; leave out master_key_file and master_key")
    elif settings.master_key is not None:
        if not _is_master_key(settings.master_key):
            problems.append("WARM_REFERRAL_MASTER_KEY: is not 32 bytes in base64; make one with `warm-referral init`")
    elif settings.master_key_file is None:
        problems.append("master_key_file: name a file with the master key, or set WARM_REFERRAL_MASTER_KEY")
    else:
        problems += _secret_file_problems("master_key_file", settings.master_key_file, _is_master_key)
    if settings.backup_recipient is not None and not AGE_PUBLIC_KEY.fullmatch(settings.backup_recipient):
        problems.append("backup_recipient: write the public key that age-keygen printed, age1...; never the secret one")
    found = keys_file_problem(settings.keys_file)
    return [*problems, f"keys_file: {found}"] if found else problems


def _is_master_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text.strip(), validate=True)) == MASTER_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _secret_file_problems(key: str, path: Path, is_good: object) -> list[str]:
    """A file with a secret: there, for its owner alone, and holding what it should."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return [f"{key}: no file that can be read at {path}"]
    if mode & 0o077:
        return [f"{key}: others can read this file; run chmod 600 {path}"]
    if callable(is_good) and not is_good(text):
        return [f"{key}: does not hold what it should; see `warm-referral config explain {key.rsplit('.', 1)[-1]}`"]
    return []


def _site_problems(where: str, site: SiteSettings) -> list[str]:
    problems = []
    if site.time_zone not in available_timezones():
        problems.append(f"{where}.time_zone: not a time zone; write one such as America/Chicago")
    if not site.weekdays or not site.weekdays <= set(range(1, 8)):
        problems.append(f"{where}.weekdays: list open days as numbers 1 (Monday) to 7 (Sunday), at least one")
    if site.opens >= site.closes:
        problems.append(f"{where}.opens: must be before {where}.closes")
    return problems


def _ehr_problems(settings: Settings, e: EhrSettings) -> list[str]:
    where = f"ehr.{e.id}"
    problems = [
        f"{where}.placement: {t!r} cannot be placed; only {', '.join(sorted(PLACEABLE))}"
        for t in sorted(set(e.placement) - PLACEABLE)
        if t.isidentifier()
    ]
    if not all(t.isidentifier() for t in e.placement):
        problems.append(f"{where}.placement: names of resource types only; {', '.join(sorted(PLACEABLE))}")
    problems += _role_problems(where, e)
    if e.differs_in_site:
        of_main = set(_site_problems(f"{where}.site", settings.site))
        problems += [p for p in _site_problems(f"{where}.site", settings.site_for(e.id)) if p not in of_main]
    is_from_file = e.client_secret_file is not None and e.id.replace("-", "_") not in settings.client_secrets
    if is_from_file and e.token_endpoint_auth_method == "client_secret_basic":  # noqa: S105 - the name of a method
        problems += _secret_file_problems(f"{where}.client_secret_file", e.client_secret_file or Path(), None)
    return problems + _proof_problems(settings, where, e)


def _role_problems(where: str, e: EhrSettings) -> list[str]:
    problems = []
    reference = re.compile(r"(Practitioner|PractitionerRole)/[A-Za-z0-9\-.]{1,64}")
    if not all(reference.fullmatch(user) for user in e.roles):
        problems.append(f'{where}.roles: write each person as "Practitioner/<id>", without a wildcard')
    if not all(re.fullmatch(r"[^|\s*]+\|[^|\s*]+", code) for code in e.practitioner_roles):
        problems.append(f'{where}.practitioner_roles: write each code as "system|code", without a wildcard')
    if not e.treating_roles <= CLINICAL_ROLES:
        problems.append(f"{where}.treating_roles: only clinical roles treat; {', '.join(sorted(CLINICAL_ROLES))}")
    return problems


def _proof_problems(settings: Settings, where: str, e: EhrSettings) -> list[str]:
    """A copy in an EHR that was never proven outside a test environment (R6). A proof that ran out is none of this."""
    copied = set(e.write_types) & PLACEABLE
    if not copied:
        return []
    if e.is_test:
        return [] if e.test_patients else [f"{where}.test_patients: list the test patients of this test environment"]
    proof = settings.proofs[e.id].read()
    remedy = "run `warm-referral label-probe` and name its file, or set vault (R6)"
    if proof is None:
        return [f"{where}.proof_file: ehr-and-vault needs a site proof; {remedy}"]
    if proof.registration_id != e.id:
        return [f"{where}.proof_file: this proof was made for another registration; {remedy}"]
    never = sorted(copied - set(proof.classes))
    return [f"{where}.proof_file: this proof says nothing of {', '.join(never)}; {remedy}"] if never else []


def _oauth_problems(settings: Settings) -> list[str]:
    """What ``launch`` finds wrong, in the words and key names of this page."""
    try:
        parse(settings.oauth_part())
    except RegistrationsError as error:
        ids: Iterable[str] = [e.id for e in settings.ehr]
        return [_as_here(problem, list(ids)) for problem in error.problems]
    return []


def _as_here(problem: str, ids: list[str]) -> str:
    key, words = problem.split(" ", 1)
    found = _OAUTH_KEY.match(key)
    if found is not None and re.fullmatch(r"[\w.-]{1,40}", ids[int(found[1])]):
        key = f"ehr.{ids[int(found[1])]}" + key[found.end() :]
    return f"{key}: {words.removesuffix('.')}"
