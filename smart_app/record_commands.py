"""Commands for what is kept: erase what is due, back up, restore, change the master key.

Nothing here shows a record: counts and seconds only. Exit 2 and one sentence when it cannot be done.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from smart_app.settings import Settings

CANNOT_START = 2
SETTINGS = "records.settings"  # settings whose database is at the current schema
ANY_SETTINGS = "records.any-settings"  # settings, whatever the database is like
FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--due", is_flag=True, help="What the retention table says is over. Nothing else is erased from here.")
@click.pass_context
def erase(context: click.Context, due: bool) -> None:
    """Erase what is due now, as the delivery worker does by itself. What is under a legal hold stays."""
    from smart_app.foundation import lay_foundation, now
    from smart_app.record_keeping import eraser_of

    if not due:
        raise click.UsageError("say --due; a single record is erased on the privacy officer's page, by two persons")
    settings = _settings(context, SETTINGS)
    with _in_one_sentence():
        done = eraser_of(lay_foundation(settings), settings).look(now())
    click.echo(f"Erased {done.erased} case(s); {done.held} due case(s) under a legal hold stay.")
    if done.stopped:
        click.echo(f"Emptied {done.stopped} waiting message(s) whose release is over.")


@click.command()
@click.argument("file", type=FILE)
@click.pass_context
def backup(context: click.Context, file: Path) -> None:
    """Write an encrypted backup of the database to FILE, and the key copy anew. Others may write meanwhile."""
    from smart_app.foundation import lay_foundation
    from smart_app.record_keeping import back_up_all

    settings = _settings(context, SETTINGS)
    if settings.backup_recipient is None:
        _stop("backup_recipient: name the public age key that backups are encrypted to; `age-keygen` makes one.")
    began = time.monotonic()
    with _in_one_sentence():
        size, keys = back_up_all(lay_foundation(settings), settings, file)
    click.echo(f"Wrote {file}, {size} bytes, and the key copy with {keys} key(s), in {time.monotonic() - began:.1f} s.")


@click.command()
@click.argument("file", type=EXISTING)
@click.option("--identity", type=EXISTING, required=True, help="File with the private age key, from where it is kept.")
@click.option("--into", "url", metavar="URL", help="Another, empty database, for a drill. Default: database_url.")
@click.pass_context
def restore(context: click.Context, file: Path, identity: Path, url: str | None) -> None:
    """Fill an empty database from the backup FILE, with the keys of the key copy.

    Cases that were erased since the backup have no key any more: they are taken away, and nobody can read them.
    """
    from smart_app.record_keeping import restore_all

    settings = _settings(context, ANY_SETTINGS)
    began = time.monotonic()
    with _in_one_sentence():
        done = restore_all(settings, file, identity, url or settings.database_url)
    click.echo(f"Restored {done.cases} case(s) in {time.monotonic() - began:.1f} s.")
    click.echo(f"{done.erased} case(s) of the backup were erased since: they cannot be read and were taken away.")


@click.command("rotate-master")
@click.pass_context
def rotate_master(context: click.Context) -> None:
    """Make a new master key, wrap every case key anew, end the old key. Interrupted, run it again."""
    from smart_app.foundation import lay_foundation, now
    from smart_app.record_keeping import renew_master_key

    settings = _settings(context, SETTINGS)
    began = time.monotonic()
    with _in_one_sentence():
        count = renew_master_key(lay_foundation(settings), settings, now())
    click.echo(f"Wrapped {count} case key(s) anew in {time.monotonic() - began:.1f} s.")
    if settings.master_key_plugin is None:
        click.echo(f"Keep a copy of the new {settings.master_key_file} in a safe place, and destroy copies of the old.")


def _settings(context: click.Context, which: str) -> Settings:
    made: Settings = context.meta[which]()
    return made


@contextlib.contextmanager
def _in_one_sentence() -> Iterator[None]:
    from smart_app.record_keeping import BackupError, MasterKeyError

    try:
        yield
    except (BackupError, MasterKeyError) as error:
        _stop(str(error))


def _stop(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(CANNOT_START)


def add_to(group: click.Group, keys: click.Group) -> None:
    """Hang these commands into the app's own, and one into those of our keys."""
    for command in (erase, backup, restore):
        group.add_command(command)
    keys.add_command(rotate_master)
