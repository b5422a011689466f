"""``warm-referral partner``: programs, their agreements and their keys, for whoever signs the agreement or keeps IT.

Public facts only: nothing here reads or writes anything about a person. Exit 2 and one sentence when it cannot be done.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from smart_app.ports import Partner

if TYPE_CHECKING:
    from smart_app.app import PartnerOffice
    from smart_app.settings import Settings

CANNOT_START = 2
SETTINGS = "partner.settings"
PARTNER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MOST_KEY_BYTES = 65_536
DAY = click.DateTime(["%Y-%m-%d"])
KEYS = (
    click.option("--jwks-url", metavar="URL", help="Where the program publishes its public keys (https). Preferred."),
    click.option(
        "--jwks-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A JWK Set with the program's public keys, where it has no address for them.",
    ),
)


def _with_keys(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(KEYS):
        command = option(command)
    return command


@click.group()
def partner() -> None:
    """Programs: register one, list them, suspend an agreement, change keys."""


@partner.command("add")
@click.argument("partner_id")
@click.option("--name", required=True, help="As clinicians say it.")
@click.option("--phone", required=True, help="The public line.")
@click.option("--says", multiple=True, required=True, help="A sentence that a clinician can say aloud; three of them.")
@click.option("--who-answers", required=True)
@click.option("--hours", required=True)
@click.option("--language", "languages", multiple=True, default=("en",), show_default=True)
@click.option("--mou-from", type=DAY, help="First day of the agreement; today if not given.")
@click.option("--mou-until", type=DAY, required=True, help="Its last day.")
@click.option("--acknowledge-minutes", type=click.IntRange(1, 1440), default=60, show_default=True)
@click.option("--staffed", default="always", show_default=True, help="When somebody is there: mon-fri 09:00-17:00; ...")
@click.option("--time-zone", help="Of those hours, such as America/New_York; the site's if not given.")
@click.option("--fhir-address", metavar="URL", help="The program's own FHIR base, where it has one.")
@click.option("--token-endpoint", metavar="URL", help="Its token endpoint, with --fhir-address.")
@click.option("--our-client-id", help="Our id there, with --fhir-address.")
@click.option("--client-id", help="Its id at our token endpoint; PARTNER_ID-system if not given.")
@click.option("--pack", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write the pack there.")
@_with_keys
@click.pass_context
def add(
    context: click.Context,
    /,
    partner_id: str,
    says: tuple[str, ...],
    mou_from: datetime | None,
    mou_until: datetime,
    client_id: str | None,
    folder: Path | None,
    jwks_url: str | None,
    jwks_file: Path | None,
    **facts: Any,
) -> None:
    """Register a program. With keys its system may call; a pack for its engineer is printed, or written to a folder."""
    settings, office = _open(context)
    if PARTNER_ID.fullmatch(partner_id) is None:
        _stop("PARTNER_ID is at most 40 of a-z, 0-9 and -; it stands in every referral as Organization/PARTNER_ID.")
    if office.directory.partner(partner_id) is not None:
        _stop("This program is registered already: see `partner rotate` and `partner suspend`.")
    if len(says) != 3:
        _stop("Give --says three times: three plain sentences.")
    has_system = jwks_url is not None or jwks_file is not None
    new = Partner(
        partner_id=partner_id,
        says=(says[0], says[1], says[2]),
        mou_starts_on=(mou_from.date() if mou_from else office.today),
        mou_ends_on=mou_until.date(),
        client_id=(client_id or f"{partner_id}-system") if has_system else None,
        **facts,
    )
    _require_whole(office, new)
    if has_system:
        _register(office, new.client_id or "", jwks_url, jwks_file)
    office.directory.add_partner(new)
    click.echo(f"Registered {partner_id}: {_state(office, new)}.", err=True)
    if has_system:
        _hand_out(settings, new, jwks_url or "kept by the health center", folder)


@partner.command("list")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def list_all(context: click.Context, output: str) -> None:
    """Every program: its agreement, how many days are left, whether it has room, and where its keys are."""
    _, office = _open(context)
    keys = office.clients.keys()
    rows = [
        {
            "partner_id": one.partner_id,
            "name": one.name,
            "agreement": _state(office, one),
            "ends_on": one.mou_ends_on.isoformat(),
            "has_capacity": not one.is_full(office.today),
            "client_id": one.client_id,
            "keys": keys.get(one.client_id or "", "none"),
        }
        for one in office.directory.partners()
    ]
    if output == "json":
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        room = "has room" if row["has_capacity"] else "is full"
        click.echo(f"{row['partner_id']}  {row['name']}: {row['agreement']}; {room}; keys: {row['keys']}")
    if not rows:
        click.echo("No program is registered yet: `warm-referral partner add`.")


@partner.command("suspend")
@click.argument("partner_id")
@click.option("--lift", is_flag=True, help="Take the suspension back.")
@click.pass_context
def suspend(context: click.Context, partner_id: str, lift: bool) -> None:
    """Stop a program at once: its next request is refused on every worker, nothing more is sent."""
    _, office = _open(context)
    known = _known(office, partner_id)
    office.directory.set_suspended(partner_id, not lift)
    click.echo(f"{partner_id}: {_state(office, replace(known, is_suspended=not lift))}.")


@partner.command("rotate")
@click.argument("partner_id")
@_with_keys
@click.pass_context
def rotate(context: click.Context, partner_id: str, jwks_url: str | None, jwks_file: Path | None) -> None:
    """Take other keys for a program's system. What was signed with the old ones, and every token got by them, is dead
    from the next request on. A program whose keys have an address changes them there and needs no command."""
    _, office = _open(context)
    known = _known(office, partner_id)
    if known.client_id is None:
        _stop("This program has no system here: it was registered without keys.")
    ended = _register(office, known.client_id, jwks_url, jwks_file)
    click.echo(f"{partner_id} has new keys; {ended} token(s) ended.")


def _open(context: click.Context) -> tuple[Settings, PartnerOffice]:
    from smart_app.app import open_partner_office

    settings: Settings = context.meta[SETTINGS]()
    return settings, open_partner_office(settings)


def _known(office: PartnerOffice, partner_id: str) -> Partner:
    known = office.directory.partner(partner_id)
    return known if known is not None else _stop("No program has this id: see `warm-referral partner list`.")


def _require_whole(office: PartnerOffice, new: Partner) -> None:
    """What would only be found when somebody needs the program."""
    from fhir_profiles.partner_organization import partner_organization
    from smart_app.foundation import now
    from smart_app.policy.sla import opens_by

    if new.mou_ends_on < new.mou_starts_on:
        _stop("The agreement ends before it begins: mend --mou-from or --mou-until.")
    try:
        opens_by(minutes=1, sent_at=now(), staffed=new.staffed, time_zone=new.time_zone or "UTC")
    except (ValueError, KeyError, OSError):
        _stop(
            "--staffed is 'always' or hours such as 'mon-fri 09:00-17:00; sat 20:00-02:00', --time-zone a zone's name."
        )
    if (new.fhir_address is None) != (new.token_endpoint is None) or (new.fhir_address is None) != (
        new.our_client_id is None
    ):
        _stop("Give --fhir-address, --token-endpoint and --our-client-id together, or none of them.")
    if new.client_id is not None and office.directory.partner_of_client(new.client_id) is not None:
        _stop("Another program has this --client-id.")
    try:
        partner_organization(id=new.partner_id, identifier_value=new.partner_id, name=new.name, phone=new.phone)
    except ValueError:
        _stop("--name is one line of at most 80 characters, --phone a phone number; neither holds an address.")


def _register(office: PartnerOffice, client_id: str, jwks_url: str | None, jwks_file: Path | None) -> int:
    from smart_app.app import partner_client

    if (jwks_url is None) == (jwks_file is None):
        _stop("Give either --jwks-url or --jwks-file.")
    try:
        return office.clients.register(partner_client(client_id, jwks_url, _key_set(jwks_file)))
    except ValueError as error:
        _stop(f"These keys cannot be used: {error}.")


def _key_set(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        read = json.loads(file.read_bytes()[:MOST_KEY_BYTES])
    except (OSError, ValueError):
        raise ValueError("the file is not JSON") from None
    if not isinstance(read, dict) or not isinstance(read.get("keys"), list):
        raise ValueError("the file is not a JWK Set: an object with a list named keys")
    return read


def _hand_out(settings: Settings, new: Partner, keys: str, folder: Path | None) -> None:
    from smart_app.app import partner_client
    from smart_app.partner_pack import pack

    made = pack(
        product_name=settings.product_name,
        version=metadata.version("warm-referral"),
        public_base_url=settings.public_base_url,
        clinic=f"Organization/{settings.tenant_id}",
        partner_id=new.partner_id,
        partner_name=new.name,
        client_id=new.client_id or "",
        keys=keys,
        scopes=partner_client("", None, None).scopes,
        today=new.mou_starts_on,
    )
    if folder is None:
        click.echo(made.text)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    click.echo(f"Wrote {', '.join(made.files)} to {folder}.")


def _state(office: PartnerOffice, one: Partner) -> str:
    """The agreement in words."""
    if one.is_suspended:
        return "suspended"
    if office.today < one.mou_starts_on:
        return f"begins on {one.mou_starts_on}"
    days = (one.mou_ends_on - office.today).days
    return f"expired on {one.mou_ends_on}" if days < 0 else f"open, {days} day(s) left"


def _stop(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(CANNOT_START)
