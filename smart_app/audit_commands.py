"""``warm-referral audit``: the log of every crossing, for whoever has to show that it holds. Opaque ids only."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

import click

SETTINGS = f"{__name__}.settings"  # in the context's meta: gives the settings


def _settings(context: click.Context) -> Any:
    return context.meta[SETTINGS]()


def _month(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from smart_app.policy import audit_trail

    if value is not None and not audit_trail.is_month(value):
        raise click.BadParameter("a month is written like 2026-11")
    return value


month_option = click.option("--month", callback=_month, help="Only this month, such as 2026-11.")


@click.group()
def audit() -> None:
    """The audit chain: nothing in it can be edited or removed unseen."""


@audit.command()
@click.option("--public-key", is_flag=True, help="Print the key instead with which the file of anchors can be checked.")
@click.pass_context
def anchor(context: click.Context, public_key: bool) -> None:
    """Print where the chain stands now, as JSON. Keep it off this host, and give it to `audit verify` later."""
    from smart_app.app import anchors_public_key, audit_anchor

    if public_key:
        click.echo(anchors_public_key(_settings(context)))
        return
    now_at = audit_anchor(_settings(context))
    click.echo(json.dumps({"position": now_at.position, "row_hash": now_at.row_hash.hex()}))


@audit.command()
@click.option("--since", type=click.File(), help="File with an anchor that `audit anchor` printed earlier.")
@click.pass_context
def verify(context: click.Context, since: TextIO | None) -> None:
    """Walk the whole chain, and hold it to the file of anchors where there is one (audit_anchor_file).

    Exit 1 and the first bad row if one was edited, removed or added.
    """
    from smart_app.app import AnchorFileError, parse_anchor, verify_audit

    kept = None
    if since is not None:
        try:
            kept = parse_anchor(json.load(since))
        except (ValueError, KeyError, TypeError):
            raise click.UsageError("--since: not a file that `warm-referral audit anchor` wrote") from None
    try:
        found, anchors = verify_audit(_settings(context), kept)
    except AnchorFileError as error:
        click.echo(f"The audit chain cannot be held to its anchors: {error}.", err=True)
        sys.exit(1)
    if not found.holds:
        where = f" {found.position} of {found.table}" if found.position is not None else ""
        click.echo(f"The audit chain does not hold at row{where}: {found.problem}.", err=True)
        sys.exit(1)
    held = f", held to {anchors} anchors" if anchors else ""
    click.echo(f"The audit chain holds: {found.rows} rows{held}.")


@audit.command("list")
@month_option
@click.option("--action", help="Only rows of this action, such as read or release.")
@click.option("--sent", is_flag=True, help="Only what left under a release, a line for each release.")
@click.pass_context
def list_rows(context: click.Context, month: str | None, action: str | None, sent: bool) -> None:
    """Print the log, oldest first: row, time, who, action, answer, rule, items. The look is noted in the log."""
    from smart_app.app import audit_rows
    from smart_app.policy import audit_trail

    rows = audit_rows(_settings(context), month)
    if sent:
        for one in audit_trail.disclosures(rows):
            click.echo("\t".join((str(one.position), one.at.isoformat(), one.consent, one.to, one.outcome, *one.items)))
        return
    for position, row in rows:
        line = audit_trail.line_of(position, row)
        if action in (None, line.action):
            rules = ",".join(line.rules)
            words = (str(position), line.at.isoformat(), line.who, line.action, line.answer, rules, *line.items)
            click.echo("\t".join(words))


@audit.command()
@month_option
@click.pass_context
def export(context: click.Context, month: str | None) -> None:
    """Print the accesses as FHIR AuditEvents, one JSON object on each line. Labels of what was touched stay here, and
    so do rows that are no access to an item: sign-ins, refusals without an item, outcomes. How many is said at the
    end. The look is noted in the log."""
    from smart_app.app import audit_rows, partner_addresses
    from smart_app.policy import audit_trail

    settings, left = _settings(context), 0
    addresses = partner_addresses(settings)
    for position, row in audit_rows(settings, month):
        event = audit_trail.as_audit_event(position, row, addresses=addresses)
        left += event is None
        if event is not None:
            click.echo(json.dumps(event, separators=(",", ":")))
    click.echo(f"{left} rows are no access to an item; `warm-referral audit list` shows them.", err=True)
