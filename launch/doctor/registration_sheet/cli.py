"""``warm-referral registration-sheet``: the texts for one EHR, as files or on the screen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import click

from launch.doctor.findings import ExitCode
from launch.doctor.neutral_words import telling
from launch.doctor.registration_sheet import files
from launch.doctor.registration_sheet.document import Document, UnknownSignError
from launch.doctor.registration_sheet.drafts import privacy_policy, terms_of_use
from launch.doctor.registration_sheet.letter import letter
from launch.doctor.registration_sheet.listing import listing, open_rows, telling_keys
from launch.doctor.registration_sheet.markdown import as_markdown
from launch.doctor.registration_sheet.subject import VENDORS, Subject, chosen, vendor
from launch.doctor.site import SetUpError, site_of

LEFT_OPEN = 1
TEXTS: Mapping[str, Callable[[Subject], Document]] = MappingProxyType(
    {"listing": listing, "privacy": privacy_policy, "terms": terms_of_use, "letter": letter}
)


@click.command("registration-sheet")
@click.argument("issuer", metavar="[ISSUER]", required=False)
@click.option("--ehr", "vendor_key", type=click.Choice(VENDORS), required=True, help="Whose form it is.")
@click.option(
    "--text",
    "names",
    type=click.Choice(["all", *TEXTS]),
    default=["all"],
    multiple=True,
    show_default=True,
    help="Repeatable. The letter is confidential, the others are public.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(["all", *files.FORMATS]),
    default=["all"],
    multiple=True,
    show_default=True,
    help="Repeatable.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help='Default: "registration-" and the vendor, here.',
)
@click.option("--replace", "replaces", is_flag=True, help="Write over the files of an earlier run.")
@click.option("--print", "prints", is_flag=True, help="Print one text as Markdown and write nothing.")
@click.pass_context
def registration_sheet(
    context: click.Context,
    /,
    issuer: str | None,
    vendor_key: str,
    names: tuple[str, ...],
    formats: tuple[str, ...],
    folder: Path | None,
    replaces: bool,
    prints: bool,
) -> None:
    """Write what the registration form of an EHR asks, filled from config.toml.

    ISSUER is the FHIR base or the id of a block in config.toml; not needed where the vendor has one block.

    \b
    FOLDER/public/        listing, privacy-policy, terms-of-use: neutral words
    FOLDER/confidential/  letter: plain words, for the vendor's reviewer alone (mode 0600)

    Exit codes: 0 complete; 1 written, and some lines are left to fill in, each named with its key; 2 nothing was
    written.
    """
    try:
        site = site_of(context)
        subject = Subject(site, chosen(site, vendor_key, issuer), vendor(vendor_key))
        documents = _neutral([TEXTS[name](subject) for name in _all_of(names, TEXTS)], subject)
        if prints:
            _print(documents)
        else:
            _write(documents, _all_of(formats, files.FORMATS), folder or Path(f"registration-{vendor_key}"), replaces)
    except SetUpError as error:
        _stop(str(error))
    left = open_rows(subject)
    if left:
        click.echo(f"{len(left)} line(s) left to fill in; then say it again with --replace:", err=True)
        for one in left:
            click.echo(f"  - {one}", err=True)
    sys.exit(LEFT_OPEN if left else ExitCode.ALL_GREEN)


def _neutral(documents: list[Document], subject: Subject) -> list[Document]:
    """The documents, if no public one tells what the app is for (R27). ``SetUpError``."""
    found = telling_keys(subject)
    if found:
        listed = "".join(f"  - {one}\n" for one in found)
        raise SetUpError(f"{listed}{len(found)} setting(s) to mend: nothing was written.")
    if any(telling(one.words()) for one in documents if not one.is_confidential):
        raise SetUpError("A public text would tell what the app is for: nothing was written. Please report this.")
    return documents


def _print(documents: list[Document]) -> None:
    if len(documents) != 1:
        raise SetUpError("--print shows one text: add --text listing, letter, privacy or terms.")
    click.echo(as_markdown(documents[0]), nl=False)


def _write(documents: list[Document], formats: tuple[str, ...], folder: Path, replaces: bool) -> None:
    try:
        written = files.write_all(folder, files.contents(documents, formats), replaces=replaces)
    except FileExistsError as error:
        raise SetUpError(f"There already, and kept as it is: {error}. Use --replace, or another -o FOLDER.") from None
    except UnknownSignError as error:
        raise SetUpError(f"{error} Use --format md.") from None
    except OSError as error:
        raise SetUpError(f"Could not write everything: {error.strerror}") from None
    for path in written:
        click.echo(f"Wrote {path}")


def _all_of(chosen_names: tuple[str, ...], known: Mapping[str, object] | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(known) if "all" in chosen_names else tuple(dict.fromkeys(chosen_names))


def _stop(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(ExitCode.SETUP)
