"""`onecard claim`: codes on paper that prove a subscriber when no text reaches them any more."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer

from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Failure, accept
from onecard.cli.find import find_card
from onecard.cli.secret import create_private_file, put_on_disk, read_secret
from onecard.cli.show import Answer
from onecard.sealing.check import check_master_key
from onecard.sealing.keys import MasterKey
from onecard.subscribers import claims
from onecard.subscribers.model import ClaimLetter, Subscriber
from onecard.subscribers.rules import format_claim_code, read_claim_code

LETTER_COLUMNS = ("subscriber", "language", "name", "email", "postal_address", "claim_code")

ClaimOption = Annotated[
    str | None,
    typer.Option(
        "--claim-code",
        metavar="CODE",
        help="The subscriber's claim code; - reads it from the standard input.",
    ),
]
OTHER_SUBSCRIBER = "other_subscriber"

app = new_group("Claim codes: what proves a subscriber without texts.")


@desk_command(app, "issue")
async def issue(
    desk: Desk,
    card: Annotated[
        str, typer.Argument(metavar="CARD", help="Any of the subscriber's cards, also one that has ended.")
    ],
) -> Answer:
    """Give a subscriber a claim code, and show it: the only time. The one they had is worthless from now on."""
    found = (await find_card(desk.connection, card)).card
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    code = accept(
        await claims.issue_claim_code(
            desk.connection,
            desk.at,
            actor=desk.actor,
            master=master,
            part=found.part,
            subscriber_id=found.subscriber_id,
        )
    )
    printed = format_claim_code(code)
    return Answer({"subscriber": found.subscriber_id, "claim_code": printed}, [printed], desk.zone)


@desk_command(app, "batch")
async def batch(
    desk: Desk,
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            metavar="FILE",
            help="Write the letters to this file, which must be new: only its owner may read it.",
        ),
    ],
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="FILE",
            help="Take over the letters of a run that broke off, without those whose codes never became good.",
        ),
    ] = None,
) -> Answer:
    """Give everyone without a claim code one, and write a CSV file for the printer of the letters.

    Subscribers who were erased are left out: nobody knows where to write to. What is on disk is good also where the
    run breaks off: go on with --resume.
    """
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    with create_private_file(file) as out:
        csv.writer(out).writerow(LETTER_COLUMNS)
        taken_over = 0 if resume is None else await _take_over(desk, master, resume, out)
        written = await _write_letters(desk, master, out)
    document = {"written": written, "taken_over": taken_over, "file": str(file)}
    return Answer(
        document, [f"{taken_over + written} letters are in {file}, and their codes nowhere else"], desk.zone
    )


async def _take_over(desk: Desk, master: MasterKey, earlier: Path, out: TextIO) -> int:
    """Copy the letters of an earlier file whose codes are good; returns how many."""
    count = 0
    writer = csv.writer(out)
    with earlier.open(encoding="utf-8", newline="") as source:
        rows = csv.reader(source)
        if next(rows, None) != list(LETTER_COLUMNS):
            raise Failure("bad_file", f"{earlier} was not written by `onecard claim batch`")
        while some := list(islice(rows, claims.LETTERS_MOST)):
            good = await claims.list_good_codes(
                desk.connection, master=master, codes=[*filter(None, map(_read_row, some))]
            )
            kept = [row for row in some if _read_row(row) in good]
            writer.writerows(kept)
            count += len(kept)
    put_on_disk(out)
    return count


def _read_row(row: Sequence[str]) -> str | None:
    """The code of a letter; None where the line broke off."""
    return read_claim_code(row[-1]) if len(row) == len(LETTER_COLUMNS) else None


async def _write_letters(desk: Desk, master: MasterKey, out: TextIO) -> int:
    count, place = 0, (-1, 0)
    writer = csv.writer(out)
    while True:
        async with desk.connection.transaction():  # the codes are on disk before they are good
            letters, following = await claims.issue_claim_codes(
                desk.connection, desk.at, actor=desk.actor, master=master, after=place
            )
            writer.writerows(_rows(letters))
            put_on_disk(out)
        count += len(letters)
        if following is None:
            return count
        place = following


def _rows(letters: Sequence[ClaimLetter]) -> Iterator[tuple[object, ...]]:
    for one in letters:
        contact = one.contact
        yield (
            one.subscriber_id,
            one.language.value,
            contact.name,
            contact.email,
            contact.postal_address or "",
            format_claim_code(one.code),
        )


@desk_command(app, "check")
async def check(
    desk: Desk,
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="As it is printed; - reads it from the standard input.")
    ],
) -> Answer:
    """Tell whose a claim code is, and write down that they proved themselves with it."""
    subscriber = await prove_by_claim_code(desk, desk.load_master_key(), code)
    document = {
        "subscriber": subscriber.id,
        "part": subscriber.part,
        "account": subscriber.account_id,
        "is_erased": subscriber.erased_at is not None,
    }
    said = f"it is of subscriber {subscriber.id}, with account {subscriber.account_id}"
    return Answer(document, [said], desk.zone)


async def prove_by_claim_code(desk: Desk, master: MasterKey, given: str) -> Subscriber:
    """Whose claim code was given or is typed; raises Failure."""
    return accept(
        await claims.prove_claim_code(
            desk.connection,
            desk.at,
            master=master,
            code=read_secret(given, "Claim code: "),
            actor=desk.actor,
        )
    )
