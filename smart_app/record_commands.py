"""Commands for what is kept: erase what is due. Nothing here shows a record; counts and seconds only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from smart_app.settings import Settings

SETTINGS = "records.settings"


@click.command()
@click.option("--due", is_flag=True, help="What the retention table says is over. Nothing else is erased from here.")
@click.pass_context
def erase(context: click.Context, due: bool) -> None:
    """Erase what is due now, as the delivery worker does by itself. What is under a legal hold stays."""
    from smart_app.foundation import eraser_of, lay_foundation, now

    if not due:
        raise click.UsageError("say --due; a single record is erased on the privacy officer's page, by two persons")
    settings = _settings(context)
    done = eraser_of(lay_foundation(settings), settings).look(now())
    click.echo(f"Erased {done.erased} case(s); {done.held} due case(s) under a legal hold stay.")
    if done.stopped:
        click.echo(f"Emptied {done.stopped} waiting message(s) whose release is over.")


def _settings(context: click.Context) -> Settings:
    made: Settings = context.meta[SETTINGS]()
    return made


def add_to(group: click.Group) -> None:
    """Hang these commands into the app's own."""
    group.add_command(erase)
