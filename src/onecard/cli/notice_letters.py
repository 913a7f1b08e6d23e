"""`onecard notice letters`, `reprint` and `posted`: what subscribers are told by post."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TextIO

import typer

from onecard.cli.command import desk_command
from onecard.cli.desk import Desk
from onecard.cli.failures import Misuse, accept
from onecard.cli.find import find_notice
from onecard.cli.options import ID_HIGHEST, MostOption, NoticeArgument
from onecard.cli.secret import new_private_binary, new_private_file
from onecard.cli.show import Answer, Table
from onecard.database.parts import list_parts
from onecard.node.notice_post import make_sender
from onecard.winddown.notices import letter_store, letters
from onecard.winddown.notices.letters import Letters
from onecard.winddown.notices.printing import print_letters

ADDRESS_COLUMNS = ("reference", "language", "name", "postal_address")

LettersArgument = Annotated[
    int, typer.Argument(metavar="LETTERS", min=1, max=ID_HIGHEST, help="Letters that were written together.")
]
PdfOption = Annotated[
    Path | None, typer.Option("--pdf", metavar="FILE", help="Write the letters to this new file.")
]
AddressesOption = Annotated[
    Path | None,
    typer.Option("--addresses", metavar="FILE", help="Write a CSV list of their addresses to this new file."),
]


def add_commands(group: typer.Typer) -> None:
    """Add the commands of letters to a group."""
    desk_command(group, "letters")(letters_)
    desk_command(group, "reprint")(reprint)
    desk_command(group, "posted")(posted)


async def letters_(
    desk: Desk,
    notice: NoticeArgument,
    pdf: PdfOption = None,
    addresses: AddressesOption = None,
    most: MostOption = 500,
) -> Answer:
    """Write the letters of those whose turn it is; without files, list those that were written."""
    await find_notice(desk.connection, notice)
    if pdf is None and addresses is None:
        rows = [_describe_letters(row) for row in await letter_store.list_letters(desk.connection, notice)]
        columns = ("letters", "count", "made_at", "made_by", "posted_at", "posted_by")
        return Answer({"letters": rows}, [Table(columns, rows, empty="no letters were written")], desk.zone)
    pdf, addresses = _check_files(pdf, addresses)
    with new_private_file(addresses) as list_out, new_private_binary(pdf) as pdf_out:
        written = accept(
            await letters.write_letters(
                desk.connection,
                desk.at,
                actor=desk.actor,
                master=desk.load_master_key(),
                parts=await list_parts(desk.connection),
                notice_id=notice,
                rules=desk.config.notices.rules,
                most=most,
            )
        )
        _write_files(written, desk, list_out, pdf_out)
    return _answer_letters(desk, written, pdf, addresses)


async def reprint(
    desk: Desk, letters_id: LettersArgument, pdf: PdfOption = None, addresses: AddressesOption = None
) -> Answer:
    """Write the files of letters again that are lost, or broke off."""
    pdf, addresses = _check_files(pdf, addresses)
    with new_private_file(addresses) as list_out, new_private_binary(pdf) as pdf_out:
        written = accept(
            await letters.write_letters_again(
                desk.connection,
                desk.at,
                actor=desk.actor,
                master=desk.load_master_key(),
                parts=await list_parts(desk.connection),
                letters_id=letters_id,
            )
        )
        _write_files(written, desk, list_out, pdf_out)
    return _answer_letters(desk, written, pdf, addresses)


async def posted(desk: Desk, letters_id: LettersArgument) -> Answer:
    """Confirm that letters are in the post: from now on they count as having reached."""
    count = accept(
        await letters.post_letters(
            desk.connection,
            desk.at,
            actor=desk.actor,
            parts=await list_parts(desk.connection),
            letters_id=letters_id,
            rules=desk.config.notices.rules,
        )
    )
    return Answer({"letters": letters_id, "count": count}, [f"{count} letters are in the post"], desk.zone)


def _check_files(pdf: Path | None, addresses: Path | None) -> tuple[Path, Path]:
    if pdf is None or addresses is None:
        raise Misuse("give both --pdf and --addresses")
    return pdf, addresses


def _write_files(written: Letters, desk: Desk, list_out: TextIO, pdf_out: BinaryIO) -> None:
    writer = csv.writer(list_out)
    writer.writerow(ADDRESS_COLUMNS)
    for one in written.letters:
        writer.writerow([one.reference, one.language.value, one.contact.name, one.contact.postal_address])
    day = desk.at.astimezone(desk.zone).date()
    pdf_out.write(print_letters(written.letters, make_sender(desk.config), day))


def _answer_letters(desk: Desk, written: Letters, pdf: Path, addresses: Path) -> Answer:
    document = {
        "letters": written.id,
        "count": len(written.letters),
        "without_address": written.without_address,
        "pdf": str(pdf),
        "addresses": str(addresses),
    }
    said = f"letters {written.id}: {len(written.letters)} are in {pdf}, their addresses in {addresses}"
    hint = f"when they are in the post: onecard notice posted {written.id}"
    return Answer(document, [said], desk.zone, hint=hint)


def _describe_letters(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "letters": row["id"]}
