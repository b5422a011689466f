"""Commands for whoever sets the app up: ``init``, ``ehr add``, ``config check|explain|schema``. They write files of
settings and read them; no database, no network."""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import available_timezones

import click

from launch.registrations import TEMPLATES, UNKNOWN_CLIENT_ID, template
from smart_app.settings import SettingsError, examined
from smart_app.settings.words import explain, schema_text
from smart_app.settings.writing import (
    NewEhr,
    appended,
    ehr_block,
    id_from,
    new_config,
    origin_of,
    replace_with,
    write_new,
)

CANNOT_START = 2
CONFIG = "config"
MAKE_KEYS = "make_keys"
MASTER_KEY_BYTES = 32
ASKED = ("public_base_url", "site_name", "site_phone", "time_zone")


@click.group("config", invoke_without_command=True)
@click.option("--explain", "key", metavar="KEY", help="The same as `config explain KEY`.")
@click.pass_context
def config(context: click.Context, key: str | None) -> None:
    """The settings: check them, explain one, print their schema."""
    if context.invoked_subcommand is not None:
        if key is not None:
            raise click.UsageError("--explain stands alone.")
    elif key is None:
        click.echo(context.get_help())
    else:
        _explain(key)


@config.command("check")
@click.pass_context
def check(context: click.Context) -> None:
    """Read all settings and say everything that is wrong, and what is worth a look. Exit 2 if the app cannot start."""
    settings, problems = _examined(context)
    for problem in problems:
        click.echo(f"  - {problem}", err=True)
    if settings is None or problems:
        _stop(f"{len(problems)} setting(s) to mend in {context.meta[CONFIG]} before this can start.")
    notes = _notes(settings)
    for note in notes:
        click.echo(f"  - {note}")
    click.echo(f"{context.meta[CONFIG]} can start, with {len(settings.ehr)} EHR(s); {len(notes)} note(s).")


@config.command("explain")
@click.argument("key")
def explain_key(key: str) -> None:
    """What KEY is, its type, default, an example, values that never start, and its name in the environment."""
    _explain(key)


def _explain(key: str) -> None:
    try:
        click.echo(explain(re.sub(r"^ehr(\[\d+\]|\.\d+)\.", "ehr.", key)))
    except KeyError as error:
        _stop(str(error.args[0]))


@config.command("schema")
def print_schema() -> None:
    """The JSON Schema of config.toml, for editors and for checks before a roll-out."""
    click.echo(schema_text(), nl=False)


@click.command("init")
@click.option("--public-base-url", help="Our own address as others reach it: https://care.example.org.")
@click.option("--site-name", help="The health center's name as patients know it.")
@click.option("--site-phone", help="The clinic's public phone.")
@click.option("--time-zone", help="Such as America/Chicago. Default: this computer's, unless that is UTC.")
@click.option("--tenant-id", help="Default: made of the site's name.")
@click.option("--mode", type=click.Choice(["production", "demo"]), default="production", show_default=True)
@click.option("--bind-port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--trusted-proxy", "proxies", multiple=True, help="Address of our own proxy; repeatable.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help='For database and keys. Default: "var" beside the settings file.',
)
@click.option("--keys/--no-keys", "makes_keys", default=True, show_default=True, help="Make signing and master keys.")
@click.pass_context
def init(
    context: click.Context, /, directory: Path | None, makes_keys: bool, proxies: tuple[str, ...], **said: Any
) -> None:
    """Write a complete, commented config.toml, and the keys it names. Nothing that exists is overwritten."""
    path: Path = context.meta[CONFIG]
    if path.exists():
        _stop(f"{path} exists and is kept as it is; name another with --config FILE.")
    answers = _answers(said)
    folder = (directory or path.parent / "var").resolve()
    files = {"master_key_file": folder / "master.key", "keys_file": folder / "keys.json"}
    in_the_way = [file for file in files.values() if file.exists()] if makes_keys else []
    if in_the_way:
        _stop(f"{in_the_way[0]} exists and is kept as it is; use --no-keys, or another --directory.")
    given = {
        "mode": said["mode"],
        "public_base_url": answers["public_base_url"],
        "bind_port": said["bind_port"],
        "tenant_id": said["tenant_id"] or id_from(answers["site_name"], ()),
        "database_url": f"sqlite:///{folder / 'vault.sqlite3'}",
        "site.name": answers["site_name"],
        "site.phone": answers["site_phone"],
        "site.time_zone": answers["time_zone"],
        **files,
        **({"trusted_proxies": proxies} if proxies else {}),
    }
    try:
        if makes_keys:
            write_new(files["master_key_file"], base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)).decode() + "\n")
            context.meta[MAKE_KEYS](files["keys_file"])
        write_new(path, new_config(given))
    except (OSError, ValueError) as error:
        _stop(f"Could not write everything: {error}")
    click.echo(f"Wrote {path}" + (f", {files['master_key_file']} and {files['keys_file']}." if makes_keys else "."))
    click.echo("Keep a copy of the master key in a safe place: without it nothing that is stored can be read again.")
    click.echo("Next: warm-referral ehr add ISSUER")


@click.group("ehr")
def ehr() -> None:
    """The EHRs in config.toml."""


@ehr.command("add")
@click.argument("issuer")
@click.option("--template", "template_name", type=click.Choice(TEMPLATES), default="generic", show_default=True)
@click.option("--id", "ehr_id", help="Short id. Default: made of the template's or the host's name.")
@click.option("--name", help="What staff call it. Default: the host.")
@click.option("--client-id", default=UNKNOWN_CLIENT_ID, help="The client id that it gave this app.")
@click.option(
    "--client-secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Only if it insists on a secret: the file that holds it, mode 0600.",
)
@click.option("--frame-origin", "origins", multiple=True, help="Repeatable. Default: the issuer's origin.")
@click.option("--environment", type=click.Choice(["production", "test"]), default="production", show_default=True)
@click.option("--test-patient", "patients", multiple=True, metavar="ID", help="Repeatable; for a test environment.")
@click.option("--role", "roles", multiple=True, metavar="Practitioner/ID=ROLE", help="Repeatable.")
@click.option("--print", "prints", is_flag=True, help="Print the block and write nothing.")
@click.pass_context
def add(
    context: click.Context, /, issuer: str, template_name: str, ehr_id: str | None, prints: bool, **said: Any
) -> None:
    """Add a complete, commented block for the EHR whose FHIR base is ISSUER to config.toml."""
    path: Path = context.meta[CONFIG]
    if not path.is_file():
        _stop(f"There is no {path}; make one with: warm-referral init")
    before, _ = _examined(context)
    host = origin_of(issuer).split("//")[-1].split(":")[0]
    basis = template_name if template_name != "generic" else host
    known = [one.id for one in before.ehr] if before else []
    new = NewEhr(
        id=ehr_id or id_from(basis, known),
        name=said["name"] or host or basis,
        issuer=issuer,
        client_id=said["client_id"],
        frame_origins=said["origins"],
        environment="test" if template_name == "public-launcher" else said["environment"],
        test_patients=said["patients"],
        roles=dict(_role(one) for one in said["roles"]),
        client_secret_file=said["client_secret_file"],
    )
    block = ehr_block(template(template_name), new)
    if prints:
        click.echo(block, nl=False)
        return
    _append(path, block, new.id)
    click.echo(f"Added {new.id} to {path}. `warm-referral config check` says what is left to do.")
    for note in _notes_of(path, new.id):
        click.echo(f"  - {note}")


def _append(path: Path, block: str, ehr_id: str) -> None:
    """Put the block at the end of the file, unless the file would then hold a mistake that it did not hold before."""
    text = path.read_text(encoding="utf-8")
    unfinished = path.with_name(path.name + ".new")
    before = set(_problems(path))
    try:
        write_new(unfinished, appended(text, block))
    except FileExistsError:
        _stop(f"Somebody is changing {path} right now. If nobody does, remove {unfinished}.")
    try:
        made = [problem for problem in _problems(unfinished) if problem not in before]
        if made:
            for problem in made:
                click.echo(f"  - {problem}", err=True)
            _stop(f"Nothing was added to {path}: mend what is listed and say it again.")
        replace_with(path, unfinished)
    finally:
        unfinished.unlink(missing_ok=True)


def _problems(path: Path) -> list[str]:
    try:
        return examined(path)[1]
    except SettingsError as error:
        return [problem.replace(str(path), "config") for problem in error.problems]


def _examined(context: click.Context) -> tuple[Any, list[str]]:
    try:
        return examined(context.meta[CONFIG])
    except SettingsError as error:
        return None, error.problems


def _notes_of(path: Path, ehr_id: str) -> list[str]:
    settings, _ = examined(path)
    return [note for note in _notes(settings) if note.startswith(f"ehr.{ehr_id}.")] if settings else []


def _notes(settings: Any) -> list[str]:
    """What is safe and allowed, and probably not yet what is wanted."""
    notes = []
    for one in settings.ehr:
        where = f"ehr.{one.id}"
        if one.client_id == UNKNOWN_CLIENT_ID:
            notes.append(f"{where}.client_id: the EHR gives it at registration; until then no launch can succeed")
        if not one.roles and not one.practitioner_roles:
            notes.append(f"{where}.roles: nobody has a role yet, so nobody can open the app")
        if one.is_test and not one.test_patients:
            notes.append(f"{where}.test_patients: none is listed yet, so no chart can be opened")
        if not one.is_test and one.test_patients:
            notes.append(f"{where}.test_patients: in production only for `doctor --watch` and `--proof`")
        if one.proof_file is not None and not one.write_types:
            notes.append(f"{where}.proof_file: is not used: placement writes nothing to this EHR")
    return notes


def _answers(said: dict[str, Any]) -> dict[str, str]:
    """What cannot be defaulted: from flags, or asked where somebody is there to answer."""
    found = {name: said[name] for name in ASKED}
    found["time_zone"] = found["time_zone"] or _time_zone_here()
    missing = [name for name, value in found.items() if not value]
    if missing and not sys.stdin.isatty():
        _stop("Nobody is here to ask, so name them: " + ", ".join("--" + name.replace("_", "-") for name in missing))
    return {name: value or click.prompt(name.replace("_", " ")) for name, value in found.items()}


def _time_zone_here() -> str | None:
    """This computer's time zone by name; None where it is UTC, which is no clinic's."""
    names = [os.environ.get("TZ", ""), str(Path("/etc/localtime").resolve()).split("zoneinfo/")[-1]]
    return next((name for name in names if "/" in name and name in available_timezones() and "UTC" not in name), None)


def _role(text: str) -> tuple[str, str]:
    user, sign, role = text.partition("=")
    if not sign:
        raise click.UsageError("--role: write Practitioner/ID=ROLE")
    return user.strip(), role.strip()


def _stop(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(CANNOT_START)


def add_to(group: click.Group) -> None:
    """Hang these commands into the app's own."""
    for command in (config, init, ehr):
        group.add_command(command)
