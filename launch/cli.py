"""Commands of ``launch``: a click group that the app's own command hangs in.

``ctx.obj`` is ``Registrations``, or a function that reads them when a command asks. ``ctx.meta[KEYS_FILE]`` is one that
gives the key file alone, which can be named while the settings are not yet whole.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click

from launch import key_rotation
from launch.keys import ALGORITHMS, KeyFileError, create_key_file
from launch.registrations import Registrations

__all__ = ["DOCTOR_SITE", "KEYS_FILE", "create_key_file", "launch_cli", "registrations_of"]

KEYS_FILE = "launch.keys_file"
DOCTOR_SITE = "launch.doctor.site"  # a function that gives what launch.doctor.site.DoctorSite.of takes

# The doctor's tools bring a FHIR client and profiles along; they are loaded when they are called.
_LAZY = {
    "doctor": ("launch.doctor.cli", "doctor"),
    "label-probe": ("launch.doctor.cli", "label_probe"),
    "registration-sheet": ("launch.doctor.registration_sheet.cli", "registration_sheet"),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_LAZY})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _LAZY:
            return super().get_command(ctx, cmd_name)
        module, name = _LAZY[cmd_name]
        command = getattr(import_module(module), name)
        return command if isinstance(command, click.Command) else None


@click.group("launch", cls=_LazyGroup)
def launch_cli() -> None:
    """The way in: keys, and the proof of an EHR."""


@launch_cli.group()
def keys() -> None:
    """Our signing keys: what there is, a new one, an old one taken away."""


FILE = click.option(
    "--file", "path", type=click.Path(dir_okay=False, path_type=Path), help="Default: keys_file in settings."
)


@keys.command("create")
@FILE
@click.pass_context
def create(context: click.Context, path: Path | None) -> None:
    """Make the keys that sign for us (ES384 and RS384). An existing file is never overwritten."""
    target = _key_file(context, path)
    with _in_one_sentence():
        create_key_file(target)
    click.echo(f"Wrote {target}. Keep it secret. The EHR needs only our JWKS address.")


@keys.command("status")
@FILE
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def show_status(context: click.Context, path: Path | None, output: str) -> None:
    """Which keys there are and what each does. Never shows a key."""
    with _in_one_sentence():
        found = key_rotation.status(_key_file(context, path), time.time())
    if output == "json":
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        click.echo(f"{one.kid}  {one.alg}  {_state_words(one)}")


@keys.command("rotate")
@FILE
@click.option("--alg", "algs", multiple=True, type=click.Choice(ALGORITHMS), help="Repeatable. Default: all.")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(min=1, max=24 * 30),
    default=key_rotation.OVERLAP_SECONDS / 3600,
    show_default=True,
    help="How long the new key is published before it signs.",
)
@click.option("--at-once", is_flag=True, help="Sign with it now: only when a key was seen by somebody else.")
@click.pass_context
def rotate(
    context: click.Context, path: Path | None, algs: tuple[str, ...], overlap_hours: float, at_once: bool
) -> None:
    """Make new keys: published now, signing later. A running app takes them up by itself."""
    with _in_one_sentence():
        overlap = 0.0 if at_once else overlap_hours * 3600
        found = key_rotation.rotate(_key_file(context, path), algs or ALGORITHMS, time.time(), overlap)
    for one in found:
        click.echo(f"{one.kid}  {one.alg}  {_state_words(one)}")
    click.echo("The app publishes the new keys from now on. When they sign, take the old ones away with keys retire.")


# A kid is base64url, so one in 64 begins with a dash and looks like an option.
@keys.command("retire", context_settings={"ignore_unknown_options": True})
@FILE
@click.argument("kid")
@click.pass_context
def retire(context: click.Context, path: Path | None, kid: str) -> None:
    """Take the key KID away. Refused for a key that signs, is the only one, or may still be checked."""
    with _in_one_sentence():
        key_rotation.retire(_key_file(context, path), kid, time.time())
    click.echo("It is gone from the file and from our key set.")


def registrations_of(context: click.Context) -> Registrations | None:
    """The EHRs of the settings, from ``ctx.obj``: ``Registrations``, or a function that reads them when asked."""
    held = context.obj() if callable(context.obj) else context.obj
    return held if isinstance(held, Registrations) else None


def _key_file(context: click.Context, path: Path | None) -> Path:
    if path is not None:
        return path
    held = context.meta.get(KEYS_FILE)
    if callable(held):
        held = held()
    if held is None:
        registrations = registrations_of(context)
        held = registrations.keys_file if registrations else None
    if not isinstance(held, Path):
        raise click.UsageError("Name the file: --file FILE")
    return held


@contextlib.contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except (KeyFileError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _state_words(one: key_rotation.KeyStatus) -> str:
    def day(moment: float) -> str:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")

    made = f", made {day(one.made_at)}" if one.made_at else ""
    if one.state == "next":
        return f"published, signs from {day(one.signs_from)}{made}"
    if one.retire_from is not None:
        return f"old, may be retired {'from ' + day(one.retire_from) if one.retire_from > time.time() else 'now'}{made}"
    return f"signs now{made}"
