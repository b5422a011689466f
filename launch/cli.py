"""Commands of ``launch``: a click group that the app's own command hangs in. ``ctx.obj`` is ``Registrations``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from launch.keys import KeyFileError, create_key_file
from launch.registrations import Registrations

__all__ = ["create_key_file", "launch_cli"]

# The doctor's tools bring a FHIR client and profiles along; they are loaded when they are called.
_LAZY = {"label-probe": ("launch.doctor.cli", "label_probe")}


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
    """Our signing keys."""


@keys.command("create")
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path), help="Default: keys_file in settings.")
@click.pass_obj
def create(registrations: Registrations | None, path: Path | None) -> None:
    """Make the keys that sign for us (ES384 and RS384). An existing file is never overwritten."""
    target = path or (registrations.keys_file if registrations else None)
    if target is None:
        raise click.UsageError("Name the file to write: --file FILE")
    try:
        create_key_file(target)
    except (KeyFileError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Wrote {target}. Keep it secret. The EHR needs only our JWKS address.")
