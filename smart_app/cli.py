"""``warm-referral``: the only entry point.

Exit codes: 0 done; 1 found something wrong (a check failed, a resource is invalid, a tour differed); 2 cannot start
(usage, settings, busy port, old schema): one sentence says what to do.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import click

from launch import cli as launch_cli_module
from smart_app import audit_commands, configure, partner_commands, record_commands
from smart_app import demo as demo_module
from smart_app.settings import Settings, SettingsError, examined, load

CANNOT_START = 2
FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class _Commands(click.Group):
    """Our own commands, and those of ``launch`` beside them: ``warm-referral keys status``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name once; ``launch`` stays as the group it was."""
        return sorted({*super().list_commands(ctx), *launch_cli_module.launch_cli.list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Ours first."""
        return super().get_command(ctx, cmd_name) or launch_cli_module.launch_cli.get_command(ctx, cmd_name)


@click.group(cls=_Commands)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="WARM_REFERRAL_CONFIG",
    default=Path("config.toml"),
    show_default=True,
    help="Settings file (TOML). docs/settings.md lists every key.",
)
@click.version_option(package_name="warm-referral")
@click.pass_context
def cli(context: click.Context, config: Path) -> None:
    """Warm referrals between a health center and DSV programs, both ways."""
    context.meta[configure.CONFIG] = config
    context.meta[configure.MAKE_KEYS] = launch_cli_module.create_key_file
    context.meta[launch_cli_module.KEYS_FILE] = lambda: _keys_file(config)
    context.obj = lambda: _settings(context).registrations
    context.meta[partner_commands.SETTINGS] = lambda: _ready_settings(context)
    context.meta[audit_commands.SETTINGS] = lambda: _settings(context)
    context.meta[record_commands.ANY_SETTINGS] = lambda: _settings(context)
    context.meta[record_commands.SETTINGS] = lambda: _ready_settings(context)
    context.meta[launch_cli_module.DOCTOR_SITE] = lambda: _doctor_facts(context)


cli.add_command(launch_cli_module.launch_cli, "launch")
configure.add_to(cli)
cli.add_command(partner_commands.partner)
cli.add_command(audit_commands.audit)
record_commands.add_to(cli, launch_cli_module.keys)


@cli.command()
@click.option("--app-role", help="PostgreSQL: the role by which the app connects; it may only read and add audit rows.")
@click.option(
    "--owner-url",
    envvar="WARM_REFERRAL_OWNER_URL",
    help="PostgreSQL: how to connect as the owner of the tables; better given in the environment.",
)
@click.pass_context
def migrate(context: click.Context, app_role: str | None, owner_url: str | None) -> None:
    """Bring the database to the schema of this version."""
    from smart_app.app import migrate as migrate_database

    migrate_database(_settings(context), owner_url=owner_url, app_role=app_role)
    click.echo("The database is at the current schema.")


@cli.command()
@click.option("--threads", type=click.IntRange(2, 64), default=32, show_default=True)
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True)
@click.option(
    "--surface",
    type=click.Choice(["clinic", "advocate"]),
    default="clinic",
    show_default=True,
    help="The clinic's pages and API, or the inbox for programs: two servers that share no page.",
)
@click.pass_context
def serve(context: click.Context, threads: int, workers: int, surface: str) -> None:
    """Run the web app (gunicorn, gthread)."""
    from gunicorn.app.base import BaseApplication

    from smart_app import logs
    from smart_app.foundation import require_current_schema, require_keys, require_walls

    settings = _settings(context)
    _or_stop(require_current_schema, settings)
    _or_stop(require_walls, settings)
    _or_stop(require_keys, settings)
    host, port = settings.bind_host, settings.bind_port
    if surface == "advocate":
        if settings.inbox is None:
            _stop("There is no [inbox] in the settings: docs/settings.md says what belongs there.")
        host, port = settings.inbox.bind_host, settings.inbox.bind_port

    class _Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            options: dict[str, Any] = {
                "bind": f"{host}:{port}",
                "worker_class": "gthread",
                "workers": workers,
                "threads": threads,
                "timeout": 60,
                "graceful_timeout": 10,
                "max_requests": 20_000,
                "max_requests_jitter": 2_000,
                "accesslog": None,  # gunicorn's own would write launch, code and state; ours is in smart_app/logs.py
                "loglevel": "warning",
                "logger_class": logs.server_logger(),
                "limit_request_line": 8190,  # a launch value may be long; what is too long gets our own page
                "control_socket_disable": True,
                # No header of a caller or proxy changes the path, the scheme or where we think we are: our addresses
                # come from public_base_url, and who called from trusted_proxies (smart_app/surface.py).
                "forwarded_allow_ips": "",
                "forwarder_headers": "",
                "secure_scheme_headers": {},
            }
            for key, value in options.items():
                if key in self.cfg.settings:
                    self.cfg.set(key, value)

        def load(self) -> Any:
            if surface == "advocate":  # which imports no page of the clinic
                from smart_app.inbox_app import create_served_inbox

                return create_served_inbox(settings)
            from smart_app.app import create_served_app

            return create_served_app(settings, threads=threads)

    _Server().run()


@cli.command()
@click.pass_context
def work(context: click.Context) -> None:
    """Run the delivery worker: sends what is due, retries, gives up aloud. Run as many as you like."""
    from smart_app.foundation import require_current_schema, require_keys, require_walls
    from smart_app.worker_app import create_erasure, create_worker

    settings = _settings(context)
    _or_stop(require_current_schema, settings)
    _or_stop(require_walls, settings)
    _or_stop(require_keys, settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if settings.mail is not None:
        from smart_app.inbox_app import create_staff_alert

        threading.Thread(target=create_staff_alert(settings).run, args=(stop,), name="staff-alert", daemon=True).start()
    threading.Thread(target=create_erasure(settings).run, args=(stop,), name="erasure", daemon=True).start()
    create_worker(settings).run(stop)


@cli.group()
def inbox() -> None:
    """The inbox for programs without a FHIR system."""


@inbox.command()
@click.option("--name", default="Admin", show_default=True, help="What colleagues call this person.")
@click.argument("partner_id")
@click.pass_context
def invite(context: click.Context, partner_id: str, name: str) -> None:
    """Invite the first admin of a program, or a new one after its last admin was lost and you called back.

    Prints an address and a code, once. Send the address any way you like; say the code by voice, to a number you knew
    before. Both work once, for 24 hours.
    """
    from smart_app.foundation import require_current_schema
    from smart_app.inbox_app import invite_admin

    settings = _settings(context)
    _or_stop(require_current_schema, settings)
    if settings.inbox is None:
        _stop("There is no [inbox] in the settings: docs/settings.md says what belongs there.")
    made = invite_admin(settings, partner_id, name)
    if made is None:
        _stop("No program has this id.")
    click.echo(f"Address: {made[0]}\nCode, by voice only: {made[1]}")


@cli.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "outcome", "jsonl"]),
    default="text",
    show_default=True,
    help="For a person; an OperationOutcome in one line for each input, in their order; a JSON line for each input.",
)
@click.option("--profile", metavar="ID|URL", help="What to hold them to. Else: what each claims, or FHIR R4 itself.")
@click.argument("files", metavar="FILE...|-", nargs=-1, required=True)
def validate(form: str, profile: str | None, files: tuple[str, ...]) -> None:
    """Check FHIR R4 resources in JSON; "-" is standard input.

    Exit 1 if any has an error or cannot be read. Neither a value nor a key of the sender's own is ever printed.
    docs/referral-by-fhir.md explains each message.
    """
    from fhir_profiles.validation import desk, examine

    if profile is not None:
        try:
            examine.profile_id(profile)
        except examine.UnknownProfileError:
            known = ", ".join(examine.profiles())
            raise click.UsageError(f"unknown profile; a FHIR R4 resource type, or one of: {known}") from None
    is_right = True
    for file in files:
        looked = desk.look_at_file(file, profile, sys.stdin.buffer)
        is_right = is_right and looked.is_right
        click.echo(desk.FORMS[form](file, looked))
    sys.exit(0 if is_right else 1)


@cli.command()
@click.option(
    "--directory", type=click.Path(file_okay=False, path_type=Path), default=Path("var/demo"), show_default=True
)
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of Synthea R4 bundles."
)
@click.option("--database", metavar="URL", help="A PostgreSQL database for the vault, in place of a SQLite file.")
@click.option("--tour", is_flag=True, help="Play the four flows, print each message, exit 1 if any differs.")
@click.option("--strip-labels", is_flag=True, help="With --tour: let the EHR drop labels, to see the tour find it.")
@click.option("--app-port", type=int, default=8000, show_default=True)
@click.option("--ehr-port", type=int, default=9000, show_default=True)
@click.option("--ehr-control-port", type=int, default=9001, show_default=True)
@click.option("--program-port", type=int, default=9100, show_default=True)
@click.option("--program-control-port", type=int, default=9101, show_default=True)
@click.option("--inbox-port", type=int, default=8100, show_default=True)
def demo(
    directory: Path, data: Path | None, database: str | None, tour: bool, strip_labels: bool, **ports: int
) -> None:
    """Run a sandbox EHR, a sandbox DSV program, the app and its worker on this computer."""
    from smart_app.app import migrate as migrate_database
    from smart_app.app import seed_demo_partners
    from smart_app.tour import play

    place = demo_module.Place(
        directory.resolve(),
        demo_module.Ports(**{name.removesuffix("_port"): port for name, port in ports.items()}),
        database,
    )

    def set_up_vault() -> list[str]:
        from smart_app.inbox_app import invite_admin

        settings = load(place.config)
        migrate_database(settings)
        seed_demo_partners(settings, place.program_url)
        address, code = invite_admin(settings, "northside", "Admin") or ("", "")
        return [f"  Northside's inbox      {address}", f"                         code, by voice: {code}"]

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo_module.require_free_ports(place.ports)
        demo_module.prepare(place, create_keys=launch_cli_module.create_key_file)
        ehr, program = place.sandboxes()
        on_ready = (lambda: play(ehr, program, say=click.echo, strip_labels=strip_labels)) if tour else None
        sys.exit(demo_module.run(place, data=data, say=click.echo, before_app=set_up_vault, on_ready=on_ready))
    except demo_module.DemoError as error:
        _stop(str(error))


@cli.command()
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as Markdown.")
def prove(report: Path | None) -> None:
    """Show that the guards hold, on health centers that are thrown away: no settings, no network, under a minute.

    Exit 1 if any check fails.
    """
    from smart_app.proofs.report import prove as prove_all

    found = prove_all(launch_cli_module.create_key_file, click.echo)
    for name, value in found.figures.items():
        click.echo(f"{name}: {value}")
    if report is not None:
        report.write_text(found.as_markdown(), encoding="utf-8")
    sys.exit(0 if found.holds else 1)


def main() -> None:
    """Console entry point."""
    cli()


def _keys_file(config: Path) -> Path | None:
    """The key file that settings name, whatever else may be wrong with them: keys are made before the rest is whole."""
    try:
        settings, _ = examined(config)
    except SettingsError:
        return None
    return settings.keys_file if settings is not None else None


def _settings(context: click.Context) -> Settings:
    try:
        return load(context.meta["config"])
    except SettingsError as error:
        for problem in error.problems:
            click.echo(f"  - {problem}", err=True)
        _stop(f"{len(error.problems)} setting(s) to mend in {context.meta['config']} before this can start.")


def _ready_settings(context: click.Context) -> Settings:
    """The settings, when the database they name is at the current schema."""
    from smart_app.foundation import require_current_schema, require_walls

    settings = _settings(context)
    _or_stop(require_current_schema, settings)
    _or_stop(require_walls, settings)
    return settings


def _doctor_facts(context: click.Context) -> dict[str, Any]:
    from smart_app.app import doctor_facts

    return doctor_facts(_settings(context))


def _or_stop(check: Any, settings: Settings) -> None:
    problem = check(settings)
    if problem:
        _stop(problem)


def _stop(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(CANNOT_START)
